package main

import (
	"strings"
	"testing"
)

func TestARehearsalSaysWhatItDoesBeforeAnythingSlow(t *testing.T) {
	_, _, stderr := polynat(t, "rehearse", "--dir", "../..", "--stack", "dev", "none")
	if !strings.HasPrefix(stderr, "stack dev: reads its configuration\n") {
		t.Errorf("the first line is not about what takes its time:\n%s", stderr)
	}
}
