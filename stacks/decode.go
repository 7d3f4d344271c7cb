package stacks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/migration"
)

// readBlock reads the block of a setup, nil when it is absent.
func readBlock(ctx *pulumi.Context, name string) (map[string]any, error) {
	text, _ := ctx.GetConfig(Namespace + ":" + name)
	return parseBlock(name, text)
}

func parseBlock(name, text string) (map[string]any, error) {
	if strings.TrimSpace(text) == "" {
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

// decode fills target, a pointer to a struct with config tags, from a block. It is strict: it returns every unknown key,
// wrong type and empty value, each with its path, which begins with path.
func decode(path string, block map[string]any, target any) error {
	return errors.Join(decodeInto(path, block, reflect.ValueOf(target).Elem())...)
}

// allDefaults is the tag of a block that may be empty.
const allDefaults = "defaults"

// empty is the problem of a key without a value: more likely a mistake than a wish for the default.
func empty(path, wayOut string) error {
	if wayOut == "" {
		wayOut = "fill it, or leave the key out for its default"
	}
	return migration.Problem{Field: path, Rule: "is empty", WayOut: wayOut}
}

// decodeField decodes the value of a key. Its tag empty says what an empty value means: that all is as by default, or, where leaving
// the key out would be an error too, the way out of that.
func decodeField(path string, value any, field reflect.StructField, target reflect.Value) []error {
	means := field.Tag.Get("empty")
	switch {
	case !isEmpty(value):
		return decodeInto(path, value, target)
	case means != allDefaults:
		return []error{empty(path, means)}
	case value == nil:
		return []error{empty(path, "fill it, or write {} for the defaults")}
	}
	target.Set(reflect.New(field.Type.Elem()))
	return nil
}

// decodeInto decodes one value. A library such as mapstructure stops at the first wrong type of a block, leaves unknown keys
// beside it unsaid and takes keys in any spelling; here every problem has to be said at once.
func decodeInto(path string, value any, target reflect.Value) []error {
	if target.Kind() == reflect.Pointer {
		made := reflect.New(target.Type().Elem())
		target.Set(made)
		return decodeInto(path, value, made.Elem())
	}
	if isEmpty(value) {
		return []error{empty(path, "")}
	}
	var problems []error
	switch v := value.(type) {
	case map[string]any:
		switch target.Kind() {
		case reflect.Struct:
			return decodeStruct(path, v, target)
		case reflect.Map:
			target.Set(reflect.MakeMap(target.Type()))
			for _, key := range slices.Sorted(maps.Keys(v)) {
				element := reflect.New(target.Type().Elem()).Elem()
				problems = append(problems, decodeInto(path+"."+key, v[key], element)...)
				target.SetMapIndex(reflect.ValueOf(key), element)
			}
			return problems
		}
	case []any:
		if target.Kind() == reflect.Slice {
			target.Set(reflect.MakeSlice(target.Type(), len(v), len(v)))
			for i, e := range v {
				problems = append(problems, decodeInto(fmt.Sprintf("%s.%d", path, i), e, target.Index(i))...)
			}
			return problems
		}
	case string:
		if target.Kind() == reflect.String {
			target.SetString(v)
			return nil
		}
	case json.Number:
		if decodeNumber(v, target) {
			return nil
		}
	case bool:
		if target.Kind() == reflect.Bool {
			target.SetBool(v)
			return nil
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		return []error{fmt.Errorf("%s: %w", path, err)}
	}
	return []error{migration.Problem{Field: path, Value: string(text), Rule: "must be " + kindName(target.Kind()), WayOut: "see Pulumi.dev.yaml"}}
}

// decodeNumber decodes a number, into a text too: a port need not be quoted.
func decodeNumber(v json.Number, target reflect.Value) bool {
	switch target.Kind() {
	case reflect.String:
		target.SetString(v.String())
		return true
	case reflect.Int:
		n, err := strconv.Atoi(v.String())
		target.SetInt(int64(n))
		return err == nil
	case reflect.Float64:
		n, err := v.Float64()
		target.SetFloat(n)
		return err == nil
	}
	return false
}

func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func decodeStruct(path string, block map[string]any, target reflect.Value) []error {
	fields, known := map[string]int{}, make([]string, target.NumField())
	for i := range known {
		known[i] = target.Type().Field(i).Tag.Get("config")
		fields[known[i]] = i
	}
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(block)) {
		if i, ok := fields[key]; ok {
			problems = append(problems, decodeField(path+"."+key, block[key], target.Type().Field(i), target.Field(i))...)
		} else {
			problems = append(problems, migration.Problem{Field: path + "." + key, Rule: "is not a known key", WayOut: "use one of " + strings.Join(known, ", ")})
		}
	}
	return problems
}

func kindName(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "a text"
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	}
	return "a block of keys"
}

// missing is the problem of a key that must be set.
func missing(key, wayOut string) error {
	return migration.Problem{Field: key, Rule: "is missing", WayOut: wayOut}
}

// leaves flattens joined errors.
func leaves(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, leaves(e)...)
	}
	return all
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
