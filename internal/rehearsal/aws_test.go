package rehearsal_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/autoscaling"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/engine"
	"polynat/internal/rehearsal"
)

// rehearseAWS walks the dev environment, with another program if mutate is not nil.
func rehearseAWS(t *testing.T, faults int, mutate pulumi.ResourceTransformation) *rehearsal.Report {
	t.Helper()
	project, config, err := engine.LoadConfig(context.Background(), "../..", "dev")
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(config, func(key, _ string) bool { return strings.HasPrefix(key, "polynat:") && key != "polynat:aws" })
	setup, ok, err := rehearsal.AWSSetup(config)
	if err != nil || !ok {
		t.Fatalf("there is nothing to rehearse: %v", err)
	}
	report, err := rehearsal.Run(t.Context(), rehearsal.Options{
		Project: project, Stack: "dev", Config: config, Faults: faults > 0, MaxFaults: faults,
		Program: func(keys []string) pulumi.RunFunc {
			return func(ctx *pulumi.Context) error {
				if mutate != nil {
					if err := ctx.RegisterStackTransformation(mutate); err != nil {
						return err
					}
				}
				return rehearsal.Polynat(keys)(ctx)
			}
		},
	}, setup)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// race is whether the race detector is on, with which the failures take minutes. All are tried by polynat rehearse --every-failure.
var race bool

func TestNATInstancesAreRehearsedFromTheirMakingToTheirEnd(t *testing.T) {
	faults := 3
	if race {
		faults = 0
	}
	report := rehearseAWS(t, faults, nil)
	setup := report.Setups[0]
	reached := map[string]string{}
	for _, s := range setup.Steps {
		reached[s.Name] = s.Reaches
		if len(s.Problems) > 0 || s.Holes > 0 {
			t.Errorf("%s: %d subnets without a way out: %s", s.Name, s.Holes, strings.Join(s.Problems, "\n"))
		}
		if s.Operations > 0 && s.Name != "deploy" && s.Faults != faults {
			t.Errorf("%s: %d operations were made to fail", s.Name, s.Faults)
		}
	}
	for name, want := range map[string]string{
		"change the template": "by instance", "add a zone": "by instance", "an instance dies": "by nat gateway",
		"its successor has taken over": "3 by instance", "it is in all zones": "3 by instance", "share the standby": "by instance", "destroy": "none is left",
	} {
		if got, ok := reached[name]; !ok || !strings.Contains(got, want) {
			t.Errorf("%s: subnets leave %q, want %s", name, got, want)
		}
	}
	if len(setup.Variants) == 0 {
		t.Error("the other answers to what nobody documents were not walked")
	}
}

// Without a standby nothing keeps a zone up whose instance dies, and the verdict does not hide it.
func TestAnInstanceThatDiesWithoutAStandbyIsCountedAndSaid(t *testing.T) {
	project, config, err := engine.LoadConfig(t.Context(), "../..", "dev")
	if err != nil {
		t.Fatal(err)
	}
	config["polynat:aws"] = strings.NewReplacer(`"standby":"shared"`, `"standby":"none"`, `"sharedStandby":{"zone":"eu-west-1a"},`, "").Replace(config["polynat:aws"])
	setup, ok, err := rehearsal.AWSSetup(config)
	if err != nil || !ok {
		t.Fatalf("there is nothing to rehearse: %v", err)
	}
	setup.Variants = nil
	report, err := rehearsal.Run(t.Context(), rehearsal.Options{Project: project, Stack: "dev", Config: config, Program: rehearsal.Polynat}, setup)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range report.Setups[0].Steps {
		dies := s.Name == "an instance dies"
		if len(s.Problems) > 0 || (s.Holes > 0) != dies || dies && !strings.Contains(s.Reaches, "without a way out") {
			t.Errorf("step %s: %d without a way out, reaches %s: %v", s.Name, s.Holes, s.Reaches, s.Problems)
		}
	}
	var out strings.Builder
	if err := report.Text(&out); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(strings.Fields(out.String()), " "); !report.OK || !strings.HasSuffix(text, "standby none: a zone whose instance dies has no way out until the next one runs aws (stack dev): ok, except that step an instance dies interrupts traffic") {
		t.Errorf("ok %v\n%s", report.OK, &out)
	}
}

// What keeps the traffic up is taken away from the program, one thing at a time. The rehearsal has to see each.
func TestARehearsalOnAWSSeesWhatTheProgramWouldLack(t *testing.T) {
	without := func(typ string, change func(*pulumi.ResourceTransformationArgs) []pulumi.ResourceOption) pulumi.ResourceTransformation {
		return func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			if args.Type != typ {
				return nil
			}
			opts := change(args)
			return &pulumi.ResourceTransformationResult{Props: args.Props, Opts: opts}
		}
	}
	for name, test := range map[string]struct {
		mutate     pulumi.ResourceTransformation
		step, want string
	}{
		"routes whose holder is left alone": {
			without("aws:ec2/route:Route", func(*pulumi.ResourceTransformationArgs) []pulumi.ResourceOption { return nil }),
			"the same again", "there was nothing to do",
		},
		"a public address for the API": {
			without("aws:ec2/launchTemplate:LaunchTemplate", func(a *pulumi.ResourceTransformationArgs) []pulumi.ResourceOption {
				a.Props.(*ec2.LaunchTemplateArgs).NetworkInterfaces = ec2.LaunchTemplateNetworkInterfaceArray{}
				return a.Opts
			}),
			"deploy", "no public address",
		},
		"an order of the zones": {
			without("aws:autoscaling/group:Group", func(a *pulumi.ResourceTransformationArgs) []pulumi.ResourceOption {
				a.Props.(*autoscaling.GroupArgs).InstanceRefresh = &autoscaling.GroupInstanceRefreshArgs{
					Strategy:    pulumi.String("Rolling"),
					Preferences: &autoscaling.GroupInstanceRefreshPreferencesArgs{MinHealthyPercentage: pulumi.Int(100), MaxHealthyPercentage: pulumi.Int(200)},
				}
				return a.Opts
			}),
			"a good agent instead", "were without their instance at once",
		},
	} {
		report := rehearseAWS(t, 0, test.mutate)
		steps := report.Setups[0].Steps
		last := steps[len(steps)-1]
		if report.OK || last.Name != test.step || !strings.Contains(strings.Join(last.Problems, "\n"), test.want) {
			t.Errorf("without %s: the rehearsal ended at %s with %q", name, last.Name, last.Problems)
		}
	}
}
