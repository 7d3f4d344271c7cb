package discovery_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"polynat/components/aws/discovery"
	"polynat/tests/recorder"
)

// network is a VPC that a test changes.
type network struct {
	subnets []discovery.Subnet
	tables  []discovery.Table
	args    discovery.Args
}

func subnet(id, zone, name string, tags ...string) discovery.Subnet {
	s := discovery.Subnet{ID: id, Zone: zone, CIDR: netip.MustParsePrefix("10.0.0.0/24"), Tags: map[string]string{}}
	if name != "" {
		s.Tags["Name"] = name
	}
	for _, tag := range tags {
		k, v, _ := strings.Cut(tag, "=")
		s.Tags[k] = v
	}
	return s
}

// terraform is what terraform-aws-vpc makes of two zones with one NAT gateway per zone and database subnets.
func terraform() *network {
	n := &network{args: discovery.Args{VPC: discovery.VPC{Name: "main"}}}
	public := discovery.Table{ID: "rtb-public", Default: "igw-1"}
	for _, z := range []string{"a", "b"} {
		zone := "eu-west-1" + z
		n.subnets = append(n.subnets,
			subnet("subnet-public-"+z, zone, "main-public-"+zone), subnet("subnet-private-"+z, zone, "main-private-"+zone), subnet("subnet-db-"+z, zone, "main-db-"+zone))
		public.Subnets = append(public.Subnets, "subnet-public-"+z)
		n.tables = append(n.tables, discovery.Table{ID: "rtb-private-" + z, Subnets: []string{"subnet-private-" + z}, Default: "nat-" + z})
	}
	n.tables = append(n.tables, public,
		discovery.Table{ID: "rtb-db", Subnets: []string{"subnet-db-a", "subnet-db-b"}}, discovery.Table{ID: "rtb-main", Main: true})
	return n
}

// awsx is what awsx makes: a table per subnet, names with an index, the kind in a tag.
func awsx() *network {
	n := &network{args: discovery.Args{VPC: discovery.VPC{ID: "vpc-1"}}}
	for i, z := range []string{"a", "b"} {
		zone := "eu-west-1" + z
		for _, kind := range []string{"Public", "Private", "Isolated"} {
			id := strings.ToLower(kind) + "-" + z
			n.subnets = append(n.subnets, subnet("subnet-"+id, zone, fmt.Sprintf("net-%s-%d", strings.ToLower(kind), i+1), "SubnetType="+kind))
			table := discovery.Table{ID: "rtb-" + id, Subnets: []string{"subnet-" + id}}
			if kind == "Public" {
				table.Default = "igw-1"
			}
			n.tables = append(n.tables, table)
		}
	}
	n.tables = append(n.tables, discovery.Table{ID: "rtb-main", Main: true})
	return n
}

func (n *network) subnet(id string) *discovery.Subnet {
	return &n.subnets[slices.IndexFunc(n.subnets, func(s discovery.Subnet) bool { return s.ID == id })]
}

func (n *network) table(id string) *discovery.Table {
	return &n.tables[slices.IndexFunc(n.tables, func(t discovery.Table) bool { return t.ID == id })]
}

func TestNetworksOfTheUsualToolsAreFound(t *testing.T) {
	for name, n := range map[string]*network{"terraform-aws-vpc": terraform(), "awsx": awsx()} {
		found, err := n.args.Choose(n.subnets, n.tables)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, z := range []string{"a", "b"} {
			got := found["eu-west-1"+z]
			if got.PublicSubnet != "subnet-public-"+z || !cmp.Equal(got.Tables, map[string][]string{"rtb-private-" + z: {"subnet-private-" + z}}) {
				t.Errorf("%s: zone %s: %v", name, z, got)
			}
		}
		if len(found) != 2 {
			t.Errorf("%s: zones %v", name, slices.Sorted(maps.Keys(found)))
		}
	}
}

