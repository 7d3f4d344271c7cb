package alicloud_test

import (
	"context"
	"errors"
	"maps"
	"math/rand"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"polynat/internal/route"
	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
)

const (
	typeVPC         = "alicloud:vpc/network:Network"
	typeVSwitch     = "alicloud:vpc/switch:Switch"
	typeTable       = "alicloud:vpc/routeTable:RouteTable"
	typeAttachment  = "alicloud:vpc/routeTableAttachment:RouteTableAttachment"
	typeRoute       = "alicloud:vpc/routeEntry:RouteEntry"
	typeGateway     = "alicloud:vpc/natGateway:NatGateway"
	typeSNAT        = "alicloud:vpc/snatEntry:SnatEntry"
	typeForward     = "alicloud:vpc/forwardEntry:ForwardEntry"
	typePackage     = "alicloud:vpc/commonBandwithPackage:CommonBandwithPackage"
	typeJoin        = "alicloud:vpc/commonBandwithPackageAttachment:CommonBandwithPackageAttachment"
	typeEIP         = "alicloud:ecs/eipAddress:EipAddress"
	typeAssociation = "alicloud:ecs/eipAssociation:EipAssociation"
	typeInstance    = "alicloud:ecs/instance:Instance"
	typeGroup       = "alicloud:ecs/securityGroup:SecurityGroup"
	typeRule        = "alicloud:ecs/securityGroupRule:SecurityGroupRule"
)

var background = context.Background()

// resource is one that a stack has recorded.
type resource struct {
	typ, id         string
	inputs, outputs sim.Object
}

// stack creates resources as the engine does, and records them.
type stack struct {
	t         *testing.T
	cloud     *alicloud.Cloud
	resources []resource
}

func (s *stack) create(typ string, inputs sim.Object) resource {
	s.t.Helper()
	for name, p := range alicloud.Schema().Resources[typ].Inputs {
		if _, set := inputs[name]; !set && p.Default != nil {
			inputs[name] = p.Default // as the Server's check does
		}
	}
	id, outputs, err := s.cloud.Create(background, sim.Request{Type: typ, Inputs: inputs})
	if err != nil {
		s.t.Fatalf("create %s: %v", typ, err)
	}
	r := resource{typ, id, inputs, outputs}
	s.resources = append(s.resources, r)
	return r
}

func (r resource) get(output string) string {
	v, _ := r.outputs[output].(string)
	return v
}

const userData = "#cloud-config\nruncmd:\n- sysctl -w net.ipv4.ip_forward=1\n- iptables -t nat -A POSTROUTING -j MASQUERADE\n"

