package route_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go4.org/netipx"
	"pgregory.net/rapid"

	"polynat/internal/route"
)

var compareAddrs = cmp.Options{
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netipx.IPRange) bool { return a == b }),
}

func prefixes(ss ...string) (ps []netip.Prefix) {
	for _, s := range ss {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

func TestTheBlocksAreTheEightOfTheMigrationProcedure(t *testing.T) {
	want := prefixes("1.0.0.0/8", "2.0.0.0/7", "4.0.0.0/6", "8.0.0.0/5", "16.0.0.0/4", "32.0.0.0/3", "64.0.0.0/2", "128.0.0.0/1")
	if diff := cmp.Diff(want, route.Blocks(), compareAddrs); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
}

func TestTheBlocksAreDisjointAndLeaveOutOnlyWhatIsNoDestination(t *testing.T) {
	blocks := route.Blocks()
	if a, b, ok := route.FirstOverlap(blocks); ok {
		t.Errorf("%v and %v overlap", a, b)
	}
	// Disjoint prefixes and 0.0.0.0/8 that add up to 1<<32 addresses are all
	// of IPv4: counted here by size, not by the set that Blocks is made from.
	addresses := 1 << 24
	for _, b := range blocks {
		if b.Bits() == 0 || b.Overlaps(netip.MustParsePrefix("0.0.0.0/8")) {
			t.Errorf("block %v does not stay clear of 0.0.0.0/8 or is no more specific than the default", b)
		}
		addresses += 1 << (32 - b.Bits())
	}
	if addresses != 1<<32 {
		t.Errorf("0.0.0.0/8 and the blocks hold %d addresses, IPv4 has %d", addresses, 1<<32)
	}
}

func TestEveryDestinationIsInExactlyOneBlock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := ipv4(address.Draw(t, "address"))
		n := 0
		for _, b := range route.Blocks() {
			if b.Contains(a) {
				n++
			}
		}
		want := 1
		if a.As4()[0] == 0 {
			want = 0
		}
		if n != want {
			t.Fatalf("%v is in %d blocks, want %d", a, n, want)
		}
		if got := route.Destinations().Contains(a); got != (want == 1) {
			t.Fatalf("%v is a destination: %t", a, got)
		}
	})
}

func TestTheCallerMayChangeTheBlocks(t *testing.T) {
	want := route.Blocks()
	route.Blocks()[0] = route.Default()
	if got := route.Blocks(); !slices.Equal(got, want) {
		t.Errorf("after a caller changed its blocks they are %v", got)
	}
}

func TestParseCIDRTakesOneSpellingAndSaysWhatToWriteInstead(t *testing.T) {
	for in, want := range map[string]string{
		"":               `"": is not an IPv4 prefix (write address/length, like 10.0.0.0/8)`,
		"default":        `"default": is not an IPv4 prefix (write address/length, like 10.0.0.0/8)`,
		"10/8":           `"10/8": is not an IPv4 prefix (write address/length, like 10.0.0.0/8)`,
		"010.0.0.0/8":    `"010.0.0.0/8": is not an IPv4 prefix (write address/length, like 10.0.0.0/8)`,
		" 10.0.0.0/8":    `" 10.0.0.0/8": is not an IPv4 prefix (write address/length, like 10.0.0.0/8)`,
		"10.0.0.1":       `"10.0.0.1": has no prefix length (write 10.0.0.1/32 for the one address)`,
		"10.0.0.0/33":    `"10.0.0.0/33": "33" is not a prefix length (use 0 to 32, without leading zeros)`,
		"10.0.0.0/08":    `"10.0.0.0/08": "08" is not a prefix length (use 0 to 32, without leading zeros)`,
		"10.0.0.0/":      `"10.0.0.0/": "" is not a prefix length (use 0 to 32, without leading zeros)`,
		"10.0.0.1/8":     `"10.0.0.1/8": has bits set behind its length of 8 (write 10.0.0.0/8)`,
		"2001:db8::/32":  `"2001:db8::/32": is not IPv4 (leave IPv6 out: NAT gateways translate IPv4 only)`,
		"::ffff:a00:0/8": `"::ffff:a00:0/8": is not IPv4 (leave IPv6 out: NAT gateways translate IPv4 only)`,
	} {
		p, err := route.ParseCIDR(in)
		if err == nil {
			t.Errorf("ParseCIDR(%q) = %v, want an error", in, p)
			continue
		}
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("ParseCIDR(%q) (-want +got):\n%s", in, diff)
		}
		var cidrErr *route.CIDRError
		if !errors.As(err, &cidrErr) || cidrErr.Value != in {
			t.Errorf("ParseCIDR(%q): error %#v does not carry the value", in, err)
		}
	}
}

func TestParseCIDRReadsExactlyWhatPrefixesPrint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := prefix.Draw(t, "prefix")
		if got, err := route.ParseCIDR(p.String()); err != nil || got != p {
			t.Fatalf("ParseCIDR(%q) = %v, %v", p.String(), got, err)
		}
	})
}

func FuzzParseCIDR(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "0.0.0.0/0", "10.0.0.1/8", "10.0.0.0/33", "::/0", "1.2.3.4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := route.ParseCIDR(s)
		if err != nil {
			return
		}
		if p.String() != s || p != p.Masked() || !p.Addr().Is4() {
			t.Errorf("ParseCIDR(%q) = %v: not the one spelling of an IPv4 prefix", s, p)
		}
	})
}

func TestFirstOverlapNamesTheEarliestPair(t *testing.T) {
	for name, tt := range map[string]struct {
		ps, want []netip.Prefix
	}{
		"none":           {prefixes("10.0.0.0/8", "11.0.0.0/8", "192.168.0.0/16"), nil},
		"empty":          {nil, nil},
		"equal":          {prefixes("10.0.0.0/8", "10.0.0.0/8"), prefixes("10.0.0.0/8", "10.0.0.0/8")},
		"nested":         {prefixes("10.1.0.0/16", "11.0.0.0/8", "10.0.0.0/8"), prefixes("10.1.0.0/16", "10.0.0.0/8")},
		"earliest later": {prefixes("10.0.0.0/8", "11.0.0.0/8", "11.1.0.0/16", "10.1.0.0/16"), prefixes("11.0.0.0/8", "11.1.0.0/16")},
	} {
		var got []netip.Prefix
		if a, b, ok := route.FirstOverlap(tt.ps); ok {
			got = []netip.Prefix{a, b}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: FirstOverlap(%v) = %v, want %v", name, tt.ps, got, tt.want)
		}
	}
}
