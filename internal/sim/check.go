package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// failure is one reason why inputs are refused. The reason begins with the offending value; the property's path stands
// before it wherever it is shown.
type failure struct {
	property string
	reason   string
}

// checkResource returns the inputs that the resource will have (defaults and the automatic name filled in, absent
// properties dropped) and every reason to refuse them. olds are the inputs of the last deployment, nil at the first one.
func checkResource(schema *Schema, token string, r *Resource, urn string, olds, news Object) (Object, []failure) {
	inputs := properties(news)
	failures := checkProperties(schema, token, r.Inputs, inputs)
	if len(failures) > 0 {
		return inputs, failures
	}
	schema.complete(r.Inputs, olds, inputs)
	if name, ok := automaticName(r, urn, olds, inputs); ok {
		inputs[r.Autoname] = name
		inputs[defaultsKey] = encode(slices.Sorted(slices.Values(append(defaults(inputs), r.Autoname))))
	}
	return inputs, nil
}

// complete fills in the defaults of absent properties, at any depth, and lists in each object those that it has filled in. A
// default that was filled in at the last deployment is kept, as bridged providers keep it.
func (s *Schema) complete(facts map[string]Property, olds, inputs Object) {
	for name, v := range inputs {
		s.completeValue(facts[name].Type, olds[name], v)
	}
	filled := fillDefaults(facts, inputs)
	for _, name := range filled {
		if was, ok := olds[name]; ok && filledIn(olds, name) {
			inputs[name] = clone(was)
		}
	}
	slices.Sort(filled)
	inputs[defaultsKey] = encode(filled)
}

func (s *Schema) completeValue(typ string, was, v any) {
	kind, of, _ := strings.Cut(typ, ":")
	switch v := v.(type) {
	case Object:
		was, _ := was.(Object)
		if facts, known := s.Types[of]; known && kind == "object" {
			s.complete(facts, was, v)
		} else if kind == "map" {
			for key, e := range v {
				s.completeValue(of, was[key], e)
			}
		}
	case []any:
		was, _ := was.([]any)
		for i, e := range v {
			var old any
			if i < len(was) {
				old = was[i]
			}
			s.completeValue(of, old, e)
		}
	}
}

// fillDefaults adds the defaults of absent properties to inputs and returns their names.
func fillDefaults(facts map[string]Property, inputs Object) []string {
	var filled []string
	for name, p := range facts {
		if _, set := inputs[name]; !set && p.Default != nil {
			inputs[name] = clone(p.Default)
			filled = append(filled, name)
		}
	}
	return filled
}

// automaticName returns the name that the provider makes up, and whether it makes one up.
//
// A name once made up is kept. The new name is the logical name, a dash and seven hexadecimal digits, as bridged
// providers make it; the digits come from the URN here, so that two runs give the same names.
func automaticName(r *Resource, urn string, olds, inputs Object) (string, bool) {
	if r.Autoname == "" {
		return "", false
	}
	for _, name := range append([]string{r.Autoname}, r.AutonameSkippedIfSet...) {
		if _, set := inputs[name]; set {
			return "", false
		}
	}
	if old, ok := olds[r.Autoname].(string); ok && filledIn(olds, r.Autoname) {
		return old, true
	}
	sum := sha256.Sum256([]byte(urn))
	return nameOf(urn) + "-" + hex.EncodeToString(sum[:])[:7], true
}

// nameOf returns the logical name in a URN: what follows the last "::".
func nameOf(urn string) string {
	if i := strings.LastIndex(urn, "::"); i >= 0 {
		return urn[i+2:]
	}
	return urn
}

// checkProperties holds a property bag against the facts about its properties. where is the type that it belongs to.
func checkProperties(schema *Schema, where string, facts map[string]Property, inputs Object) []failure {
	var failures []failure
	fail := func(property, format string, args ...any) {
		failures = append(failures, failure{property, fmt.Sprintf(format, args...)})
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		p, known := facts[name]
		if !known {
			fail(name, "%s: not a property of %s (known: %s)",
				show(inputs[name]), where, strings.Join(slices.Sorted(maps.Keys(facts)), ", "))
			continue
		}
		for _, f := range checkValue(schema, name, p.Type, p.Enum, inputs[name]) {
			fail(f.property, "%s", f.reason)
		}
		if s, ok := inputs[name].(string); ok && len(p.Length) == 2 && (len(s) < p.Length[0] || len(s) > p.Length[1]) {
			fail(name, "expected length of %s to be in the range (%d - %d), got %s", name, p.Length[0], p.Length[1], s)
		}
		for _, other := range p.Conflicts {
			// Conflicts are often listed on both sides; one message per pair is enough.
			_, set := inputs[other]
			if set && (name < other || !slices.Contains(facts[other].Conflicts, name)) {
				fail(name, "%s: conflicts with %s (leave one of them out)", show(inputs[name]), other)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		if _, set := inputs[name]; !set && facts[name].Required {
			fail(name, "missing: %s requires it (set it)", where)
		}
	}
	return failures
}

// checkValue holds one value against a type of [Property.Type] and an enumeration.
func checkValue(schema *Schema, path, typ string, enum []string, v any) []failure {
	if _, unknown := v.(Unknown); unknown {
		return nil
	}
	if want, ok := checkKind(typ, v); !ok {
		return []failure{{path, fmt.Sprintf("%s: not %s (the property is of type %s)", show(v), want, typ)}}
	}
	_, of, _ := strings.Cut(typ, ":")
	var failures []failure
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			failures = append(failures, checkValue(schema, fmt.Sprintf("%s[%d]", path, i), of, enum, e)...)
		}
	case Object:
		if strings.HasPrefix(typ, "map") {
			for _, key := range slices.Sorted(maps.Keys(v)) {
				failures = append(failures, checkValue(schema, path+"."+key, of, enum, v[key])...)
			}
		} else if facts, known := schema.Types[of]; known {
			for _, f := range checkProperties(schema, of, facts, v) {
				failures = append(failures, failure{path + "." + f.property, f.reason})
			}
		}
	default:
		if len(enum) > 0 && !slices.Contains(enum, fmt.Sprint(v)) {
			failures = append(failures, failure{path, fmt.Sprintf("%s: not one of the documented values (%s)",
				show(v), strings.Join(enum, ", "))})
		}
	}
	return failures
}

// checkKind reports whether a value is of the outermost kind of a type, and what that kind is called.
func checkKind(typ string, v any) (want string, ok bool) {
	kind, _, _ := strings.Cut(typ, ":")
	switch kind {
	case "string":
		_, ok = v.(string)
		return "a string", ok
	case "bool":
		_, ok = v.(bool)
		return "a bool", ok
	case "float":
		_, ok = v.(float64)
		return "a number", ok
	case "int":
		n, isNumber := v.(float64)
		return "a whole number", isNumber && n == math.Trunc(n)
	case "list":
		_, ok = v.([]any)
		return "a list", ok
	case "map":
		_, ok = v.(Object)
		return "a map", ok
	case "object":
		_, ok = v.(Object)
		return "an object", ok
	default:
		return "", true
	}
}

// show renders a value for a message.
func show(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprint(v)
}

// typeOf returns the type token in a URN "urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>".
func typeOf(urn string) string {
	parts := strings.SplitN(urn, "::", 4)
	if len(parts) < 4 {
		return ""
	}
	return parts[2][strings.LastIndex(parts[2], "$")+1:]
}