func TestTagsOfTheCallersOwnGoBeforeTheConventions(t *testing.T) {
	n := terraform()
	n.args.PublicTags, n.args.PrivateTags = map[string]string{"tier": "edge"}, map[string]string{"tier": "app", "nat": ""}
	n.subnet("subnet-public-a").Tags["tier"] = "edge"
	maps.Copy(n.subnet("subnet-db-a").Tags, map[string]string{"tier": "app", "nat": "yes"})
	n.tables[slices.IndexFunc(n.tables, func(t discovery.Table) bool { return t.ID == "rtb-db" })].Subnets = []string{"subnet-db-a"}
	found, err := n.args.Choose(n.subnets, n.tables)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]discovery.Zone{"eu-west-1a": {
		PublicSubnet: "subnet-public-a", PublicCIDR: netip.MustParsePrefix("10.0.0.0/24"), Tables: map[string][]string{"rtb-db": {"subnet-db-a"}}, Defaults: map[string]string{},
	}}
	if diff := cmp.Diff(want, found, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKubernetesRolesCountWhereTheNameSaysNothing(t *testing.T) {
	n := terraform()
	for _, z := range []string{"a", "b"} {
		n.subnet("subnet-public-" + z).Tags = map[string]string{"kubernetes.io/role/elb": "1"}
		n.subnet("subnet-private-" + z).Tags = map[string]string{"kubernetes.io/role/internal-elb": "1"}
	}
	if found, err := n.args.Choose(n.subnets, n.tables); err != nil || len(found) != 2 {
		t.Errorf("found %v, error %v", found, err)
	}
}

func TestOnlyTheZonesAskedForAreTaken(t *testing.T) {
	n := terraform()
	n.args.Zones = []string{"eu-west-1b"}
	found, err := n.args.Choose(n.subnets, n.tables)
	if zones := slices.Collect(maps.Keys(found)); err != nil || !slices.Equal(zones, []string{"eu-west-1b"}) {
		t.Errorf("zones %v, error %v", zones, err)
	}
}

func TestTheOrderOfTheAnswersDoesNotMatter(t *testing.T) {
	n, shuffled := terraform(), terraform()
	slices.Reverse(shuffled.subnets)
	slices.Reverse(shuffled.tables)
	want, err := n.args.Choose(n.subnets, n.tables)
	if err != nil {
		t.Fatal(err)
	}
	got, err := n.args.Choose(shuffled.subnets, shuffled.tables)
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); err != nil || diff != "" {
		t.Errorf("error %v\n%s", err, diff)
	}
}

func TestThePreviewSaysWhatWasFound(t *testing.T) {
	n := terraform()
	found, err := n.args.Choose(n.subnets, n.tables)
	if err != nil {
		t.Fatal(err)
	}
	recorder.GoldenText(t, "described", discovery.Describe("main is vpc-1", found)+"\n", "read it as somebody who wants to know what will change")
}

// The golden file holds the messages: what is ambiguous is refused, and never guessed.
func TestWhatIsAmbiguousIsRefused(t *testing.T) {
	var text strings.Builder
	for _, c := range []struct {
		name   string
		change func(*network)
	}{
		{"two public subnets in a zone", func(n *network) {
			n.subnets = append(n.subnets, subnet("subnet-edge-a", "eu-west-1a", "main-public-edge-eu-west-1a"))
			n.table("rtb-public").Subnets = append(n.table("rtb-public").Subnets, "subnet-edge-a")
		}},
		{"no public subnet in a zone", func(n *network) { n.subnet("subnet-public-b").Tags["Name"] = "main-edge" }},
		{"one route table for two zones", func(n *network) {
			n.table("rtb-private-a").Subnets = []string{"subnet-private-a", "subnet-private-b"}
			n.table("rtb-private-b").Subnets = nil
		}},
		{"a route table that leads others along", func(n *network) {
			n.table("rtb-private-a").Subnets = append(n.table("rtb-private-a").Subnets, "subnet-db-a")
			n.table("rtb-db").Subnets = []string{"subnet-db-b"}
		}},
		{"a private subnet that reaches the Internet", func(n *network) { n.table("rtb-private-a").Default = "igw-1" }},
		{"a public subnet that does not", func(n *network) { n.table("rtb-public").Default = "" }},
		{"a subnet that is both", func(n *network) {
			n.args.PublicTags, n.args.PrivateTags = map[string]string{"Name": ""}, map[string]string{"Name": ""}
		}},
		{"a name that is both", func(n *network) { n.subnet("subnet-private-a").Tags["Name"] = "public-private-a" }},
		{"no names at all", func(n *network) {
			for i := range n.subnets {
				n.subnets[i].Tags = nil
			}
		}},
		{"a zone that is not there", func(n *network) { n.args.Zones = []string{"eu-west-1a", "eu-west-1c"} }},
		{"no route table", func(n *network) { n.tables = n.tables[2:3] }},
	} {
		n := terraform()
		c.change(n)
		_, err := n.args.Choose(n.subnets, n.tables)
		if err == nil {
			t.Errorf("%s: is not refused", c.name)
			continue
		}
		fmt.Fprintf(&text, "# %s\n%v\n\n", c.name, err)
	}
	for name, args := range map[string]discovery.Args{
		"nothing to look for": {},
		"one kind of tags":    {VPC: discovery.VPC{ID: "vpc-1"}, PublicTags: map[string]string{"tier": "edge"}},
		"two ways to look":    {VPC: discovery.VPC{ID: "vpc-1", Name: "main"}, Zones: []string{"eu-west-1a", "eu-west-1a"}},
	} {
		if args.Validate() == nil {
			t.Errorf("%s: is not refused", name)
		}
	}
	recorder.GoldenText(t, "refusals", text.String(), "read the messages as somebody who has just made the mistake")
}
