// Package stackoutputs reads what a stack exported when it was last updated, from within its own program.
package stackoutputs

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Last returns the outputs of this very stack as its last update left them, empty before the first. It works in a preview
// too, and leaves nothing in the state, as a StackReference would.
func Last(ctx *pulumi.Context) (map[string]any, error) {
	var result struct {
		Outputs map[string]any `pulumi:"outputs"`
	}
	name := fmt.Sprintf("%s/%s/%s", ctx.Organization(), ctx.Project(), ctx.Stack())
	if err := ctx.Invoke("pulumi:pulumi:readStackOutputs", map[string]any{"name": name}, &result); err != nil {
		return nil, fmt.Errorf("read the outputs of the last update of %s: %w", name, err)
	}
	return result.Outputs, nil
}
