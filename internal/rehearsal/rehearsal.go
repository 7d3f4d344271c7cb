package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/artefact"
	"polynat/internal/engine"
	"polynat/internal/sim"
	"polynat/stacks"
)

// World is a simulated cloud with traffic through it.
type World interface {
	// Package is the name of the cloud's provider.
	Package() string
	// Provider returns a provider of this world with an empty log.
	Provider() *sim.Server
	// Clone returns a copy with a life of its own, watched from its present state.
	Clone() World
	// Watch begins to judge, with the connections that work now as the established ones.
	Watch()
	// End says that everything is about to be taken down: what goes is not missed, what stands must still work.
	End()
	// Losses returns what was lost since the last call, and begins anew.
	Losses() Losses
	// Deprive applies the deletions among ops alone and returns what is lost then.
	Deprive(ops []sim.Operation) Losses
}

// Losses count what went wrong. The zero value is a good day.
type Losses struct {
	// Holes are destinations of a vSwitch or subnet without a next hop, each counted once for every change after which it
	// was one. Lost are new connections that did not get out, Cut established ones that ended.
	Holes, Lost, Cut int
	// Problems say where, once each.
	Problems []string
	// Left are the subnets without a way out that a destroyed network leaves behind, by the nature of the step.
	Left int
	// Leaks are connections that got somewhere they must not, whatever the step.
	Leaks []string
	// Reaches says for people what is reached now; empty where the counts say it all.
	Reaches string
}

// Move is one step of a walk: what changes in the configuration before an `up`.
type Move struct {
	// Name of the step, such as "cover" or "back to cover".
	Name string
	// Configure changes the configuration; keys and values as in [engine.Options]. nil changes nothing.
	Configure func(config map[string]string) error
	// Begins is true for the step that makes the network: there is no traffic to lose before it.
	Begins bool
	// Cuts is true when the step moves traffic to another address, so that established connections are cut by design.
	Cuts bool
	// Interrupts is true when nothing can be reached for some operations of the step by design: they are counted.
	Interrupts bool
	// Replaces are the types whose resources the step replaces, as `pulumi up --replace` does.
	Replaces []string
	// Happens is what the cloud does before the step, such as an instance that dies; nil for nothing.
	Happens func(World)
	// Still is true for a `pulumi up --refresh` that must find nothing to do.
	Still bool
	// WayOut does what a guide tells people to do about an error of the move, before they make it again, and says what that
	// was; empty when no guide knows the error. nil for none.
	WayOut func(World, error) string
	// Destroys is true for a `pulumi destroy` instead of an `up`. What goes then is not missed.
	Destroys bool
}

// Setup is something to rehearse.
type Setup struct {
	Name string
	// Key is the configuration key of its block. The walk sees no other setup's.
	Key   string
	Terms Terms
	World World
	Moves []Move
	// State is a `pulumi stack export` to begin from; nil for nothing.
	State []byte
	// Variants are walked as well: the same moves in a cloud that behaves otherwise where nobody knows how it does.
	Variants []Variant
	// Notes say in a line each what the rehearsal rests on beside the configuration, such as a network that is made up.
	Notes []string
	// TakeOver is the change of the configuration by which the program takes over what exists, where it refuses that; nil for none.
	TakeOver func(config map[string]string) error
	// Close removes what the setup needed on this machine; nil for nothing.
	Close func()
}

// Terms are the headings of the table for people.
type Terms struct {
	Step, Reaches    string
	Holes, Lost, Cut Term
}

// Term is a heading, and in a sentence what is counted below it. A column without one is left out.
type Term struct{ Heading, Means string }

// Variant is another way in which the cloud may behave, and the moves that fit it.
type Variant struct {
	// Name says how the cloud behaves, such as "makes no default route".
	Name  string
	World World
	Moves []Move
}

// Step is what one move did.
type Step struct {
	Name            string `json:"name"`
	Operations      int    `json:"operations"`
	Holes           int    `json:"holes"`
	LostConnections int    `json:"lostConnections"`
	CutConnections  int    `json:"cutConnections"`
	// Seconds that the step took, with the failures that were tried and the variants.
	Seconds float64 `json:"seconds"`
	// Faults is how many failures of either kind were tried in addition to the step itself.
	Faults int `json:"failuresTried"`
	// Problems say what was lost or went wrong, and where; none in a step that went well.
	Problems []string `json:"problems,omitempty"`
	// Reaches says what is reached after the step; empty where the counts say it all.
	Reaches string `json:"reaches,omitempty"`

	byHand     []string // what had to be done by hand, as the references and guides tell
	interrupts bool     // by design
	left       int      // subnets without a way out, by design
	lost       bool     // Problems name traffic that was lost, cut or got where it must not, against the design
}

