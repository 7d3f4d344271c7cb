package alicloud

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"polynat/internal/route"
)

// Finding is a range of destinations that the hosts of a vSwitch cannot
// reach.
type Finding struct {
	VSwitch string
	Table   string
	route.Finding[Hop]
}

func (f Finding) String() string {
	return fmt.Sprintf("vSwitch %s, table %s: %s", f.VSwitch, f.Table, f.Finding)
}

// liveTable is what a route table does to packets now: its Available entries.
// A Pending entry does not forward yet, one that is Deleting does not any
// more.
type liveTable struct {
	entries route.Table[Hop]
	hops    []Hop // of the entries, each once
	// findings by which of hops work for a vSwitch ('0' or '1' each): vSwitches
	// for which the same hops work share one verdict.
	findings map[string][]route.Finding[Hop]
}

// insert and remove keep a table up to date; on nil, which stands for a table
// that nobody asked about yet, they do nothing.
func (l *liveTable) insert(e RouteEntry) {
	if l != nil {
		l.entries.Insert(e.CIDR, e.Hop())
		l.changed()
	}
}

func (l *liveTable) remove(e RouteEntry) {
	if l != nil {
		l.entries.Delete(e.CIDR, e.Hop())
		l.changed()
	}
}

func (l *liveTable) changed() {
	l.hops = nil
	l.findings = nil
}

// clone shares the entries, which are persistent, and nothing that changes.
func (l *liveTable) clone() *liveTable { return &liveTable{entries: l.entries} }

// liveTable returns the live form of a table, made at the first question and
// kept up to date from then on.
func (c *Cloud) liveTable(t *RouteTable) *liveTable {
	l, ok := c.live[t.ID]
	if !ok {
		l = &liveTable{}
		for _, e := range t.Entries {
			if e.Status == Available {
				l.entries.Insert(e.CIDR, e.Hop())
			}
		}
		c.live[t.ID] = l
	}
	if l.hops == nil {
		for _, e := range t.Entries {
			if e.Status == Available && !slices.Contains(l.hops, e.Hop()) {
				l.hops = append(l.hops, e.Hop())
			}
		}
		l.findings = map[string][]route.Finding[Hop]{}
	}
	return l
}

// Judge asks for each vSwitch of the VPC, in the order of their ids, and each
// IPv4 destination outside 0.0.0.0/8, whether there is exactly one next hop
// and whether it works. It returns where not; nil means that nothing is lost.
// Ranges of a vSwitch that never had a route are findings too.
func (c *Cloud) Judge(vpc string) []Finding {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []Finding
	var key [16]byte
	for _, s := range c.state.VSwitches {
		if s.VPCID != vpc {
			continue
		}
		l := c.liveTable(c.state.RouteTables[s.RouteTableID])
		working := key[:0]
		for _, h := range l.hops {
			working = append(working, '0')
			if ok, _ := c.path(h, s); ok {
				working[len(working)-1] = '1'
			}
		}
		findings, ok := l.findings[string(working)]
		if !ok {
			findings = route.Judge(&l.entries, route.Destinations(), func(h Hop) bool {
				return working[slices.Index(l.hops, h)] == '1'
			})
			l.findings[string(working)] = findings
		}
		for _, f := range findings {
			found = append(found, Finding{s.ID, s.RouteTableID, f})
		}
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return strings.Compare(a.VSwitch, b.VSwitch) })
	return found
}

// path reports whether a next hop forwards the packets of a vSwitch, and from
// which public address the world then sees them (empty when the simulation
// does not translate).
func (c *Cloud) path(h Hop, s *VSwitch) (works bool, source string) {
	switch h.Type {
	case HopLocal:
		return true, ""
	case HopInstance:
		return c.forwards(c.state.Instances[h.ID], "", s)
	case HopNetworkInterface:
		if n, ok := c.state.Interfaces[h.ID]; ok {
			return c.forwards(c.state.Instances[n.InstanceID], n.ID, s)
		}
		return c.forwards(c.ownerOf(h.ID), "", s)
	case HopHAVIP:
		v, ok := c.state.HAVIPs[h.ID]
		if !ok {
			return false, ""
		}
		for _, id := range v.Instances {
			if works, source := c.forwards(c.state.Instances[id], v.ID, s); works {
				return true, source
			}
		}
		return false, ""
	case HopNATGateway:
		return c.snat(h.ID, s)
	default:
		f, ok := c.state.ForeignHops[h.ID]
		return ok && f.Type == h.Type, ""
	}
}

