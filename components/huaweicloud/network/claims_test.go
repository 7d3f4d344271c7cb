package network_test

import (
	"strings"
	"testing"

	"polynat/components/huaweicloud/network"
)

func TestAClaimCollidesWithWhatAnotherHolderHeld(t *testing.T) {
	claim := func(value, of string) network.Claim { return network.Claim{Value: value, Of: of} }
	for _, c := range []struct {
		name      string
		now, held network.Claims
		want      string // empty if they do not collide
	}{
		{"another key", network.Claims{"a.new.port": claim("tcp 80", "x")}, network.Claims{"a.old.port": claim("tcp 80", "x")}, `a.new.port: "tcp 80": of x is still held by a.old (`},
		{"the same key", network.Claims{"a.k.port": claim("tcp 80", "x")}, network.Claims{"a.k.port": claim("tcp 80", "x")}, ""},
		{"the same holder by another field", network.Claims{"a.k.cidr": claim("s", "x")}, network.Claims{"a.k.subnetId": claim("s", "x")}, ""},
		{"another thing", network.Claims{"a.new.port": claim("tcp 80", "x")}, network.Claims{"a.old.port": claim("tcp 80", "y")}, ""},
		{"another value", network.Claims{"a.new.port": claim("tcp 80", "x")}, network.Claims{"a.old.port": claim("udp 80", "x")}, ""},
		{"all of it", network.Claims{"a.new.port": claim(network.All, "x")}, network.Claims{"a.old.port": claim("udp 80", "x")}, "still held by a.old"},
		{"one of all", network.Claims{"a.new.port": claim("udp 80", "x")}, network.Claims{"a.old.port": claim(network.All, "x")}, "still held by a.old"},
		{"whatever there is", network.Claims{"a.new.port": claim("", "x")}, network.Claims{"a.old.port": claim(network.All, "x")}, ""},
		{"CIDRs that overlap", network.Claims{"a.new.cidr": claim("10.0.0.0/8", "x")}, network.Claims{"a.old.cidr": claim("10.1.0.0/16", "x")}, "still held by a.old"},
		{"CIDRs that do not", network.Claims{"a.new.cidr": claim("10.0.0.0/16", "x")}, network.Claims{"a.old.cidr": claim("10.1.0.0/16", "x")}, ""},
		{
			"what the other keeps contradicts itself", network.Claims{"a.new.port": claim("1", "x"), "a.old.port": claim("1", "x")},
			network.Claims{"a.old.port": claim("1", "x")}, "",
		},
		{
			"what is shared", network.Claims{"a.new.t": {Value: network.All, Of: "x", Sharers: "s"}},
			network.Claims{"a.old.t": {Value: network.All, Of: "x", Sharers: "s"}}, "",
		},
		{
			"what is shared with others", network.Claims{"a.new.t": {Value: network.All, Of: "x", Sharers: "s"}},
			network.Claims{"a.old.t": claim("tcp 80", "x")}, "still held by a.old",
		},
	} {
		err := c.now.Collisions(c.held).Err()
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}
