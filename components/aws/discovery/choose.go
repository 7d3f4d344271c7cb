package discovery

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"polynat/internal/problem"
)

// Subnet is what the cloud says of one.
type Subnet struct {
	ID, Zone string
	CIDR     netip.Prefix
	Tags     map[string]string
}

// Table is what the cloud says of a route table.
type Table struct {
	ID string
	// Subnets that are associated with it, and Main: it serves the subnets that are associated with none.
	Subnets []string
	Main    bool
	// Default is what its 0.0.0.0/0 points at; empty without one.
	Default string
}

// Zone is what was found in an availability zone.
type Zone struct {
	// PublicSubnet that is to hold the NAT instance, and its CIDR.
	PublicSubnet string
	PublicCIDR   netip.Prefix
	// Tables are the private subnets, sorted, by the id of the route table that they follow.
	Tables map[string][]string
	// Defaults is where the default routes of the tables point now, by table; a table without one is not in it.
	Defaults map[string]string
}

// role of a subnet.
type role string

const (
	public  role = "public"
	private role = "private"
	neither role = ""
	both    role = "both"
)

// Choose takes the zones from what is in a VPC. It does not look at the provider of the Args.
func (a *Args) Choose(subnets []Subnet, tables []Table) (map[string]Zone, error) {
	c := &choice{Args: a, subnets: map[string]Subnet{}, table: map[string]*Table{}, roles: map[string]role{}, found: map[string]Zone{}}
	for _, s := range subnets {
		c.subnets[s.ID] = s
	}
	c.associate(tables)
	c.sort()
	for _, zone := range c.zones() {
		c.zone(zone)
	}
	c.shared()
	if len(c.found) == 0 && len(c.List) == 0 {
		c.Add("vpc", a.VPC.String(), "has no zone with a public and a private subnet", "give publicTags and privateTags, or the zones themselves")
	}
	return c.found, c.Err()
}

// String is how a person would name the VPC.
func (v VPC) String() string {
	switch {
	case v.ID != "":
		return v.ID
	case v.Name != "":
		return v.Name
	}
	return words(v.Tags)
}

type choice struct {
	*Args
	problem.List
	subnets map[string]Subnet
	table   map[string]*Table // by subnet
	roles   map[string]role   // by subnet
	found   map[string]Zone
}

// associate finds the table that each subnet follows.
func (c *choice) associate(tables []Table) {
	for i := range tables {
		if tables[i].Main {
			for id := range c.subnets {
				c.table[id] = &tables[i]
			}
		}
	}
	for i := range tables {
		for _, id := range tables[i].Subnets {
			c.table[id] = &tables[i]
		}
	}
}

// sort gives every subnet its role, and holds it against where its table leads.
func (c *choice) sort() {
	for _, id := range sorted(c.subnets) {
		s := c.subnets[id]
		r := c.role(s)
		internet := c.table[id] != nil && strings.HasPrefix(c.table[id].Default, "igw-")
		switch {
		case r == both:
			c.Add("vpc", s.String(), "is public by one mark and private by another", "give publicTags and privateTags that no subnet has together")
		case r == public && !internet:
			c.Add("vpc", s.String(), "is called public, but its default route leads to no Internet gateway", "mend its route table, or choose other publicTags")
		case r == private && internet:
			c.Add("vpc", s.String(), "is called private, but its default route leads to an Internet gateway", "mend its route table, or choose other privateTags")
		default:
			c.roles[id] = r
		}
	}
}

func (c *choice) role(s Subnet) role {
	isPublic, isPrivate := has(s.Tags, c.PublicTags), has(s.Tags, c.PrivateTags)
	if len(c.PublicTags) == 0 {
		isPublic, isPrivate = byConvention(s.Tags)
	}
	switch {
	case isPublic && isPrivate:
		return both
	case isPublic:
		return public
	case isPrivate:
		return private
	}
	return neither
}

// byConvention reads the marks of the tools that make VPCs. terraform-aws-vpc names subnets <vpc>-<kind>-<zone>, where the kinds
// besides public and private, such as intra or db, have no way out by design; awsx says SubnetType; what load balancers are
// placed by (kubernetes.io/role) counts where the name says nothing.
func byConvention(tags map[string]string) (isPublic, isPrivate bool) {
	if kind, ok := tags["SubnetType"]; ok {
		return strings.EqualFold(kind, "Public"), strings.EqualFold(kind, "Private")
	}
	parts := strings.FieldsFunc(strings.ToLower(tags["Name"]), func(r rune) bool { return strings.ContainsRune("-_./ ", r) })
	isPublic, isPrivate = slices.Contains(parts, "public"), slices.Contains(parts, "private")
	if !isPublic && !isPrivate {
		_, isPublic = tags["kubernetes.io/role/elb"]
		_, isPrivate = tags["kubernetes.io/role/internal-elb"]
	}
	return isPublic, isPrivate
}

