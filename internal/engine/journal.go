package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	pulumiengine "github.com/pulumi/pulumi/pkg/v3/engine"
	"github.com/pulumi/pulumi/pkg/v3/resource/stack"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// journal records what the engine writes to the state, entry by entry, as the CLI's backends do: an operation is recorded
// as pending before it begins and as done after it. The state at any moment is the base with the entries so far applied.
type journal struct {
	mu      sync.Mutex // guards what follows
	base    *apitype.DeploymentV3
	entries []pulumiengine.JournalEntry
	frozen  bool
	writing bool // an entry has been added since the last call of read
}

var _ pulumiengine.Journal = (*journal)(nil)

var errFrozen = errors.New("the state can no longer be written")

func newJournal(base *apitype.DeploymentV3) *journal { return &journal{base: base} }

// AddJournalEntry records one write. An operation's resource is still the engine's own at this point, so it is copied.
func (j *journal) AddJournalEntry(e pulumiengine.JournalEntry) error {
	if e.Operation != nil {
		op := e.Operation.Copy()
		e.Operation = &op
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.frozen && e.Kind == pulumiengine.JournalEntryOutputs:
		// Dropped without a word: the engine does not survive an error here when it is to continue on errors
		// (resource/deploy/step_executor.go of pkg/v3 v3.276.0, cancelDueToError without a step).
		return nil
	case j.frozen:
		return errFrozen
	}
	j.entries = append(j.entries, e)
	j.writing = true
	return nil
}

// Close has nothing to flush.
func (j *journal) Close() error { return nil }

// freeze makes what is recorded now the last word.
func (j *journal) freeze() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.frozen = true
}

// read returns the state before the run to a program that asks for it. The first time after each write it finds the file empty,
// as whoever reads the one of the CLI's backend "file" in the same moment does.
func (j *journal) read() (*apitype.DeploymentV3, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.writing {
		j.writing = false
		return nil, fmt.Errorf("failed to load checkpoint: %w", io.EOF)
	}
	return j.base, nil
}

// finish returns the state that the entries make of the base, which is not modified. The journal forgets both, because
// the engine never lets go of a journal.
func (j *journal) finish(ctx context.Context) (*apitype.DeploymentV3, error) {
	j.mu.Lock()
	base, entries := j.base, j.entries
	j.base, j.entries, j.frozen = &apitype.DeploymentV3{}, nil, true
	j.mu.Unlock()

	r := newReplay(base)
	for _, e := range entries {
		if err := r.apply(ctx, e); err != nil {
			return nil, fmt.Errorf("record the state: %w", err)
		}
	}
	return r.deployment()
}

// replay applies journal entries to a state.
//
// A resource of the base is known by its index, one that the run wrote by the id of the operation that wrote it.
type replay struct {
	base    *apitype.DeploymentV3
	olds    []*slot
	news    []*slot
	written map[int64]*slot // the slots in news, by operation
	pending map[int64]apitype.OperationV2
	refresh bool // resources may have vanished from under those that refer to them
}

// slot is the place of one resource in the state.
type slot struct {
	state apitype.ResourceV3
	gone  bool
}

func newReplay(base *apitype.DeploymentV3) *replay {
	r := &replay{base: base, written: map[int64]*slot{}, pending: map[int64]apitype.OperationV2{}}
	r.rebase(base.Resources)
	return r
}

// rebase starts anew from a list of resources.
func (r *replay) rebase(resources []apitype.ResourceV3) {
	r.olds, r.news = make([]*slot, len(resources)), nil
	for i, state := range resources {
		r.olds[i] = &slot{state: state}
	}
	clear(r.written)
	clear(r.pending)
}

// find returns the slot that a pair of references means, nil if they mean none.
func (r *replay) find(old, written *int64) *slot {
	switch {
	case old != nil && *old < int64(len(r.olds)):
		return r.olds[*old]
	case written != nil:
		return r.written[*written]
	default:
		return nil
	}
}

