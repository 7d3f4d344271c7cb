package tests

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"polynat/internal/migration"
	"polynat/internal/route"
	"polynat/internal/sim/alicloud"
)

// reality is what stands in the cloud, looked at without any code of the product.
type reality struct {
	defaults map[string]alicloud.Hop                  // of the tables that move, Available
	blocks   map[string]map[netip.Prefix]alicloud.Hop // likewise
	gateway  alicloud.NATGateway
	eips     map[string]alicloud.EIP // ours, by key
	snat     []alicloud.SNATEntry
	forwards int
}

func (w *walker) reality() reality {
	is := reality{defaults: map[string]alicloud.Hop{}, blocks: map[string]map[netip.Prefix]alicloud.Hop{}, eips: map[string]alicloud.EIP{}}
	for _, id := range w.tables {
		is.blocks[id] = map[netip.Prefix]alicloud.Hop{}
		t := must(w.cloud.DescribeRouteTable(id))
		for _, e := range t.Entries {
			switch {
			case e.Status != alicloud.Available || e.Type == alicloud.System:
			case e.CIDR == route.Default():
				is.defaults[id] = e.Hop()
			case slices.Contains(route.Blocks(), e.CIDR):
				is.blocks[id][e.CIDR] = e.Hop()
			}
		}
	}
	for _, g := range w.cloud.NATGateways(w.vpc) {
		if g.Name == gatewayName {
			is.gateway = g
			is.snat, is.forwards = w.cloud.SNATEntries(g.SNATTableID), len(w.cloud.ForwardEntries(g.ForwardTableID))
		}
	}
	for _, e := range w.cloud.EIPs() {
		if key, ours := strings.CutPrefix(e.Name, gatewayName+"-"); ours {
			is.eips[key] = e
		}
	}
	return is
}

// made lists what is missing of the work of a stage.
func (w *walker) made(stage string, is reality) []string {
	at := migration.Stage(stage).Index()
	old := alicloud.Hop{Type: alicloud.HopType(w.old.Type), ID: w.old.ID}
	nat := alicloud.Hop{Type: alicloud.HopNATGateway, ID: is.gateway.ID}
	var missing []string
	lack := func(format string, args ...any) {
		missing = append(missing, "there is no "+fmt.Sprintf(format, args...))
	}
	for _, t := range w.tables {
		if at <= 1 && is.defaults[t] != old {
			lack("default route of %s to the old next hop", t)
		}
		for _, b := range route.Blocks() {
			kept := at == 6 && len(w.settings.release) > 0 && !slices.Contains(w.settings.release, b)
			if (at >= 1 && at <= 5 || kept) && is.blocks[t][b] != old {
				lack("%s of %s to the old next hop", b, t)
			}
		}
		// An owner may switch declareSystemRoute off in the moment after the route was made and before it was recorded. Then
		// it goes again; until the switch nothing depends on it, and the next stage is refused without it.
		if excused := w.undeclared && t == w.system && at < 6; at >= 3 && is.defaults[t] != nat && !excused {
			lack("default route of %s to the gateway", t)
		}
	}
	if at >= 3 && is.gateway.Status != alicloud.Available {
		lack("gateway")
	}
	for key := range w.addresses {
		e := is.eips[key]
		if at >= 4 && (e.InstanceID != is.gateway.ID || e.Status != alicloud.InUse || w.pkg > 0 && e.BandwidthPackageID == "") {
			lack("address %s in use and in its package", key)
		}
	}
	if at < 5 {
		return missing
	}
	for _, v := range w.moved() {
		if !slices.ContainsFunc(is.snat, func(e alicloud.SNATEntry) bool {
			return e.Status == alicloud.Available && e.CIDR.Bits() <= v.CIDR.Bits() && e.CIDR.Contains(v.CIDR.Addr())
		}) {
			lack("SNAT entry of %s", v.ID)
		}
	}
	if is.forwards < len(w.forwards) {
		lack("forward entry")
	}
	return missing
}

// left lists what stands that stage does not have.
func (w *walker) left(stage string, is reality) []string {
	at := migration.Stage(stage).Index()
	old := alicloud.Hop{Type: alicloud.HopType(w.old.Type), ID: w.old.ID}
	var left []string
	too := func(format string, args ...any) { left = append(left, fmt.Sprintf(format, args...)+" is left") }
	for _, t := range w.tables {
		if at >= 2 && is.defaults[t] == old {
			too("the default route of %s to the old next hop", t)
		}
		for b, hop := range is.blocks[t] {
			released := at >= 6 && (len(w.settings.release) == 0 || slices.Contains(w.settings.release, b))
			if (at == 0 || released) && hop == old {
				too("%s of %s", b, t)
			}
		}
	}
	if at < 3 && is.gateway.ID != "" {
		too("gateway %s", is.gateway.ID)
	}
	for key := range w.addresses {
		if _, ok := is.eips[key]; at < 4 && ok {
			too("address %s", key)
		}
	}
	if at < 5 && len(is.snat)+is.forwards > 0 {
		too("an SNAT or forward entry")
	}
	return left
}
