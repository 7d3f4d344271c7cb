package kernel

import (
	"errors"
	"fmt"
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

// network is a client, a NAT instance and a server on the Internet, each in a network namespace of its own:
//
//	client 10.0.1.2 ── 10.0.1.1 eth1 [instance] eth0 10.0.0.10 (and 10.0.0.250) ── 10.0.0.1 server 198.51.100.1
//
// The test's goroutine keeps its thread, which is in the instance unless in is used.
type network struct {
	client, instance, server netns.NsHandle
}

var (
	primary  = netip.MustParseAddr("10.0.0.10")
	address  = netip.MustParseAddr("10.0.0.250")
	clientIP = netip.MustParseAddr("10.0.1.2")
	serverIP = netip.MustParseAddr("198.51.100.1")
)

// example is the configuration of the instance of a [network].
func example() Config {
	return Config{
		Outside: "eth0", Address: address, Primary: primary, Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")},
		MidStream: Reset, HealthPort: 9465, EstablishedTimeout: 350e9, UDPTimeout: 50e9, UDPStreamTimeout: 170e9,
		MaxConnections: 65536,
	}
}

func newNetwork(t testing.TB) *network {
	t.Helper()
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	made := make([]netns.NsHandle, 3)
	for i := range made {
		made[i], err = netns.New()
		if errors.Is(err, syscall.EPERM) && os.Getenv(requireRoot) != "1" {
			runtime.UnlockOSThread()
			t.Skipf("making a network namespace needs root (set %s=1 to fail instead)", requireRoot)
		}
		must(t, err)
	}
	n := &network{client: made[0], server: made[1], instance: made[2]}
	t.Cleanup(func() {
		must(t, netns.Set(before))
		for _, ns := range append(made, before) {
			must(t, ns.Close())
		}
		runtime.UnlockOSThread()
	})
	n.connect(t, n.instance, "eth1", "10.0.1.1/24", n.client, "10.0.1.2/24")
	n.connect(t, n.instance, "eth0", "10.0.0.10/24", n.server, "10.0.0.1/24")
	n.addAddress(t, n.instance, "eth0", "10.0.0.250/32")
	n.addAddress(t, n.server, "lo", "198.51.100.1/32")
	n.defaultVia(t, n.client, "10.0.1.1")
	n.defaultVia(t, n.instance, "10.0.0.1")
	// What leaves untranslated finds no way back, as on AWS.
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// in runs f in a namespace. Sockets opened there stay there.
func (n *network) in(t testing.TB, ns netns.NsHandle, f func()) {
	t.Helper()
	must(t, netns.Set(ns))
	defer func() { must(t, netns.Set(n.instance)) }()
	f()
}

// connect makes a link between two namespaces; the far end is eth0.
func (n *network) connect(t testing.TB, ns netns.NsHandle, name, addr string, far netns.NsHandle, farAddr string) {
	t.Helper()
	n.in(t, ns, func() {
		must(t, netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(far))}))
	})
	for _, end := range []struct {
		ns         netns.NsHandle
		name, addr string
	}{{ns, name, addr}, {far, "eth0", farAddr}} {
		n.in(t, end.ns, func() {
			for _, name := range []string{"lo", end.name} {
				link, err := netlink.LinkByName(name)
				must(t, err)
				must(t, netlink.LinkSetUp(link))
			}
		})
		n.addAddress(t, end.ns, end.name, end.addr)
	}
}

func (n *network) addAddress(t testing.TB, ns netns.NsHandle, name, addr string) {
	t.Helper()
	n.in(t, ns, func() {
		link, err := netlink.LinkByName(name)
		must(t, err)
		a, err := netlink.ParseAddr(addr)
		must(t, err)
		must(t, netlink.AddrAdd(link, a))
	})
}

func (n *network) defaultVia(t testing.TB, ns netns.NsHandle, gateway string) {
	t.Helper()
	n.in(t, ns, func() {
		must(t, netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(gateway)}))
	})
}

// open is Open in the instance.
func (n *network) open(t testing.TB) *Kernel {
	t.Helper()
	k, err := Open()
	must(t, err)
	t.Cleanup(k.Close)
	return k
}

func write(t testing.TB, path, value string) {
	t.Helper()
	must(t, os.WriteFile(fmt.Sprintf("/proc/sys/%s", path), []byte(value), 0))
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile("/proc/sys/" + path)
	must(t, err)
	return string(data[:len(data)-1])
}

// onThread runs f in the instance, for goroutines other than the test's.
func onThread(t testing.TB, n *network, f func()) {
	runtime.LockOSThread() // it ends with the goroutine
	if err := netns.Set(n.instance); err != nil {
		t.Error(err)
		return
	}
	f()
}
