package rehearsal

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"polynat/components/aws/vpc"
	"polynat/internal/sim"
	"polynat/internal/sim/aws"
)

// awsDeployed is what an export says of the deployed stack. The zero value is one that is not deployed.
type awsDeployed struct {
	account string
	// nat is where it stands, in the words of aws.nat.
	nat block
	// network are the resources of a VPC of its own, others the rest.
	network, others []aws.Existing
	// ips are the public addresses, by the id of an Elastic IP or of a gateway.
	ips map[string]string
}

// awsOutputs is what the setup exported.
type awsOutputs struct {
	Network block
	VPC     struct {
		VPCID         string
		PublicSubnets map[string]string
	}
	AllocationIDs, InstanceAddresses, StandbyGatewayIDs, StandbyAddresses map[string]string
}

// AWSFromExport is the walk of [AWSSetup] from where a deployed stack stands, in a cloud that holds what its state holds, what that
// and the configuration name, and the network that it recorded. Its first step makes what the configuration changes.
func AWSFromExport(config map[string]string, project, stack string, text []byte) (Setup, bool, error) {
	e, err := readExport(project, stack, text)
	if err != nil {
		return Setup{}, false, err
	}
	from, err := e.aws()
	if err != nil {
		return Setup{}, false, err
	}
	setup, ok, err := awsSetup(config, from)
	if err != nil || !ok {
		return Setup{}, false, err
	}
	setup.State, err = ownPart(text, setup.Name)
	return setup, err == nil, err
}

// aws is what the export says of the setup.
func (e *export) aws() (awsDeployed, error) {
	d := awsDeployed{ips: map[string]string{}}
	var o awsOutputs
	for _, r := range e.Deployment.Resources {
		if r.Type == "pulumi:pulumi:Stack" {
			if err := remarshal(r.Outputs["aws"], &o); err != nil {
				return awsDeployed{}, fmt.Errorf("read the outputs of the export: %w", err)
			}
		}
		if r.Custom && !r.Delete && strings.HasPrefix(r.Type, "aws:") {
			d.add(r)
		}
	}
	if len(d.network)+len(d.others) == 0 {
		return awsDeployed{}, nil
	}
	d.nat = o.Network
	if o.VPC.VPCID != "" {
		d.nat = block{}
		d.nat.make("vpc")["id"] = o.VPC.VPCID
		for zone, id := range o.VPC.PublicSubnets {
			d.nat.make("zones", zone, "public")["id"] = id
		}
	}
	if d.nat.at("vpc").text("id") == "" {
		return awsDeployed{}, errors.New("the export does not say in which network the NAT instances stand (run `pulumi up` first, which records it)")
	}
	// What was given then is not in the state, and may have left the configuration since.
	for zone, id := range o.AllocationIDs {
		d.nat.make("zones", zone)["allocationId"], d.ips[id] = id, o.InstanceAddresses[zone]
	}
	for zone, id := range o.StandbyGatewayIDs {
		d.nat.make("zones", zone, "standby")["gatewayId"], d.ips[id] = id, o.StandbyAddresses[zone]
	}
	return d, nil
}

// accounts finds the account in an ARN.
var accounts = regexp.MustCompile(`^arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:(\d{12}):`)

func (d *awsDeployed) add(r exported) {
	existing := aws.Existing{URN: r.URN, Type: r.Type, ID: r.ID, Inputs: plain(r.Inputs), Outputs: plain(r.Outputs)}
	if m := accounts.FindStringSubmatch(sim.Text(r.Outputs, "arn")); m != nil {
		d.account = m[1]
	}
	if allocation := sim.Text(r.Inputs, "allocationId"); allocation != "" {
		d.ips[allocation] = sim.Text(r.Outputs, "publicIp")
	}
	if strings.Contains(r.URN, "::"+vpc.TypeToken+"$") {
		d.network = append(d.network, existing)
	} else {
		d.others = append(d.others, existing)
	}
}

// hold tells the seed what the state holds: it needs no seed.
func (d *awsDeployed) hold(s *awsSeed) {
	maps.Copy(s.ips, d.ips)
	for _, e := range slices.Concat(d.network, d.others) {
		s.held[e.ID] = true
		if e.Type == "aws:ec2/route:Route" {
			s.held[sim.Text(e.Inputs, "routeTableId")+"_"+sim.Text(e.Inputs, "destinationCidrBlock", "destinationIpv6CidrBlock")] = true
		}
	}
}

// referred adds what the state's resources name and nothing else has added: security groups, Elastic IPs and a bucket that were given.
func (d *awsDeployed) referred(s *awsSeed) {
	for _, e := range d.others {
		texts(e.Inputs, func(text string) {
			switch {
			case strings.HasPrefix(text, "sg-"):
				s.group(text)
			case strings.HasPrefix(text, "eipalloc-"):
				s.address(text)
			}
		})
		if strings.HasPrefix(e.Type, "aws:s3/bucketObject") {
			s.bucket(sim.Text(e.Inputs, "bucket"))
		}
	}
}

// texts calls f for every text in a value.
func texts(value any, f func(string)) {
	switch value := value.(type) {
	case string:
		f(value)
	case []any:
		for _, v := range value {
			texts(v, f)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(value)) {
			texts(value[k], f)
		}
	}
}
