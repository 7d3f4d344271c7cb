package migration

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"polynat/internal/route"
)

// Decide returns the plan of spec.Stage, or a [*Refusal] with every problem.
//
// survey is nil while the network itself has still to be made (by the same stack); then only adopt is possible and the
// spec must name the tables, and no stage may have been done. record is nil when the stack has not finished a stage yet.
func Decide(spec Spec, survey *Survey, record *Record) (*Plan, error) {
	var ps problems
	if survey == nil {
		switch {
		case record != nil:
			ps.add("vpcId", "", "is missing, but stage "+string(record.Stage)+" of a network has been done", "name that network: what the stack holds of it would be deleted")
		case spec.Stage != Adopt:
			ps.add("stage", string(spec.Stage), "the network does not exist yet", "deploy it with stage adopt first")
		}
		if len(ps) > 0 {
			return nil, &Refusal{spec.Stage, ps}
		}
		s := scope{spec: spec, tables: slices.Sorted(slices.Values(spec.Tables))}
		return s.plan(nil), nil
	}
	if survey.VPC.ID == "" {
		ps.add("vpcId", "", "no VPC of that id was found in the region", "check the id, the region and the account")
		return nil, &Refusal{spec.Stage, ps}
	}
	if checkRecord(&ps, spec.Stage, record); len(ps) > 0 {
		return nil, &Refusal{spec.Stage, ps}
	}
	named := scope{spec: spec}
	if record != nil {
		named.tables = record.Tables
	}
	if named.checkNames(&ps, survey); len(ps) > 0 {
		return nil, &Refusal{spec.Stage, ps}
	}
	if checkIdentity(&ps, &spec, survey, record); len(ps) > 0 {
		return nil, &Refusal{spec.Stage, ps}
	}
	s := scope{spec: spec, tables: affected(&ps, &spec, survey, record)}
	s.sources = sources(&ps, &s, survey, record)
	if len(ps) == 0 {
		s.guardTables(&ps, survey, record)
		s.guardOld(&ps, survey)
		s.guardGateway(&ps, survey)
		s.guardSystemDefault(&ps, record)
		s.guardSNAT(&ps, survey)
		s.guardMove(&ps, survey, record)
	}
	if len(ps) > 0 {
		return nil, &Refusal{spec.Stage, ps}
	}
	return s.plan(survey), nil
}

// checkRecord refuses a record that no update of a stack writes: what it leaves out would count as no longer wanted.
func checkRecord(ps *problems, to Stage, record *Record) {
	const wayOut = "restore the stack's outputs from a backup of its state"
	switch {
	case record == nil:
	case record.Stage.Index() < 0:
		ps.add("record.stage", string(record.Stage), "is not a stage", wayOut)
	case len(record.Tables) == 0 && (record.Stage != Adopt || to != Adopt):
		ps.add("record.tables", "", "the record of stage "+string(record.Stage)+" names no route table, all their routes would be deleted", wayOut)
	}
}

// checkIdentity finds a spec that names another old next hop or NAT gateway than the stack has worked with. It is said
// alone: every other problem would follow from it, and with a dangerous way out.
func checkIdentity(ps *problems, spec *Spec, survey *Survey, record *Record) {
	if record == nil {
		return
	}
	ours := survey.gateways(spec.Gateway.Name)
	if len(ours) == 0 && record.Stage.from(Gateway) && len(survey.Gateways) > 0 {
		ps.add("natGateway.name", spec.Gateway.Name, "no NAT gateway of this name is in the VPC, but stage "+string(record.Stage)+" has been done with one", "put its name back: it identifies the gateway")
	}
	if len(ours) > 0 && ours[0].VSwitch != "" && ours[0].VSwitch != spec.Gateway.VSwitch {
		ps.add("natGateway.vswitch", spec.Gateway.VSwitch, "NAT gateway "+ours[0].ID+" is in vSwitch "+ours[0].VSwitch+" and cannot move", "put that vSwitch back")
	}
	// Where the routes of the migration lead now, if not to the NAT gateway.
	hops := map[Hop]bool{}
	for _, id := range record.Tables {
		t, _ := survey.table(id)
		for _, r := range t.Routes {
			if !r.System && r.Hop.Type != HopNATGateway && (r.CIDR == route.Default() || slices.Contains(route.Blocks(), r.CIDR)) {
				hops[r.Hop] = true
			}
		}
	}
	if len(hops) == 1 && !hops[spec.Old.Hop] && !record.Stage.from(Switch) {
		for hop := range hops {
			ps.add("oldNextHop", spec.Old.String(), "this stack's routes lead to "+hop.String(), "put that back: they carry the traffic")
		}
	}
}

