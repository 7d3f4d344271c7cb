package route_test

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"go4.org/netipx"
	"pgregory.net/rapid"

	"polynat/internal/route"
)

// Generators. Half of the prefixes are those of a migration, and the others
// have few bits set, so that prefixes are often equal, nested or adjacent.
var (
	address = rapid.OneOf(rapid.Uint32(), rapid.Map(rapid.Uint32Range(0, 1<<8-1), func(n uint32) uint32 { return n << 24 }))
	prefix  = rapid.OneOf(
		rapid.SampledFrom(append(route.Blocks(), route.Default())),
		rapid.Custom(func(t *rapid.T) netip.Prefix {
			a := ipv4(rapid.Uint32().Draw(t, "bits") & rapid.SampledFrom([]uint32{0xffffffff, 0xe0000000, 0x03000003}).Draw(t, "mask"))
			return netip.PrefixFrom(a, rapid.IntRange(0, 32).Draw(t, "length")).Masked()
		}),
	)
	hop   = rapid.SampledFrom([]string{"old", "nat", "vpn"})
	entry = rapid.Custom(func(t *rapid.T) route.Entry[string] {
		return route.Entry[string]{Prefix: prefix.Draw(t, "prefix"), Hop: hop.Draw(t, "hop")}
	})
	entries = rapid.SliceOfN(entry, 0, 30)
	// distinct is what a real table holds: one entry per prefix.
	distinct = rapid.SliceOfNDistinct(entry, 0, 30, func(e route.Entry[string]) netip.Prefix { return e.Prefix })
)

func ipv4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

func table(es ...route.Entry[string]) *route.Table[string] {
	t := new(route.Table[string])
	for _, e := range es {
		t.Insert(e.Prefix, e.Hop)
	}
	return t
}

// longestMatch is the definition of a lookup, entry by entry.
func longestMatch(es []route.Entry[string], a netip.Addr) (best netip.Prefix, hops []string) {
	for _, e := range es {
		switch {
		case !e.Prefix.Contains(a) || best.IsValid() && e.Prefix.Bits() < best.Bits():
		case e.Prefix == best:
			hops = append(hops, e.Hop)
		default:
			best, hops = e.Prefix, []string{e.Hop}
		}
	}
	return best, hops
}

// edges returns the addresses at which the match of a table can change, and
// their neighbors: what is right at all of them is right everywhere.
func edges(es []route.Entry[string]) (as []netip.Addr) {
	as = append(as, ipv4(0), ipv4(1<<24-1), ipv4(1<<24), ipv4(1<<32-1))
	for _, e := range es {
		first, last := e.Prefix.Addr(), netipx.PrefixLastIP(e.Prefix)
		for _, a := range []netip.Addr{first.Prev(), first, last, last.Next()} {
			if a.IsValid() {
				as = append(as, a)
			}
		}
	}
	return as
}

func TestLookupFindsTheLongestMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		es := entries.Draw(t, "entries")
		table := table(es...)
		for _, a := range append(edges(es), ipv4(address.Draw(t, "address"))) {
			wantPrefix, wantHops := longestMatch(es, a)
			gotPrefix, gotHops := table.Lookup(a)
			if gotPrefix != wantPrefix || !slices.Equal(gotHops, wantHops) {
				t.Fatalf("Lookup(%v) = %v %v, want %v %v", a, gotPrefix, gotHops, wantPrefix, wantHops)
			}
			if p, hops := table.Lookup(netip.AddrFrom16(a.As16())); p != gotPrefix || !slices.Equal(hops, gotHops) {
				t.Fatalf("Lookup(%v) differs when the address is mapped into IPv6: %v %v", a, p, hops)
			}
		}
	})
}

func TestAnEmptyTableMatchesNothing(t *testing.T) {
	var table route.Table[string]
	if p, hops := table.Lookup(ipv4(1 << 24)); p.IsValid() || hops != nil {
		t.Errorf("Lookup = %v %v", p, hops)
	}
	if p, hops := table.Lookup(netip.Addr{}); p.IsValid() || hops != nil {
		t.Errorf("Lookup of the zero address = %v %v", p, hops)
	}
	if es := table.Entries(); es != nil {
		t.Errorf("Entries = %v", es)
	}
	if table.Delete(route.Default(), "old") {
		t.Error("Delete found an entry")
	}
	if got := table.Clone().Entries(); got != nil {
		t.Errorf("entries of the clone = %v", got)
	}
}

func TestEntriesAreSortedByPrefixAndThenByInsertion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		es := entries.Draw(t, "entries")
		want := slices.Clone(es)
		slices.SortStableFunc(want, func(a, b route.Entry[string]) int {
			return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), a.Prefix.Bits()-b.Prefix.Bits())
		})
		if got := table(es...).Entries(); !slices.Equal(got, want) {
			t.Fatalf("Entries = %v, want %v", got, want)
		}
	})
}

func TestATableDoesNotDependOnTheOrderOfInsertion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		es := distinct.Draw(t, "entries")
		shuffled := rapid.Permutation(es).Draw(t, "shuffled")
		if a, b := table(es...).Entries(), table(shuffled...).Entries(); !slices.Equal(a, b) {
			t.Fatalf("entries are %v and %v", a, b)
		}
	})
}

