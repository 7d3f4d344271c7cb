package migration

import "polynat/internal/migration"

// Plant lets a test put a fault into the plan of every migration, and returns a function that takes it out again.
func Plant(fault func(*migration.Plan)) (remove func()) {
	amend = fault
	return func() { amend = nil }
}
