package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pulumi/pulumi/pkg/v3/display"
	pulumiengine "github.com/pulumi/pulumi/pkg/v3/engine"
	"github.com/pulumi/pulumi/pkg/v3/resource/deploy"
	"github.com/pulumi/pulumi/pkg/v3/resource/plugin"
	"github.com/pulumi/pulumi/pkg/v3/util/cancel"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/result"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// Organization is the organization of every Stack, the one that Pulumi's own file backend uses.
const Organization = "organization"

// DefaultParallel is how many operations run at once unless [Options] say otherwise: the CLI's default on four cores.
const DefaultParallel = 16

// ErrCrashed is the error of a run that [Stack.Crash] ended.
var ErrCrashed = errors.New("the process died")

// Options say what a [Stack] is.
type Options struct {
	// Project and Stack name the stack; both are part of every URN, so a state that is imported must have been exported
	// from a stack of the same names.
	Project, Stack string
	// Config is the stack's configuration by full key, such as "polynat:alicloud". A value is what the CLI hands to a
	// program: the string itself, or JSON for lists and objects.
	Config map[string]string
	// Providers by package name, such as "alicloud".
	Providers map[string]pulumirpc.ResourceProviderServer
	// Program is the Pulumi program.
	Program pulumi.RunFunc
	// Parallel is how many operations may run at once; 0 means [DefaultParallel].
	Parallel int
	// Events, if set, is called as a run goes on, never twice at the same time within one Stack.
	Events func(Event)
}

// Stack is one deployment of a program: configuration, providers and the state of the last run. Its methods may be called
// from several goroutines; runs (Up, Preview, Refresh, Destroy) wait for each other.
type Stack struct {
	project  tokens.PackageName
	name     tokens.StackName
	parallel int32
	events   func(Event)
	engine   *engineServer

	running sync.Mutex // held by a run

	mu        sync.Mutex // guards what follows
	config    config.Map
	providers map[string]pulumirpc.ResourceProviderServer
	program   pulumi.RunFunc
	replaced  []string              // URNs
	state     *apitype.DeploymentV3 // never modified, only replaced
	run       *run                  // the one in progress, nil if there is none
}

// Result is what a run did.
type Result struct {
	// Changes counts the resources by what became of them: create, update, delete, replace, same, import and so on.
	Changes map[string]int
	// Steps are the operations in the order in which they began, without those that change nothing. A replacement is
	// several: the new one is created, the old one deleted, and "replace" stands for both.
	Steps []Step
	// Diagnostics are the messages, without color: errors, warnings and what the program logged.
	Diagnostics []string
	// Duration is how long the run took.
	Duration time.Duration
}

// Step is one operation on one resource.
type Step struct {
	// Op is the engine's name of the operation, such as "create", "delete", "create-replacement".
	Op string
	// URN and Type name the resource.
	URN, Type string
}

// Error is the error of a run that failed. It holds the errors that the engine and the program reported.
type Error struct {
	// Op is "up", "preview", "refresh" or "destroy".
	Op string
	// Errors are the messages of severity error, without color: of the program, the providers and the engine. A message
	// alone does not make a run fail: a program may log an error and go on. Empty after a crash: a dead process reports
	// nothing.
	Errors []string
	// Err is what ended the run: [ErrCrashed], the context's error, or the engine's error.
	Err error
}

// Error joins the messages. What ended the run is left out where it only repeats them.
func (e *Error) Error() string {
	messages := e.Errors
	if len(messages) == 0 || !result.IsBail(e.Err) { // an engine that bails out has said why
		messages = append(slices.Clone(messages), e.Err.Error())
	}
	return e.Op + ": " + strings.Join(messages, "\n")
}

// Unwrap returns what ended the run.
func (e *Error) Unwrap() error { return e.Err }