// has tells whether tags hold all of want, and want is any.
func has(tags, want map[string]string) bool {
	for k, v := range want {
		if got, ok := tags[k]; !ok || v != "" && got != v {
			return false
		}
	}
	return len(want) > 0
}

// zones are those asked for, or all that hold a subnet with a role.
func (c *choice) zones() []string {
	there := map[string]bool{}
	for id, r := range c.roles {
		if r == private {
			there[c.subnets[id].Zone] = true
		}
	}
	if len(c.Zones) == 0 {
		return sorted(there)
	}
	for _, zone := range c.Zones {
		if !there[zone] {
			c.Add("zones", zone, "holds no private subnet of "+c.VPC.String(), "name one of "+strings.Join(sorted(there), ", "))
			delete(there, zone)
		}
	}
	return slices.DeleteFunc(slices.Sorted(slices.Values(c.Zones)), func(z string) bool { return !there[z] })
}

func (c *choice) zone(name string) {
	found := Zone{Tables: map[string][]string{}, Defaults: map[string]string{}}
	var publics []string
	for _, id := range sorted(c.subnets) {
		switch s := c.subnets[id]; {
		case s.Zone != name:
		case c.roles[id] == public:
			publics = append(publics, s.String())
			found.PublicSubnet, found.PublicCIDR = id, s.CIDR
		case c.roles[id] == private:
			table := c.table[id]
			if table == nil {
				c.Add("vpc", s.String(), "follows no route table that the lookup shows", "associate it with one")
				continue
			}
			found.Tables[table.ID] = append(found.Tables[table.ID], id)
			if table.Default != "" {
				found.Defaults[table.ID] = table.Default
			}
		}
	}
	switch len(publics) {
	case 1:
		c.found[name] = found
	case 0:
		c.Add("zones", name, "has private subnets and no public one, which is to hold the NAT instance", "tag one, or leave the zone out by naming the others in zones")
	default:
		c.Add("zones", name, "has more than one public subnet: "+strings.Join(publics, ", "), "give publicTags that only one of them has")
	}
}

// shared refuses tables that would lead others along: a second zone, or subnets that were not chosen.
func (c *choice) shared() {
	zoneOf := map[string]string{}
	for _, name := range sorted(c.found) {
		for _, table := range sorted(c.found[name].Tables) {
			if other, ok := zoneOf[table]; ok {
				c.Add("vpc", table, "is the route table of private subnets in "+other+" and in "+name, "give each zone a route table of its own")
			}
			zoneOf[table] = name
		}
	}
	for _, id := range sorted(c.subnets) {
		table := c.table[id]
		if table == nil || zoneOf[table.ID] == "" || c.roles[id] == private {
			continue
		}
		c.Add("vpc", c.subnets[id].String(), "is not private, and follows "+table.ID+", which private subnets of "+zoneOf[table.ID]+" follow", "give it another route table")
	}
}

// String names a subnet to a person who looks for it.
func (s Subnet) String() string {
	if name := s.Tags["Name"]; name != "" {
		return s.ID + " (" + name + ")"
	}
	return s.ID
}

// Describe says in one line per zone what was found.
func Describe(vpc string, zones map[string]Zone) string {
	lines := []string{fmt.Sprintf("%s: found %d zones", vpc, len(zones))}
	for _, name := range sorted(zones) {
		z := zones[name]
		lines = append(lines, fmt.Sprintf("%s: NAT in %s", name, z.PublicSubnet))
		for _, table := range sorted(z.Tables) {
			line := fmt.Sprintf("  by %s for %s", table, strings.Join(z.Tables[table], ", "))
			if to := z.Defaults[table]; to != "" {
				line += ", which now leads to " + to
			}
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n  ")
}

func words(tags map[string]string) string {
	var parts []string
	for _, k := range sorted(tags) {
		parts = append(parts, k+"="+tags[k])
	}
	return strings.Join(parts, ", ")
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
