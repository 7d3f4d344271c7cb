package engine_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/engine"
	"polynat/internal/sim"
)

const thingType = "toy:index:Thing"

// toySchema is one updatable type whose kind cannot be changed in place.
const toySchema = `{
	"package": "toy",
	"version": "1.0.0",
	"resources": {
		"toy:index:Thing": {
			"inputs": {
				"size":   {"type": "int", "required": true},
				"kind":   {"type": "string", "forceNew": true},
				"ref":    {"type": "string"},
				"secret": {"type": "string"}
			},
			"outputs": ["size", "kind", "ref", "secret", "address"],
			"updatable": true
		}
	},
	"functions": {
		"toy:index:count": {"args": {"atLeast": {"type": "int"}}, "result": ["count"]}
	}
}`

// toyCloud keeps things by id.
type toyCloud struct {
	mu     sync.Mutex
	next   int
	things map[string]sim.Object
}

var errGone = errors.New("no such thing")

func (c *toyCloud) Create(_ context.Context, r sim.Request) (string, sim.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	id := fmt.Sprintf("t-%d", c.next)
	c.things[id] = r.Inputs
	if r.Inputs["kind"] == "sluggish" {
		return id, sim.Object{"address": "addr-" + id}, errors.New("made, but never available")
	}
	return id, sim.Object{"address": "addr-" + id}, nil
}

func (c *toyCloud) Read(_ context.Context, _, id string) (sim.Object, sim.Object, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	thing, ok := c.things[id]
	return maps.Clone(thing), sim.Object{"address": "addr-" + id}, ok, nil
}

func (c *toyCloud) Update(_ context.Context, r sim.Request) (sim.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.things[r.ID]; !ok {
		return nil, fmt.Errorf("%s: %w", r.ID, errGone)
	}
	c.things[r.ID] = r.Inputs
	return sim.Object{"address": "addr-" + r.ID}, nil
}

func (c *toyCloud) Delete(_ context.Context, r sim.Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.things, r.ID)
	return nil
}

func (c *toyCloud) Invoke(context.Context, string, sim.Object) (sim.Object, error) {
	return sim.Object{"count": float64(len(c.ids()))}, nil
}

func (c *toyCloud) ids() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.things))
}

// toy is a stack in front of a toy cloud.
type toy struct {
	*engine.Stack
	cloud  *toyCloud
	server *sim.Server
	seen   int // operations that earlier calls of happened have returned
}

func newToy(t testing.TB, program pulumi.RunFunc) *toy {
	t.Helper()
	return newToyWith(t, engine.Options{Program: program})
}

func newToyWith(t testing.TB, o engine.Options) *toy {
	t.Helper()
	schema, err := sim.ParseSchema([]byte(toySchema))
	if err != nil {
		t.Fatal(err)
	}
	cloud := &toyCloud{things: map[string]sim.Object{}}
	server := sim.NewServer(schema, cloud)
	o.Project, o.Stack = "proj", "dev"
	o.Providers = map[string]pulumirpc.ResourceProviderServer{"toy": server}
	stack, err := engine.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Close)
	server.OnCrash = stack.Crash
	return &toy{Stack: stack, cloud: cloud, server: server}
}

// up runs the program, which must succeed.
func (y *toy) up(t testing.TB, program pulumi.RunFunc) *engine.Result {
	t.Helper()
	if program != nil {
		y.SetProgram(program)
	}
	result, err := y.Up(context.Background())
	if err != nil {
		t.Fatalf("up: %v", err)
	}
	return result
}

// fail runs the program, which must fail.
func (y *toy) fail(t testing.TB, program pulumi.RunFunc) error {
	t.Helper()
	if program != nil {
		y.SetProgram(program)
	}
	if _, err := y.Up(context.Background()); err != nil {
		return err
	}
	t.Fatal("up: succeeded")
	return nil
}

// happened returns the operations since the last call that changed something, as "create a".
func (y *toy) happened() string {
	all := y.server.Operations()
	var ops []string
	for _, op := range all[y.seen:] {
		if op.Kind.Changes() {
			ops = append(ops, string(op.Kind)+" "+op.Name)
		}
	}
	y.seen = len(all)
	return strings.Join(ops, ", ")
}

// thing is the toy's resource in a program.
type thing struct {
	pulumi.CustomResourceState

	Size    pulumi.IntOutput    `pulumi:"size"`
	Address pulumi.StringOutput `pulumi:"address"`
}

func newThing(ctx *pulumi.Context, name string, props pulumi.Map, opts ...pulumi.ResourceOption) (*thing, error) {
	var r thing
	if _, ok := props["size"]; !ok {
		props["size"] = pulumi.Int(1)
	}
	return &r, ctx.RegisterResource(thingType, name, props, &r, opts...)
}

// things is a program of independent things: name and size.
func things(sizes map[string]int) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		for _, name := range slices.Sorted(maps.Keys(sizes)) {
			if _, err := newThing(ctx, name, pulumi.Map{"size": pulumi.Int(sizes[name])}); err != nil {
				return err
			}
		}
		return nil
	}
}

// chain is a program of things that depend each on the one before.
func chain(names ...string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		var before []pulumi.Resource
		for _, name := range names {
			r, err := newThing(ctx, name, pulumi.Map{}, pulumi.DependsOn(before))
			if err != nil {
				return err
			}
			before = []pulumi.Resource{r}
		}
		return nil
	}
}

// names returns the logical names of the things in the state.
func (y *toy) names() string {
	var names []string
	for _, urn := range y.URNs() {
		if strings.Contains(urn, "::"+thingType+"::") || strings.Contains(urn, "$"+thingType+"::") {
			names = append(names, urn[strings.LastIndex(urn, ":")+1:])
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
