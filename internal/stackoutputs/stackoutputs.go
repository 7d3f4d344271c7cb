// Package stackoutputs reads what a stack holds from its last update, from within its own program.
package stackoutputs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

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

// invoke is Context.Invoke for results that may hold secrets, which that refuses: any resource of the stack may have one. They come
// in plain, and must not be put into outputs or inputs.
func invoke(ctx *pulumi.Context, token string, args map[string]any, result any) error {
	_, err := ctx.InvokePackageRaw(token, args, result, "")
	return err
}

// Resource is a resource of the stack's state.
type Resource struct {
	// Name is the last part of its URN.
	Type, Name string
	Outputs    map[string]any
}

// Resources returns what the state of this very stack holds now.
func Resources(ctx *pulumi.Context) ([]Resource, error) {
	var result struct {
		Outputs map[string]any `pulumi:"outputs"`
	}
	name := fmt.Sprintf("%s/%s/%s", ctx.Organization(), ctx.Project(), ctx.Stack())
	if err := invoke(ctx, "pulumi:pulumi:readStackResourceOutputs", map[string]any{"stackName": name}, &result); err != nil {
		return nil, fmt.Errorf("read the state of %s: %w", name, err)
	}
	var resources []Resource
	for key, value := range result.Outputs {
		held, ok := value.(map[string]any)
		u := urn.URN(key)
		if !ok || !u.IsValid() {
			continue
		}
		outputs, _ := held["outputs"].(map[string]any)
		resources = append(resources, Resource{Type: string(u.Type()), Name: u.Name(), Outputs: outputs})
	}
	slices.SortFunc(resources, func(a, b Resource) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name))
	})
	return resources, nil
}
