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

// component is what a block of the configuration makes.
type component struct {
	// setup and block are keys of the configuration.
	setup, block string
	// dir is the component's package, shared one that it describes its Args with, if any.
	dir, shared string
	// result is the type that New returns; empty if the block makes nothing itself.
	result string
}

var components = []component{
	{setup: "aws", block: "vpc", dir: "components/aws/vpc", result: "VPC"},
	{setup: "aws", block: "discovery", dir: "components/aws/discovery"},
	{setup: "aws", block: "nat", dir: "components/aws/nat", shared: "internal/natzone", result: "NAT"},
	{setup: "alicloud", block: "network", dir: "components/alicloud/snatinstance", result: "SNATInstance"},
	{setup: "alicloud", block: "migration", dir: "components/alicloud/migration", result: "Migration"},
	{setup: "huaweicloud", block: "service", dir: "components/huaweicloud/loadbalancer", shared: "components/huaweicloud/network", result: "LoadBalancers"},
	{setup: "huaweicloud", block: "privateNat", dir: "components/huaweicloud/privatenat", shared: "components/huaweicloud/network", result: "PrivateNAT"},
}

func TestTheReferenceIsGenerated(t *testing.T) {
	parts := map[string]string{"stages": stageTable()}
	for _, c := range components {
		parts["keys of "+c.block] = keyTable(t, c)
		if c.result == "" {
			continue
		}
		parts["children of "+c.block] = childTable(t, c)
		parts["outputs of "+c.block] = outputTable(t, c)
	}
	for _, name := range []string{"docs/reference/aws.md", "docs/reference/alicloud.md", "docs/reference/huaweicloud.md", "docs/migration-alicloud.md"} {
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

// What a key means is read by somebody who writes YAML. The words come from comments of Go, whose readers know another language.
func TestTheMeaningsOfKeysDoNotSpeakGo(t *testing.T) {
	// network interfaces and interface endpoints are things of a cloud.
	things := regexp.MustCompile(`(?i)network interfaces?|interface endpoints?`)
	language := regexp.MustCompile(`(?i)\b(nil|structs?|a slice|pointers?|interfaces?|zero value|bool|strings?|ints?|floats?|Args|time\.\w+|pulumi\.\w+|goroutines?)\b|\[\w+\]`)
	keys := 0
	for _, c := range components {
		for _, row := range strings.Split(keyTable(t, c), "\n") {
			if !strings.HasPrefix(row, "| `") {
				continue // for readers of Go
			}
			keys++
			if word := language.FindString(things.ReplaceAllString(row, "")); word != "" {
				t.Errorf("%s: %q is a word of Go in\n%s", c.dir, word, row)
			}
		}
	}
	if keys < 100 {
		t.Errorf("%d keys were read", keys)
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
func keyTable(t *testing.T, c component) string {
	t.Helper()
	config, args, said, values := parseStructs(t, "stacks"), parseStructs(t, c.dir), walkDevFile(t).documented, parseValues(t, c.dir)
	if c.shared != "" {
		for name, fields := range parseStructs(t, c.shared) {
			args[filepath.Base(c.shared)+"."+name], args[name] = fields, append(args[name], fields...)
		}
	}
	at := slices.IndexFunc(config[c.setup+"Config"], func(f field) bool { return f.key == c.block })
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
				rows = append(rows, []string{"`" + path + key.key + "`", comment.typ, strings.ReplaceAll(comment.preset, "<", "&lt;"), beside(spell(meaning(f, key.key, config), values, types.ExprString(f.typ)), config[elem(typ)])})
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
			t.Errorf("%s: has no field for the key %s%s", c.dir, path, unused.key)
		}
	}
	walk(c.block+".", config[c.setup+"Config"][at].typ, "Args")
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
	if f.doc == "" { // told together with the field before it
		return "see the one above"
	}
	text := strings.Join(strings.Fields(strings.Replace(f.doc, "Required.", "", 1)), " ")
	text = constants.ReplaceAllString(text, "") // the column beside it says what they are
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

// constants are Go names of defaults.
var constants = regexp.MustCompile(` ?Default: (see )?(natzone\.)?Default\w+\.`)

// spell has values of the configuration instead of the Go constants that stand for them: those of the field's own type, and
// modes.
func spell(text string, values map[string]map[string]string, typ string) string {
	for of, names := range values {
		for name, value := range names {
			if of == typ {
				text = regexp.MustCompile(`\b`+name+`\b`).ReplaceAllLiteralString(text, "`"+value+"`")
			}
			text = regexp.MustCompile(`\b([mM]ode|Standby) `+name+`\b`).ReplaceAllString(text, "mode `"+value+"`")
		}
	}
	return text
}

// beside has keys instead of the names of fields in the same block, or of others in brackets. A name has a capital in the middle of a sentence.
func beside(text string, fields []field) string {
	for _, f := range fields {
		if f.key != "" && f.name != "VPC" && f.name != "Name" { // these are words, too
			text = regexp.MustCompile(`([a-z,] )`+f.name+`\b`).ReplaceAllString(text, "$1`"+f.key+"`")
		}
	}
	return regexp.MustCompile(`\[(?:\w+\.)?(\w)(\w*)\]`).ReplaceAllStringFunc(text, func(link string) string {
		name := link[strings.LastIndexAny(link, "[.")+1 : len(link)-1]
		return "`" + strings.ToLower(name[:1]) + name[1:] + "`"
	})
}

// parseValues returns the string constants of the package in dir, by their type and name.
func parseValues(t *testing.T, dir string) map[string]map[string]string {
	t.Helper()
	values := map[string]map[string]string{}
	for _, file := range parsePackage(t, dir) {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || spec.Type == nil || len(spec.Values) != len(spec.Names) {
				return true
			}
			typ := types.ExprString(spec.Type)
			for i, name := range spec.Names {
				if value, ok := spec.Values[i].(*ast.BasicLit); ok {
					if values[typ] == nil {
						values[typ] = map[string]string{}
					}
					values[typ][name.Name] = strings.Trim(value.Value, `"`)
				}
			}
			return true
		})
	}
	return values
}

func outputTable(t *testing.T, c component) string {
	t.Helper()
	var rows [][]string
	for _, f := range parseStructs(t, c.dir)[c.result] {
		if f.key == "" {
			continue
		}
		rows = append(rows, []string{"`" + f.key + "`", "`" + f.name + "`", meaning(f, f.key, map[string][]field{c.result: parseStructs(t, c.dir)[c.result]})})
	}
	return table("output | field in Go | meaning", rows)
}

// typeToken is the type of the resource that a constructor such as vpc.NewSwitch makes.
func typeToken(constructor string) string {
	pkg, name, _ := strings.Cut(constructor, ".New")
	if pkg == "huaweicloud" { // one package, without modules
		return fmt.Sprintf("huaweicloud:index/%s:%s", strings.ToLower(name[:1])+name[1:], name)
	}
	return fmt.Sprintf("alicloud:%s/%s:%s", pkg, strings.ToLower(name[:1])+name[1:], name)
}
