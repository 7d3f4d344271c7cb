package migration

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/stackoutputs"
)

// Record is what a stack keeps of the last stage that it has done. Export [Migration.Record] and read it back with
// [LastRecord] at the next update.
type Record struct {
	Stage     string
	Tables    []string
	VSwitches []string
	// SystemRoute is [Migration.SystemRoute]. A record of an earlier version has none, which counts as false.
	SystemRoute bool
}

// Record is what the stack must export for the next update. It resolves when the stage is done.
func (m *Migration) Record() pulumi.Map {
	return pulumi.Map{"stage": m.Stage, "tables": m.Tables, "vswitches": m.VSwitches, "systemRoute": m.SystemRoute}
}

// LastRecord reads the record that the program exported under name when the stack was last updated; nil when no stage has
// been done yet.
func LastRecord(ctx *pulumi.Context, name string) (*Record, error) {
	outputs, err := stackoutputs.Last(ctx)
	if err != nil {
		return nil, err
	}
	exported, _ := outputs[name].(map[string]any)
	return ReadRecord(exported), nil
}

// ReadRecord reads a record from an exported map, which may hold other keys beside; nil when it holds no stage.
func ReadRecord(exported map[string]any) *Record {
	stage, _ := exported["stage"].(string)
	if stage == "" {
		return nil
	}
	systemRoute, _ := exported["systemRoute"].(bool)
	return &Record{Stage: stage, Tables: texts(exported["tables"]), VSwitches: texts(exported["vswitches"]), SystemRoute: systemRoute}
}

func texts(value any) []string {
	values, _ := value.([]any)
	var out []string
	for _, v := range values {
		if text, ok := v.(string); ok {
			out = append(out, text)
		}
	}
	return out
}
