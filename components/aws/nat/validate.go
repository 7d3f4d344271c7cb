package nat

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/names"
	"polynat/internal/natzone"
	"polynat/internal/problem"
	"polynat/internal/route"
)

var (
	zoneKeys      = regexp.MustCompile(`^[a-z]{2}(-[a-z0-9]+)+$`)
	childKeys     = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,63}$`)
	physicalNames = regexp.MustCompile(fmt.Sprintf(`^[a-z]([a-z0-9-]{0,%d}[a-z0-9])?$`, names.Longest-2))
	allocations   = regexp.MustCompile(`^eipalloc-[0-9a-f]{8,17}$`)
	gateways      = regexp.MustCompile(`^nat-[0-9a-f]{8,17}$`)
	images        = regexp.MustCompile(`^ami-[0-9a-f]{8,17}$`)
	parameters    = regexp.MustCompile(`^/[A-Za-z0-9._/-]+$`)
	policies      = regexp.MustCompile(`^arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+$`)
	topics        = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$`)
	buckets       = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	// tagKeys are what instance metadata, where the instance reads its tags, can show, and IAM takes; tagValues what IAM takes, the
	// strictest of the services (API reference of IAM, Tag).
	tagKeys   = regexp.MustCompile(`^[A-Za-z0-9+=._:@-]{1,128}$`)
	tagValues = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$`)
	// retentions are the days that CloudWatch Logs takes, of its API reference.
	retentions = []int{
		1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
	}
)

// mostTags leave room for the name and the two tags by which the programs know what is a zone's.
const mostTags = 47

// Bounds of a hook's heartbeat, by the API reference of EC2 Auto Scaling.
const (
	shortestHeartbeat = 30 * time.Second
	longestHeartbeat  = 2 * time.Hour
	// shortestLaunch: until natd runs and extends it, an instance boots, and fetches natd.
	shortestLaunch = 2 * time.Minute
)

// fewestTargets: one or two that are down must not look like a path that is.
const fewestTargets = 3

// Validate returns every problem that shows without a lookup, or nil. The field paths are those of the stack configuration.
func (a *Args) Validate() error {
	c := &checks{Args: a}
	c.general()
	c.destinations()
	c.zones()
	c.standby()
	c.rotation()
	c.instance()
	c.ingress()
	c.failover()
	c.observability()
	return c.Err()
}

type checks struct {
	*Args
	problem.List
}

func (c *checks) matches(field, value string, pattern *regexp.Regexp, rule, wayOut string) {
	if value != "" && !pattern.MatchString(value) {
		c.Add(field, value, rule, wayOut)
	}
}

// cidr checks and returns a canonical CIDR; the zero Prefix if it is none.
func (c *checks) cidr(field, value string) netip.Prefix {
	p, err := netip.ParsePrefix(value)
	switch {
	case err != nil:
		c.Add(field, value, "is not a CIDR", "write it as 10.0.0.0/16")
	case p != p.Masked():
		c.Add(field, value, "has host bits", "write "+p.Masked().String())
	case p.String() != value:
		c.Add(field, value, "is not canonical", "write "+p.String())
	default:
		return p
	}
	return netip.Prefix{}
}

func (c *checks) general() {
	if c.VPC.ID == nil {
		c.Missing("vpc.id", "name the VPC")
	}
	for i, cidr := range c.VPC.CIDRs {
		if p := c.cidr(fmt.Sprintf("vpc.cidrs[%d]", i), cidr); p.IsValid() && !p.Addr().Is4() {
			c.Add(fmt.Sprintf("vpc.cidrs[%d]", i), cidr, "is not IPv4", "the CIDR for IPv6 is vpc.ipv6Cidr")
		}
	}
	if len(c.VPC.CIDRs) == 0 && plain(c.VPC.ID) == "" && c.VPC.ID != nil {
		c.Missing("vpc.cidrs", "the VPC is not known before the update, so that they cannot be looked up")
	}
	if c.VPC.IPv6CIDR != "" {
		c.cidr("vpc.ipv6Cidr", c.VPC.IPv6CIDR)
	}
	c.matches("physicalName", c.PhysicalName, physicalNames, fmt.Sprintf("must be 1 to %d lower-case letters, digits and hyphens, a letter first", names.Longest), "shorten it")
	if n := len(c.Tags); n > mostTags {
		c.Number("tags", n, fmt.Sprintf("is more than %d tags: AWS takes 50 and polynat adds three", mostTags), "take some away")
	}
	folded := map[string]string{}
	for _, k := range sorted(c.Tags) {
		if other, twice := folded[strings.ToLower(k)]; twice {
			c.Add("tags."+k, k, "differs from the key "+other+" only in case, which IAM does not tell apart", "leave one of the two out")
		}
		folded[strings.ToLower(k)] = k
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			c.Add("tags."+k, k, "begins with aws:, which AWS keeps for itself", "rename it")
		}
		c.matches("tags."+k, k, tagKeys, "has a key that instance metadata cannot show or IAM does not take: 1 to 128 letters, digits and +-=._:@ only", "rename it")
		c.matches("tags."+k, c.Tags[k], tagValues, "is a value that IAM does not take: at most 256 letters, digits, blanks and +-=._:/@ only", "change it")
		if k == natzone.TagName || k == natzone.TagZone {
			c.Add("tags."+k, c.Tags[k], "is set by polynat itself", "leave it out")
		}
	}
	switch c.OnDelete {
	case "", Release, Retain, Protect:
	default:
		c.Add("onDelete", string(c.OnDelete), "must be release, retain or protect", problem.Meant(c.OnDelete, "leave it out for release", Release, Retain, Protect))
	}
	c.matches("artefacts.bucket", c.Artefacts.Bucket, buckets, "is not the name of a bucket", "leave it out to have one made")
}

func (c *checks) destinations() {
	seen := []netip.Prefix{route.Default()}
	if c.NAT64 {
		seen = append(seen, natzone.NAT64Prefix())
	}
	for i, d := range c.Destinations {
		field := fmt.Sprintf("destinations[%d]", i)
		p := c.cidr(field, d)
		if p.IsValid() && slices.Contains(seen, p) {
			c.Add(field, d, "is a destination already", "leave it out")
		} else if p.IsValid() && !p.Addr().Is4() {
			c.Add(field, d, "is not IPv4: of IPv6 only 64:ff9b::/96 is translated, as a whole", "leave it out, and set nat64 to true for that")
		}
		seen = append(seen, p)
	}
}

func (c *checks) zones() {
	if len(c.Zones) == 0 {
		c.Missing("zones", "name at least one availability zone")
	}
	owner := map[string]string{}
	once := func(field, id, what, wayOut string) {
		if other, ok := owner[id]; ok && id != "" {
			c.Add(field, id, "is "+what+" of "+other+" already", wayOut)
		}
		owner[id] = field
	}
	given := 0
	for _, key := range sorted(c.Zones) {
		z, field := c.Zones[key], "zones."+key
		if !zoneKeys.MatchString(key) {
			c.Add(field, key, "is not the name of an availability zone", "write it as eu-west-1a")
		}
		if z.Public.ID == nil {
			c.Missing(field+".public.id", "name the public subnet of the instance")
		}
		once(field+".public.id", plain(z.Public.ID), "the subnet", "a subnet belongs to one zone, and is public or private")
		c.publicSubnet(field, z)
		if len(z.Tables) == 0 {
			c.Missing(field+".tables", "name the route tables of the private subnets")
		}
		for _, k := range sorted(z.Tables) {
			t, field := z.Tables[k], field+".tables."+k
			c.matches(field, k, childKeys, "must be 1 to 63 letters, digits and _.-", "choose another key")
			if t.ID == nil {
				c.Missing(field+".id", "name the route table")
			}
			once(field+".id", plain(t.ID), "the table", "a route table belongs to one zone, for its routes lead to one instance")
			if len(t.Subnets) == 0 {
				c.Missing(field+".subnets", "name the subnets that use the table: the prober stands there")
			}
			for i, s := range t.Subnets {
				once(fmt.Sprintf("%s.subnets[%d]", field, i), plain(s), "the subnet", "a subnet uses one table")
			}
		}
		c.matches(field+".allocationId", z.AllocationID, allocations, "is not the id of an Elastic IP", "write it as eipalloc-0123456789abcdef0")
		once(field+".allocationId", z.AllocationID, "the Elastic IP", "every instance and gateway needs one of its own")
		once(field+".standby.allocationId", z.Standby.AllocationID, "the Elastic IP", "every instance and gateway needs one of its own")
		if z.AllocationID != "" {
			given++
		}
	}
	for _, key := range sorted(c.Zones) {
		if given > 0 && c.Zones[key].AllocationID == "" {
			c.Missing("zones."+key+".allocationId", fmt.Sprintf("%d of %d zones have theirs given: give one, so that no traffic leaves from an address that nobody allows, or give none at all", given, len(c.Zones)))
		}
	}
	if a := c.SharedStandby.AllocationID; a != "" {
		once("sharedStandby.allocationId", a, "the Elastic IP", "every instance and gateway needs one of its own")
	}
}

func (c *checks) publicSubnet(field string, z Zone) {
	if z.Public.CIDR == "" {
		if plain(z.Public.ID) == "" && z.Public.ID != nil {
			c.Missing(field+".public.cidr", "the subnet is not known before the update, so that it cannot be looked up")
		}
		return
	}
	if p := c.cidr(field+".public.cidr", z.Public.CIDR); p.IsValid() {
		c.List = append(c.List, addressProblems(field, z.Address, p)...)
	}
}

// addressProblems are those of a zone's address in its subnet.
func addressProblems(field, address string, subnet netip.Prefix) (list problem.List) {
	if !subnet.Addr().Is4() {
		list.Add(field+".public.cidr", subnet.String(), "is not IPv4", "give the IPv4 CIDR of the subnet")
		return list
	}
	if address == "" {
		return nil
	}
	a, err := netip.ParseAddr(address)
	switch {
	case err != nil || !a.Is4():
		list.Add(field+".address", address, "is not an IPv4 address", "leave it out for "+highest(subnet).String())
	case !subnet.Contains(a):
		list.Add(field+".address", address, "is not in the public subnet, "+subnet.String(), "leave it out for "+highest(subnet).String())
	case a.Less(subnet.Addr().Next().Next().Next().Next()) || highest(subnet).Less(a):
		list.Add(field+".address", address, "is one of the first four or the last of the subnet, which AWS keeps", "leave it out for "+highest(subnet).String())
	}
	return list
}

// highest is the highest address of a subnet that AWS lets be assigned: it keeps the first four and the last.
func highest(subnet netip.Prefix) netip.Addr {
	last := subnet.Masked().Addr().As4()
	for bit := subnet.Bits(); bit < 32; bit++ {
		last[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(last).Prev()
}

func (c *checks) standby() {
	shared := c.SharedStandby
	switch c.Standby {
	case "", PerZone, Shared, Existing, None:
	default:
		c.Add("standby", string(c.Standby), "must be perZone, shared, existing or none", problem.Meant(c.Standby, "leave it out for perZone", PerZone, Shared, Existing, None))
		return
	}
	switch _, ok := c.Zones[shared.Zone]; {
	case c.Standby == Shared && shared.Zone == "":
		c.Missing("sharedStandby.zone", "say in whose public subnet the gateway is to stand")
	case c.Standby == Shared && !ok:
		c.Add("sharedStandby.zone", shared.Zone, "is not one of the zones", problem.MeantKey(shared.Zone, c.Zones))
	case c.Standby != Shared && shared != SharedStandby{}:
		c.List = append(c.List, problem.Problem{Field: "sharedStandby", Rule: "is for standby shared only", WayOut: "leave it out, or set standby to shared"})
	}
	c.matches("sharedStandby.allocationId", shared.AllocationID, allocations, "is not the id of an Elastic IP", "write it as eipalloc-0123456789abcdef0")
	c.standbyOfZones()
}

func (c *checks) standbyOfZones() {
	given := 0
	for _, key := range sorted(c.Zones) {
		s, field := c.Zones[key].Standby, "zones."+key+".standby"
		c.matches(field+".gatewayId", s.GatewayID, gateways, "is not the id of a NAT gateway", "write it as nat-0123456789abcdef0")
		c.matches(field+".allocationId", s.AllocationID, allocations, "is not the id of an Elastic IP", "write it as eipalloc-0123456789abcdef0")
		switch {
		case c.Standby == Existing && s.GatewayID == "":
			c.Missing(field+".gatewayId", "name the gateway, or choose another standby")
		case c.Standby != Existing && s.GatewayID != "":
			c.Add(field+".gatewayId", s.GatewayID, "is given, but one is made or none wanted", "set standby to existing, or leave it out")
		}
		if s.AllocationID != "" {
			given++
			if c.Standby != "" && c.Standby != PerZone {
				c.Add(field+".allocationId", s.AllocationID, "is for gateways that are made in the zones", "leave it out, or set standby to perZone")
			}
		}
	}
	for _, key := range sorted(c.Zones) {
		if given > 0 && c.Zones[key].Standby.AllocationID == "" && (c.Standby == "" || c.Standby == PerZone) {
			c.Missing("zones."+key+".standby.allocationId", fmt.Sprintf("%d of %d zones have theirs given: give one, or none at all", given, len(c.Zones)))
		}
	}
}

func (c *checks) instance() {
	i := c.Instance
	c.once("instance.types", i.Types)
	c.architecture("instance.architecture", i.Architecture)
	switch i.Market {
	case "", OnDemand, Spot:
	default:
		c.Add("instance.market", string(i.Market), "must be onDemand or spot", problem.Meant(i.Market, "leave it out for onDemand", OnDemand, Spot))
	}
	c.matches("instance.imageId", i.ImageID, images, "is not the id of an image", "write it as ami-0123456789abcdef0")
	c.matches("instance.imageParameter", i.ImageParameter, parameters, "is not the name of a public parameter", "write it as /aws/service/ami-amazon-linux-latest/…")
	if i.ImageID != "" && i.ImageParameter != "" {
		c.Add("instance.imageParameter", i.ImageParameter, "contradicts instance.imageId", "leave one of the two out")
	}
	if i.VolumeGiB != 0 && (i.VolumeGiB < 8 || i.VolumeGiB > 16384) {
		c.Number("instance.volumeGiB", i.VolumeGiB, "must be 8 to 16384: the image has 8", "leave it out for 8")
	}
	c.heartbeat("instance.launchHeartbeat", i.LaunchHeartbeat, shortestLaunch)
	c.heartbeat("instance.terminateHeartbeat", i.TerminateHeartbeat, shortestHeartbeat)
	for name, commands := range map[string]string{"before": i.Before, "after": i.After} {
		if strings.Contains(commands, hookMarker) {
			c.List = append(c.List, problem.Problem{Field: "instance." + name, Rule: "holds " + hookMarker + ", which ends it in the user data", WayOut: "write it in another way"})
		}
	}
	if n := len(i.Before) + len(i.After); n > mostHooks {
		c.Number("instance.before", n, fmt.Sprintf("bytes together with instance.after are more than the %d that fit into user data", mostHooks), "let the commands fetch a script from S3")
	}
	seen := map[string]bool{}
	for n, arn := range i.Policies {
		field := fmt.Sprintf("instance.policies[%d]", n)
		c.matches(field, arn, policies, "is not the ARN of an IAM policy", "write it as arn:aws:iam::123456789012:policy/name")
		if name := arn[strings.LastIndex(arn, "/")+1:]; seen[name] {
			c.Add(field, arn, "has the name of another", "name it once")
		} else {
			seen[name] = true
		}
	}
	if t := i.Tuning; t != nil && t.MaxConnections < 0 {
		c.Number("instance.tuning.maxConnections", t.MaxConnections, "is less than none", "leave it out for what the memory holds")
	}
	if t := i.Tuning; t != nil && (time.Duration(t.EstablishedTimeout) < time.Minute || time.Duration(t.EstablishedTimeout) > 5*24*time.Hour) {
		c.Add("instance.tuning.establishedTimeout", time.Duration(t.EstablishedTimeout).String(), "must be 1m to 120h, as EC2's own connection tracking takes it", "leave it out for 350s")
	}
}

// mostHooks leaves half of the user data to the script itself and the agent's document.
const mostHooks = 8 << 10

func (c *checks) architecture(field, value string) {
	if value != "" && value != ARM64 && value != X8664 {
		c.Add(field, value, "must be arm64 or x86_64", problem.Meant(value, "leave it out for arm64", ARM64, X8664))
	}
}

func (c *checks) heartbeat(field string, d, shortest time.Duration) {
	if d != 0 && (d < shortest || d > longestHeartbeat || d%time.Second != 0) {
		c.Add(field, d.String(), fmt.Sprintf("must be whole seconds from %gs to 2h", shortest.Seconds()), "leave it out for the default")
	}
}

func (c *checks) ingress() {
	if c.Ingress == nil {
		return
	}
	if len(c.Ingress.CIDRs) == 0 && len(c.Ingress.SecurityGroups) == 0 {
		c.Missing("ingress", "nobody could use the instances: name CIDRs or security groups, or leave it out for the CIDRs of the VPC")
	}
	for i, cidr := range c.Ingress.CIDRs {
		if field := fmt.Sprintf("ingress.cidrs[%d]", i); c.cidr(field, cidr) == route.Default() {
			c.Add(field, cidr, "is everybody: what goes to a client is not translated", "name the networks of the clients")
		}
	}
	c.once("ingress.cidrs", c.Ingress.CIDRs)
	for _, k := range sorted(c.Ingress.SecurityGroups) {
		c.matches("ingress.securityGroups."+k, k, childKeys, "must be 1 to 63 letters, digits and _.-", "choose another key")
	}
}

func (c *checks) failover() {
	f := c.Failover
	c.urls("failover.targets", f.Targets, fewestTargets)
	c.urls("failover.identity", f.Identity, 1)
	c.architecture("failover.architecture", f.Architecture)
	c.once("failover.endpoints", f.Endpoints)
	if f.Economy && f.Detection != nil {
		c.List = append(c.List, problem.Problem{Field: "failover.detection", Rule: "contradicts failover.economy", WayOut: "leave one of the two out"})
	}
	if d := f.Detection; d != nil {
		c.detection(*d)
	}
	if h := f.Healing; h != nil && (h.Dwell < 0 || h.Pause < 0) {
		c.List = append(c.List, problem.Problem{Field: "failover.healing", Rule: "has a time below 0", WayOut: "0 as dwell never replaces an instance"})
	}
	if r := f.Restore; r != nil && (r.Dwell <= 0 || r.MaxDwell < r.Dwell) {
		c.Add("failover.restore.dwell", time.Duration(r.Dwell).String(), "must be above 0 and at most maxDwell", "leave it out for 10m")
	}
}

func (c *checks) detection(d Detection) {
	const field = "failover.detection"
	interval, timeout, window, active := time.Duration(d.Interval), time.Duration(d.Timeout), time.Duration(d.Window), time.Duration(d.Active)
	if interval < 50*time.Millisecond || interval > time.Minute {
		c.Add(field+".interval", interval.String(), "must be 50ms to 1m", "the default is 250ms")
	}
	if timeout < 100*time.Millisecond || timeout > 30*time.Second {
		c.Add(field+".timeout", timeout.String(), "must be 100ms to 30s", "the default is 500ms")
	}
	if d.Failed < 2 {
		c.Number(field+".failed", d.Failed, "must be at least 2: one lost round is no failure", "the default is 3")
	} else if d.Of < d.Failed {
		c.Number(field+".of", d.Of, "must be at least failed", "the default is 3")
	}
	if d.Share <= 0 || d.Share > 1 {
		c.Add(field+".share", fmt.Sprint(d.Share), "must be above 0 and at most 1", "the default is 0.3")
	}
	if window < interval || window > time.Minute {
		c.Add(field+".window", window.String(), "must be between interval and 1m", "the default is 10s")
	}
	if active < window || active > time.Minute {
		c.Add(field+".active", active.String(), "must be between window and 1m", "the default is 1m")
	}
}

// urls checks a list of which an empty one means the default.
func (c *checks) urls(field string, list []string, least int) {
	if n := len(list); n > 0 && n < least {
		c.Number(field, n, fmt.Sprintf("are fewer than %d: what one target suffers must not look like a failed path", least), "name more that do not depend on each other, or leave them out")
	}
	for i, target := range list {
		if _, err := natzone.Target(target).URL(); err != nil {
			c.Add(fmt.Sprintf("%s[%d]", field, i), target, "is not a URL of http or https", "write it as https://example.com/")
		}
	}
	c.once(field, list)
}

// once refuses what a list has twice.
func (c *checks) once(field string, list []string) {
	for i, value := range list {
		if slices.Contains(list[:i], value) {
			c.Add(fmt.Sprintf("%s[%d]", field, i), value, "is there twice", "name it once")
		}
	}
}

func (c *checks) observability() {
	o := c.Observability
	c.matches("observability.alertTopicArn", o.AlertTopicARN, topics, "is not the ARN of an SNS topic", "leave it out to have one made")
	if o.AlertTopicARN != "" && len(o.Subscribers) > 0 {
		c.List = append(c.List, problem.Problem{Field: "observability.subscribers", Rule: "are for the topic that is made, and one is given", WayOut: "leave one of the two out"})
	}
	for i, s := range o.Subscribers {
		if u, err := url.Parse(s); !strings.Contains(s, "@") && (err != nil || u.Scheme != "https" || u.Hostname() == "") {
			c.Add(fmt.Sprintf("observability.subscribers[%d]", i), s, "is neither an e-mail address nor an https URL", "write it as ops@example.com")
		}
	}
	c.once("observability.subscribers", o.Subscribers)
	if o.LogRetentionDays != 0 && !slices.Contains(retentions, o.LogRetentionDays) {
		c.Number("observability.logRetentionDays", o.LogRetentionDays, "is not one that CloudWatch Logs takes", "leave it out for 30, or choose such as 7, 90 or 365")
	}
	if m := o.MetricInterval; m != 0 && (m < 10*time.Second || m > time.Hour) {
		c.Add("observability.metricInterval", m.String(), "must be 10s to 1h", "leave it out for 1m")
	}
}

// plain is the value of an input that is known before anything runs.
func plain(in pulumi.StringInput) string {
	if s, ok := in.(pulumi.String); ok {
		return string(s)
	}
	return ""
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
