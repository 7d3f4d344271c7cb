package nat64

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// requireRoot is set where the tests that need root must not be skipped.
const requireRoot = "POLYNAT_REQUIRE_ROOT"

// newNamespace makes a network namespace, with its loopback up.
func newNamespace(t *testing.T) netns.NsHandle {
	t.Helper()
	var ns netns.NsHandle
	err := onThread(-1, func() (err error) {
		if ns, err = netns.New(); err != nil {
			return err
		}
		lo, err := netlink.LinkByName("lo")
		return errors.Join(err, netlink.LinkSetUp(lo))
	})
	if errors.Is(err, syscall.EPERM) && os.Getenv(requireRoot) != "1" {
		t.Skipf("making a network namespace needs root (set %s=1 to fail instead)", requireRoot)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

// onThread runs f on a thread of its own, in a namespace unless it is -1. The thread ends with f.
func onThread(ns netns.NsHandle, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if ns >= 0 {
			if err := netns.Set(ns); err != nil {
				done <- err
				return
			}
		}
		done <- f()
	}()
	return <-done
}

// cable connects two namespaces and gives each end its address.
func cable(t *testing.T, name string, a, b netns.NsHandle, atA, atB string) {
	t.Helper()
	err := onThread(a, func() error {
		err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "p", PeerNamespace: netlink.NsFd(b)})
		return errors.Join(err, configure(name, atA))
	})
	err = errors.Join(err, onThread(b, func() error { return configure(name+"p", atB) }))
	if err != nil {
		t.Fatal(err)
	}
}

func configure(name, address string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	a.Flags = syscall.IFA_F_NODAD
	return errors.Join(netlink.AddrAdd(link, a), netlink.LinkSetUp(link))
}

func defaultRoute(ns netns.NsHandle, via string) error {
	return onThread(ns, func() error {
		gateway := netip.MustParseAddr(via)
		dst := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
		if gateway.Is6() {
			dst = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
		}
		return netlink.RouteAdd(&netlink.Route{Dst: dst, Gw: gateway.AsSlice()})
	})
}

// A client with IPv6 alone fetches a megabyte from a server with IPv4 alone: over a link with jumbo frames, so that the
// segment size has to be right too.
func TestAClientWithoutIPv4ReachesAServerWithoutIPv6(t *testing.T) {
	client, nat, server := newNamespace(t), newNamespace(t), newNamespace(t)
	cable(t, "inside", client, nat, "2001:db8:1::7/64", "2001:db8:1::1/64")
	cable(t, "outside", nat, server, "203.0.113.1/24", "203.0.113.9/24")
	if err := errors.Join(
		defaultRoute(client, "2001:db8:1::1"),
		defaultRoute(server, "203.0.113.1"), // in place of the kernel's source NAT
		onThread(nat, func() error {
			for _, name := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
				if err := os.WriteFile(filepath.Join("/proc/sys/net", name), []byte("1"), 0o600); err != nil {
					return err
				}
			}
			return nil
		}),
	); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- onThread(nat, func() error { return Run(ctx, Config{Queues: 2}) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the translation ended with: %v", err)
		}
	})

	var listener net.Listener
	if err := onThread(server, func() (err error) {
		listener, err = net.Listen("tcp4", "203.0.113.9:80")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("polynat "), 1<<17)
	web := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("From", r.RemoteAddr)
		w.Write(body) //nolint:errcheck // the client finds out
	})}
	go web.Serve(listener) //nolint:errcheck // ends with the test
	t.Cleanup(func() { web.Close() })

	var got []byte
	var from string
	fetch := func() error {
		c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialIn(client)}}
		r, err := c.Get("http://[64:ff9b::203.0.113.9]/")
		if err != nil {
			return err
		}
		defer r.Body.Close()
		from = r.Header.Get("From")
		got, err = io.ReadAll(r.Body)
		return err
	}
	err := fetch()
	for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); err = fetch() {
		runtime.Gosched() // the device is on its way up
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, body) {
		t.Errorf("%d bytes came, and not those that were sent", len(got))
	}
	if !strings.HasPrefix(from, "198.18.") {
		t.Errorf("the server saw %s, want an address of the pool", from)
	}
}

// dialIn dials from within a namespace.
func dialIn(ns netns.NsHandle) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = onThread(ns, func() (err error) {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return err
			}
			conn, err = (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, network, net.JoinHostPort(host, port))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("from the client: %w", err)
		}
		return conn, nil
	}
}
