package aws

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"
)

// routeQuota is the default number of routes of one family in a table (Amazon VPC quotas).
const routeQuota = 500

// newTable makes a route table with the local routes of its VPC.
func (s *state) newTable(vpcID string, tags Tags) string {
	v := s.VPCs[vpcID]
	t := &RouteTable{RouteTableID: s.newID("rtb"), VpcID: vpcID, Tags: tags}
	for _, p := range v.CIDRs {
		t.Routes = append(t.Routes, Route{DestinationCidrBlock: p.String(), GatewayID: local, Origin: "CreateRouteTable", State: RouteActive})
	}
	if v.IPv6.IsValid() {
		t.Routes = append(t.Routes, Route{DestinationIpv6CidrBlock: v.IPv6.String(), GatewayID: local, Origin: "CreateRouteTable", State: RouteActive})
	}
	s.Tables[t.RouteTableID] = t
	return t.RouteTableID
}

// local is the target of the routes within a VPC.
const local = "local"

func (s *state) table(id string) (*RouteTable, error) {
	if t, ok := s.Tables[id]; ok {
		return t, nil
	}
	if malformed(id, "rtb") {
		return nil, refuse("InvalidRouteTableId.Malformed", "Invalid id: \"%s\"", id)
	}
	return nil, refuse("InvalidRouteTableID.NotFound", "The routeTable ID '%s' does not exist", id)
}

// find returns the index of the route with exactly that destination, -1 if there is none.
func (t *RouteTable) find(p netip.Prefix) int {
	return slices.IndexFunc(t.Routes, func(r Route) bool { return r.prefix() == p })
}

// prefix is the destination.
func (r Route) prefix() netip.Prefix {
	p, _ := netip.ParsePrefix(r.Destination())
	return p
}

// lookup returns the route with the longest match.
func (t *RouteTable) lookup(a netip.Addr) (Route, bool) {
	best, bits := -1, -1
	for i, r := range t.Routes {
		if p := r.prefix(); p.Bits() > bits && p.Contains(a) {
			best, bits = i, p.Bits()
		}
	}
	if best < 0 {
		return Route{}, false
	}
	return t.Routes[best], true
}

// tableOf is the table that a subnet uses: its own or the main one of its VPC.
func (s *state) tableOf(subnetID string) *RouteTable {
	for _, t := range s.Tables {
		for _, a := range t.Associations {
			if a.SubnetID == subnetID {
				return t
			}
		}
	}
	if n, ok := s.Subnets[subnetID]; ok {
		return s.Tables[s.VPCs[n.VPC].MainTable]
	}
	return nil
}

// destination is the canonical one of the two that a call may give.
func destination(v4, v6 string) (netip.Prefix, error) {
	if (v4 == "") == (v6 == "") {
		return netip.Prefix{}, refuse("InvalidParameterCombination", "The request must contain exactly one of destinationCidrBlock, destinationIpv6CidrBlock, destinationPrefixListId")
	}
	text := cmp.Or(v4, v6)
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4() != (v4 != "") {
		return p, refuse("InvalidParameterValue", "Value (%s) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.", text)
	}
	return p.Masked(), nil
}

