package route

import (
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// An Entry sends a prefix to a next hop.
type Entry[H comparable] struct {
	Prefix netip.Prefix
	Hop    H
}

// A Table is a route table with longest prefix match. H names a next hop.
//
// A real table holds one entry per prefix. This one keeps every entry it is
// given, so that a model which breaks that rule is caught by [Judge] instead
// of being hidden by its own table.
//
// The zero value is an empty table. IPv6 entries are kept and looked up like
// any other, but [Judge] and [Classes] look at IPv4 only. Reading a table from
// several goroutines is safe; changing it meanwhile is not.
type Table[H comparable] struct {
	// The trie and the slices in it never change: a change makes a new trie
	// that shares what stayed the same. That is why a Clone costs nothing.
	// The hops of a prefix stand in the order of insertion.
	trie *bart.Table[[]H]
}

// Insert adds an entry. Bits of p behind its length are dropped; an invalid p
// is not added.
func (t *Table[H]) Insert(p netip.Prefix, hop H) {
	t.modify(p, func(hops []H) []H { return append(slices.Clip(hops), hop) })
}

// Delete removes an entry and says whether there was one. It is the inverse of
// Insert: of several equal entries the one that came last goes.
func (t *Table[H]) Delete(p netip.Prefix, hop H) bool {
	hops, _ := t.routes().Get(p)
	last := -1
	for i, h := range hops {
		if h == hop {
			last = i
		}
	}
	if last < 0 {
		return false
	}
	t.modify(p, func(hops []H) []H { return slices.Delete(slices.Clone(hops), last, last+1) })
	return true
}

// Lookup returns the longest prefix that holds a and its next hops in the
// order of insertion: more than one if the table is not a real one, none, with
// an invalid prefix, if nothing matches. The caller must not change them.
func (t *Table[H]) Lookup(a netip.Addr) (netip.Prefix, []H) {
	a = a.Unmap()
	p, hops, _ := t.routes().LookupPrefixLPM(netip.PrefixFrom(a, a.BitLen()))
	return p, slices.Clip(hops)
}

// Entries returns all entries, by address and then by length of the prefix,
// those of one prefix in the order of insertion. The caller owns the slice.
func (t *Table[H]) Entries() []Entry[H] {
	var entries []Entry[H]
	for p, hops := range t.routes().AllSorted() {
		for _, hop := range hops {
			entries = append(entries, Entry[H]{p, hop})
		}
	}
	return entries
}

// Clone returns a table with the same entries and its own life. It copies
// nothing.
func (t *Table[H]) Clone() *Table[H] { return &Table[H]{trie: t.trie} }

func (t *Table[H]) routes() *bart.Table[[]H] {
	if t.trie == nil {
		return new(bart.Table[[]H])
	}
	return t.trie
}

// modify replaces the hops of p; none left means no entry left.
func (t *Table[H]) modify(p netip.Prefix, change func([]H) []H) {
	t.trie = t.routes().ModifyPersist(p, func(hops []H, _ bool) ([]H, bool) {
		hops = change(hops)
		return hops, len(hops) == 0
	})
}
