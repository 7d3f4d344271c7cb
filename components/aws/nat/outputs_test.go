package nat_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/nat"
	"polynat/tests/recorder"
)

// parts belong to something that has an output, and are found by it.
var parts = []string{
	"Rule", "Policy", "RolePolicyAttachment", "Permission", "EventTarget", "LifecycleHook", "Route", "FunctionEventInvokeConfig", "TopicSubscription",
	"BucketPublicAccessBlock", "BucketObjectv2", "SecurityGroupIngressRule", "SecurityGroupEgressRule", "RolePolicy", "TopicPolicy", "QueuePolicy", "BucketPolicy",
}

// byName is what outputs name: their ids are their names.
var byName = []string{"InstanceProfile", "LogGroup", "Parameter", "Dashboard", "BucketV2"}

// outputs of the component, as JSON.
func outputs(t *testing.T, args *nat.Args) (*recorder.Recording, string) {
	t.Helper()
	var text string
	made, err := recorder.Run(program(args, func(n *nat.NAT) {
		all, v := pulumi.Map{}, reflect.ValueOf(n).Elem()
		for i := range v.NumField() {
			if key := v.Type().Field(i).Tag.Get("pulumi"); key != "" {
				all[key] = v.Field(i).Interface().(pulumi.Output)
			}
		}
		all.ToMapOutput().ApplyT(func(values map[string]any) (int, error) {
			data, err := json.Marshal(values)
			text = string(data)
			return 0, err
		})
	}), options(ireland))
	if err != nil {
		t.Fatal(err)
	}
	return made, text
}

func TestEverythingThatIsMadeIsAmongTheOutputs(t *testing.T) {
	for _, standby := range []nat.StandbyMode{nat.PerZone, nat.Shared, nat.None} {
		args := newArgs("ab")
		args.Rotation.Window, args.Failover.Endpoints = window(), []string{"ec2"}
		if args.Standby = standby; standby == nat.Shared {
			args.SharedStandby.Zone = "eu-west-1a"
		}
		made, text := outputs(t, args)
		seen := 0
		for _, o := range made.Objects {
			kind := o.Type[strings.LastIndex(o.Type, ":")+1:]
			if !strings.HasPrefix(o.Type, "aws:") || slices.Contains(parts, kind) {
				continue
			}
			seen++
			found := strings.Contains(text, `"`+o.Name+".")
			for _, key := range []string{"name", "bucket", "dashboardName"} {
				if value, ok := o.Inputs[key].(string); ok && slices.Contains(byName, kind) {
					found = found || strings.Contains(text, value+`"`)
				}
			}
			if !found {
				t.Errorf("%s: %s %s is in no output", standby, kind, o.Name)
			}
		}
		if seen < 40 {
			t.Errorf("%s: only %d were looked for", standby, seen)
		}
	}
}
