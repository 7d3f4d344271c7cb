package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/pkg/v3/resource/deploy"
	"github.com/pulumi/pulumi/pkg/v3/resource/stack"
	"github.com/pulumi/pulumi/pkg/v3/secrets/b64"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// secretsManager keeps the shape of secrets, not their secrecy: a rehearsal has no key, and its state stays in memory.
var secretsManager = b64.NewBase64SecretsManager()

// Blind is what a secret is replaced with that cannot be decrypted here.
const Blind = "[secret]"

// schemaVersion is the version of the deployment format that `pulumi stack export` writes.
const schemaVersion = 3

// load turns a recorded state into the engine's own form. Nothing is shared between the two.
func load(ctx context.Context, d *apitype.DeploymentV3) (*deploy.Snapshot, error) {
	snapshot, err := stack.DeserializeDeploymentV3(ctx, *d, stack.Base64SecretsProvider{})
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	snapshot.SecretsManager = secretsManager
	return snapshot, nil
}

// recorded returns the state of the last run.
func (s *Stack) recorded() *apitype.DeploymentV3 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Export returns the state in the format of `pulumi stack export`.
func (s *Stack) Export() ([]byte, error) {
	deployment, err := json.Marshal(s.recorded())
	if err != nil {
		return nil, fmt.Errorf("export the state: %w", err)
	}
	return json.MarshalIndent(apitype.UntypedDeployment{Version: schemaVersion, Deployment: deployment}, "", "    ")
}

// Import replaces the state with one in the format of `pulumi stack export`. It must come from a stack of the same project
// and name. A secret that was exported without --show-secrets cannot be read here and becomes [Blind]; a program that sets
// it to anything else sees a change.
func (s *Stack) Import(exported []byte) error {
	ctx := context.Background()
	var untyped apitype.UntypedDeployment
	if err := json.Unmarshal(exported, &untyped); err != nil {
		return fmt.Errorf("import the state: %w", err)
	}
	d, err := stack.UnmarshalUntypedDeployment(ctx, &untyped)
	if err != nil {
		return fmt.Errorf("import the state: %w", err)
	}
	for _, r := range d.Resources {
		if err := s.owns(r.URN); err != nil {
			return fmt.Errorf("import the state: %w", err)
		}
	}
	// The secrets of a state in this package's own form can be read.
	if d.SecretsProviders == nil || d.SecretsProviders.Type != secretsManager.Type() {
		blind(d)
	}
	d.SecretsProviders = &apitype.SecretsProvidersV1{Type: secretsManager.Type(), State: secretsManager.State()}
	snapshot, err := load(ctx, d)
	if err != nil {
		return fmt.Errorf("import the state: %w", err)
	}
	if err := snapshot.VerifyIntegrity(); err != nil {
		return fmt.Errorf("import the state: %w", err)
	}
	state, err := stack.SerializeDeployment(ctx, snapshot, false)
	if err != nil {
		return fmt.Errorf("import the state: %w", err)
	}
	s.running.Lock()
	defer s.running.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
	return nil
}

// owns checks that a URN is one of this stack's.
func (s *Stack) owns(urn resource.URN) error {
	if !urn.IsValid() {
		return fmt.Errorf("%q: not a URN", urn)
	}
	if string(urn.Project()) != string(s.project) || string(urn.Stack()) != s.name.String() {
		return fmt.Errorf("%s: belongs to stack %s of project %s, not to %s of %s (name the stack as it was exported)",
			urn, urn.Stack(), urn.Project(), s.name, s.project)
	}
	return nil
}

// blind replaces the secrets that are only there as ciphertext, in place.
func blind(d *apitype.DeploymentV3) {
	for i := range d.Resources {
		blindValue(d.Resources[i].Inputs)
		blindValue(d.Resources[i].Outputs)
	}
	for i := range d.PendingOperations {
		blindValue(d.PendingOperations[i].Resource.Inputs)
		blindValue(d.PendingOperations[i].Resource.Outputs)
	}
}

func blindValue(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, encrypted := v["ciphertext"]; encrypted && v[string(resource.SigKey)] == resource.SecretSig {
			delete(v, "ciphertext")
			v["plaintext"] = `"` + Blind + `"` // JSON, as the format wants it
			return
		}
		for _, e := range v {
			blindValue(e)
		}
	case []any:
		for _, e := range v {
			blindValue(e)
		}
	}
}

// URNs returns the resources in the state, in its order, without those that only wait for their deletion.
func (s *Stack) URNs() []string {
	var urns []string
	for _, r := range s.recorded().Resources {
		if !r.Delete {
			urns = append(urns, string(r.URN))
		}
	}
	return urns
}

