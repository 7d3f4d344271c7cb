package nat

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/servicequotas"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/access"
	"polynat/components/aws/failover"
	"polynat/components/aws/zone"
	"polynat/internal/natzone"
	"polynat/internal/problem"
	"polynat/internal/route"
	"polynat/internal/stackoutputs"
)

// resolved is what the arguments leave to be looked up, before anything is registered.
type resolved struct {
	account      access.Account
	architecture string
	nitro        bool
	cidrs        []string
	ipv6CIDR     string
	// publicCIDRs and addresses of the zones.
	publicCIDRs map[string]string
	addresses   map[string]netip.Addr
	// publicIPs of given Elastic IPs, by allocation id, and of given gateways, by their id.
	publicIPs    map[string]string
	destinations []netip.Prefix
	// adopt are routes to import, by zone.
	adopt map[string]map[zone.Route]string
}

// KnownBy are the outputs by which the component knows its own resources again in the state of the stack. A program that reads the
// state at its beginning, with [stackoutputs.Remember], reads these.
func KnownBy() []string { return []string{"cidrBlock", "tags"} }

// resolve looks up, and returns every problem that this brings to light.
func (a *Args) resolve(ctx *pulumi.Context, name string) (*resolved, error) {
	r := &resolved{publicCIDRs: map[string]string{}, addresses: map[string]netip.Addr{}, publicIPs: map[string]string{}, destinations: []netip.Prefix{route.Default()}}
	opts := []pulumi.InvokeOption{pulumi.Provider(a.Provider)}
	if err := r.where(ctx, opts...); err != nil {
		return nil, err
	}
	var list problem.List
	r.types(ctx, a, &list, opts...)
	r.vpc(ctx, a, &list, opts...)
	for _, key := range sorted(a.Zones) {
		if !strings.HasPrefix(key, r.account.Region) {
			list.Add("zones."+key, key, "is not in "+r.account.Region+", the region of the provider", "name zones of that region, or another provider")
			continue
		}
		r.subnet(ctx, a, key, &list, opts...)
	}
	r.given(ctx, a, &list, opts...)
	if err := concurrency(ctx, a, &list, opts...); err != nil {
		return nil, err
	}
	r.elsewhere(a, &list)
	if r.account.Partition == "aws-cn" {
		for field, values := range map[string][]string{"failover.targets": a.Failover.Targets, "failover.identity": a.Failover.Identity} {
			if len(values) == 0 {
				list.Missing(field, "the default ones are not near China: name some that are")
			}
		}
	}
	for _, d := range a.Destinations {
		r.destinations = append(r.destinations, netip.MustParsePrefix(d)) // Validate has parsed it
	}
	if a.NAT64 {
		r.destinations = append(r.destinations, natzone.NAT64Prefix())
	}
	held, err := stackoutputs.Resources(ctx, KnownBy()...)
	if err != nil {
		return nil, err
	}
	r.renamed(ctx, a, name, held, &list)
	r.occupied(ctx, a, name, held, &list, opts...)
	r.strangers(ctx, a, name, held, &list, opts...)
	return r, list.Err()
}

// where finds account, region and partition.
func (r *resolved) where(ctx *pulumi.Context, opts ...pulumi.InvokeOption) error {
	region, err := aws.GetRegion(ctx, &aws.GetRegionArgs{}, opts...)
	if err != nil {
		return fmt.Errorf("region: look it up: %w", err)
	}
	caller, err := aws.GetCallerIdentity(ctx, &aws.GetCallerIdentityArgs{}, opts...)
	if err != nil {
		return fmt.Errorf("account: look it up: %w", err)
	}
	partition, err := aws.GetPartition(ctx, &aws.GetPartitionArgs{}, opts...)
	if err != nil {
		return fmt.Errorf("partition: look it up: %w", err)
	}
	r.account = access.Account{ID: caller.AccountId, Region: region.Name, Partition: partition.Partition, DNSSuffix: partition.DnsSuffix}
	return nil
}

// unreservable is how many concurrent executions of an account nothing can reserve.
const unreservable = 100

