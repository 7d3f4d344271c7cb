package main

import (
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"polynat/internal/sim"
)

// progress shows how a rehearsal goes on: a bar on a terminal, a line per step elsewhere.
type progress struct {
	out   io.Writer
	bar   *progressbar.ProgressBar // nil when out is no terminal
	title string
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions(1,
			progressbar.OptionSetWriter(out),
			progressbar.OptionSetWidth(24),
			progressbar.OptionClearOnFinish(),
			progressbar.OptionSetPredictTime(false),
		)
	}
	return p
}

// Step implements rehearsal.Progress.
func (p *progress) Step(setup, step string, i, n int) {
	p.title = fmt.Sprintf("%s %d/%d: %s", setup, i, n, step)
	if p.bar == nil {
		fmt.Fprintln(p.out, p.title)
		return
	}
	p.bar.ChangeMax(n)
	p.show(i-1, p.title)
}

// Operation implements rehearsal.Progress.
func (p *progress) Operation(op sim.Operation) {
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("%s: %s %s", p.title, op.Kind, op.Name))
	}
}

// Fault implements rehearsal.Progress.
func (p *progress) Fault(k, n int) {
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("%s: failure %d of %d", p.title, k, n))
	}
}

func (p *progress) show(done int, title string) {
	p.bar.Describe(title)
	// A bar that cannot be drawn is no reason to stop.
	_ = p.bar.Set(done)
}

// Close takes the bar away.
func (p *progress) Close() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
