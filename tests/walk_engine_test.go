package tests

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/engine"
	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
	"polynat/stacks"
)

// pulumi is the real engine with the program of main.go, on the simulated cloud.
type pulumi struct {
	*network
	stack *engine.Stack

	underWay sync.WaitGroup // operations: a process that dies does not wait for them

	mu    sync.Mutex // guards what follows: the provider is asked by many
	fault fault
	ops   int
	done  []string
}

// newPulumi makes an empty stack that runs a random number of operations at once.
func newPulumi(n *network, r *rand.Rand) *pulumi {
	p := &pulumi{network: n}
	server := sim.NewServer(alicloud.Schema(), n.cloud)
	server.Fault = p.verdict
	server.Observe = func(op sim.Operation) {
		if op.Kind.Changes() {
			p.underWay.Done()
		}
	}
	p.stack = must(engine.New(engine.Options{
		Project: "polynat", Stack: "walk", Parallel: 1 + r.IntN(16), Config: map[string]string{"alicloud:region": "cn-hangzhou"},
		Providers: map[string]pulumirpc.ResourceProviderServer{"alicloud": server},
		Program:   stacks.Program(stacks.Setups(), nil),
	}))
	server.OnCrash = p.stack.Crash
	return p
}

// verdict is asked before every operation that changes something.
func (p *pulumi) verdict(op sim.Operation) sim.Verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.underWay.Add(1)
	p.ops++
	p.done = append(p.done, fmt.Sprintf("%s %s", op.Kind, op.Name))
	if p.ops == p.fault.at {
		return p.fault.verdict
	}
	return sim.Proceed
}

func (p *pulumi) up(s settings, f fault) error {
	p.mu.Lock()
	p.fault, p.ops = f, 0
	p.mu.Unlock()
	check(p.stack.SetConfig("polynat:alicloud", p.block(s)))
	_, err := p.stack.Up(context.Background())
	p.underWay.Wait()
	return err
}

func (p *pulumi) refresh() error {
	_, err := p.stack.Refresh(context.Background())
	return err
}

func (p *pulumi) stage() string {
	outputs, _ := p.stack.Outputs()["alicloud"].(map[string]any)
	stage, _ := outputs["stage"].(string)
	return stage
}

func (p *pulumi) operations() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done[:len(p.done):len(p.done)]
}
