package migration

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"polynat/internal/route"
)

// Plan is what a stage declares. An ImportID names an object that exists in the cloud already: it is taken over, which
// changes nothing when the stack manages it anyway, and which repairs a stack that died before it wrote its id down.
type Plan struct {
	scope
	Stage  Stage
	Tables []TablePlan
	// Gateway is nil below stage gateway; Addresses, SNAT and Forwards are empty below their stages.
	Gateway   *GatewayPlan
	Addresses []AddressPlan
	// PackageID is the ImportID of the bandwidth package, where the spec asks for one.
	PackageID string
	SNAT      []SNATPlan
	Forwards  []ForwardPlan
}

// TablePlan holds the routes of one table in the order default, blocks ascending, default to the NAT gateway.
type TablePlan struct {
	ID     string
	Routes []RoutePlan
}

// RoutePlan is one route: to the old next hop, or to the NAT gateway.
type RoutePlan struct {
	CIDR     netip.Prefix
	ToNAT    bool
	ImportID string
}

// GatewayPlan is the NAT gateway.
type GatewayPlan struct {
	Name, VSwitch, ImportID string
}

// AddressPlan is an elastic IP and its association with the gateway.
type AddressPlan struct {
	Key       string
	Bandwidth int
	// ImportID, AssociationID and AttachmentID are those of the address, of its binding to the gateway, and of its
	// membership of the bandwidth package.
	ImportID, AssociationID, AttachmentID string
}

// SNATPlan is an SNAT entry.
type SNATPlan struct {
	Source
	ImportID string
}

// ForwardPlan is a DNAT entry.
type ForwardPlan struct {
	Key string
	Forward
	ImportID string
}

// SystemDefault tells whether the plan declares the default route to the gateway in the system table, for the Record.
func (p *Plan) SystemDefault() bool { return p.Stage.from(Gateway) && p.spec.DeclareSystemDefault }

// Protected tells whether gateway, addresses and entries carry traffic, so that they must not be deleted.
func (p *Plan) Protected() bool { return p.Stage.from(Switch) }

// ProtectsDefault tells whether the declared default routes to the NAT gateway must not be deleted. That begins one stage
// before the others: an `up` to stage switch that no longer declares such a route would delete it with the blocks.
func (p *Plan) ProtectsDefault() bool { return p.Stage.from(SNAT) }

// RetainsCovers tells whether the blocks carry everything and the next step deletes none of them: whoever destroys the
// stack then leaves them, and with them the traffic. At cover and at snat the next step, back or forward, deletes them.
func (p *Plan) RetainsCovers() bool {
	return p.Stage == Uncover || p.Stage == Gateway || p.Stage == Address
}

// VSwitches are the ids of the vSwitches that get an SNAT entry of their own, for the Record.
func (p *Plan) VSwitches() []string {
	var ids []string
	for _, s := range p.sources {
		if s.VSwitch != "" {
			ids = append(ids, s.VSwitch)
		}
	}
	return ids
}

// SNATAddresses are the keys of the elastic IPs that SNAT entries use, sorted.
func (p *Plan) SNATAddresses() []string { return p.spec.SNATAddresses() }

// Spec is what the plan was made from.
func (p *Plan) Spec() Spec { return p.spec }

// TableIDs are the ids of the tables that move, for the Record.
func (p *Plan) TableIDs() []string { return slices.Clone(p.tables) }

// Unmet is the gate of the stage: what the cloud does not show of what must stand before the stage counts as done and
// before anything is deleted. Nil when the gate is open.
func (p *Plan) Unmet(survey *Survey) []Problem { return p.unmet(p.Stage, survey) }

// Leftovers are the routes of the migration that stand in the tables although the stage does not declare them: what an
// update has still to delete.
func (p *Plan) Leftovers(survey *Survey) []string {
	var left []string
	for _, t := range p.Tables {
		table, _ := survey.table(t.ID)
		for _, r := range table.Routes {
			declared := slices.ContainsFunc(t.Routes, func(d RoutePlan) bool { return d.CIDR == r.CIDR && !d.ToNAT })
			ours := r.CIDR == route.Default() || slices.Contains(route.Blocks(), r.CIDR)
			if !r.System && ours && r.Hop == p.spec.Old.Hop && !declared {
				left = append(left, t.ID+" "+r.CIDR.String())
			}
		}
	}
	slices.Sort(left)
	return left
}

// plan lists what the stage declares. survey is nil when the network does not exist yet.
func (s *scope) plan(survey *Survey) *Plan {
	p := &Plan{scope: *s, Stage: s.spec.Stage}
	if survey == nil {
		survey = &Survey{}
	}
	for _, id := range s.tables {
		p.Tables = append(p.Tables, s.planTable(id, survey))
	}
	gateway, exists := s.gateway(survey)
	if p.Stage.from(Gateway) {
		p.Gateway = &GatewayPlan{Name: s.spec.Gateway.Name, VSwitch: s.spec.Gateway.VSwitch}
		if exists {
			p.Gateway.ImportID = gateway.ID
		}
	}
	if p.Stage.from(Address) {
		s.planAddresses(p, survey, gateway)
	}
	if p.Stage.from(SNAT) {
		for _, source := range s.sources {
			e := SNATPlan{Source: source}
			if found, ok := survey.snat(source); ok {
				e.ImportID = gateway.SNATTable + ":" + found.ID
			}
			p.SNAT = append(p.SNAT, e)
		}
		for _, key := range slices.Sorted(maps.Keys(s.spec.Forwards)) {
			e := ForwardPlan{Key: key, Forward: s.spec.Forwards[key]}
			if found, ok := s.forward(survey, key); ok {
				e.ImportID = gateway.ForwardTable + ":" + found.ID
			}
			p.Forwards = append(p.Forwards, e)
		}
	}
	return p
}

func (s *scope) planTable(id string, survey *Survey) TablePlan {
	t, _ := survey.table(id)
	plan := TablePlan{ID: id}
	declare := func(cidr netip.Prefix, toNAT bool, hop Hop) {
		r := RoutePlan{CIDR: cidr, ToNAT: toNAT}
		if _, ok := t.to(cidr, hop); ok && hop.ID != "" {
			r.ImportID = strings.Join([]string{id, survey.VPC.RouterID, cidr.String(), hop.Type, hop.ID}, ":")
		}
		plan.Routes = append(plan.Routes, r)
	}
	stage := s.spec.Stage
	if stage == Adopt || stage == Cover {
		declare(route.Default(), false, s.spec.Old.Hop)
	}
	for _, block := range route.Blocks() {
		if stage.covers() || stage == Switch && !s.spec.releases(block) {
			declare(block, false, s.spec.Old.Hop)
		}
	}
	if stage.from(Gateway) && (!t.System || s.spec.DeclareSystemDefault) {
		gateway, _ := s.gateway(survey)
		declare(route.Default(), true, Hop{HopNATGateway, gateway.ID})
	}
	return plan
}

func (s *scope) planAddresses(p *Plan, survey *Survey, gateway NATGateway) {
	for _, key := range slices.Sorted(maps.Keys(s.spec.Addresses)) {
		a := AddressPlan{Key: key, Bandwidth: s.spec.Addresses[key]}
		if found, ok := survey.Addresses[key]; ok {
			a.ImportID = found.ID
			if gateway.ID != "" && found.Instance == gateway.ID {
				a.AssociationID = found.ID + ":" + gateway.ID
			}
			if s.spec.Package > 0 && found.Package != "" {
				a.AttachmentID = found.Package + ":" + found.ID
				p.PackageID = found.Package
			}
		}
		p.Addresses = append(p.Addresses, a)
	}
}