// affected returns the tables that move. Once adopted they are frozen: a lookup that misses one must not delete its routes.
func affected(ps *problems, spec *Spec, survey *Survey, record *Record) []string {
	named := slices.Sorted(slices.Values(spec.Tables))
	adopted := record != nil && (record.Stage != Adopt || spec.Stage != Adopt)
	ids := named
	switch {
	case adopted:
		ids = slices.Sorted(slices.Values(record.Tables))
		if len(named) > 0 && !slices.Equal(named, ids) {
			ps.add("routeTables", fmt.Sprint(named), fmt.Sprintf("must stay the adopted %v", ids), "go back to stage adopt to change them")
		}
	case len(named) == 0:
		if ids = survey.tablesByDefault(spec.Old.Hop); len(ids) == 0 {
			ps.add("routeTables", "", fmt.Sprintf("no table of VPC %s has a 0.0.0.0/0 to %s", survey.VPC.ID, spec.Old), "check oldNextHop, its type and id must be those of the entry")
		}
	}
	for _, id := range ids {
		if _, ok := survey.table(id); !ok {
			ps.add("routeTables."+id, "", "is not a route table of VPC "+survey.VPC.ID, "check the id; a table that has gone cannot be migrated")
		}
	}
	if adopted && spec.Stage == Cover && len(named) == 0 {
		for _, id := range survey.tablesByDefault(spec.Old.Hop) {
			if !slices.Contains(ids, id) {
				ps.add("routeTables."+id, "", "also has a 0.0.0.0/0 to the old next hop, but was not adopted", "run `pulumi up` at stage adopt again, or name the tables that move")
			}
		}
	}
	return ids
}

// sources returns what needs an SNAT entry, vSwitches first, each in order of its id or CIDR.
func sources(ps *problems, s *scope, survey *Survey, record *Record) []Source {
	var found []Source
	covered := func(v VSwitch) bool {
		return slices.ContainsFunc(s.spec.Sources, func(p netip.Prefix) bool { return Source{CIDR: p}.contains(v) })
	}
	for _, v := range survey.VSwitches {
		for _, cidr := range s.spec.Sources {
			if slices.Contains(s.spec.HAVIPVSwitches, v.ID) && cidr.Bits() >= v.CIDR.Bits() && cidr.Overlaps(v.CIDR) {
				ps.add("snat.sourceCidrs", cidr.String(), fmt.Sprintf("is no more than vSwitch %s (%s), which holds an HAVIP: the API takes no SNAT entry for it", v.ID, v.CIDR), "use a CIDR that contains it and more, such as the VPC's")
			}
		}
		listed := slices.Contains(s.spec.VSwitches, v.ID)
		switch {
		case listed:
		case !slices.Contains(s.tables, v.Table) || covered(v):
			continue
		case len(s.spec.VSwitches) > 0:
			ps.add("snat.vswitches", v.ID, "uses a migrated table but has no SNAT entry, its hosts would be cut off at stage switch", "list it, or a source CIDR that contains "+v.CIDR.String())
			continue
		}
		if slices.Contains(s.spec.HAVIPVSwitches, v.ID) {
			ps.add("snat.vswitches", v.ID, "holds an HAVIP, the API takes no SNAT entry for its vSwitch", "put a CIDR that contains "+v.CIDR.String()+" and more into snat.sourceCidrs, such as the VPC's")
		}
		for _, cidr := range s.spec.Sources {
			if cidr.Overlaps(v.CIDR) {
				ps.add("snat.sourceCidrs", cidr.String(), fmt.Sprintf("overlaps vSwitch %s (%s), which has an SNAT entry of its own", v.ID, v.CIDR), "keep one of the two")
			}
		}
		found = append(found, Source{VSwitch: v.ID})
	}
	s.checkListed(ps, survey, record)
	for _, cidr := range s.spec.Sources {
		found = append(found, Source{CIDR: cidr})
	}
	slices.SortFunc(found, func(a, b Source) int {
		if a.VSwitch == "" != (b.VSwitch == "") {
			return strings.Compare(b.VSwitch, a.VSwitch)
		}
		return strings.Compare(a.String(), b.String())
	})
	return found
}

