package route_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go4.org/netipx"
	"pgregory.net/rapid"

	"polynat/internal/route"
)

func all(string) bool                   { return true }
func only(hop string) func(string) bool { return func(h string) bool { return h == hop } }

func findings(table *route.Table[string], works func(string) bool) (ss []string) {
	for _, f := range route.Judge(table, nil, works) {
		ss = append(ss, f.String())
	}
	return ss
}

// parse reads "prefix hop" lines.
func parse(lines ...string) *route.Table[string] {
	t := new(route.Table[string])
	for _, line := range lines {
		var p, hop string
		if _, err := fmt.Sscan(line, &p, &hop); err != nil {
			panic(err)
		}
		t.Insert(netip.MustParsePrefix(p), hop)
	}
	return t
}

func TestJudgeSaysWhatIsLostAndWhy(t *testing.T) {
	for name, tt := range map[string]struct {
		table *route.Table[string]
		works func(string) bool
		want  []string
	}{
		"a default route that works": {parse("0.0.0.0/0 old"), all, nil},
		"eight blocks that work":     {blocksTo("old"), all, nil},
		"nothing at all":             {new(route.Table[string]), all, []string{"1.0.0.0-255.255.255.255: no next hop"}},
		"a dead default route":       {parse("0.0.0.0/0 old"), only("nat"), []string{"1.0.0.0-255.255.255.255: dead next hop old (0.0.0.0/0)"}},
		"a dead route that matches no destination": {
			parse("0.0.0.0/0 old", "0.0.0.0/8 dead"), only("old"), nil,
		},
		"a dead default below working blocks": {merge(blocksTo("old"), parse("0.0.0.0/0 nat")), only("old"), nil},
		"dead blocks above a working default": {
			merge(blocksTo("old"), parse("0.0.0.0/0 nat")), only("nat"),
			[]string{"1.0.0.0-255.255.255.255: dead next hop old (1.0.0.0/8 and more)"},
		},
		"one dead block among working ones": {
			merge(parse("0.0.0.0/0 old", "8.0.0.0/5 nat")), only("old"), []string{"8.0.0.0/5: dead next hop nat (8.0.0.0/5)"},
		},
		"one missing block": {
			func() *route.Table[string] { t := blocksTo("old"); t.Delete(route.Blocks()[3], "old"); return t }(), all,
			[]string{"8.0.0.0/5: no next hop"},
		},
		"a hole that is two prefixes": {
			func() *route.Table[string] {
				t := blocksTo("old")
				t.Delete(route.Blocks()[3], "old")
				t.Delete(route.Blocks()[4], "old")
				return t
			}(), all,
			[]string{"8.0.0.0/5, 16.0.0.0/4: no next hop"},
		},
		"two entries with one prefix": {
			parse("0.0.0.0/0 old", "64.0.0.0/2 old", "64.0.0.0/2 nat"), all,
			[]string{"64.0.0.0/2: two next hops old, nat (64.0.0.0/2)"},
		},
		"two equal entries": {
			parse("0.0.0.0/0 old", "64.0.0.0/2 old", "64.0.0.0/2 old"), all,
			[]string{"64.0.0.0/2: two next hops old, old (64.0.0.0/2)"},
		},
		"two entries that nothing matches": {
			parse("0.0.0.0/0 old", "0.0.0.0/0 nat", "0.0.0.0/1 old", "128.0.0.0/1 old"), all, nil,
		},
		"a working entry inside a hole": {
			parse("0.0.0.0/0 dead", "10.0.0.0/8 old", "10.0.0.0/9 dead"), only("old"),
			[]string{
				"1.0.0.0-10.127.255.255: dead next hop dead (0.0.0.0/0)",
				"11.0.0.0-255.255.255.255: dead next hop dead (0.0.0.0/0)",
			},
		},
		"the same dead hop through adjacent entries": {
			parse("0.0.0.0/0 old", "10.0.0.0/9 dead", "10.128.0.0/9 dead", "11.0.0.0/8 gone"), only("old"),
			[]string{"10.0.0.0/8: dead next hop dead (10.0.0.0/9 and more)", "11.0.0.0/8: dead next hop gone (11.0.0.0/8)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, findings(tt.table, tt.works)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func blocksTo(hop string) *route.Table[string] {
	t := new(route.Table[string])
	for _, b := range route.Blocks() {
		t.Insert(b, hop)
	}
	return t
}

func merge(tables ...*route.Table[string]) *route.Table[string] {
	t := new(route.Table[string])
	for _, o := range tables {
		for _, e := range o.Entries() {
			t.Insert(e.Prefix, e.Hop)
		}
	}
	return t
}

// within draws a set of addresses: all destinations, or a few prefixes.
func within(t *rapid.T) *netipx.IPSet {
	var b netipx.IPSetBuilder
	for _, p := range rapid.SliceOfN(prefix, 0, 5).Draw(t, "within") {
		b.AddPrefix(p)
	}
	set, err := b.IPSet()
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Ranges()) == 0 {
		return route.Destinations()
	}
	return set
}

func TestJudgeAgreesWithLookingUpEveryAddress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		es, within := entries.Draw(t, "entries"), within(t)
		dead := rapid.SampledFrom([]string{"old", "nat", "vpn", "none"}).Draw(t, "dead")
		works := func(h string) bool { return h != dead }
		found := route.Judge(table(es...), within, works)

		samples := append(edges(es), ipv4(address.Draw(t, "address")))
		for _, r := range within.Ranges() {
			samples = append(samples, r.From(), r.To())
		}
		for _, a := range samples {
			var want route.Kind
			p, hops := longestMatch(es, a)
			switch {
			case !within.Contains(a):
			case len(hops) == 0:
				want = route.NoNextHop
			case len(hops) > 1:
				want = route.TwoNextHops
			case hops[0] == dead:
				want = route.DeadNextHop
			}
			var got route.Kind
			for _, f := range found {
				if !f.Range.Contains(a) {
					continue
				}
				if got != "" {
					t.Fatalf("%v is in two findings: %v", a, found)
				}
				got = f.Kind
				if a == f.Range.From() && p != f.Prefix {
					t.Fatalf("%v starts a finding for %v, but matches %v", a, f.Prefix, p)
				}
			}
			if got != want {
				t.Fatalf("%v: judged %q, want %q; findings %v", a, got, want, found)
			}
		}
	})
}

