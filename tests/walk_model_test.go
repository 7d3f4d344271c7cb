package tests

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"polynat/internal/migration"
	"polynat/internal/route"
	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
)

// model is the engine and the program in small: the same stages, guards, plans and gate, on the same simulated cloud, with
// an engine that creates in any order that the dependencies allow, then deletes in any order that they allow.
type model struct {
	*network
	r *rand.Rand
	// state is what the engine remembers, by the resource's name.
	state map[string]*entry
	// marker is what the last passed gate has written, record what the stack has exported.
	marker string
	record *migration.Record
	done   []string
	mutant mutant
	// pristine is the cloud before the migration, for a mutant that looks at nothing.
	pristine *alicloud.Cloud
	// of the `up` that is under way
	fault fault
	ops   int
}

// mutant is a program or an engine with a mistake in it, to see the walks find it. The zero value has none.
type mutant struct {
	amend       func(*migration.Plan) // changes what a stage declares
	bypass      bool                  // believes the configuration and looks at nothing
	ungated     bool                  // passes every gate
	deleteFirst bool                  // deletes before it creates
	careless    bool                  // records the stage and deletes although something has failed
	unprotected bool                  // lets everything be deleted
	unruled     bool                  // only what is lost counts, not which moves are illegal or what a stage has done
}

// resource is what the program declares.
type resource struct {
	name, typ, importID string
	deps                []string
	protect             bool
	// inputs may refer to what the resource depends on.
	inputs func() sim.Object
}

// entry is a resource in the state.
type entry struct {
	typ, id         string
	inputs, outputs sim.Object
	deps            []string
	protect         bool
}

// The resource types of the migration.
const (
	typeRoute       = "alicloud:vpc/routeEntry:RouteEntry"
	typeGateway     = "alicloud:vpc/natGateway:NatGateway"
	typeSNAT        = "alicloud:vpc/snatEntry:SnatEntry"
	typeForward     = "alicloud:vpc/forwardEntry:ForwardEntry"
	typePackage     = "alicloud:vpc/commonBandwithPackage:CommonBandwithPackage"
	typeMembership  = "alicloud:vpc/commonBandwithPackageAttachment:CommonBandwithPackageAttachment"
	typeAddress     = "alicloud:ecs/eipAddress:EipAddress"
	typeAssociation = "alicloud:ecs/eipAssociation:EipAssociation"
)

func newModel(n *network, r *rand.Rand, mistake mutant) *model {
	m := &model{network: n, r: r, state: map[string]*entry{}, mutant: mistake}
	if mistake.bypass {
		m.pristine = n.cloud.Clone()
	}
	return m
}

func (m *model) operations() []string { return m.done }

func (m *model) stage() string {
	if m.record == nil {
		return ""
	}
	return string(m.record.Stage)
}

var (
	errFault = errors.New("simulated fault")
	errCrash = errors.New("the process died")
)

func (m *model) up(s settings, f fault) error {
	m.fault, m.ops = f, 0
	plan, err := m.decide(s)
	if err != nil {
		return err
	}
	if m.mutant.amend != nil {
		m.mutant.amend(plan)
	}
	declared := m.declare(plan)
	if m.mutant.deleteFirst {
		if err := m.remove(declared); err != nil {
			return err
		}
	}
	if err := m.create(declared); err != nil && (!m.mutant.careless || errors.Is(err, errCrash)) {
		return err
	}
	if err := m.mark(plan); err != nil {
		return err
	}
	return m.remove(declared)
}

// decide is what the program does before it registers anything.
func (m *model) decide(s settings) (*migration.Plan, error) {
	stage, err := migration.ParseStage(s.stage)
	if err != nil {
		return nil, err
	}
	if n := len(s.release); stage == migration.Retire && n > 0 && n < len(route.Blocks()) {
		return nil, errors.New("release: must hold all eight blocks at stage retire")
	}
	if m.mutant.bypass {
		return m.believe(s), nil
	}
	return migration.Decide(m.spec(s), m.survey(), m.record)
}

