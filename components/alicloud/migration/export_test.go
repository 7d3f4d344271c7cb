package migration

import (
	"time"

	"polynat/internal/migration"
)

// Plant lets a test put a fault into the plan of every migration, and returns a function that takes it out again.
func Plant(fault func(*migration.Plan)) (remove func()) {
	amend = fault
	return func() { amend = nil }
}

// Impatient has lookups that are throttled made again at once, and returns a function that brings the pauses back.
func Impatient() (patient func()) {
	was := pauses
	pauses = make([]time.Duration, len(was))
	return func() { pauses = was }
}

// Await is how the gate waits.
var Await = await