// target turns what a call gives into a route's target.
func (s *state) target(in RouteInput, t *RouteTable) (Route, error) {
	var r Route
	given := 0
	for _, id := range []string{in.GatewayID, in.NatGatewayID, in.NetworkInterfaceID, in.InstanceID, in.EgressOnlyInternetGatewayID, in.VpcPeeringConnectionID, in.TransitGatewayID} {
		if id != "" {
			given++
		}
	}
	if given == 0 {
		return r, refuse("MissingParameter", "The request must contain exactly one target of the route")
	}
	if given > 1 {
		return r, refuse("InvalidParameterCombination", "The request must contain exactly one target of the route")
	}
	switch {
	case in.GatewayID != "":
		if g, ok := s.Internet[in.GatewayID]; !ok {
			return r, refuse("InvalidGatewayID.NotFound", "The gateway ID '%s' does not exist", in.GatewayID)
		} else if g.VPC != t.VpcID {
			return r, refuse("InvalidParameterValue", "route table %s and network gateway %s belong to different networks", t.RouteTableID, in.GatewayID)
		}
		r.GatewayID = in.GatewayID
	case in.NatGatewayID != "":
		g, ok := s.Gateways[in.NatGatewayID]
		if !ok || g.State == GatewayDeleted {
			return r, refuse("InvalidNatGatewayID.NotFound", "The natGateway ID '%s' does not exist", in.NatGatewayID)
		}
		if g.VpcID != t.VpcID {
			return r, refuse("InvalidParameterValue", "route table %s and network gateway %s belong to different networks", t.RouteTableID, in.NatGatewayID)
		}
		r.NatGatewayID = in.NatGatewayID
	case in.NetworkInterfaceID != "":
		e, err := s.netInterface(in.NetworkInterfaceID)
		if err != nil {
			return r, err
		}
		if e.VpcID != t.VpcID {
			return r, refuse("InvalidParameterValue", "route table %s and interface %s belong to different networks", t.RouteTableID, in.NetworkInterfaceID)
		}
		r.NetworkInterfaceID = in.NetworkInterfaceID
	case in.InstanceID != "":
		m, ok := s.Machines[in.InstanceID]
		if !ok {
			return r, refuse("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", in.InstanceID)
		}
		if len(m.NetworkInterfaceIDs) != 1 {
			return r, severalInterfaces(in.InstanceID)
		}
		r.NetworkInterfaceID = m.NetworkInterfaceIDs[0]
	case in.EgressOnlyInternetGatewayID != "":
		if _, ok := s.EgressOnly[in.EgressOnlyInternetGatewayID]; !ok {
			return r, refuse("InvalidGatewayID.NotFound", "The egressOnlyInternetGateway ID '%s' does not exist", in.EgressOnlyInternetGatewayID)
		}
		r.EgressOnlyInternetGatewayID = in.EgressOnlyInternetGatewayID
	default:
		r.VpcPeeringConnectionID, r.TransitGatewayID = in.VpcPeeringConnectionID, in.TransitGatewayID
	}
	r.Origin, r.State = "CreateRoute", RouteActive
	return r, nil
}

// sameTarget reports whether two routes lead to the same thing.
func sameTarget(a, b Route) bool {
	a.DestinationCidrBlock, a.DestinationIpv6CidrBlock, a.Origin, a.State, a.InstanceID, a.InstanceOwnerID = b.DestinationCidrBlock, b.DestinationIpv6CidrBlock, b.Origin, b.State, b.InstanceID, b.InstanceOwnerID
	return a == b
}

func (r Route) to(p netip.Prefix) Route {
	if p.Addr().Is4() {
		r.DestinationCidrBlock = p.String()
	} else {
		r.DestinationIpv6CidrBlock = p.String()
	}
	return r
}

// route resolves the parameters that CreateRoute and ReplaceRoute share.
func (s *state) route(in RouteInput) (t *RouteTable, p netip.Prefix, r Route, err error) {
	if t, err = s.table(in.RouteTableID); err != nil {
		return
	}
	if p, err = destination(in.DestinationCidrBlock, in.DestinationIpv6CidrBlock); err != nil {
		return
	}
	r, err = s.target(in, t)
	return t, p, r.to(p), err
}

// errDryRun is the answer to a call that would have been allowed.
func errDryRun() error {
	return &Error{Code: "DryRunOperation", Message: "Request would have succeeded, but DryRun flag is set.", Status: http.StatusPreconditionFailed}
}

func (c *Cloud) createRoute(s *state, in RouteInput) error {
	t, p, r, err := s.route(in)
	if err != nil {
		return err
	}
	if i := t.find(p); i >= 0 {
		if c.opts.Unknown.SameRouteAccepted && sameTarget(t.Routes[i], r) {
			return nil
		}
		return refuse("RouteAlreadyExists", "The route identified by %s already exists.", p)
	}
	count := 0
	for _, o := range t.Routes {
		if o.prefix().Addr().Is4() == p.Addr().Is4() {
			count++
		}
	}
	if count >= routeQuota {
		return refuse("RouteLimitExceeded", "The maximum number of routes has been reached for route table %s.", t.RouteTableID)
	}
	if in.DryRun {
		return errDryRun()
	}
	t.Routes = append(t.Routes, r)
	return nil
}

