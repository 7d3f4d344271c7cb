package route_test

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
	"go4.org/netipx"
	"pgregory.net/rapid"

	"polynat/internal/route"
)

// A kernel is the forwarding table of a network namespace that holds nothing
// else. Each next hop is one end of a veth pair, which every kernel has that
// runs containers.
type kernel struct {
	*netlink.Handle
	links map[string]int // index by name
	names map[int]string
}

// requireRoot is set where the tests that need root must not be skipped.
const requireRoot = "POLYNAT_REQUIRE_ROOT"

func newKernel(t *testing.T, hops ...string) *kernel {
	t.Helper()
	// A namespace belongs to a thread, but a netlink socket stays in the one
	// it was opened in, so the thread is needed only until then.
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	ns, err := netns.New()
	if err != nil {
		runtime.UnlockOSThread()
		if errors.Is(err, syscall.EPERM) && os.Getenv(requireRoot) != "1" {
			t.Skipf("making a network namespace needs root (set %s=1 to fail instead)", requireRoot)
		}
		t.Fatalf("make a network namespace: %v", err)
	}
	defer ns.Close()
	handle, err := netlink.NewHandle(syscall.NETLINK_ROUTE)
	if back := netns.Set(before); back != nil {
		t.Fatalf("leave the network namespace: %v", back) // the thread stays locked and ends with the test
	}
	runtime.UnlockOSThread()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(handle.Close)

	k := &kernel{handle, map[string]int{}, map[int]string{}}
	for _, hop := range hops {
		peer := hop + "-peer"
		if err := k.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: hop}, PeerName: peer}); err != nil {
			t.Fatalf("add link %s: %v", hop, err)
		}
		for _, name := range []string{peer, hop} {
			if err := k.LinkSetUp(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}}); err != nil {
				t.Fatalf("set link %s up: %v", name, err)
			}
		}
		link, err := k.LinkByName(hop)
		if err != nil {
			t.Fatal(err)
		}
		k.links[hop], k.names[link.Attrs().Index] = link.Attrs().Index, hop
	}
	return k
}

func (k *kernel) route(e route.Entry[string]) *netlink.Route {
	return &netlink.Route{Dst: netipx.PrefixIPNet(e.Prefix), LinkIndex: k.links[e.Hop], Scope: netlink.SCOPE_LINK}
}

// insert reports false if there is an entry with the prefix.
func (k *kernel) insert(e route.Entry[string]) (bool, error) {
	err := k.RouteAdd(k.route(e))
	if errors.Is(err, syscall.EEXIST) {
		return false, nil
	}
	return err == nil, err
}

func (k *kernel) delete(e route.Entry[string]) error { return k.RouteDel(k.route(e)) }

// lookup returns the entry that the kernel would forward by, and false if
// there is none.
func (k *kernel) lookup(a netip.Addr) (route.Entry[string], bool, error) {
	routes, err := k.RouteGetWithOptions(net.IP(a.AsSlice()), &netlink.RouteGetOptions{FIBMatch: true})
	if errors.Is(err, syscall.ENETUNREACH) {
		return route.Entry[string]{}, false, nil
	}
	if err != nil {
		return route.Entry[string]{}, false, err
	}
	if len(routes) != 1 {
		return route.Entry[string]{}, false, fmt.Errorf("%d routes", len(routes))
	}
	p := route.Default()
	if dst := routes[0].Dst; dst != nil {
		var ok bool
		if p, ok = netipx.FromStdIPNet(dst); !ok {
			return route.Entry[string]{}, false, fmt.Errorf("destination %v", dst)
		}
	}
	return route.Entry[string]{Prefix: p, Hop: k.names[routes[0].LinkIndex]}, true, nil
}

func (k *kernel) flush(t *rapid.T) {
	routes, err := k.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if err := k.RouteDel(&r); err != nil {
			t.Fatalf("delete %v: %v", r, err)
		}
	}
}

// agree compares table and kernel at every address where they could begin to
// differ, and at a random one.
func (k *kernel) agree(t *rapid.T, table *route.Table[string]) {
	t.Helper()
	samples := []netip.Addr{ipv4(rapid.Uint32Range(1<<24, 1<<32-1).Draw(t, "address"))}
	for _, r := range route.Classes(table, nil) {
		samples = append(samples, r.From(), r.To())
	}
	for _, a := range samples {
		want, ok, err := k.lookup(a)
		if err != nil {
			t.Fatalf("the kernel's lookup of %v: %v", a, err)
		}
		p, hops := table.Lookup(a)
		switch {
		case !ok && len(hops) != 0:
			t.Fatalf("%v: the table says %v %v, the kernel has no route", a, p, hops)
		case ok && (len(hops) != 1 || p != want.Prefix || hops[0] != want.Hop):
			t.Fatalf("%v: the table says %v %v, the kernel %v", a, p, hops, want)
		}
	}
}

func TestTheKernelForwardsByTheSameEntry(t *testing.T) {
	k := newKernel(t, "old", "nat", "vpn")
	rapid.Check(t, func(t *rapid.T) {
		k.flush(t)
		var table route.Table[string]
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { k.agree(t, &table) },
			"insert": func(t *rapid.T) {
				e := entry.Draw(t, "entry")
				inserted, err := k.insert(e)
				if err != nil {
					t.Fatalf("insert %v: %v", e, err)
				}
				if taken := has(&table, e.Prefix); inserted == taken {
					t.Fatalf("insert %v: done %t, prefix taken %t: not one entry per prefix", e, inserted, taken)
				}
				if inserted {
					table.Insert(e.Prefix, e.Hop)
				}
			},
			"delete": func(t *rapid.T) {
				es := table.Entries()
				if len(es) == 0 {
					t.Skip("nothing to delete")
				}
				e := rapid.SampledFrom(es).Draw(t, "entry")
				if err := k.delete(e); err != nil {
					t.Fatalf("delete %v: %v", e, err)
				}
				table.Delete(e.Prefix, e.Hop)
			},
		})
	})
}

func has(table *route.Table[string], p netip.Prefix) bool {
	for _, e := range table.Entries() {
		if e.Prefix == p {
			return true
		}
	}
	return false
}

func TestTheKernelKeepsARouteForEveryDestinationOfAMigration(t *testing.T) {
	k := newKernel(t, "old", "nat")
	rapid.Check(t, func(t *rapid.T) {
		k.flush(t)
		var table route.Table[string]
		// step changes both and asks both whether anything is lost.
		step := func(change string, e route.Entry[string]) {
			var err error
			switch change {
			case "insert":
				table.Insert(e.Prefix, e.Hop)
				_, err = k.insert(e)
			case "delete":
				table.Delete(e.Prefix, e.Hop)
				err = k.delete(e)
			}
			if err != nil {
				t.Fatalf("%s %v: %v", change, e, err)
			}
			k.agree(t, &table)
			if lost := route.Judge(&table, nil, all); lost != nil {
				t.Fatalf("after %s %v: %v", change, e, lost)
			}
		}
		order := rapid.Permutation(route.Blocks())
		step("insert", route.Entry[string]{Prefix: route.Default(), Hop: "old"})
		for _, b := range order.Draw(t, "cover") {
			step("insert", route.Entry[string]{Prefix: b, Hop: "old"})
		}
		step("delete", route.Entry[string]{Prefix: route.Default(), Hop: "old"})
		step("insert", route.Entry[string]{Prefix: route.Default(), Hop: "nat"})
		for _, b := range order.Draw(t, "switch") {
			step("delete", route.Entry[string]{Prefix: b, Hop: "old"})
		}
	})
}
