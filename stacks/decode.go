package stacks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/migration"
)

// readBlock reads the block of a setup, nil when it is absent.
func readBlock(ctx *pulumi.Context, name string) (map[string]any, error) {
	text, ok := ctx.GetConfig(Namespace + ":" + name)
	if !ok || strings.TrimSpace(text) == "" {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewBufferString(text))
	// Numbers stay text until their field says what they are: a float would make 1.5 an acceptable integer.
	decoder.UseNumber()
	var block map[string]any
	if err := decoder.Decode(&block); err != nil {
		return nil, migration.Problem{Field: name, Value: fmt.Sprintf("%q", text), Rule: "must be a block of keys", WayOut: "see Pulumi.dev.yaml"}
	}
	if len(block) == 0 {
		return nil, nil
	}
	return block, nil
}

// decode fills target from a block, strictly: it returns every unknown key, wrong type and empty list, each with its path.
func decode(path string, block map[string]any, target any) error {
	var metadata mapstructure.Metadata
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: target, Metadata: &metadata, TagName: "config", MatchName: func(key, field string) bool { return key == field },
	})
	if err != nil {
		return err
	}
	var problems []error
	for _, e := range leaves(decoder.Decode(block)) {
		var wrong *mapstructure.DecodeError
		if errors.As(e, &wrong) {
			problems = append(problems, wrongType(path, wrong))
		} else {
			problems = append(problems, fmt.Errorf("%s: %w", path, e))
		}
	}
	slices.Sort(metadata.Unused)
	for _, key := range metadata.Unused {
		parent, last := split(dotted(key))
		known := strings.Join(keysOf(reflect.TypeOf(target).Elem(), parent), ", ")
		problems = append(problems, migration.Problem{Field: join(path, dotted(key)), Rule: fmt.Sprintf("%q is not a known key", last), WayOut: "use one of " + known})
	}
	problems = append(problems, empties(path, block)...)
	return errors.Join(problems...)
}

func wrongType(path string, e *mapstructure.DecodeError) error {
	field, rule := join(path, dotted(e.Name())), e.Unwrap().Error()
	var unconvertible *mapstructure.UnconvertibleTypeError
	var parse *mapstructure.ParseError
	value := ""
	switch {
	case errors.As(e, &unconvertible):
		rule, value = "must be "+kindName(unconvertible.Expected.Type()), fmt.Sprintf("%#v", unconvertible.Value)
	case errors.As(e, &parse):
		rule, value = "must be "+kindName(parse.Expected.Type()), fmt.Sprintf("%v", parse.Value)
	}
	return migration.Problem{Field: field, Value: value, Rule: rule, WayOut: "see Pulumi.dev.yaml"}
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Pointer:
		return kindName(t.Elem())
	}
	return "a block of keys"
}

// empties finds lists and blocks that are there but hold nothing: more likely a mistake than a wish for the default.
func empties(path string, value any) []error {
	var problems []error
	empty := func() {
		problems = append(problems, migration.Problem{Field: path, Rule: "is empty", WayOut: "fill it, or leave the key out for its default"})
	}
	switch v := value.(type) {
	case nil:
		empty()
	case []any:
		if len(v) == 0 {
			empty()
		}
		for i, e := range v {
			problems = append(problems, empties(fmt.Sprintf("%s.%d", path, i), e)...)
		}
	case map[string]any:
		if len(v) == 0 {
			empty()
		}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			problems = append(problems, empties(path+"."+k, v[k])...)
		}
	}
	return problems
}

// missing is the problem of a key that must be set.
func missing(key, wayOut string) error {
	return migration.Problem{Field: key, Rule: "is missing", WayOut: wayOut}
}

// leaves flattens joined errors.
func leaves(err error) []error {
	if err == nil {
		return nil
	}
	var wrong *mapstructure.DecodeError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, leaves(e)...)
		}
		return all
	}
	if !errors.As(err, &wrong) {
		if inner := errors.Unwrap(err); inner != nil {
			return leaves(inner)
		}
	}
	return []error{err}
}

// dotted turns "a.b[c].d" into "a.b.c.d".
func dotted(name string) string { return strings.NewReplacer("[", ".", "]", "").Replace(name) }

func split(path string) (parent, last string) {
	i := strings.LastIndex(path, ".")
	return path[:max(i, 0)], path[i+1:]
}

func join(path, rest string) string {
	if rest == "" {
		return path
	}
	return path + "." + rest
}

// keysOf lists the keys of the struct at path below t; a segment below a map or list is any.
func keysOf(t reflect.Type, path string) []string {
	segments := strings.Split(path, ".")
	if path == "" {
		segments = nil
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(segments) > 0 {
		rest := strings.Join(segments[1:], ".")
		switch t.Kind() {
		case reflect.Map, reflect.Slice:
			return keysOf(t.Elem(), rest)
		case reflect.Struct:
			for f := range t.NumField() {
				if t.Field(f).Tag.Get("config") == segments[0] {
					return keysOf(t.Field(f).Type, rest)
				}
			}
		}
		return nil
	}
	var keys []string
	if t.Kind() == reflect.Struct {
		for f := range t.NumField() {
			keys = append(keys, t.Field(f).Tag.Get("config"))
		}
	}
	return keys
}

// under puts path before the field of every problem in err, which a component reports relative to its own block.
func under(path string, err error) error {
	var refusal *migration.Refusal
	if errors.As(err, &refusal) {
		moved := &migration.Refusal{Stage: refusal.Stage}
		for _, p := range refusal.Problems {
			p.Field = path + "." + p.Field
			moved.Problems = append(moved.Problems, p)
		}
		return moved
	}
	var problems []error
	for _, e := range leaves(err) {
		var p migration.Problem
		if errors.As(e, &p) {
			p.Field = path + "." + p.Field
			problems = append(problems, p)
		} else {
			problems = append(problems, fmt.Errorf("%s: %w", path, e))
		}
	}
	return errors.Join(problems...)
}
