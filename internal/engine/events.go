package engine

import (
	"slices"
	"strings"

	pulumiengine "github.com/pulumi/pulumi/pkg/v3/engine"
	"github.com/pulumi/pulumi/pkg/v3/resource/deploy"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
)

// EventKind is what an [Event] tells.
type EventKind string

// The kinds of events.
const (
	// EventStart: an operation begins.
	EventStart EventKind = "start"
	// EventDone: an operation is done. Components have none: they are done when their outputs are registered.
	EventDone EventKind = "done"
	// EventFailed: an operation failed; the reason is in an [EventDiag].
	EventFailed EventKind = "failed"
	// EventDiag: a message of the engine, the program or a provider.
	EventDiag EventKind = "diag"
)

// Event is progress of a run.
type Event struct {
	// Kind is what the event tells.
	Kind EventKind
	// Op is the operation (start, done, failed) or the severity of the message (diag).
	Op string
	// URN and Type name the resource. A message need not be about one; then both are empty.
	URN, Type string
	// Message is the text of a message, without color.
	Message string
}

// listener collects a run's events until the engine says that there are no more.
type listener struct {
	channel chan pulumiengine.Event
	done    chan struct{}
	report  func(Event)

	collected Result
	errors    []string
}

func listen(report func(Event)) *listener {
	l := &listener{
		channel:   make(chan pulumiengine.Event),
		done:      make(chan struct{}),
		report:    report,
		collected: Result{Changes: map[string]int{}},
	}
	go func() {
		defer close(l.done)
		for e := range l.channel {
			if e.Type == pulumiengine.CancelEvent { // the last one
				return
			}
			l.hear(e)
		}
	}()
	return l
}

// wait waits for the last event and returns what was collected: the result and the messages of severity error.
func (l *listener) wait() (*Result, []string) {
	<-l.done
	return &l.collected, l.errors
}

func (l *listener) hear(e pulumiengine.Event) {
	if e.Internal() {
		return
	}
	switch p := e.Payload().(type) {
	case pulumiengine.ResourcePreEventPayload:
		l.step(EventStart, p.Metadata)
		l.collect(p.Metadata)
	case pulumiengine.ResourceOutputsEventPayload:
		l.step(EventDone, p.Metadata)
		// A refresh begins with "refresh" and says at its end what became of the resource.
		if p.Metadata.Op == deploy.OpUpdate || p.Metadata.Op == deploy.OpDelete {
			l.collectOnce(p.Metadata)
		}
	case pulumiengine.ResourceOperationFailedPayload:
		l.step(EventFailed, p.Metadata)
	case pulumiengine.DiagEventPayload:
		l.message(p)
	}
}

func (l *listener) step(kind EventKind, m pulumiengine.StepEventMetadata) {
	if l.report != nil {
		l.report(Event{Kind: kind, Op: string(m.Op), URN: string(m.URN), Type: string(m.Type)})
	}
}

// collect records a step that changes something.
func (l *listener) collect(m pulumiengine.StepEventMetadata) {
	if m.Op == deploy.OpSame || m.Op == deploy.OpRefresh {
		return
	}
	l.collected.Steps = append(l.collected.Steps, Step{Op: string(m.Op), URN: string(m.URN), Type: string(m.Type)})
}

// collectOnce records a step unless its beginning has recorded it.
func (l *listener) collectOnce(m pulumiengine.StepEventMetadata) {
	for _, s := range l.collected.Steps {
		if s.URN == string(m.URN) && s.Op == string(m.Op) {
			return
		}
	}
	l.collect(m)
}

// What the engine adds to the errors of others (resource/deploy of pkg/v3): messages that say no more than that there were
// some (deployment_executor.go), and words before a program's error (program_source.go).
var (
	summaries = []string{"update failed", "update canceled", "preview failed", "preview canceled"}
	unhandled = "an unhandled error occurred: "
)

func (l *listener) message(p pulumiengine.DiagEventPayload) {
	if p.Severity == diag.Debug || p.Ephemeral {
		return
	}
	text := strings.TrimSpace(colors.Never.Colorize(p.Message))
	l.collected.Diagnostics = append(l.collected.Diagnostics, strings.TrimSpace(colors.Never.Colorize(p.Prefix))+" "+text)
	if p.Severity == diag.Error && !slices.Contains(summaries, text) {
		l.errors = append(l.errors, strings.TrimPrefix(text, unhandled))
	}
	if l.report != nil {
		e := Event{Kind: EventDiag, Op: string(p.Severity), URN: string(p.URN), Message: text}
		if p.URN != "" {
			e.Type = string(p.URN.Type())
		}
		l.report(e)
	}
}
