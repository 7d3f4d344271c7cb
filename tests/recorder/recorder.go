// Package recorder runs Pulumi programs under mocks, records what they register, and asserts what must hold for every
// component of polynat: see [Recording.Check].
package recorder

import (
	"flag"
	"fmt"
	"hash/crc32"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Project and Stack name every recorded stack.
const (
	Project = "polynat"
	Stack   = "dev"
)

// Object is a registered resource.
type Object struct {
	Type, Name, URN, Parent, Provider, ImportID string
	Custom, Protect                             bool
	Aliases, IgnoreChanges, Dependencies        []string
	DeleteBeforeReplace, RetainOnDelete         bool
	Inputs                                      map[string]any
	// Secrets are the inputs that came as secrets, sorted; in Inputs they are plain.
	Secrets []string
}

// Options of a recorded run.
type Options struct {
	// Config by full key.
	Config map[string]string
	// Secrets are the full keys of Config that are secret.
	Secrets []string
	// DryRun withholds computed outputs, as a preview does.
	DryRun bool
	// Last are the outputs of the stack's last update.
	Last map[string]any
	// Held is the state of the stack by URN, each with its outputs under that key; nil for an empty one.
	Held map[string]any
	// Unreadable is why the state cannot be read; nil where it can.
	Unreadable error
	// Invoke answers lookups; nil refuses them.
	Invoke func(token string, args map[string]any) (map[string]any, error)
	// Root is the folder of the project; empty for none.
	Root string
	// FailAt fails the n-th registration, counted from 1; 0 fails none.
	FailAt int
}

// Recording is what a program registered.
type Recording struct {
	Objects []Object
	// OutputsRegistered counts calls of RegisterResourceOutputs, the stack's own included.
	OutputsRegistered int
	// Invokes are the tokens of the lookups, in order; Unbound those that named no provider.
	Invokes, Unbound []string
	// Readings are how many objects were registered each time the state of the stack was read.
	Readings []int
}

// monitor implements the mocks of the SDK.
type monitor struct {
	mu      sync.Mutex
	options Options
	made    Recording
}

// Run runs the program. The recording is never nil, so that a test can see what was registered before an error.
func Run(program pulumi.RunFunc, o Options) (*Recording, error) {
	m := &monitor{options: o}
	err := pulumi.RunErr(program, pulumi.WithMocks(Project, Stack, m), func(info *pulumi.RunInfo) {
		info.Config, info.ConfigSecretKeys = o.Config, o.Secrets
		info.DryRun, info.RootDirectory = o.DryRun, o.Root
		info.Organization = "organization"
	})
	slices.SortFunc(m.made.Objects, func(a, b Object) int { return strings.Compare(a.URN, b.URN) })
	return &m.made, err
}

// NewResource implements pulumi.MockResourceMonitor.
func (m *monitor) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rpc := args.RegisterRPC
	parentType := tokens.Type("")
	if parent := resource.URN(rpc.GetParent()); parent != "" && parent.QualifiedType() != resource.RootStackType {
		parentType = parent.QualifiedType()
	}
	o := Object{
		Type: args.TypeToken, Name: args.Name, Parent: rpc.GetParent(), Provider: args.Provider, ImportID: rpc.GetImportId(),
		URN:    string(urn.New(Stack, Project, parentType, tokens.Type(args.TypeToken), args.Name)),
		Custom: args.Custom, Protect: rpc.GetProtect(), IgnoreChanges: rpc.GetIgnoreChanges(), Dependencies: rpc.GetDependencies(),
		DeleteBeforeReplace: rpc.GetDeleteBeforeReplace(), RetainOnDelete: rpc.GetRetainOnDelete(),
	}
	plain := args.Inputs.Copy()
	for key, value := range plain {
		if value.IsSecret() {
			o.Secrets = append(o.Secrets, string(key))
			plain[key] = value.SecretValue().Element
		}
	}
	slices.Sort(o.Secrets)
	o.Inputs = plain.Mappable()
	for _, a := range rpc.GetAliases() {
		o.Aliases = append(o.Aliases, a.GetUrn())
	}
	m.made.Objects = append(m.made.Objects, o)
	if len(m.made.Objects) == m.options.FailAt {
		return "", nil, fmt.Errorf("registration %d (%s) fails", m.options.FailAt, o.Name)
	}
	outputs := args.Inputs.Copy()
	if !args.Custom {
		return "", outputs, nil
	}
	for _, name := range []string{"routeTableId", "ipAddress", "snatTableIds", "forwardTableIds", "ipv4PortId", "ipv4SubnetId", "accessIpV4", "ipv4Address"} {
		if _, ok := outputs[resource.PropertyKey(name)]; !ok && !m.options.DryRun {
			outputs[resource.PropertyKey(name)] = resource.NewProperty(args.Name + "." + name)
		}
	}
	if m.options.DryRun {
		return "", outputs, nil
	}
	if strings.HasPrefix(args.TypeToken, "aws:") {
		answerAWS(args.Name, outputs)
	}
	return args.Name + ".id", outputs, nil
}

// answerAWS adds what AWS makes up: names, and, where a program reads the value, one of the right form.
func answerAWS(name string, outputs resource.PropertyMap) {
	sum := crc32.ChecksumIEEE([]byte(name))
	for key, value := range map[resource.PropertyKey]any{
		"arn": name + ".arn", "url": name + ".url", "allocationId": name + ".allocationId", "dnsName": name + ".dnsName", "latestVersion": 1.0,
		"publicIp": netip.AddrFrom4([4]byte{198, 18, byte(sum >> 8), byte(sum)}).String(), // 198.18.0.0/15: RFC 2544
	} {
		if _, ok := outputs[key]; !ok {
			outputs[key] = resource.NewPropertyValue(value)
		}
	}
}

