package route

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"
)

// A Kind is a way in which a table loses traffic.
type Kind string

const (
	// NoNextHop means that no entry matches.
	NoNextHop Kind = "no next hop"
	// DeadNextHop means that the one entry that matches leads to a next hop
	// that does not work.
	DeadNextHop Kind = "dead next hop"
	// TwoNextHops means that several entries match with the same length, so
	// which of them a packet takes is not known. No real table gets there.
	TwoNextHops Kind = "two next hops"
)

// A Finding is a range of destinations that do not have exactly one working
// next hop.
type Finding[H comparable] struct {
	Range  netipx.IPRange
	Kind   Kind
	Prefix netip.Prefix // of the entry that the first address of Range matches; invalid if none does
	Hops   []H          // of that entry, in the order of insertion
}

// shortList is up to how many prefixes a range is written as prefixes, which
// is how people write routes, and not as first and last address.
const shortList = 3

// String says what is lost and why, as in
// "8.0.0.0/5: dead next hop i-snat (0.0.0.0/0)".
func (f Finding[H]) String() string {
	var b strings.Builder
	if ps := f.Range.Prefixes(); len(ps) == 0 || len(ps) > shortList {
		b.WriteString(f.Range.String())
	} else {
		for i, p := range ps {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(p.String())
		}
	}
	b.WriteString(": ")
	b.WriteString(string(f.Kind))
	for i, h := range f.Hops {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, " %v", h)
	}
	switch {
	case !f.Prefix.IsValid():
	case f.Prefix.Contains(f.Range.To()):
		fmt.Fprintf(&b, " (%v)", f.Prefix)
	default:
		fmt.Fprintf(&b, " (%v and more)", f.Prefix)
	}
	return b.String()
}

// Judge returns every destination in within that does not have exactly one
// working next hop, as ascending, disjoint ranges; nil means that nothing is
// lost. It asks works for each next hop that destinations depend on, possibly
// more than once. Adjacent ranges with the same kind and the same hops are
// one. A nil within stands for [Destinations].
//
// It is called after every single operation of a simulation, so it is one pass
// over the entries: two microseconds for thirty of them (BenchmarkJudge).
func Judge[H comparable](t *Table[H], within *netipx.IPSet, works func(H) bool) []Finding[H] {
	var findings []Finding[H]
	end := uint64(0) // of the last finding
	for c := range t.classes(within) {
		kind := judge(c.hops, works)
		if kind == "" {
			continue
		}
		last := len(findings) - 1
		if last >= 0 && end == c.first && sameHops(findings[last].Hops, c.hops) { // and so the same kind
			findings[last].Range = netipx.IPRangeFrom(findings[last].Range.From(), c.rng().To())
		} else {
			findings = append(findings, Finding[H]{c.rng(), kind, c.prefix, slices.Clip(c.hops)})
		}
		end = c.end
	}
	return findings
}

func judge[H comparable](hops []H, works func(H) bool) Kind {
	switch {
	case len(hops) == 0:
		return NoNextHop
	case len(hops) > 1:
		return TwoNextHops
	case !works(hops[0]):
		return DeadNextHop
	}
	return ""
}

// sameHops is equality without order.
func sameHops[H comparable](a, b []H) bool {
	if len(a) != len(b) {
		return false
	}
	for _, h := range a {
		if count(a, h) != count(b, h) {
			return false
		}
	}
	return true
}

func count[H comparable](hops []H, hop H) (n int) {
	for _, h := range hops {
		if h == hop {
			n++
		}
	}
	return n
}

// Classes cuts within into ascending, maximal ranges in which every address
// matches the same entry, or none. What holds for one address of a range holds
// for all of them, so one packet per range tests a whole table. A nil within
// stands for [Destinations].
func Classes[H comparable](t *Table[H], within *netipx.IPSet) []netipx.IPRange {
	var ranges []netipx.IPRange
	for c := range t.classes(within) {
		ranges = append(ranges, c.rng())
	}
	return ranges
}

// A class is a maximal range of IPv4 addresses that match the same entry.
// Addresses are numbers here, up to 1<<32 for the end of the last range.
type class[H comparable] struct {
	first, end uint64 // end is exclusive
	prefix     netip.Prefix
	hops       []H
}

func (c class[H]) rng() netipx.IPRange { return netipx.IPRangeFrom(addr(c.first), addr(c.end-1)) }

const endOfIPv4 = 1 << 32

func addr(n uint64) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	return netip.AddrFrom4(b)
}

func number(a netip.Addr) uint64 {
	b := a.As4()
	return uint64(binary.BigEndian.Uint32(b[:]))
}

// classes yields the classes of within, ascending.
func (t *Table[H]) classes(within *netipx.IPSet) iter.Seq[class[H]] {
	if within == nil {
		within = Destinations()
	}
	return func(yield func(class[H]) bool) {
		ranges := within.Ranges()
		for c := range t.allClasses() {
			for len(ranges) > 0 && ranges[0].From().Is4() && number(ranges[0].From()) < c.end {
				first, end := number(ranges[0].From()), number(ranges[0].To())+1
				if !yield(class[H]{max(c.first, first), min(c.end, end), c.prefix, c.hops}) {
					return
				}
				if end > c.end {
					break // the next class goes on in this range
				}
				ranges = ranges[1:]
			}
		}
	}
}

// allClasses yields the classes of all IPv4 addresses, ascending. Prefixes are
// disjoint or nested, so one pass over them with a stack of those that are
// open finds every class.
func (t *Table[H]) allClasses() iter.Seq[class[H]] {
	return func(yield func(class[H]) bool) {
		var open [34]class[H] // "no entry" and up to 33 nested prefixes, /0 to /32
		open[0] = class[H]{end: endOfIPv4}
		top, next := 0, uint64(0)
		// upTo yields the part of the innermost open prefix that is not yielded yet, up to end.
		upTo := func(end uint64) bool {
			first := next
			next = end
			return first == end || yield(class[H]{first, end, open[top].prefix, open[top].hops})
		}
		for p, hops := range t.routes().AllSorted4() {
			first := number(p.Addr())
			for ; open[top].end <= first; top-- {
				if !upTo(open[top].end) {
					return
				}
			}
			if !upTo(first) {
				return
			}
			top++
			open[top] = class[H]{end: first + endOfIPv4>>p.Bits(), prefix: p, hops: hops}
		}
		for ; top >= 0; top-- {
			if !upTo(open[top].end) {
				return
			}
		}
	}
}
