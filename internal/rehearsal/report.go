package rehearsal

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// JSON writes the report for machines.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Text writes the report for people: a table per setup, and what went wrong below it.
func (r *Report) Text(w io.Writer) error {
	for i, setup := range r.Setups {
		if i > 0 {
			fmt.Fprintln(w)
		}
		terms := setup.Terms
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
		for _, s := range setup.Steps {
			row(s.Name, s.Operations, fmt.Sprintf("%.2f", s.Seconds), s.Holes, s.LostConnections, s.CutConnections, s.Faults, s.Reaches)
		}
		if err := t.Flush(); err != nil {
			return err
		}
		interrupted := false
		for _, s := range setup.Steps {
			interrupted = interrupted || s.Holes+s.LostConnections > 0
			for _, p := range s.Problems {
				fmt.Fprintf(w, "\n%s %s: %s\n", terms.Step, s.Name, strings.TrimSpace(p))
			}
		}
		for _, v := range setup.Variants {
			fmt.Fprintf(w, "\nwalked as well: a cloud that %s", v)
		}
		verdict := "ok: nothing was lost"
		switch {
		case !setup.OK:
			verdict = "FAILED: see above"
		case interrupted:
			verdict = "ok: nothing was lost but where the step interrupts by its nature"
		}
		for _, n := range setup.Notes {
			fmt.Fprintf(w, "\n%s", n)
		}
		if len(setup.Variants)+len(setup.Notes) > 0 {
			fmt.Fprintln(w)
		}
		if _, err := fmt.Fprintf(w, "\n%s: %s\n", setup.Setup, verdict); err != nil {
			return err
		}
	}
	return nil
}

// join makes a line of a table; every cell ends with a tab.
func join(cells []any) string {
	var line strings.Builder
	for _, c := range cells {
		fmt.Fprintf(&line, "%v\t", c)
	}
	return line.String()
}
