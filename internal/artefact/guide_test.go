package artefact

import (
	"os"
	"strings"
	"testing"
)

// What is built as the guide says has the same SHA-256 as what the update builds.
func TestTheGuideBuildsWithTheSameFlags(t *testing.T) {
	guide, err := os.ReadFile("../../docs/nat-instances-aws.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(guide), `"`, "")
	for _, program := range []string{"natd", "failover"} {
		want := "\n$ go build " + strings.Join(buildFlags, " ") + " -o dist/" + program + " ./cmd/" + program + "\n"
		if !strings.Contains(text, want) {
			t.Errorf("the guide does not say%s", want)
		}
	}
}
