package kernel

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"polynat/internal/lab"
	"polynat/internal/natzone"
)

// amazon is a NAT instance whose interface is configured by the system's network service, as on Amazon Linux, and whose kernel is
// kept as natd keeps it.
type amazon struct {
	lab  *lab.Lab
	node *lab.Node
	// held is what natd knows of the zone's address, listed what instance metadata says.
	held, listed atomic.Bool
	tables       []string
}

var (
	zoned  = netip.MustParseAddr("10.0.0.250")
	public = map[netip.Addr]netip.Addr{zoned: netip.MustParseAddr("203.0.113.1"), primary: netip.MustParseAddr("203.0.113.10")}
)

// lateLease is how long the DHCP server takes for an answer.
const lateLease = 300 * time.Millisecond

// boot makes the instance, with the settings that its user data has for the network service.
func boot(t *testing.T, settings string) *amazon {
	t.Helper()
	if _, err := lab.NetworkServiceVersion(); errors.Is(err, lab.ErrNoNetworkService) && os.Getenv(requireRoot) != "1" {
		t.Skipf("%v (set %s=1 to fail instead)", err, requireRoot)
	}
	var log lines
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(log.String())
		}
	})
	dir := t.TempDir()
	l, err := lab.New(lab.Default("a"))
	if errors.Is(err, lab.ErrPrivilege) && os.Getenv(requireRoot) != "1" {
		t.Skipf("%v (set %s=1 to fail instead)", err, requireRoot)
	}
	must(t, err)
	t.Cleanup(l.Close)
	a := &amazon{lab: l, tables: []string{"rtb-a-1", "rtb-a-2", "rtb-a-3"}}
	a.node, err = l.Launch(lab.NodeOptions{Name: "nat", Zone: "a", Address: primary, Network: &lab.NetworkService{
		Dir: dir, Answer: lateLease, Log: &log, Secondary: func() []netip.Addr {
			if a.listed.Load() {
				return []netip.Addr{zoned}
			}
			return nil
		},
	}})
	must(t, err)
	must(t, a.node.CheckSource(false))
	must(t, l.Translate(public))
	must(t, l.Assign(zoned, "nat"))
	for _, table := range a.tables {
		must(t, l.SetRoute(table, netip.MustParsePrefix("0.0.0.0/0"), "nat"))
	}
	must(t, a.node.Online(t.Context()))
	must(t, a.node.ConfigureNetwork(t.Context(), settings))
	a.held.Store(true)
	a.keep(t, &log)
	return a
}

// keep converges the kernel whenever it has changed, as natd does. The address is looked at more often than natd does: so that
// whatever can happen when natd is quicker than the network service does happen.
func (a *amazon) keep(t *testing.T, log *lines) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	begun := make(chan struct{})
	go func() {
		ended <- a.node.Do(func() error {
			k, err := Open()
			if err != nil {
				return err
			}
			defer k.Close()
			changes, err := Watch(ctx)
			if err != nil {
				return err
			}
			tick := time.NewTicker(200 * time.Microsecond)
			defer tick.Stop()
			for converged := false; ; {
				c := example()
				held := a.held.Load()
				c.Held, c.Address = &held, zoned
				select {
				case <-ctx.Done():
					return nil
				case <-changes:
				case <-tick.C:
					if !converged {
						break
					}
					changed, err := k.applyAddress(c)
					log.add(changed, text(err))
					continue
				}
				r, err := k.Converge(c)
				log.add(append(r.Changed, text(err))...)
				if !converged {
					converged = true
					close(begun)
				}
			}
		})
	}()
	select {
	case <-begun:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
	})
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// lines is what was said, for when a test fails.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) add(lines ...string) {
	for _, line := range lines {
		if line != "" {
			_, _ = l.Write([]byte("natd: " + line + "\n"))
		}
	}
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// refresh has the network service find that instance metadata says something else.
func (a *amazon) refresh(t *testing.T) {
	t.Helper()
	if changed, err := a.node.Refresh(t.Context()); err != nil || !changed {
		t.Fatalf("%v, changed %v", err, changed)
	}
}