// checkListed looks at vSwitches that somebody named: the user, or the record of an earlier stage.
func (s *scope) checkListed(ps *problems, survey *Survey, record *Record) {
	known := func(id string) bool {
		return slices.ContainsFunc(survey.VSwitches, func(v VSwitch) bool { return v.ID == id })
	}
	for _, list := range []struct {
		field string
		ids   []string
	}{{"snat.vswitches", s.spec.VSwitches}, {"snat.havipVswitches", s.spec.HAVIPVSwitches}} {
		for _, id := range list.ids {
			if !known(id) {
				ps.add(list.field, id, "is not a vSwitch of VPC "+survey.VPC.ID, "remove it from the list")
			}
		}
	}
	if record == nil || len(s.spec.VSwitches) > 0 || !s.spec.Stage.from(SNAT) {
		return
	}
	for _, id := range record.VSwitches {
		if !known(id) {
			ps.add("snat.vswitches", id, "has an SNAT entry, but the lookup does not find the vSwitch", "if it is really gone, list the remaining ones in snat.vswitches")
		}
	}
}

// guardTables looks at the entries that stand beside those of the migration.
func (s *scope) guardTables(ps *problems, survey *Survey, record *Record) {
	gateway, _ := s.gateway(survey)
	for _, id := range s.tables {
		t, _ := survey.table(id)
		field := "routeTables." + id
		defaults := t.find(route.Default())
		if len(defaults) > 1 {
			ps.add(field, fmt.Sprintf("%d entries for 0.0.0.0/0", len(defaults)), "there must be one default route", "delete the others")
		}
		if len(defaults) == 0 && record == nil {
			ps.add(field, "", "has no 0.0.0.0/0 entry to adopt", "leave the table out: it does not use the old gateway")
		}
		for _, r := range defaults {
			if r.Hop != s.spec.Old.Hop && (gateway.ID == "" || r.Hop != Hop{HopNATGateway, gateway.ID}) {
				ps.add(field, "0.0.0.0/0 to "+r.Hop.String(), "is neither the old next hop "+s.spec.Old.String()+" nor this stack's NAT gateway", "correct oldNextHop, or leave the table out")
			}
		}
		s.guardBlocks(ps, t, field)
		if missing := s.missing(survey, t); t.custom()+missing > s.spec.routeQuota() {
			ps.add(field, fmt.Sprintf("%d of %d entries are taken", t.custom(), s.spec.routeQuota()), fmt.Sprintf("%d more do not fit", missing), "raise the quota with the vendor, then set routeQuota")
		}
	}
}

// guardSystemDefault keeps a declared default route declared: without it the engine would delete the route, and with it,
// from stage switch on, the way out.
func (s *scope) guardSystemDefault(ps *problems, record *Record) {
	if record != nil && record.SystemDefault && !s.spec.DeclareSystemDefault && s.spec.Stage.from(Gateway) {
		ps.add("natGateway.declareSystemRoute", "false", "this stack declares the route, and would delete it", "leave it true while the gateway is there")
	}
}

// guardBlocks finds entries that a block would collide with, or whose traffic it would hijack. Longer entries keep winning.
func (s *scope) guardBlocks(ps *problems, t Table, field string) {
	if s.spec.Stage.from(Switch) && len(s.spec.Release) == 0 {
		return
	}
	for _, r := range t.Routes {
		if r.System || r.CIDR == route.Default() {
			continue
		}
		var hijacking []string
		for _, block := range route.Blocks() {
			switch {
			case r.CIDR == block && r.Hop != s.spec.Old.Hop:
				ps.add(field, fmt.Sprintf("%s to %s", r.CIDR, r.Hop), "stands where the block to the old next hop must be", "split or delete it first")
			case r.CIDR.Bits() < block.Bits() && r.CIDR.Overlaps(block) && !slices.Contains(route.Blocks(), r.CIDR):
				hijacking = append(hijacking, block.String())
			}
		}
		if len(hijacking) > 0 {
			ps.add(field, fmt.Sprintf("%s to %s", r.CIDR, r.Hop), "is shorter than "+strings.Join(hijacking, ", ")+" to the old next hop, which would hijack its traffic", "split it into entries of at least that length first")
		}
	}
}

