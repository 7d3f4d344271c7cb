package proof

import (
	"fmt"
	"net/netip"
)

// Networks from which the pair's addresses are taken, the first that the VPC does not use. 192.0.0.0/29 is set aside for hosts that
// translate for themselves (RFC 7335): it is no address of the Internet, of a private network, of a carrier's (100.64.0.0/10) or of
// a link (169.254.0.0/16, where AWS has its own services), so that neither a client nor a target ever has it. The others, for
// documentation (RFC 5737), are there in case a VPC uses even that: AWS takes any network.
func Networks() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("192.0.0.0/29"), netip.MustParsePrefix("192.0.2.0/29"),
		netip.MustParsePrefix("198.51.100.0/29"), netip.MustParsePrefix("203.0.113.0/29"),
	}
}

// Choose returns the first of [Networks] that overlaps none of those in use.
func Choose(used []netip.Prefix) (netip.Prefix, error) {
next:
	for _, n := range Networks() {
		for _, u := range used {
			if n.Overlaps(u) {
				continue next
			}
		}
		return n, nil
	}
	return netip.Prefix{}, fmt.Errorf("no network is free for the proof: the VPC uses all of %v", Networks())
}

// Addresses of a network: the instance's end of the pair, the stand-in of a client, and a second one, whose packets get the
// instance's primary address.
func Addresses(n netip.Prefix) (gateway, client, canary netip.Addr) {
	gateway = n.Addr().Next()
	client = gateway.Next()
	return gateway, client, client.Next()
}
