// Package sdkgen_test generates the SDKs under sdks from their schemas, and holds the committed code to that.
package sdkgen_test

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	gogen "github.com/pulumi/pulumi/pkg/v3/codegen/go" //nolint:depguard // a generator, which no program contains
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"   //nolint:depguard // as above
)

//go:generate go test . -run TestTheSDKIsGenerated -update

var update = flag.Bool("update", false, "rewrite the generated code")

const (
	sdks   = "../../sdks"
	source = "huaweicloud/schema.json"
	readme = "huaweicloud/README.md"
)

func TestTheSDKIsGeneratedFromItsSchema(t *testing.T) {
	generated := generate(t)
	if *update {
		rewrite(t, generated)
	}
	committed := committedFiles(t)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(generated)), slices.Sorted(maps.Keys(committed))); diff != "" {
		t.Errorf("other files than the generator makes; `go generate ./tests/sdkgen` mends that (-generated +committed):\n%s", diff)
	}
	for name, text := range generated {
		if string(committed[name]) != string(text) {
			t.Errorf("sdks/%s: is not what the generator makes of the schema; `go generate ./tests/sdkgen` rewrites it", name)
		}
	}
}

// The CLI resolves the same parameters to the same package, so that a program may use either SDK.
func TestTheReadmeShowsTheCommandThatAddsTheSamePackage(t *testing.T) {
	p := readSchema(t).Parameterization
	var parameter struct {
		Remote   struct{ URL, Version string }
		Includes []string
	}
	if err := json.Unmarshal(p.Parameter, &parameter); err != nil {
		t.Fatalf("%s: parameter: %v\n%s", source, err, base64.StdEncoding.EncodeToString(p.Parameter))
	}
	name := parameter.Remote.URL[strings.Index(parameter.Remote.URL, "/")+1:]
	want := fmt.Sprintf("pulumi package add %s@%s -- %s %s --include %s",
		p.BaseProvider.Name, p.BaseProvider.Version, name, parameter.Remote.Version, strings.Join(parameter.Includes, ","))
	text, err := os.ReadFile(filepath.Join(sdks, readme))
	if err != nil {
		t.Fatal(err)
	}
	if shown := strings.ReplaceAll(string(text), "\\\n    ", ""); !strings.Contains(shown, want) {
		t.Errorf("sdks/%s: does not show\n%s", readme, want)
	}
}

func readSchema(t *testing.T) schema.PackageSpec {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(sdks, source))
	if err != nil {
		t.Fatal(err)
	}
	var spec schema.PackageSpec
	if err := json.Unmarshal(text, &spec); err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return spec
}

// generate returns the files of the SDK, by their names below sdks.
func generate(t *testing.T) map[string][]byte {
	t.Helper()
	pkg, err := schema.ImportSpec(readSchema(t), nil, schema.NewNullLoader(), schema.ValidationOptions{})
	if err != nil {
		t.Fatal(err)
	}
	files, err := gogen.GeneratePackage("the Pulumi SDK generator", pkg, nil)
	if err != nil {
		t.Fatal(err)
	}
	// What belongs to a module of its own, which this one is not.
	maps.DeleteFunc(files, func(name string, _ []byte) bool { return !strings.HasPrefix(name, "huaweicloud/") })
	return files
}

// committedFiles are all files of the SDK but those that are written by hand.
func committedFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files, root := map[string][]byte{}, os.DirFS(sdks)
	err := fs.WalkDir(root, "huaweicloud", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && name != source && name != readme {
			files[name], err = fs.ReadFile(root, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func rewrite(t *testing.T, files map[string][]byte) {
	t.Helper()
	for name := range committedFiles(t) {
		if err := os.Remove(filepath.Join(sdks, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		name = filepath.Join(sdks, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, text, 0o644); err != nil { //nolint:gosec // source code
			t.Fatal(err)
		}
	}
}
