package migration

import (
	"time"

	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/migration"
)

// Args describe a migration. What decides which resources exist is a plain value; ids that the same program makes come
// in through Objects.
type Args struct {
	// Stage is the state to move the network to: adopt, cover, uncover, gateway, address, snat, switch or retire.
	// Required. An `up` moves by one of them at the most.
	Stage string
	// VPCID is the VPC. Empty while the program makes the VPC itself and has not done so yet: then nothing is looked up,
	// Stage must be adopt, and RouteTables must name every table.
	VPCID string
	// OldNextHop is what the default routes point at today. Required.
	OldNextHop OldNextHop
	// RouteTables are the ids of the tables to migrate. None: every table of the VPC whose 0.0.0.0/0 points at OldNextHop.
	// The choice is made at stage adopt and kept.
	RouteTables []string
	// NATGateway is what traffic leaves by afterwards. Required.
	NATGateway NATGateway
	// Addresses are the elastic IPs to make for the gateway, by a key that becomes part of their name. At least one that no
	// forward entry uses.
	Addresses map[string]Address
	// BandwidthPackage joins all addresses to a common bandwidth package. Default: none.
	BandwidthPackage *BandwidthPackage
	// SNAT says which sources the gateway translates. Default: every vSwitch of a migrated table.
	SNAT SNAT
	// Forwards are the DNAT entries that the old gateway holds today, by a name of your choice. They are made at stage snat,
	// so that they are there when the answers of forwarded connections begin to leave by the NAT gateway.
	Forwards map[string]Forward
	// Release are the blocks that stage switch moves to the NAT gateway, out of 1.0.0.0/8, 2.0.0.0/7, 4.0.0.0/6 …
	// 128.0.0.0/1. None: all eight. Add blocks one `up` after the other to move in slices.
	Release []string
	// RouteQuota is how many custom entries a route table may hold; 0 means 200, the vendor's default.
	RouteQuota int
	// Tags for everything that takes them: gateway, addresses, bandwidth package.
	Tags map[string]string
	// GateTimeout is how long the gate of a stage waits for the cloud to show the stage's work, which it does with a delay.
	// Default: 2 minutes; 0 looks once.
	GateTimeout *time.Duration
	// Record is what the stack exported when its last stage was done ([LastRecord]); nil when it has done none. The second
	// witness, beside lookups, of where the migration stands.
	Record *Record
	// Objects give things that the same program makes: by the id under which these Args name them, a key for child names
	// and the live id. For every other id, the id itself is both.
	Objects map[string]Object
	// Provider is the provider for lookups and resources. Required.
	Provider *alicloud.Provider

	// decided is what Check has found out.
	decided *decision
}

// OldNextHop is the self-managed gateway.
type OldNextHop struct {
	// Type is Instance, NetworkInterface or HaVip, as the route entries say.
	Type string
	// ID of the instance, network interface or HAVIP.
	ID string
	// Instances are the ECS instances behind a network interface or an HAVIP, looked up to see that one runs. Required for
	// those types; for an instance it is the instance itself.
	Instances []string
}

// NATGateway describes the gateway: enhanced, Internet, pay as you go by LCU.
type NATGateway struct {
	// Name in the cloud. It identifies the gateway within the VPC, so it must be unique there. Required.
	Name string
	// VSwitch is the id of the vSwitch that holds the gateway, in a zone that offers enhanced NAT. Required.
	VSwitch string
	// DeclareSystemRoute declares 0.0.0.0/0 to the gateway in the system table, if that is migrated, from stage gateway on.
	// False leaves it to the cloud, which adds it when the gateway is created. Set it when the cloud did not, refuses to
	// delete the gateway because of it, or has another Internet NAT gateway in the VPC. Once set it must stay set while the
	// gateway is there. If the cloud adds the route although it is set, one `up` at stage gateway fails, and the next takes
	// the route over.
	DeclareSystemRoute bool
}

// Address is an elastic IP.
type Address struct {
	// Bandwidth in Mbit/s, 1 to 200; changes in place. Before stage switch, the addresses that SNAT uses, or the bandwidth
	// package, must not have less together than the old gateway's. Required.
	Bandwidth int
	// InternetChargeType is PayByTraffic (default) or PayByBandwidth; the former in a bandwidth package. It cannot change
	// while the address exists: Pulumi refuses to replace it.
	InternetChargeType string
}

// BandwidthPackage is a common bandwidth package.
type BandwidthPackage struct {
	// Bandwidth in Mbit/s that the addresses share. Required.
	Bandwidth int
	// InternetChargeType is PayByTraffic (default), PayByBandwidth, PayBy95 or PayByDominantTraffic.
	InternetChargeType string
}

// SNAT says which sources the gateway translates.
type SNAT struct {
	// VSwitches are the ids that get an entry each. None: every vSwitch of a migrated table that no source CIDR covers; one
	// that is added later gets its entry at the next `up`, and its hosts have no egress until then.
	VSwitches []string
	// SourceCIDRs get an entry each: secondary CIDRs, sources behind CEN or VPN, vSwitches with an HAVIP.
	SourceCIDRs []string
	// HAVIPVSwitches are the vSwitches that hold an HAVIP, for which the API takes no entry: they must be covered by
	// SourceCIDRs. Required when OldNextHop is an HaVip.
	HAVIPVSwitches []string
}

// Forward is a DNAT entry.
type Forward struct {
	// Address is the key of the elastic IP that receives the traffic. It is not used for SNAT.
	Address string
	// ExternalPort is a port (1 to 65535), a range "10/20", or "any"; InternalPort likewise.
	ExternalPort, InternalPort string
	// InternalIP is the private IPv4 address that serves.
	InternalIP string
	// Protocol is tcp, udp or any.
	Protocol string
}

// Object is something that the same program makes.
type Object struct {
	// Key names it in child names; it must not change while the thing lives.
	Key string
	// ID is its id, known when it is made.
	ID pulumi.StringInput
	// Address is the public address of an old next hop.
	Address pulumi.StringInput
	// Aliases are earlier names of the default route of a table that was declared elsewhere in the program.
	Aliases []pulumi.Alias

	// made is set for what the program makes, as against what it found.
	made bool
}

// defaultGateTimeout leaves the cloud time for what it does after it has answered: the automatic default route follows
// the creation of a NAT gateway, which takes one to three minutes by the vendor's documentation.
const defaultGateTimeout = 2 * time.Minute

func (a *Args) gateTimeout() time.Duration {
	if a.GateTimeout == nil {
		return defaultGateTimeout
	}
	return *a.GateTimeout
}

func (a Address) chargeType() string          { return orDefault(a.InternetChargeType, "PayByTraffic") }
func (b BandwidthPackage) chargeType() string { return orDefault(b.InternetChargeType, "PayByTraffic") }

func orDefault(value, other string) string {
	if value == "" {
		return other
	}
	return value
}

// object returns the key and live id of something that Args name by id.
func (a *Args) object(id string) Object {
	if o, ok := a.Objects[id]; ok {
		o.made = true
		return o
	}
	return Object{Key: id, ID: pulumi.String(id)}
}

func (r *Record) internal() *migration.Record {
	if r == nil {
		return nil
	}
	return &migration.Record{Stage: migration.Stage(r.Stage), Tables: r.Tables, VSwitches: r.VSwitches, SystemDefault: r.SystemRoute}
}