// everything creates one resource of each type, in a network in which the
// instance and the NAT gateway both work.
func everything(t *testing.T, cloud *alicloud.Cloud) *stack {
	t.Helper()
	s := &stack{t: t, cloud: cloud}
	vpc := s.create(typeVPC, sim.Object{"vpcName": "net", "cidrBlock": "10.0.0.0/8", "tags": sim.Object{"team": "net"}})
	front := s.create(typeVSwitch, sim.Object{"vswitchName": "front", "vpcId": vpc.id, "cidrBlock": "10.0.0.0/24", "zoneId": "cn-hangzhou-i"})
	back := s.create(typeVSwitch, sim.Object{"vpcId": vpc.id, "cidrBlock": "10.0.1.0/24", "zoneId": "cn-hangzhou-j"})
	table := s.create(typeTable, sim.Object{"vpcId": vpc.id, "routeTableName": "back"})
	s.create(typeAttachment, sim.Object{"routeTableId": table.id, "vswitchId": back.id})
	group := s.create(typeGroup, sim.Object{"name": "nat", "vpcId": vpc.id})
	s.create(typeRule, sim.Object{"securityGroupId": group.id, "type": "ingress", "ipProtocol": "all", "cidrIp": "10.0.0.0/8"})
	old := s.create(typeInstance, sim.Object{
		"instanceName": "old", "vswitchId": front.id, "imageId": "img", "instanceType": "ecs.g7.large",
		"securityGroups": []any{group.id}, "userData": userData, "roleName": "forwarder",
	})
	oldEIP := s.create(typeEIP, sim.Object{"addressName": "old", "bandwidth": "20"})
	s.create(typeAssociation, sim.Object{"allocationId": oldEIP.id, "instanceId": old.id})
	s.create(typeRoute, sim.Object{"routeTableId": vpc.get("routeTableId"), "destinationCidrblock": "0.0.0.0/0", "nexthopType": "Instance", "nexthopId": old.id, "name": "out-1234567"})
	gateway := s.create(typeGateway, sim.Object{"natGatewayName": "new", "vpcId": vpc.id, "vswitchId": front.id, "natType": "Enhanced", "paymentType": "PayAsYouGo", "internetChargeType": "PayByLcu"})
	eip := s.create(typeEIP, sim.Object{"bandwidth": "20"})
	s.create(typeAssociation, sim.Object{"allocationId": eip.id, "instanceId": gateway.id, "instanceType": "Nat"})
	pkg := s.create(typePackage, sim.Object{"bandwidth": "100", "bandwidthPackageName": "all"})
	s.create(typeJoin, sim.Object{"bandwidthPackageId": pkg.id, "instanceId": eip.id})
	s.create(typeSNAT, sim.Object{"snatTableId": gateway.get("snatTableIds"), "snatIp": eip.get("ipAddress"), "sourceVswitchId": back.id, "snatEntryName": "back"})
	s.create(typeForward, sim.Object{"forwardTableId": gateway.get("forwardTableIds"), "externalIp": eip.get("ipAddress"), "externalPort": "80", "internalIp": "10.0.1.9", "internalPort": "8080", "ipProtocol": "tcp"})
	s.create(typeRoute, sim.Object{"routeTableId": table.id, "destinationCidrblock": "0.0.0.0/0", "nexthopType": "NatGateway", "nexthopId": gateway.id})
	return s
}

func (s *stack) vpc() string { return s.resources[0].id }

func TestAProgramCanBuildANetworkThatWorks(t *testing.T) {
	s := everything(t, alicloud.New(alicloud.Options{}))
	if f := s.cloud.Judge(s.vpc()); f != nil {
		t.Errorf("findings: %v", f)
	}
	kinds := map[string]bool{}
	for _, r := range s.resources {
		kinds[r.typ] = true
	}
	if len(kinds) != len(alicloud.Schema().Resources) {
		t.Errorf("the network has %d of %d types", len(kinds), len(alicloud.Schema().Resources))
	}
}

func TestReadGivesBackWhatTheProgramGave(t *testing.T) {
	s := everything(t, alicloud.New(alicloud.Options{}))
	for _, r := range s.resources {
		inputs, outputs, ok, err := s.cloud.Read(background, r.typ, r.id)
		if err != nil || !ok {
			t.Errorf("%s %s: found %v, error %v", r.typ, r.id, ok, err)
		}
		if diff := cmp.Diff(r.inputs, inputs); diff != "" {
			t.Errorf("%s %s: inputs (-given +read):\n%s", r.typ, r.id, diff)
		}
		for name := range outputs {
			if !slices.Contains(alicloud.Schema().Resources[r.typ].Outputs, name) {
				t.Errorf("%s: output %s is not in the schema", r.typ, name)
			}
		}
		for _, name := range alicloud.Schema().Resources[r.typ].Outputs {
			_, isInput := alicloud.Schema().Resources[r.typ].Inputs[name]
			if _, isOutput := outputs[name]; !isInput && !isOutput {
				t.Errorf("%s: output %s is missing", r.typ, name)
			}
		}
	}
}