func (c *Cloud) replaceRoute(s *state, in RouteInput) error {
	t, p, r, err := s.route(in)
	if err != nil {
		return err
	}
	i := t.find(p)
	if i < 0 {
		return refuse("InvalidParameterValue", "There is no route defined for '%s' in the route table. Use CreateRoute instead.", p)
	}
	if c.opts.Unknown.SameReplaceRefused && sameTarget(t.Routes[i], r) {
		return refuse("RouteAlreadyExists", "The route identified by %s already exists.", p)
	}
	if in.DryRun {
		return errDryRun()
	}
	r.Origin = t.Routes[i].Origin
	t.Routes[i] = r
	return nil
}

func (s *state) deleteRoute(in DeleteRouteInput) error {
	t, err := s.table(in.RouteTableID)
	if err != nil {
		return err
	}
	p, err := destination(in.DestinationCidrBlock, in.DestinationIpv6CidrBlock)
	if err != nil {
		return err
	}
	i := t.find(p)
	if i < 0 {
		return refuse("InvalidRoute.NotFound", "no route with destination-cidr-block %s in route table %s", p, in.RouteTableID)
	}
	if t.Routes[i].GatewayID == local {
		return refuse("InvalidParameterValue", "cannot remove local route %s in route table %s", p, in.RouteTableID)
	}
	if in.DryRun {
		return errDryRun()
	}
	t.Routes = slices.Delete(t.Routes, i, i+1)
	return nil
}

// CreateRoute adds a route. That there is one with the destination is RouteAlreadyExists, whatever its target
// ([UnknownBehaviours].SameRouteAccepted).
func (c *Cloud) CreateRoute(in RouteInput) error {
	return c.call("CreateRoute", func(s *state) error { return c.createRoute(s, in) })
}

// ReplaceRoute changes the target of a route. That there is none is InvalidParameterValue.
func (c *Cloud) ReplaceRoute(in RouteInput) error {
	return c.call("ReplaceRoute", func(s *state) error { return c.replaceRoute(s, in) })
}

// DeleteRoute removes the route with exactly that destination. That there is none is InvalidRoute.NotFound.
func (c *Cloud) DeleteRoute(in DeleteRouteInput) error {
	return c.call("DeleteRoute", func(s *state) error { return s.deleteRoute(in) })
}

// shown completes a route as a describe shows it: the instance behind an interface, and whether its target is gone. A target
// that is stopping or shutting down is still there, and one that runs is there however sick it is.
func (c *Cloud) shown(s *state, r Route) Route {
	gone := false
	switch {
	case r.NetworkInterfaceID != "":
		e, ok := s.Interfaces[r.NetworkInterfaceID]
		switch {
		case !ok:
			gone = true
		case e.InstanceID == "":
			gone = !c.opts.Unknown.UnattachedActive
		default:
			r.InstanceID, r.InstanceOwnerID = e.InstanceID, c.opts.Account
			state := s.Machines[e.InstanceID].State
			gone = state == StateStopped || state == StateTerminated
		}
	case r.NatGatewayID != "":
		g, ok := s.Gateways[r.NatGatewayID]
		gone = !ok || g.State == GatewayDeleted
	case r.EgressOnlyInternetGatewayID != "":
		_, ok := s.EgressOnly[r.EgressOnlyInternetGatewayID]
		gone = !ok
	case r.GatewayID != "" && r.GatewayID != local:
		g, ok := s.Internet[r.GatewayID]
		gone = ok && g.VPC == "" || !ok && !malformed(r.GatewayID, "igw")
	}
	if gone {
		r.State = RouteBlackhole
	}
	return r
}

// describeTable is a table as a describe shows it.
func (c *Cloud) describeTable(s *state, id string) RouteTable {
	t := *s.Tables[id]
	t.OwnerID = c.opts.Account
	t.Associations = slices.Clone(t.Associations)
	t.Routes = slices.Clone(t.Routes)
	for i, r := range t.Routes {
		t.Routes[i] = c.shown(s, r)
	}
	return t
}

