package sdkcheck_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const newest = "testdata/alicloud-v3.105.0.json"

func TestPolynatTypeChecksAgainstBothReleasesOfTheSDK(t *testing.T) {
	for release, d := range releases(t) {
		t.Run(release, func(t *testing.T) {
			c, err := newChecker(d)
			if err != nil {
				t.Error(err)
			}
			if c == nil {
				return
			}
			t.Logf("checked %v", c.used)
			if len(c.used) == 0 {
				t.Error("no package of polynat uses the SDK: nothing was checked")
			}
		})
	}
}

func releases(t *testing.T) map[string]*differences {
	d := readDifferences(t, newest)
	return map[string]*differences{d.From: nil, d.To: d}
}

// A check that cannot fail proves nothing: each program in testdata/programs
// uses the SDK in one way, and says in a comment "// v1.2.3: error" on a line
// what each release has against it.
func TestTheCheckFindsWhatAReleaseChanged(t *testing.T) {
	files, err := filepath.Glob("testdata/programs/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("programs: %v, %v", files, err)
	}
	for release, d := range releases(t) {
		c, err := newChecker(d)
		if c == nil {
			t.Fatal(err) // other errors are the other test's
		}
		for _, file := range files {
			t.Run(release+"/"+filepath.Base(file), func(t *testing.T) {
				f, err := parser.ParseFile(c.fset, file, nil, parser.ParseComments|parser.SkipObjectResolution)
				if err != nil {
					t.Fatal(err)
				}
				_, err = c.check("program", []*ast.File{f}, false)
				want, got := c.expected(f, release), c.found(err)
				for line, message := range got {
					if w := want[line]; w != "" && strings.Contains(message, w) {
						got[line] = w
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("errors by line (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func (c *checker) expected(f *ast.File, release string) map[int]string {
	errs := map[int]string{}
	for _, group := range f.Comments {
		for _, comment := range group.List {
			for _, part := range strings.Split(strings.TrimPrefix(comment.Text, "//"), ";") {
				if message, ok := strings.CutPrefix(strings.TrimSpace(part), release+": "); ok {
					errs[c.fset.Position(comment.Pos()).Line] = message
				}
			}
		}
	}
	return errs
}

func (c *checker) found(err error) map[int]string {
	errs := map[int]string{}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return errs
	}
	for _, err := range joined.Unwrap() {
		var typeErr types.Error
		if errors.As(err, &typeErr) {
			errs[c.fset.Position(typeErr.Pos).Line] = typeErr.Msg
		}
	}
	return errs
}

func TestDifferencesThatDoNotStartFromThePinnedSDKAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change map[string][2]string
		want   string
	}{
		"another type before":  {map[string][2]string{"vpc.RouteEntryArgs.RouterId": {"pulumi.IntPtrInput", ""}}, "the pinned SDK has pulumi.StringPtrInput, expected pulumi.IntPtrInput"},
		"no field before":      {map[string][2]string{"vpc.RouteEntryArgs.Color": {"pulumi.IntPtrInput", ""}}, "no such member"},
		"a field before":       {map[string][2]string{"vpc.RouteEntryArgs.RouterId": {"", "pulumi.StringPtrInput"}}, "the pinned SDK has pulumi.StringPtrInput"},
		"another result":       {map[string][2]string{"vpc.NetworkOutput.Tags": {"pulumi.IntOutput", "pulumi.MapOutput"}}, "the pinned SDK has pulumi.MapOutput"},
		"no type":              {map[string][2]string{"vpc.Teapot.Tags": {"", "pulumi.MapOutput"}}, "no such type"},
		"a type that is none":  {map[string][2]string{"vpc.RouteEntryArgs.RouterId": {"pulumi.StringPtrInput", "pulumi.Teapot"}}, "Teapot"},
		"a release not pinned": {nil, "go.mod pins " + sdk},
	} {
		t.Run(name, func(t *testing.T) {
			d := readDifferences(t, newest)
			if tt.change == nil {
				d.From = "v0.0.0"
			}
			d.Changes = tt.change
			if _, err := newChecker(d); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestTheDifferencesAreSortedAndReal(t *testing.T) {
	d := readDifferences(t, newest)
	if d.Module != sdk {
		t.Errorf("differences are of %s", d.Module)
	}
	data, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, member := range slices.Sorted(maps.Keys(d.Changes)) {
		change := d.Changes[member]
		if change[0] == change[1] {
			t.Errorf("%s: no change", member)
		}
		i := strings.Index(string(data), fmt.Sprintf("%q", member))
		if i < at {
			t.Errorf("%s: not in order", member)
		}
		at = i
	}
}
