package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polynat/internal/natzone"
)

func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = command(t.Context(), args, &out, &err)
	return status, out.String(), err.String()
}

func config(t *testing.T, change func(*natzone.Agent)) string {
	t.Helper()
	a := natzone.Agent{
		Version: natzone.Version, Name: "egress", Zone: "eu-west-1a", Region: "eu-west-1", AllocationID: "eipalloc-1",
		PublicAddress: netip.MustParseAddr("203.0.113.7"), Address: netip.MustParseAddr("10.0.0.250"),
		RouteTables: []string{"rtb-1"}, Destinations: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, Group: "egress-a",
		LaunchHook: natzone.LaunchHook, TerminateHook: natzone.TerminateHook, Targets: []natzone.Target{"https://192.0.2.1/"},
		MetricNamespace: natzone.MetricNamespace, HealthPort: natzone.HealthPort,
	}
	change(&a)
	data, err := a.JSON()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "natd.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAConfigurationIsChecked(t *testing.T) {
	if status, out, err := run(t, "check-config", "--config", config(t, func(*natzone.Agent) {})); status != 0 || !strings.Contains(out, "ok") {
		t.Errorf("%d %s %s", status, out, err)
	}
	file := config(t, func(a *natzone.Agent) {
		a.RouteTables, a.Targets, a.HealthPort = nil, []natzone.Target{"192.0.2.1"}, 0
		a.Destinations = append(a.Destinations, netip.MustParsePrefix("2001:db8::/32"))
		a.NAT64 = true
	})
	for _, name := range []string{"check-config", "run"} {
		status, _, err := run(t, name, "--config", file)
		for _, want := range []string{"routeTables", "targets[0]", "healthPort", "destinations[1]", "64:ff9b::/96"} {
			if status != 2 || !strings.Contains(err, want) {
				t.Errorf("%s: %d: %s: does not name %s", name, status, err, want)
			}
		}
	}
}

func TestAWrongCallSaysWhatIsWrong(t *testing.T) {
	for want, args := range map[string][]string{
		"natd run":               {},
		"start: is not":          {"start"},
		"natd.json":              {"check-config", "--config", "/nowhere/natd.json"},
		"-forever":               {"run", "-forever"},
		"more: is not a flag":    {"check-config", "more"},
		"invalid value \"soon\"": {"run", "--interval", "soon"},
	} {
		if status, _, err := run(t, args...); status != 2 || !strings.Contains(err, want) {
			t.Errorf("%q: %d: %s", args, status, err)
		}
	}
}

func TestTheVersionIsOneLine(t *testing.T) {
	if status, out, _ := run(t, "version"); status != 0 || strings.Count(out, "\n") != 1 || len(out) < 2 {
		t.Errorf("%d %q", status, out)
	}
}
