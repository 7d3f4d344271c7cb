package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polynat/internal/engine"
	"polynat/stacks"
)

// mistake is a line of stacks/testdata/mistakes*.golden, which the tests of the program write.
type mistake struct {
	Case, Setup string
	Set         map[string]json.RawMessage
	Unset       []string
	Last        map[string]any
}

// What a preview refuses without a lookup, a rehearsal refuses before its first step, in the same words.
func TestEveryMistakeOfTheGoldensIsRefusedInTheSameWords(t *testing.T) {
	dev := filepath.Join("..", "..")
	_, config, err := engine.LoadConfig(t.Context(), dev, "dev")
	if err != nil {
		t.Fatal(err)
	}
	project, err := os.ReadFile(filepath.Join(dev, "Pulumi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	testdata := filepath.Join(dev, "stacks", "testdata")
	for _, name := range []string{"", "-aws", "-huaweicloud"} {
		says := said(t, filepath.Join(testdata, "refusals"+name+".golden"))
		file, err := os.Open(filepath.Join(testdata, "mistakes"+name+".golden"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		tried := 0
		for lines := json.NewDecoder(bufio.NewReader(file)); lines.More(); tried++ {
			var m mistake
			if err := lines.Decode(&m); err != nil {
				t.Fatal(err)
			}
			if says[m.Case] == "" {
				t.Fatalf("%s: no golden says what is wrong", m.Case)
			}
			t.Run(m.Setup+": "+m.Case, func(t *testing.T) {
				args := append([]string{"rehearse"}, m.write(t, project, config)...)
				status, stdout, stderr := polynat(t, args...)
				if status != statusInput || stdout != "" {
					t.Errorf("status %d\n%s", status, stdout)
				}
				for line := range strings.Lines(says[m.Case]) {
					if !strings.Contains(stderr, strings.TrimPrefix(strings.TrimSpace(line), "- ")) { // which the file and the line stand before
						t.Errorf("a preview says\n%s\nand the rehearsal\n%s", line, stderr)
					}
				}
			})
		}
		if tried == 0 {
			t.Errorf("%s: holds no mistake", file.Name())
		}
	}
}

// said are the texts of a golden file by their case, without those that need a lookup.
func said(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	says := map[string]string{}
	for _, part := range strings.Split("\n"+string(text), "\n# ")[1:] {
		name, words, _ := strings.Cut(part, "\n")
		if !strings.HasSuffix(name, " (after a lookup)") {
			says[name] = strings.TrimSpace(words)
		}
	}
	return says
}

// write writes the stack with the mistake in it, and returns the flags that rehearse it. dev is the configuration without it.
func (m mistake) write(t *testing.T, project []byte, dev map[string]string) (flags []string) {
	t.Helper()
	config := map[string]any{}
	for key, text := range dev {
		if setup := stacks.Namespace + ":" + m.Setup; key == setup || strings.HasPrefix(key, m.Setup+":") {
			config[key] = text
			var block map[string]any
			if key == setup && decode(text, &block) == nil {
				config[key] = block
			}
		}
	}
	for path, value := range m.Set {
		var v any
		if err := decode(string(value), &v); err != nil {
			t.Fatal(err)
		}
		at(config, path, func(block map[string]any, key string) { block[key] = v })
	}
	for _, path := range m.Unset {
		at(config, path, func(block map[string]any, key string) { delete(block, key) })
	}
	stack, err := json.Marshal(map[string]any{"config": config}) // which is YAML too
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put("Pulumi.yaml", project)
	put("Pulumi.dev.yaml", stack)
	flags = []string{"--dir", dir}
	if m.Last != nil {
		export, err := json.Marshal(map[string]any{"version": 3, "deployment": map[string]any{"resources": []any{map[string]any{
			"urn": fmt.Sprintf("urn:pulumi:dev::%[1]s::pulumi:pulumi:Stack::%[1]s-dev", stacks.Namespace), "type": "pulumi:pulumi:Stack", "outputs": m.Last,
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		flags = append(flags, "--from-export", put("export.json", export))
	}
	return flags
}

// decode keeps numbers as they are written.
func decode(text string, into any) error {
	d := json.NewDecoder(bytes.NewBufferString(text))
	d.UseNumber()
	return d.Decode(into)
}

// at calls change with the block that holds the last key of a path, and this key. Blocks on the way are made.
func at(block map[string]any, path string, change func(block map[string]any, key string)) {
	keys := strings.Split(path, "/")
	for _, key := range keys[:len(keys)-1] {
		below, ok := block[key].(map[string]any)
		if !ok {
			below = map[string]any{}
			block[key] = below
		}
		block = below
	}
	change(block, keys[len(keys)-1])
}
