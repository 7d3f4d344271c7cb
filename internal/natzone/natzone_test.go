package natzone

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheAgentsDocumentIsReadAsItWasWritten(t *testing.T) {
	a := Agent{
		Version: Version, Name: "egress", Zone: "eu-west-1a", Region: "eu-west-1",
		AllocationID: "eipalloc-1", PublicAddress: netip.MustParseAddr("203.0.113.7"), Address: netip.MustParseAddr("10.0.0.250"),
		RouteTables: []string{"rtb-1"}, Destinations: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), NAT64Prefix()}, NAT64: true,
		Standby: "nat-1", Group: "egress-eu-west-1a", LaunchHook: LaunchHook, TerminateHook: TerminateHook,
		Targets: []Target{"https://192.0.2.1/"}, Identity: []string{"https://identity.example/"},
		Tuning: DefaultTuning(), Restore: DefaultRestore(), MetricNamespace: MetricNamespace, HealthPort: HealthPort,
	}
	data, err := a.JSON()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseAgent(data)
	if err != nil {
		t.Fatal(err)
	}
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	prefixes := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if diff := cmp.Diff(&a, got, same, prefixes); diff != "" {
		t.Error(diff)
	}
}

func TestADocumentThatTheAgentWouldRefuseIsNotRead(t *testing.T) {
	for name, d := range map[string]string{"part of": "64:ff9b::/104", "more than": "64:ff9b::/64", "beside": "2001:db8::/32"} {
		a := Agent{Version: Version, NAT64: true, Destinations: []netip.Prefix{NAT64Prefix(), netip.MustParsePrefix(d)}}
		data, err := a.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := AgentOf("cat <<'" + AgentMarker + "'\n" + string(data) + "\n" + AgentMarker + "\n"); err == nil || !strings.Contains(err.Error(), "destinations[1]: "+d) {
			t.Errorf("%s the prefix of NAT64: %v", name, err)
		}
	}
}

func TestADocumentOfAnotherReleaseIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ value, want string }{
		"unknown field":   {`{"version": 1, "zones": []}`, `"zones"`},
		"another version": {`{"version": 2}`, "version: 2"},
		"not JSON":        {`zone a`, "invalid"},
	} {
		_, err := ParseProber(test.value)
		if err == nil || !strings.Contains(err.Error(), ProberVariable) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error that names %s and %s", name, err, ProberVariable, test.want)
		}
	}
}

func TestAReportOfAQuietMinuteIsShort(t *testing.T) {
	data, err := json.Marshal(Report{Version: Version, Zone: "a", Rounds: 240, Attempts: 720})
	if err != nil {
		t.Fatal(err)
	}
	for _, absent := range []string{"until", "cause", "classes", "failing", "egress", "agent"} {
		if strings.Contains(string(data), `"`+absent+`"`) {
			t.Errorf("%s is in %s", absent, data)
		}
	}
}

func TestATargetIsAURLWithAHost(t *testing.T) {
	for target, ok := range map[Target]bool{
		"https://a.example/": true, "http://192.0.2.1:8080/x?y": true, "http://[2001:db8::1]/": true,
		"a.example": false, "https:///": false, "ftp://a.example": false, "http://a.example:99999/": false, "http://a b/": false, "http://:80/": false,
	} {
		if _, err := target.URL(); (err == nil) != ok {
			t.Errorf("%s: %v", target, err)
		}
	}
}