// create makes what is not there, in any order that the dependencies allow. After a failure it stops at once, or goes on
// with whatever does not depend on it: what is under way in parallel ends so, and an engine may be told to go on.
func (m *model) create(declared []resource) error {
	ready := map[string]bool{}
	todo := slices.Clone(declared)
	goOn := m.r.IntN(2) == 0
	var failed error
	for {
		var next []int
		for i, r := range todo {
			if !slices.ContainsFunc(r.deps, func(d string) bool { return !ready[d] }) {
				next = append(next, i)
			}
		}
		if len(next) == 0 || failed != nil && !goOn {
			return failed
		}
		i := next[m.r.IntN(len(next))]
		r := todo[i]
		todo = slices.Delete(todo, i, i+1)
		switch err := m.make(r); {
		case errors.Is(err, errCrash):
			m.inFlight(todo, next)
			return err
		case err != nil:
			failed = errors.Join(failed, err)
		default:
			ready[r.name] = true
		}
	}
}

// inFlight carries out, in the cloud alone, some of what other workers had begun when the process died.
func (m *model) inFlight(todo []resource, ready []int) {
	for _, i := range ready {
		if i < len(todo) && m.state[todo[i].name] == nil && todo[i].importID == "" && m.r.IntN(2) == 0 &&
			!slices.ContainsFunc(todo[i].deps, func(d string) bool { return m.state[d] == nil }) {
			_, _, _ = m.cloud.Create(context.Background(), sim.Request{Type: todo[i].typ, Inputs: todo[i].inputs()})
		}
	}
}

// make creates or imports a resource that the state does not hold, and updates one that it does.
func (m *model) make(r resource) error {
	have, inputs := m.state[r.name], r.inputs()
	if have == nil && r.importID != "" {
		_, outputs, ok, err := m.cloud.Read(context.Background(), r.typ, r.importID)
		if err != nil || !ok {
			return fmt.Errorf("import %s %s: does not exist (%w)", r.name, r.importID, err)
		}
		have = &entry{typ: r.typ, id: r.importID, inputs: sim.Object{"deletionProtection": outputs["deletionProtection"]}, outputs: outputs}
		m.state[r.name] = have
	}
	if have == nil {
		return m.operate("create "+r.name, func() (func(), error) {
			id, outputs, err := m.cloud.Create(context.Background(), sim.Request{Type: r.typ, Inputs: inputs})
			return func() {
				m.state[r.name] = &entry{r.typ, id, inputs, outputs, r.deps, r.protect}
			}, err
		})
	}
	if r.importID != "" && r.importID != have.id {
		return fmt.Errorf("%s is %s in the state and %s in the cloud", r.name, have.id, r.importID)
	}
	have.deps, have.protect = r.deps, r.protect
	if have.inputs["deletionProtection"] == inputs["deletionProtection"] {
		return nil
	}
	return m.operate("update "+r.name, func() (func(), error) {
		_, err := m.cloud.Update(context.Background(), sim.Request{Type: r.typ, ID: have.id, Inputs: inputs})
		return func() { have.inputs = inputs }, err
	})
}

// remove deletes what the state holds and the program does not declare, dependents first.
func (m *model) remove(declared []resource) error {
	keep := map[string]bool{}
	for _, r := range declared {
		keep[r.name] = true
	}
	var todo []string
	for name := range m.state {
		if !keep[name] {
			todo = append(todo, name)
		}
	}
	slices.Sort(todo)
	goOn := m.r.IntN(2) == 0
	var failed error
	for len(todo) > 0 {
		i := m.r.IntN(len(todo))
		name := todo[i]
		if m.needed(name) {
			if !slices.ContainsFunc(todo, func(n string) bool { return !m.needed(n) }) {
				return failed
			}
			continue
		}
		todo = slices.Delete(todo, i, i+1)
		err := m.delete(name)
		if failed = errors.Join(failed, err); errors.Is(err, errCrash) || err != nil && !goOn {
			return failed
		}
	}
	return failed
}

func (m *model) needed(name string) bool {
	for _, e := range m.state {
		if slices.Contains(e.deps, name) {
			return true
		}
	}
	return false
}

func (m *model) delete(name string) error {
	e := m.state[name]
	if e.protect {
		return fmt.Errorf("%s cannot be deleted: it is protected", name)
	}
	return m.operate("delete "+name, func() (func(), error) {
		err := m.cloud.Delete(context.Background(), sim.Request{Type: e.typ, ID: e.id, Inputs: e.inputs, Old: e.outputs})
		return func() { delete(m.state, name) }, err
	})
}

