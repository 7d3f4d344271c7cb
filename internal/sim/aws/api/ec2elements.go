package api

import (
	"encoding/base64"
	"maps"
	"slices"
	"time"

	"polynat/internal/sim/aws"
)

// items is a list, as EC2 writes it.
type items[T any] struct {
	Items []T `xml:"item"`
}

// set is a list under a name.
func set[In, Out any](name string, in []In, convert func(In) Out) member {
	return member{name, list(in, convert)}
}

func list[In, Out any](in []In, convert func(In) Out) items[Out] {
	var l items[Out]
	for _, v := range in {
		l.Items = append(l.Items, convert(v))
	}
	return l
}

// stamp is a time as the APIs write it; empty for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

type tag struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

func newTags(tags aws.Tags) items[tag] {
	return list(slices.Sorted(maps.Keys(tags)), func(key string) tag { return tag{key, tags[key]} })
}

type group struct {
	ID   string `xml:"groupId"`
	Name string `xml:"groupName"`
}

func newGroup(id string) group { return group{ID: id, Name: id} }

type routeTable struct {
	ID           string             `xml:"routeTableId"`
	VPC          string             `xml:"vpcId"`
	Owner        string             `xml:"ownerId"`
	Routes       items[route]       `xml:"routeSet"`
	Associations items[association] `xml:"associationSet"`
	Tags         items[tag]         `xml:"tagSet"`
}

type route struct {
	DestinationCIDR           string `xml:"destinationCidrBlock,omitempty"`
	DestinationIPv6CIDR       string `xml:"destinationIpv6CidrBlock,omitempty"`
	Gateway                   string `xml:"gatewayId,omitempty"`
	NatGateway                string `xml:"natGatewayId,omitempty"`
	NetworkInterface          string `xml:"networkInterfaceId,omitempty"`
	Instance                  string `xml:"instanceId,omitempty"`
	InstanceOwner             string `xml:"instanceOwnerId,omitempty"`
	EgressOnlyInternetGateway string `xml:"egressOnlyInternetGatewayId,omitempty"`
	VPCPeeringConnection      string `xml:"vpcPeeringConnectionId,omitempty"`
	TransitGateway            string `xml:"transitGatewayId,omitempty"`
	State                     string `xml:"state"`
	Origin                    string `xml:"origin"`
}

type association struct {
	ID      string `xml:"routeTableAssociationId"`
	Table   string `xml:"routeTableId"`
	Subnet  string `xml:"subnetId,omitempty"`
	Gateway string `xml:"gatewayId,omitempty"`
	Main    bool   `xml:"main"`
	State   string `xml:"associationState>state"`
}

func newRouteTable(t aws.RouteTable) routeTable {
	return routeTable{
		ID: t.RouteTableID, VPC: t.VpcID, Owner: t.OwnerID,
		Routes: list(t.Routes, func(r aws.Route) route {
			return route{
				r.DestinationCidrBlock, r.DestinationIpv6CidrBlock, r.GatewayID, r.NatGatewayID, r.NetworkInterfaceID, r.InstanceID,
				r.InstanceOwnerID, r.EgressOnlyInternetGatewayID, r.VpcPeeringConnectionID, r.TransitGatewayID, r.State, r.Origin,
			}
		}),
		Associations: list(t.Associations, func(a aws.RouteTableAssociation) association {
			return association{a.AssociationID, a.RouteTableID, a.SubnetID, a.GatewayID, a.Main, "associated"}
		}),
		Tags: newTags(t.Tags),
	}
}

type networkInterface struct {
	ID               string                `xml:"networkInterfaceId"`
	Subnet           string                `xml:"subnetId"`
	VPC              string                `xml:"vpcId"`
	Zone             string                `xml:"availabilityZone"`
	Description      string                `xml:"description"`
	Owner            string                `xml:"ownerId"`
	RequesterManaged bool                  `xml:"requesterManaged"`
	Status           string                `xml:"status"`
	MAC              string                `xml:"macAddress"`
	PrivateIP        string                `xml:"privateIpAddress"`
	SourceDestCheck  bool                  `xml:"sourceDestCheck"`
	Groups           items[group]          `xml:"groupSet"`
	Attachment       *attachment           `xml:"attachment"`
	Association      *publicAddress        `xml:"association"`
	Tags             items[tag]            `xml:"tagSet"`
	PrivateIPs       items[privateAddress] `xml:"privateIpAddressesSet"`
	IPv6s            items[ipv6Address]    `xml:"ipv6AddressesSet"`
	Type             string                `xml:"interfaceType"`
}

