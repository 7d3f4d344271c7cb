package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const comparison = "docs/comparison.md"

// A verdict on polynat is the last cell of a row: yes with the test that shows it, or partly or no with the reason.
var (
	shown  = regexp.MustCompile(`\[[^\]]+\]\(([^)\s"]+) "(Test\w+)"\)`)
	yes    = regexp.MustCompile(`^\[yes\]\(\S+ "Test\w+"\)`)
	reason = regexp.MustCompile(`^(no|partly): \S+ \S+`)
)

// lies are what is wrong with the tables of a comparison and the tests that it names. Only tables whose last column is headed
// polynat are read for verdicts; the names of tests, everywhere. source returns the text of a file beside the document.
func lies(text string, source func(string) (string, error)) (wrong []string, rows int) {
	columns := 0
	for i, line := range strings.Split(text, "\n") {
		say := func(format string, values ...any) {
			wrong = append(wrong, fmt.Sprintf("line %d: ", i+1)+fmt.Sprintf(format, values...))
		}
		for _, m := range shown.FindAllStringSubmatch(line, -1) {
			switch test, err := source(m[1]); {
			case err != nil:
				say("%s: no such file", m[1])
			case !strings.HasSuffix(m[1], "_test.go") || !strings.Contains(test, "\nfunc "+m[2]+"(t *testing.T) {"):
				say("%s holds no test %s", m[1], m[2])
			}
		}
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		last := strings.TrimSpace(cells[len(cells)-1])
		switch {
		case columns == 0 && last == "polynat":
			columns = len(cells)
		case columns == 0:
			columns = -1 // a table of something else
		case columns < 0 || strings.Trim(line, "|-") == "":
		case len(cells) != columns:
			say("%d cells, the table has %d columns", len(cells), columns)
		default:
			rows++
			if !yes.MatchString(last) && !reason.MatchString(last) {
				say("%q is neither a yes with its test nor a no or partly with its reason", last)
			}
		}
	}
	return wrong, rows
}

func TestEveryYesOfTheComparisonIsShownByATest(t *testing.T) {
	text := read(t, comparison)
	wrong, rows := lies(text, func(name string) (string, error) {
		data, err := os.ReadFile(filepath.Join(root, filepath.Dir(comparison), name))
		return string(data), err
	})
	for _, w := range wrong {
		t.Errorf("%s: %s", comparison, w)
	}
	// 49 inputs of alterNAT and 25 capabilities: fewer is a comparison that has lost some.
	if rows < 49+25 {
		t.Errorf("%s: compares polynat in %d rows", comparison, rows)
	}
	numbered := regexp.MustCompile(`(?m)^\| (\d+) \| .*$`).FindAllStringSubmatch(text, -1)
	for i, m := range numbered {
		if m[1] != fmt.Sprint(i+1) {
			t.Errorf("%s: input %s is where %d should be", comparison, m[1], i+1)
		}
	}
	if len(numbered) != 49 {
		t.Errorf("%s: compares %d inputs, alterNAT has 49", comparison, len(numbered))
	}
	for i := range 17 {
		if weakness := fmt.Sprintf("| W%d |", i+1); strings.Count(text, weakness) != 1 {
			t.Errorf("%s: %s is not there once", comparison, weakness)
		}
	}
}

func TestAComparisonThatClaimsWhatNoTestShowsIsFound(t *testing.T) {
	source := func(name string) (string, error) {
		if name != "../a_test.go" && name != "../a.go" {
			return "", os.ErrNotExist
		}
		return "package a\n\nfunc TestOne(t *testing.T) {\n}\n", nil
	}
	const head = "| what | others | polynat |\n|---|---|---|\n"
	for row, want := range map[string]string{
		`| a | yes | [yes](../a_test.go "TestOne") with a remark |`:       "",
		`| a | yes | no: nobody has asked |`:                              "",
		`| a | yes | partly: only half, [seen](../a_test.go "TestOne") |`: "",
		`| a | yes | yes |`:                           "is neither a yes with its test",
		`| a | yes | [yes](../a_test.go) |`:           "is neither a yes with its test",
		`| a | yes | no |`:                            "is neither a yes with its test",
		`| a | yes | |`:                               "is neither a yes with its test",
		`| a | yes |`:                                 "2 cells, the table has 3 columns",
		`| a | yes | [yes](../b_test.go "TestOne") |`: "../b_test.go: no such file",
		`| a | yes | [yes](../a_test.go "TestTwo") |`: "../a_test.go holds no test TestTwo",
		`| a | yes | [yes](../a.go "TestOne") |`:      "../a.go holds no test TestOne",
		`| a | yes | partly: only half, [shown](../a_test.go "TestTen") |`: "../a_test.go holds no test TestTen",
	} {
		wrong, rows := lies(head+row, source)
		if want == "" && (len(wrong) > 0 || rows != 1) || want != "" && !strings.Contains(strings.Join(wrong, "\n"), want) {
			t.Errorf("%s\nfound %q in %d rows, want %q", row, wrong, rows, want)
		}
	}
	if wrong, _ := lies("See [the test](../a_test.go \"TestNone\").", source); len(wrong) != 1 {
		t.Errorf("a test that is named outside of a table: %q", wrong)
	}
}
