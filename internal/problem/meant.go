package problem

import (
	"maps"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// Meant is the way out of a value that is none of those that are known: the one that it resembles, or else what otherwise says.
func Meant[T ~string](value T, otherwise string, known ...T) string {
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	if near := Near(string(value), names); len(near) > 0 {
		return DidYouMean(near)
	}
	return otherwise
}

// MeantKey is the way out of a reference to something that is not there, by the keys of what is.
func MeantKey[V any](key string, there map[string]V) string {
	known := slices.Sorted(maps.Keys(there))
	if len(known) == 0 {
		return "add it there"
	}
	return Meant(key, "use one of "+strings.Join(known, ", "), known...)
}

// DidYouMean asks for one of a few.
func DidYouMean(near []string) string { return "did you mean " + Or(near) + "?" }

// Or lists alternatives as a sentence does.
func Or(names []string) string {
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " or " + names[last]
	}
	return strings.Join(names, "")
}

// Near are the known names that resemble name most: as many as are equally close, but none when that is half of a short name or more, or
// when they are more than three, which help nobody.
func Near(name string, known []string) (near []string) {
	least := slips(name) + 1
	for _, k := range known {
		d := distance(name, k)
		if d < least {
			least, near = d, nil
		}
		if d == least && d <= slips(name) {
			near = append(near, k)
		}
	}
	if len(near) > 3 {
		return nil
	}
	return near
}

// slips is how many letters may be wrong in a name of that length.
func slips(name string) int {
	switch n := len(name); {
	case n < 3:
		return 0
	case n < 5:
		return 1
	case n < 9:
		return 2
	}
	return 3
}

// distance counts the letters that differ. Case does not count. Letters that changed places are one slip, and so is the beginning of a
// longer name.
func distance(name, known string) int {
	name, known = strings.ToLower(name), strings.ToLower(known)
	d := levenshtein.Distance(name, known, nil)
	if d > 1 && len(name) > 2 && (letters(name) == letters(known) || strings.HasPrefix(known, name)) {
		return 1
	}
	return d
}

func letters(name string) string {
	sorted := []byte(name)
	slices.Sort(sorted)
	return string(sorted)
}
