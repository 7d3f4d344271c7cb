package migration

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp/cmpopts"

	"polynat/internal/route"
)

// network is a network in the state of a lookup, with the rules of the cloud that a migration rests on: an automatic
// default route in the system table, and nothing else that happens by itself.
type network struct{ Survey }

var (
	old      = Hop{HopInstance, "i-old"}
	nat      = Hop{HopNATGateway, "ngw-1"}
	vpn      = Hop{"VpnGateway", "vpn-1"}
	system   = "vtb-system"
	custom   = "vtb-custom"
	others   = "vtb-others"
	everyone = route.Default()
)

// byValue compares addresses and prefixes, whose fields are not exported.
var byValue = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// newSpec is what the tests want, but for what each of them changes.
func newSpec(stage Stage) Spec {
	return Spec{
		Stage:     stage,
		Old:       OldNextHop{Hop: old, Instances: []string{old.ID}},
		Gateway:   GatewaySpec{Name: "egress", VSwitch: "vsw-a"},
		Addresses: map[string]int{"main": 100},
	}
}

// newNetwork is a VPC whose system table and one custom table send everything to a self-managed gateway; a third table has
// no default route.
func newNetwork() *network {
	local := func(cidr string) Route {
		return Route{CIDR: prefix(cidr), Hop: Hop{Type: "local"}, Available: true, System: true}
	}
	partner := Route{CIDR: prefix("47.96.0.0/16"), Hop: vpn, Available: true}
	byDefault := Route{CIDR: everyone, Hop: old, Available: true}
	return &network{Survey{
		VPC: VPC{ID: "vpc-1", RouterID: "vrt-1", CIDRs: []netip.Prefix{prefix("10.0.0.0/16")}},
		Tables: []Table{
			{ID: system, System: true, Routes: []Route{local("10.0.0.0/16"), byDefault, partner}},
			{ID: custom, Routes: []Route{local("10.0.0.0/16"), byDefault}},
			{ID: others, Routes: []Route{local("10.0.0.0/16"), partner}},
		},
		VSwitches: []VSwitch{
			{ID: "vsw-a", Zone: "zone-1", Table: system, CIDR: prefix("10.0.0.0/24")},
			{ID: "vsw-b", Zone: "zone-2", Table: system, CIDR: prefix("10.0.1.0/24")},
			{ID: "vsw-c", Zone: "zone-1", Table: custom, CIDR: prefix("10.0.2.0/24")},
			{ID: "vsw-o", Zone: "zone-1", Table: others, CIDR: prefix("10.0.3.0/24")},
		},
		Old:       OldState{Found: true, InVPC: true, Running: true, Status: "Running", Bandwidth: 100, Addresses: []string{"198.51.100.1"}},
		Addresses: map[string]ElasticIP{},
		Zones:     []string{"zone-1", "zone-3"},
	}}
}

// at walks a network to the end of spec.Stage, with the record that this leaves behind; retire is reached on the way only
// if it is the stage.
func (n *network) at(spec Spec) (*network, *Record) {
	var record *Record
	for _, stage := range stages {
		step := spec
		step.Stage = stage
		plan, err := Decide(step, &n.Survey, record)
		if err != nil {
			panic(fmt.Sprintf("walk to %s: %v", spec.Stage, err))
		}
		n.carryOut(plan, spec)
		if record = plan.record(); stage == spec.Stage {
			break
		}
	}
	return n, record
}

// record is what a stack writes down when the plan is done.
func (p *Plan) record() *Record {
	return &Record{p.Stage, p.TableIDs(), p.VSwitches(), p.SystemDefault()}
}

// carryOut does the whole plan.
func (n *network) carryOut(plan *Plan, spec Spec) {
	creates, deletes := n.operations(plan)
	for _, op := range append(creates, deletes...) {
		n.do(op, spec)
	}
}

// object is one thing that a plan declares. Objects are compared, so they hold nothing that an update can change.
type object struct {
	kind, key string // kind is route, gateway, address, association, membership, snat or forward
	table     string
	cidr      netip.Prefix
	hop       Hop
}

// operation creates an object or deletes it.
type operation struct {
	object
	delete bool
}

// objects are what the plan declares, in an order that respects what needs what.
func (p *Plan) objects() []object {
	var all []object
	if p.Gateway != nil {
		all = append(all, object{kind: "gateway"})
	}
	for _, t := range p.Tables {
		for _, r := range t.Routes {
			hop := p.spec.Old.Hop
			if r.ToNAT {
				hop = nat
			}
			all = append(all, object{kind: "route", table: t.ID, cidr: r.CIDR, hop: hop})
		}
	}
	for _, a := range p.Addresses {
		all = append(all, object{kind: "address", key: a.Key}, object{kind: "association", key: a.Key})
		if p.spec.Package > 0 {
			all = append(all, object{kind: "membership", key: a.Key})
		}
	}
	for _, e := range p.SNAT {
		all = append(all, object{kind: "snat", key: e.String()})
	}
	for _, e := range p.Forwards {
		all = append(all, object{kind: "forward", key: e.Key})
	}
	return all
}

// operations are what the engine does to get from what there is to the plan: creates first, deletes in reverse order.
func (n *network) operations(p *Plan) (creates, deletes []operation) {
	declared, there := p.objects(), n.objects(p)
	for _, o := range declared {
		if !slices.Contains(there, o) {
			creates = append(creates, operation{object: o})
		}
	}
	for _, o := range slices.Backward(there) {
		if !slices.Contains(declared, o) {
			deletes = append(deletes, operation{object: o, delete: true})
		}
	}
	return creates, deletes
}

