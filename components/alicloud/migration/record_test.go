package migration_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	component "polynat/components/alicloud/migration"
	"polynat/tests/recorder"
)

func TestTheRecordIsWhatTheLastUpdateExported(t *testing.T) {
	full := map[string]any{"stage": "snat", "tables": []any{"vtb-1"}, "vswitches": []any{"vsw-1", "vsw-2"}, "systemRoute": true, "other": 1.5}
	for name, c := range map[string]struct {
		last map[string]any
		want *component.Record
	}{
		"before the first update":      {nil, nil},
		"of a program without it":      {map[string]any{"vpc": "vpc-1"}, nil},
		"before the first stage":       {map[string]any{"egress": map[string]any{"found": "vpc-1"}}, nil},
		"of a stage":                   {map[string]any{"egress": full}, &component.Record{Stage: "snat", Tables: []string{"vtb-1"}, VSwitches: []string{"vsw-1", "vsw-2"}, SystemRoute: true}},
		"of a version without routes":  {map[string]any{"egress": map[string]any{"stage": "adopt"}}, &component.Record{Stage: "adopt"}},
		"that somebody else has given": {map[string]any{"egress": "snat"}, nil},
	} {
		_, err := recorder.Run(func(ctx *pulumi.Context) error {
			got, err := component.LastRecord(ctx, "egress")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			return err
		}, recorder.Options{Last: c.last})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
