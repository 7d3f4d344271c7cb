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
type Problem struct {
	Field, Value, Rule, WayOut string
	// At is file and line of the field, empty where they are not known.
	At string
}

func (p Problem) Error() string {
	var b strings.Builder
	if p.At != "" {
		b.WriteString(p.At + ": ")
	}
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

// isMissing is the rule that a field must be set.
const isMissing = "is missing"

// Missing is the problem of a field that must be set.
func Missing(field, wayOut string) Problem {
	return Problem{Field: field, Rule: isMissing, WayOut: wayOut}
}

// IsMissing reports whether the field must be set and is not.
func (p Problem) IsMissing() bool { return p.Rule == isMissing }

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
	*l = append(*l, Missing(field, wayOut))
}

// Err is all problems as one error, or nil.
func (l List) Err() error { return errors.Join(l...) }

// Leaves are the errors that were joined into err, in their order.
func Leaves(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error }) // errors.As would look behind what wraps a list
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, Leaves(e)...)
	}
	return all
}

// Map is err with every problem in it changed, and every other error by other, unless that is nil. What was said around a problem is lost,
// unless the error can map its problems itself, as the refusal of a stage does.
func Map(err error, change func(Problem) Problem, other func(error) error) error {
	var all List
	for _, e := range Leaves(err) {
		var p Problem
		var several interface {
			Map(func(Problem) Problem) error
		}
		switch {
		case errors.As(e, &several):
			e = several.Map(change)
		case errors.As(e, &p):
			e = change(p)
		case other != nil:
			e = other(e)
		}
		all = append(all, e)
	}
	return all.Err()
}