// operate carries out one operation, or what the fault makes of it.
func (m *model) operate(name string, act func() (record func(), err error)) error {
	m.ops++
	m.done = append(m.done, name)
	hit := m.ops == m.fault.at
	if hit && m.fault.verdict == sim.FailBefore {
		return fmt.Errorf("%s: %w", name, errFault)
	}
	record, err := act()
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	case hit && m.fault.verdict == sim.Crash:
		return fmt.Errorf("%s: %w", name, errCrash)
	case hit:
		return fmt.Errorf("%s: %w", name, errFault)
	}
	record()
	return nil
}

// mark is the gate and the marker behind it. As in the engine, a marker that does not change is not written, and then the
// gate is not asked. The process may die between the marker and the outputs of the stack.
func (m *model) mark(plan *migration.Plan) error {
	marker := fmt.Sprint(plan.Stage, plan.Spec().Release)
	if marker != m.marker && !m.mutant.ungated {
		if unmet := plan.Unmet(m.survey()); len(unmet) > 0 {
			list := make([]error, len(unmet))
			for i, p := range unmet {
				list[i] = p
			}
			return fmt.Errorf("stage %s is not complete, nothing has been deleted:\n%w", plan.Stage, errors.Join(list...))
		}
	}
	m.marker = marker
	if m.fault.at > m.ops && m.fault.verdict == sim.Crash && m.r.IntN(4) == 0 {
		return errCrash
	}
	m.record = &migration.Record{Stage: plan.Stage, Tables: plan.TableIDs(), VSwitches: plan.VSwitches(), SystemDefault: plan.SystemDefault()}
	return nil
}

// refresh forgets what is not there any more.
func (m *model) refresh() error {
	for name, e := range m.state {
		if _, _, ok, err := m.cloud.Read(context.Background(), e.typ, e.id); err != nil {
			return err
		} else if !ok {
			delete(m.state, name)
			for _, other := range m.state {
				other.deps = slices.DeleteFunc(slices.Clone(other.deps), func(d string) bool { return d == name })
			}
		}
	}
	return nil
}

// declare lists the resources of a plan as the component does, with the same dependencies.
func (m *model) declare(plan *migration.Plan) []resource {
	d := declaration{model: m, plan: plan}
	d.gateway()
	d.routes()
	d.addresses()
	d.entries()
	return d.all
}

type declaration struct {
	*model
	plan  *migration.Plan
	all   []resource
	bound []string
}

func (d *declaration) add(name, typ, importID string, protect bool, deps []string, inputs func() sim.Object) {
	d.all = append(d.all, resource{name, typ, importID, slices.Clone(deps), protect && !d.mutant.unprotected, inputs})
}

func (m *model) id(name string) string { return m.state[name].id }

func (d *declaration) gateway() {
	if g := d.plan.Gateway; g != nil {
		d.add("nat", typeGateway, g.ImportID, d.plan.Protected(), nil, func() sim.Object {
			return sim.Object{
				"vpcId": d.vpc, "vswitchId": g.VSwitch, "natGatewayName": g.Name, "natType": "Enhanced", "networkType": "internet",
				"paymentType": "PayAsYouGo", "internetChargeType": "PayByLcu", "deletionProtection": d.plan.Protected(),
			}
		})
	}
}

func (d *declaration) routes() {
	var before []string
	for _, table := range d.plan.Tables {
		var made []string
		for _, r := range table.Routes {
			name, deps := "cover-"+table.ID+"-"+r.CIDR.String(), slices.Clone(before)
			switch {
			case r.ToNAT:
				name, deps = "nat-default-"+table.ID, append(deps, "nat")
			case r.CIDR == route.Default():
				name = "default-" + table.ID
			}
			d.add(name, typeRoute, r.ImportID, r.ToNAT && d.plan.ProtectsDefault(), deps, func() sim.Object {
				hop := d.old.Hop
				if r.ToNAT {
					hop = migration.Hop{Type: migration.HopNATGateway, ID: d.id("nat")}
				}
				return sim.Object{"routeTableId": table.ID, "destinationCidrblock": r.CIDR.String(), "nexthopType": hop.Type, "nexthopId": hop.ID}
			})
			made = append(made, name)
		}
		if len(made) > 0 {
			before = made
		}
	}
}

