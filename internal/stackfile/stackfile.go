// Package stackfile finds where in Pulumi.<stack>.yaml a field of the configuration is.
package stackfile

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"gopkg.in/yaml.v3"

	"polynat/internal/problem"
)

// File is the file of a stack. A nil one knows nothing.
type File struct {
	name, project string
	root, config  *yaml.Node
}

// Read reads the file of a stack in the folder of its project. It returns nil where there is none, or none that can be read: then a
// configuration has come from elsewhere.
func Read(dir, project, stack string) *File {
	name := "Pulumi." + stack + ".yaml"
	text, err := os.ReadFile(filepath.Join(dir, name))
	var document yaml.Node
	if dir == "" || err != nil || yaml.Unmarshal(text, &document) != nil || len(document.Content) == 0 {
		return nil
	}
	f := &File{name: name, project: project, root: document.Content[0], config: &yaml.Node{}}
	if f.root.Kind != yaml.MappingNode {
		return nil
	}
	if _, value := child(f.root, "config"); value != nil {
		f.config = value
	}
	return f
}

// Values are those of the file by full key, as a program would see them: blocks and lists as JSON, nothing as an empty text.
func (f *File) Values() map[string]string {
	values := map[string]string{}
	if f == nil {
		return values
	}
	for _, e := range entries(f.config) {
		var value any
		if err := e.value.Decode(&value); err != nil || value == nil {
			values[f.full(e.key.Value)] = ""
			continue
		}
		if e.value.Kind == yaml.ScalarNode {
			values[f.full(e.key.Value)] = e.value.Value
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			text = []byte(fmt.Sprint(value))
		}
		values[f.full(e.key.Value)] = string(text)
	}
	return values
}

// Config is the value of a full key as the program sees it, and whether it is set.
type Config func(key string) (value string, ok bool)

// Locate is err with file and line of each problem whose value is in the file: not of one that comes from another file or a command line.
func (f *File) Locate(err error, config Config) error {
	if f == nil {
		return err
	}
	return problem.Map(err, func(p problem.Problem) problem.Problem {
		if key := f.find(p.Field, config); key != nil && p.At == "" {
			p.At = f.at(key)
		}
		return p
	}, nil)
}

func (f *File) at(key *yaml.Node) string { return f.name + ":" + strconv.Itoa(key.Line) }

// find is the key of a field, or the nearest one above it that is there.
func (f *File) find(field string, config Config) *yaml.Node {
	var found, value *yaml.Node
	rest := ""
	for _, e := range entries(f.config) {
		full := f.full(e.key.Value)
		for _, name := range []string{full, strings.TrimPrefix(full, f.project+":")} {
			if after, ok := cut(field, name); ok && f.holds(e, config) {
				found, value, rest = e.key, e.value, after
			}
		}
	}
	for rest != "" && value != nil {
		key, below, after := step(value, rest)
		if key == nil {
			break
		}
		found, value, rest = key, below, after
	}
	return found
}

// step goes to the element or the longest key with which a path begins: keys may hold dots.
func step(node *yaml.Node, path string) (key, value *yaml.Node, rest string) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	index, after, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
	if i, err := strconv.Atoi(index); ok && err == nil && node.Kind == yaml.SequenceNode && i < len(node.Content) {
		return node.Content[i], node.Content[i], after
	}
	longest := -1
	for _, e := range entries(node) {
		if after, ok := cut(strings.TrimPrefix(path, "."), e.key.Value); ok && len(e.key.Value) > longest {
			key, value, rest, longest = e.key, e.value, after, len(e.key.Value)
		}
	}
	return key, value, rest
}

// cut is what follows a name at the beginning of a path.
func cut(path, name string) (after string, ok bool) {
	after, ok = strings.CutPrefix(path, name)
	return after, ok && (after == "" || after[0] == '.' || after[0] == '[')
}

// full is a key of the file with its namespace, which the project's own may lack.
func (f *File) full(key string) string {
	key = strings.Replace(key, ":config:", ":", 1)
	if !strings.Contains(key, ":") {
		return f.project + ":" + key
	}
	return key
}

// Misplaced are the keys that are beside config instead of below it, where Pulumi does not look: those that the program knows, and those that
// resemble a key that Pulumi knows there. Others are somebody's own, such as YAML anchors below x-common. None where the configuration that
// the program sees is not the one of the file.
func (f *File) Misplaced(config Config, known func(key string) bool) (problems problem.List) {
	if f == nil {
		return nil
	}
	for _, e := range entries(f.config) {
		if !f.holds(e, config) {
			return nil
		}
	}
	top := topKeys()
	for _, e := range entries(f.root) {
		key := e.key.Value
		near := problem.Near(key, top)
		switch {
		case slices.Contains(top, key), strings.HasPrefix(key, "x-"), len(near) == 0 && !known(key):
			continue
		case known(key):
			near = nil
		}
		p := problem.Problem{At: f.at(e.key), Field: key, Rule: "is not below config, so that it has no effect", WayOut: "indent it below config"}
		if len(near) > 0 {
			p.WayOut = problem.DidYouMean(near)
		}
		problems = append(problems, p)
	}
	return problems
}

// topKeys are those that Pulumi knows beside each other in the file.
func topKeys() (keys []string) {
	file := reflect.TypeFor[workspace.ProjectStack]()
	for i := range file.NumField() {
		if key, _, _ := strings.Cut(file.Field(i).Tag.Get("yaml"), ","); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// holds reports whether the program sees the value that is in the file.
func (f *File) holds(e entry, config Config) bool {
	text, ok := config(f.full(e.key.Value))
	if e.value.Kind == yaml.ScalarNode {
		return ok == (e.value.Tag != "!!null") && text == e.value.Value || e.value.Tag == "!!null"
	}
	var seen, written any
	if !ok || json.Unmarshal([]byte(text), &seen) != nil {
		return ok && secret(e.value)
	}
	if e.value.Decode(&written) != nil {
		return false
	}
	return same(normal(written), seen)
}

func secret(value *yaml.Node) bool {
	_, encrypted := child(value, "secure")
	return encrypted != nil && len(value.Content) == 2
}

// normal is a value as JSON has it.
func normal(value any) (plain any) {
	text, err := json.Marshal(value)
	if err != nil || json.Unmarshal(text, &plain) != nil {
		return fmt.Sprint(value)
	}
	return plain
}

// same compares what is written with what is seen. An encrypted value may be any.
func same(written, seen any) bool {
	switch w := written.(type) {
	case map[string]any:
		if _, encrypted := w["secure"]; encrypted && len(w) == 1 {
			return true
		}
		s, ok := seen.(map[string]any)
		if !ok || len(s) != len(w) {
			return false
		}
		for k, v := range w {
			if below, ok := s[k]; !ok || !same(v, below) {
				return false
			}
		}
		return true
	case []any:
		s, ok := seen.([]any)
		return ok && slices.EqualFunc(w, s, same)
	}
	return written == seen
}

type entry struct{ key, value *yaml.Node }

// entries of a block, in their order.
func entries(node *yaml.Node) (all []entry) {
	if node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		all = append(all, entry{node.Content[i], node.Content[i+1]})
	}
	return all
}

func child(node *yaml.Node, name string) (key, value *yaml.Node) {
	for _, e := range entries(node) {
		if e.key.Value == name {
			return e.key, e.value
		}
	}
	return nil, nil
}
