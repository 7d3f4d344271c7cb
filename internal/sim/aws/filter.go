package aws

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// matches holds an object against filters: each must match, by any of its values. field returns the object's values of a
// filter that is not about tags; ok is false for a name that the call does not know.
func matches(filters []Filter, tags Tags, field func(name string) (values []string, ok bool)) (bool, error) {
	for _, f := range filters {
		var have []string
		switch key, isTag := strings.CutPrefix(f.Name, "tag:"); {
		case isTag:
			if v, ok := tags[key]; ok {
				have = []string{v}
			}
		case f.Name == "tag-key":
			have = sorted(tags)
		default:
			var known bool
			if have, known = field(f.Name); !known {
				return false, refuse("InvalidParameterValue", "The filter '%s' is invalid", f.Name)
			}
		}
		if !slices.ContainsFunc(have, func(v string) bool { return slices.ContainsFunc(f.Values, func(w string) bool { return glob(w, v) }) }) {
			return false, nil
		}
	}
	return true, nil
}

// glob matches a value of a filter, in which * and ? stand for others.
func glob(pattern, value string) bool {
	if !strings.ContainsAny(pattern, "*?") {
		return pattern == value
	}
	// Of path.Match, whose * stops at a slash, only * and ? are meant.
	clean := strings.NewReplacer("/", "\x00", "[", "\\[", "]", "\\]").Replace
	ok, err := path.Match(clean(pattern), strings.ReplaceAll(value, "/", "\x00"))
	return ok && err == nil
}

func truth(b bool) string { return strconv.FormatBool(b) }

// oneOf is a field that has one value, or none.
func oneOf(fields map[string]string, name string) ([]string, bool) {
	v, ok := fields[name]
	return []string{v}, ok
}
