package aws

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// pattern is an event pattern of EventBridge: a JSON object of fields, each with the list of what it may be.
type pattern map[string]any

// patterns that were parsed, by their text: each is tried on every event.
var patterns sync.Map

// patternOf parses a pattern that [checkPattern] has accepted.
func patternOf(text string) pattern {
	if p, ok := patterns.Load(text); ok {
		return p.(pattern)
	}
	var p pattern
	if json.Unmarshal([]byte(text), &p) != nil {
		p = nil // matches nothing
	}
	patterns.Store(text, p)
	return p
}

// patternLimit is the length of a pattern that EventBridge takes.
const patternLimit = 2048

// checkPattern refuses what is no pattern: each field is an object or a list.
func checkPattern(text string) error {
	var p map[string]any
	err := json.Unmarshal([]byte(text), &p)
	if err == nil {
		err = checkFields(p)
	}
	if err == nil && len(text) > patternLimit {
		err = fmt.Errorf("%d characters, more than %d", len(text), patternLimit)
	}
	if err != nil {
		return refuse("InvalidEventPatternException", "Event pattern is not valid. Reason: %v", err)
	}
	return nil
}

func checkFields(p map[string]any) error {
	for _, name := range sorted(p) {
		switch v := p[name].(type) {
		case map[string]any:
			if err := checkFields(v); err != nil {
				return err
			}
		case []any:
			for _, alternative := range v {
				o, isObject := alternative.(map[string]any)
				switch {
				case name == "$or" && !isObject:
					return fmt.Errorf("%q must be a list of objects", name)
				case name == "$or":
					if err := checkFields(o); err != nil {
						return err
					}
				}
			}
		default:
			return fmt.Errorf("%q must be an object or an array", name)
		}
	}
	return nil
}

// matches reports whether an event, as JSON decodes it, has every field as the pattern says.
func (p pattern) matches(event any) bool {
	fields, ok := event.(map[string]any)
	if !ok || p == nil {
		return false
	}
	for name, want := range p {
		if name == "$or" {
			if !slices.ContainsFunc(want.([]any), func(o any) bool { return pattern(o.(map[string]any)).matches(event) }) {
				return false
			}
			continue
		}
		have, present := fields[name]
		switch want := want.(type) {
		case map[string]any:
			if !pattern(want).matches(have) {
				return false
			}
		case []any:
			values, isList := have.([]any)
			if !isList {
				values = []any{have}
			}
			if !slices.ContainsFunc(want, func(w any) bool {
				return present && slices.ContainsFunc(values, func(v any) bool { return allows(w, v) }) || !present && absent(w)
			}) {
				return false
			}
		}
	}
	return true
}

// absent reports whether a matcher is for a field that is not there.
func absent(want any) bool {
	o, ok := want.(map[string]any)
	exists, isBool := o["exists"].(bool)
	return ok && isBool && !exists
}

// allows holds one value against one matcher.
func allows(want, have any) bool {
	o, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(want, have)
	}
	text, _ := have.(string)
	for kind, arg := range o {
		s, _ := arg.(string)
		switch kind {
		case "prefix":
			return strings.HasPrefix(text, s)
		case "suffix":
			return strings.HasSuffix(text, s)
		case "wildcard":
			return glob(s, text)
		case "equals-ignore-case":
			return strings.EqualFold(text, s)
		case "exists":
			return arg == true
		case "anything-but":
			list, isList := arg.([]any)
			if !isList {
				list = []any{arg}
			}
			return !slices.ContainsFunc(list, func(no any) bool { return allows(no, have) })
		}
	}
	return false
}