// DescribeRouteTables returns whole tables, whatever the filters say of routes.
func (c *Cloud) DescribeRouteTables(in DescribeRouteTablesInput) ([]RouteTable, error) {
	var out []RouteTable
	err := c.describe("DescribeRouteTables", func(s *state) error {
		for _, id := range in.RouteTableIDs {
			if _, err := s.table(id); err != nil {
				return err
			}
		}
		for _, id := range sorted(s.Tables) {
			if len(in.RouteTableIDs) > 0 && !slices.Contains(in.RouteTableIDs, id) {
				continue
			}
			t := c.describeTable(s, id)
			ok, err := matches(in.Filters, t.Tags, t.field)
			if err != nil {
				return err
			}
			if ok {
				out = append(out, t)
			}
		}
		return nil
	})
	return out, err
}

// field returns the values that a filter of route tables looks at.
func (t RouteTable) field(name string) ([]string, bool) {
	switch name {
	case "route-table-id":
		return []string{t.RouteTableID}, true
	case "vpc-id":
		return []string{t.VpcID}, true
	case "owner-id":
		return []string{t.OwnerID}, true
	case "association.route-table-association-id", "association.subnet-id", "association.route-table-id", "association.main", "association.gateway-id":
		var values []string
		for _, a := range t.Associations {
			values = append(values, map[string]string{
				"association.route-table-association-id": a.AssociationID, "association.subnet-id": a.SubnetID,
				"association.route-table-id": a.RouteTableID, "association.main": truth(a.Main), "association.gateway-id": a.GatewayID,
			}[name])
		}
		return values, true
	}
	fields := map[string]func(Route) string{
		"route.destination-cidr-block":      func(r Route) string { return r.DestinationCidrBlock },
		"route.destination-ipv6-cidr-block": func(r Route) string { return r.DestinationIpv6CidrBlock },
		"route.gateway-id":                  func(r Route) string { return r.GatewayID },
		"route.instance-id":                 func(r Route) string { return r.InstanceID },
		"route.nat-gateway-id":              func(r Route) string { return r.NatGatewayID },
		"route.origin":                      func(r Route) string { return r.Origin },
		"route.state":                       func(r Route) string { return r.State },
		"route.transit-gateway-id":          func(r Route) string { return r.TransitGatewayID },
		"route.vpc-peering-connection-id":   func(r Route) string { return r.VpcPeeringConnectionID },
	}
	f, ok := fields[name]
	if !ok {
		return nil, false
	}
	var values []string
	for _, r := range t.Routes {
		if v := f(r); v != "" {
			values = append(values, v)
		}
	}
	return values, true
}

// associate binds a subnet to a table; to the table that it is bound to already is no change.
func (s *state) associate(tableID, subnetID string) (string, error) {
	t, err := s.table(tableID)
	if err != nil {
		return "", err
	}
	n, err := s.subnet(subnetID)
	if err != nil {
		return "", err
	}
	if n.VPC != t.VpcID {
		return "", refuse("InvalidParameterValue", "Route table %s and network %s belong to different networks", tableID, subnetID)
	}
	for _, o := range s.Tables {
		for _, a := range o.Associations {
			if a.SubnetID != subnetID {
				continue
			}
			if o == t {
				return a.AssociationID, nil
			}
			return "", refuse("Resource.AlreadyAssociated", "the specified association for route table %s conflicts with an existing association", tableID)
		}
	}
	id := s.newID("rtbassoc")
	t.Associations = append(t.Associations, RouteTableAssociation{AssociationID: id, RouteTableID: tableID, SubnetID: subnetID})
	return id, nil
}

// association finds an association and its table.
func (s *state) association(id string) (t *RouteTable, i int, ok bool) {
	for _, t := range s.Tables {
		for i, a := range t.Associations {
			if a.AssociationID == id {
				return t, i, true
			}
		}
	}
	return nil, 0, false
}

func (s *state) deleteTable(id string) error {
	t, err := s.table(id)
	if err != nil {
		return err
	}
	if len(t.Associations) > 0 {
		return refuse("DependencyViolation", "The routeTable '%s' has dependencies and cannot be deleted.", id)
	}
	delete(s.Tables, id)
	return nil
}

// Route returns the route that a subnet's packets to an address take; ok is false if there is none.
func (c *Cloud) Route(subnetID string, dst netip.Addr) (r Route, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.state.tableOf(subnetID)
	if t == nil {
		return Route{}, false
	}
	if r, ok = t.lookup(dst); ok {
		r = c.shown(&c.state, r)
	}
	return r, ok
}
