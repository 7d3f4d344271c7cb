package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What a person may be told at night is in the guide, and nothing that nobody is told.
func TestTheGuideSaysWhatToDoAboutEveryAlarmAndAlert(t *testing.T) {
	const guide = "docs/nat-instances-aws.md"
	text := read(t, guide)
	for _, told := range []struct{ head, source, pattern string }{
		{"| alarm | means | do |", read(t, "components/aws/observability/alarms.go"), `key: "([\w-]+)", message:`},
		{"| alert | means | do |", goSource(t, "internal/failover"), `(?:alert\("|": )([a-z ]+)", (?:Text|"|text|fmt)`},
	} {
		var want, got []string
		for _, m := range regexp.MustCompile(told.pattern).FindAllStringSubmatch(told.source, -1) {
			want = append(want, m[1])
		}
		_, rows, found := strings.Cut(text, told.head+"\n")
		rows, _, _ = strings.Cut(rows, "\n\n")
		for _, m := range regexp.MustCompile("(?m)^\\| `?([^|`-][^|`]*?)`? \\|").FindAllStringSubmatch(rows, -1) {
			got = append(got, m[1])
		}
		if !found || len(want) < 8 {
			t.Errorf("%s: %q: is there: %v, and the source names %q", guide, told.head, found, want)
		}
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%s: %q: says nothing of %q", guide, told.head, w)
			}
		}
		for _, g := range got {
			if !slices.Contains(want, g) {
				t.Errorf("%s: %q: nobody is told %q", guide, told.head, g)
			}
		}
	}
}