// SetupReport is the report of one setup.
type SetupReport struct {
	Setup string `json:"setup"`
	OK    bool   `json:"ok"`
	Steps []Step `json:"steps"`
	// Notes are those of the [Setup].
	Notes []string `json:"notes,omitempty"`
	// Variants are the names of those that were walked as well.
	Variants []string `json:"variants,omitempty"`
	// CutShort says that the walk did not get to its end, and was not stopped by a problem.
	CutShort bool  `json:"cutShort,omitempty"`
	Terms    Terms `json:"-"`

	again string // the variant that is walked
}

// Report is the report of a rehearsal.
type Report struct {
	OK     bool          `json:"-"`
	Stack  string        `json:"stack"`
	Setups []SetupReport `json:"setups"`
}

// Progress hears how a rehearsal goes on. Calls do not overlap.
type Progress interface {
	// Step begins: the i-th of n, counted from 1, of a setup.
	Step(setup, step string, i, n int)
	// Operation has ended within the step.
	Operation(sim.Operation)
	// Fault is the k-th of n failures that are tried on the step.
	Fault(k, n int)
}

// Options of a rehearsal.
type Options struct {
	// Project and Stack name the stack; Config is its configuration.
	Project, Stack string
	Config         map[string]string
	// Program is the program under rehearsal.
	Program Program
	// Faults tries each operation of each step failing once, and being done once although the answer is an error; of a step with
	// more failures than MaxFaults, 0 for any number, so many of them, spread over both kinds and the step.
	Faults    bool
	MaxFaults int
	Progress  Progress
	// Locate is an error of the program with the lines in the file of the stack; nil for none.
	Locate func(error) error
}

// Run rehearses the setups one after the other. The error is that of a rehearsal that could not be held; what the
// rehearsal found is in the report. When ctx ends, the report has what was walked until then.
func Run(ctx context.Context, o Options, setups ...Setup) (*Report, error) {
	if o.Progress == nil {
		o.Progress = silent{}
	}
	report := &Report{OK: true, Stack: o.Stack}
	for _, setup := range setups {
		if setup.Close != nil {
			defer setup.Close()
		}
		if ctx.Err() != nil {
			report.OK = false
			report.Setups = append(report.Setups, SetupReport{Setup: setup.Name, CutShort: true})
			continue
		}
		r, err := runSetup(ctx, o, setup)
		switch {
		case err == nil:
		case r != nil && ctx.Err() != nil:
			r.OK, r.CutShort = false, len(r.problems()) == 0
		default:
			return nil, fmt.Errorf("rehearse %s: %w", setup.Name, err)
		}
		r.noteByHand()
		report.OK = report.OK && r.OK
		report.Setups = append(report.Setups, *r)
	}
	return report, nil
}

// runSetup walks a setup, and when that went well its variants, whose problems join those of the same step.
func runSetup(ctx context.Context, o Options, setup Setup) (*SetupReport, error) {
	report, err := runWalk(ctx, o, setup)
	if err != nil || !report.OK {
		return report, err
	}
	o.Faults = false
	for i, v := range setup.Variants {
		variant := setup
		variant.Name = fmt.Sprintf("%s, variant %d of %d,", setup.Name, i+1, len(setup.Variants))
		variant.World, variant.Moves = v.World, v.Moves
		report.again = v.Name
		other, err := runWalk(ctx, o, variant)
		if other != nil {
			report.OK = report.OK && other.OK
			for i, step := range other.Steps {
				report.Steps[i].join(step, "if the cloud "+v.Name+": ")
			}
		}
		if err != nil {
			return report, fmt.Errorf("if the cloud %s: %w", v.Name, err)
		}
		report.Variants, report.again = append(report.Variants, v.Name), ""
	}
	return report, nil
}

func runWalk(ctx context.Context, o Options, setup Setup) (*SetupReport, error) {
	w, err := newWalk(o, setup)
	if err != nil {
		return nil, err
	}
	defer w.stack.Close()
	return w.run(ctx)
}

// walk is one setup on its way.
type walk struct {
	options Options
	setup   Setup
	config  map[string]string
	stack   *engine.Stack
	server  *sim.Server
	// said is the error of the program itself, of its last run. The engine has its text alone.
	said atomic.Pointer[error]
}

