// Package problem holds what is wrong with an input, in the form in which every part of polynat says it.
package problem

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Problem is one thing that is in the way: where (a field of the input, or an object of the cloud), what stands there, the
// rule that it breaks and the way out.
type Problem struct{ Field, Value, Rule, WayOut string }

func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Field)
	if p.Value != "" {
		fmt.Fprintf(&b, ": %s", p.Value)
	}
	fmt.Fprintf(&b, ": %s", p.Rule)
	if p.WayOut != "" {
		fmt.Fprintf(&b, " (%s)", p.WayOut)
	}
	return b.String()
}

// List collects problems; the zero value is ready.
type List []error

// Add adds a problem with a value that is shown quoted.
func (l *List) Add(field, value, rule, wayOut string) {
	*l = append(*l, Problem{Field: field, Value: strconv.Quote(value), Rule: rule, WayOut: wayOut})
}

// Number adds a problem with a number.
func (l *List) Number(field string, value int, rule, wayOut string) {
	*l = append(*l, Problem{Field: field, Value: strconv.Itoa(value), Rule: rule, WayOut: wayOut})
}

// Missing adds the problem of a field that must be set.
func (l *List) Missing(field, wayOut string) {
	*l = append(*l, Problem{Field: field, Rule: "is missing", WayOut: wayOut})
}

// Err is all problems as one error, or nil.
func (l List) Err() error { return errors.Join(l...) }
