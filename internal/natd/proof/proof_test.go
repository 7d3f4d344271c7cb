package proof

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"polynat/internal/natzone"
)

func direct(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp4", to.String())
}

// raw answers each connection with what it likes, and closes it.
func raw(t *testing.T, answer func(net.Conn)) natzone.Target {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Read(make([]byte, 4096))
				answer(c)
			}()
		}
	}()
	return natzone.Target("http://" + l.Addr().String() + "/")
}

func TestEachWayToFailHasItsClass(t *testing.T) {
	answers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer answers.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	defer untrusted.Close()
	untrusted.Config.ErrorLog = nil
	done := make(chan struct{})
	defer close(done)
	refused := "http://127.0.0.1:1/"
	for name, test := range map[string]struct {
		target natzone.Target
		want   natzone.Class
	}{
		"any answer, also a 503": {natzone.Target(answers.URL), natzone.Answered},
		"nobody listens":         {natzone.Target(refused), natzone.Refused},
		"reset":                  {raw(t, func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }), natzone.Reset},
		"closed without a word":  {raw(t, func(net.Conn) {}), natzone.Reset},
		"cut in the middle": {raw(t, func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it")
		}), natzone.Reset},
		"drips": {raw(t, func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n.")
			<-done
		}), natzone.Timeout},
		"no certificate that is trusted": {natzone.Target(untrusted.URL), natzone.TLS},
		"no such name":                   {"http://no.such.name.invalid/", natzone.DNS},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Plan{Targets: []natzone.Target{test.target}, Timeout: 10 * time.Second}
			if test.want == natzone.Timeout {
				plan.Timeout = 400 * time.Millisecond
			}
			r := Try(t.Context(), direct, plan)
			if diff := cmp.Diff(map[natzone.Class]int{test.want: 1}, r.Classes); diff != "" {
				t.Errorf("%s\n%q", diff, r.Failures)
			}
			if works := r.Works() == nil; works != (test.want == natzone.Answered) {
				t.Errorf("works: %v", works)
			}
		})
	}
}

func TestHalfOfTheTargetsHaveToAnswer(t *testing.T) {
	for _, test := range []struct {
		answered, tried int
		works           bool
	}{{0, 0, false}, {0, 3, false}, {1, 3, false}, {2, 3, true}, {1, 2, true}, {3, 3, true}} {
		r := Result{Answered: test.answered, Tried: test.tried}
		if works := r.Works() == nil; works != test.works {
			t.Errorf("%d of %d works: %v", test.answered, test.tried, works)
		}
	}
}

func TestTheIdentityIsTheAddressThatTheURLNames(t *testing.T) {
	seen := []netip.Addr{netip.MustParseAddr("203.0.113.7")}
	for body, want := range map[string][]netip.Addr{
		"203.0.113.7\n": seen, " 203.0.113.7 ": seen, "fl=1\nip=203.0.113.7\n": seen, "<html>": nil, "": nil,
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		r := Try(t.Context(), direct, Plan{Identity: []string{s.URL}})
		s.Close()
		if !slices.Equal(r.Egress, want) {
			t.Errorf("%q: %v", body, r.Egress)
		}
	}
}

func TestAnErrorPageIsNoIdentity(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "edge server 198.51.100.77 is busy", http.StatusServiceUnavailable)
	}))
	defer s.Close()
	if r := Try(t.Context(), direct, Plan{Identity: []string{s.URL}}); len(r.Egress) > 0 || len(r.Failures) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestTheNetworkOfTheProofIsNoneOfTheVPCs(t *testing.T) {
	usual, err := Choose([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10")})
	if err != nil || usual != Networks()[0] {
		t.Errorf("usual: %s, %v", usual, err)
	}
	odd, err := Choose([]netip.Prefix{netip.MustParsePrefix("192.0.0.0/24")})
	if err != nil || odd != Networks()[1] {
		t.Errorf("a VPC that uses it: %s, %v", odd, err)
	}
	if _, err := Choose([]netip.Prefix{netip.MustParsePrefix("128.0.0.0/1")}); err == nil || !strings.Contains(err.Error(), "192.0.0.0/29") {
		t.Errorf("error %v", err)
	}
	gateway, client, canary := Addresses(usual)
	if diff := cmp.Diff("192.0.0.1 192.0.0.2 192.0.0.3", fmt.Sprint(gateway, " ", client, " ", canary)); diff != "" {
		t.Error(diff)
	}
}
