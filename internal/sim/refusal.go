package sim

import (
	"errors"
	"fmt"
	"slices"
)

// Refusal is an answer of a simulated API that refuses a call. Nothing has changed.
type Refusal struct {
	// Code is the machine-readable part, as the vendor spells it.
	Code string
	// Message says which object, which rule, and the way out.
	Message string
	// Task, if not empty, is the task that the caller has to wait for before it tries again.
	Task string
}

func (e *Refusal) Error() string { return e.Code + ": " + e.Message }

// Refuse returns a [Refusal].
func Refuse(code, format string, args ...any) error {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// IsCode reports whether err, or an error that it wraps, is a [Refusal] with one of the codes.
func IsCode(err error, codes ...string) bool {
	var e *Refusal
	return errors.As(err, &e) && slices.Contains(codes, e.Code)
}
