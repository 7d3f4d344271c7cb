package alicloud

import "polynat/internal/sim"

// Error is an answer of the API that refuses a call. Its code is one of the
// Code constants.
type Error = sim.Refusal

// Codes that the API documents or that the Terraform provider v1.217.2 reacts
// to.
const (
	CodeTaskConflict       = "TaskConflict"                          // a route task of the VPC is under way; retried by the provider
	CodeOperationConflict  = "OperationConflict"                     // an SNAT task of the gateway is under way; retried by the provider
	CodeRouteDuplicated    = "RouterEntryConflict.Duplicated"        // the table has an entry with this destination
	CodeRouteNotFound      = "InvalidRouteEntry.NotFound"            // counts as success when the provider deletes
	CodeRouteInUse         = "DependencyViolation.RouterEntry"       // a route entry points at the gateway
	CodeEIPsLeft           = "DependencyViolation.EIPS"              // the gateway still has addresses
	CodeBandwidthLeft      = "DependencyViolation.BandwidthPackages" // the address or gateway is still in a bandwidth package
	CodeEIPNotInGateway    = "EIP_NOT_IN_GATEWAY"                    // an SNAT or DNAT address is not bound to the gateway
	CodeEIPUsedBySNAT      = "InvalidIpStatus.HasBeenUsedBySnatTable"
	CodeNATGatewayNotReady = "IncorrectStatus.NATGW"
	CodeThrottling         = "Throttling.User"            // of a lookup; of another call, the provider tries again
	CodeNATGatewayGone     = "IncorrectStatus.NatGateway" // counts as success when the provider deletes
)

// Codes whose exact spelling was not verified against the API. Callers should
// not decide anything by them.
const (
	CodeNotFound            = "ResourceNotFound"
	CodeInvalid             = "InvalidParameter"
	CodeQuotaExceeded       = "QuotaExceeded"
	CodeDependency          = "DependencyViolation"
	CodeDeletionProtection  = "OperationDenied.DeletionProtection"
	CodeSNATLeft            = "DependencyViolation.SnatEntry"
	CodeDNATLeft            = "DependencyViolation.ForwardEntry"
	CodeEIPUsedByDNAT       = "InvalidIpStatus.HasBeenUsedByForwardTable"
	CodeEIPStatus           = "IncorrectEipStatus"
	CodeAssociated          = "InvalidAssociation.Duplicated"
	CodeSNATSourceTaken     = "InvalidSource.AlreadySpecified"
	CodeHAVIPInVSwitch      = "OperationUnsupported.HaVip"
	CodeDefaultRouteInVPC   = "OperationUnsupported.DefaultRouteExists"
	CodeZoneNotOnSale       = "Zone.NotOnSale"
	CodeZoneNotSupported    = "InvalidVSwitch.ZoneNotSupported"
	CodeOverlap             = "InvalidCidrBlock.Overlapped"
	CodeDestinationReserved = "InvalidDestinationCidrBlock"
)

// IsCode reports whether err, or an error that it wraps, is an [Error] with
// one of the codes.
func IsCode(err error, codes ...string) bool { return sim.IsCode(err, codes...) }

func fail(code, format string, args ...any) error { return sim.Refuse(code, format, args...) }

func notFound(kind, id string) error {
	return fail(CodeNotFound, "%s: %q: does not exist", kind, id)
}
