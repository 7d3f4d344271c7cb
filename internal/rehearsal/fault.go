package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/engine"
	"polynat/internal/sim"
)

// failure is one that is tried: what becomes of the k-th operation of a step, counted from 1.
type failure struct {
	k       int
	verdict sim.Verdict
}

// failures of a step with n operations: each not done, and each done although the answer was an error. At most limit of them,
// spread over both kinds and the step; 0 is any number.
func failures(n, limit int) []failure {
	var tried []failure
	for _, i := range spread(2*n, limit) {
		f := failure{i, sim.FailBefore}
		if i > n {
			f = failure{i - n, sim.FailAfter}
		}
		tried = append(tried, f)
	}
	return tried
}

// spread are at most limit of the numbers from 1 to n, the last among them; all of them if limit is 0.
func spread(n, limit int) []int {
	if limit == 0 || limit > n {
		limit = n
	}
	numbers := make([]int, limit)
	for i := range numbers {
		numbers[i] = (i + 1) * n / limit
	}
	return numbers
}

// faults repeats the step for each failure that is tried, and then once more without a failure, which must finish the step.
func (w *walk) faults(ctx context.Context, step *Step, move Move, before World, stackBefore *engine.Stack, ops []sim.Operation) error {
	tried := failures(len(ops), w.options.MaxFaults)
	for i, f := range tried {
		w.options.Progress.Fault(i+1, len(tried))
		world, stack := before.Clone(), stackBefore.Clone()
		err := w.fail(ctx, step, move, world, stack, f)
		stack.Close()
		if err != nil {
			return err
		}
		step.Faults++
	}
	return nil
}

// fail tries one failure of the step, in a world and on a stack that it may use up.
func (w *walk) fail(ctx context.Context, step *Step, move Move, world World, stack *engine.Stack, f failure) error {
	if move.Destroys {
		world.End()
	}
	server := world.Provider()
	seen := 0
	server.Fault = func(sim.Operation) sim.Verdict {
		if seen++; seen != f.k {
			return sim.Proceed
		}
		return f.verdict
	}
	stack.SetProviders(providers(world, server))
	first := move.make(ctx, stack)
	failed := slices.IndexFunc(server.Operations(), func(op sim.Operation) bool { return errors.Is(op.Err, sim.ErrFault) })
	second := move.make(ctx, stack)
	if err := ctx.Err(); err != nil {
		return err
	}
	if failed < 0 {
		if second != nil {
			step.Problems = append(step.Problems, "without a failure, the step cannot be repeated: "+second.Error())
		}
		return nil
	}
	op := server.Operations()[failed]
	what := fmt.Sprintf("%s of %s failed", op.Kind, op.Name)
	if f.verdict == sim.FailAfter {
		what = fmt.Sprintf("%s of %s was done and its answer was an error", op.Kind, op.Name)
	}
	if first == nil {
		step.Problems = append(step.Problems, "the update succeeded although the "+what)
	}
	if f.verdict == sim.FailAfter {
		var err error
		if second, err = w.mend(ctx, step, move, world, server, stack, op, second); err != nil {
			return err
		}
	}
	if second != nil {
		step.Problems = append(step.Problems, "after the "+what+", the step cannot be finished: "+second.Error())
	}
	step.add(world.Losses(), move.Cuts, move.Interrupts, "if the "+what+": ")
	return nil
}

// mend does what the references tell people to do where an operation was done although its answer was an error, and the next
// update was refused for that or made the same again. It returns the error of the update after that.
//
// An object that the stack does not know is deleted by hand, with what was made next to it and failed for it; or it is imported,
// where it is in the way and carries traffic. Then, or where there is none, a refresh finds the other differences.
func (w *walk) mend(ctx context.Context, step *Step, move Move, world World, server *sim.Server, stack *engine.Stack, op sim.Operation, second error) (error, error) {
	left := false
	if op.Kind == sim.Create && !stack.Knows(op.Type, op.ID) {
		found, err := world.Provider().Read(ctx, &pulumirpc.ReadRequest{Id: op.ID, Urn: op.URN, Type: op.Type})
		if err != nil {
			return nil, err
		}
		left = found.GetId() != ""
	}
	switch {
	case second == nil && !left:
		return nil, nil
	case left && second != nil && imported[op.Type]:
		program := w.program()
		stack.SetProgram(importing(program, op))
		defer stack.SetProgram(program)
	case left:
		losses := world.Deprive(deletions(server.Operations(), op))
		step.add(losses, move.Cuts, move.Interrupts, fmt.Sprintf("if the %s that an error left behind is deleted by hand: ", op.Name))
	}
	step.byHand = append(step.byHand, fmt.Sprintf(
		"what was made although the answer was an error (docs/reference/%s.md#what-an-error-leaves-behind)", world.Package()))
	if _, err := stack.Refresh(ctx); err != nil {
		return err, ctx.Err()
	}
	err := move.make(ctx, stack)
	if err != nil && left && w.setup.TakeOver != nil {
		// In a network that exists, the program refuses what the stack did not make, and names the key by which it is taken over.
		if err := w.takeOver(stack); err != nil {
			return nil, err
		}
		err = move.make(ctx, stack)
	}
	return err, ctx.Err()
}

// takeOver changes the configuration of a stack that is used up, and of no other.
func (w *walk) takeOver(stack *engine.Stack) error {
	config := maps.Clone(w.config)
	if err := w.setup.TakeOver(config); err != nil {
		return err
	}
	for k, v := range config {
		if err := stack.SetConfig(k, v); err != nil {
			return err
		}
	}
	return nil
}

// deletions are those of an object that was made, and of its like that was made and failed.
func deletions(all []sim.Operation, made sim.Operation) []sim.Operation {
	var gone []sim.Operation
	for _, op := range all {
		if op.Kind == sim.Create && op.URN == made.URN && op.Err != nil && op.ID != "" {
			gone = append(gone, sim.Operation{Kind: sim.Delete, Type: op.Type, URN: op.URN, ID: op.ID, Inputs: op.Inputs})
		}
	}
	return gone
}

// imported are the types of which an object that an error left behind carries traffic: `pulumi import` takes it into the state.
var imported = map[string]bool{"aws:ec2/route:Route": true}

// importing is a program that finds an object where it would make it, as it does after `pulumi import`.
func importing(program pulumi.RunFunc, op sim.Operation) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		err := ctx.RegisterStackTransformation(func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			if args.Type != op.Type || args.Name != op.Name {
				return nil
			}
			return &pulumi.ResourceTransformationResult{Props: args.Props, Opts: append(args.Opts, pulumi.Import(pulumi.ID(op.ID)))}
		})
		if err != nil {
			return err
		}
		return program(ctx)
	}
}