// objects are what there is of everything that a plan of that spec could declare.
func (n *network) objects(p *Plan) []object {
	var there []object
	for range n.Gateways {
		there = append(there, object{kind: "gateway"})
	}
	for _, t := range n.Tables {
		for _, r := range t.Routes {
			automatic := t.System && r.Hop == nat && !p.spec.DeclareSystemDefault
			mine := r.CIDR == everyone || slices.Contains(route.Blocks(), r.CIDR)
			if slices.Contains(p.tables, t.ID) && mine && !automatic && (r.Hop == p.spec.Old.Hop || r.Hop == nat) {
				there = append(there, object{kind: "route", table: t.ID, cidr: r.CIDR, hop: r.Hop})
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(n.Addresses)) {
		there = append(there, object{kind: "address", key: key})
		if a := n.Addresses[key]; a.Instance != "" {
			there = append(there, object{kind: "association", key: key})
		}
		if n.Addresses[key].Package != "" {
			there = append(there, object{kind: "membership", key: key})
		}
	}
	for _, e := range n.SNATEntries {
		source := Source{e.VSwitch, e.Source}
		there = append(there, object{kind: "snat", key: source.String()})
	}
	for _, e := range n.ForwardEntries {
		there = append(there, object{kind: "forward", key: strings.TrimPrefix(e.ID, "fwd-")})
	}
	return there
}

// do carries out one operation.
func (n *network) do(op operation, spec Spec) {
	switch op.kind {
	case "route":
		n.doRoute(op)
	case "gateway":
		n.doGateway(op, spec)
	case "address", "association", "membership":
		n.doAddress(op)
	case "snat":
		if n.SNATEntries = slices.DeleteFunc(n.SNATEntries, func(e SNATEntry) bool { return e.ID == "snat-"+op.key }); !op.delete {
			n.SNATEntries = append(n.SNATEntries, n.snatEntry(op.key, spec))
		}
	case "forward":
		if n.ForwardEntries = slices.DeleteFunc(n.ForwardEntries, func(e ForwardEntry) bool { return e.ID == "fwd-"+op.key }); !op.delete {
			f := spec.Forwards[op.key]
			n.ForwardEntries = append(n.ForwardEntries, ForwardEntry{
				ID: "fwd-" + op.key, ExternalIP: n.Addresses[f.Address].IP, ExternalPort: f.ExternalPort, Protocol: f.Protocol,
				InternalIP: f.InternalIP.String(), InternalPort: f.InternalPort, Available: true,
			})
		}
	}
}

func (n *network) table(id string) *Table {
	return &n.Tables[slices.IndexFunc(n.Tables, func(t Table) bool { return t.ID == id })]
}

func (n *network) doRoute(op operation) {
	t := n.table(op.table)
	if op.delete {
		t.Routes = slices.DeleteFunc(t.Routes, func(r Route) bool { return r.CIDR == op.cidr && r.Hop == op.hop })
		return
	}
	if there := t.find(op.cidr); len(there) > 0 {
		panic(fmt.Sprintf("%s: %s to %s collides with %s", op.table, op.cidr, op.hop, there[0].Hop))
	}
	t.Routes = append(t.Routes, Route{CIDR: op.cidr, Hop: op.hop, Available: true})
}

func (n *network) doGateway(op operation, spec Spec) {
	t := n.table(system)
	if op.delete {
		n.Gateways = nil
		t.Routes = slices.DeleteFunc(t.Routes, func(r Route) bool { return r.Hop == nat })
		return
	}
	n.Gateways = []NATGateway{{ID: nat.ID, Name: spec.Gateway.Name, Available: true, Internet: true, SNATTable: "stb-1", ForwardTable: "ftb-1"}}
	if len(t.find(everyone)) == 0 && !spec.DeclareSystemDefault {
		t.Routes = append(t.Routes, Route{CIDR: everyone, Hop: nat, Available: true})
	}
}

func (n *network) doAddress(op operation) {
	a := n.Addresses[op.key]
	switch {
	case op.kind == "address" && op.delete:
		delete(n.Addresses, op.key)
		return
	case op.kind == "address":
		a = ElasticIP{ID: "eip-" + op.key, IP: "203.0.113." + op.key}
	case op.kind == "association":
		a.InUse, a.Instance = !op.delete, ""
		if a.InUse {
			a.Instance = nat.ID
		}
	case op.delete:
		a.Package = ""
	default:
		a.Package = "cbwp-1"
	}
	n.Addresses[op.key] = a
}

func (n *network) snatEntry(source string, spec Spec) SNATEntry {
	e := SNATEntry{ID: "snat-" + source, Available: true}
	if cidr, err := netip.ParsePrefix(source); err == nil {
		e.Source = cidr
	} else {
		e.VSwitch = source
	}
	for _, key := range spec.SNATAddresses() {
		e.IPs = append(e.IPs, n.Addresses[key].IP)
	}
	return e
}

// clone shares nothing with n that do changes.
func (n *network) clone() *network {
	c := &network{n.Survey}
	c.Tables = slices.Clone(n.Tables)
	for i := range c.Tables {
		c.Tables[i].Routes = slices.Clone(c.Tables[i].Routes)
	}
	c.VSwitches, c.Gateways = slices.Clone(n.VSwitches), slices.Clone(n.Gateways)
	c.Addresses = maps.Clone(n.Addresses)
	c.SNATEntries, c.ForwardEntries = slices.Clone(n.SNATEntries), slices.Clone(n.ForwardEntries)
	return c
}
