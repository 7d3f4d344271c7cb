package repo_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// lintVariable names the golangci-lint binary to use. .ci/run builds the
// pinned one and sets it.
const lintVariable = "POLYNAT_GOLANGCI_LINT"

func TestTheLinterRefusesWhatBreaksTheArchitecture(t *testing.T) {
	linter := os.Getenv(lintVariable)
	if linter == "" {
		t.Skipf("needs the golangci-lint of the version in tools/go.mod: build it and name it in %s, as .ci/run does", lintVariable)
	}

	dir := t.TempDir()
	write(t, filepath.Join(dir, ".golangci.yml"), read(t, ".golangci.yml"))
	planted, err := txtar.ParseFile(filepath.Join("testdata", "planted.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, f := range planted.Files {
		write(t, filepath.Join(dir, f.Name), f.Data)
		want = append(want, wanted(f)...)
	}
	slices.Sort(want)

	if diff := cmp.Diff(want, lint(t, linter, dir)); diff != "" {
		t.Errorf("refused lines of testdata/planted.txtar (-want +got):\n%s", diff)
	}
}

// wanted returns what the comments of f ask for, as "file:line linter".
func wanted(f txtar.File) []string {
	var want []string
	for i, line := range strings.Split(string(f.Data), "\n") {
		_, linters, _ := strings.Cut(line, "// want ")
		for _, linter := range strings.Fields(linters) {
			want = append(want, fmt.Sprintf("%s:%d %s", f.Name, i+1, linter))
		}
	}
	return want
}

// lint runs the linter over the module in dir and returns what it refuses,
// sorted, as "file:line linter".
func lint(t *testing.T, linter, dir string) []string {
	t.Helper()
	cmd := exec.Command(linter, "run", "--enable-only=depguard,forbidigo", "--output.json.path=stdout",
		"--show-stats=false", "--max-same-issues=0", "--max-issues-per-linter=0", "--uniq-by-line=false", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOLANGCI_LINT_CACHE="+t.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output() // fails whenever there is an issue

	var report struct {
		Issues []struct {
			FromLinter string
			Text       string
			Pos        struct {
				Filename string
				Line     int
			}
		}
	}
	if jsonErr := json.Unmarshal(stdout, &report); jsonErr != nil {
		t.Fatalf("read the report of %s: %v (exit: %v)\n%s%s", linter, jsonErr, err, stdout, stderr.String())
	}
	var got []string
	for _, issue := range report.Issues {
		if issue.FromLinter == "typecheck" {
			t.Fatalf("%s:%d: the planted module does not compile: %s", issue.Pos.Filename, issue.Pos.Line, issue.Text)
		}
		got = append(got, fmt.Sprintf("%s:%d %s", issue.Pos.Filename, issue.Pos.Line, issue.FromLinter))
	}
	slices.Sort(got)
	return got
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
