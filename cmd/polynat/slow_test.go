package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestARehearsalSaysWhatItDoesBeforeAnythingSlow(t *testing.T) {
	export := filepath.Join(t.TempDir(), "stack.json")
	if err := os.WriteFile(export, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, stderr := polynat(t, "rehearse", "--stack", "dev", "--from-export", export)
	if !strings.HasPrefix(stderr, "stack dev: makes its clouds from the export") {
		t.Errorf("the first line is not about what takes its time:\n%s", stderr)
	}
}

func TestACompilerThatFailsLeavesNoVerdict(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\necho no space left >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	status, _, stderr := polynat(t, "drill", "reboot", "--runs", "1")
	if status != statusNoVerdict || !strings.Contains(stderr, "error:") {
		t.Errorf("status %d, %s", status, stderr)
	}
}
