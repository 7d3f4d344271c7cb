package migration

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"polynat/internal/route"
)

// Source is where traffic comes from that the NAT gateway must translate: a vSwitch, or a CIDR.
type Source struct {
	VSwitch string
	CIDR    netip.Prefix
}

func (s Source) String() string {
	if s.VSwitch != "" {
		return s.VSwitch
	}
	return s.CIDR.String()
}

// contains tells whether the source covers every host of the vSwitch.
func (s Source) contains(v VSwitch) bool {
	if s.VSwitch != "" {
		return s.VSwitch == v.ID
	}
	return s.CIDR.Bits() <= v.CIDR.Bits() && s.CIDR.Contains(v.CIDR.Addr())
}

// scope is what a migration is about: the spec, the tables it moves and the sources it translates. It does not change from
// the survey at the start of an `up` to the one before its deletions.
type scope struct {
	spec    Spec
	tables  []string
	sources []Source
}

// unmet lists what the cloud does not (yet) show of what must stand at the end of stage, before its deletions.
func (s *scope) unmet(stage Stage, survey *Survey) []Problem {
	var ps problems
	if s.checkNames(&ps, survey); len(ps) > 0 {
		// The state that the program has read does not hold what this update has made.
		for i := range ps {
			ps[i].WayOut = "run `pulumi up` again, which says what to do"
		}
		return ps
	}
	switch stage {
	case Adopt:
		s.unmetDefault(&ps, survey, s.spec.Old.Hop)
	case Cover:
		s.unmetDefault(&ps, survey, s.spec.Old.Hop)
		s.unmetCovers(&ps, survey, nil)
	case Uncover:
		s.unmetCovers(&ps, survey, nil)
		s.unmetOld(&ps, survey)
	default:
		if stage.covers() {
			s.unmetCovers(&ps, survey, nil)
		} else if stage == Switch {
			s.unmetCovers(&ps, survey, s.spec.releases)
		}
		s.unmetGateway(&ps, survey)
		if stage.from(Address) {
			s.unmetAddresses(&ps, survey)
		}
		if stage.from(SNAT) {
			s.unmetSNAT(&ps, survey)
		}
		if stage == Retire {
			s.unmetRetired(&ps, survey)
		}
	}
	return ps
}

// A refresh locks the stack while it holds routes without a name: the component warns of them.
const refreshAndRepeat = "if the stack believes that it exists: name the routes that a warning lists, run `pulumi refresh`, then `pulumi up` again"

func (s *scope) unmetOld(ps *problems, survey *Survey) {
	switch old := survey.Old; {
	case !old.Found:
		ps.add("oldNextHop.id", s.spec.Old.ID, "no instance behind the old next hop was found", "name the one that the routes point at")
	case !old.InVPC:
		ps.add("oldNextHop.id", s.spec.Old.ID, "is not in VPC "+survey.VPC.ID, "a route's next hop must be in the VPC of its table")
	case !old.Running:
		ps.add("oldNextHop.id", s.spec.Old.ID, "is "+old.Status+", not Running", "start it: it carries the traffic of the routes that point at it")
	}
}

func (s *scope) unmetDefault(ps *problems, survey *Survey, hop Hop) {
	for _, id := range s.tables {
		t, _ := survey.table(id)
		switch r, ok := t.to(route.Default(), hop); {
		case !ok:
			ps.add("routeTables."+id, route.Default().String(), "is not there by "+hop.String(), refreshAndRepeat)
		case !r.Available:
			ps.add("routeTables."+id, route.Default().String(), "is not Available yet", "run `pulumi up` again in a moment")
		}
	}
}

// unmetCovers looks for the blocks to the old next hop, except those that skip (may be nil) says are not needed.
func (s *scope) unmetCovers(ps *problems, survey *Survey, skip func(netip.Prefix) bool) {
	for _, id := range s.tables {
		t, _ := survey.table(id)
		for _, block := range route.Blocks() {
			if skip != nil && skip(block) {
				continue
			}
			switch r, ok := t.to(block, s.spec.Old.Hop); {
			case !ok:
				ps.add("routeTables."+id, block.String(), "is not there by "+s.spec.Old.String(), refreshAndRepeat)
			case !r.Available:
				ps.add("routeTables."+id, block.String(), "is not Available yet", "run `pulumi up` again in a moment")
			}
		}
	}
}

// gateway returns our gateway.
func (s *scope) gateway(survey *Survey) (NATGateway, bool) {
	if found := survey.gateways(s.spec.Gateway.Name); len(found) == 1 {
		return found[0], true
	}
	return NATGateway{}, false
}

