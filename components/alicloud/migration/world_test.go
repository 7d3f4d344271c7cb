package migration_test

import (
	"context"
	"net/netip"
	"testing"

	sdk "github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	component "polynat/components/alicloud/migration"
	"polynat/internal/migration"
	"polynat/internal/route"
	"polynat/internal/sim/alicloud"
	"polynat/tests/recorder"
)

// world is a network made by hand, in a simulated cloud that answers lookups: a system table and a custom one, a vSwitch
// and a CIDR without one in each, and a forwarding instance with an elastic IP.
type world struct {
	t *testing.T
	*alicloud.Cloud
	gateway alicloud.NATGateway
	ips     map[string]string
}

var tables = []string{"vtb-system", "vtb-workers"}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, alicloud.Options{})
}

func newWorldOf(t *testing.T, o alicloud.Options) *world {
	t.Helper()
	w := &world{t: t, Cloud: alicloud.New(o), ips: map[string]string{}}
	w.id(w.AddVPC(alicloud.VPC{ID: "vpc-1", CIDR: netip.MustParsePrefix("10.0.0.0/16"), RouterID: "vrt-1", RouteTableID: "vtb-system"}))
	w.id(w.AddTable(alicloud.RouteTable{ID: "vtb-workers", VPCID: "vpc-1"}))
	for id, v := range map[string][2]string{"vsw-a": {"10.0.0.0/24", "vtb-system"}, "vsw-b": {"10.0.1.0/24", "vtb-system"}, "vsw-c": {"10.0.2.0/24", "vtb-workers"}} {
		w.id(w.AddVSwitch(alicloud.VSwitch{ID: id, VPCID: "vpc-1", ZoneID: "cn-hangzhou-i", CIDR: prefix(v[0]), RouteTableID: v[1]}))
	}
	w.id(w.AddInstance(alicloud.Instance{ID: "i-old", VPCID: "vpc-1", VSwitchID: "vsw-a", Forwards: true}))
	w.id(w.AddEIP(alicloud.EIP{ID: "eip-old", Address: "198.51.100.1", Bandwidth: "100", InstanceID: "i-old"}))
	for _, table := range tables {
		w.ok(w.AddRoute(table, w.toOld(route.Default())))
	}
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) id(id string, err error) string {
	w.t.Helper()
	w.ok(err)
	return id
}

func (w *world) toOld(cidr netip.Prefix) alicloud.RouteEntry {
	return alicloud.RouteEntry{CIDR: cidr, HopType: alicloud.HopInstance, HopID: "i-old"}
}

// walk brings the world to the end of stage ("" for the beginning), as the Args of this file describe it.
func (w *world) walk(stage migration.Stage) *world {
	w.t.Helper()
	steps := map[migration.Stage]func(){
		migration.Cover: func() { w.blocks(w.CreateRouteEntry) },
		migration.Uncover: func() {
			for _, table := range tables {
				w.ok(w.DeleteRouteEntry(table, route.Default(), "i-old"))
			}
		},
		migration.Gateway: func() {
			id := w.id(w.CreateNATGateway(alicloud.NATGateway{ID: "ngw-1", Name: "egress", VPCID: "vpc-1", VSwitchID: "vsw-a", SNATTableID: "stb-1", ForwardTableID: "ftb-1"}))
			w.ok(w.CreateRouteEntry("vtb-workers", alicloud.RouteEntry{CIDR: route.Default(), HopType: alicloud.HopNATGateway, HopID: id}))
			w.gateway = w.NATGateways("vpc-1")[0]
		},
		migration.Address: func() {
			bandwidth := w.id(w.CreateBandwidthPackage(alicloud.BandwidthPackage{ID: "cbwp-1", Name: "egress", Bandwidth: "200"}))
			for key, ip := range map[string]string{"main": "203.0.113.1", "spare": "203.0.113.2", "web": "203.0.113.3"} {
				id := w.id(w.AllocateEIP(alicloud.EIP{ID: "eip-" + key, Name: "egress-" + key, Address: ip}))
				w.ok(w.AssociateEIP(id, w.gateway.ID, alicloud.BindNAT))
				w.ok(w.AddToBandwidthPackage(bandwidth, id))
				w.ips[key] = ip
			}
		},
		migration.SNAT: func() {
			ips := []string{w.ips["main"], w.ips["spare"]}
			for _, id := range []string{"vsw-a", "vsw-b", "vsw-c"} {
				w.id(w.CreateSNATEntry(alicloud.SNATEntry{ID: "snat-" + id, TableID: w.gateway.SNATTableID, VSwitchID: id, IPs: ips}))
			}
			w.id(w.CreateSNATEntry(alicloud.SNATEntry{ID: "snat-far", TableID: w.gateway.SNATTableID, CIDR: netip.MustParsePrefix("192.168.0.0/16"), IPs: ips}))
			w.id(w.CreateForwardEntry(alicloud.ForwardEntry{
				ID: "fwd-https", TableID: w.gateway.ForwardTableID, ExternalIP: w.ips["web"], ExternalPort: "443",
				InternalIP: "10.0.2.10", InternalPort: "8443", Protocol: "tcp",
			}))
		},
		migration.Switch: func() {
			w.blocks(func(table string, e alicloud.RouteEntry) error { return w.DeleteRouteEntry(table, e.CIDR, e.HopID) })
		},
	}
	for _, s := range migration.Stages()[:stage.Index()+1] {
		if step := steps[s]; step != nil {
			step()
		}
	}
	return w
}