// New returns an empty stack. Options that cannot name a stack or a configuration key are an error.
func New(o Options) (*Stack, error) {
	name, err := tokens.ParseStackName(o.Stack)
	if err != nil {
		return nil, fmt.Errorf("stack: %q: %w", o.Stack, err)
	}
	if err := tokens.ValidateProjectName(o.Project); err != nil {
		return nil, fmt.Errorf("project: %q: %w", o.Project, err)
	}
	s := &Stack{
		project:   tokens.PackageName(o.Project),
		name:      name,
		parallel:  int32(min(max(o.Parallel, 0), 1024)),
		events:    o.Events,
		engine:    &engineServer{},
		config:    config.Map{},
		providers: maps.Clone(o.Providers),
		program:   o.Program,
		state:     &apitype.DeploymentV3{},
	}
	if s.parallel == 0 {
		s.parallel = DefaultParallel
	}
	for _, key := range slices.Sorted(maps.Keys(o.Config)) {
		if err := s.SetConfig(key, o.Config[key]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Close stops what the Stack serves. A run in progress is waited for.
func (s *Stack) Close() {
	s.running.Lock()
	defer s.running.Unlock()
	s.engine.close()
}

// Clone returns a stack with the same program, configuration and state and a life of its own. It has no providers yet:
// a what-if run needs its own simulation ([Stack.SetProviders]). It reports no events.
func (s *Stack) Clone() *Stack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Stack{
		project:  s.project,
		name:     s.name,
		parallel: s.parallel,
		engine:   &engineServer{},
		config:   maps.Clone(s.config),
		program:  s.program,
		replaced: s.replaced,
		state:    s.state,
	}
}

// SetConfig sets one configuration value for the runs that follow. A key without a namespace is an error.
func (s *Stack) SetConfig(key, value string) error {
	k, err := config.ParseKey(key)
	if err != nil {
		return fmt.Errorf("config: %q: not a full key (write <namespace>:<name>)", key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config[k] = config.NewValue(value)
	return nil
}

// SetProgram replaces the program for the runs that follow.
func (s *Stack) SetProgram(program pulumi.RunFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.program = program
}

// SetProviders replaces the providers for the runs that follow.
func (s *Stack) SetProviders(providers map[string]pulumirpc.ResourceProviderServer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.providers = maps.Clone(providers)
}

// SetReplace says which resources the runs that follow replace although nothing asks for it, as the CLI's --replace does.
func (s *Stack) SetReplace(urns ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replaced = slices.Clone(urns)
}

// Up runs the program and makes the cloud what it says. The error is an [*Error]; the Result is never nil.
func (s *Stack) Up(ctx context.Context) (*Result, error) {
	return s.do(ctx, "up", pulumiengine.Update, false)
}

// Preview says what Up would do and changes nothing. The error is an [*Error]; the Result is never nil.
func (s *Stack) Preview(ctx context.Context) (*Result, error) {
	return s.do(ctx, "preview", pulumiengine.Update, true)
}

// Refresh brings the state up to date with the cloud, without running the program. The error is an [*Error]; the Result
// is never nil.
func (s *Stack) Refresh(ctx context.Context) (*Result, error) {
	return s.do(ctx, "refresh", pulumiengine.Refresh, false)
}

// Destroy deletes every resource, without running the program; like the CLI's, it refuses when a resource has a delete
// hook. The error is an [*Error]; the Result is never nil.
func (s *Stack) Destroy(ctx context.Context) (*Result, error) {
	return s.do(ctx, "destroy", pulumiengine.Destroy, false)
}

// Crash ends the run in progress as if the process had died at this point: nothing more is recorded, operations that
// have begun stay pending in the state, and no provider is asked for anything more. It may be called from within a
// provider and returns at once; the run fails with [ErrCrashed]. Without a run it does nothing.
func (s *Stack) Crash() {
	s.mu.Lock()
	r := s.run
	s.mu.Unlock()
	if r != nil {
		r.crash()
	}
}

// run is one run in progress, with what it runs on.
type run struct {
	base     *apitype.DeploymentV3
	config   config.Map
	replaced []string

	mu        sync.Mutex // guards what follows
	providers map[string]pulumirpc.ResourceProviderServer
	program   pulumi.RunFunc

	life    context.Context // of the program: an engine that gives up leaves it waiting for answers
	kill    context.CancelFunc
	journal *journal
	source  *cancel.Source
	dead    chan struct{} // closed by crash
	once    sync.Once
}

// provider of a package; nil if there is none, or the run is over.
func (r *run) provider(name string) pulumirpc.ResourceProviderServer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.providers[name]
}

// started is the program; nil if there is none.
func (r *run) started() pulumi.RunFunc {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.program
}

// forget lets go of what the run ran on, such as a whole simulated cloud: the engine never lets go of a run.
func (r *run) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.base, r.config, r.providers, r.program = nil, nil, nil, nil
}

// begin makes the run in progress of what the Stack is set to now.
func (s *Stack) begin(source *cancel.Source) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	life, kill := context.WithCancel(context.Background())
	s.run = &run{
		life:      life,
		kill:      kill,
		base:      s.state,
		config:    maps.Clone(s.config),
		providers: s.providers,
		program:   s.program,
		replaced:  s.replaced,
		journal:   newJournal(s.state),
		source:    source,
		dead:      make(chan struct{}),
	}
	return s.run
}

// end ends the run in progress.
func (s *Stack) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run.kill()
	s.run.forget()
	s.run = nil
}

