// Package tags passes tags to resources of Alibaba Cloud under every release of its SDK: up to v3.49 their type is
// pulumi.MapInput, later pulumi.StringMapInput.
package tags

import (
	"context"
	"reflect"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Input fits a field for tags under every release.
type Input interface {
	pulumi.MapInput
	pulumi.StringMapInput
}

// Of returns the tags as an input, nil for no tags: an empty block would count as a change of an object that has none.
func Of(m map[string]string) Input {
	if len(m) == 0 {
		return nil
	}
	return tags(m)
}

type tags map[string]string

// ElementType implements pulumi.Input.
func (tags) ElementType() reflect.Type { return reflect.TypeFor[map[string]string]() }

// ToMapOutput implements pulumi.MapInput.
func (m tags) ToMapOutput() pulumi.MapOutput { return m.ToMapOutputWithContext(context.Background()) }

// ToMapOutputWithContext implements pulumi.MapInput.
func (m tags) ToMapOutputWithContext(ctx context.Context) pulumi.MapOutput {
	values := pulumi.Map{}
	for k, v := range m {
		values[k] = pulumi.String(v)
	}
	return values.ToMapOutputWithContext(ctx)
}

// ToStringMapOutput implements pulumi.StringMapInput.
func (m tags) ToStringMapOutput() pulumi.StringMapOutput {
	return m.ToStringMapOutputWithContext(context.Background())
}

// ToStringMapOutputWithContext implements pulumi.StringMapInput.
func (m tags) ToStringMapOutputWithContext(ctx context.Context) pulumi.StringMapOutput {
	return pulumi.ToStringMap(m).ToStringMapOutputWithContext(ctx)
}
