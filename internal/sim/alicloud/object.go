package alicloud

import (
	"net/netip"
	"strings"

	"polynat/internal/sim"
)

// What follows reads property bags. The Server has checked them, so a value
// of the wrong type is as good as absent.

func text(o sim.Object, names ...string) string {
	for _, name := range names {
		if s, ok := o[name].(string); ok && s != "" {
			return s
		}
	}
	return ""
}

func truth(o sim.Object, name string) bool {
	b, _ := o[name].(bool)
	return b
}

func number(o sim.Object, name string) int {
	n, _ := o[name].(float64)
	return int(n)
}

func texts(o sim.Object, name string) []string {
	l, _ := o[name].([]any)
	var out []string
	for _, v := range l {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

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

// values turns a list into one of a property bag.
func values[T any](l []T) []any {
	out := make([]any, len(l))
	for i, v := range l {
		out[i] = v
	}
	return out
}

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