// Call implements pulumi.MockResourceMonitor.
func (m *monitor) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made.Invokes = append(m.made.Invokes, args.Token)
	if args.Token == "pulumi:pulumi:readStackOutputs" {
		return resource.NewPropertyMapFromMap(map[string]any{"name": args.Args["name"].StringValue(), "outputs": m.options.Last}), nil
	}
	if args.Token == "pulumi:pulumi:readStackResourceOutputs" {
		m.made.Readings = append(m.made.Readings, len(m.made.Objects))
		if m.options.Unreadable != nil {
			return nil, m.options.Unreadable
		}
		return resource.NewPropertyMapFromMap(map[string]any{"name": args.Args["stackName"].StringValue(), "outputs": m.options.Held}), nil
	}
	if args.Provider == "" {
		m.made.Unbound = append(m.made.Unbound, args.Token)
	}
	if m.options.Invoke == nil {
		return nil, fmt.Errorf("%s: no lookup was expected", args.Token)
	}
	result, err := m.options.Invoke(args.Token, args.Args.Mappable())
	return resource.NewPropertyMapFromMap(result), err
}

// RegisterResourceOutputs counts: the SDK calls it once for each component that registers its outputs, and for the stack.
func (m *monitor) RegisterResourceOutputs() (*emptypb.Empty, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made.OutputsRegistered++
	return &emptypb.Empty{}, nil
}

// Named returns the objects of that type token, by name.
func (r *Recording) Named(typ string) map[string]Object {
	found := map[string]Object{}
	for _, o := range r.Objects {
		if o.Type == typ {
			found[o.Name] = o
		}
	}
	return found
}

// URNs are those of all objects, sorted.
func (r *Recording) URNs() []string {
	urns := make([]string, len(r.Objects))
	for i, o := range r.Objects {
		urns[i] = o.URN
	}
	return urns
}

// Check asserts what holds for every program of polynat: every custom resource is under a component and has an explicit
// provider, as has every lookup; no two URNs are equal, and every component has registered its outputs.
func (r *Recording) Check(t *testing.T) {
	t.Helper()
	seen := map[string]bool{}
	components := 0
	for _, o := range r.Objects {
		if seen[o.URN] {
			t.Errorf("%s: is registered twice: the engine refuses duplicate URNs", o.URN)
		}
		seen[o.URN] = true
		if !o.Custom {
			components++
			continue
		}
		if strings.HasPrefix(o.Type, "pulumi:providers:") {
			continue
		}
		if !strings.Contains(o.Parent, "::polynat:") {
			t.Errorf("%s: has parent %q, want a component of polynat", o.URN, o.Parent)
		}
		if o.Provider == "" {
			t.Errorf("%s: has no explicit provider", o.URN)
		}
	}
	for _, token := range r.Unbound {
		t.Errorf("%s: the lookup has no explicit provider", token)
	}
	if want := components + 1; r.OutputsRegistered != want {
		t.Errorf("outputs were registered %d times, want %d: once for each of %d components, and for the stack", r.OutputsRegistered, want, components)
	}
}

// Keeps asserts that all that is registered now was registered with the same inputs before, and that so many objects have gone.
func (r *Recording) Keeps(t *testing.T, before *Recording, gone int) {
	t.Helper()
	inputs := map[string]map[string]any{}
	for _, o := range before.Objects {
		inputs[o.URN] = o.Inputs
	}
	for _, o := range r.Objects {
		if diff := cmp.Diff(inputs[o.URN], o.Inputs); diff != "" {
			t.Errorf("%s changes (-before +now):\n%s", o.URN, diff)
		}
	}
	if got := len(before.Objects) - len(r.Objects); got != gone {
		t.Errorf("%d objects have gone, want %d", got, gone)
	}
}

// FailsAnywhere asserts that a program whose n-th registration fails returns that failure, whichever it is.
func FailsAnywhere(t *testing.T, program pulumi.RunFunc, o Options) {
	t.Helper()
	made, err := Run(program, o)
	if err != nil || len(made.Objects) == 0 {
		t.Fatalf("%d objects, %v", len(made.Objects), err)
	}
	for n := range made.Objects {
		o.FailAt = n + 1
		if _, err := Run(program, o); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("registration %d ", o.FailAt)) {
			t.Errorf("registration %d of %d failed, error %v", o.FailAt, len(made.Objects), err)
		}
	}
}

// SameGraph asserts that two runs registered the same objects with the same inputs.
func SameGraph(t *testing.T, want, got *Recording) {
	t.Helper()
	if diff := cmp.Diff(want.Objects, got.Objects); diff != "" {
		t.Errorf("the graph differs (-want +got):\n%s", diff)
	}
}

var update = flag.Bool("update", false, "rewrite the golden files")

// Golden holds the URNs against testdata/<name>.golden beside the test. -update rewrites it.
func (r *Recording) Golden(t *testing.T, name string) {
	t.Helper()
	GoldenText(t, name, strings.Join(r.URNs(), "\n")+"\n", "a URN that goes is a resource deleted in every stack, one that comes is created (a rename needs an alias)")
}

// GoldenText holds text against testdata/<name>.golden beside the test; why is what a difference means.
func GoldenText(t *testing.T, name, text, why string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run the test with -update to write it)", err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s differs: %s; -update rewrites it (-want +got):\n%s", path, why, diff)
	}
}

// Keys are the keys of a configuration, sorted.
func Keys(config map[string]string) []string { return slices.Sorted(maps.Keys(config)) }
