// Package stackoutputs reads what a stack holds from its last update, from within its own program.
package stackoutputs

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Last returns the outputs of this very stack as its last update left them, empty before the first. It works in a preview
// too, and leaves nothing in the state, as a StackReference would.
func Last(ctx *pulumi.Context) (map[string]any, error) {
	var result struct {
		Outputs map[string]any `pulumi:"outputs"`
	}
	name := fmt.Sprintf("%s/%s/%s", ctx.Organization(), ctx.Project(), ctx.Stack())
	if err := invoke(ctx, "pulumi:pulumi:readStackOutputs", map[string]any{"name": name}, &result); err != nil {
		return nil, fmt.Errorf("read the outputs of the last update of %s: %w", name, err)
	}
	return result.Outputs, nil
}

// The state is read while the engine writes it, as soon as the program has registered anything. The backend "file" then finds an
// empty file at times, and says unreadable. It is asked again after firstWait, then after twice that, and so on; the last time
// after lastWait, so that a state which stays unreadable costs 2.6 seconds.
const (
	unreadable = "failed to load checkpoint"
	firstWait  = 10 * time.Millisecond
	lastWait   = 1280 * time.Millisecond
)

// invoke is Context.Invoke for results that may hold secrets, which that refuses: any resource of the stack may have one. They come
// in plain, and must not be put into outputs or inputs.
func invoke(ctx *pulumi.Context, token string, args map[string]any, result any) error {
	for wait := firstWait; ; wait *= 2 {
		_, err := ctx.InvokePackageRaw(token, args, result, "")
		if err == nil || wait > lastWait || !strings.Contains(err.Error(), unreadable) {
			return err
		}
		select {
		case <-ctx.Context().Done():
			return errors.Join(err, ctx.Context().Err())
		case <-time.After(wait):
		}
	}
}

// Resource is a resource of the stack's state.
type Resource struct {
	// Name is the last part of its URN.
	Type, Name string
	// Outputs are those that were asked for, as far as the resource has them.
	Outputs map[string]any
}

// Resources returns what the state of this very stack holds: as it was when [Remember] made ctx, or else as it is now. outputs are
// the names of the outputs that the caller wants to see.
func Resources(ctx *pulumi.Context, outputs ...string) ([]Resource, error) {
	m, ok := ctx.Value(memoryKey{}).(memory)
	if ok && !slices.ContainsFunc(outputs, func(name string) bool { return !slices.Contains(m.outputs, name) }) {
		return m.resources, nil
	}
	return read(ctx, outputs)
}

// memory is what [Remember] has read.
type memory struct {
	outputs   []string
	resources []Resource
}

type memoryKey struct{}

// Remember reads the state and returns a context from which [Resources] answers when asked for some of these outputs. A program
// calls it before it registers anything: from then on the engine writes what is read.
func Remember(ctx *pulumi.Context, outputs ...string) (*pulumi.Context, error) {
	resources, err := read(ctx, outputs)
	return ctx.WithValue(memoryKey{}, memory{outputs, resources}), err
}

// read reads the state. The SDK decodes no output that was not asked for: a refresh leaves archives without their contents in the
// state, which it refuses (pulumi/pulumi#20661).
func read(ctx *pulumi.Context, outputs []string) ([]Resource, error) {
	name := fmt.Sprintf("%s/%s/%s", ctx.Organization(), ctx.Project(), ctx.Stack())
	wanted := make([]reflect.StructField, len(outputs))
	for i, output := range outputs {
		wanted[i] = reflect.StructField{
			Name: fmt.Sprintf("Output%d", i), Type: reflect.TypeFor[any](), Tag: reflect.StructTag(fmt.Sprintf("pulumi:%q", output)),
		}
	}
	held := reflect.StructOf([]reflect.StructField{{Name: "Outputs", Type: reflect.StructOf(wanted), Tag: `pulumi:"outputs"`}})
	result := reflect.New(reflect.StructOf([]reflect.StructField{
		{Name: "Outputs", Type: reflect.MapOf(reflect.TypeFor[string](), held), Tag: `pulumi:"outputs"`},
	}))
	if err := invoke(ctx, "pulumi:pulumi:readStackResourceOutputs", map[string]any{"stackName": name}, result.Interface()); err != nil {
		return nil, fmt.Errorf("read the state of %s: %w", name, err)
	}
	var resources []Resource
	for all := result.Elem().Field(0).MapRange(); all.Next(); {
		u := urn.URN(all.Key().String())
		if !u.IsValid() {
			continue
		}
		r := Resource{Type: string(u.Type()), Name: u.Name(), Outputs: map[string]any{}}
		for i, output := range outputs {
			if value := all.Value().Field(0).Field(i).Interface(); value != nil {
				r.Outputs[output] = value
			}
		}
		resources = append(resources, r)
	}
	slices.SortFunc(resources, func(a, b Resource) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name))
	})
	return resources, nil
}