func TestADestroyInReverseOrderLeavesNothing(t *testing.T) {
	s := everything(t, alicloud.New(alicloud.Options{}))
	for _, r := range slices.Backward(s.resources) {
		if err := s.cloud.Delete(background, sim.Request{Type: r.typ, ID: r.id, Inputs: r.inputs, Old: r.outputs}); err != nil {
			t.Fatalf("delete %s %s: %v", r.typ, r.id, err)
		}
		if _, _, ok, _ := s.cloud.Read(background, r.typ, r.id); ok {
			t.Errorf("%s %s is still there", r.typ, r.id)
		}
	}
	if vpcs := s.cloud.VPCs(); len(vpcs) != 0 {
		t.Errorf("VPCs left: %v", vpcs)
	}
}

// A hand-made object, read for an import, must not differ from a program that
// says no more than what is needed to make it.
func TestAnImportOfAHandMadeObjectShowsNoDifference(t *testing.T) {
	n, g, eip, snat := served(t, alicloud.Options{})
	router := n.VPCs()[0].RouterID
	for id, want := range map[[2]string]sim.Object{
		{typeRoute, n.system + ":" + router + ":0.0.0.0/0:Instance:" + n.gateway}: {
			"routeTableId": n.system, "destinationCidrblock": "0.0.0.0/0", "nexthopType": "Instance", "nexthopId": n.gateway,
		},
		{typeRoute, n.system + ":" + router + ":172.16.0.0/12:VpnGateway:vpn-1"}: {
			"routeTableId": n.system, "destinationCidrblock": "172.16.0.0/12", "nexthopType": "VpnGateway", "nexthopId": "vpn-1",
		},
		{typeAttachment, n.custom + ":" + n.switches[2]}: {"routeTableId": n.custom, "vswitchId": n.switches[2]},
		{typeSNAT, g.SNATTableID + ":" + snat}:           {"snatTableId": g.SNATTableID, "snatIp": eip.Address, "sourceVswitchId": n.switches[0]},
		// The last two are shown, are not the cloud's choice, and would replace: a program has to ignore them.
		{typeAssociation, eip.ID + ":" + g.ID}: {
			"allocationId": eip.ID, "instanceId": g.ID, "instanceType": "Nat", "force": false, "vpcId": n.vpc, "privateIpAddress": "192.0.2.1",
		},
		{typeEIP, eip.ID}:            {"bandwidth": "5"},
		{typeVSwitch, n.switches[1]}: {"vpcId": n.vpc, "cidrBlock": "10.0.1.0/24"},
		{typeGateway, g.ID}:          {"vpcId": n.vpc, "vswitchId": n.switches[0], "natType": "Enhanced"},
	} {
		got, outputs, ok, err := n.Read(background, id[0], id[1])
		if err != nil || !ok {
			t.Errorf("%v: found %v, error %v", id, ok, err)
			continue
		}
		for name := range maps.Keys(want) {
			if !cmp.Equal(got[name], want[name]) && !cmp.Equal(outputs[name], want[name]) {
				t.Errorf("%v: %s = %v, want %v", id, name, got[name], want[name])
			}
		}
		for name := range got {
			if _, given := want[name]; !given && !alicloud.Schema().Resources[id[0]].Inputs[name].Computed {
				t.Errorf("%v: %s = %v would be removed", id, name, got[name])
			}
		}
	}
}

func TestARouteThatIsThereAlreadyIsReportedAsTheProviderDoes(t *testing.T) {
	n := newNetwork(t, alicloud.Options{})
	other, err := n.RunInstance(alicloud.Instance{VSwitchID: n.switches[1]})
	n.ok(t, err)
	for hop, want := range map[string]string{n.gateway: "please import it using ID", other: "not found"} {
		before := saved(t, n.Cloud)
		_, _, err := n.Create(background, sim.Request{Type: typeRoute, Inputs: sim.Object{
			"routeTableId": n.system, "destinationCidrblock": "0.0.0.0/0", "nexthopType": "Instance", "nexthopId": hop,
		}})
		if !alicloud.IsCode(err, alicloud.CodeRouteDuplicated) || !strings.Contains(err.Error(), want) {
			t.Errorf("to %s: %v, want %q", hop, err, want)
		}
		if saved(t, n.Cloud) != before {
			t.Errorf("to %s: the cloud has changed", hop)
		}
	}
}

