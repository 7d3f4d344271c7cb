package stacks

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/problem"
)

// places is the form in which a vendor names its regions and their zones. It is a form and no list, so that a region that opens
// tomorrow is one.
type places struct {
	// setup is the namespace of the provider's keys.
	setup, vendor string
	region        *regexp.Regexp
	// zone captures the region that it is in.
	zone *regexp.Regexp
	// example is a region.
	example string
}

// newPlaces makes the form of zones from that of regions, which stands in it as R.
func newPlaces(setup, vendor, region, zone, example string) places {
	anchored := func(form string) *regexp.Regexp { return regexp.MustCompile("^(?:" + form + ")$") }
	return places{setup: setup, vendor: vendor, region: anchored(region), zone: anchored(strings.ReplaceAll(zone, "R", region)), example: example}
}

var (
	// AWS: zones of a region end in a letter, local zones and those of mobile networks in a place, such as us-west-2-lax-1a.
	awsPlaces = newPlaces("aws", "AWS",
		`(?:af|ap|ca|cn|eu|eu-isoe|eusc-de|il|me|mx|sa|us|us-gov|us-iso|us-isob|us-isof)-(?:north|south|east|west|central|northeast|northwest|southeast|southwest)-\d`,
		`(R)(?:[a-z]|(?:-[a-z0-9]+)+)`, "eu-west-1")
	// Alibaba Cloud: cn-hangzhou, ap-southeast-1, cn-north-2-gov-1; zones cn-hangzhou-i, ap-southeast-1a.
	alicloudPlaces = newPlaces("alicloud", "Alibaba Cloud", `[a-z]{2}-[a-z]{2,}(?:-[a-z]{2,}|-\d+)*`, `(R)-[a-z]|(R-\d+)[a-z]`, "cn-hangzhou")
	// Huawei Cloud: cn-north-4, eu-west-101, my-kualalumpur-1; zones cn-north-4a.
	huaweicloudPlaces = newPlaces("huaweicloud", "Huawei Cloud", `[a-z]{2}(?:-[a-z]{2,})+-\d+`, `(R)(?:[a-z]|(?:-[a-z0-9]+)+)`, "cn-north-4")
)

func (p places) set() string { return "pulumi config set " + p.setup + ":region " }

// check finds what is wrong with the region.
func (p places) check(given Given) error {
	field, region := p.setup+":region", given.Provider["region"]
	wrong := problem.Problem{Field: field, Value: strconv.Quote(region), Rule: "is no region of " + p.vendor, WayOut: "set the region of the VPC, such as: " + p.set() + p.example}
	switch of := p.regionOf(region); {
	case region == "":
		return missing(field, "set the region of the VPC: "+p.set()+p.example)
	case p.region.MatchString(region):
		return nil
	case of != "":
		wrong.Rule, wrong.WayOut = "is a zone of region "+of, p.set()+of
	}
	return wrong
}

// regionOf is the region of a zone, empty for what is none.
func (p places) regionOf(zone string) string {
	parts := p.zone.FindStringSubmatch(zone)
	return strings.Join(parts[min(1, len(parts)):], "") // of the forms that a zone may have, it has one
}

// placed finds zones that cannot be in the region. Of a region that is wrong itself, which check says, there is nothing to say.
type placed struct {
	places
	region   string
	problems problem.List
	// wrong are the zones among them.
	wrong map[string]bool
	// fields name a zone that may be in the region, each, unless the stack has something there.
	fields []struct{ field, zone string }
}

func (p places) of(given Given) *placed {
	return &placed{places: p, region: given.Provider["region"], wrong: map[string]bool{}}
}

// zone checks a zone, and says nothing of one that is not given.
func (p *placed) zone(field, zone string) {
	if zone == "" || !p.places.region.MatchString(p.region) {
		return
	}
	of := p.regionOf(zone)
	p.wrong[zone] = of != p.region
	switch of {
	case p.region:
		p.fields = append(p.fields, struct{ field, zone string }{field, zone})
	case "":
		p.problems.Add(field, zone, "is no zone of "+p.vendor, "use one that the vendor's console shows for "+p.region)
	default:
		p.problems.Add(field, zone, "is a zone of region "+of+", not of "+p.region, "use zones of "+p.region+", or change "+p.setup+":region")
	}
}

// exist refuses the zones that the vendor does not list: it would do so half way through the update. It asks once, and only when a zone is
// named. Whoever may not ask goes on without, warned: a configuration that is right needs no check, and a role that could deploy it
// before it was made still can.
func (p *placed) exist(ctx *pulumi.Context, list func() ([]string, error)) error {
	if p == nil || len(p.fields) == 0 {
		return nil
	}
	there, err := list()
	if err == nil && len(there) == 0 {
		err = errors.New("the answer names none")
	}
	if err != nil {
		return ctx.Log.Warn("the zones of "+p.region+" cannot be looked up, so that nobody sees whether those of the stack are there: "+problem.Answer(err), nil)
	}
	slices.Sort(there)
	var problems problem.List
	for _, f := range p.fields {
		if !slices.Contains(there, f.zone) {
			problems.Add(f.field, f.zone, "is no zone that the account can use in "+p.region, "use one of "+strings.Join(there, ", "))
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return problems.Err()
}
