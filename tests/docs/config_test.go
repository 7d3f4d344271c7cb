// Package docs_test holds what people read to what the program does: the project and stack files, the reference, the
// README.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"gopkg.in/yaml.v3"

	"polynat/stacks"
)

// root is the directory of go.mod, as seen from this package.
const root = "../.."

func TestTheProjectDeclaresEveryKeyWithTypeDescriptionAndDefault(t *testing.T) {
	project := loadProject(t)
	if got := string(project.Name); got != stacks.Namespace {
		t.Errorf("Pulumi.yaml: name is %s, but the program reads the namespace %s", got, stacks.Namespace)
	}
	if project.RequiredPulumiVersion == "" {
		t.Error("Pulumi.yaml: no requiredPulumiVersion")
	}
	var setups []string
	for _, s := range stacks.Setups() {
		setups = append(setups, s.Name)
		declared := project.Config[s.Name]
		if declared.TypeName() != "object" || declared.Description == "" || declared.Default == nil {
			t.Errorf("Pulumi.yaml: %s: must declare type object, a description and a default", s.Name)
		}
	}
	if got := slices.Sorted(maps.Keys(project.Config)); !slices.Equal(got, slices.Sorted(slices.Values(setups))) {
		t.Errorf("Pulumi.yaml: declares %v, the program reads %v", got, setups)
	}
}

// The CLI rewrites the file when somebody changes a key, and moves comments that stand at the end of a block.
func TestChangingTheStageLeavesTheRestOfTheDevFileAsItIs(t *testing.T) {
	sink := diag.DefaultSink(io.Discard, io.Discard, diag.FormatOptions{Color: colors.Never})
	project, file := loadProject(t), filepath.Join(t.TempDir(), "Pulumi.dev.yaml")
	before := read(t, "Pulumi.dev.yaml")
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	stack, err := workspace.LoadProjectStack(sink, project, file)
	if err != nil {
		t.Fatal(err)
	}
	if err := stack.Config.Set(config.MustParseKey("polynat:alicloud.migration.stage"), config.NewValue("cover"), true); err != nil {
		t.Fatal(err)
	}
	if err := stack.Save(file); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(before, "stage: adopt", "stage: cover", 1)
	if want == before {
		t.Fatal("Pulumi.dev.yaml: does not begin at stage adopt")
	}
	if diff := cmp.Diff(want, string(after)); diff != "" {
		t.Errorf("`pulumi config set` changes more than the stage (-want +got):\n%s", diff)
	}
}

// commented is a key that is not set, "#key: value", and what is below it, "#  key: value"; prose has one space.
var commented = regexp.MustCompile(`(?m)^( *)#(\S|  +\S)`)

func TestTheDevFileIsTheReferenceOfEveryKey(t *testing.T) {
	checked := walkDevFile(t)
	for name, s := range checked.structs {
		for _, f := range s {
			if _, ok := checked.documented[name+"."+f.key]; !ok && f.key != "" {
				t.Errorf("Pulumi.dev.yaml: key %q of %s is not there, live or commented", f.key, name)
			}
		}
	}
}

// walkDevFile holds the file, with every key uncommented, to the types that the program decodes it into.
func walkDevFile(t *testing.T) *reference {
	t.Helper()
	var file struct {
		Config map[string]yaml.Node
	}
	text := commented.ReplaceAllString(read(t, "Pulumi.dev.yaml"), "$1$2")
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatalf("Pulumi.dev.yaml, with every key uncommented: %v", err)
	}
	for _, setup := range stacks.Setups() {
		for _, key := range setup.ProviderKeys {
			if _, ok := file.Config[setup.Name+":"+key]; !ok {
				t.Errorf("Pulumi.dev.yaml: %s:%s is not there", setup.Name, key)
			}
		}
	}
	r := &reference{T: t, file: "Pulumi.dev.yaml", structs: parseStructs(t, "stacks"), documented: map[string]comment{}}
	for _, setup := range stacks.Setups() {
		block := file.Config[stacks.Namespace+":"+setup.Name]
		r.walk(setup.Name, &block, ast.NewIdent(setup.Name+"Config"))
	}
	return r
}

// reference walks a block along the type that the program decodes it into.
type reference struct {
	*testing.T
	file    string
	structs map[string][]field
	// documented holds what is said at the first occurrence of a key, by "struct.key"; nil if nothing has to be said.
	documented map[string]comment
}

// comment is what stands behind a key: type, default or "required".
type comment struct{ typ, preset string }

