package alicloud

import (
	_ "embed"
	"sync"

	"polynat/internal/sim"
)

// schema.json holds the facts about the resource types and lookups: of the
// Pulumi package at the version it names, except enumerations, conflicts and
// defaults, which are those of the Terraform provider v1.217.2 that it wraps.
// Ranges of numbers in an enumeration are spelled out, defaults that the
// provider holds as Go constants (portRange, policy) are their values, and
// enumerations without enumStrict are documented, but not validated by the
// provider.
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

// Schema returns the facts about the simulated resource types and lookups.
// The caller must not change it.
func Schema() *sim.Schema { return parseSchema() }
