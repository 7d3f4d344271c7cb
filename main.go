// Command polynat is the Pulumi program: `pulumi up` runs it. What it can deploy is the table stacks.Setups.
package main

import (
	"encoding/json"
	"maps"
	"os"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/stacks"
)

func main() {
	pulumi.Run(stacks.Program(stacks.Setups(), configKeys(os.Getenv(pulumi.EnvConfig))))
}

// configKeys are the keys of the stack's configuration. The SDK has no call that lists them; the engine hands them to the
// program as a JSON object in this environment variable.
func configKeys(object string) []string {
	var config map[string]string
	if json.Unmarshal([]byte(object), &config) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(config))
}