var kinds = map[yaml.Kind]string{yaml.ScalarNode: "scalar", yaml.SequenceNode: "list", yaml.MappingNode: "block"}

func (r *reference) walk(path string, node *yaml.Node, typ ast.Expr) {
	want, tag := "scalar", ""
	switch typ := typ.(type) {
	case *ast.StarExpr:
		r.walk(path, node, typ.X)
		return
	case *ast.ArrayType:
		want = "list"
	case *ast.MapType:
		want = "block"
		for i := 0; i+1 < len(node.Content); i += 2 {
			r.walk(path+"."+node.Content[i].Value, node.Content[i+1], typ.Value)
		}
	case *ast.Ident:
		if fields, ok := r.structs[typ.Name]; ok {
			want = "block"
			r.block(path, node, typ.Name, fields)
		} else {
			tag = map[string]string{"string": "!!str", "int": "!!int", "bool": "!!bool"}[typ.Name]
		}
	}
	if kinds[node.Kind] != want || tag != "" && node.Tag != tag {
		r.Errorf("%s:%d: %s is a %s %s, the program wants a %s %s", r.file, node.Line, path, kinds[node.Kind], node.Tag, want, tag)
	}
}

func (r *reference) block(path string, node *yaml.Node, name string, fields []field) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		f := slices.IndexFunc(fields, func(f field) bool { return f.key == key.Value })
		if f < 0 {
			r.Errorf("%s:%d: %s.%s is not a key of the program", r.file, key.Line, path, key.Value)
			continue
		}
		if id := name + "." + key.Value; r.documented != nil && r.documented[id] == (comment{}) {
			r.documented[id] = r.comment(path, key, value, fields[f])
		}
		r.walk(path+"."+key.Value, value, fields[f].typ)
	}
}

// comment reads what the first occurrence of a key says: its type, and its default or that it is required.
func (r *reference) comment(path string, key, value *yaml.Node, f field) comment {
	want := typeName(f.typ, r.structs)
	if !strings.Contains(path, ".") {
		return comment{typ: want} // the blocks of a setup have a sentence each
	}
	said := strings.Join([]string{key.HeadComment, key.LineComment, value.LineComment}, "\n")
	m := regexp.MustCompile(`(?m)^# (text|number|true or false|list|blocks?), (?:default (.+?)|(required.*?))(?:[:;] .*)?$`).FindStringSubmatch(said)
	if m == nil || m[1] != want {
		r.Errorf("Pulumi.dev.yaml:%d: %s.%s: the comment %q does not begin with %q and \"required\" or \"default …\"", key.Line, path, key.Value, said, want+", ")
		return comment{typ: want}
	}
	return comment{m[1], m[2] + strings.Replace(m[3], "required", "**required**", 1)}
}

// field is a field of a struct: its key in the configuration, or its output name, if it has one.
type field struct {
	name, key, doc string
	typ            ast.Expr
}

// parseStructs returns the structs of the package in dir, by their names.
func parseStructs(t *testing.T, dir string) map[string][]field {
	t.Helper()
	structs := map[string][]field{}
	for _, file := range parsePackage(t, dir) {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, f := range s.Fields.List {
				var tag reflect.StructTag
				if f.Tag != nil {
					tag = reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
				}
				doc := strings.Join(strings.Fields(f.Doc.Text()), " ")
				for _, name := range f.Names {
					structs[spec.Name.Name] = append(structs[spec.Name.Name], field{name.Name, tag.Get("config") + tag.Get("pulumi"), doc, f.Type})
					doc = "as " + name.Name
				}
			}
			return true
		})
	}
	return structs
}

// parsePackage parses the files of a directory, without tests.
func parsePackage(t *testing.T, dir string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		t.Fatalf("%s: no Go file", dir)
	}
	return files
}

// typeName is the type of a configuration value in words.
func typeName(typ ast.Expr, structs map[string][]field) string {
	switch typ := typ.(type) {
	case *ast.StarExpr:
		return typeName(typ.X, structs)
	case *ast.ArrayType:
		return "list"
	case *ast.MapType:
		return "blocks"
	case *ast.Ident:
		if word, ok := map[string]string{"string": "text", "int": "number", "float64": "number", "bool": "true or false"}[typ.Name]; ok {
			return word
		}
		if _, ok := structs[typ.Name]; ok {
			return "block"
		}
	}
	return ""
}

func loadProject(t *testing.T) *workspace.Project {
	t.Helper()
	project, err := workspace.LoadProject(filepath.Join(root, "Pulumi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