func (d *declaration) addresses() {
	if len(d.plan.Addresses) > 0 && d.pkg > 0 {
		d.add("bandwidth", typePackage, d.plan.PackageID, d.plan.Protected(), nil, func() sim.Object {
			return sim.Object{"bandwidthPackageName": gatewayName, "bandwidth": strconv.Itoa(d.pkg), "deletionProtection": d.plan.Protected()}
		})
	}
	for _, a := range d.plan.Addresses {
		address, association, membership := "address-"+a.Key, "association-"+a.Key, "membership-"+a.Key
		d.add(address, typeAddress, a.ImportID, d.plan.Protected(), nil, func() sim.Object {
			return sim.Object{"addressName": gatewayName + "-" + a.Key, "bandwidth": strconv.Itoa(a.Bandwidth), "deletionProtection": d.plan.Protected()}
		})
		d.add(association, typeAssociation, a.AssociationID, d.plan.Protected(), []string{address, "nat"}, func() sim.Object {
			return sim.Object{"allocationId": d.id(address), "instanceId": d.id("nat"), "instanceType": "Nat"}
		})
		d.bound = append(d.bound, association)
		if d.pkg > 0 {
			d.add(membership, typeMembership, a.AttachmentID, d.plan.Protected(), []string{"bandwidth", address, association}, func() sim.Object {
				return sim.Object{"bandwidthPackageId": d.id("bandwidth"), "instanceId": d.id(address)}
			})
			d.bound = append(d.bound, membership)
		}
	}
}

func (d *declaration) entries() {
	ip := func(key string) string {
		text, _ := d.state["address-"+key].outputs["ipAddress"].(string)
		return text
	}
	uses := []string{"nat"}
	for _, key := range d.plan.SNATAddresses() {
		uses = append(uses, "address-"+key)
	}
	before := slices.Concat(uses, d.bound)
	for _, e := range d.plan.SNAT {
		name := "snat-" + e.String()
		d.add(name, typeSNAT, e.ImportID, d.plan.Protected(), before, func() sim.Object {
			var ips []string
			for _, key := range d.plan.SNATAddresses() {
				ips = append(ips, ip(key))
			}
			inputs := sim.Object{"snatTableId": d.state["nat"].outputs["snatTableIds"], "snatIp": strings.Join(ips, ",")}
			if e.VSwitch != "" {
				inputs["sourceVswitchId"] = e.VSwitch
			} else {
				inputs["sourceCidr"] = e.CIDR.String()
			}
			return inputs
		})
		before = slices.Concat(uses, d.bound, []string{name})
	}
	for _, f := range d.plan.Forwards {
		d.add("forward-"+f.Key, typeForward, f.ImportID, d.plan.Protected(), slices.Concat([]string{"nat", "address-" + f.Address}, d.bound), func() sim.Object {
			return sim.Object{
				"forwardTableId": d.state["nat"].outputs["forwardTableIds"], "externalIp": ip(f.Address), "externalPort": f.ExternalPort,
				"internalIp": f.InternalIP.String(), "internalPort": f.InternalPort, "ipProtocol": f.Protocol,
			}
		})
	}
}

