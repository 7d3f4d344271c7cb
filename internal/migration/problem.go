package migration

import (
	"fmt"
	"strings"

	"polynat/internal/problem"
)

// Problem is one thing that is in the way: a field of the Spec, or an object of the cloud.
type Problem = problem.Problem

// Refusal says why a stage is not entered, with every problem at once. Nothing has been changed.
type Refusal struct {
	Stage    Stage
	Problems []Problem
}

func (r *Refusal) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "stage %s is refused, nothing has been changed:", r.Stage)
	for _, p := range r.Problems {
		b.WriteString("\n  - ")
		b.WriteString(p.Error())
	}
	return b.String()
}

// Map is the refusal with every problem changed.
func (r *Refusal) Map(change func(Problem) Problem) error {
	changed := &Refusal{Stage: r.Stage}
	for _, p := range r.Problems {
		changed.Problems = append(changed.Problems, change(p))
	}
	return changed
}

// problems collects; the zero value is ready.
type problems []Problem

func (ps *problems) add(field, value, rule, wayOut string) {
	*ps = append(*ps, Problem{Field: field, Value: value, Rule: rule, WayOut: wayOut})
}