func newWalk(o Options, setup Setup) (*walk, error) {
	w := &walk{options: o, setup: setup, config: map[string]string{}, server: setup.World.Provider()}
	for k, v := range o.Config {
		if k == setup.Key || !strings.HasPrefix(k, stacks.Namespace+":") {
			w.config[k] = v
		}
	}
	w.server.Observe = o.Progress.Operation
	var err error
	w.stack, err = engine.New(engine.Options{
		Project: o.Project, Stack: o.Stack, Config: w.config, Program: w.program(),
		Providers: providers(setup.World, w.server),
	})
	if err == nil && setup.State != nil {
		err = w.stack.Import(setup.State)
	}
	return w, err
}

// program under rehearsal, whose error is kept.
func (w *walk) program() pulumi.RunFunc {
	program := w.options.Program(keys(w.config))
	return func(ctx *pulumi.Context) error {
		err := program(ctx)
		w.said.Store(&err)
		return err
	}
}

// programError is what the program last returned. A program can outlive a run that failed.
func (w *walk) programError() error {
	if said := w.said.Load(); said != nil {
		return *said
	}
	return nil
}

// located is the error of a run with the lines of what the program itself said.
func (w *walk) located(err error) error {
	said := w.programError()
	if err == nil || said == nil || w.options.Locate == nil {
		return err
	}
	return errors.New(strings.Replace(err.Error(), said.Error(), w.options.Locate(said).Error(), 1))
}

func providers(world World, server *sim.Server) map[string]pulumirpc.ResourceProviderServer {
	return map[string]pulumirpc.ResourceProviderServer{world.Package(): server}
}

// run makes the moves until one fails.
func (w *walk) run(ctx context.Context) (*SetupReport, error) {
	report := &SetupReport{Setup: w.setup.Name, OK: true, Notes: w.setup.Notes, Terms: w.setup.Terms}
	for i, move := range w.setup.Moves {
		w.options.Progress.Step(w.setup.Name, move.Name, i+1, len(w.setup.Moves))
		began := time.Now()
		step, err := w.step(ctx, move)
		// One that somebody ended is no step that was walked, unless it is known already what it loses.
		if step != nil && (ctx.Err() == nil || len(step.Problems) > 0) {
			step.Seconds = time.Since(began).Seconds()
			report.Steps = append(report.Steps, *step)
		}
		if err != nil {
			return report, fmt.Errorf("step %s: %w", move.Name, err)
		}
		if len(step.Problems) > 0 {
			report.OK = false
			break
		}
	}
	return report, nil
}

func (w *walk) step(ctx context.Context, move Move) (*Step, error) {
	if move.Configure != nil {
		if err := move.Configure(w.config); err != nil {
			return nil, err
		}
	}
	for k, v := range w.config {
		if err := w.stack.SetConfig(k, v); err != nil {
			return nil, err
		}
	}
	if move.Happens != nil {
		move.Happens(w.setup.World)
	}
	before, stackBefore := w.setup.World.Clone(), w.stack.Clone()
	defer stackBefore.Close()
	logged := len(w.server.Operations())

	step := &Step{Name: move.Name, interrupts: move.Interrupts}
	if move.Destroys {
		w.setup.World.End()
	}
	err := w.update(ctx, step, move)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ops := changes(w.server.Operations()[logged:])
	step.Operations = len(ops)
	if unbuilt := (artefact.Unbuilt{}); err != nil && errors.As(w.programError(), &unbuilt) {
		return nil, unbuilt
	}
	if err != nil {
		step.Problems = append(step.Problems, w.located(err).Error())
	}
	if move.Still && len(ops) > 0 {
		step.Problems = append(step.Problems, fmt.Sprintf("there was nothing to do, and %d operations were done, first the %s of %s", len(ops), ops[0].Kind, ops[0].Name))
	}
	if move.Begins {
		w.setup.World.Watch()
		step.Reaches = w.setup.World.Losses().Reaches
		return step, nil
	}
	losses := w.setup.World.Losses()
	step.Reaches, step.left = losses.Reaches, losses.Left
	step.add(losses, move.Cuts, move.Interrupts, "")
	if !move.Destroys {
		step.add(before.Clone().Deprive(ops), true, move.Interrupts, "if its creations failed or came late: ")
	}
	if w.options.Faults && len(step.Problems) == 0 {
		return step, w.faults(ctx, step, move, before, stackBefore, ops)
	}
	return step, nil
}

// update previews the move and makes it, as `pulumi up` does: one that the preview refuses changes nothing. Where there is a way
// out of what went wrong, it is taken once, and the step says so.
func (w *walk) update(ctx context.Context, step *Step, move Move) (err error) {
	if !move.Destroys {
		_, err = w.stack.Preview(ctx)
	}
	if err == nil {
		err = move.make(ctx, w.stack)
	}
	if err != nil && move.WayOut != nil {
		if done := move.WayOut(w.setup.World, err); done != "" {
			step.byHand = append(step.byHand, done)
			err = move.make(ctx, w.stack)
		}
	}
	return err
}

