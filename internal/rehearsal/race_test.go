//go:build race

package rehearsal_test

func init() { race = true }