// survey looks the network up, as the program does by the provider's functions.
func (m *model) survey() *migration.Survey {
	s := &migration.Survey{Addresses: map[string]migration.ElasticIP{}, Zones: m.options.EnhancedNATZones}
	for _, v := range m.cloud.VPCs() {
		s.VPC = migration.VPC{ID: v.ID, RouterID: v.RouterID, CIDRs: append(slices.Clone(v.SecondaryCIDRs), v.CIDR)}
	}
	for _, v := range m.cloud.VSwitches(m.vpc) {
		s.VSwitches = append(s.VSwitches, migration.VSwitch{ID: v.ID, Zone: v.ZoneID, Table: v.RouteTableID, CIDR: v.CIDR})
	}
	for _, t := range m.cloud.RouteTables(m.vpc) {
		table := migration.Table{ID: t.ID, System: t.Type == alicloud.System}
		for _, e := range t.Entries {
			table.Routes = append(table.Routes, migration.Route{
				CIDR: e.CIDR, Hop: migration.Hop{Type: string(e.HopType), ID: e.HopID}, Available: e.Status == alicloud.Available, System: e.Type == alicloud.System,
			})
		}
		s.Tables = append(s.Tables, table)
	}
	for _, i := range m.cloud.Instances(m.vpc) {
		if slices.Contains(m.old.Instances, i.ID) {
			s.Old.Found, s.Old.InVPC = true, true
			s.Old.Running = s.Old.Running || i.Status == alicloud.Running
			s.Old.Status = string(i.Status)
		}
	}
	for _, e := range m.cloud.EIPs() {
		key, ours := strings.CutPrefix(e.Name, gatewayName+"-")
		switch {
		case ours:
			s.Addresses[key] = migration.ElasticIP{ID: e.ID, IP: e.Address, Instance: e.InstanceID, InUse: e.Status == alicloud.InUse, Package: e.BandwidthPackageID}
		case e.InstanceID == m.old.ID:
			s.Old.Bandwidth = must(strconv.Atoi(e.Bandwidth))
			s.Old.Addresses = []string{e.Address}
		}
	}
	for _, g := range m.cloud.NATGateways(m.vpc) {
		s.Gateways = append(s.Gateways, migration.NATGateway{
			ID: g.ID, Name: g.Name, Available: g.Status == alicloud.Available, Internet: g.NetworkType != "intranet",
			SNATTable: g.SNATTableID, ForwardTable: g.ForwardTableID,
		})
		if g.Name == gatewayName {
			m.surveyEntries(s, g)
		}
	}
	return s
}

func (m *model) surveyEntries(s *migration.Survey, g alicloud.NATGateway) {
	for _, e := range m.cloud.SNATEntries(g.SNATTableID) {
		entry := migration.SNATEntry{ID: e.ID, VSwitch: e.VSwitchID, IPs: slices.Clone(e.IPs), Available: e.Status == alicloud.Available}
		if e.VSwitchID == "" {
			entry.Source = e.CIDR
		}
		s.SNATEntries = append(s.SNATEntries, entry)
	}
	for _, e := range m.cloud.ForwardEntries(g.ForwardTableID) {
		s.ForwardEntries = append(s.ForwardEntries, migration.ForwardEntry{
			ID: e.ID, ExternalIP: e.ExternalIP, ExternalPort: e.ExternalPort, Protocol: e.Protocol,
			InternalIP: e.InternalIP, InternalPort: e.InternalPort, Available: e.Status == alicloud.Available,
		})
	}
}

// believe plans a stage as if the stage before it were done: by the answers of a twin of the network that was led there.
func (m *model) believe(s settings) *migration.Plan {
	n := *m.network
	n.cloud = m.pristine.Clone()
	twin := newModel(&n, m.r, mutant{})
	s.declare = s.declare || m.options.AutomaticRoute == alicloud.RouteNever
	for _, stage := range migration.Stages() {
		at := s
		at.stage = string(stage)
		if at.stage == s.stage {
			plan := must(migration.Decide(twin.spec(at), twin.survey(), twin.record))
			forgetImports(plan)
			return plan
		}
		check(twin.up(at, fault{}))
	}
	return nil
}

// forgetImports lets a plan take nothing over, but for the default routes that the owner has made.
func forgetImports(p *migration.Plan) {
	for _, t := range p.Tables {
		for i, r := range t.Routes {
			if r.ToNAT || r.CIDR != route.Default() {
				t.Routes[i].ImportID = ""
			}
		}
	}
	if p.Gateway != nil {
		p.Gateway.ImportID = ""
	}
	p.PackageID = ""
	for i := range p.Addresses {
		p.Addresses[i].ImportID, p.Addresses[i].AssociationID, p.Addresses[i].AttachmentID = "", "", ""
	}
	for i := range p.SNAT {
		p.SNAT[i].ImportID = ""
	}
	for i := range p.Forwards {
		p.Forwards[i].ImportID = ""
	}
}
