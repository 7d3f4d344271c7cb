package rehearsal

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"polynat/internal/engine"
	"polynat/internal/migration"
	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
	"polynat/stacks"
)

// export is as much of a `pulumi stack export` as seeding a cloud needs.
type export struct {
	Deployment struct {
		Resources []exported `json:"resources"`
	} `json:"deployment"`
}

type exported struct {
	URN     string     `json:"urn"`
	Type    string     `json:"type"`
	ID      string     `json:"id"`
	Custom  bool       `json:"custom"`
	Delete  bool       `json:"delete"`
	Inputs  sim.Object `json:"inputs"`
	Outputs sim.Object `json:"outputs"`
}

// readExport reads an export of a stack, and refuses that of another one.
func readExport(project, stack string, text []byte) (*export, error) {
	var e export
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("read the export: %w", err)
	}
	prefix := fmt.Sprintf("urn:pulumi:%s::%s::", stack, project)
	for _, r := range e.Deployment.Resources {
		if !strings.HasPrefix(r.URN, prefix) {
			return nil, fmt.Errorf("the export is not of stack %s of project %s: %s (name its stack with --stack)", stack, project, r.URN)
		}
	}
	return &e, nil
}

// LastOutputs are the outputs of the last update in an export of a stack, nil without one.
func LastOutputs(project, stack string, text []byte) (map[string]any, error) {
	if text == nil {
		return nil, nil
	}
	e, err := readExport(project, stack, text)
	if err != nil {
		return nil, err
	}
	return e.last(), nil
}

// last are the outputs of the stack, nil before its first update.
func (e *export) last() map[string]any {
	for _, r := range e.Deployment.Resources {
		if r.Type == "pulumi:pulumi:Stack" {
			return plain(r.Outputs)
		}
	}
	return nil
}

// found is the network that the stack recorded around a migration of an existing one (migration.Snapshot).
type found struct {
	VPCID     string
	RouterID  string
	CIDRs     []netip.Prefix
	VSwitches []struct {
		ID, Zone, Table string
		CIDR            netip.Prefix
	}
	Tables []struct {
		ID     string
		System bool
		Routes []struct {
			CIDR     netip.Prefix
			Type, ID string
		}
	}
	OldNextHop struct {
		Type, ID  string
		Instances []string
		Running   bool
		Bandwidth int
		Addresses []netip.Addr
	}
	Zones []string
}

// alicloudOutputs is what the setup exported.
type alicloudOutputs struct {
	Stage string
	Found *found
}

// AlicloudFromExport is the walk from where a deployed stack stands, forward to the last stage and back to the first, in a
// cloud that holds what the state names and the network that the stack recorded.
func AlicloudFromExport(config map[string]string, project, stack string, text []byte) (Setup, bool, error) {
	block, err := readAlicloud(config)
	if err != nil || block["migration"] == nil {
		return Setup{}, false, err
	}
	e, err := readExport(project, stack, text)
	if err != nil {
		return Setup{}, false, err
	}
	outputs := alicloudOutputs{}
	if err := remarshal(e.last()["alicloud"], &outputs); err != nil {
		return Setup{}, false, fmt.Errorf("read the outputs of the export: %w", err)
	}
	stage, err := migration.ParseStage(outputs.Stage)
	if err != nil {
		return Setup{}, false, errors.New("the export has no stage of a migration (run `pulumi up` at stage adopt first, which changes nothing)")
	}
	cloud := alicloud.New(alicloud.Options{})
	var zones []string
	if outputs.Found != nil {
		zones = outputs.Found.Zones
		if err := outputs.Found.seed(cloud); err != nil {
			return Setup{}, false, fmt.Errorf("put the network of the export into the simulated cloud: %w", err)
		}
	}
	if err := adopt(cloud, e.Deployment.Resources); err != nil {
		return Setup{}, false, err
	}
	saved, err := cloud.Save()
	if err != nil {
		return Setup{}, false, err
	}
	setup := alicloudWalks(config, block["migration"], stage.Index(), nil, saved, zones)
	setup.State, err = ownPart(text, setup.Name)
	return setup, err == nil, err
}

// ownPart leaves the resources of other setups out of an export: their clouds are not there.
func ownPart(text []byte, own string) ([]byte, error) {
	var whole, deployment map[string]json.RawMessage
	var resources, kept []json.RawMessage
	err := json.Unmarshal(text, &whole)
	if err == nil {
		err = json.Unmarshal(whole["deployment"], &deployment)
	}
	if err == nil {
		err = json.Unmarshal(deployment["resources"], &resources)
	}
	if err != nil {
		return nil, fmt.Errorf("read the export: %w", err)
	}
	for _, r := range resources {
		var resource exported
		if err := json.Unmarshal(r, &resource); err != nil {
			return nil, fmt.Errorf("read the export: %w", err)
		}
		if !slices.ContainsFunc(stacks.Setups(), func(s stacks.Setup) bool { return s.Name != own && belongs(resource.Type, s.Name) }) {
			kept = append(kept, r)
		}
	}
	if deployment["resources"], err = json.Marshal(kept); err == nil {
		if whole["deployment"], err = json.Marshal(deployment); err == nil {
			return json.Marshal(whole)
		}
	}
	return nil, err
}

// belongs reports whether a type is one of a setup: of its provider's package, the provider itself, or a component.
func belongs(typ, setup string) bool {
	return strings.HasPrefix(typ, setup+":") || typ == "pulumi:providers:"+setup ||
		strings.HasPrefix(typ, stacks.Namespace+":"+setup+":")
}

