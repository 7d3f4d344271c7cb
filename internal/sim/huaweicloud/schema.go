package huaweicloud

import (
	_ "embed"
	"sync"

	"polynat/internal/sim"
)

// schema.json holds the facts about the resource types and lookups: names and types of the package that the dynamic
// bridge makes of the Terraform provider v1.73.3; what replaces, what is computed, enumerations, conflicts and defaults of
// that provider's own source. Enumerations without enumStrict are documented, but not validated by the provider.
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
