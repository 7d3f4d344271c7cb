package stacks

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"polynat/internal/problem"
)

// parseBlock reads the block of a setup, nil when it is absent.
func parseBlock(name, text string) (map[string]any, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewBufferString(text))
	// Numbers stay text until their field says what they are: a float would make 1.5 an acceptable integer.
	decoder.UseNumber()
	var block map[string]any
	if err := decoder.Decode(&block); err != nil {
		return nil, problem.Problem{Field: name, Value: fmt.Sprintf("%q", text), Rule: "must be a block of keys", WayOut: "see Pulumi.dev.yaml"}
	}
	if len(block) == 0 {
		return nil, nil
	}
	return block, nil
}

// decode fills target, a pointer to a struct with config tags, from a block. It is strict: it returns every unknown key, wrong type and
// empty value, each with its path, which begins with path. It decodes what it can all the same, an unknown key as the one that it
// resembles, so that what is wrong elsewhere can be said too.
func decode(path string, block map[string]any, target any) refused {
	d := &decoder{}
	d.structure(path, block, reflect.ValueOf(target).Elem())
	return d.refused
}

// refused are what is wrong with keys and types.
type refused struct {
	problem.List
	// undecoded are the fields whose values are not in the target.
	undecoded []string
}

// and adds what is wrong with the values, but for what follows from those that were not decoded.
func (r refused) and(err error) error {
	all := slices.Clone(r.List)
	for _, e := range problem.Leaves(err) {
		var p problem.Problem
		if !errors.As(e, &p) || !slices.ContainsFunc(r.undecoded, func(field string) bool {
			return within(p.Field, field) || within(field, p.Field) && (p.IsMissing() || field[len(p.Field)] == '[')
		}) {
			all = append(all, e)
		}
	}
	return all.Err()
}