func remarshal(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil || from == nil {
		return err
	}
	return json.Unmarshal(text, to)
}

// adopt puts the resources of a state into the cloud. A state lists what depends on another after it.
func adopt(cloud *alicloud.Cloud, resources []exported) error {
	for _, r := range resources {
		if !r.Custom || r.Delete || !strings.HasPrefix(r.Type, "alicloud:") {
			continue
		}
		inputs, outputs := plain(r.Inputs), plain(r.Outputs)
		if err := cloud.Adopt(r.Type, r.ID, inputs, outputs); err != nil {
			return fmt.Errorf("%s: %w", r.URN, err)
		}
	}
	return automaticRoutes(cloud)
}

// plain leaves out, at any depth, the properties that begin with two underscores, the bridge's own bookkeeping, and what is secret
// about others: a cloud does not know what is. Nothing is what is absent.
func plain(o sim.Object) sim.Object {
	clean := sim.Object{}
	for k, v := range o {
		if !strings.HasPrefix(k, "__") && v != nil {
			clean[k] = plainValue(v)
		}
	}
	return clean
}

func plainValue(v any) any {
	switch v := v.(type) {
	case sim.Object:
		if v[resource.SigKey] == resource.SecretSig {
			return revealed(v)
		}
		return plain(v)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = plainValue(e)
		}
		return list
	default:
		return v
	}
}

// revealed is the value of a secret, or what [engine.Stack.Import] takes for one that is not shown.
func revealed(secret sim.Object) any {
	var shown any = engine.Blind
	if text, ok := secret["plaintext"].(string); ok && json.Unmarshal([]byte(text), &shown) != nil {
		return engine.Blind
	}
	return shown
}

// automaticRoutes adds what no state names: the default route that the cloud made with a NAT gateway.
func automaticRoutes(cloud *alicloud.Cloud) error {
	for _, v := range cloud.VPCs() {
		gateways := cloud.NATGateways(v.ID)
		for _, t := range cloud.RouteTables(v.ID) {
			taken := slices.ContainsFunc(t.Entries, func(e alicloud.RouteEntry) bool { return e.CIDR.Bits() == 0 })
			if t.Type != alicloud.System || taken || len(gateways) == 0 {
				continue
			}
			e := alicloud.RouteEntry{CIDR: netip.PrefixFrom(netip.IPv4Unspecified(), 0), HopType: alicloud.HopNATGateway, HopID: gateways[0].ID, Automatic: true}
			if err := cloud.AddRoute(t.ID, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// seed puts the recorded network into an empty cloud. Where an instance of the old gateway lies in the VPC is not
// recorded and makes no difference here: any vSwitch will do.
func (f *found) seed(cloud *alicloud.Cloud) error {
	if len(f.CIDRs) == 0 || len(f.VSwitches) == 0 {
		return errors.New("it has no CIDR or no vSwitch")
	}
	vpc := alicloud.VPC{ID: f.VPCID, CIDR: f.CIDRs[0], SecondaryCIDRs: f.CIDRs[1:], RouterID: f.RouterID}
	for _, t := range f.Tables {
		if t.System {
			vpc.RouteTableID = t.ID
		}
	}
	if _, err := cloud.AddVPC(vpc); err != nil {
		return err
	}
	for _, t := range f.Tables {
		if t.System {
			continue
		}
		if _, err := cloud.AddTable(alicloud.RouteTable{ID: t.ID, VPCID: f.VPCID}); err != nil {
			return err
		}
	}
	for _, v := range f.VSwitches {
		if _, err := cloud.AddVSwitch(alicloud.VSwitch{ID: v.ID, VPCID: f.VPCID, ZoneID: v.Zone, CIDR: v.CIDR, RouteTableID: v.Table}); err != nil {
			return err
		}
	}
	if err := f.seedOld(cloud); err != nil {
		return err
	}
	for _, t := range f.Tables {
		for _, r := range t.Routes {
			if err := cloud.AddRoute(t.ID, alicloud.RouteEntry{CIDR: r.CIDR, HopType: alicloud.HopType(r.Type), HopID: r.ID}); err != nil {
				return err
			}
		}
	}
	return nil
}

// seedOld puts the old gateway there, forwarding, with its addresses.
func (f *found) seedOld(cloud *alicloud.Cloud) error {
	old, vswitch := f.OldNextHop, f.VSwitches[0].ID
	if old.ID == "" || !old.Running {
		return nil
	}
	for _, id := range old.Instances {
		if _, err := cloud.AddInstance(alicloud.Instance{ID: id, VPCID: f.VPCID, VSwitchID: vswitch, Forwards: true}); err != nil {
			return err
		}
	}
	var err error
	bound := alicloud.BindECS
	switch alicloud.HopType(old.Type) {
	case alicloud.HopNetworkInterface:
		bound = "NetworkInterface"
		_, err = cloud.AddENI(alicloud.Interface{ID: old.ID, VSwitchID: vswitch, InstanceID: old.Instances[0]})
	case alicloud.HopHAVIP:
		bound = "HaVip"
		_, err = cloud.AddHAVIP(alicloud.HAVIP{ID: old.ID, VSwitchID: vswitch, Instances: old.Instances})
	}
	for i, a := range old.Addresses {
		bandwidth := 0
		if i == 0 { // the record has their sum
			bandwidth = old.Bandwidth
		}
		if err == nil {
			_, err = cloud.AddEIP(alicloud.EIP{Address: a.String(), Bandwidth: strconv.Itoa(bandwidth), InstanceID: old.ID, InstanceType: bound})
		}
	}
	return err
}