// forwards reports whether an instance is an SNAT gateway for the vSwitch: it
// runs, has a public address (its own, or an EIP of the interface or HAVIP by
// which packets reach it), translates and lets them in.
func (c *Cloud) forwards(i *Instance, via string, s *VSwitch) (works bool, source string) {
	if i == nil || i.Status != Running {
		return false, ""
	}
	source = i.PublicIP
	for _, e := range c.state.EIPs {
		if e.Status != InUse || e.InstanceID == "" {
			continue
		}
		switch e.InstanceID {
		case via:
			source = e.Address
		case i.ID, i.NetworkInterfaceID:
			if source == "" {
				source = e.Address
			}
		}
	}
	if source == "" {
		return false, ""
	}
	return i.Forwards || translates(i.UserData) && c.admits(i.SecurityGroups, s.CIDR), source
}

// snat reports whether a NAT gateway translates for the vSwitch: it is
// Available and an Available SNAT entry covers the whole vSwitch with
// addresses that are all in use on the gateway.
func (c *Cloud) snat(gateway string, s *VSwitch) (works bool, source string) {
	g, ok := c.state.NATGateways[gateway]
	if !ok || g.Status != Available {
		return false, ""
	}
	for _, e := range c.state.SNATEntries {
		if e.TableID != g.SNATTableID || e.Status != Available || e.VSwitchID != s.ID && !within(s.CIDR, e.CIDR) {
			continue
		}
		for _, ip := range e.IPs {
			if eip := c.eipAt(ip); eip == nil || eip.InstanceID != gateway || eip.Status != InUse {
				return false, ""
			}
		}
		return len(e.IPs) > 0, strings.Join(e.IPs, ",")
	}
	return false, ""
}

// Traffic follows connections from a VPC to the Internet across changes: one
// per pair of a vSwitch and a class of destinations that are routed alike.
// Call [Traffic.Observe] after each change. It is not safe for concurrent
// use (calls from [Cloud.OnChange] never overlap).
type Traffic struct {
	cloud *Cloud
	pairs []pair
	total Sample
}

// Sample is what the pairs of a [Traffic] saw at one moment, or, as a total,
// the sum over all of them.
type Sample struct {
	// Holes counts pairs without a next hop.
	Holes int
	// Attempted counts new connections that hosts tried to open, one for each
	// pair; Lost those that did not get out.
	Attempted, Lost int
	// Cut counts established connections that ended because their next hop or
	// their source address changed or died.
	Cut int
	// Hijacked counts pairs that a foreign next hop served at the baseline (a
	// VPN, a transit router, …) and that another one takes now.
	Hijacked int
	// Problems names the pairs behind Holes, Lost, Cut and Hijacked.
	Problems []Problem
}

// Problem is what went wrong for one pair.
type Problem struct {
	VSwitch string
	Range   netipx.IPRange
	What    string // "no next hop", "new connection lost", "connection cut", "hijacked"
	Hop     Hop    // now; zero if there is none
}

// What a [Problem] may be.
const (
	ProblemHole     = "no next hop"
	ProblemLost     = "new connection lost"
	ProblemCut      = "connection cut"
	ProblemHijacked = "hijacked"
)

func (p Problem) String() string {
	s := fmt.Sprintf("vSwitch %s to %s: %s", p.VSwitch, p.Range, p.What)
	if p.Hop != (Hop{}) {
		s += " by " + p.Hop.String()
	}
	return s
}

type pair struct {
	vswitch string
	class   netipx.IPRange
	probe   netip.Addr // one address stands for the class
	foreign Hop        // that served the pair at the baseline
	path    connPath   // of the established connection; zero if there is none
}

