package stacks_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"polynat/stacks"
	"polynat/tests/recorder"
)

// refusals are the texts of a golden file, and beside it the mistakes that are refused without a look at the cloud: what the tests of
// `polynat rehearse` make as well, each as it differs from the dev environment.
type refusals struct {
	t *testing.T
	// setup whose part of the dev environment the mistakes are made in.
	setup string
	dev   map[string]string
	text  strings.Builder
	// mistakes are one to a line, for the rehearsal.
	mistakes strings.Builder
}

// mistake is what was done to the part of the dev environment that belongs to a setup.
type mistake struct {
	Case  string `json:"case"`
	Setup string `json:"setup"`
	// Set are the values that differ, and Unset those that are gone, by the full key, with the path within its block behind it:
	// "polynat:alicloud/migration/stage".
	Set   map[string]any `json:"set,omitempty"`
	Unset []string       `json:"unset,omitempty"`
	// Last are the outputs of the last update.
	Last map[string]any `json:"last,omitempty"`
}

func newRefusals(t *testing.T, setup string) *refusals {
	t.Helper()
	return &refusals{t: t, setup: setup, dev: setupConfig(t, setup)}
}

// add adds what the program says of a configuration. Whether a lookup was needed for that is found by asking without any.
func (r *refusals) add(name string, config map[string]string, last map[string]any, says string) {
	r.t.Helper()
	err := stacks.Check(stacks.Setups(), stacks.Stack{Project: recorder.Project, Name: recorder.Stack, Config: config, Last: last})
	if err == nil {
		fmt.Fprintf(&r.text, "# %s (after a lookup)\n%s\n\n", name, says)
		return
	}
	if err.Error() != says {
		r.t.Errorf("%s: without a lookup it says something else:\n%v\nthan the program:\n%s", name, err, says)
	}
	fmt.Fprintf(&r.text, "# %s\n%s\n\n", name, says)
	m := mistake{Case: name, Setup: r.setup, Set: map[string]any{}, Last: last}
	before, after := r.values(r.dev), r.values(config)
	m.differ("", before, after)
	line, err := json.Marshal(m)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mistakes.Write(append(line, '\n'))
}

// values of a configuration, decoded where they are blocks of a setup.
func (r *refusals) values(config map[string]string) map[string]any {
	values := map[string]any{}
	for key, text := range config {
		var block map[string]any
		if json.Unmarshal([]byte(text), &block) == nil && strings.HasPrefix(key, "polynat:") && len(block) > 0 {
			if nat, ok := block["nat"].(map[string]any); ok {
				delete(nat, "artefacts") // of which each test has its own
			}
			values[key] = block
		} else {
			values[key] = text
		}
	}
	return values
}

// differ collects what is not the same.
func (m *mistake) differ(path string, before, after map[string]any) {
	for key, value := range after {
		old, there := before[key]
		oldBlock, wasBlock := old.(map[string]any)
		block, isBlock := value.(map[string]any)
		switch {
		case wasBlock && isBlock && len(block) > 0:
			m.differ(path+key+"/", oldBlock, block)
		case !there || !reflect.DeepEqual(old, value):
			m.Set[path+key] = value
		}
	}
	for key := range before {
		if _, there := after[key]; !there {
			m.Unset = append(m.Unset, path+key)
		}
	}
	slices.Sort(m.Unset)
}

// golden holds both files.
func (r *refusals) golden(name, mistakes string) {
	r.t.Helper()
	recorder.GoldenText(r.t, name, r.text.String(), "read the messages as somebody who has just made the mistake")
	recorder.GoldenText(r.t, mistakes, r.mistakes.String(), "the tests of `polynat rehearse` make these mistakes")
}