func (r *replay) apply(ctx context.Context, e pulumiengine.JournalEntry) error {
	var state *apitype.ResourceV3
	if e.State != nil {
		s, _, err := stack.SerializeResource(ctx, e.State, secretsManager.Encrypter(), false)
		if err != nil {
			return err
		}
		state = &s
	}
	removed := r.find(e.RemoveOld, e.RemoveNew)

	switch e.Kind {
	case pulumiengine.JournalEntryBegin:
		if e.Operation != nil {
			op, _, err := stack.SerializeOperation(ctx, *e.Operation, secretsManager.Encrypter(), false)
			if err != nil {
				return err
			}
			r.pending[e.OperationID] = op
		}
	case pulumiengine.JournalEntryFailure:
		delete(r.pending, e.OperationID)
	case pulumiengine.JournalEntrySuccess:
		delete(r.pending, e.OperationID)
		r.succeed(e, removed, state)
	case pulumiengine.JournalEntryRefreshSuccess:
		delete(r.pending, e.OperationID)
		r.refreshed(e, removed, state)
	case pulumiengine.JournalEntryOutputs:
		if removed != nil && state != nil {
			removed.state = *state
		}
	case pulumiengine.JournalEntryWrite:
		base, err := stack.SerializeDeployment(ctx, e.NewSnapshot, false)
		if err != nil {
			return err
		}
		r.base = base
		r.rebase(base.Resources)
	case pulumiengine.JournalEntryRebuiltBaseState:
		rebuilt, err := r.deployment()
		if err != nil {
			return err
		}
		r.base, r.refresh = rebuilt, false
		r.rebase(rebuilt.Resources)
	}
	return nil
}

// succeed applies the end of an operation.
func (r *replay) succeed(e pulumiengine.JournalEntry, removed *slot, state *apitype.ResourceV3) {
	r.refresh = r.refresh || e.IsRefresh
	if removed != nil {
		removed.gone = true
	}
	if s := r.find(e.DeleteOld, e.DeleteNew); s != nil {
		s.state.Delete = true
	}
	if s := r.find(e.PendingReplacementOld, e.PendingReplacementNew); s != nil {
		s.state.PendingReplacement = true
	}
	if state != nil {
		s := &slot{state: *state}
		r.news = append(r.news, s)
		r.written[e.OperationID] = s
	}
}

// refreshed applies the end of the refresh of one resource, which stays in its place, because others may refer to it.
func (r *replay) refreshed(e pulumiengine.JournalEntry, was *slot, state *apitype.ResourceV3) {
	r.refresh = true
	switch {
	case was == nil:
	case state == nil:
		was.gone = true
	default:
		was.state = *state
		r.written[e.OperationID] = was
	}
}

// deployment returns the state as it stands. What the run wrote comes first: it is in the order of its dependencies, and
// what it did not touch may depend on it, never the other way round.
func (r *replay) deployment() (*apitype.DeploymentV3, error) {
	d := &apitype.DeploymentV3{
		Manifest:         r.base.Manifest,
		SecretsProviders: &apitype.SecretsProvidersV1{Type: secretsManager.Type(), State: secretsManager.State()},
		Metadata:         r.base.Metadata,
	}
	for _, s := range slices.Concat(r.news, r.olds) {
		if !s.gone {
			d.Resources = append(d.Resources, s.state)
		}
	}
	if r.refresh {
		dropDangling(d.Resources)
	}
	for _, id := range slices.Sorted(maps.Keys(r.pending)) {
		d.PendingOperations = append(d.PendingOperations, r.pending[id])
	}
	// A creation that an earlier run left pending stays: only the user can know whether the object exists.
	for _, op := range r.base.PendingOperations {
		if op.Type == apitype.OperationTypeCreating {
			d.PendingOperations = append(d.PendingOperations, op)
		}
	}
	normalized, err := d.NormalizeURNReferences() // follows aliases
	if err != nil {
		return nil, fmt.Errorf("normalize references: %w", err)
	}
	return normalized, nil
}

// dropDangling removes references to resources that are not in the list any more. A child of a vanished parent goes to the
// grandparent. The list is in the order of its dependencies.
func dropDangling(resources []apitype.ResourceV3) {
	present := map[resource.URN]bool{"": true}
	parents := map[resource.URN]resource.URN{}
	gone := func(urn resource.URN) bool { return !present[urn] }
	for i := range resources {
		r := &resources[i]
		parents[r.URN] = r.Parent
		for r.Parent != "" && gone(r.Parent) {
			r.Parent = parents[r.Parent]
		}
		if gone(r.DeletedWith) {
			r.DeletedWith = ""
		}
		r.Dependencies = slices.DeleteFunc(slices.Clone(r.Dependencies), gone)
		r.ReplaceWith = slices.DeleteFunc(slices.Clone(r.ReplaceWith), gone)
		r.PropertyDependencies = maps.Clone(r.PropertyDependencies)
		for key, urns := range r.PropertyDependencies {
			r.PropertyDependencies[key] = slices.DeleteFunc(slices.Clone(urns), gone)
		}
		present[r.URN] = true
	}
}
