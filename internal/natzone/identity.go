package natzone

import (
	"net/netip"
	"strings"
)

// FindAddress finds the first IPv4 address in an answer that says where the question came from: bare, as ip=192.0.2.1 among
// other lines, or as a JSON member.
func FindAddress(body []byte) (netip.Addr, bool) {
	words := strings.FieldsFunc(string(body), func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	for _, w := range words {
		if a, err := netip.ParseAddr(w); err == nil && a.Is4() {
			return a, true
		}
	}
	return netip.Addr{}, false
}
