package stackoutputs_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/archive"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/stackoutputs"
)

// backend answers each reading of the state: with the next of errors, or else with held.
type backend struct {
	held   map[string]resource.PropertyMap // outputs by URN
	errors []error
	asked  int
}

func (b *backend) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	return args.Name, args.Inputs, nil
}

func (b *backend) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	b.asked++
	if b.asked <= len(b.errors) {
		return nil, b.errors[b.asked-1]
	}
	outputs := resource.PropertyMap{}
	for urn, held := range b.held {
		outputs[resource.PropertyKey(urn)] = resource.NewProperty(resource.PropertyMap{"outputs": resource.NewProperty(held)})
	}
	return resource.PropertyMap{"name": args.Args["stackName"], "outputs": resource.NewProperty(outputs)}, nil
}

// run runs a program in front of the backend, for so long at most.
func (b *backend) run(t *testing.T, limit time.Duration, program pulumi.RunFunc) error {
	t.Helper()
	background, stop := context.WithTimeout(t.Context(), limit)
	defer stop()
	info := pulumi.RunInfo{Organization: "organization"}
	pulumi.WithMocks("proj", "dev", b)(&info)
	ctx, err := pulumi.NewContext(background, info)
	if err != nil {
		t.Fatal(err)
	}
	return pulumi.RunWithContext(ctx, program)
}

func TestOnlyTheOutputsThatAreAskedForAreDecoded(t *testing.T) {
	const function, group = "urn:pulumi:dev::proj::aws:lambda/function:Function::f", "urn:pulumi:dev::proj::x$aws:autoscaling/group:Group::g"
	b := &backend{held: map[string]resource.PropertyMap{
		// As a refresh leaves it: no contents, which the SDK refuses.
		function: {"code": resource.NewProperty(&archive.Archive{Sig: resource.ArchiveSig, Hash: "a1"}), "tags": resource.NewProperty(resource.PropertyMap{"a": resource.NewProperty("b")})},
		group:    {"tags": resource.NewProperty([]resource.PropertyValue{resource.MakeSecret(resource.NewProperty("s"))}), "name": resource.NewNullProperty()},
	}}
	err := b.run(t, time.Hour, func(ctx *pulumi.Context) error {
		got, err := stackoutputs.Resources(ctx, "tags", "name")
		want := []stackoutputs.Resource{
			{Type: "aws:autoscaling/group:Group", Name: "g", Outputs: map[string]any{"tags": []any{"s"}}},
			{Type: "aws:lambda/function:Function", Name: "f", Outputs: map[string]any{"tags": map[string]any{"a": "b"}}},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("the state (-want +got):\n%s", d)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAStateThatIsBeingWrittenIsReadAgain(t *testing.T) {
	empty, denied := errors.New("failed to load checkpoint: EOF"), errors.New("access denied")
	for name, test := range map[string]struct {
		errors []error
		limit  time.Duration
		asked  int
		want   string
	}{
		"it is written for a while":    {[]error{empty, empty, empty}, time.Hour, 4, ""},
		"it stays unreadable":          {slices.Repeat([]error{empty}, 20), time.Hour, 9, "EOF"},
		"something else is the matter": {[]error{denied}, time.Hour, 1, "access denied"},
		"the run is given up":          {slices.Repeat([]error{empty}, 20), 15 * time.Millisecond, 2, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &backend{errors: test.errors}
				began := time.Now()
				err := b.run(t, test.limit, func(ctx *pulumi.Context) error {
					_, err := stackoutputs.Resources(ctx)
					return err
				})
				if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %q", err, test.want)
				}
				if took := time.Since(began); b.asked != test.asked || took > 3*time.Second {
					t.Errorf("asked %d times within %v, want %d times", b.asked, took, test.asked)
				}
			})
		})
	}
}

func TestWhatIsRememberedIsNotReadAgain(t *testing.T) {
	b := &backend{}
	err := b.run(t, time.Hour, func(ctx *pulumi.Context) error {
		remembering, err := stackoutputs.Remember(ctx, "tags", "name")
		if err != nil {
			return err
		}
		for _, step := range []struct {
			outputs []string
			asked   int
		}{{[]string{"tags"}, 1}, {[]string{"name", "tags"}, 1}, {[]string{"tags", "arn"}, 2}} {
			if _, err := stackoutputs.Resources(remembering, step.outputs...); err != nil {
				return err
			}
			if b.asked != step.asked {
				t.Errorf("outputs %v: asked %d times, want %d", step.outputs, b.asked, step.asked)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