func TestARouteThatTheCloudUnderstoodDifferentlyFailsAfterItWasMade(t *testing.T) {
	n := newNetwork(t, alicloud.Options{})
	for name, inputs := range map[string]sim.Object{
		"no next hop type": {"destinationCidrblock": "8.0.0.0/8", "nexthopId": n.gateway},
		"host bits":        {"destinationCidrblock": "9.1.2.3/8", "nexthopType": "Instance", "nexthopId": n.gateway},
	} {
		inputs["routeTableId"] = n.system
		id, _, err := n.Create(background, sim.Request{Type: typeRoute, Inputs: inputs})
		if err == nil || id == "" {
			t.Errorf("%s: id %q, error %v, want both", name, id, err)
		}
	}
	table, err := n.DescribeRouteTable(n.system)
	n.ok(t, err)
	for _, want := range []string{"8.0.0.0/8", "9.0.0.0/8"} {
		if !slices.ContainsFunc(table.Entries, func(e alicloud.RouteEntry) bool { return e.CIDR.String() == want }) {
			t.Errorf("%s is not in the table", want)
		}
	}
}

func TestAGatewayWithoutNatTypeLosesItsVSwitchOnTheWay(t *testing.T) {
	n := newNetwork(t, alicloud.Options{})
	_, _, err := n.Create(background, sim.Request{Type: typeGateway, Inputs: sim.Object{"vpcId": n.vpc, "vswitchId": n.switches[0]}})
	if err == nil || !strings.Contains(err.Error(), "natType") {
		t.Errorf("error %v, want one that names natType", err)
	}
}

func TestAPrepaidGatewayIsForgottenNotDeleted(t *testing.T) {
	n := newNetwork(t, alicloud.Options{})
	inputs := sim.Object{"vpcId": n.vpc, "vswitchId": n.switches[0], "natType": "Enhanced", "paymentType": "Subscription"}
	id, _, err := n.Create(background, sim.Request{Type: typeGateway, Inputs: inputs})
	n.ok(t, err)
	n.ok(t, n.Delete(background, sim.Request{Type: typeGateway, ID: id, Inputs: inputs}))
	if len(n.NATGateways(n.vpc)) != 1 {
		t.Error("the gateway is gone")
	}
}

func TestParallelRouteTasksConflictAndAllGetDone(t *testing.T) {
	n := newNetwork(t, alicloud.Options{Rand: rand.New(rand.NewSource(1))})
	var states int
	pending := map[int]bool{}
	n.OnChange = func() {
		states++
		table, _ := n.DescribeRouteTable(n.system)
		count := 0
		for _, e := range table.Entries {
			if e.Status == alicloud.Pending {
				count++
			}
		}
		pending[count] = true
	}
	var wg sync.WaitGroup
	errs := make([]error, len(route.Blocks()))
	for i, p := range route.Blocks() {
		wg.Go(func() {
			_, _, errs[i] = n.Create(background, sim.Request{Type: typeRoute, Inputs: sim.Object{
				"routeTableId": n.system, "destinationCidrblock": p.String(), "nexthopType": "Instance", "nexthopId": n.gateway,
			}})
		})
	}
	wg.Wait()
	n.ok(t, errors.Join(errs...))
	if states != 16 || pending[2] {
		t.Errorf("%d states (want 16); numbers of entries that were Pending at once: %v", states, pending)
	}
	if f := n.Judge(n.vpc); f != nil {
		t.Errorf("findings: %v", f)
	}
}

// pair makes two routes at once, one for each call, and removes them again.
func pair(t *testing.T, n *network, create func(netip.Prefix) error) []error {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() { errs[i] = create(route.Blocks()[i]) })
	}
	wg.Wait()
	for i, err := range errs {
		if err == nil {
			n.ok(t, n.DeleteRouteEntry(n.system, route.Blocks()[i], n.gateway))
		}
	}
	return errs
}

