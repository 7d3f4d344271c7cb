// Package repo_test keeps the repository honest: what its documents promise
// exists, and what belongs to one machine only stays out.
package repo_test

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the directory of go.mod, as seen from this package.
const root = "../.."

func TestTheReadmeNamesTheCommandsThatAStrangerRuns(t *testing.T) {
	readme := string(read(t, "README.md"))
	for _, command := range []string{"go test ./...", "go run ./cmd/polynat rehearse"} {
		if !slices.ContainsFunc(strings.Split(readme, "\n"), func(line string) bool {
			return strings.HasPrefix(strings.TrimPrefix(strings.TrimSpace(line), "$ "), command)
		}) {
			t.Errorf("README.md: no line starts with %q", command)
		}
	}
}

func TestNoFileNamesAMachineOrARegistry(t *testing.T) {
	// Written in two parts so that this file does not name them either.
	words := []string{
		"proxy" + ".golang.org", "sum" + ".golang.org", "registry" + ".npmjs.org", "deb" + ".debian.org",
		"pypi" + ".org", "/home" + "/", "/root" + "/", "/work" + "/", "/Users" + "/", "/tmp" + "/bash",
		"TO" + "DO", "FIX" + "ME",
	}
	for _, name := range files(t) {
		text := read(t, name)
		if bytes.IndexByte(text, 0) >= 0 {
			continue
		}
		for i, line := range strings.Split(string(text), "\n") {
			for _, word := range words {
				if strings.Contains(line, word) {
					t.Errorf("%s:%d: %q does not belong in the repository", name, i+1, word)
				}
			}
		}
	}
}

func TestTheLicenseIsApache2(t *testing.T) {
	license := string(read(t, "LICENSE"))
	for _, part := range []string{"Apache License", "Version 2.0, January 2004", "END OF TERMS AND CONDITIONS"} {
		if !strings.Contains(license, part) {
			t.Errorf("LICENSE: %q is missing", part)
		}
	}
}

func TestTheChangelogHasAPlaceForWhatComesNext(t *testing.T) {
	if !slices.Contains(headings(string(read(t, "CHANGELOG.md"))), "[Unreleased]") {
		t.Error("CHANGELOG.md: no section [Unreleased]")
	}
}

func TestEveryDecisionHasFourPartsAndIsIndexed(t *testing.T) {
	const dir = "docs/decisions"
	index := string(read(t, dir+"/README.md"))
	decisions, err := fs.Glob(os.DirFS(root), dir+"/[0-9]*.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(decisions) == 0 {
		t.Fatalf("%s: no decision", dir)
	}
	for i, name := range decisions {
		if want := fmt.Sprintf("%04d", i+1); !strings.HasPrefix(path.Base(name), want+"-") {
			t.Errorf("%s: the next free number is %s", name, want)
		}
		if !strings.Contains(index, "]("+path.Base(name)+")") {
			t.Errorf("%s/README.md: no link to %s", dir, path.Base(name))
		}
		got := headings(string(read(t, name)))
		want := []string{"Status", "Context", "Decision", "Consequences"}
		if len(got) == 0 || !slices.Equal(got[1:], want) {
			t.Errorf("%s: headings are %q, want a title, then %q", name, got, want)
		}
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	commented := map[string]bool{} // by directory
	for _, name := range files(t) {
		dir := path.Dir(name)
		if path.Ext(name) != ".go" || strings.Contains(name, "testdata/") || strings.HasPrefix(name, "sdks/") {
			continue // an SDK is generated
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, read(t, name), parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Errorf("parse %s: %v", name, err)
			continue
		}
		commented[dir] = commented[dir] || f.Doc.Text() != ""
	}
	if len(commented) == 0 {
		t.Fatal("no package found")
	}
	for dir, ok := range commented {
		if !ok {
			t.Errorf("%s: no file has a package comment", dir)
		}
	}
}

func TestEveryLinkBetweenFilesResolves(t *testing.T) {
	for _, name := range files(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, link := range links(string(read(t, name))) {
			file, anchor, _ := strings.Cut(link, "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: link to %s: no such file", name, link)
				continue
			}
			if anchor != "" && path.Ext(target) == ".md" && !slices.Contains(anchors(string(read(t, target))), anchor) {
				t.Errorf("%s: link to %s: no such heading", name, link)
			}
		}
	}
}

func TestThePinnedCLIIsTheEmbeddedEngine(t *testing.T) {
	engine := regexp.MustCompile(`(?m)^\s*github\.com/pulumi/pulumi/pkg/v3 (\S+)`)
	embedded := engine.FindStringSubmatch(string(read(t, "go.mod")))
	cli := engine.FindStringSubmatch(string(read(t, "tools/go.mod")))
	if embedded == nil || cli == nil {
		t.Fatal("go.mod and tools/go.mod: both have to require github.com/pulumi/pulumi/pkg/v3")
	}
	if embedded[1] != cli[1] {
		t.Errorf("tools/go.mod: pulumi %s: go.mod embeds %s (the tests compare the two)", cli[1], embedded[1])
	}
}

// read returns the content of a file, named from the root.
func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// files lists what belongs to the repository, named from the root: everything
// but what .gitignore keeps out of it.
func files(t *testing.T) []string {
	t.Helper()
	ignored := []string{".git", ".polynat", "bin", "polynat"}
	var names []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case slices.Contains(ignored, name) && d.IsDir():
			return fs.SkipDir
		case d.Type().IsRegular() && !slices.Contains(ignored, name):
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

var (
	fence   = regexp.MustCompile("(?ms)^```.*?^```$")
	span    = regexp.MustCompile("`[^`\n]*`")
	heading = regexp.MustCompile(`(?m)^#+ +(.+?) *$`)
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	scheme  = regexp.MustCompile(`^[a-z]+:`)
	unslug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// headings returns the text of the headings of a Markdown document.
func headings(md string) []string {
	var hs []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(md, ""), -1) {
		hs = append(hs, m[1])
	}
	return hs
}

// anchors returns the fragments under which GitHub shows the headings.
func anchors(md string) []string {
	var as []string
	for _, h := range headings(md) {
		as = append(as, strings.ReplaceAll(unslug.ReplaceAllString(strings.ToLower(h), ""), " ", "-"))
	}
	return as
}

// links returns the targets of links that stay in the repository.
func links(md string) []string {
	var ls []string
	for _, m := range link.FindAllStringSubmatch(span.ReplaceAllString(fence.ReplaceAllString(md, ""), ""), -1) {
		if !scheme.MatchString(m[1]) {
			ls = append(ls, m[1])
		}
	}
	return ls
}
