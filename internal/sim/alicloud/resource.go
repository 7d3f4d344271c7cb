package alicloud

import "polynat/internal/sim"

// creationTime of everything: the simulation has no clock.
const creationTime = "2024-01-01T00:00:00Z"

const available = string(Available)

// kinds are the resource types. Composite ids are those that the provider
// v1.217.2 documents for import.
var kinds = map[string]kind{
	"alicloud:vpc/network:Network":                                                 networkKind,
	"alicloud:vpc/switch:Switch":                                                   vswitchKind,
	"alicloud:vpc/routeTable:RouteTable":                                           routeTableKind,
	"alicloud:vpc/routeTableAttachment:RouteTableAttachment":                       routeTableAttachmentKind,
	"alicloud:vpc/routeEntry:RouteEntry":                                           routeEntryKind,
	"alicloud:vpc/natGateway:NatGateway":                                           natGatewayKind,
	"alicloud:vpc/snatEntry:SnatEntry":                                             snatEntryKind,
	"alicloud:vpc/forwardEntry:ForwardEntry":                                       forwardEntryKind,
	"alicloud:ecs/eipAddress:EipAddress":                                           eipAddressKind,
	"alicloud:ecs/eipAssociation:EipAssociation":                                   eipAssociationKind,
	"alicloud:vpc/commonBandwithPackage:CommonBandwithPackage":                     bandwidthPackageKind,
	"alicloud:vpc/commonBandwithPackageAttachment:CommonBandwithPackageAttachment": bandwidthPackageAttachmentKind,
	"alicloud:ecs/instance:Instance":                                               instanceKind,
	"alicloud:ecs/securityGroup:SecurityGroup":                                     securityGroupKind,
	"alicloud:ecs/securityGroupRule:SecurityGroupRule":                             securityGroupRuleKind,
}

// payment reads the two spellings of how a resource is paid for.
func payment(o sim.Object) string {
	if prepaid(o) {
		return "Subscription"
	}
	return "PayAsYouGo"
}

func prepaid(o sim.Object) bool {
	switch text(o, "paymentType", "instanceChargeType") {
	case "Subscription", "PrePaid":
		return true
	}
	return false
}

// billing is the older spelling of a payment type.
func billing(payment string) string {
	if payment == "Subscription" {
		return "PrePaid"
	}
	return "PostPaid"
}

// or returns s, or what the cloud chooses if it is empty.
func or(s, chosen string) string {
	if s == "" {
		return chosen
	}
	return s
}