func TestDeleteIsTheInverseOfInsert(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		es := entries.Draw(t, "entries")
		table := table(es...)
		before := table.Entries()
		more := entries.Draw(t, "more")
		for _, e := range more {
			table.Insert(e.Prefix, e.Hop)
		}
		for _, e := range slices.Backward(more) {
			if !table.Delete(e.Prefix, e.Hop) {
				t.Fatalf("Delete(%v, %s) found nothing", e.Prefix, e.Hop)
			}
		}
		if after := table.Entries(); !slices.Equal(before, after) {
			t.Fatalf("entries were %v and are %v", before, after)
		}
	})
}

func TestDeleteTakesOneEntryAndOnlyTheOneItNames(t *testing.T) {
	a, b := prefixes("10.0.0.0/8", "10.0.0.0/9")[0], prefixes("10.0.0.0/8", "10.0.0.0/9")[1]
	table := table(route.Entry[string]{a, "old"}, route.Entry[string]{a, "nat"}, route.Entry[string]{a, "old"}, route.Entry[string]{b, "old"})
	if table.Delete(a, "vpn") {
		t.Error("Delete found a hop that is not there")
	}
	if table.Delete(netip.Prefix{}, "old") {
		t.Error("Delete found an invalid prefix")
	}
	if !table.Delete(a, "old") {
		t.Error("Delete did not find 10.0.0.0/8 old")
	}
	want := []route.Entry[string]{{a, "old"}, {a, "nat"}, {b, "old"}}
	if diff := gocmp.Diff(want, table.Entries(), compareAddrs); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestACloneHasItsOwnLife(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		original := table(entries.Draw(t, "entries")...)
		clone := original.Clone()
		want := map[*route.Table[string]][]route.Entry[string]{original: original.Entries(), clone: clone.Entries()}
		if !slices.Equal(want[original], want[clone]) {
			t.Fatalf("the clone is %v of %v", want[clone], want[original])
		}
		for i := range rapid.IntRange(1, 20).Draw(t, "changes") {
			changed, other := original, clone
			if rapid.Bool().Draw(t, "change the clone") {
				changed, other = clone, original
			}
			if es := changed.Entries(); len(es) > 0 && rapid.Bool().Draw(t, "delete") {
				e := rapid.SampledFrom(es).Draw(t, "entry")
				changed.Delete(e.Prefix, e.Hop)
			} else {
				e := entry.Draw(t, "new")
				changed.Insert(e.Prefix, e.Hop)
			}
			want[changed] = changed.Entries()
			if got := other.Entries(); !slices.Equal(got, want[other]) {
				t.Fatalf("change %d of one table made the other %v of %v", i, got, want[other])
			}
		}
	})
}

func TestClonesDoNotShareTheHopsOfOnePrefix(t *testing.T) {
	p := route.Default()
	// Three hops fit into memory for four, which both tables must not fill.
	original := table(route.Entry[string]{p, "a"}, route.Entry[string]{p, "b"}, route.Entry[string]{p, "c"})
	clone := original.Clone()
	original.Insert(p, "original")
	clone.Insert(p, "clone")
	for want, table := range map[string]*route.Table[string]{"original": original, "clone": clone} {
		if es := table.Entries(); es[len(es)-1].Hop != want {
			t.Errorf("entries of the %s: %v", want, es)
		}
	}
}

func TestACallerCannotReachTheTableThroughWhatItReturns(t *testing.T) {
	p := route.Default()
	table := table(route.Entry[string]{p, "a"}, route.Entry[string]{p, "b"}, route.Entry[string]{p, "c"})
	_, first := table.Lookup(ipv4(1 << 24))
	_, second := table.Lookup(ipv4(1 << 24))
	first, second = append(first, "first"), append(second, "second")
	if first[3] != "first" || second[3] != "second" {
		t.Errorf("two callers share memory: %v %v", first, second)
	}
	table.Entries()[0].Hop = "x"
	if got := table.Entries()[0].Hop; got != "a" {
		t.Errorf("a change of Entries changed the table: %s", got)
	}
}

func TestInsertDropsBitsBehindTheLengthAndInvalidPrefixes(t *testing.T) {
	var table route.Table[string]
	table.Insert(netip.MustParsePrefix("10.1.2.3/8"), "old")
	table.Insert(netip.Prefix{}, "old")
	want := []route.Entry[string]{{netip.MustParsePrefix("10.0.0.0/8"), "old"}}
	if diff := gocmp.Diff(want, table.Entries(), compareAddrs); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if !table.Delete(netip.MustParsePrefix("10.1.2.3/8"), "old") {
		t.Error("Delete did not find what Insert took")
	}
}

func TestIPv6IsLookedUpButNotJudged(t *testing.T) {
	six := netip.MustParsePrefix("2001:db8::/32")
	table := table(route.Entry[string]{route.Default(), "old"}, route.Entry[string]{six, "six"})
	if p, hops := table.Lookup(netip.MustParseAddr("2001:db8::1")); p != six || !slices.Equal(hops, []string{"six"}) {
		t.Errorf("Lookup = %v %v", p, hops)
	}
	var b netipx.IPSetBuilder
	b.AddPrefix(six)
	b.AddPrefix(netip.MustParsePrefix("10.0.0.0/8"))
	within, err := b.IPSet()
	if err != nil {
		t.Fatal(err)
	}
	if got := route.Judge(table, within, func(h string) bool { return h == "old" }); got != nil {
		t.Errorf("findings: %v", got)
	}
}
