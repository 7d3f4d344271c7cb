package rehearsal

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"polynat/internal/sim"
)

// block is as much of a setup's block of the configuration as a walk needs. What it does not know it leaves as it is.
type block map[string]any

// at returns the block under a path of keys, nil if there is none.
func (b block) at(path ...string) block {
	for _, key := range path {
		next, _ := b[key].(map[string]any)
		b = next
	}
	return b
}

// make returns the block under a path of keys, and makes what is missing.
func (b block) make(path ...string) block {
	for _, key := range path {
		next, ok := b[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			b[key] = next
		}
		b = next
	}
	return b
}

func (b block) text(key string) string { return sim.Text(sim.Object(b), key) }

func (b block) keys() []string { return slices.Sorted(maps.Keys(b)) }

func readBlock(config map[string]string, key string) (b block, err error) {
	text, ok := config[key]
	if !ok {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return b, nil
}

// editBlock is a [Move.Configure] that changes a block.
func editBlock(key string, change func(block) error) func(map[string]string) error {
	return func(config map[string]string) error {
		b, err := readBlock(config, key)
		if err == nil {
			err = change(b)
		}
		if err != nil {
			return err
		}
		text, err := json.Marshal(b)
		config[key] = string(text)
		return err
	}
}
