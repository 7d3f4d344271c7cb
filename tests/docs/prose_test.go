package docs_test

import (
	"go/ast"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"polynat/internal/migration"
	"polynat/stacks"
)

// documents are those that people follow step by step.
var documents = []string{"README.md", "docs/migration-alicloud.md", "docs/nat-instances-aws.md", "docs/comparison.md", "docs/safety.md", "docs/reference/aws.md", "docs/reference/alicloud.md", "docs/reference/huaweicloud.md"}

// fences of a document: the language and the text of each block of code.
var fences = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

func TestEveryCommandStandsInAConsoleBlock(t *testing.T) {
	for _, name := range documents {
		for _, block := range fences.FindAllStringSubmatch(read(t, name), -1) {
			commands := regexp.MustCompile(`(?m)^(\$ |go |pulumi )`).MatchString(block[2])
			if console := block[1] == "console" || block[1] == "sh"; commands != console {
				t.Errorf("%s: a block of %q with commands: %v:\n%s", name, block[1], commands, block[2])
			}
		}
	}
}

func TestEveryPolynatCommandAndFlagExists(t *testing.T) {
	source := goSource(t, "cmd/polynat")
	found := 0
	for _, name := range documents {
		for _, m := range regexp.MustCompile(`(?m)^\$ go run \./cmd/polynat (\w+)(.*)$`).FindAllStringSubmatch(read(t, name), -1) {
			found++
			if !regexp.MustCompile(`Use:\s+"` + m[1] + `\b`).MatchString(source) {
				t.Errorf("%s: polynat %s: there is no such command", name, m[1])
			}
			for _, flag := range regexp.MustCompile(`--([\w-]+)`).FindAllStringSubmatch(m[2], -1) {
				if m[1] != "pulumi" && !strings.Contains(source, `"`+flag[1]+`"`) {
					t.Errorf("%s: polynat %s --%s: there is no such flag", name, m[1], flag[1])
				}
			}
		}
	}
	if found == 0 {
		t.Error("no document names a command of polynat")
	}
}

func TestEveryConfigurationInTheDocumentsDecodes(t *testing.T) {
	structs := parseStructs(t, "stacks")
	for _, name := range documents {
		r := &reference{T: t, file: name + ", in a block of YAML", structs: structs}
		text := read(t, name)
		for _, block := range fences.FindAllStringSubmatch(text, -1) {
			var file struct{ Config map[string]yaml.Node }
			if block[1] != "yaml" {
				continue
			}
			if err := yaml.Unmarshal([]byte(block[2]), &file); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			blocks := 0
			for _, setup := range stacks.Setups() {
				if node, ok := file.Config[stacks.Namespace+":"+setup.Name]; ok {
					blocks++
					r.walk(setup.Name, &node, ast.NewIdent(setup.Name+"Config"))
				}
			}
			if blocks == 0 {
				t.Errorf("%s: a block of YAML without a setup:\n%s", name, block[2])
			}
		}
		for _, m := range regexp.MustCompile(`--path '([^']+)'`).FindAllStringSubmatch(text, -1) {
			if path := strings.Split(regexp.MustCompile(`\[\d+\]`).ReplaceAllString(m[1], ""), "."); !r.exists(path[1:], path[0]+"Config") {
				t.Errorf("%s: --path '%s': there is no such key", name, m[1])
			}
		}
	}
}

// exists tells whether a path of keys leads through the blocks of the configuration.
func (r *reference) exists(path []string, block string) bool {
	if len(path) == 0 {
		return true
	}
	i := slices.IndexFunc(r.structs[block], func(f field) bool { return f.key == path[0] })
	return i >= 0 && r.exists(path[1:], elem(r.structs[block][i].typ))
}

func TestTheReadmeShowsEveryStageInItsOrder(t *testing.T) {
	var shown []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(read(t, "README.md"), -1) {
		shown = append(shown, m[1])
	}
	var stages []string
	for _, s := range migration.Stages() {
		stages = append(stages, string(s))
	}
	if !slices.Equal(shown, stages) {
		t.Errorf("README.md: the table shows the stages %v, there are %v", shown, stages)
	}
}

func TestTheReadmeShowsTheExampleThatCompiles(t *testing.T) {
	example := flat(read(t, "components/alicloud/migration/example_test.go") + read(t, "components/huaweicloud/privatenat/example_test.go"))
	shown := 0
	for _, block := range fences.FindAllStringSubmatch(read(t, "README.md"), -1) {
		if block[1] == "go" {
			shown++
			if !strings.Contains(example, flat(block[2])) {
				t.Errorf("README.md: this is not in the example:\n%s", block[2])
			}
		}
	}
	if shown == 0 {
		t.Error("README.md: shows no Go")
	}
	// What the migration exports is what the next update reads: one without the other leads nowhere.
	if readme := read(t, "README.md"); strings.Contains(readme, "migration.LastRecord(") != strings.Contains(readme, "m.Record())") {
		t.Error("README.md: shows a program that reads a record and does not export one")
	}
}

func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestEveryRefusalThatIsExplainedExists(t *testing.T) {
	_, section, ok := strings.Cut(read(t, "docs/migration-alicloud.md"), "\n## When polynat refuses\n")
	if !ok {
		t.Fatal("docs/migration-alicloud.md: the section about refusals is gone")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	source := goSource(t, "internal/migration") + goSource(t, "components/alicloud") + goSource(t, "stacks")
	rows := 0
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?`) \\|").FindAllStringSubmatch(section, -1) {
		for _, message := range strings.Split(row[1], ", `") {
			rows++
			for _, part := range strings.Split(strings.Trim(message, "`"), "…") {
				if !strings.Contains(source, strings.TrimSpace(part)) {
					t.Errorf("docs/migration-alicloud.md: no message says %q", part)
				}
			}
		}
	}
	if rows < 10 {
		t.Errorf("docs/migration-alicloud.md: explains %d refusals only", rows)
	}
}

func TestTheReferenceNamesEveryOutputAndEveryKeyOfTheReport(t *testing.T) {
	const aws, alicloud, huaweicloud = "docs/reference/aws.md", "docs/reference/alicloud.md", "docs/reference/huaweicloud.md"
	found := 0
	for _, c := range []struct{ document, file, key string }{
		{aws, "stacks/aws.go", `outputs\["(\w+)"\]`},
		{alicloud, "stacks/alicloud.go", `outputs\["(\w+)"\]`},
		{huaweicloud, "stacks/huaweicloud.go", `outputs\["(\w+)"\]`},
		{alicloud, "components/alicloud/migration/record.go", `exported\["(\w+)"\]`},
		{alicloud, "internal/rehearsal/rehearsal.go", "json:\"(\\w+)"},
		{alicloud, "internal/rehearsal/rehearsal.go", `errors\.New\("(.+)"\)`},
	} {
		text := read(t, c.document)
		for _, m := range regexp.MustCompile(c.key).FindAllStringSubmatch(read(t, c.file), -1) {
			found++
			if !regexp.MustCompile("[`\" ]" + regexp.QuoteMeta(m[1]) + "[`\"]").MatchString(text) {
				t.Errorf("%s: does not name %q of %s", c.document, m[1], c.file)
			}
		}
	}
	if found < 20 {
		t.Errorf("%d names found in the source", found)
	}
}

// goSource is the text of all Go files below a directory, without tests.
func goSource(t *testing.T, dir string) string {
	t.Helper()
	var source strings.Builder
	err := fs.WalkDir(os.DirFS(filepath.Join(root, dir)), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go") {
			source.WriteString(read(t, filepath.Join(dir, name)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return source.String()
}