// missing counts the entries that the migration adds to the table at the most, from where it stands.
func (s *scope) missing(survey *Survey, t Table) int {
	n := 0
	for _, r := range s.planTable(t.ID, survey).Routes {
		if r.ImportID == "" {
			n++
		}
	}
	if s.spec.Stage == Adopt {
		for _, block := range route.Blocks() {
			if _, ok := t.to(block, s.spec.Old.Hop); !ok {
				n++
			}
		}
	}
	return n
}

// guardOld wants the old next hop alive before it is handed traffic: in the first stages, and for every route to create.
func (s *scope) guardOld(ps *problems, survey *Survey) {
	needed := !s.spec.Stage.from(Gateway)
	for _, id := range s.tables {
		for _, r := range s.planTable(id, survey).Routes {
			needed = needed || !r.ToNAT && r.ImportID == ""
		}
	}
	if needed {
		s.unmetOld(ps, survey)
	}
}

// guardGateway looks at what the gateway and its addresses will need, from the first stage on, so that nobody finds out
// half way.
func (s *scope) guardGateway(ps *problems, survey *Survey) {
	spec := &s.spec
	if b := spec.bandwidth(); !spec.Stage.from(Switch) && b < survey.Old.Bandwidth {
		ps.add("addresses", strconv.Itoa(b)+" Mbit/s", fmt.Sprintf("is less than the %d Mbit/s of the old gateway's address", survey.Old.Bandwidth), "raise the bandwidth of the addresses or of the bandwidth package")
	}
	ours := survey.gateways(spec.Gateway.Name)
	for _, key := range slices.Sorted(maps.Keys(survey.Addresses)) {
		if a := survey.Addresses[key]; a.Instance != "" && (len(ours) == 0 || a.Instance != ours[0].ID) {
			ps.add("addresses."+key, a.IP, "an elastic IP of the name that this one would have is bound to "+a.Instance, "choose another natGateway.name: the names of addresses begin with it and identify them in the region")
		}
	}
	if len(ours) > 0 {
		return
	}
	i := slices.IndexFunc(survey.VSwitches, func(v VSwitch) bool { return v.ID == spec.Gateway.VSwitch })
	switch {
	case i < 0:
		ps.add("natGateway.vswitch", spec.Gateway.VSwitch, "is not a vSwitch of VPC "+survey.VPC.ID, "choose one of the VPC")
	case !slices.Contains(survey.Zones, survey.VSwitches[i].Zone):
		ps.add("natGateway.vswitch", spec.Gateway.VSwitch, "is in zone "+survey.VSwitches[i].Zone+", which has no enhanced NAT gateways", "choose a vSwitch in one of "+strings.Join(survey.Zones, ", "))
	}
	if len(survey.Gateways) >= MaxGateways {
		ps.add("natGateway", strconv.Itoa(len(survey.Gateways)), fmt.Sprintf("VPC %s holds the %d NAT gateways that it may", survey.VPC.ID, MaxGateways), "delete one or raise the quota")
	}
	for _, g := range survey.Gateways {
		if g.Internet && !spec.DeclareSystemDefault {
			ps.add("natGateway", g.ID, "another Internet NAT gateway is in the VPC; the cloud makes the automatic default route only for the first", "set natGateway.declareSystemRoute to true")
		}
	}
}

func (s *scope) guardSNAT(ps *problems, survey *Survey) {
	if n := len(s.sources); n > MaxSNATEntries {
		ps.add("snat", strconv.Itoa(n)+" entries", fmt.Sprintf("a NAT gateway takes %d", MaxSNATEntries), "use source CIDRs that contain several vSwitches")
	}
	if !s.spec.Stage.from(SNAT) {
		return
	}
	// The provider replaces an entry whose addresses change, and the cloud takes no second entry for one source.
	const rule, wayOut = "entries cannot change without a gap", "go back to stage address to change addresses"
	ips := s.snatIPs(survey)
	for _, source := range s.sources {
		e, ok := survey.snat(source)
		if !ok {
			s.guardSource(ps, survey, source)
			continue
		}
		for _, key := range s.spec.SNATAddresses() {
			if _, ok := survey.Addresses[key]; !ok {
				ps.add("addresses."+key, "", fmt.Sprintf("does not exist, but SNAT entry %s of %s stands without it; %s", e.ID, source, rule), wayOut)
			}
		}
		if len(ips) > 0 && !slices.Equal(e.IPs, ips) {
			ps.add("addresses", fmt.Sprint(ips), fmt.Sprintf("SNAT entry %s of %s uses %v; %s", e.ID, source, e.IPs, rule), wayOut)
		}
	}
}