// concurrency refuses functions that reserve more than the account has: AWS would do so half way through the update. What else is
// reserved in the account no lookup tells.
func concurrency(ctx *pulumi.Context, a *Args, list *problem.List, opts ...pulumi.InvokeOption) error {
	if a.Failover.Unreserved {
		return nil
	}
	const service, code = "lambda", "L-B99A9384"
	found, err := servicequotas.LookupServiceQuota(ctx, &servicequotas.LookupServiceQuotaArgs{ServiceCode: service, QuotaCode: pulumi.StringRef(code)}, opts...)
	if err != nil {
		return ctx.Log.Warn("the quota of concurrent executions of Lambda cannot be looked up, so that nobody sees whether the account has enough: "+problem.Answer(err), nil)
	}
	reserved := failover.Reserved() * len(a.Zones)
	if needed := unreservable + reserved; int(found.Value) < needed {
		*list = append(*list, problem.Problem{
			Field: "failover.unreserved",
			Rule: fmt.Sprintf("the functions of %d zones reserve %d concurrent executions of Lambda, and the account has %d in the region, of which AWS keeps %d unreserved",
				len(a.Zones), reserved, int(found.Value), unreservable),
			WayOut: fmt.Sprintf("ask AWS for at least %d, and for more where others reserve some (Service Quotas, %s, %s), or set it to true", needed, service, code),
		})
	}
	return nil
}

// elsewhere refuses what has to be in the region and is not: AWS would do so half way through the update.
func (r *resolved) elsewhere(a *Args, list *problem.List) {
	for _, given := range []struct{ field, arn, service, what, form string }{
		{"observability.alertTopicArn", a.Observability.AlertTopicARN, "sns", "topic", "alerts"},
		{"observability.logKmsKeyArn", a.Observability.LogKMSKeyARN, "kms", "key", "key/…"},
		{"instance.kmsKeyArn", a.Instance.KMSKeyARN, "kms", "key", "key/…"},
	} {
		if given.arn == "" {
			continue
		}
		parts := strings.SplitN(given.arn, ":", 6)
		if len(parts) < 6 || parts[2] != given.service {
			list.Add(given.field, given.arn, "is not the ARN of a "+given.what, "write it as "+r.account.ARN(given.service, given.form))
		} else if parts[3] != r.account.Region {
			list.Add(given.field, given.arn, "is in "+parts[3]+", and what uses it in "+r.account.Region, "name a "+given.what+" of that region")
		}
	}
}

func (r *resolved) vpc(ctx *pulumi.Context, a *Args, list *problem.List, opts ...pulumi.InvokeOption) {
	r.cidrs, r.ipv6CIDR = a.VPC.CIDRs, a.VPC.IPv6CIDR
	id := plain(a.VPC.ID)
	if len(r.cidrs) > 0 && (!a.NAT64 || r.ipv6CIDR != "") || id == "" {
		r.ipv6(a, list)
		return
	}
	found, err := ec2.LookupVpc(ctx, &ec2.LookupVpcArgs{Id: &id}, opts...)
	if err != nil {
		unfound(list, "vpc.id", id, "a VPC", err, "name a VPC of the region, or give vpc.cidrs")
		return
	}
	if len(r.cidrs) == 0 {
		for _, association := range found.CidrBlockAssociations {
			if association.State == "" || association.State == "associated" {
				r.cidrs = append(r.cidrs, association.CidrBlock)
			}
		}
	}
	if len(r.cidrs) == 0 {
		r.cidrs = []string{found.CidrBlock}
	}
	if r.ipv6CIDR == "" {
		r.ipv6CIDR = found.Ipv6CidrBlock
	}
	r.ipv6(a, list)
}

func (r *resolved) ipv6(a *Args, list *problem.List) {
	if a.NAT64 && r.ipv6CIDR == "" {
		list.Missing("vpc.ipv6Cidr", "the VPC has no IPv6, which NAT64 needs: give it one, or set nat64 to false")
	}
}

// unfound adds the problem of an id that a lookup did not find, or that could not be looked up.
func unfound(list *problem.List, field, id, what string, err error, wayOut string) {
	if problem.Nothing(err) {
		list.Add(field, id, "is not "+what+" of the account in this region: the lookup found none", wayOut)
		return
	}
	list.Add(field, id, "cannot be looked up: "+problem.Answer(err), wayOut)
}