type attachment struct {
	ID                  string `xml:"attachmentId"`
	Instance            string `xml:"instanceId,omitempty"`
	InstanceOwner       string `xml:"instanceOwnerId,omitempty"`
	DeviceIndex         int    `xml:"deviceIndex"`
	Status              string `xml:"status"`
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
}

type publicAddress struct {
	PublicIP    string `xml:"publicIp"`
	Owner       string `xml:"ipOwnerId"`
	Allocation  string `xml:"allocationId,omitempty"`
	Association string `xml:"associationId,omitempty"`
}

type privateAddress struct {
	PrivateIP   string         `xml:"privateIpAddress"`
	Primary     bool           `xml:"primary"`
	Association *publicAddress `xml:"association"`
}

type ipv6Address struct {
	Address string `xml:"ipv6Address"`
}

func newPrivateAddress(p aws.PrivateAddress, owner string) privateAddress {
	a := privateAddress{PrivateIP: p.PrivateIPAddress, Primary: p.Primary}
	if p.PublicIP != "" {
		if p.AllocationID == "" {
			owner = "amazon" // auto-assigned
		}
		a.Association = &publicAddress{p.PublicIP, owner, p.AllocationID, p.AssociationID}
	}
	return a
}

func newNetworkInterface(i aws.NetworkInterface) networkInterface {
	n := networkInterface{
		ID: i.NetworkInterfaceID, Subnet: i.SubnetID, VPC: i.VpcID, Zone: i.AvailabilityZone, Description: i.Description, Owner: i.OwnerID,
		RequesterManaged: i.RequesterManaged, Status: i.Status, MAC: i.MacAddress, PrivateIP: i.PrivateIPAddress,
		SourceDestCheck: i.SourceDestCheck, Groups: list(i.GroupIDs, newGroup), Tags: newTags(i.Tags),
		PrivateIPs: list(i.PrivateIPAddresses, func(p aws.PrivateAddress) privateAddress { return newPrivateAddress(p, i.OwnerID) }),
		IPv6s:      list(i.Ipv6Addresses, func(a string) ipv6Address { return ipv6Address{a} }),
		Type:       i.InterfaceType,
	}
	for _, p := range n.PrivateIPs.Items {
		if p.Primary {
			n.Association = p.Association
		}
	}
	if i.AttachmentID != "" {
		n.Attachment = &attachment{i.AttachmentID, i.InstanceID, i.OwnerID, i.DeviceIndex, "attached", i.DeleteOnTermination}
	}
	return n
}

// newAttribute shows what was asked for, each wrapped in a value.
func newAttribute(a aws.NetworkInterfaceAttribute) any {
	type value struct {
		Value any `xml:"value"`
	}
	answer := []member{{"networkInterfaceId", a.NetworkInterfaceID}}
	if a.SourceDestCheck != nil {
		answer = append(answer, member{"sourceDestCheck", value{*a.SourceDestCheck}})
	}
	if a.Description != nil {
		answer = append(answer, member{"description", value{*a.Description}})
	}
	if a.GroupIDs != nil {
		answer = append(answer, set("groupSet", a.GroupIDs, newGroup))
	}
	return answer
}

type assigned struct {
	Address string `xml:"privateIpAddress"`
}

func newAssigned(a string) assigned { return assigned{a} }

type address struct {
	PublicIP              string     `xml:"publicIp"`
	Allocation            string     `xml:"allocationId"`
	Domain                string     `xml:"domain"`
	Instance              string     `xml:"instanceId,omitempty"`
	Association           string     `xml:"associationId,omitempty"`
	NetworkInterface      string     `xml:"networkInterfaceId,omitempty"`
	NetworkInterfaceOwner string     `xml:"networkInterfaceOwnerId,omitempty"`
	PrivateIP             string     `xml:"privateIpAddress,omitempty"`
	Tags                  items[tag] `xml:"tagSet"`
}

func newAddress(a aws.Address) address {
	return address{
		a.PublicIP, a.AllocationID, a.Domain, a.InstanceID, a.AssociationID, a.NetworkInterfaceID, a.NetworkInterfaceOwnerID,
		a.PrivateIPAddress, newTags(a.Tags),
	}
}

// instanceStates are the codes that go with the names (InstanceState of the API reference).
var instanceStates = map[string]int{
	aws.StatePending: 0, aws.StateRunning: 16, aws.StateShuttingDown: 32, aws.StateTerminated: 48, aws.StateStopping: 64, aws.StateStopped: 80,
}

type instanceState struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

func newState(name string) instanceState { return instanceState{instanceStates[name], name} }

type stateChange struct {
	ID       string        `xml:"instanceId"`
	Current  instanceState `xml:"currentState"`
	Previous instanceState `xml:"previousState"`
}

func newStateChange(c aws.InstanceStateChange) stateChange {
	return stateChange{c.InstanceID, newState(c.CurrentState), newState(c.PreviousState)}
}

