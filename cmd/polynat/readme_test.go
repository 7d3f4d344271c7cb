package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"polynat/internal/drill"
)

// shown is what the README shows as the output of a command, and the arguments of the command.
func shown(t *testing.T, marker string) (args []string, output string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(readme), "<!-- output: "+marker+" -->\n```console\n$ go run ./cmd/polynat ")
	if !ok {
		t.Fatalf("README.md shows no output of %s", marker)
	}
	block, _, _ = strings.Cut(block, "```")
	command, output, _ := strings.Cut(block, "\n")
	return strings.Fields(command), output
}

func TestTheREADMEShowsWhatCostPrints(t *testing.T) {
	args, want := shown(t, "cost")
	status, got, stderr := polynat(t, args...)
	if status != 0 || got != want {
		t.Errorf("README.md shows\n%s\nbut status %d, %s prints\n%s%s", want, status, strings.Join(args, " "), got, stderr)
	}
}

// The table of the drill has figures of one machine on one day. That it has all drills, and no other, can be held.
func TestTheREADMEShowsEveryDrill(t *testing.T) {
	_, output := shown(t, "drill")
	var got []string
	table, _, _ := strings.Cut(output, "\n\n")
	for _, line := range strings.Split(table, "\n") {
		if name, _, _ := strings.Cut(line, " "); name != "" && name != "drill" {
			got = append(got, name)
		}
	}
	want := drill.Names()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("README.md shows the drills %q, there are %q", got, want)
	}
}