func (w *world) blocks(do func(string, alicloud.RouteEntry) error) {
	w.t.Helper()
	for _, table := range tables {
		for _, block := range route.Blocks() {
			w.ok(do(table, w.toOld(block)))
		}
	}
}

// newArgs use everything that a migration of an existing network can.
func newArgs(stage migration.Stage) *component.Args {
	return &component.Args{
		Stage:            string(stage),
		VPCID:            "vpc-1",
		OldNextHop:       component.OldNextHop{Type: "Instance", ID: "i-old"},
		NATGateway:       component.NATGateway{Name: "egress", VSwitch: "vsw-a"},
		Addresses:        map[string]component.Address{"main": {Bandwidth: 50}, "spare": {Bandwidth: 50}, "web": {Bandwidth: 10}},
		BandwidthPackage: &component.BandwidthPackage{Bandwidth: 200},
		SNAT:             component.SNAT{SourceCIDRs: []string{"192.168.0.0/16"}},
		Forwards: map[string]component.Forward{
			"https": {Address: "web", ExternalPort: "443", InternalIP: "10.0.2.10", InternalPort: "8443", Protocol: "tcp"},
		},
	}
}

// recordOf is what a stack has exported when stage was done; nil before adopt.
func recordOf(stage migration.Stage) *component.Record {
	if stage == "" {
		return nil
	}
	return &component.Record{Stage: string(stage), Tables: tables, VSwitches: []string{"vsw-a", "vsw-b", "vsw-c"}}
}

// before is the stage before, "" for adopt.
func before(stage migration.Stage) migration.Stage {
	if i := stage.Index(); i > 0 {
		return migration.Stages()[i-1]
	}
	return ""
}

// program declares a migration with the provider of the program.
func program(args *component.Args) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		provider, err := sdk.NewProvider(ctx, "alicloud", &sdk.ProviderArgs{Region: pulumi.String("cn-hangzhou")})
		if err != nil {
			return err
		}
		mine := *args
		mine.Provider = provider
		m, err := component.New(ctx, "egress", &mine)
		if err != nil {
			return err
		}
		ctx.Export("egress", m.Record())
		return nil
	}
}

// run runs the program of args under mocks.
func (w *world) run(args *component.Args, o recorder.Options) (*recorder.Recording, error) {
	o.Invoke = func(token string, args map[string]any) (map[string]any, error) {
		return w.Invoke(context.Background(), token, args)
	}
	if o.Held == nil {
		// Nothing of the state matters here but that a bandwidth package is this stack's.
		o.Held = map[string]any{
			"urn:pulumi:dev::polynat::polynat:alicloud:Migration$alicloud:vpc/commonBandwithPackage:CommonBandwithPackage::egress-bandwidth": map[string]any{"outputs": map[string]any{}},
		}
	}
	return recorder.Run(program(args), o)
}

// runWith is run with lookups that may fail.
func (w *world) runWith(args *component.Args, fault func(token string, args map[string]any) error) (*recorder.Recording, error) {
	return recorder.Run(program(args), recorder.Options{Invoke: func(token string, args map[string]any) (map[string]any, error) {
		if err := fault(token, args); err != nil {
			return nil, err
		}
		return w.Invoke(context.Background(), token, args)
	}})
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// move records a move to stage from where the world stands.
func (w *world) move(from, to migration.Stage, o recorder.Options) *recorder.Recording {
	w.t.Helper()
	args := newArgs(to)
	args.Record = recordOf(from)
	made, err := w.run(args, o)
	if err != nil {
		w.t.Fatalf("%s to %s: %v", from, to, err)
	}
	return made
}
