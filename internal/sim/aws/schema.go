package aws

import (
	_ "embed"
	"sync"

	"polynat/internal/sim"
)

// schema.json holds the facts about the resource types and lookups: names, types and what is required from the source of
// the SDK of that version; what replaces, documented values and conflicts from the documents of the provider; defaults as the
// bridged provider 5.46 writes them into the inputs of a state. A property that may be left out and is always returned counts as
// computed.
//
//go:embed schema.json
var schemaJSON []byte

var parseSchema = sync.OnceValue(func() *sim.Schema {
	s, err := sim.ParseSchema(schemaJSON)
	if err != nil {
		panic(err) // the file is part of the program; a test parses it
	}
	return s
})

// Schema returns the facts about the simulated resource types and lookups. The caller must not change it.
func Schema() *sim.Schema { return parseSchema() }
