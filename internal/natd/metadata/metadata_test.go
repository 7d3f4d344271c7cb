package metadata

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
)

// service is instance metadata of version 2.
type service struct {
	mu     sync.Mutex
	values map[string]string
	asked  map[string]int
	status int
	denied map[string]bool
	// hanging is closed when the answer for hangs is to come; nil for at once. It tells hung of each that waits.
	hangs   string
	hanging chan struct{}
	hung    chan struct{}
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.hanging != nil && strings.HasSuffix(r.URL.Path, s.hangs) {
		s.hung <- struct{}{}
		<-s.hanging
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/latest/api/token" {
		if s.status == http.StatusForbidden || r.Method != http.MethodPut {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		_, _ = w.Write([]byte("token"))
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/latest/meta-data/")
	s.asked[path]++
	value, ok := s.values[path]
	switch {
	case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "token":
		w.WriteHeader(http.StatusUnauthorized)
	case s.denied[path]:
		w.WriteHeader(http.StatusForbidden)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	default:
		_, _ = w.Write([]byte(value))
	}
}

const mac = "network/interfaces/macs/02:00:00:00:00:01/"

func newService(t *testing.T) (*service, *Client) {
	t.Helper()
	s := &service{asked: map[string]int{}, values: map[string]string{
		"instance-id": "i-1", "mac": "02:00:00:00:00:01", "local-ipv4": "10.0.0.10", mac + "interface-id": "eni-1", mac + "vpc-id": "vpc-1",
		mac + "local-ipv4s": "10.0.0.10\n10.0.0.250", mac + "vpc-ipv4-cidr-blocks": "10.0.0.0/16\n100.64.0.0/16",
		mac + "ipv4-associations/": "203.0.113.7\n203.0.113.8", mac + "ipv4-associations/203.0.113.7": "10.0.0.250", mac + "ipv4-associations/203.0.113.8": "10.0.0.10",
	}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)
	return s, New(aws.Config{})
}

func identity(t *testing.T, c *Client) Identity {
	t.Helper()
	i, err := c.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

var (
	addr     = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	prefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
)

func TestTheIdentityIsAskedForOnce(t *testing.T) {
	s, c := newService(t)
	want := Identity{Instance: "i-1", MAC: "02:00:00:00:00:01", Interface: "eni-1", VPC: "vpc-1", Primary: netip.MustParseAddr("10.0.0.10")}
	for range 3 {
		if diff := cmp.Diff(want, identity(t, c), addr); diff != "" {
			t.Error(diff)
		}
	}
	if s.asked["instance-id"] != 1 {
		t.Errorf("asked %d times", s.asked["instance-id"])
	}
}

func TestAQuietStateIsReadWithoutWhatIsNotThere(t *testing.T) {
	s, c := newService(t)
	i := identity(t, c)
	want := State{
		Networks:      []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("100.64.0.0/16")},
		Addresses:     []netip.Addr{netip.MustParseAddr("10.0.0.10"), netip.MustParseAddr("10.0.0.250")},
		PrimaryPublic: true,
	}
	for range 2 {
		got, err := c.State(t.Context(), i)
		if diff := cmp.Diff(want, got, addr, prefixes); diff != "" || err != nil {
			t.Error(err, diff)
		}
	}
	if s.asked[mac+"vpc-ipv4-cidr-blocks"] != 1 || s.asked[mac+"local-ipv4s"] != 2 {
		t.Errorf("asked: %v", s.asked)
	}
	delete(s.values, mac+"ipv4-associations/203.0.113.8")
	s.values[mac+"ipv4-associations/"] = "203.0.113.7"
	c.Forget()
	if got, err := c.State(t.Context(), i); err != nil || got.PrimaryPublic {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWhatEndsTheInstanceIsSeen(t *testing.T) {
	s, c := newService(t)
	i := identity(t, c)
	s.values["autoscaling/target-lifecycle-state"] = "Terminated"
	s.values["spot/instance-action"] = `{"action": "terminate", "time": "2026-01-01T00:02:00Z"}`
	s.values["events/recommendations/rebalance"] = `{"noticeTime": "2026-01-01T00:00:00Z"}`
	got, err := c.State(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	if got.Target != "Terminated" || !got.Rebalance {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff(&SpotAction{"terminate", time.Date(2026, 1, 1, 0, 2, 0, 0, time.UTC)}, got.Spot); diff != "" {
		t.Error(diff)
	}
}

func TestAnEndIsSeenWhateverElseCannotBeRead(t *testing.T) {
	s, c := newService(t)
	i := identity(t, c)
	s.values["autoscaling/target-lifecycle-state"] = "Terminated"
	s.values["spot/instance-action"] = `{"action": "terminate", "time": "2026-01-01T00:02:00Z"}`
	whole := State{
		Target: "Terminated", Spot: &SpotAction{"terminate", time.Date(2026, 1, 1, 0, 2, 0, 0, time.UTC)}, PrimaryPublic: true,
		Networks:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("100.64.0.0/16")},
		Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.10"), netip.MustParseAddr("10.0.0.250")},
	}
	for path, lose := range map[string]func(*State){
		"autoscaling/target-lifecycle-state":  func(s *State) { s.Target = "" },
		"spot/instance-action":                func(s *State) { s.Spot = nil },
		"events/recommendations/rebalance":    func(*State) {},
		mac + "local-ipv4s":                   func(s *State) { s.Addresses = nil },
		mac + "vpc-ipv4-cidr-blocks":          func(s *State) { s.Networks, s.PrimaryPublic = nil, false },
		mac + "ipv4-associations/203.0.113.8": func(s *State) { s.Networks, s.PrimaryPublic = nil, false },
	} {
		want := whole
		lose(&want)
		s.denied = map[string]bool{path: true}
		c.Forget()
		got, err := c.State(t.Context(), i)
		if diff := cmp.Diff(want, got, addr, prefixes); diff != "" || err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %s", path, err, diff)
		}
	}
}

func TestForgettingWaitsForNoAnswerAndHoldsForOneThatIsOnItsWay(t *testing.T) {
	s, c := newService(t)
	i := identity(t, c)
	s.hangs, s.hanging, s.hung = "ipv4-associations/203.0.113.8", make(chan struct{}), make(chan struct{}, 10)
	asked := make(chan error)
	go func() {
		_, err := c.State(t.Context(), i)
		asked <- err
	}()
	<-s.hung
	c.Forget()
	close(s.hanging)
	if err := <-asked; err != nil {
		t.Fatalf("who forgets waited until the question was given up: %v", err)
	}
	s.values[mac+"vpc-ipv4-cidr-blocks"] = "10.1.0.0/16"
	if got, err := c.State(t.Context(), i); err != nil || len(got.Networks) != 1 {
		t.Errorf("what was asked for before is remembered: %+v, %v", got, err)
	}
}

func TestWithoutATokenNothingIsAsked(t *testing.T) {
	s, c := newService(t)
	s.status = http.StatusForbidden
	if _, err := c.Identity(t.Context()); err == nil {
		t.Error("version 1 was used")
	}
	if len(s.asked) > 0 {
		t.Errorf("asked: %v", s.asked)
	}
}
