package sdkcheck_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const sdk = "github.com/pulumi/pulumi-alicloud/sdk/v3"

// A listed package is one of `go list`.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles, Imports        []string
	DepOnly                 bool // not named by a pattern
	Module                  *struct{ Path, Version string }
	Error                   *struct{ Err string }
}

// listing returns polynat's packages that could use the SDK, the SDK's
// packages that they and the tests use, and all dependencies, each package
// after those that it imports.
var listing = sync.OnceValues(func() ([]*listed, error) {
	cmd := exec.Command("go", "list", "-e", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,Imports,DepOnly,Module,Error",
		"polynat/components/...", "polynat/stacks/...", sdk+"/go/alicloud", sdk+"/go/alicloud/vpc", sdk+"/go/alicloud/ecs")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%v: %w\n%s", cmd, err, &stderr)
	}
	var pkgs []*listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(listed)
		switch err := dec.Decode(p); {
		case errors.Is(err, io.EOF):
			return pkgs, nil
		case err != nil:
			return nil, fmt.Errorf("%v: %w", cmd, err)
		case p.Error != nil:
			return nil, fmt.Errorf("package %s: %s", p.ImportPath, p.Error.Err)
		}
		pkgs = append(pkgs, p)
	}
})

// differences are what a later release of the SDK changed for those who
// import it, as far as polynat could notice.
type differences struct {
	Module, From, To string
	// Changes maps "package.Type.Member" to the type of the field, or of the
	// result of the method, before and after; empty stands for no such member.
	Changes map[string][2]string
}

func readDifferences(t *testing.T, file string) *differences {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := new(differences)
	if err := json.Unmarshal(data, d); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return d
}

// A checker type-checks packages against one release of the SDK. Packages that
// do not depend on the SDK are imported from export data.
type checker struct {
	fset    *token.FileSet
	listed  map[string]*listed
	changes map[string][2]string      // not yet applied
	source  map[string]*types.Package // checked from source
	gc      types.Importer
	used    []string // packages of polynat that were checked
}

// newChecker returns a checker of the pinned SDK if d is nil, else of the SDK
// with the differences, and checks every package of polynat that uses it.
// The error joins all errors of the type checker.
func newChecker(d *differences) (*checker, error) {
	pkgs, err := listing()
	if err != nil {
		return nil, err
	}
	c := &checker{
		fset:    token.NewFileSet(),
		listed:  map[string]*listed{},
		changes: map[string][2]string{},
		source:  map[string]*types.Package{},
	}
	for _, p := range pkgs {
		c.listed[p.ImportPath] = p
		if d != nil && p.Module != nil && p.Module.Path == d.Module && p.Module.Version != d.From {
			return nil, fmt.Errorf("go.mod pins %s %s, the differences start from %s: derive them anew, or delete them if the pinned release is %s or later", d.Module, p.Module.Version, d.From, d.To)
		}
	}
	if d != nil {
		for member, change := range d.Changes {
			c.changes[d.Module+"/go/alicloud/"+member] = change
		}
	}
	c.gc = importer.ForCompiler(c.fset, "gc", func(path string) (io.ReadCloser, error) {
		p := c.listed[path]
		if p == nil || p.Export == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(p.Export)
	})
	var errs []error
	for _, p := range pkgs {
		ofSDK := p.Module != nil && p.Module.Path == sdk && !p.DepOnly
		usesSDK := slices.ContainsFunc(p.Imports, func(path string) bool { return c.source[path] != nil })
		if !ofSDK && !usesSDK {
			continue
		}
		if !ofSDK {
			c.used = append(c.used, p.ImportPath)
		}
		if err := c.checkListed(p, ofSDK); err != nil {
			errs = append(errs, err)
		}
	}
	for member := range c.changes {
		errs = append(errs, fmt.Errorf("%s: no such type in the pinned SDK", member))
	}
	return c, errors.Join(errs...)
}

// Import is types.Importer.
func (c *checker) Import(path string) (*types.Package, error) {
	if p := c.source[path]; p != nil {
		return p, nil
	}
	return c.gc.Import(path)
}

// checkListed checks a package from its files; of the SDK it takes the
// declarations only, after the changes.
func (c *checker) checkListed(p *listed, ofSDK bool) error {
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(c.fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	var errs []error
	if ofSDK {
		errs = append(errs, c.change(p.ImportPath, files))
	}
	pkg, err := c.check(p.ImportPath, files, ofSDK)
	c.source[p.ImportPath] = pkg
	return errors.Join(append(errs, err)...)
}

// check returns the package and all its errors, each a types.Error, joined.
func (c *checker) check(path string, files []*ast.File, declarationsOnly bool) (*types.Package, error) {
	var errs []error
	config := types.Config{
		Importer:         c,
		IgnoreFuncBodies: declarationsOnly,
		Error:            func(err error) { errs = append(errs, err) },
	}
	pkg, _ := config.Check(path, c.fset, files, nil) // Error has its errors
	return pkg, errors.Join(errs...)
}

// change makes the changes of a package. A change that does not start from
// what the package declares is an error: the list of differences is stale.
func (c *checker) change(path string, files []*ast.File) error {
	var errs []error
	members := func(typeName string) map[string][2]string {
		found := map[string][2]string{}
		for key, change := range c.changes {
			if member, ok := strings.CutPrefix(key, path+"."+typeName+"."); ok {
				found[member] = change
				delete(c.changes, key)
			}
		}
		return found
	}
	methods := map[string]*ast.FuncDecl{} // of value receivers, by "Type.Method"
	for _, f := range files {
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv != nil {
				if recv, ok := fn.Recv.List[0].Type.(*ast.Ident); ok {
					methods[recv.Name+"."+fn.Name.Name] = fn
				}
			}
		}
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			structure, ok := spec.Type.(*ast.StructType)
			if !ok {
				return false
			}
			for member, change := range members(spec.Name.Name) {
				var err error
				if method := methods[spec.Name.Name+"."+member]; method != nil {
					err = replace(&method.Type.Results.List[0].Type, change)
				} else {
					err = changeField(structure.Fields, member, change)
				}
				if err != nil {
					errs = append(errs, fmt.Errorf("%s.%s.%s: %w", path, spec.Name.Name, member, err))
				}
			}
			return false
		})
	}
	return errors.Join(errs...)
}

func changeField(fields *ast.FieldList, name string, change [2]string) error {
	i := slices.IndexFunc(fields.List, func(f *ast.Field) bool { return len(f.Names) == 1 && f.Names[0].Name == name })
	switch from, to := change[0], change[1]; {
	case i < 0 && from != "":
		return fmt.Errorf("the pinned SDK has no such member, expected %s", from)
	case i < 0:
		field := &ast.Field{Names: []*ast.Ident{ast.NewIdent(name)}}
		fields.List = append(fields.List, field)
		return parse(&field.Type, to)
	case to == "":
		if have := types.ExprString(fields.List[i].Type); have != from {
			return fmt.Errorf("the pinned SDK has %s, expected %s", have, from)
		}
		fields.List = slices.Delete(fields.List, i, i+1)
		return nil
	default:
		return replace(&fields.List[i].Type, change)
	}
}

func replace(typ *ast.Expr, change [2]string) error {
	if have := types.ExprString(*typ); have != change[0] {
		return fmt.Errorf("the pinned SDK has %s, expected %q", have, change[0])
	}
	return parse(typ, change[1])
}

func parse(typ *ast.Expr, s string) (err error) {
	*typ, err = parser.ParseExpr(s)
	return err
}
