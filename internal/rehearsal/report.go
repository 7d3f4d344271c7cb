package rehearsal

import (
	"fmt"
	"io"
	"strings"

	"polynat/internal/terminal"
)

// established is what the connections are called that a step cuts.
var established = Term{"cut", "established connections that ended"}

// Text writes the report for people: a table per setup, and what went wrong below it.
func (r *Report) Text(w io.Writer) error {
	for i, setup := range r.Setups {
		var parts []string
		if len(setup.Steps) > 0 && !setup.refused() {
			table, err := setup.table()
			if err != nil {
				return err
			}
			parts = append(parts, table, setup.legend())
		}
		for _, s := range setup.Steps {
			for _, p := range s.Problems {
				parts = append(parts, terminal.Message(w, fmt.Sprintf("%s %s: %s", setup.Terms.Step, s.Name, strings.TrimSpace(p))))
			}
		}
		var besides []string
		for _, v := range setup.Variants {
			besides = append(besides, terminal.Wrap("", "Rehearsed once more, with a cloud that "+v))
		}
		for _, n := range setup.Notes {
			besides = append(besides, terminal.Wrap("", n))
		}
		if len(besides) > 0 {
			parts = append(parts, strings.Join(besides, "\n"))
		}
		color, verdict := setup.verdict()
		parts = append(parts, terminal.Wrap("", fmt.Sprintf("%s (stack %s): %s", setup.Setup, r.Stack, terminal.Paint(w, color, verdict))))
		if i > 0 {
			fmt.Fprintln(w)
		}
		if _, err := fmt.Fprintln(w, strings.Join(parts, "\n\n")); err != nil {
			return err
		}
	}
	return nil
}

// refused says whether the first step was refused before it did anything: then there is nothing to count.
func (s *SetupReport) refused() bool {
	if len(s.Steps) != 1 {
		return false
	}
	first := s.Steps[0]
	return len(first.Problems) > 0 && first.Operations+first.Holes+first.LostConnections+first.CutConnections == 0
}

// table is the steps with their counts. What is reached is said where it changed.
func (s *SetupReport) table() (string, error) {
	headings := []string{s.Terms.Step, "operations", "failures\ntried", "seconds"}
	for _, term := range s.Terms.counted() {
		headings = append(headings, term.Heading)
	}
	t, reached := terminal.NewTable(headings...), ""
	for _, step := range s.Steps {
		cells := []any{step.Name, step.Operations, step.Faults, fmt.Sprintf("%.1f", step.Seconds)}
		for _, c := range []struct {
			Term
			count int
		}{{s.Terms.Holes, step.Holes}, {s.Terms.Lost, step.LostConnections}, {s.Terms.Cut, step.CutConnections}} {
			if c.Heading != "" {
				cells = append(cells, c.count)
			}
		}
		t.Row(cells...)
		if step.Reaches != reached {
			t.Below(s.Terms.Reaches + ": " + step.Reaches)
			reached = step.Reaches
		}
	}
	var b strings.Builder
	err := t.Write(&b)
	return strings.TrimRight(b.String(), "\n"), err
}

// counted are the terms that the table has.
func (t Terms) counted() (terms []Term) {
	for _, term := range []Term{t.Holes, t.Lost, t.Cut} {
		if term.Heading != "" {
			terms = append(terms, term)
		}
	}
	return terms
}

// legend says what is counted.
func (s *SetupReport) legend() string {
	var lines []string
	for _, term := range s.Terms.counted() {
		lines = append(lines, terminal.Wrap("", term.Heading+": "+term.Means))
	}
	return strings.Join(lines, "\n")
}

// verdict says in a line how it went.
func (s *SetupReport) verdict() (terminal.Color, string) {
	switch {
	case s.CutShort && len(s.Steps) == 0:
		return terminal.Unclear, "not walked"
	case s.CutShort && s.again != "":
		return terminal.Unclear, "cut short while it was rehearsed once more, with a cloud that " + s.again + "; nothing was lost up to there"
	case s.CutShort:
		return terminal.Unclear, "cut short after step " + s.Steps[len(s.Steps)-1].Name + "; nothing was lost up to there"
	case !s.OK:
		return terminal.Bad, "FAILED: see above"
	}
	var except []string
	for _, step := range s.Steps {
		switch {
		case step.Holes+step.LostConnections > 0:
			except = append(except, "step "+step.Name+" interrupts traffic")
		case step.left == 1:
			except = append(except, "step "+step.Name+" takes the routes with it, and leaves 1 subnet without a way out")
		case step.left > 1:
			except = append(except, fmt.Sprintf("step %s takes the routes with it, and leaves %d subnets without a way out", step.Name, step.left))
		}
	}
	if len(except) > 0 {
		return terminal.Good, "ok, except that " + strings.Join(except, ", and that ")
	}
	return terminal.Good, "ok: nothing was lost"
}