// make makes the move on a stack that is configured for it.
func (m Move) make(ctx context.Context, stack *engine.Stack) error {
	if m.Destroys {
		_, err := stack.Destroy(ctx)
		return err
	}
	if m.Still {
		if _, err := stack.Refresh(ctx); err != nil {
			return err
		}
	}
	var replaced []string
	for _, urn := range stack.URNs() {
		for _, typ := range m.Replaces {
			if strings.Contains(urn, "$"+typ+"::") {
				replaced = append(replaced, urn)
			}
		}
	}
	stack.SetReplace(replaced...)
	defer stack.SetReplace()
	_, err := stack.Up(ctx)
	return err
}

// add counts losses; what a step is meant to cut or to interrupt is counted and no problem. Interruptions by design are
// counted where they happened only, not where a failure was tried.
func (s *Step) add(l Losses, cuts, interrupts bool, prefix string) {
	if prefix == "" || !interrupts {
		s.Holes += l.Holes
		s.LostConnections += l.Lost
	}
	if prefix == "" {
		s.CutConnections += l.Cut
	}
	for _, p := range l.Leaks {
		s.lost = true
		s.Problems = append(s.Problems, prefix+p)
	}
	if interrupts || l.Holes == 0 && l.Lost == 0 && (l.Cut == 0 || cuts) && (len(l.Problems) == 0 || cuts) {
		return
	}
	s.lost = true
	for _, p := range l.Problems {
		s.Problems = append(s.Problems, prefix+p)
	}
}

// join adds what was lost in the same step of a variant. Interruptions by design are counted once.
func (s *Step) join(other Step, prefix string) {
	if !s.interrupts {
		s.Holes += other.Holes
		s.LostConnections += other.LostConnections
	}
	s.Seconds += other.Seconds
	s.lost = s.lost || other.lost
	for _, done := range other.byHand {
		s.byHand = append(s.byHand, prefix+done)
	}
	for _, p := range other.Problems {
		s.Problems = append(s.Problems, prefix+p)
	}
}

// noteByHand adds to the notes what had to be done by hand, each thing once.
func (s *SetupReport) noteByHand() {
	s.Notes = slices.Clip(s.Notes)
	for _, step := range s.Steps {
		for _, done := range step.byHand {
			if note := "by hand: " + done; !slices.Contains(s.Notes, note) {
				s.Notes = append(s.Notes, note)
			}
		}
	}
}

func changes(ops []sim.Operation) []sim.Operation {
	var changing []sim.Operation
	for _, op := range ops {
		if op.Kind.Changes() {
			changing = append(changing, op)
		}
	}
	return changing
}

// silent is the Progress of those who want none.
type silent struct{}

func (silent) Step(string, string, int, int) {}
func (silent) Operation(sim.Operation)       {}
func (silent) Fault(int, int)                {}

// The errors of a rehearsal that did not go well, the one that says most first.
var (
	ErrLost = errors.New("traffic would be lost")
	// ErrRefused: a step was refused before it changed anything, so the configuration is wrong for this network.
	ErrRefused = errors.New("a step was refused; nothing was lost")
	// ErrFailed: a step could not be finished, or did what it must not, so there is no verdict on it and on what follows.
	ErrFailed = errors.New("a step failed; nothing was lost up to there")
	// ErrCutShort: somebody ended the rehearsal, so there is no verdict on what was not walked.
	ErrCutShort = errors.New("cut short; nothing was lost up to there")
)

// Err is nil when all went well, else the first of ErrLost, ErrRefused, ErrFailed and ErrCutShort that a setup ended with.
func (r *Report) Err() error {
	var found []error
	for _, setup := range r.Setups {
		for _, s := range setup.Steps {
			found = append(found, s.err())
		}
		if setup.CutShort {
			found = append(found, ErrCutShort)
		}
	}
	for _, err := range []error{ErrLost, ErrRefused, ErrFailed, ErrCutShort} {
		if slices.Contains(found, err) {
			return err
		}
	}
	return nil
}

// problems of all steps.
func (s *SetupReport) problems() (all []string) {
	for _, step := range s.Steps {
		all = append(all, step.Problems...)
	}
	return all
}

func (s *Step) err() error {
	switch {
	case s.lost:
		return ErrLost
	case len(s.Problems) == 0:
		return nil
	case s.Operations == 0:
		return ErrRefused
	}
	return ErrFailed
}
