package sim

import "reflect"

// What follows reads property bags that the [Server] has checked, so a value of the wrong type is as good as absent.

// Text returns the first of the named properties that is a string and not empty, else "".
func Text(o Object, names ...string) string {
	for _, name := range names {
		if s, ok := o[name].(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// Truth returns a bool, false when it is absent.
func Truth(o Object, name string) bool {
	b, _ := o[name].(bool)
	return b
}

// Number returns a whole number, 0 when it is absent.
func Number(o Object, name string) int {
	n, _ := o[name].(float64)
	return int(n)
}

// Texts returns the strings of a list, nil when it is absent.
func Texts(o Object, name string) []string {
	l, _ := o[name].([]any)
	var out []string
	for _, v := range l {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Values turns a list into one of a property bag.
func Values[T any](l []T) []any {
	out := make([]any, len(l))
	for i, v := range l {
		out[i] = v
	}
	return out
}

// IsZero reports whether a value says nothing: absent, the zero value of its type, or an empty list or map.
func IsZero(v any) bool {
	rv := reflect.ValueOf(v)
	return !rv.IsValid() || rv.IsZero() || (rv.Kind() == reflect.Slice || rv.Kind() == reflect.Map) && rv.Len() == 0
}

// Declared returns, for [Cloud.Read], the inputs of an object as it is now. For an object that a program has made
// (known) they are those that the program gave, brought up to date; for any other they are all that a program could
// have given.
func (r *Resource) Declared(given Object, known bool, outputs Object) Object {
	inputs := Object{}
	for name, p := range r.Inputs {
		was, isGiven := given[name]
		now, isShown := outputs[name]
		switch {
		case known && !isGiven:
		case isShown && known:
			inputs[name] = declaredIn(was, now)
		case isShown && !IsZero(now):
			inputs[name] = now
		case known:
			inputs[name] = was
		case p.Default != nil:
			inputs[name] = p.Default
		}
	}
	return inputs
}

// declaredIn leaves out of an object that a program gave what only the cloud says of it, at any depth.
func declaredIn(given, now any) any {
	switch given := given.(type) {
	case map[string]any:
		shown, ok := now.(map[string]any)
		if !ok {
			return now
		}
		kept := map[string]any{}
		for name, value := range shown {
			if was, ok := given[name]; ok {
				kept[name] = declaredIn(was, value)
			}
		}
		return kept
	case []any:
		shown, ok := now.([]any)
		if !ok || len(shown) != len(given) {
			return now
		}
		kept := make([]any, len(shown))
		for i := range shown {
			kept[i] = declaredIn(given[i], shown[i])
		}
		return kept
	}
	return now
}