type reservation struct {
	ID        string          `xml:"reservationId"`
	Instances items[instance] `xml:"instancesSet"`
}

type instance struct {
	ID              string                  `xml:"instanceId"`
	Image           string                  `xml:"imageId"`
	State           instanceState           `xml:"instanceState"`
	Type            string                  `xml:"instanceType"`
	LaunchTime      string                  `xml:"launchTime"`
	Zone            string                  `xml:"placement>availabilityZone"`
	Subnet          string                  `xml:"subnetId,omitempty"`
	VPC             string                  `xml:"vpcId,omitempty"`
	PrivateIP       string                  `xml:"privateIpAddress,omitempty"`
	PublicIP        string                  `xml:"ipAddress,omitempty"`
	SourceDestCheck bool                    `xml:"sourceDestCheck"`
	Architecture    string                  `xml:"architecture"`
	Lifecycle       string                  `xml:"instanceLifecycle,omitempty"`
	Profile         *profile                `xml:"iamInstanceProfile"`
	Metadata        metadataOptions         `xml:"metadataOptions"`
	Interfaces      items[networkInterface] `xml:"networkInterfaceSet"`
	Tags            items[tag]              `xml:"tagSet"`
}

type profile struct {
	ARN string `xml:"arn"`
}

type metadataOptions struct {
	State    string `xml:"state"`
	Tokens   string `xml:"httpTokens"`
	HopLimit int    `xml:"httpPutResponseHopLimit"`
	Endpoint string `xml:"httpEndpoint"`
	Tags     string `xml:"instanceMetadataTags"`
}

func newReservation(i aws.Instance, interfaces map[string]aws.NetworkInterface) reservation {
	n := instance{
		ID: i.InstanceID, Image: i.ImageID, State: newState(i.State), Type: i.InstanceType, LaunchTime: stamp(i.LaunchTime), Zone: i.AvailabilityZone,
		Subnet: i.SubnetID, VPC: i.VpcID, PrivateIP: i.PrivateIPAddress, PublicIP: i.PublicIPAddress, Architecture: i.Architecture,
		Lifecycle: i.Lifecycle, Metadata: metadataOptions{"applied", i.HTTPTokens, i.HopLimit, "enabled", "disabled"}, Tags: newTags(i.Tags),
	}
	if i.InstanceProfileARN != "" {
		n.Profile = &profile{i.InstanceProfileARN}
	}
	if i.MetadataTags {
		n.Metadata.Tags = "enabled"
	}
	for at, id := range i.NetworkInterfaceIDs {
		if found, ok := interfaces[id]; ok {
			n.Interfaces.Items = append(n.Interfaces.Items, newNetworkInterface(found))
			n.SourceDestCheck = n.SourceDestCheck || at == 0 && found.SourceDestCheck
		}
	}
	return reservation{ID: "r-" + base64.RawURLEncoding.EncodeToString([]byte(i.InstanceID)), Instances: items[instance]{[]instance{n}}}
}

type natGateway struct {
	ID               string                   `xml:"natGatewayId"`
	Subnet           string                   `xml:"subnetId"`
	VPC              string                   `xml:"vpcId"`
	State            string                   `xml:"state"`
	FailureCode      string                   `xml:"failureCode,omitempty"`
	FailureMessage   string                   `xml:"failureMessage,omitempty"`
	ConnectivityType string                   `xml:"connectivityType"`
	CreateTime       string                   `xml:"createTime"`
	Addresses        items[natGatewayAddress] `xml:"natGatewayAddressSet"`
	Tags             items[tag]               `xml:"tagSet"`
}

type natGatewayAddress struct {
	Allocation       string `xml:"allocationId,omitempty"`
	PublicIP         string `xml:"publicIp,omitempty"`
	PrivateIP        string `xml:"privateIp,omitempty"`
	NetworkInterface string `xml:"networkInterfaceId,omitempty"`
	Primary          bool   `xml:"isPrimary"`
	Status           string `xml:"status"`
}

func newNatGateway(g aws.NatGateway) natGateway {
	status := "associating"
	if g.State == aws.GatewayAvailable {
		status = "succeeded"
	}
	return natGateway{
		ID: g.NatGatewayID, Subnet: g.SubnetID, VPC: g.VpcID, State: g.State, FailureCode: g.FailureCode, FailureMessage: g.FailureMessage,
		ConnectivityType: g.ConnectivityType, CreateTime: stamp(g.CreateTime), Tags: newTags(g.Tags),
		Addresses: items[natGatewayAddress]{[]natGatewayAddress{{g.AllocationID, g.PublicIP, g.PrivateIP, g.NetworkInterfaceID, true, status}}},
	}
}
