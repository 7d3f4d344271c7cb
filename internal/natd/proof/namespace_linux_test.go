package proof

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// requireRoot is set where the tests that need root must not be skipped.
const requireRoot = "POLYNAT_REQUIRE_ROOT"

// instance moves the test's thread to a network of its own.
func instance(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := netns.New()
	if errors.Is(err, syscall.EPERM) && os.Getenv(requireRoot) != "1" {
		runtime.UnlockOSThread()
		t.Skipf("making a network namespace needs root (set %s=1 to fail instead)", requireRoot)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ns.Close()
		if err := netns.Set(before); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
}

func exists(t *testing.T) bool {
	t.Helper()
	_, err := netlink.LinkByName(Device)
	return err == nil
}

func TestWhatIsSentFromTheNamespaceComesInAsAClientsPackets(t *testing.T) {
	instance(t)
	network := Networks()[0]
	n, err := Open(network)
	if err != nil {
		t.Fatal(err)
	}
	gateway, client, canary := Addresses(network)
	l, err := net.Listen("tcp4", gateway.String()+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	to := l.Addr().(*net.TCPAddr).AddrPort()
	for _, from := range []netip.Addr{client, canary} {
		c, err := n.Dialer(from)(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := far.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); got != from {
			t.Errorf("came from %s, not %s", got, from)
		}
		far.Close()
		c.Close()
	}
	if err := n.Close(); err != nil || exists(t) {
		t.Errorf("closed: %v, still there: %v", err, exists(t))
	}
}

func TestWhatACrashLeftBehindIsReplaced(t *testing.T) {
	instance(t)
	crashed, err := Open(Networks()[0])
	if err != nil {
		t.Fatal(err)
	}
	n, err := Open(Networks()[0])
	if err != nil {
		t.Fatal(err)
	}
	if !n.Works() {
		t.Error("the pair is not up")
	}
	if err := n.remove(); err != nil {
		t.Fatal(err)
	}
	if n.Works() || crashed.Works() {
		t.Error("a pair that somebody deleted works")
	}
	for _, space := range []*Namespace{n, crashed} {
		if err := space.Close(); err != nil {
			t.Error(err)
		}
	}
}