// guardSource refuses a source beside entries that stand and that it overlaps: the cloud would refuse it half way through the
// `up`.
func (s *scope) guardSource(ps *problems, survey *Survey, source Source) {
	wanted := survey.cidr(source)
	for _, e := range survey.SNATEntries {
		if stands := survey.cidr(Source{e.VSwitch, e.Source}); stands.Overlaps(wanted) {
			ps.add("snat", source.String(), fmt.Sprintf("overlaps %s of SNAT entry %s; entries cannot change without a gap", stands, e.ID), "put the sources back; to change them, go back to stage address first")
		}
	}
}

// guardMove lets the migration move by one stage, forward only from a stage that is complete, back only to where the
// routes already carry everything that this `up` takes away. Lookups and record are two witnesses: both must agree.
func (s *scope) guardMove(ps *problems, survey *Survey, record *Record) {
	at, to := s.standing(survey), s.spec.Stage.Index()
	if record == nil {
		switch {
		case s.spec.Stage != Adopt:
			ps.add("stage", string(s.spec.Stage), "this stack has not adopted the network yet", "set stage to adopt first")
		case len(*ps) == 0 && (at.broken || at.half > 0):
			ps.add("stage", string(s.spec.Stage), "the network stands "+at.String()+", but this stack has no record of a migration", "use the stack that began it, or restore its state; delete blocks to the old next hop that are your own, 0.0.0.0/0 carries their traffic")
		}
		return
	}
	was := record.Stage.Index()
	switch lowest, highest := at.reach(was, to); {
	case to < was-1 || to > was+1:
		ps.add("stage", string(s.spec.Stage), "a stage moves by one at a time and the last one done is "+string(record.Stage), "set stage to "+neighbors(was))
	case to < lowest || to > highest:
		ps.add("stage", string(s.spec.Stage), fmt.Sprintf("the last stage done is %s, but lookups show the network %s", record.Stage, at), "undo what was changed outside this stack, or set stage to "+neighbors(was)+" where that repairs it")
	}
	if len(*ps) > 0 {
		return
	}
	switch {
	case to > was:
		for _, p := range s.unmet(record.Stage, survey) {
			p.Rule += ", so stage " + string(record.Stage) + " is not complete"
			*ps = append(*ps, p)
		}
		if s.spec.Stage == Retire {
			s.unmetRetired(ps, survey)
		}
	case to < was && s.spec.Stage == Adopt:
		s.unmetDefault(ps, survey, s.spec.Old.Hop)
	case to < was && to < SNAT.Index():
		s.unmetCovers(ps, survey, nil)
	}
}

// reach is the range of stages that the cloud allows to move to, given that the record says was and the user wants to.
func (s standing) reach(was, to int) (lowest, highest int) {
	switch {
	case s.broken:
		// Nothing to go on: the stage itself may be repeated, and the way back to the old gateway is open.
		return was - 1, was
	case s.half%2 == 1:
		lowest, highest = s.half/2, s.half/2+1
	default:
		lowest, highest = s.half/2-1, s.half/2+1
	}
	if s.carried {
		// The gateway's side carries nothing: it may be taken back or repaired in any state.
		lowest = min(lowest, Uncover.Index())
		if to <= was && to <= SNAT.Index() && to >= Uncover.Index() {
			highest = max(highest, to)
		}
	}
	return lowest, highest
}

func neighbors(was int) string {
	var names []string
	for _, i := range []int{was - 1, was, was + 1} {
		if i >= 0 && i < len(stages) {
			names = append(names, string(stages[i]))
		}
	}
	return strings.Join(names, " or ")
}
