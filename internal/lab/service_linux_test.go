package lab

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// served is a node whose interface is configured by the system's network service; list sets what instance metadata lists.
func served(t *testing.T, answer time.Duration) (n *Node, list func(...netip.Addr)) {
	t.Helper()
	if _, err := NetworkServiceVersion(); errors.Is(err, ErrNoNetworkService) && os.Getenv(requireRoot) != "1" {
		t.Skipf("%v (set %s=1 to fail instead)", err, requireRoot)
	}
	dir := t.TempDir() // it goes after the programs that write in it
	l, _, _ := newLab(t)
	var log record
	var secondary atomic.Pointer[[]netip.Addr]
	list = func(as ...netip.Addr) { secondary.Store(&as) }
	list()
	n, err := l.Launch(NodeOptions{Name: "nat3", Zone: "a", Address: third, Network: &NetworkService{
		Dir: dir, Answer: answer, Secondary: func() []netip.Addr { return *secondary.Load() }, Log: &log,
	}})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the network service says:\n%s", log.String())
		}
	})
	must(t, n.Online(t.Context()))
	return n, list
}

var third = netip.MustParseAddr("10.0.0.12")

// record is what programs wrote.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// has says that the node's interface has an address.
func has(t *testing.T, n *Node, want netip.Addr) bool {
	t.Helper()
	addresses, err := n.links.AddrList(n.eth.link, 2)
	must(t, err)
	for _, a := range addresses {
		if a.IP.Equal(want.AsSlice()) {
			return true
		}
	}
	return false
}

// refresh has other addresses found than before.
func refresh(t *testing.T, n *Node) {
	t.Helper()
	changed, err := n.Refresh(t.Context())
	must(t, err)
	if !changed {
		t.Error("no other address was found")
	}
}

// gaps counts how often the node lost its address or its way out while f ran.
func gaps(t *testing.T, n *Node, f func()) (lost int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	counted := make(chan int)
	go func() {
		lost, before := 0, true
		for ctx.Err() == nil {
			now := n.Connected()
			if before && !now {
				lost++
			}
			before = now
		}
		counted <- lost
	}()
	f()
	cancel()
	return <-counted
}

func TestTheNetworkServiceFindsASecondaryAddressAndLetsGoOfItAgain(t *testing.T) {
	n, list := served(t, 0)
	for _, want := range [][]netip.Addr{{zoneAddress}, {}} {
		list(want...)
		refresh(t, n)
		must(t, n.running().await(t.Context(), "the address is as listed", func() bool { return has(t, n, zoneAddress) == (len(want) > 0) }))
	}
}

// What the drop-in of the user data is for.
func TestTheNetworkServiceGivesTheLeaseUpToConfigureTheInterfaceAnewUnlessItIsToKeepIt(t *testing.T) {
	for _, test := range []struct {
		name, settings string
		keeps          bool
	}{
		{"by default", "[Network]\n", false},
		{"on stop", "[Network]\nKeepConfiguration=dhcp-on-stop\n", false},
		{"with everything kept", "[Network]\nKeepConfiguration=yes\n", false},
		{"with the lease kept", "[Network]\nKeepConfiguration=dhcp\n", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			n, list := served(t, 300*time.Millisecond)
			must(t, n.ConfigureNetwork(t.Context(), test.settings))
			list(zoneAddress)
			lost := gaps(t, n, func() { refresh(t, n) })
			if keeps := lost == 0; keeps != test.keeps {
				t.Errorf("the node was off the network %d times", lost)
			}
		})
	}
}
