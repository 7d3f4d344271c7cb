package rehearsal

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Text writes the report for people: a table per setup, and what went wrong below it.
func (r *Report) Text(w io.Writer) error {
	for i, setup := range r.Setups {
		between := "" // the parts of a report
		if i > 0 {
			fmt.Fprintln(w)
		}
		if !setup.refused() {
			if err := setup.table(w); err != nil {
				return err
			}
			between = "\n"
		}
		for _, s := range setup.Steps {
			for _, p := range s.Problems {
				fmt.Fprintf(w, "%s%s %s: %s\n", between, setup.Terms.Step, s.Name, strings.TrimSpace(p))
				between = "\n"
			}
		}
		for _, v := range setup.Variants {
			fmt.Fprintf(w, "\nwalked as well: a cloud that %s", v)
		}
		for _, n := range setup.Notes {
			fmt.Fprintf(w, "\n%s", n)
		}
		if len(setup.Variants)+len(setup.Notes) > 0 {
			fmt.Fprintln(w)
		}
		name := setup.Setup
		if r.Stack != "" {
			name += " (stack " + r.Stack + ")"
		}
		if _, err := fmt.Fprintf(w, "\n%s: %s\n", name, setup.verdict()); err != nil {
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

// table writes the steps with their counts.
func (s *SetupReport) table(w io.Writer) error {
	terms := s.Terms
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(step, operations, seconds, holes, lost, cut, faults any, reaches string) {
		cells := []any{step, operations, seconds}
		for _, c := range []struct {
			heading string
			cell    any
		}{{terms.Holes, holes}, {terms.Lost, lost}, {terms.Cut, cut}} {
			if c.heading != "" {
				cells = append(cells, c.cell)
			}
		}
		if cells = append(cells, faults); terms.Reaches != "" {
			cells = append(cells, reaches)
		}
		fmt.Fprintln(t, join(cells))
	}
	row(terms.Step, "operations", "seconds", terms.Holes, terms.Lost, terms.Cut, "failures tried", terms.Reaches)
	for _, s := range s.Steps {
		row(s.Name, s.Operations, fmt.Sprintf("%.2f", s.Seconds), s.Holes, s.LostConnections, s.CutConnections, s.Faults, s.Reaches)
	}
	return t.Flush()
}

// verdict says in a line how it went.
func (s *SetupReport) verdict() string {
	if !s.OK {
		return "FAILED: see above"
	}
	const ok = "ok: nothing was lost"
	for _, step := range s.Steps {
		switch {
		case step.Holes+step.LostConnections > 0:
			return ok + " but where the step interrupts by its nature"
		case step.left == 1:
			return fmt.Sprintf("%s but where %s takes the routes with it (1 subnet is left without a way out)", ok, step.Name)
		case step.left > 1:
			return fmt.Sprintf("%s but where %s takes the routes with it (%d subnets are left without a way out)", ok, step.Name, step.left)
		}
	}
	return ok
}

// join makes a line of a table; every cell ends with a tab.
func join(cells []any) string {
	var line strings.Builder
	for _, c := range cells {
		fmt.Fprintf(&line, "%v\t", c)
	}
	return line.String()
}
