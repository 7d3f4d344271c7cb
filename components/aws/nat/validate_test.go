package nat_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/nat"
	"polynat/internal/natzone"
	"polynat/tests/recorder"
)

// with changes a zone of the arguments.
func with(key string, change func(*nat.Zone)) func(*nat.Args) {
	return func(a *nat.Args) {
		z := a.Zones[key]
		change(&z)
		a.Zones[key] = z
	}
}

const a, b = "eu-west-1a", "eu-west-1b"

func TestWhatCannotWorkIsRefusedBeforeAnythingIsRegistered(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*nat.Args)
		want   string
	}{
		"no zone":          {func(a *nat.Args) { a.Zones = nil }, "zones: is missing"},
		"no VPC":           {func(a *nat.Args) { a.VPC.ID = nil }, "vpc.id: is missing"},
		"a zone elsewhere": {func(a *nat.Args) { a.Zones["us-east-1d"] = newZone("q") }, `zones.us-east-1d: "us-east-1d": is not in eu-west-1`},
		"no zone at all":   {func(a *nat.Args) { a.Zones["Zone 1"] = newZone("q") }, "zones.Zone 1: \"Zone 1\": is not the name of an availability zone"},
		"no public subnet": {with(a, func(z *nat.Zone) { z.Public.ID = nil }), "zones.eu-west-1a.public.id: is missing"},
		"no table":         {with(a, func(z *nat.Zone) { z.Tables = nil }), "zones.eu-west-1a.tables: is missing"},
		"table without id": {with(a, func(z *nat.Zone) { z.Tables = map[string]nat.Table{"x": {Subnets: z.Tables["app"].Subnets}} }), "zones.eu-west-1a.tables.x.id: is missing"},
		"table unused":     {with(a, func(z *nat.Zone) { z.Tables = map[string]nat.Table{"x": {ID: pulumi.String("rtb-x")}} }), "zones.eu-west-1a.tables.x.subnets: is missing"},
		"table key": {with(a, func(z *nat.Zone) {
			z.Tables["a b"] = nat.Table{ID: pulumi.String("rtb-x"), Subnets: []pulumi.StringInput{pulumi.String("subnet-x")}}
		}), `zones.eu-west-1a.tables.a b: "a b"`},
		"table twice":       {with(b, func(z *nat.Zone) { z.Tables["app"] = newZone("a").Tables["app"] }), `zones.eu-west-1b.tables.app.id: "rtb-app-a": is the table of zones.eu-west-1a.tables.app.id already`},
		"subnet twice":      {with(b, func(z *nat.Zone) { z.Tables["app"] = newZone("a").Tables["app"] }), `zones.eu-west-1b.tables.app.subnets[0]: "subnet-app-a": is the subnet of`},
		"subnet public too": {with(b, func(z *nat.Zone) { z.Public.ID = pulumi.String("subnet-app-a") }), `"subnet-app-a": is the subnet of zones.eu-west-1a.tables.app.subnets[0] already`},
		"zone twice": {with(b, func(z *nat.Zone) { z.Public.ID = pulumi.String("subnet-public-a") }),
			`zones.eu-west-1b.public.id: "subnet-public-a": is the subnet of zones.eu-west-1a.public.id already`},
		"subnet of another zone":      {with(b, func(z *nat.Zone) { z.Public.ID = pulumi.String("subnet-other-c") }), `zones.eu-west-1b.public.id: "subnet-other-c": is in eu-west-1c`},
		"unknown subnet without CIDR": {with(a, func(z *nat.Zone) { z.Public.ID = pulumi.String("x").ToStringOutput() }), "zones.eu-west-1a.public.cidr: is missing"},
		"address outside":             {with(a, func(z *nat.Zone) { z.Address = "10.9.0.9" }), `zones.eu-west-1a.address: "10.9.0.9": is not in the public subnet, 10.0.0.0/24`},
		"address of AWS":              {with(a, func(z *nat.Zone) { z.Address = "10.0.0.3" }), "which AWS keeps"},
		"address of AWS, last":        {with(a, func(z *nat.Zone) { z.Address = "10.0.0.255" }), "which AWS keeps"},
		"fewer addresses":             {with(a, func(z *nat.Zone) { z.AllocationID = "eipalloc-00000001" }), "zones.eu-west-1b.allocationId: is missing (1 of 2 zones have theirs given"},
		"fewer standby addresses": {with(a, func(z *nat.Zone) { z.Standby.AllocationID = "eipalloc-00000001" }),
			"zones.eu-west-1b.standby.allocationId: is missing (1 of 2 zones have theirs given"},
		"an address for two": {func(args *nat.Args) {
			with(a, func(z *nat.Zone) { z.AllocationID = "eipalloc-00000001" })(args)
			with(b, func(z *nat.Zone) { z.AllocationID = "eipalloc-00000001" })(args)
		}, `zones.eu-west-1b.allocationId: "eipalloc-00000001": is the Elastic IP of zones.eu-west-1a.allocationId already`},
		"no id of an address":     {with(a, func(z *nat.Zone) { z.AllocationID = "203.0.113.1" }), "is not the id of an Elastic IP"},
		"standby given and own":   {with(a, func(z *nat.Zone) { z.Standby.GatewayID = "nat-0123456789abcdef0" }), "zones.eu-west-1a.standby.gatewayId: \"nat-0123456789abcdef0\": is given, but one is made"},
		"standby not given":       {func(a *nat.Args) { a.Standby = nat.Existing }, "zones.eu-west-1a.standby.gatewayId: is missing"},
		"standby of no kind":      {func(a *nat.Args) { a.Standby = "regional" }, `standby: "regional": must be perZone, shared, existing or none`},
		"shared without zone":     {func(a *nat.Args) { a.Standby = nat.Shared }, "sharedStandby.zone: is missing"},
		"shared in no zone":       {func(a *nat.Args) { a.Standby, a.SharedStandby.Zone = nat.Shared, "eu-west-1z" }, `sharedStandby.zone: "eu-west-1z": is not one of the zones`},
		"shared and not":          {func(a *nat.Args) { a.SharedStandby.Zone = "eu-west-1a" }, "sharedStandby: is for standby shared only"},
		"lifetime":                {func(a *nat.Args) { a.Rotation.Lifetime = time.Hour }, `rotation.lifetime: "1h0m0s": leaves 1h0m0s to eu-west-1a, less than the day`},
		"lifetime with slot":      {func(a *nat.Args) { a.Rotation.Lifetime = 24 * time.Hour }, "give at least 24h15m0s"},
		"window never open":       {func(a *nat.Args) { a.Rotation.Window = &nat.Window{Days: []time.Weekday{0}, Start: "02:00"} }, "rotation.window.duration: \"0s\": leaves the window never open"},
		"window, and all at once": {func(a *nat.Args) { a.Rotation = nat.Rotation{Window: window(), AtOnce: true} }, "rotation.atOnce: contradicts rotation.window"},
		"window without day":      {func(a *nat.Args) { a.Rotation.Window = &nat.Window{Start: "02:00", Duration: time.Hour} }, "rotation.window.days: is missing (the window never opens"},
		"window too short": {func(a *nat.Args) {
			a.Rotation.Window = &nat.Window{Days: []time.Weekday{0}, Start: "02:00", Duration: 20 * time.Minute}
		}, "has no turn for eu-west-1b, whose slot is 1"},
		"window over midnight": {func(a *nat.Args) {
			a.Rotation.Window = &nat.Window{Days: []time.Weekday{0}, Start: "23:30", Duration: time.Hour}
		}, "ends on another day"},
		"window in no time zone": {func(a *nat.Args) { a.Rotation.Window = window(); a.Rotation.Window.TimeZone = "Mars/Olympus" }, "rotation.window.timeZone"},
		"window at no time":      {func(a *nat.Args) { a.Rotation.Window = window(); a.Rotation.Window.Start = "2am" }, "rotation.window.start"},
		"window in the fifth":    {func(a *nat.Args) { a.Rotation.Window = window(); a.Rotation.Window.Week = 5 }, "rotation.window.week"},
		"window and lifetime":    {func(a *nat.Args) { a.Rotation.Window = window(); a.Rotation.Off = true }, "rotation.window: contradicts"},
		"slots":                  {with(b, func(z *nat.Zone) { z.Slot = new(int) }), "zones.eu-west-1b.slot: 0: is that of eu-west-1a too"},
		"local zone":             {func(a *nat.Args) { a.Zones["eu-west-1-dub-1a"] = newZone("q") }, "zones.eu-west-1-dub-1a.slot: is missing"},
		"type twice":             {func(a *nat.Args) { a.Instance.Types = []string{"t4g.nano", "t4g.nano"} }, `instance.types[1]: "t4g.nano": is there twice`},
		"unknown type":           {func(a *nat.Args) { a.Instance.Types = []string{"t4g.gigantic"} }, `instance.types[0]: "t4g.gigantic": is not an instance type (choose another, such as t4g.small or c7gn.medium)`},
		"type without room":      {func(a *nat.Args) { a.Instance.Types = []string{"x9.tiny"} }, `instance.types[0]: "x9.tiny": has room for 1 IPv4 address`},
		"two architectures":      {func(a *nat.Args) { a.Instance.Types = []string{"c7gn.large", "c6in.large"} }, `instance.types[1]: "c6in.large": is x86_64, not arm64`},
		"architecture":           {func(a *nat.Args) { a.Instance.Architecture = "x86_64" }, `instance.types[0]: "t4g.small": is arm64, not x86_64 (leave instance.architecture out`},
		"no architecture":        {func(a *nat.Args) { a.Instance.Architecture = "riscv64" }, "instance.architecture"},
		"market":                 {func(a *nat.Args) { a.Instance.Market = "cheap" }, "instance.market"},
		"image twice":            {func(a *nat.Args) { a.Instance.ImageID, a.Instance.ImageParameter = "ami-0123456789abcdef0", "/x" }, "instance.imageParameter"},
		"volume":                 {func(a *nat.Args) { a.Instance.VolumeGiB = 3 }, "instance.volumeGiB: 3"},
		"launch heartbeat":       {func(a *nat.Args) { a.Instance.LaunchHeartbeat = 10 * time.Second }, `instance.launchHeartbeat: "10s": must be whole seconds from 120s to 2h`},
		"launch before natd":     {func(a *nat.Args) { a.Instance.LaunchHeartbeat = 30 * time.Second }, `instance.launchHeartbeat: "30s"`},
		"terminate heartbeat":    {func(a *nat.Args) { a.Instance.TerminateHeartbeat = 3 * time.Hour }, "instance.terminateHeartbeat"},
		"hook that ends itself":  {func(a *nat.Args) { a.Instance.After = "POLYNAT_HOOK" }, "instance.after"},
		"policy":                 {func(a *nat.Args) { a.Instance.Policies = []string{"AdministratorAccess"} }, "instance.policies[0]"},
		"tuning":                 {func(a *nat.Args) { a.Instance.Tuning = &nat.Tuning{} }, "instance.tuning.establishedTimeout"},
		"connections":            {func(a *nat.Args) { u := natzone.DefaultTuning(); u.MaxConnections = -1; a.Instance.Tuning = &u }, "instance.tuning.maxConnections: -1"},
		"empty ingress":          {func(a *nat.Args) { a.Ingress = &nat.Ingress{} }, "ingress: is missing (nobody could use the instances"},
		"ingress with host bits": {func(a *nat.Args) { a.Ingress = &nat.Ingress{CIDRs: []string{"10.0.0.1/8"}} }, `ingress.cidrs[0]: "10.0.0.1/8": has host bits (write 10.0.0.0/8)`},
		"ingress of no CIDR":     {func(a *nat.Args) { a.Ingress = &nat.Ingress{CIDRs: []string{"10.0.0.0"}} }, `ingress.cidrs[0]: "10.0.0.0": is not a CIDR`},
		"ingress spelled badly":  {func(a *nat.Args) { a.Ingress = &nat.Ingress{CIDRs: []string{"2001:DB8::/32"}} }, "is not canonical (write 2001:db8::/32)"},
		"ingress of everybody":   {func(a *nat.Args) { a.Ingress = &nat.Ingress{CIDRs: []string{"0.0.0.0/0"}} }, `ingress.cidrs[0]: "0.0.0.0/0": is everybody`},
		"VPC CIDR":               {func(a *nat.Args) { a.VPC.CIDRs = []string{"10.0.0.9/16"} }, "vpc.cidrs[0]"},
		"destination":            {func(a *nat.Args) { a.Destinations = []string{"198.51.100.7/24"} }, "destinations[0]"},
		"default destination":    {func(a *nat.Args) { a.Destinations = []string{"0.0.0.0/0"} }, "destinations[0]: \"0.0.0.0/0\": is a destination already"},
		"IPv6 destination":       {func(a *nat.Args) { a.Destinations = []string{"2001:db8::/32"} }, "is not IPv4"},
		"part of NAT64":          {func(a *nat.Args) { a.NAT64, a.Destinations = true, []string{"64:ff9b::/104"} }, `destinations[0]: "64:ff9b::/104": is not IPv4`},
		"more than NAT64":        {func(a *nat.Args) { a.NAT64, a.Destinations = true, []string{"64:ff9b::/64"} }, `destinations[0]: "64:ff9b::/64": is not IPv4`},
		"on delete":              {func(a *nat.Args) { a.OnDelete = "keep" }, `onDelete: "keep": must be release, retain or protect`},
		"physical name":          {func(a *nat.Args) { a.PhysicalName = "Egress" }, "physicalName"},
		"tag key":                {func(a *nat.Args) { a.Tags = map[string]string{"cost center": "1"} }, "tags.cost center"},
		"own tag":                {func(a *nat.Args) { a.Tags = map[string]string{natzone.TagName: "1"} }, "is set by polynat itself"},
		"two targets":            {func(a *nat.Args) { a.Failover.Targets = []string{"http://a/", "http://b/"} }, "failover.targets: 2: are fewer than 3"},
		"target of no URL":       {func(a *nat.Args) { a.Failover.Targets = []string{"http://a/", "http://b/", "c"} }, `failover.targets[2]: "c": is not a URL`},
		"target twice":           {func(a *nat.Args) { a.Failover.Targets = []string{"http://a/", "http://b/", "http://a/"} }, "failover.targets[2]"},
		"target of no host":      {func(a *nat.Args) { a.Failover.Targets = []string{"http://a/", "http://b/", "http://:80/"} }, `failover.targets[2]: "http://:80/": is not a URL`},
		"target of no port":      {func(a *nat.Args) { a.Failover.Targets = []string{"http://a/", "http://b/", "http://c:99999/"} }, "failover.targets[2]"},
		"endpoint twice":         {func(a *nat.Args) { a.Failover.Endpoints = []string{"ec2", "sns", "ec2"} }, `failover.endpoints[2]: "ec2": is there twice`},
		"subscriber twice":       {func(a *nat.Args) { a.Observability.Subscribers = []string{"a@b", "a@b"} }, `observability.subscribers[1]: "a@b": is there twice`},
		"subscriber of no host":  {func(a *nat.Args) { a.Observability.Subscribers = []string{"https://"} }, `observability.subscribers[0]: "https://": is neither`},
		"economy and own": {func(a *nat.Args) {
			d := natzone.DefaultDetection()
			a.Failover.Economy, a.Failover.Detection = true, &d
		}, "failover.detection: contradicts failover.economy"},
		"one lost round": {func(a *nat.Args) { d := natzone.DefaultDetection(); d.Failed = 1; a.Failover.Detection = &d }, "failover.detection.failed: 1"},
		"restore":        {func(a *nat.Args) { a.Failover.Restore = &nat.Restore{} }, "failover.restore.dwell"},
		"topic and subscribers": {func(a *nat.Args) {
			a.Observability = nat.Observability{AlertTopicARN: "arn:aws:sns:eu-west-1:123456789012:x", Subscribers: []string{"a@b"}}
		}, "observability.subscribers"},
		"topic elsewhere": {func(a *nat.Args) { a.Observability.AlertTopicARN = "arn:aws:sns:us-east-1:123456789012:x" },
			`observability.alertTopicArn: "arn:aws:sns:us-east-1:123456789012:x": is in us-east-1, and what uses it in eu-west-1`},
		"key elsewhere": {func(a *nat.Args) { a.Instance.KMSKeyARN = "arn:aws:kms:eu-west-2:123456789012:key/x" }, "instance.kmsKeyArn"},
		"no key":        {func(a *nat.Args) { a.Observability.LogKMSKeyARN = "alias/logs" }, `observability.logKmsKeyArn: "alias/logs": is not the ARN of a key`},
		"retention":     {func(a *nat.Args) { a.Observability.LogRetentionDays = 31 }, "observability.logRetentionDays: 31"},
		"NAT64 without IPv6": {func(a *nat.Args) {
			a.NAT64 = true
			a.VPC = nat.VPC{ID: pulumi.String("x").ToStringOutput(), CIDRs: []string{"10.0.0.0/16"}}
		}, "vpc.ipv6Cidr: is missing"},
		"no program": {func(a *nat.Args) { a.Artefacts.Natd = "testdata/none" }, "artefacts.natd"},
	} {
		t.Run(name, func(t *testing.T) {
			args := newArgs("ab")
			test.change(args)
			made, err := recorder.Run(program(args, nil), options(ireland))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v\nwant %s", err, test.want)
			}
			if n := len(made.Objects); n != 1 { // the provider
				t.Errorf("%d objects were registered", n)
			}
		})
	}
}

