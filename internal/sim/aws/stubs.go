package aws

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"polynat/internal/sim"
)

var errTODO = errors.New("not built yet")

// Cloud is one simulated region of one account. It is safe for concurrent use.
type Cloud struct {
	// OnChange, when set, is called after every single change of state. No other change happens until it returns: it may
	// read but must not change the cloud. Set it before use.
	OnChange func()
	// OnEvent, when set, is called for every event, one after the other, with no lock held: it may call the API. Set it
	// before use.
	OnEvent func(Event)
}

// New returns an empty region.
func New(Options) *Cloud { return &Cloud{} }

// Advance moves simulated time and does what is due on the way; with a real clock it does what is due by now.
func (c *Cloud) Advance(time.Duration) {}

// Run does what is due by a real clock until the context ends.
func (c *Cloud) Run(ctx context.Context) { <-ctx.Done() }

// Now is the cloud's time.
func (c *Cloud) Now() time.Time { return time.Time{} }

// Save returns the whole state as JSON; equal states give equal bytes.
func (c *Cloud) Save() ([]byte, error) { return nil, errTODO }

// Load replaces the state by one that Save returned.
func (c *Cloud) Load([]byte) error { return errTODO }

// Clone returns a cloud with the same options and state, a life of its own and no callbacks.
func (c *Cloud) Clone() *Cloud { return c }

func (c *Cloud) DescribeRouteTables(DescribeRouteTablesInput) ([]RouteTable, error) {
	return nil, errTODO
}
func (c *Cloud) CreateRoute(RouteInput) error       { return errTODO }
func (c *Cloud) ReplaceRoute(RouteInput) error      { return errTODO }
func (c *Cloud) DeleteRoute(DeleteRouteInput) error { return errTODO }
func (c *Cloud) DescribeNetworkInterfaces(DescribeNetworkInterfacesInput) ([]NetworkInterface, error) {
	return nil, errTODO
}
func (c *Cloud) DescribeNetworkInterfaceAttribute(DescribeNetworkInterfaceAttributeInput) (NetworkInterfaceAttribute, error) {
	return NetworkInterfaceAttribute{}, errTODO
}
func (c *Cloud) ModifyNetworkInterfaceAttribute(ModifyNetworkInterfaceAttributeInput) error {
	return errTODO
}
func (c *Cloud) AssignPrivateIPAddresses(AssignPrivateIPAddressesInput) (AssignPrivateIPAddressesOutput, error) {
	return AssignPrivateIPAddressesOutput{}, errTODO
}
func (c *Cloud) UnassignPrivateIPAddresses(UnassignPrivateIPAddressesInput) error { return errTODO }
func (c *Cloud) DescribeAddresses(DescribeAddressesInput) ([]Address, error)      { return nil, errTODO }

// AssociateAddress returns the id of the association.
func (c *Cloud) AssociateAddress(AssociateAddressInput) (string, error)          { return "", errTODO }
func (c *Cloud) DisassociateAddress(DisassociateAddressInput) error              { return errTODO }
func (c *Cloud) DescribeInstances(DescribeInstancesInput) ([]Instance, error)    { return nil, errTODO }
func (c *Cloud) TerminateInstances(ids ...string) ([]InstanceStateChange, error) { return nil, errTODO }
func (c *Cloud) StopInstances(ids ...string) ([]InstanceStateChange, error)      { return nil, errTODO }
func (c *Cloud) StartInstances(ids ...string) ([]InstanceStateChange, error)     { return nil, errTODO }
func (c *Cloud) RebootInstances(ids ...string) error                             { return errTODO }
func (c *Cloud) DescribeNatGateways(DescribeNatGatewaysInput) ([]NatGateway, error) {
	return nil, errTODO
}
func (c *Cloud) DescribeAutoScalingGroups(DescribeAutoScalingGroupsInput) ([]AutoScalingGroup, error) {
	return nil, errTODO
}
func (c *Cloud) DescribeAutoScalingInstances(ids ...string) ([]GroupInstance, error) {
	return nil, errTODO
}
func (c *Cloud) CompleteLifecycleAction(CompleteLifecycleActionInput) error { return errTODO }
func (c *Cloud) RecordLifecycleActionHeartbeat(RecordLifecycleActionHeartbeatInput) error {
	return errTODO
}
func (c *Cloud) SetInstanceHealth(SetInstanceHealthInput) error { return errTODO }

// StartInstanceRefresh returns the id of the refresh.
func (c *Cloud) StartInstanceRefresh(StartInstanceRefreshInput) (string, error) { return "", errTODO }
func (c *Cloud) GetParameter(name string) (Parameter, error)                    { return Parameter{}, errTODO }

// PutParameter returns the version.
func (c *Cloud) PutParameter(PutParameterInput) (int, error) { return 0, errTODO }

// Publish returns the id of the message; Published returns all so far.
func (c *Cloud) Publish(PublishInput) (string, error) { return "", errTODO }
func (c *Cloud) Published() []PublishInput            { return nil }

// PutMetricData records; Metrics returns all so far.
func (c *Cloud) PutMetricData(...Datum) error { return errTODO }
func (c *Cloud) Metrics() []Datum             { return nil }

// Metadata answers a path under /latest of instance metadata, such as "meta-data/instance-id", "user-data" or
// "dynamic/instance-identity/document", as the instance sees it; ok is false for 404.
func (c *Cloud) Metadata(instanceID, path string) (text string, ok bool) { return "", false }

// InterruptSpot warns of a reclaim: two minutes later the instance is terminated.
func (c *Cloud) InterruptSpot(instanceID string) error { return errTODO }

// RecommendRebalance tells that a Spot instance is at risk.
func (c *Cloud) RecommendRebalance(instanceID string) error { return errTODO }

// Instances returns all instances that are not terminated.
func (c *Cloud) Instances() []Instance { return nil }

// Functions and Rules return what is declared, by name.
func (c *Cloud) Functions() []Function { return nil }
func (c *Cloud) Rules() []Rule         { return nil }

// Break lets a fault befall an instance; Repair takes it away.
func (c *Cloud) Break(instanceID string, fault Fault) error  { return errTODO }
func (c *Cloud) Repair(instanceID string, fault Fault) error { return errTODO }

// WaysOut judges the traffic of a VPC: a way for each private subnet and class of destinations outside the VPC.
func (c *Cloud) WaysOut(vpcID string) []Way { return nil }

// VPCs returns the ids of all VPCs, sorted.
func (c *Cloud) VPCs() []string { return nil }

// Route returns the route that a subnet's packets to an address take; ok is false if there is none.
func (c *Cloud) Route(subnetID string, dst netip.Addr) (r Route, ok bool) { return Route{}, false }

// Schema returns the facts about the simulated resource types and lookups. The caller must not change it.
func Schema() *sim.Schema { return nil }

func (c *Cloud) Create(ctx context.Context, r sim.Request) (string, sim.Object, error) {
	return "", nil, errTODO
}
func (c *Cloud) Read(ctx context.Context, typ, id string) (sim.Object, sim.Object, bool, error) {
	return nil, nil, false, errTODO
}
func (c *Cloud) Update(ctx context.Context, r sim.Request) (sim.Object, error) { return nil, errTODO }
func (c *Cloud) Delete(ctx context.Context, r sim.Request) error               { return errTODO }
func (c *Cloud) Invoke(ctx context.Context, token string, args sim.Object) (sim.Object, error) {
	return nil, errTODO
}
