package aws

import (
	"net/netip"
	"strings"

	"polynat/internal/sim"
)

// importRoute declares a route that exists under the id by which the provider imports one, <table>_<destination>: the one kind
// that components take over.
func (c *Cloud) importRoute(typ, id string) {
	table, to, ok := strings.Cut(id, "_")
	p, err := netip.ParsePrefix(to)
	if typ != "aws:ec2/route:Route" || !ok || err != nil {
		return
	}
	in := sim.Object{"routeTableId": table, "destinationCidrBlock": to}
	if !p.Addr().Is4() {
		in = sim.Object{"routeTableId": table, "destinationIpv6CidrBlock": to}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.state
	if s.Declared[typ][id] != nil {
		return
	}
	t, i := routeOf(s, in)
	if i < 0 {
		return
	}
	r := t.Routes[i]
	for name, v := range map[string]string{"gatewayId": r.GatewayID, "natGatewayId": r.NatGatewayID, "networkInterfaceId": r.NetworkInterfaceID} {
		if v != "" {
			in[name] = v
		}
	}
	if s.Declared[typ] == nil {
		s.Declared[typ] = map[string]*declaration{}
	}
	s.Declared[typ][id] = &declaration{Inputs: in}
}