func TestEveryProblemIsToldAtOnce(t *testing.T) {
	args := newArgs("ab")
	args.Standby, args.OnDelete, args.Rotation.Lifetime, args.Ingress = "x", "y", time.Minute, &nat.Ingress{}
	err := args.Validate()
	for _, field := range []string{"standby:", "onDelete:", "rotation.lifetime:", "ingress:"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not told in %v", field, err)
		}
	}
}

func TestWhatIsUnusualAndWorksIsTaken(t *testing.T) {
	for name, change := range map[string]func(*nat.Args){
		"given addresses": func(args *nat.Args) {
			with(a, func(z *nat.Zone) { z.AllocationID, z.Standby.AllocationID = "eipalloc-00000001", "eipalloc-00000002" })(args)
			with(b, func(z *nat.Zone) { z.AllocationID, z.Standby.AllocationID = "eipalloc-00000003", "eipalloc-00000004" })(args)
		},
		"local zone with a slot": func(args *nat.Args) {
			slot := 7
			z := newZone("q")
			z.Slot, z.Public.CIDR = &slot, "10.0.99.0/24"
			args.Zones["eu-west-1-dub-1a"] = z
		},
		"ids that are not known yet": func(args *nat.Args) {
			args.VPC = nat.VPC{ID: pulumi.String("vpc-9").ToStringOutput(), CIDRs: []string{"10.0.0.0/16"}}
			with(a, func(z *nat.Zone) { z.Public = nat.Subnet{ID: pulumi.String("s").ToStringOutput(), CIDR: "10.0.7.0/28"} })(args)
		},
		"rotation off":           func(args *nat.Args) { args.Rotation.Off = true },
		"window until midnight":  func(args *nat.Args) { args.Rotation.Window = window(); args.Rotation.Window.Start = "22:00" },
		"nat64":                  func(args *nat.Args) { args.NAT64 = true },
		"type that is looked up": func(args *nat.Args) { args.Instance.Types = []string{"m7g.large"} },
	} {
		t.Run(name, func(t *testing.T) {
			args := newArgs("ab")
			change(args)
			run(t, args).Check(t)
		})
	}
}
