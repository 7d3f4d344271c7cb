package drill

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"slices"
	"time"

	pulumiaws "github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/components/aws/nat"
	"polynat/components/aws/vpc"
	"polynat/internal/artefact"
	"polynat/internal/engine"
	"polynat/internal/lab"
	"polynat/internal/natzone"
	"polynat/internal/sim"
	"polynat/internal/sim/aws"
)

// region, and the name of what is deployed.
const (
	region = "us-east-1"
	name   = "drill"
)

// deployment is what the component made, as the simulated AWS holds it, and the lab that goes with it.
type deployment struct {
	saved []byte
	at    time.Time
	lab   lab.Options
	zones []string
}

// deploy runs the real component on the real engine against the simulated AWS, in simulated time, up to zones that work.
func deploy(ctx context.Context, p programs, zones int, pace pace) (*deployment, error) {
	names := []string{"a", "b"}[:zones]
	d := &deployment{}
	for i := range names {
		d.zones = append(d.zones, region+names[i])
	}
	d.lab = lab.Default(d.zones...)
	for i, z := range d.lab.Zones {
		for j := range z.Private {
			d.lab.Zones[i].Private[j].Table = tableName(z.Name, key(j))
		}
	}
	cloud := aws.New(aws.Options{Region: region, AddressQuota: -1, NoThrottling: true})
	stack, err := engine.New(engine.Options{
		Project: "polynat", Stack: name, Config: map[string]string{},
		Providers: map[string]pulumirpc.ResourceProviderServer{"aws": sim.NewServer(aws.Schema(), cloud)},
		Program:   func(ctx *pulumi.Context) error { return program(ctx, d, p, pace) },
	})
	if err != nil {
		return nil, err
	}
	defer stack.Close()
	if result, err := stack.Up(ctx); err != nil {
		return nil, fmt.Errorf("deploy: %w: %v", err, result)
	}
	cloud.Advance(settled)
	d.at = cloud.Now()
	d.saved, err = cloud.Save()
	return d, err
}

// settled is how long after the deployment all that it began has come to its end.
const settled = 10 * time.Minute

func key(i int) string { return fmt.Sprintf("private%d", i+1) }

// tableName is how the VPC's component names a route table.
func tableName(zone, key string) string {
	return fmt.Sprintf("%s-private-%s-%s-table", name, zone, key)
}

// program is what is deployed: a VPC as the lab has it, and NAT instances with a standby in every zone. What is not set is
// the component's default.
func program(ctx *pulumi.Context, d *deployment, p programs, pace pace) error {
	provider, err := pulumiaws.NewProvider(ctx, "aws", &pulumiaws.ProviderArgs{Region: pulumi.String(region)})
	if err != nil {
		return err
	}
	network := vpc.Args{CIDR: d.lab.VPC.String(), Zones: map[string]vpc.Zone{}, Provider: provider}
	for _, z := range d.lab.Zones {
		private := map[string]string{}
		for j, s := range z.Private {
			private[key(j)] = s.CIDR.String()
		}
		network.Zones[z.Name] = vpc.Zone{Public: z.Public.String(), Private: private}
	}
	made, err := vpc.New(ctx, name, &network)
	if err != nil {
		return err
	}
	architecture, machine := nat.X8664, "t3.small"
	if runtime.GOARCH == artefact.ARM64 {
		architecture, machine = nat.ARM64, "t4g.small"
	}
	args := &nat.Args{
		VPC: nat.VPC{ID: made.VPCID, CIDRs: []string{d.lab.VPC.String()}}, Zones: map[string]nat.Zone{}, Provider: provider, PhysicalName: name,
		Instance:  nat.Instance{Types: []string{machine}},
		Failover:  nat.Failover{Targets: targets(), Identity: identities(), Architecture: architecture},
		Artefacts: nat.Artefacts{Natd: p.natd, Failover: p.archive},
	}
	if pace.dwell > 0 {
		args.Failover.Restore = &natzone.Restore{Dwell: natzone.Duration(pace.dwell), MaxDwell: natzone.Duration(24 * pace.dwell)}
	}
	if pace.healing > 0 {
		args.Failover.Healing = &natzone.Healing{Dwell: natzone.Duration(pace.healing), Pause: natzone.DefaultHealing().Pause}
	}
	for _, z := range d.lab.Zones {
		of := made.Zones[z.Name]
		tables := map[string]nat.Table{}
		for _, key := range slices.Sorted(maps.Keys(of.RouteTables)) {
			tables[key] = nat.Table{ID: of.RouteTables[key], Subnets: []pulumi.StringInput{of.PrivateSubnets[key]}}
		}
		args.Zones[z.Name] = nat.Zone{Public: nat.Subnet{ID: of.PublicSubnet, CIDR: z.Public.String()}, Tables: tables}
	}
	_, err = nat.New(ctx, "egress", args)
	return err
}

// Servers of the lab: the first three are targets of the probes, two by address and one by name; clients use the others.
const (
	targetServers = 3
	clientServers = 5
)

func server(i int) netip.Addr {
	a := lab.FirstServer
	for range i {
		a = a.Next()
	}
	return a
}

func targets() []string {
	return []string{"http://" + server(0).String() + "/", "http://" + server(1).String() + "/", "http://server3.lab/"}
}

func identities() []string {
	return []string{"http://" + server(0).String() + "/identity", "http://" + server(1).String() + "/identity"}
}
