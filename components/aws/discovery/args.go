package discovery

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"

	"polynat/internal/problem"
)

// Args say where to look, and for what.
type Args struct {
	// VPC that the zones are in. Required.
	VPC VPC
	// PublicTags that a subnet has if it is to hold a NAT instance; none: the naming conventions tell. A tag without a value
	// may have any.
	PublicTags map[string]string
	// PrivateTags that a subnet has if it is to leave through the NAT instance of its zone; none: the naming conventions tell.
	PrivateTags map[string]string
	// Zones to take, by their names; none: every zone with a private subnet.
	Zones []string
	// Provider of the region. Required.
	Provider *aws.Provider
}

// VPC is found by one of the three.
type VPC struct {
	// ID of the VPC.
	ID string
	// Name is the value of its tag Name.
	Name string
	// Tags that no other VPC of the region has together.
	Tags map[string]string
}

// Validate returns every problem at once, or nil. The field paths are those of the stack configuration.
func (a *Args) Validate() error {
	var problems problem.List
	given := 0
	for _, is := range []bool{a.VPC.ID != "", a.VPC.Name != "", len(a.VPC.Tags) > 0} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		problems.Missing("vpc", "give its id, its name or tags of it")
	case given > 1:
		problems = append(problems, problem.Problem{Field: "vpc", Rule: "is given by more than one of id, name and tags", WayOut: "leave all but one out"})
	}
	if (len(a.PublicTags) == 0) != (len(a.PrivateTags) == 0) {
		field := "publicTags"
		if len(a.PrivateTags) == 0 {
			field = "privateTags"
		}
		problems.Missing(field, "give both, or neither for the naming conventions")
	}
	seen := map[string]bool{}
	for _, z := range a.Zones {
		if seen[z] {
			problems.Add("zones", z, "is there twice", "name it once")
		}
		seen[z] = true
	}
	return problems.Err()
}
