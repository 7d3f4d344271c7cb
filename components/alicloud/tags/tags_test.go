package tags_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/ecs"
	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/alicloud/tags"
	"polynat/tests/recorder"
)

func TestTagsReachResourcesOfBothTypesAndNoTagsReachNone(t *testing.T) {
	for name, m := range map[string]map[string]string{"none": nil, "two": {"team": "network", "env": "dev"}} {
		t.Run(name, func(t *testing.T) {
			made, err := recorder.Run(func(ctx *pulumi.Context) error {
				if _, err := vpc.NewNetwork(ctx, "map", &vpc.NetworkArgs{Tags: tags.Of(m)}); err != nil {
					return err
				}
				_, err := ecs.NewInstance(ctx, "string-map", &ecs.InstanceArgs{Tags: tags.Of(m)})
				return err
			}, recorder.Options{})
			if err != nil || len(made.Objects) != 2 {
				t.Fatalf("error %v, %d objects", err, len(made.Objects))
			}
			for _, o := range made.Objects {
				var want any
				if m != nil {
					want = map[string]any{"team": "network", "env": "dev"}
				}
				if diff := cmp.Diff(want, o.Inputs["tags"]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", o.Name, diff)
				}
			}
		})
	}
}
