package rehearsal_test

import (
	"archive/zip"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/components/aws/nat"
	"polynat/components/aws/vpc"
	"polynat/internal/engine"
	"polynat/internal/sim"
	simaws "polynat/internal/sim/aws"
)

// zonesPerVPC of the networks below.
const zonesPerVPC = 5

// networks is a program with VPCs of five zones each, and NAT instances in all of them.
func networks(n int, natd, failover string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		provider, err := aws.NewProvider(ctx, "aws", &aws.ProviderArgs{Region: pulumi.String("us-east-1")})
		if err != nil {
			return err
		}
		for i := range n {
			made := &vpc.Args{CIDR: "10.0.0.0/16", Zones: map[string]vpc.Zone{}, Provider: provider}
			for z := range zonesPerVPC {
				made.Zones["us-east-1"+string(rune('a'+z))] = vpc.Zone{
					Public: fmt.Sprintf("10.0.%d.0/24", 16*z), Private: map[string]string{"app": fmt.Sprintf("10.0.%d.0/24", 16*z+1)},
				}
			}
			v, err := vpc.New(ctx, fmt.Sprintf("vpc-%d", i), made)
			if err != nil {
				return err
			}
			args := &nat.Args{
				VPC: nat.VPC{ID: v.VPCID, CIDRs: []string{made.CIDR}}, Zones: map[string]nat.Zone{}, Provider: provider,
				Artefacts: nat.Artefacts{Natd: natd, Failover: failover},
			}
			for zone, z := range v.Zones {
				args.Zones[zone] = nat.Zone{
					Public: nat.Subnet{ID: z.PublicSubnet, CIDR: made.Zones[zone].Public},
					Tables: map[string]nat.Table{"app": {ID: z.RouteTables["app"], Subnets: []pulumi.StringInput{z.PrivateSubnets["app"]}}},
				}
			}
			if _, err := nat.New(ctx, fmt.Sprintf("nat-%d", i), args); err != nil {
				return err
			}
		}
		return nil
	}
}

// deploy makes the networks, updates them without a change and destroys them, and returns how many subnets had a way out.
func deploy(b *testing.B, n int, natd, failover string) (ways, resources int) {
	cloud := simaws.New(simaws.Options{AddressQuota: -1})
	stack, err := engine.New(engine.Options{
		Project: "polynat", Stack: "bench", Program: networks(n, natd, failover),
		Providers: map[string]pulumirpc.ResourceProviderServer{"aws": sim.NewServer(simaws.Schema(), cloud)},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer stack.Close()
	for range 2 {
		if _, err := stack.Up(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	for _, id := range cloud.VPCs() {
		for _, way := range cloud.WaysOut(id) {
			if way.Works {
				ways++
			}
		}
	}
	resources = len(stack.URNs())
	if _, err := stack.Destroy(b.Context()); err != nil {
		b.Fatal(err)
	}
	return ways, resources
}

// BenchmarkAWS measures a deployment, an update without changes and the destruction of 1, 5 and 10 VPCs with five zones each.
// vs-1 is the time per VPC against that of one alone: 1 is linear.
func BenchmarkAWS(b *testing.B) {
	dir := b.TempDir()
	natd, failover := filepath.Join(dir, "natd"), filepath.Join(dir, "failover.zip")
	file, err := os.Create(failover)
	if err != nil {
		b.Fatal(err)
	}
	z := zip.NewWriter(file)
	if _, err := z.Create("bootstrap"); err != nil {
		b.Fatal(err)
	}
	for _, err := range []error{z.Close(), file.Close(), os.WriteFile(natd, []byte("natd"), 0o600)} {
		if err != nil {
			b.Fatal(err)
		}
	}
	one := 0.0
	for _, n := range []int{1, 5, 10} {
		b.Run(fmt.Sprintf("%d zones", n*zonesPerVPC), func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			resources := 0
			for b.Loop() {
				var ways int
				if ways, resources = deploy(b, n, natd, failover); ways != n*zonesPerVPC {
					b.Fatalf("%d of %d subnets have a way out", ways, n*zonesPerVPC)
				}
			}
			runtime.ReadMemStats(&after)
			each := b.Elapsed().Seconds() / float64(b.N) / float64(n)
			if n == 1 {
				one = each
			}
			b.ReportMetric(each/one, "vs-1")
			b.ReportMetric(float64(resources), "resources")
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/1e6, "MB-allocated/op")
			b.ReportMetric(float64(after.Sys)/1e6, "MB-from-system")
		})
	}
}