func TestFindingsAreAscendingDisjointAndMerged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		found := route.Judge(table(entries.Draw(t, "entries")...), within(t), only("old"))
		for i, f := range found {
			if !f.Range.IsValid() {
				t.Fatalf("range %v", f.Range)
			}
			if i == 0 {
				continue
			}
			before := found[i-1]
			if !before.Range.To().Less(f.Range.From()) {
				t.Fatalf("%v is not before %v", before, f)
			}
			if before.Range.To().Next() == f.Range.From() && before.Kind == f.Kind && slices.Equal(before.Hops, f.Hops) {
				t.Fatalf("%v and %v are one", before, f)
			}
		}
	})
}

func TestJudgeDoesNotDependOnTheOrderOfInsertion(t *testing.T) {
	sortHops := func(fs []route.Finding[string]) []route.Finding[string] {
		for i := range fs {
			fs[i].Hops = slices.Sorted(slices.Values(fs[i].Hops))
		}
		return fs
	}
	rapid.Check(t, func(t *rapid.T) {
		es, within := entries.Draw(t, "entries"), within(t)
		shuffled := rapid.Permutation(es).Draw(t, "shuffled")
		a := sortHops(route.Judge(table(es...), within, only("old")))
		b := sortHops(route.Judge(table(shuffled...), within, only("old")))
		if diff := cmp.Diff(a, b, compareAddrs); diff != "" {
			t.Fatalf("findings differ:\n%s", diff)
		}
	})
}

func TestClassesCutTheSetWhereTheMatchChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		es, within := entries.Draw(t, "entries"), within(t)
		table := table(es...)
		var covered netipx.IPSetBuilder
		for i, r := range route.Classes(table, within) {
			covered.AddRange(r)
			p, _ := table.Lookup(r.From())
			samples := append(edges(es), r.To())
			for _, a := range samples {
				if q, _ := table.Lookup(a); r.Contains(a) && q != p {
					t.Fatalf("%v matches %v, but its class %v matches %v", a, q, r, p)
				}
			}
			if i > 0 && within.Contains(r.From().Prev()) {
				if q, _ := table.Lookup(r.From().Prev()); q == p {
					t.Fatalf("class %v could begin earlier", r)
				}
			}
		}
		set, err := covered.IPSet()
		if err != nil {
			t.Fatal(err)
		}
		if !set.Equal(within) {
			t.Fatalf("classes cover %v, not %v", set.Ranges(), within.Ranges())
		}
	})
}

func TestClassesOfAMigration(t *testing.T) {
	got := route.Classes(parse("0.0.0.0/0 old", "10.0.0.0/8 vpn"), nil)
	want := []netipx.IPRange{
		netipx.MustParseIPRange("1.0.0.0-9.255.255.255"),
		netipx.MustParseIPRange("10.0.0.0-10.255.255.255"),
		netipx.MustParseIPRange("11.0.0.0-255.255.255.255"),
	}
	if diff := cmp.Diff(want, got, compareAddrs); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
}

// The promise that the product rests on: with the blocks in place the default
// route may come and go, and with a default in place the blocks may, in any
// order, and no destination notices.
func TestNoOrderOfAMigrationLosesADestination(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := parse("0.0.0.0/0 old")
		step := func(what string, change func()) {
			change()
			if lost := findings(table, all); lost != nil {
				t.Fatalf("after %s: %v", what, lost)
			}
		}
		order := rapid.Permutation(route.Blocks())
		for _, b := range order.Draw(t, "cover") {
			step("cover "+b.String(), func() { table.Insert(b, "old") })
		}
		step("uncover", func() { table.Delete(route.Default(), "old") })
		step("gateway", func() { table.Insert(route.Default(), "nat") })
		for _, b := range order.Draw(t, "switch") {
			step("switch "+b.String(), func() { table.Delete(b, "old") })
		}
		if lost := findings(table, only("nat")); lost != nil {
			t.Fatalf("at the end not all goes to the gateway: %v", lost)
		}
	})
}

// The yardstick of both benchmarks is a list of entries that is scanned for
// each address; x-faster is how many times faster the package is on the same
// machine in the same run.

func BenchmarkJudge(b *testing.B) {
	table := thirtyEntries()
	es := table.Entries()
	compare(b,
		func() bool { return route.Judge(table, nil, all) == nil },
		func() bool {
			for _, a := range edges(es) {
				if _, hops := longestMatch(es, a); len(hops) != 1 || !all(hops[0]) {
					return false
				}
			}
			return true
		})
}

func BenchmarkLookup(b *testing.B) {
	table, a := thirtyEntries(), netip.MustParseAddr("10.3.1.1")
	es := table.Entries()
	compare(b,
		func() bool { _, hops := table.Lookup(a); return len(hops) == 1 },
		func() bool { _, hops := longestMatch(es, a); return len(hops) == 1 })
}

func compare(b *testing.B, ours, naive func() bool) {
	perOp := map[string]float64{}
	run := func(name string, f func() bool) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !f() {
					b.Fatal("nothing is lost in this table")
				}
			}
			perOp[name] = float64(b.Elapsed()) / float64(b.N)
			if naive, ok := perOp["naive"]; ok && name == "ours" {
				b.ReportMetric(naive/perOp[name], "x-faster")
			}
		})
	}
	run("naive", naive)
	run("ours", ours)
}

// thirtyEntries is a table in the middle of a migration in a VPC with many
// routes of its own.
func thirtyEntries() *route.Table[string] {
	t := merge(blocksTo("old"), parse("0.0.0.0/0 nat"))
	for i := range byte(21) {
		t.Insert(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, i, 0, 0}), 16+int(i%9)), "vpn")
	}
	return t
}