type connPath struct {
	hop    Hop
	source string
}

// NewTraffic takes the baseline of a VPC: every pair that gets out now has an
// established connection, and only these pairs are followed. Classes are cut
// so that those of the baseline's routes and the eight blocks of a migration
// can be told apart.
func NewTraffic(c *Cloud, vpc string) *Traffic {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &Traffic{cloud: c}
	cuts := map[string][]netipx.IPRange{} // classes by table
	for _, id := range slices.Sorted(maps.Keys(c.state.VSwitches)) {
		s := c.state.VSwitches[id]
		if s.VPCID != vpc {
			continue
		}
		classes, ok := cuts[s.RouteTableID]
		if !ok {
			classes = c.classes(s.RouteTableID)
			cuts[s.RouteTableID] = classes
		}
		for _, class := range classes {
			p := pair{vswitch: id, class: class, probe: class.From()}
			if path, works := c.route(p); works && path.hop.Type != HopLocal {
				p.path = path
				if c.foreign(path.hop) {
					p.foreign = path.hop
				}
				t.pairs = append(t.pairs, p)
			}
		}
	}
	return t
}

// classes cuts the destinations along the entries of a table and the blocks.
func (c *Cloud) classes(table string) []netipx.IPRange {
	type cut = netip.Prefix // each prefix leads to itself, so that none merge
	var cuts route.Table[cut]
	for _, p := range route.Blocks() {
		cuts.Insert(p, p)
	}
	for _, e := range c.state.RouteTables[table].Entries {
		if e.CIDR != route.Default() {
			cuts.Insert(e.CIDR, e.CIDR)
		}
	}
	return route.Classes(&cuts, route.Destinations())
}

func (c *Cloud) foreign(h Hop) bool {
	_, ok := c.state.ForeignHops[h.ID]
	return ok
}

// route returns the way of a new packet of the pair; the hop is zero when
// there is none.
func (c *Cloud) route(p pair) (path connPath, works bool) {
	s, ok := c.state.VSwitches[p.vswitch]
	if !ok {
		return connPath{}, false
	}
	_, hops := c.liveTable(c.state.RouteTables[s.RouteTableID]).entries.Lookup(p.probe)
	if len(hops) == 0 {
		return connPath{}, false
	}
	works, source := c.path(hops[0], s)
	return connPath{hops[0], source}, works && len(hops) == 1
}

// Observe tries a new connection for each pair, looks after the established
// one, and returns what it saw. A connection that was cut is re-established
// as soon as the pair gets out again.
func (t *Traffic) Observe() Sample {
	t.cloud.mu.Lock()
	defer t.cloud.mu.Unlock()
	var s Sample
	for i := range t.pairs {
		p := &t.pairs[i]
		path, works := t.cloud.route(*p)
		problem := func(what string) {
			s.Problems = append(s.Problems, Problem{p.vswitch, p.class, what, path.hop})
		}
		s.Attempted++
		if path.hop == (Hop{}) {
			s.Holes++
			problem(ProblemHole)
		}
		if !works {
			s.Lost++
			problem(ProblemLost)
		}
		if p.path != (connPath{}) && (!works || path != p.path) {
			s.Cut++
			problem(ProblemCut)
		}
		if p.foreign != (Hop{}) && path.hop != (Hop{}) && path.hop != p.foreign {
			s.Hijacked++
			problem(ProblemHijacked)
		}
		if p.path = path; !works {
			p.path = connPath{}
		}
	}
	t.total.Holes += s.Holes
	t.total.Attempted += s.Attempted
	t.total.Lost += s.Lost
	t.total.Cut += s.Cut
	t.total.Hijacked += s.Hijacked
	t.total.Problems = append(t.total.Problems, s.Problems...)
	return s
}

// Pairs is how many pairs are followed.
func (t *Traffic) Pairs() int { return len(t.pairs) }

// Total is the sum of all samples so far.
func (t *Traffic) Total() Sample { return t.total }
