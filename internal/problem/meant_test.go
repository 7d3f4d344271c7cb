package problem_test

import (
	"slices"
	"testing"

	"polynat/internal/problem"
)

func TestAMisspelledNameResemblesWhatWasMeant(t *testing.T) {
	keys := []string{"vpc", "zones", "instance", "rotation", "standby", "sharedStandby", "imageId", "imageParameter", "types", "cidr", "stage", "sourceCidrs", "nat64"}
	for name, want := range map[string][]string{
		"zone":          {"zones"},
		"Zones":         {"zones"},
		"instnace":      {"instance"},
		"stgae":         {"stage"},
		"cdir":          {"cidr"},
		"cird":          {"cidr"},
		"crid":          {"cidr"},
		"type":          {"types"},
		"sourceCIDRs":   {"sourceCidrs"},
		"image":         {"imageId", "imageParameter"},
		"sharedStandBy": {"sharedStandby"},
		"nat46":         {"nat64"},
		"size":          nil,
		"port":          nil,
		"vp":            nil,
		"":              nil,
	} {
		if got := problem.Near(name, keys); !slices.Equal(got, want) {
			t.Errorf("%q: resembles %q, want %q", name, got, want)
		}
	}
}
