package alicloud

import (
	"net/netip"
	"strings"

	"polynat/internal/sim"
)

// Property bags are read alike in every simulated cloud.
var (
	text   = sim.Text
	truth  = sim.Truth
	number = sim.Number
	texts  = sim.Texts
)

// prefix reads a CIDR block, with or without host bits; the zero prefix if
// the property is absent.
func prefix(o sim.Object, name string) (netip.Prefix, error) {
	s := text(o, name)
	if s == "" {
		return netip.Prefix{}, nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is4() {
		return netip.Prefix{}, fail(CodeInvalid, "%s: %q: is not an IPv4 CIDR block", name, s)
	}
	return p, nil
}

func values[T any](l []T) []any { return sim.Values(l) }

// split reads a comma separated list of addresses.
func split(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// ids cuts a composite id into n parts; the last one keeps what is left. A
// part that is missing is empty.
func ids(id string, n int) []string {
	parts := strings.SplitN(id, ":", n)
	return append(parts, make([]string, n-len(parts))...)
}