func (s *scope) unmetGateway(ps *problems, survey *Survey) {
	gateway, ok := s.gateway(survey)
	if !ok || !gateway.Available {
		ps.add("natGateway", s.spec.Gateway.Name, "is not Available in the VPC", refreshAndRepeat)
		return
	}
	for _, id := range s.tables {
		t, _ := survey.table(id)
		r, ok := t.to(route.Default(), Hop{HopNATGateway, gateway.ID})
		if ok && r.Available {
			continue
		}
		wayOut := refreshAndRepeat
		if t.System && !s.spec.DeclareSystemDefault {
			wayOut = "the cloud makes this entry by itself when the gateway is created; if it does not within minutes, set natGateway.declareSystemRoute to true at stage gateway"
		}
		ps.add("routeTables."+id, route.Default().String(), "is not Available by NAT gateway "+gateway.ID, wayOut)
	}
}

func (s *scope) unmetAddresses(ps *problems, survey *Survey) {
	gateway, _ := s.gateway(survey)
	for _, key := range slices.Sorted(maps.Keys(s.spec.Addresses)) {
		a, ok := survey.Addresses[key]
		switch {
		case !ok:
			ps.add("addresses."+key, "", "does not exist", refreshAndRepeat)
		case a.Instance != gateway.ID || !a.InUse:
			ps.add("addresses."+key, a.IP, "is not in use by NAT gateway "+gateway.ID, refreshAndRepeat)
		case s.spec.Package > 0 && a.Package == "":
			ps.add("addresses."+key, a.IP, "has not joined the bandwidth package", refreshAndRepeat)
		}
	}
}

func (s *scope) unmetSNAT(ps *problems, survey *Survey) {
	ips := s.snatIPs(survey)
	for _, source := range s.sources {
		e, ok := survey.snat(source)
		switch {
		case !ok:
			ps.add("snat."+source.String(), "", "has no SNAT entry, its hosts would be cut off at stage switch", refreshAndRepeat)
		case !e.Available:
			ps.add("snat."+source.String(), e.ID, "is not Available yet", "run `pulumi up` again in a moment")
		case !slices.Equal(e.IPs, ips):
			ps.add("snat."+source.String(), fmt.Sprint(e.IPs), fmt.Sprintf("must use exactly the addresses %v", ips), "go back to stage address before you change addresses")
		}
	}
	for _, v := range survey.VSwitches {
		if slices.Contains(s.tables, v.Table) && !slices.ContainsFunc(s.sources, func(source Source) bool { return source.contains(v) }) {
			ps.add("snat."+v.ID, v.CIDR.String(), "appeared since the update began and has no SNAT entry", "run `pulumi up` again")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.spec.Forwards)) {
		if e, ok := s.forward(survey, key); !ok || !e.Available {
			ps.add("forwards."+key, "", "is not Available in the forward table", refreshAndRepeat)
		}
	}
}

// unmetRetired looks for routes that still need the old next hop, in every table of the VPC, migrated or not.
func (s *scope) unmetRetired(ps *problems, survey *Survey) {
	for _, t := range survey.Tables {
		for _, r := range t.Routes {
			if r.Hop == s.spec.Old.Hop && !r.System {
				ps.add("routeTables."+t.ID, r.CIDR.String(), "still points at "+r.Hop.String(), "release every block and move or delete other routes to it first")
			}
		}
	}
}

// snatIPs are the addresses that every SNAT entry uses, sorted.
func (s *scope) snatIPs(survey *Survey) []string {
	var ips []string
	for _, key := range s.spec.SNATAddresses() {
		if a, ok := survey.Addresses[key]; ok {
			ips = append(ips, a.IP)
		}
	}
	slices.Sort(ips)
	return ips
}

func (s *scope) forward(survey *Survey, key string) (ForwardEntry, bool) {
	f := s.spec.Forwards[key]
	for _, e := range survey.ForwardEntries {
		if e.ExternalIP == survey.Addresses[f.Address].IP && e.ExternalPort == f.ExternalPort && e.Protocol == f.Protocol &&
			e.InternalIP == f.InternalIP.String() && e.InternalPort == f.InternalPort {
			return e, true
		}
	}
	return ForwardEntry{}, false
}

// snat returns the entry of that source, its addresses sorted.
func (s *Survey) snat(source Source) (SNATEntry, bool) {
	for _, e := range s.SNATEntries {
		if source.VSwitch != "" && e.VSwitch == source.VSwitch || source.VSwitch == "" && e.VSwitch == "" && e.Source == source.CIDR {
			e.IPs = slices.Sorted(slices.Values(e.IPs))
			return e, true
		}
	}
	return SNATEntry{}, false
}

// cidr is the block that a source stands for; the zero value when its vSwitch is not found.
func (s *Survey) cidr(source Source) netip.Prefix {
	if i := slices.IndexFunc(s.VSwitches, func(v VSwitch) bool { return v.ID == source.VSwitch }); i >= 0 {
		return s.VSwitches[i].CIDR
	}
	return source.CIDR
}