func TestARouteTaskIsRefusedWhileAnotherIsUnderWay(t *testing.T) {
	n := newNetwork(t, alicloud.Options{Rand: rand.New(rand.NewSource(1))})
	for range 10000 {
		for _, err := range pair(t, n, func(p netip.Prefix) error {
			return n.CreateRouteEntry(n.system, alicloud.RouteEntry{CIDR: p, HopID: n.gateway})
		}) {
			if alicloud.IsCode(err, alicloud.CodeTaskConflict) {
				return
			}
			n.ok(t, err)
		}
	}
	t.Error("two tasks never met")
}

func TestTheProviderTriesAgainWhenTheOtherTaskIsDone(t *testing.T) {
	n := newNetwork(t, alicloud.Options{Rand: rand.New(rand.NewSource(1))})
	for range 10000 {
		for _, err := range pair(t, n, func(p netip.Prefix) error {
			_, _, err := n.Create(background, sim.Request{Type: typeRoute, Inputs: sim.Object{
				"routeTableId": n.system, "destinationCidrblock": p.String(), "nexthopType": "Instance", "nexthopId": n.gateway,
			}})
			return err
		}) {
			n.ok(t, err)
		}
		if n.Conflicts() > 0 {
			return
		}
	}
	t.Error("two tasks never met")
}

func TestAnAdoptedStackEqualsTheOneThatMadeIt(t *testing.T) {
	s := everything(t, alicloud.New(alicloud.Options{}))
	copied := alicloud.New(alicloud.Options{})
	for _, r := range s.resources {
		if err := copied.Adopt(r.typ, r.id, r.inputs, r.outputs); err != nil {
			t.Fatal(err)
		}
	}
	if f := copied.Judge(s.vpc()); f != nil {
		t.Errorf("findings: %v", f)
	}
	for _, r := range s.resources {
		wantIn, wantOut, _, _ := s.cloud.Read(background, r.typ, r.id)
		in, out, ok, err := copied.Read(background, r.typ, r.id)
		if !ok || err != nil {
			t.Errorf("%s %s: found %v, error %v", r.typ, r.id, ok, err)
		}
		if diff := cmp.Diff([]sim.Object{wantIn, wantOut}, []sim.Object{in, out}); diff != "" {
			t.Errorf("%s %s (-made +adopted):\n%s", r.typ, r.id, diff)
		}
		if err := copied.Adopt(r.typ, r.id, r.inputs, r.outputs); err != nil {
			t.Errorf("adopting %s twice: %v", r.typ, err)
		}
	}
}

func TestUpdatesReachTheCloud(t *testing.T) {
	s := everything(t, alicloud.New(alicloud.Options{}))
	update := func(typ, property string, value any) error {
		t.Helper()
		i := slices.IndexFunc(s.resources, func(r resource) bool { return r.typ == typ })
		r := s.resources[i]
		inputs := maps.Clone(r.inputs)
		inputs[property] = value
		outputs, err := s.cloud.Update(background, sim.Request{Type: typ, ID: r.id, Inputs: inputs, Old: r.outputs})
		if err == nil && !cmp.Equal(outputs[property], value) {
			t.Errorf("%s %s = %v, want %v", typ, property, outputs[property], value)
		}
		return err
	}
	for _, u := range []struct {
		typ, property string
		value         any
	}{
		{typeVPC, "vpcName", "other"}, {typeVSwitch, "vswitchName", "other"}, {typeTable, "description", "other"},
		{typeGateway, "deletionProtection", true}, {typeEIP, "bandwidth", "50"}, {typePackage, "bandwidth", "200"},
		{typeSNAT, "snatEntryName", "other"}, {typeForward, "internalPort", "9090"}, {typeGroup, "description", "other"},
		{typeRule, "description", "other"}, {typeInstance, "instanceName", "other"}, {typeInstance, "status", "Stopped"},
		{typeInstance, "status", "Running"},
	} {
		if err := update(u.typ, u.property, u.value); err != nil {
			t.Errorf("%s %s: %v", u.typ, u.property, err)
		}
	}
	if err := update(typeGateway, "vswitchId", "vsw-other"); err == nil {
		t.Error("a gateway has moved to another vSwitch")
	}
}
