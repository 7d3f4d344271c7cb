package nat

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/problem"
)

// Architectures, as EC2 and Lambda call them.
const (
	ARM64 = "arm64"
	X8664 = "x86_64"
)

// instanceType is what has to be known of an instance type.
type instanceType struct {
	architectures []string
	// addresses that one network interface takes, IPv4.
	addresses int
	// nitro types let the timeouts of connection tracking be set.
	nitro bool
}

// sizes are IPv4 addresses for each interface, by size, of the families below but t4g and t3, by the limits that EC2 published
// on 2026-08-01.
var sizes = map[string]int{
	"medium": 4, "large": 10, "xlarge": 15, "2xlarge": 15, "4xlarge": 30, "8xlarge": 30, "12xlarge": 30, "16xlarge": 50,
}

// burstable are those of t4g and t3.
var burstable = map[string]int{"nano": 2, "micro": 2, "small": 4, "medium": 6, "large": 12, "xlarge": 15, "2xlarge": 15}

// families that are common for NAT: known without a lookup, so that a preview needs none.
var families = map[string]struct {
	architecture string
	sizes        map[string]int
	absent       []string
}{
	"t4g":  {ARM64, burstable, nil},
	"t3":   {X8664, burstable, nil},
	"c6gn": {ARM64, sizes, nil},
	"c7gn": {ARM64, sizes, nil},
	"c8gn": {ARM64, sizes, nil},
	"c6in": {X8664, sizes, []string{"medium"}},
}

// knownType is what the table says of a type.
func knownType(name string) (instanceType, bool) {
	family, size, _ := strings.Cut(name, ".")
	f, ok := families[family]
	addresses, sized := f.sizes[size]
	if !ok || !sized || slices.Contains(f.absent, size) {
		return instanceType{}, false
	}
	return instanceType{architectures: []string{f.architecture}, addresses: addresses, nitro: true}, true
}

// commonTypes are the names of the types in the table.
func commonTypes() (names []string) {
	for _, family := range slices.Sorted(maps.Keys(families)) {
		for size := range families[family].sizes {
			if name := family + "." + size; !slices.Contains(families[family].absent, size) {
				names = append(names, name)
			}
		}
	}
	return slices.Sorted(slices.Values(names))
}

// lookupType asks EC2 for a type that the table does not have.
func lookupType(ctx *pulumi.Context, name string, opts ...pulumi.InvokeOption) (instanceType, error) {
	found, err := ec2.GetInstanceType(ctx, &ec2.GetInstanceTypeArgs{InstanceType: name}, opts...)
	if err != nil {
		return instanceType{}, err
	}
	if found.MaximumIpv4AddressesPerInterface == 0 {
		return instanceType{}, errors.New("EC2 says nothing of its network interfaces")
	}
	return instanceType{architectures: found.SupportedArchitectures, addresses: found.MaximumIpv4AddressesPerInterface, nitro: found.Hypervisor != "xen"}, nil
}

// types checks the instance types, and finds what they have in common.
func (r *resolved) types(ctx *pulumi.Context, args *Args, list *problem.List, opts ...pulumi.InvokeOption) {
	r.architecture, r.nitro = args.Instance.Architecture, true
	for i, name := range args.Instance.types() {
		field := fmt.Sprintf("instance.types[%d]", i)
		t, ok := knownType(name)
		if !ok {
			var err error
			if t, err = lookupType(ctx, name, opts...); err != nil {
				const others = "choose another, such as t4g.small or c7gn.medium"
				if strings.Contains(err.Error(), "InvalidInstanceType") {
					list.Add(field, name, "is not an instance type", problem.Meant(name, others, commonTypes()...))
				} else {
					list.Add(field, name, "cannot be looked up: "+problem.Answer(err), others)
				}
				continue
			}
		}
		if t.addresses < 2 {
			list.Add(field, name, fmt.Sprintf("has room for %d IPv4 address, and the zone's is a second one", t.addresses), "choose another, such as t4g.small")
		}
		r.nitro = r.nitro && t.nitro
		if r.architecture == "" {
			r.architecture = t.architectures[0]
			if slices.Contains(t.architectures, ARM64) {
				r.architecture = ARM64
			} else if slices.Contains(t.architectures, X8664) {
				r.architecture = X8664
			}
		}
		if !slices.Contains(t.architectures, r.architecture) {
			wayOut := "choose types of one architecture"
			if args.Instance.Architecture != "" {
				wayOut = "leave instance.architecture out, or choose another type"
			}
			list.Add(field, name, "is "+strings.Join(t.architectures, " or ")+", not "+r.architecture, wayOut)
		}
	}
}