// Knows reports whether the state holds a resource of this type and id, even if only to delete it.
func (s *Stack) Knows(typ, id string) bool {
	return slices.ContainsFunc(s.recorded().Resources, func(r apitype.ResourceV3) bool {
		return string(r.Type) == typ && string(r.ID) == id
	})
}

// Pending returns the operations that were under way when the process died, as "creating <urn>", in the order in which they
// began.
func (s *Stack) Pending() []string {
	var ops []string
	for _, op := range s.recorded().PendingOperations {
		ops = append(ops, fmt.Sprintf("%s %s", op.Type, op.Resource.URN))
	}
	return ops
}

// ClearPendingCreates forgets creations that were under way when the process died, as `pulumi refresh
// --clear-pending-creates` does. No run forgets them by itself, because only the user can know whether the object exists.
func (s *Stack) ClearPendingCreates() {
	s.running.Lock()
	defer s.running.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	cleared := *s.state
	cleared.PendingOperations = slices.DeleteFunc(slices.Clone(cleared.PendingOperations),
		func(op apitype.OperationV2) bool { return op.Type == apitype.OperationTypeCreating })
	s.state = &cleared
}

// Outputs returns what the program exported in the last run that got so far, as plain Go values: string, bool, float64,
// []any and map[string]any. Secrets are plain, too.
func (s *Stack) Outputs() map[string]any {
	outputs, err := rootOutputs(s.recorded())
	if err != nil {
		return map[string]any{} // the state is this package's own: it has been read before
	}
	plain, _ := plainValue(resource.NewProperty(outputs)).(map[string]any)
	return plain
}

// rootOutputs returns the outputs of the stack's own resource, empty before the first deployment.
func rootOutputs(d *apitype.DeploymentV3) (resource.PropertyMap, error) {
	outputs, err := stack.DeserializeStackOutputs(context.Background(), *d, stack.Base64SecretsProvider{})
	if outputs == nil {
		outputs = resource.PropertyMap{}
	}
	return outputs, err
}

// plainValue takes a value out of the engine's wrappings.
func plainValue(v resource.PropertyValue) any {
	switch {
	case v.IsSecret():
		return plainValue(v.SecretValue().Element)
	case v.IsOutput():
		return plainValue(v.OutputValue().Element)
	case v.IsArray():
		list := make([]any, len(v.ArrayValue()))
		for i, e := range v.ArrayValue() {
			list[i] = plainValue(e)
		}
		return list
	case v.IsObject():
		object := make(map[string]any, len(v.ObjectValue()))
		for k, e := range v.ObjectValue() {
			object[string(k)] = plainValue(e)
		}
		return object
	default:
		return v.Mappable()
	}
}

// backend answers what a program asks about stacks: about its own, from the state before the run.
type backend struct {
	project, stack string
	journal        *journal
}

var _ deploy.BackendClient = backend{}

// errNoStack is the answer for a stack that is not the program's own.
var errNoStack = errors.New("no such stack in a rehearsal, which knows only its own")

func (b backend) knows(name string) error {
	full := strings.Join([]string{Organization, b.project, b.stack}, "/")
	if name == full || name == b.stack {
		return nil
	}
	return fmt.Errorf("%q: %w (%s)", name, errNoStack, full)
}

// GetStackOutputs returns the stack's outputs as the last run recorded them.
func (b backend) GetStackOutputs(_ context.Context, name string, _ func(error) error) (property.Map, error) {
	if err := b.knows(name); err != nil {
		return property.Map{}, err
	}
	state, err := b.journal.read()
	if err != nil {
		return property.Map{}, err
	}
	outputs, err := rootOutputs(state)
	if err != nil {
		return property.Map{}, err
	}
	return resource.FromResourcePropertyMap(outputs), nil
}

// GetStackResourceOutputs returns the outputs of every resource by URN, as the last run recorded them.
func (b backend) GetStackResourceOutputs(ctx context.Context, name string) (property.Map, error) {
	if err := b.knows(name); err != nil {
		return property.Map{}, err
	}
	state, err := b.journal.read()
	if err != nil {
		return property.Map{}, err
	}
	snapshot, err := load(ctx, state)
	if err != nil {
		return property.Map{}, err
	}
	all := resource.PropertyMap{}
	for _, r := range snapshot.Resources {
		if !r.Delete {
			all[resource.PropertyKey(r.URN)] = resource.NewProperty(resource.PropertyMap{
				"type":    resource.NewProperty(string(r.Type)),
				"outputs": resource.NewProperty(r.Outputs),
			})
		}
	}
	return resource.FromResourcePropertyMap(all), nil
}
