package natd

import (
	"net/netip"
	"testing"

	"polynat/internal/natd/metadata"
)

// The networks of the VPC are those of instance metadata, whatever the configuration adds.
func TestClientsAreTheNetworksOfTheVPCAndThoseOfTheConfiguration(t *testing.T) {
	config := document()
	config.ClientCIDRs = []netip.Prefix{netip.MustParsePrefix("192.0.0.0/16")}
	a := newAgent(Options{Config: config}.Defaults())
	a.identity = metadata.Identity{Primary: own}
	a.outside = func() (string, error) { return "ens5", nil }
	a.zone.ec2 = newCloud()
	if _, err := a.kernelConfig(); err == nil {
		t.Error("the kernel is set up before the networks of the VPC are known")
	}
	a.networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("100.64.0.0/16")}
	c, err := a.kernelConfig()
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range []string{"10.0.1.1", "100.64.1.1", "192.0.77.1"} {
		translated := false
		for _, p := range c.Clients {
			translated = translated || p.Contains(netip.MustParseAddr(client))
		}
		if from := netip.MustParseAddr(client); !translated || !a.allowed(from) {
			t.Errorf("%s: translated %v, may ask for health %v", client, translated, a.allowed(from))
		}
	}
	if config.ClientCIDRs[0].Contains(c.Canary) {
		t.Errorf("the proof uses %s, which may be a client", c.Canary)
	}
	if a.allowed(netip.MustParseAddr("203.0.113.9")) {
		t.Error("a stranger may ask for health")
	}
}