// on waits until the zone's address is on the interface, or is not.
func (a *amazon) on(t *testing.T, want bool) {
	t.Helper()
	eventually(t, func() bool {
		on := false
		must(t, a.node.Do(func() error {
			link, err := netlink.LinkByName("eth0")
			if err != nil {
				return err
			}
			addresses, err := netlink.AddrList(link, unix.AF_INET)
			for _, at := range addresses {
				on = on || at.IP.Equal(zoned.AsSlice())
			}
			return err
		}))
		return on == want
	}, "the zone's address is on the interface: %v, not yet", want)
}

func eventually(t *testing.T, condition func() bool, what string, args ...any) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf(what, args...)
		case <-tick.C:
		}
	}
}

// during counts what clients lose while f runs.
func (a *amazon) during(t *testing.T, f func()) (lost, cut int) {
	t.Helper()
	held, err := a.lab.Hold(a.tables, 8)
	must(t, err)
	load := a.lab.Load(a.tables, 50)
	f()
	lost = load.Stop().Lost()
	cut, _ = held.Stop()
	return lost, cut
}

// With an address of its own kind, natd took the interface off the network for good, and without the drop-in of the user data for
// a second.
func TestTheNetworkServiceFindsTheAddressAndNobodyNotices(t *testing.T) {
	a := boot(t, natzone.NetworkSettings)
	a.on(t, true)
	lost, cut := a.during(t, func() {
		for _, listed := range []bool{true, false, true} { // metadata may be late, and may take back what it said
			a.listed.Store(listed)
			a.refresh(t)
			a.on(t, true)
		}
	})
	if lost > 0 || cut > 0 || !a.node.Connected() {
		t.Errorf("%d new connections lost, %d established ones cut, connected %v", lost, cut, a.node.Connected())
	}
}

func TestTheAddressGoesEvenWhenTheNetworkServiceHasMadeItItsOwn(t *testing.T) {
	a := boot(t, natzone.NetworkSettings)
	a.listed.Store(true)
	a.refresh(t)
	a.on(t, true)
	a.held.Store(false)
	a.on(t, false)
	if !a.node.Connected() {
		t.Error("the instance is off the network")
	}
}

// size of packets that the instance's route to a destination is for; 0 for the interface's.
func (a *amazon) size(t *testing.T, destination string) (size int) {
	t.Helper()
	must(t, a.node.Do(func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		routes, err := netlink.RouteList(link, unix.AF_INET)
		for _, r := range routes {
			if r.Dst.String() == destination {
				size = r.MTU
				return err
			}
		}
		return errors.Join(err, errors.New("no route to "+destination))
	}))
	return size
}

// The Internet drops what is too large and tells nobody. The instance has to tell, whose own interface takes as much as the client's.
func TestTheInstanceTellsClientsHowLargeAPacketTheInternetTakes(t *testing.T) {
	for settings, want := range map[string]struct{ client, way int }{
		"[Network]\nKeepConfiguration=dhcp": {jumbo, 0}, natzone.NetworkSettings: {internet, internet},
	} {
		a := boot(t, settings)
		a.listed.Store(true)
		a.refresh(t) // the interface is configured anew
		var c *net.UDPConn
		must(t, a.lab.Host(a.tables[0]).Do(func() (err error) {
			c, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(lab.FirstServer, 9)))
			return err
		}))
		defer c.Close()
		if size := unfragmented(t, c, silence); size != want.client {
			t.Errorf("with %q the client knows of packets of %d bytes, want %d", settings, size, want.client)
		}
		if way, near := a.size(t, "0.0.0.0/0"), a.size(t, "10.0.0.0/24"); way != want.way || near != 0 {
			t.Errorf("with %q the default route is for packets of %d bytes, that of the subnet for %d", settings, way, near)
		}
	}
}
