package sdkcheck_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
)

// The simulated cloud refuses what its schema does not know, so a schema that
// differs from the SDK would refuse programs that the real cloud takes, or the
// other way round.
func TestTheSimulatedCloudsSchemaIsThatOfThePinnedSDK(t *testing.T) {
	schema := alicloud.Schema()
	sdk := readSDK(t)
	if len(schema.Resources) == 0 || len(schema.Functions) == 0 {
		t.Fatalf("the schema has %d resources and %d functions", len(schema.Resources), len(schema.Functions))
	}
	for _, problem := range sdk.disagreements(schema) {
		t.Error(problem)
	}
	if "v"+schema.Version != sdk.version {
		t.Errorf("the schema is of version %s, go.mod pins %s", schema.Version, sdk.version)
	}
}

func TestASchemaThatDiffersFromTheSDKIsFound(t *testing.T) {
	const entry, lookup = "alicloud:vpc/routeEntry:RouteEntry", "alicloud:vpc/getRouteEntries:getRouteEntries"
	sdk := readSDK(t)
	change := func(properties map[string]sim.Property, name string, change func(*sim.Property)) {
		p := properties[name]
		change(&p)
		properties[name] = p
	}
	for name, tt := range map[string]struct {
		spoil func(*sim.Schema)
		want  string
	}{
		"unknown input": {func(s *sim.Schema) { s.Resources[entry].Inputs["color"] = sim.Property{Type: "string"} }, entry + ".color: the SDK has no such property"},
		"missing input": {func(s *sim.Schema) { delete(s.Resources[entry].Inputs, "nexthopId") }, entry + ".nexthopId: the schema has no such property"},
		"type": {func(s *sim.Schema) {
			change(s.Resources[entry].Inputs, "nexthopId", func(p *sim.Property) { p.Type = "int" })
		}, entry + ".nexthopId: type int, the SDK has string"},
		"required": {func(s *sim.Schema) {
			change(s.Resources[entry].Inputs, "routeTableId", func(p *sim.Property) { p.Required = false })
		}, entry + ".routeTableId: required false, the SDK has true"},
		"not required": {func(s *sim.Schema) {
			change(s.Resources[entry].Inputs, "nexthopId", func(p *sim.Property) { p.Required = true })
		}, entry + ".nexthopId: required true, the SDK has false"},
		"unknown output":   {func(s *sim.Schema) { s.Resources[entry].Outputs = append(s.Resources[entry].Outputs, "color") }, entry + ": output color: the SDK has no such property"},
		"unknown resource": {func(s *sim.Schema) { s.Resources["alicloud:vpc/teapot:Teapot"] = new(sim.Resource) }, "alicloud:vpc/teapot:Teapot: the SDK has no such resource"},
		"unknown function": {func(s *sim.Schema) { s.Functions["alicloud:vpc/getTeapot:getTeapot"] = new(sim.Function) }, "alicloud:vpc/getTeapot:getTeapot: the SDK has no such function"},
		"argument": {func(s *sim.Schema) {
			change(s.Functions[lookup].Args, "routeTableId", func(p *sim.Property) { p.Required = false })
		}, lookup + ".routeTableId: required false, the SDK has true"},
		"result": {func(s *sim.Schema) { s.Functions[lookup].Result = append(s.Functions[lookup].Result, "color") }, lookup + ": result color: the SDK has no such property"},
	} {
		t.Run(name, func(t *testing.T) {
			schema := clone(t, alicloud.Schema())
			tt.spoil(schema)
			if got := sdk.disagreements(schema); !slices.Contains(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// clone lets a test spoil a schema that may be shared.
func clone(t *testing.T, schema *sim.Schema) *sim.Schema {
	t.Helper()
	data, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	schema, err = sim.ParseSchema(data)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// pinnedSDK is what the source of the pinned SDK says about resources and
// functions, by token.
type pinnedSDK struct {
	version              string
	resources, functions map[string]sdkType
}

// An sdkType is a resource or a function.
type sdkType struct {
	inputs  map[string]sdkProperty
	outputs map[string]bool
}

type sdkProperty struct {
	typ      types.Type
	required bool
}

func readSDK(t *testing.T) *pinnedSDK {
	t.Helper()
	c, err := newChecker(nil)
	if c == nil {
		t.Fatal(err)
	}
	s := &pinnedSDK{resources: map[string]sdkType{}, functions: map[string]sdkType{}}
	for path, pkg := range c.source {
		p := c.listed[path]
		if p.Module == nil || p.Module.Path != sdk {
			continue
		}
		s.version = p.Module.Version
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range f.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Body != nil {
					s.addFunc(pkg.Scope(), fn)
				}
			}
		}
	}
	return s
}

// addFunc adds what fn registers or invokes, if anything. A constructor New<T>
// takes <T>Args, whose plain twin <t>Args has the names and types in its tags
// and fields; what it refuses when nil is required. A function Get<T> has
// names, types and required flags in Get<T>Args: what is no pointer, slice or
// map is required.
func (s *pinnedSDK) addFunc(scope *types.Scope, fn *ast.FuncDecl) {
	required := map[string]bool{}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			if field, ok := refusedIfNil(n); ok {
				required[field] = true
			}
		case *ast.CallExpr:
			switch types.ExprString(n.Fun) {
			case "ctx.RegisterResource":
				name := strings.TrimPrefix(fn.Name.Name, "New")
				inputs := properties(scope, strings.ToLower(name[:1])+name[1:]+"Args")
				for property, field := range fieldNames(scope, strings.ToLower(name[:1])+name[1:]+"Args") {
					inputs[property] = sdkProperty{inputs[property].typ, required[field]}
				}
				s.resources[literal(n.Args[0])] = sdkType{inputs, keys(properties(scope, name))}
			case "ctx.Invoke":
				s.functions[literal(n.Args[0])] = sdkType{
					properties(scope, fn.Name.Name+"Args"),
					keys(properties(scope, fn.Name.Name+"Result")),
				}
			}
		}
		return true
	})
}

// refusedIfNil returns F of "if args.F == nil { return …": a field that only
// gets a default there is not required.
func refusedIfNil(n *ast.IfStmt) (string, bool) {
	cond, ok := n.Cond.(*ast.BinaryExpr)
	if !ok || cond.Op != token.EQL || types.ExprString(cond.Y) != "nil" {
		return "", false
	}
	if _, ok := n.Body.List[0].(*ast.ReturnStmt); !ok {
		return "", false
	}
	return strings.CutPrefix(types.ExprString(cond.X), "args.")
}

func literal(e ast.Expr) string {
	if lit, ok := e.(*ast.BasicLit); ok {
		if s, err := strconv.Unquote(lit.Value); err == nil {
			return s
		}
	}
	return ""
}

func structOf(scope *types.Scope, name string) (*types.Struct, bool) {
	obj := scope.Lookup(name)
	if obj == nil {
		return nil, false
	}
	s, ok := obj.Type().Underlying().(*types.Struct)
	return s, ok
}

// fieldNames returns the fields of a struct by the property in their tag.
func fieldNames(scope *types.Scope, name string) map[string]string {
	names := map[string]string{}
	if s, ok := structOf(scope, name); ok {
		for i := range s.NumFields() {
			if property := reflect.StructTag(s.Tag(i)).Get("pulumi"); property != "" {
				names[property] = s.Field(i).Name()
			}
		}
	}
	return names
}

// properties returns the fields of a struct by the property in their tag,
// required if they cannot be nil.
func properties(scope *types.Scope, name string) map[string]sdkProperty {
	found := map[string]sdkProperty{}
	if s, ok := structOf(scope, name); ok {
		for i := range s.NumFields() {
			property := reflect.StructTag(s.Tag(i)).Get("pulumi")
			if property == "" {
				continue
			}
			_, basic := s.Field(i).Type().Underlying().(*types.Basic)
			found[property] = sdkProperty{s.Field(i).Type(), basic}
		}
	}
	return found
}

func keys[V any](m map[string]V) map[string]bool {
	set := map[string]bool{}
	for k := range m {
		set[k] = true
	}
	return set
}

// disagreements says where the schema differs from the SDK.
func (s *pinnedSDK) disagreements(schema *sim.Schema) (problems []string) {
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	names := func(where, what string, have []string, known map[string]bool) {
		for _, name := range have {
			if !known[name] && name != "id" { // every resource and every answer has an id
				report("%s: %s %s: the SDK has no such property", where, what, name)
			}
		}
	}
	for _, token := range slices.Sorted(maps.Keys(schema.Resources)) {
		have, ok := s.resources[token]
		if !ok {
			report("%s: the SDK has no such resource", token)
			continue
		}
		problems = append(problems, compareProperties(token, schema, schema.Resources[token].Inputs, have.inputs)...)
		names(token, "output", schema.Resources[token].Outputs, have.outputs)
	}
	for _, token := range slices.Sorted(maps.Keys(schema.Functions)) {
		have, ok := s.functions[token]
		if !ok {
			report("%s: the SDK has no such function", token)
			continue
		}
		problems = append(problems, compareProperties(token, schema, schema.Functions[token].Args, have.inputs)...)
		names(token, "result", schema.Functions[token].Result, have.outputs)
	}
	return problems
}

func compareProperties(where string, schema *sim.Schema, ours map[string]sim.Property, theirs map[string]sdkProperty) (problems []string) {
	report := func(name, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s.%s: %s", where, name, fmt.Sprintf(format, args...)))
	}
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		if _, ok := ours[name]; !ok {
			report(name, "the schema has no such property")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		have, ok := theirs[name]
		if !ok {
			report(name, "the SDK has no such property")
			continue
		}
		p := ours[name]
		if p.Required != have.required {
			report(name, "required %t, the SDK has %t", p.Required, have.required)
		}
		if want := typeName(have.typ); !sameType(p.Type, want) {
			report(name, "type %s, the SDK has %s", p.Type, want)
		}
		if named, structure := objectOf(have.typ); structure != nil {
			if nested, ok := schema.Types[named.Obj().Name()]; ok {
				problems = append(problems, compareProperties(where+"."+name, schema, nested, properties(named.Obj().Pkg().Scope(), named.Obj().Name()))...)
			}
		}
	}
	return problems
}

// typeName is a Go type in the words of [sim.Property.Type].
func typeName(t types.Type) string {
	if named, structure := objectOf(t); structure != nil {
		if _, list := t.Underlying().(*types.Slice); list {
			return "list:object:" + named.Obj().Name()
		}
		return "object:" + named.Obj().Name()
	}
	switch t := t.Underlying().(type) {
	case *types.Pointer:
		return typeName(t.Elem())
	case *types.Slice:
		return "list:" + typeName(t.Elem())
	case *types.Map:
		return "map:" + typeName(t.Elem())
	case *types.Interface:
		return "any"
	case *types.Basic:
		if t.Kind() == types.Float64 {
			return "float"
		}
		return t.Name()
	}
	return t.String()
}

// objectOf returns the object type that t is, points to or lists.
func objectOf(t types.Type) (*types.Named, *types.Struct) {
	switch u := t.(type) {
	case *types.Pointer:
		t = u.Elem()
	case *types.Slice:
		t = u.Elem()
	}
	named, ok := types.Unalias(t).(*types.Named)
	if !ok {
		return nil, nil
	}
	structure, _ := named.Underlying().(*types.Struct)
	return named, structure
}

// sameType also takes "map" for a map of anything and "object" for any object.
func sameType(ours, theirs string) bool {
	for _, short := range []string{"object", "list:object"} {
		if ours == short && strings.HasPrefix(theirs, short+":") {
			return true
		}
	}
	return ours == theirs || ours == "map" && theirs == "map:any"
}
