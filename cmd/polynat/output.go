package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"polynat/internal/problem"
)

// report is what a command has found out: a text for people, an object for machines.
type report interface{ Text(io.Writer) error }

// output prints what a command found out.
type output struct {
	args   []string // of the command line, that may ask for JSON though they cannot be parsed
	format string
	report report // nil for none
}

var formats = []string{"text", "json"}

// flag declares --format.
func (o *output) flag(c *cobra.Command) {
	c.Flags().StringVar(&o.format, "format", "text", "text or json")
	complete(c, "format", formats...)
	c.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains(formats, o.format) {
			return fmt.Errorf("--format: %q: is not known (use text or json)", o.format)
		}
		return nil
	}
}

// print writes the report. Machines get an object in any case.
func (o *output) print(w io.Writer, err error) error {
	switch {
	case o.format == "json" && (err != nil || o.report != nil), err != nil && asksForJSON(o.args):
		return o.json(w, err)
	case o.report != nil:
		return o.report.Text(w)
	}
	return nil
}

// asksForJSON says whether the arguments ask for an object, where they could not be parsed to the end.
func asksForJSON(args []string) bool {
	i := slices.Index(args, "--format")
	return slices.Contains(args, "--format=json") || i >= 0 && slices.Contains(args[i+1:min(i+2, len(args))], "json")
}

// head is what every object for machines begins with.
type head struct {
	OK      bool   `json:"ok"`
	Version string `json:"version"`
	// Error is the line on standard error, and Problems what it consists of, where the input is wrong.
	Error    string    `json:"error,omitempty"`
	Problems []trouble `json:"problems,omitempty"`
}

// trouble is a problem of the input; of one that is no [problem.Problem], the message alone is known.
type trouble struct {
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
	Value   string `json:"value,omitempty"`
	Rule    string `json:"rule,omitempty"`
	WayOut  string `json:"wayOut,omitempty"`
}

// json writes one object: the head, and what the report has.
func (o *output) json(w io.Writer, err error) error {
	h := head{OK: err == nil, Version: version()}
	if err != nil {
		h.Error = err.Error()
	}
	if o.report == nil {
		h.Problems = troubles(err)
	}
	object, failed := encode(h)
	if failed == nil && o.report != nil {
		var rest []byte
		rest, failed = encode(o.report)
		object = append(append(object[:len(object)-1], ','), rest[1:]...)
	}
	if failed != nil {
		return failed
	}
	var indented bytes.Buffer
	if failed := json.Indent(&indented, append(object, '\n'), "", "  "); failed != nil {
		return failed
	}
	_, failed = indented.WriteTo(w)
	return failed
}

// encode leaves characters that only HTML has to escape as they are, such as the arrow of what is reached.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// troubles are the problems that an error consists of.
func troubles(err error) (all []trouble) {
	switch e := err.(type) { //nolint:errorlint // each error is looked at alone, joined ones are taken apart
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			all = append(all, troubles(one)...)
		}
		return all
	}
	var p problem.Problem
	if errors.As(err, &p) {
		return []trouble{{err.Error(), p.Field, p.Value, p.Rule, p.WayOut}}
	}
	return []trouble{{Message: err.Error()}}
}
