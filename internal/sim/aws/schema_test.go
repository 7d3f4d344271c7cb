package aws_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"polynat/internal/sim"
	"polynat/internal/sim/aws"
)

// sdk finds the structs of the SDK's packages, by package and name: the names of their properties, and whether they may be
// left out.
type sdk struct {
	dir  string
	read map[string]map[string]map[string]bool
}

func newSDK(t *testing.T) *sdk {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/pulumi/pulumi-aws/sdk/v6").Output()
	if err != nil {
		t.Fatal(err)
	}
	return &sdk{filepath.Join(strings.TrimSpace(string(out)), "go", "aws"), map[string]map[string]map[string]bool{}}
}

// structs are those of one package that have tags, such as "vpcArgs", "LookupVpcArgs" and "GroupTag".
func (s *sdk) structs(t *testing.T, pkg string, wanted func(name string) bool) map[string]map[string]bool {
	if found, ok := s.read[pkg]; ok {
		return found
	}
	found := map[string]map[string]bool{}
	dir := s.dir
	if pkg != "index" && pkg != "aws" {
		dir = filepath.Join(dir, pkg)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if !wanted(filepath.Base(name)) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			body, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			properties := map[string]bool{}
			for _, field := range body.Fields.List {
				if field.Tag == nil {
					continue
				}
				text, _ := strconv.Unquote(field.Tag.Value)
				if name := reflect.StructTag(text).Get("pulumi"); name != "" {
					_, pointer := field.Type.(*ast.StarExpr)
					_, list := field.Type.(*ast.ArrayType)
					_, mapping := field.Type.(*ast.MapType)
					_, anything := field.Type.(*ast.InterfaceType)
					selector, _ := field.Type.(*ast.SelectorExpr) // pulumi.Archive, which is an interface
					properties[name] = pointer || list || mapping || anything || selector != nil
				}
			}
			if len(properties) > 0 {
				found[spec.Name.Name] = properties
			}
			return true
		})
	}
	s.read[pkg] = found
	return found
}

// The facts are held against the source of the SDK that the components are compiled with.
func TestTheFactsAgreeWithTheSDK(t *testing.T) {
	s, schema := newSDK(t), aws.Schema()
	wanted := map[string]bool{"pulumiTypes.go": true, "pulumiTypes1.go": true, "pulumiTypes2.go": true, "pulumiTypes3.go": true, "pulumiTypes4.go": true}
	for token := range schema.Resources {
		wanted[file(token)+".go"] = true
	}
	for token := range schema.Functions {
		wanted[file(token)+".go"] = true
	}
	wanted["getElasticIp.go"] = true
	read := func(name string) bool { return wanted[name] }
	for token, r := range schema.Resources {
		compare(t, token, r.Inputs, s.structs(t, pkg(token), read)[file(token)+"Args"])
	}
	for token, f := range schema.Functions {
		have := s.structs(t, pkg(token), read)
		name := strings.ToUpper(file(token)[:1]) + file(token)[1:]
		properties, ok := have[name+"Args"]
		if !ok {
			properties = have["Lookup"+strings.TrimPrefix(name, "Get")+"Args"]
		}
		compare(t, token, f.Args, properties)
	}
	for name, properties := range schema.Types {
		p, typ, _ := strings.Cut(name, ".")
		compare(t, name, properties, s.structs(t, p, read)[typ])
	}
}

func pkg(token string) string {
	module, _, _ := strings.Cut(strings.TrimPrefix(token, "aws:"), "/")
	return module
}

func file(token string) string {
	name := token[strings.Index(token, "/")+1:]
	name, _, _ = strings.Cut(name, ":")
	return name
}

// compare holds properties against a struct of the SDK. A list or a map may be required without showing it.
func compare(t *testing.T, where string, facts map[string]sim.Property, properties map[string]bool) {
	if properties == nil {
		t.Errorf("%s is not in the SDK", where)
		return
	}
	for name, p := range facts {
		optional, ok := properties[name]
		if !ok {
			t.Errorf("%s.%s is not in the SDK", where, name)
		}
		if !optional && !p.Required {
			t.Errorf("%s.%s is required in the SDK", where, name)
		}
	}
	for name := range properties {
		if _, ok := facts[name]; !ok {
			t.Errorf("%s.%s is in the SDK only", where, name)
		}
	}
}

func TestEveryTypeAndFunctionIsSimulated(t *testing.T) {
	c := aws.New(aws.Options{})
	for token := range aws.Schema().Resources {
		if _, _, _, err := c.Read(context.Background(), token, "none"); err != nil {
			t.Error(err)
		}
	}
	for token := range aws.Schema().Functions {
		if _, err := c.Invoke(context.Background(), token, o{}); err != nil && strings.Contains(err.Error(), "not simulated") {
			t.Error(err)
		}
	}
}