// crash stops the recording first, so that nothing that happens later is in the state.
func (r *run) crash() {
	r.once.Do(func() {
		r.journal.freeze()
		close(r.dead)
		r.source.Cancel()
	})
}

func (r *run) crashed() bool {
	select {
	case <-r.dead:
		return true
	default:
		return false
	}
}

// operation is one of the engine's functions Update, Refresh and Destroy.
type operation func(
	pulumiengine.UpdateInfo, *pulumiengine.Context, pulumiengine.UpdateOptions, bool,
) (*deploy.Plan, display.ResourceChanges, error)

func (s *Stack) record(state *apitype.DeploymentV3) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

// do runs one operation of the engine from the recorded state to the next.
func (s *Stack) do(ctx context.Context, name string, op operation, dryRun bool) (*Result, error) {
	s.running.Lock()
	defer s.running.Unlock()
	fail := func(err error) (*Result, error) { return &Result{}, &Error{Op: name, Err: err} }

	address, err := s.engine.serve()
	if err != nil {
		return fail(err)
	}
	canceler, source := cancel.NewContext(context.WithoutCancel(ctx))
	defer source.Terminate() // lets the engine close what it opened for this run
	defer context.AfterFunc(ctx, source.Cancel)()
	r := s.begin(source)
	defer s.end()

	snapshot, err := load(ctx, r.base)
	if err != nil {
		return fail(err)
	}
	var manager pulumiengine.SnapshotManager
	if !dryRun {
		manager, err = pulumiengine.NewJournalSnapshotManager(r.journal, snapshot, snapshot.SecretsManager)
		if err != nil {
			return fail(err)
		}
	}
	listener := listen(s.events)
	began := time.Now()
	_, changes, err := op(
		pulumiengine.UpdateInfo{
			Root:    "/", // nothing is read from there: neither program nor plugins are files
			Project: &workspace.Project{Name: s.project, Runtime: workspace.NewProjectRuntimeInfo("go", nil)},
			Target: &deploy.Target{
				Name:         s.name,
				Organization: Organization,
				Config:       r.config,
				Decrypter:    config.NopDecrypter,
				Snapshot:     snapshot,
			},
		},
		&pulumiengine.Context{
			Cancel:          canceler,
			Events:          listener.channel,
			SnapshotManager: manager,
			BackendClient:   backend{project: string(s.project), stack: s.name.String(), journal: r.journal},
			PluginManager:   noPlugins{},
		},
		pulumiengine.UpdateOptions{
			Parallel:             s.parallel,
			ReplaceTargets:       deploy.NewUrnTargets(r.replaced),
			SkipPluginPreInstall: true,
			HostFactory: func(_ context.Context, messages, status diag.Sink, _ plugin.DebugContext) (plugin.Host, error) {
				h := &host{run: r, address: address, messages: messages, status: status}
				s.engine.route(h)
				return h, nil
			},
		}, dryRun)
	done, reported := listener.wait()
	done.Duration = time.Since(began)
	for op, n := range changes {
		if n > 0 {
			done.Changes[string(op)] = n
		}
	}

	state, recordErr := r.journal.finish(context.WithoutCancel(ctx))
	if !dryRun && recordErr == nil {
		s.record(state)
	}
	switch {
	case recordErr != nil:
		err = recordErr
	case r.crashed():
		err, reported = ErrCrashed, nil
	case err != nil && ctx.Err() != nil:
		err = ctx.Err()
	}
	if err != nil {
		return done, &Error{Op: name, Errors: reported, Err: err}
	}
	return done, nil
}