// subnet finds the address of a zone.
func (r *resolved) subnet(ctx *pulumi.Context, a *Args, key string, list *problem.List, opts ...pulumi.InvokeOption) {
	z, field := a.Zones[key], "zones."+key
	cidr := z.Public.CIDR
	if id := plain(z.Public.ID); cidr == "" {
		found, err := ec2.LookupSubnet(ctx, &ec2.LookupSubnetArgs{Id: &id}, opts...)
		switch {
		case err != nil:
			unfound(list, field+".public.id", id, "a subnet", err, "name a subnet of the region, or give its CIDR")
			return
		case found.AvailabilityZone != key:
			list.Add(field+".public.id", id, "is in "+found.AvailabilityZone, "name a subnet of "+key)
		case plain(a.VPC.ID) != "" && found.VpcId != plain(a.VPC.ID):
			list.Add(field+".public.id", id, "is in the VPC "+found.VpcId, "name a subnet of "+plain(a.VPC.ID))
		}
		cidr = found.CidrBlock
	}
	subnet, err := netip.ParsePrefix(cidr)
	if err != nil {
		list.Add(field+".public.cidr", cidr, "is not a CIDR", "write it as 10.0.0.0/24")
		return
	}
	if problems := addressProblems(field, z.Address, subnet); len(problems) > 0 {
		*list = append(*list, problems...)
		return
	}
	r.publicCIDRs[key], r.addresses[key] = cidr, highest(subnet)
	if z.Address != "" {
		r.addresses[key] = netip.MustParseAddr(z.Address) // addressProblems has parsed it
	}
}

// occupied refuses a zone's address that something else has already: AWS would reserve it, and no instance could take it. It is looked
// for as long as the stack has not reserved it; whoever may not look goes on without.
func (r *resolved) occupied(ctx *pulumi.Context, a *Args, name string, held []stackoutputs.Resource, list *problem.List, opts ...pulumi.InvokeOption) {
	for _, key := range sorted(r.addresses) {
		id, address, reservation := plain(a.Zones[key].Public.ID), r.addresses[key].String(), name+"-reservation-"+key
		ours := slices.ContainsFunc(held, func(h stackoutputs.Resource) bool {
			return h.Name == reservation && h.Outputs["cidrBlock"] == address+"/32"
		})
		if id == "" || ours {
			continue
		}
		there := []ec2.GetNetworkInterfacesFilter{{Name: "subnet-id", Values: []string{id}}, {Name: "addresses.private-ip-address", Values: []string{address}}}
		found, err := ec2.GetNetworkInterfaces(ctx, &ec2.GetNetworkInterfacesArgs{Filters: there}, opts...)
		if err != nil || len(found.Ids) == 0 {
			continue
		}
		// An instance of the zone may have it: where the state was lost, or an earlier address comes back.
		own, err := ec2.GetNetworkInterfaces(ctx, &ec2.GetNetworkInterfacesArgs{Filters: append(there,
			ec2.GetNetworkInterfacesFilter{Name: "tag:" + natzone.TagName, Values: []string{physicalName(ctx, name, a)}},
			ec2.GetNetworkInterfacesFilter{Name: "tag:" + natzone.TagZone, Values: []string{key}},
		)}, opts...)
		if err == nil && len(own.Ids) == 0 {
			list.Add("zones."+key+".address", address, "is on "+strings.Join(found.Ids, ", ")+" already", "name one that is free in "+id)
		}
	}
}

// given finds the public addresses of what the arguments name by id.
func (r *resolved) given(ctx *pulumi.Context, a *Args, list *problem.List, opts ...pulumi.InvokeOption) {
	address := func(field, id string) {
		if id == "" {
			return
		}
		found, err := ec2.GetElasticIp(ctx, &ec2.GetElasticIpArgs{Id: &id}, opts...)
		if err != nil {
			unfound(list, field, id, "an Elastic IP", err, "name an Elastic IP of the account and region")
			return
		}
		r.publicIPs[id] = found.PublicIp
	}
	for _, key := range sorted(a.Zones) {
		z, field := a.Zones[key], "zones."+key
		address(field+".allocationId", z.AllocationID)
		address(field+".standby.allocationId", z.Standby.AllocationID)
		if id := z.Standby.GatewayID; id != "" && r.publicIPs[id] == "" {
			found, err := ec2.LookupNatGateway(ctx, &ec2.LookupNatGatewayArgs{Id: &id}, opts...)
			switch {
			case err != nil:
				unfound(list, field+".standby.gatewayId", id, "a NAT gateway", err, "name a NAT gateway of the VPC")
				continue
			case plain(a.VPC.ID) != "" && found.VpcId != plain(a.VPC.ID):
				list.Add(field+".standby.gatewayId", id, "is in the VPC "+found.VpcId, "name a NAT gateway of "+plain(a.VPC.ID))
			case found.PublicIp == "":
				list.Add(field+".standby.gatewayId", id, "has no public address", "name a public NAT gateway")
			}
			r.publicIPs[id] = found.PublicIp
		}
	}
	address("sharedStandby.allocationId", a.SharedStandby.AllocationID)
}
