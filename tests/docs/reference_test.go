package docs_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"polynat/internal/migration"
)

//go:generate go test . -run TestTheReferenceIsGenerated -update

var update = flag.Bool("update", false, "rewrite the generated parts of the documents")

// The packages of the components, by the block that configures each.
var components = map[string]string{"network": "components/alicloud/snatinstance", "migration": "components/alicloud/migration"}

func TestTheReferenceIsGenerated(t *testing.T) {
	parts := map[string]string{"stages": stageTable()}
	for block, dir := range components {
		parts["keys of "+block] = keyTable(t, block, dir)
		parts["children of "+block] = childTable(t, block, dir)
		parts["outputs of "+block] = outputTable(t, dir)
	}
	for _, name := range []string{"docs/reference/alicloud.md", "docs/migration-alicloud.md"} {
		old := read(t, name)
		text := regexp.MustCompile(`(?s)(<!-- generated: ([^>]+) -->\n).*?(<!-- end -->)`).ReplaceAllStringFunc(old, func(part string) string {
			first, _, _ := strings.Cut(part, "\n")
			id := strings.TrimSuffix(strings.TrimPrefix(first, "<!-- generated: "), " -->")
			if parts[id] == "" {
				t.Errorf("%s: there is no part %q to generate", name, id)
			}
			return first + "\n\n" + parts[id] + "\n<!-- end -->"
		})
		if diff := cmp.Diff(old, text); diff != "" && !*update {
			t.Errorf("%s is not what the source says (-is +should be; `go generate ./tests/docs` rewrites it):\n%s", name, diff)
		} else if diff != "" {
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil { //nolint:gosec // a document
				t.Fatal(err)
			}
		}
	}
}

func table(head string, rows [][]string) string {
	n := strings.Count(head, "|") + 1
	lines := []string{"| " + head + " |", strings.Repeat("|---", n) + "|"}
	for _, row := range rows {
		lines = append(lines, "| "+strings.Join(row, " | ")+" |")
	}
	return strings.Join(lines, "\n") + "\n"
}

func stageTable() string {
	var rows [][]string
	for _, s := range migration.Stages() {
		rows = append(rows, []string{"`" + string(s) + "`", s.Needs(), s.Effect()})
	}
	return table("stage | before it, polynat looks that | the `up`", rows)
}

// keyTable lists the keys of a block. Types and defaults are what Pulumi.dev.yaml says, meanings the comments of the Args.
func keyTable(t *testing.T, block, dir string) string {
	t.Helper()
	config, args, said := parseStructs(t, "stacks"), parseStructs(t, dir), walkDevFile(t).documented
	at := slices.IndexFunc(config["alicloudConfig"], func(f field) bool { return f.key == block })
	var rows [][]string
	var walk func(path string, typ ast.Expr, name string)
	walk = func(path string, typ ast.Expr, name string) {
		keys := map[string]field{}
		for _, f := range config[elem(typ)] {
			keys[f.name] = f
		}
		for _, f := range args[name] {
			key, ok := keys[f.name]
			if !ok {
				key, ok = keys[f.name+"Seconds"] // a duration
			}
			delete(keys, key.name)
			switch {
			case ok:
				comment := said[elem(typ)+"."+key.key]
				rows = append(rows, []string{"`" + path + key.key + "`", comment.typ, strings.ReplaceAll(comment.preset, "<", "&lt;"), meaning(f, key.key, config)})
				below := path + key.key + "."
				if _, ok := key.typ.(*ast.MapType); ok {
					below += "<key>."
				}
				walk(below, key.typ, elem(f.typ))
			case ast.IsExported(f.name):
				required := ""
				if strings.Contains(f.doc, "Required.") {
					required = "**required**"
				}
				rows = append(rows, []string{"in Go only: `" + name + "." + f.name + "`", "`" + types.ExprString(f.typ) + "`", required, meaning(f, f.name, nil)})
			}
		}
		for _, unused := range keys {
			t.Errorf("%s: has no field for the key %s%s", dir, path, unused.key)
		}
	}
	walk(block+".", config["alicloudConfig"][at].typ, "Args")
	return table("key | type | default | meaning", rows)
}

// elem is the name of the struct behind pointers and maps, if it is one.
func elem(typ ast.Expr) string {
	switch typ := typ.(type) {
	case *ast.StarExpr:
		return elem(typ.X)
	case *ast.MapType:
		return elem(typ.Value)
	}
	return types.ExprString(typ)
}

// meaning is a comment in the words of the configuration: without what the columns beside it say, and with the keys of
// fields instead of their names, where these are no words.
func meaning(f field, key string, config map[string][]field) string {
	text := strings.Join(strings.Fields(strings.Replace(f.doc, "Required.", "", 1)), " ")
	text = regexp.MustCompile(`^`+f.name+`\b`).ReplaceAllLiteralString(text, "`"+key+"`")
	for _, fields := range config {
		for _, other := range fields {
			if other.key != "" && regexp.MustCompile(`^VS|[a-z][A-Z]`).MatchString(other.name) {
				text = regexp.MustCompile(`\b`+other.name+`\b`).ReplaceAllLiteralString(text, "`"+other.key+"`")
			}
		}
	}
	return text
}

func outputTable(t *testing.T, dir string) string {
	t.Helper()
	var rows [][]string
	structs := parseStructs(t, dir)
	for _, f := range slices.Concat(structs["Migration"], structs["SNATInstance"]) {
		if f.key != "" {
			rows = append(rows, []string{"`" + f.key + "`", "`" + f.name + "`", meaning(f, f.key, nil)})
		}
	}
	return table("output | field in Go | meaning", rows)
}

// typeToken is the type of the resource that a constructor such as vpc.NewSwitch makes.
func typeToken(constructor string) string {
	pkg, name, _ := strings.Cut(constructor, ".New")
	return fmt.Sprintf("alicloud:%s/%s:%s", pkg, strings.ToLower(name[:1])+name[1:], name)
}
