package natd

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"polynat/internal/natzone"
)

func TestHealthIsAnsweredToTheVPCOnly(t *testing.T) {
	for allowed, works := range map[string]bool{"127.0.0.0/8": true, "10.0.0.0/8": false} {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := healthServer(func() natzone.Health { return natzone.Health{Instance: "i-1", Ready: true} }, http.NotFound)
		go server.Serve(private{l, netip.MustParsePrefix(allowed).Contains}) //nolint:errcheck // until it is closed
		resp, err := http.Get("http://" + l.Addr().String() + "/health")
		if (err == nil) != works {
			t.Errorf("clients of %s: %v", allowed, err)
		}
		if err == nil {
			resp.Body.Close()
		}
		server.Close()
	}
}

func TestHealthHasTheStatusOfWhatItSays(t *testing.T) {
	for status, want := range map[int]natzone.Health{
		http.StatusOK:                 {Instance: "i-1", Ready: true, Holds: true, Own: own},
		http.StatusServiceUnavailable: {Instance: "i-1", Reason: "no answer"},
	} {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := healthServer(func() natzone.Health { return want }, http.NotFound)
		go server.Serve(l) //nolint:errcheck // until it is closed
		resp, err := http.Get("http://" + l.Addr().String() + "/health")
		if err != nil {
			t.Fatal(err)
		}
		var got natzone.Health
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" || resp.StatusCode != status {
			t.Errorf("%d, want %d\n%s", resp.StatusCode, status, diff)
		}
		server.Close()
	}
}