// within reports whether a field is another one or below it.
func within(field, other string) bool {
	rest, ok := strings.CutPrefix(field, other)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// allDefaults is the tag of a block that may be empty.
const allDefaults = "defaults"

// decoder decodes the block of a setup. A library such as mapstructure takes keys in any spelling and does not know what an empty value
// means.
type decoder struct {
	refused
	// above are the blocks around the one that is decoded, from the outside, each with its path.
	above []struct {
		path string
		typ  reflect.Type
	}
}

// undecodable adds a problem of a field whose value is lost by it.
func (d *decoder) undecodable(p problem.Problem) {
	d.List = append(d.List, p)
	d.undecoded = append(d.undecoded, p.Field)
}

// empty adds the problem of a key without a value: more likely a mistake than a wish for the default.
func (d *decoder) empty(path, wayOut string, target reflect.Value) {
	d.undecodable(problem.Problem{Field: path, Rule: "is empty", WayOut: cmp.Or(wayOut, "fill it, or leave the key out for its default")})
	if target.Kind() == reflect.Pointer { // the block is there, so that nothing else has to do without it
		target.Set(reflect.New(target.Type().Elem()))
	}
}

// field decodes the value of a key. Its tag empty says what an empty value means: that all is as by default, or, where leaving the key
// out would be an error too, the way out of that.
func (d *decoder) field(path string, value any, field reflect.StructField, target reflect.Value) {
	means := field.Tag.Get("empty")
	switch {
	case !isEmpty(value):
		d.value(path, value, target)
	case means != allDefaults:
		d.empty(path, means, target)
	case value == nil:
		d.empty(path, "fill it, or write {} for the defaults", target)
	default:
		target.Set(reflect.New(field.Type.Elem()))
	}
}

func (d *decoder) value(path string, value any, target reflect.Value) {
	if target.Kind() == reflect.Pointer {
		made := reflect.New(target.Type().Elem())
		target.Set(made)
		target = made.Elem()
	}
	if isEmpty(value) {
		d.empty(path, "", target)
		return
	}
	switch v := value.(type) {
	case map[string]any:
		switch target.Kind() {
		case reflect.Struct:
			d.structure(path, v, target)
			return
		case reflect.Map:
			target.Set(reflect.MakeMap(target.Type()))
			for _, key := range slices.Sorted(maps.Keys(v)) {
				element := reflect.New(target.Type().Elem()).Elem()
				d.value(path+"."+key, v[key], element)
				target.SetMapIndex(reflect.ValueOf(key), element)
			}
			return
		}
	case []any:
		if target.Kind() == reflect.Slice {
			target.Set(reflect.MakeSlice(target.Type(), len(v), len(v)))
			for i, e := range v {
				d.value(fmt.Sprintf("%s[%d]", path, i), e, target.Index(i))
			}
			return
		}
	case string:
		switch target.Kind() {
		case reflect.String:
			target.SetString(v)
			return
		case reflect.Slice: // the one element that it most likely is
			target.Set(reflect.MakeSlice(target.Type(), 1, 1))
			target.Index(0).SetString(v)
		}
	case json.Number:
		if decodeNumber(v, target) {
			return
		}
	case bool:
		if target.Kind() == reflect.Bool {
			target.SetBool(v)
			return
		}
	}
	d.undecodable(problem.Problem{Field: path, Value: shown(value), Rule: "must be " + kindName(target.Kind()), WayOut: "see Pulumi.dev.yaml"})
}

// shown is a value as JSON, in which it arrived.
func shown(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
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

func (d *decoder) structure(path string, block map[string]any, target reflect.Value) {
	d.above = append(d.above, struct {
		path string
		typ  reflect.Type
	}{path, target.Type()})
	defer func() { d.above = d.above[:len(d.above)-1] }()
	known := keysOf(target.Type())
	listed := "" // the key whose problem lists those that are known
	for _, key := range slices.Sorted(maps.Keys(block)) {
		field, as := path+"."+key, key
		if !slices.Contains(known, key) {
			d.List = append(d.List, unknown(field, key, "is not a known key", known, d.elsewhere(path, key, target.Type()), &listed))
			near := problem.Near(key, known)
			if len(near) != 1 || block[near[0]] != nil {
				continue
			}
			as = near[0]
		}
		i := slices.Index(known, as)
		d.field(path+"."+as, block[key], target.Type().Field(i), target.Field(i))
	}
}

// unknown is the problem of a key that is none of those that are known. It asks for one that it resembles, or for one of that name
// elsewhere; else it lists what is known, once: listed is the field that did.
func unknown(field, key, rule string, known, elsewhere []string, listed *string) problem.Problem {
	p := problem.Problem{Field: field, Rule: rule}
	near := problem.Near(key, known)
	switch {
	case len(near) > 0:
		p.WayOut = problem.DidYouMean(near)
	case len(elsewhere) > 0:
		p.WayOut = problem.DidYouMean(elsewhere)
	case *listed == "":
		*listed, p.WayOut = field, "use one of "+strings.Join(known, ", ")
	default:
		p.WayOut = "use one of those that are listed for " + *listed
	}
	return p
}

// keysOf are the keys of a block, in the order of its fields.
func keysOf(block reflect.Type) []string {
	keys := make([]string, block.NumField())
	for i := range keys {
		keys[i] = block.Field(i).Tag.Get("config")
	}
	return keys
}

// elsewhere are the fields of that key in a block above or below: what is indented too far or too little. Too many say nothing.
func (d *decoder) elsewhere(path, key string, block reflect.Type) []string {
	fields := homes(path, key, block)
	for _, b := range d.above {
		if slices.Contains(keysOf(b.typ), key) {
			fields = append(fields, b.path+"."+key)
		}
	}
	if len(fields) > 3 {
		return nil
	}
	return fields
}

func plainType(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// homes are the fields of that key below a block.
func homes(path, key string, block reflect.Type) (fields []string) {
	switch block = plainType(block); block.Kind() {
	case reflect.Map:
		return homes(path+".<key>", key, block.Elem())
	case reflect.Struct:
		for i, k := range keysOf(block) {
			if k == key {
				fields = append(fields, path+"."+k)
			} else {
				fields = append(fields, homes(path+"."+k, key, block.Field(i).Type)...)
			}
		}
	}
	return fields
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
func missing(key, wayOut string) error { return problem.Missing(key, wayOut) }

// under puts path before the field of every problem in err, which a component reports relative to its own block.
func under(path string, err error) error {
	return problem.Map(err, func(p problem.Problem) problem.Problem {
		p.Field = path + "." + p.Field
		return p
	}, func(e error) error { return fmt.Errorf("%s: %w", path, e) })
}
