package route

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"go4.org/netipx"
)

var (
	defaultRoute = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

	// thisNetwork is never the destination of a packet: RFC 1122, 3.2.1.3 (a),
	// allows its addresses as a source only, while a host learns its own.
	thisNetwork = netip.PrefixFrom(netip.IPv4Unspecified(), 8)
)

var destinations = sync.OnceValue(func() *netipx.IPSet {
	var b netipx.IPSetBuilder
	b.AddPrefix(defaultRoute)
	b.RemovePrefix(thisNetwork)
	set, err := b.IPSet()
	if err != nil {
		panic(err) // both prefixes are constants
	}
	return set
})

// Default returns 0.0.0.0/0.
func Default() netip.Prefix { return defaultRoute }

// Destinations returns what a migration must never lose: every IPv4 address
// but 0.0.0.0/8, which is no destination (RFC 1122, 3.2.1.3).
func Destinations() *netipx.IPSet { return destinations() }

// Blocks returns the fewest prefixes that cover [Destinations] exactly,
// ascending: 1.0.0.0/8, 2.0.0.0/7, 4.0.0.0/6, … 128.0.0.0/1. There are eight.
// Together they do all that a default route does, and each of them is more
// specific than it. The caller owns the slice.
func Blocks() []netip.Prefix { return slices.Clone(blocks()) }

var blocks = sync.OnceValue(func() []netip.Prefix { return Destinations().Prefixes() })

// A CIDRError says why a text is not the IPv4 prefix it should be, and what to
// write instead.
type CIDRError struct {
	Value  string // the text
	Rule   string // what it breaks
	WayOut string // what to write instead; empty when that cannot be known
}

func (e *CIDRError) Error() string {
	if e.WayOut == "" {
		return fmt.Sprintf("%q: %s", e.Value, e.Rule)
	}
	return fmt.Sprintf("%q: %s (%s)", e.Value, e.Rule, e.WayOut)
}

// ParseCIDR reads an IPv4 prefix in the one spelling that clouds give back:
// address, slash, length, and no bit set behind the length. A route that was
// written in another spelling would differ from itself at the next look.
// Every error is a *[CIDRError].
func ParseCIDR(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		rule, wayOut := "is not an IPv4 prefix", "write address/length, like 10.0.0.0/8"
		if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
			rule, wayOut = "has no prefix length", fmt.Sprintf("write %v/32 for the one address", a)
		} else if addr, bits, ok := strings.Cut(s, "/"); ok {
			if a, err := netip.ParseAddr(addr); err == nil && a.Is4() {
				rule, wayOut = fmt.Sprintf("%q is not a prefix length", bits), "use 0 to 32, without leading zeros"
			}
		}
		return netip.Prefix{}, &CIDRError{s, rule, wayOut}
	case !p.Addr().Is4():
		return netip.Prefix{}, &CIDRError{s, "is not IPv4", "leave IPv6 out: NAT gateways translate IPv4 only"}
	case p != p.Masked():
		return netip.Prefix{}, &CIDRError{s, fmt.Sprintf("has bits set behind its length of %d", p.Bits()), fmt.Sprintf("write %v", p.Masked())}
	}
	return p, nil
}

// FirstOverlap returns the first prefix of ps that shares an address with an
// earlier one, as b, and the first such earlier one, as a.
func FirstOverlap(ps []netip.Prefix) (a, b netip.Prefix, ok bool) {
	for i, b := range ps {
		if j := slices.IndexFunc(ps[:i], b.Overlaps); j >= 0 {
			return ps[j], b, true
		}
	}
	return netip.Prefix{}, netip.Prefix{}, false
}
