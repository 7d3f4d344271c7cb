package kernel

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/ti-mo/conntrack"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// patience is how long an answer may take that has to come; silence is how long is waited for one that must not.
const (
	patience = 3 * time.Second
	silence  = 300 * time.Millisecond
)

// serve listens at the server and sends the address that each connection came from, then echoes.
func (n *network) serve(t testing.TB) netip.AddrPort {
	t.Helper()
	var l net.Listener
	n.in(t, n.server, func() {
		var err error
		l, err = net.Listen("tcp4", serverIP.String()+":0")
		must(t, err)
	})
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buffer := make([]byte, 1<<16)
				if _, err := c.Write([]byte(c.RemoteAddr().String() + "\n")); err != nil {
					return
				}
				for {
					m, err := c.Read(buffer)
					if err != nil {
						return
					}
					if _, err := c.Write(buffer[:m]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// dial connects from the namespace and returns the address that the server saw.
func (n *network) dial(t testing.TB, ns netns.NsHandle, to netip.AddrPort) (net.Conn, netip.AddrPort, error) {
	t.Helper()
	var c net.Conn
	var err error
	n.in(t, ns, func() { c, err = net.DialTimeout("tcp4", to.String(), patience) })
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(patience)))
	line := make([]byte, 64)
	m, err := c.Read(line)
	must(t, err)
	seen, err := netip.ParseAddrPort(string(line[:m-1]))
	must(t, err)
	return c, seen, nil
}

func exchange(c net.Conn, wait time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 5))
	return err
}

// pings makes connections from the client and expects that the server sees Address.
func (n *network) pings(t testing.TB, connections int) (kept int) {
	t.Helper()
	to := n.serve(t)
	for range connections {
		c, seen, err := n.dial(t, n.client, to)
		must(t, err)
		if seen.Addr() != address {
			t.Errorf("the server saw %s, not %s", seen.Addr(), address)
		}
		if c.LocalAddr().(*net.TCPAddr).AddrPort().Port() == seen.Port() {
			kept++
		}
	}
	return kept
}

func TestClientsLeaveFromTheZonesAddressWithRandomPorts(t *testing.T) {
	n := newNetwork(t)
	_, err := n.open(t).Converge(example())
	must(t, err)
	if kept := n.pings(t, 20); kept > 3 {
		t.Errorf("%d of 20 connections kept their source port", kept)
	}
}

func TestTheInstancesOwnConnectionsKeepThePrimaryAddress(t *testing.T) {
	for self, want := range map[bool]netip.Addr{false: primary, true: address} {
		n := newNetwork(t)
		c := example()
		c.Self = self
		_, err := n.open(t).Converge(c)
		must(t, err)
		_, seen, err := n.dial(t, n.instance, n.serve(t))
		must(t, err)
		if seen.Addr() != want {
			t.Errorf("self %v: the server saw %s, not %s", self, seen.Addr(), want)
		}
	}
}

func TestAConnectionThatTheKernelDoesNotKnow(t *testing.T) {
	for midStream, broken := range map[MidStream]bool{Reset: true, PickUp: false} {
		t.Run(string(midStream), func(t *testing.T) {
			n := newNetwork(t)
			k := n.open(t)
			c := example()
			_, err := k.Converge(c)
			must(t, err)
			keepPorts(t)
			conn, _, err := n.dial(t, n.client, n.serve(t))
			must(t, err)
			flush(t)

			c.MidStream = midStream
			_, err = k.Converge(c)
			must(t, err)
			began := time.Now()
			err = exchange(conn, patience)
			if broken && (!errors.Is(err, syscall.ECONNRESET) || time.Since(began) > time.Second) {
				t.Errorf("after %s: %v, want a reset within a second", time.Since(began), err)
			}
			if !broken && err != nil {
				t.Errorf("was not picked up: %v", err)
			}
		})
	}
}

func TestAServerThatGoesOnWithAnUnknownConnectionIsNotReset(t *testing.T) {
	n := newNetwork(t)
	k := n.open(t)
	_, err := k.Converge(example())
	must(t, err)
	var l net.Listener
	n.in(t, n.server, func() {
		l, err = net.Listen("tcp4", serverIP.String()+":0")
		must(t, err)
	})
	defer l.Close()
	var c net.Conn
	n.in(t, n.client, func() {
		c, err = net.DialTimeout("tcp4", l.Addr().String(), patience)
		must(t, err)
	})
	defer c.Close()
	far, err := l.Accept()
	must(t, err)
	defer far.Close()
	flush(t)
	must(t, far.SetDeadline(time.Now().Add(silence)))
	if _, err := far.Write([]byte("anyone there")); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Read(make([]byte, 1)); !timedOut(err) {
		t.Errorf("the server got %v, want silence", err)
	}
}

func timedOut(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func TestFlowsTrackedBeforeTheRulesAreDeleted(t *testing.T) {
	n := newNetwork(t)
	k := n.open(t)
	c := example()
	_, err := k.Converge(c) // connection tracking is on from now on
	must(t, err)
	// A UDP flow whose first packet passes while no rule translates, and natd does not run.
	k.guard.close()
	var client net.Conn
	server := n.packets(t)
	n.in(t, n.client, func() {
		client, err = net.Dial("udp4", server.LocalAddr().String())
		must(t, err)
	})
	defer client.Close()
	nft := transaction(t)
	nft.FlushTable(nftTable())
	must(t, nft.Flush())
	untranslatedPacket(t, client)

	r, err := k.Converge(c)
	must(t, err)
	if len(r.Changed) != 2 {
		t.Errorf("changed: %q, want the ruleset and one flow", r.Changed)
	}
	_, err = client.Write([]byte("again"))
	must(t, err)
	must(t, server.SetDeadline(time.Now().Add(patience)))
	for buffer := make([]byte, 64); ; {
		_, from, err := server.ReadFrom(buffer)
		must(t, err)
		if from.(*net.UDPAddr).AddrPort().Addr() == address {
			break
		}
	}
}

func TestTheInstancesOwnFlowsOutliveTheSweep(t *testing.T) {
	n := newNetwork(t)
	_, err := n.open(t).Converge(example())
	must(t, err)
	_, _, err = n.dial(t, n.instance, n.serve(t))
	must(t, err)
	deleted, err := Sweep(example().Clients, nil, primary, address)
	must(t, err)
	if deleted != 0 {
		t.Errorf("%d flows of the instance itself deleted", deleted)
	}
}

// The group lets clients in with everything, for it is theirs to send. What the instance itself listens to is not.
func TestClientsReachTheHealthEndpointAndNoOtherPortOfTheInstance(t *testing.T) {
	n := newNetwork(t)
	k := n.open(t)
	reached := func(port string, from netns.NsHandle, to netip.Addr) bool {
		l, err := net.Listen("tcp4", ":"+port)
		must(t, err)
		defer l.Close()
		var c net.Conn
		n.in(t, from, func() { c, err = net.DialTimeout("tcp4", net.JoinHostPort(to.String(), port), silence) })
		if err != nil && !timedOut(err) {
			t.Fatal(err)
		}
		return err == nil && c.Close() == nil
	}
	for _, ssh := range []bool{false, true} {
		c := example()
		c.SSH = ssh
		_, err := k.Converge(c)
		must(t, err)
		for port, want := range map[string]bool{"9465": true, "22": ssh, "9100": false} {
			for _, to := range []netip.Addr{primary, address} {
				if got := reached(port, n.client, to); got != want {
					t.Errorf("SSH %v: a client reaches %s:%s: %v", ssh, to, port, got)
				}
				if !reached(port, n.instance, to) {
					t.Errorf("SSH %v: the instance does not reach its own %s:%s", ssh, to, port)
				}
			}
		}
	}
	// What the instance asks for is answered, from inside too.
	to := n.serve(t)
	_, _, err := n.dial(t, n.instance, to)
	must(t, err)
	var l net.Listener
	n.in(t, n.client, func() {
		l, err = net.Listen("tcp4", clientIP.String()+":0")
		must(t, err)
	})
	defer l.Close()
	c, err := net.DialTimeout("tcp4", l.Addr().String(), patience)
	must(t, err)
	must(t, c.Close())
}

// packets is a UDP socket of the server.
func (n *network) packets(t testing.TB) net.PacketConn {
	t.Helper()
	var c net.PacketConn
	n.in(t, n.server, func() {
		var err error
		c, err = net.ListenPacket("udp4", serverIP.String()+":0")
		must(t, err)
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// The kernel by itself forgets UDP after 30 s and 120 s, and takes a flow for a lasting one when it has had answers for two seconds.
func TestAUDPFlowIsKeptAlmostAsLongAsASecurityGroupCanKeepIt(t *testing.T) {
	n := newNetwork(t)
	_, err := n.open(t).Converge(example())
	must(t, err)
	server := n.packets(t)
	go func() {
		for buffer := make([]byte, 64); ; {
			m, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(buffer[:m], from)
		}
	}()
	var client net.Conn
	n.in(t, n.client, func() {
		client, err = net.Dial("udp4", server.LocalAddr().String())
		must(t, err)
	})
	defer client.Close()
	ct, err := conntrack.Dial(nil)
	must(t, err)
	defer ct.Close()
	kept := func() uint32 {
		must(t, exchange(client, patience))
		flows, err := ct.Dump(nil)
		must(t, err)
		i := slices.IndexFunc(flows, func(f conntrack.Flow) bool {
			return f.TupleOrig.IP.SourceAddress == clientIP && f.TupleOrig.Proto.Protocol == unix.IPPROTO_UDP
		})
		if i < 0 {
			t.Fatal("the flow is not tracked")
		}
		return flows[i].Timeout
	}
	if first := kept(); first > 50 || first < 45 {
		t.Errorf("the flow is kept for %d s at first, want 50", first)
	}
	lasting := uint32(0)
	eventually(t, func() bool { lasting = kept(); return lasting > 60 }, "the flow never lasted")
	if lasting > 170 || lasting < 165 {
		t.Errorf("the flow is kept for %d s at last, want 170", lasting)
	}
}

func transaction(t testing.TB) *nftables.Conn {
	t.Helper()
	nft, err := newTransaction()
	must(t, err)
	return nft
}

// flush has the kernel forget every connection.
func flush(t testing.TB) {
	t.Helper()
	ct, err := conntrack.Dial(nil)
	must(t, err)
	defer ct.Close()
	must(t, ct.Flush())
}

func nftTable() *nftables.Table {
	return &nftables.Table{Name: TableName, Family: nftables.TableFamilyIPv4}
}

// untranslatedPacket sends one and waits until it is tracked. A rule that needs connection tracking has to be left for that.
func untranslatedPacket(t testing.TB, from net.Conn) {
	t.Helper()
	table, nft := nftTable(), transaction(t)
	nft.AddRule(&nftables.Rule{Table: table, Chain: &nftables.Chain{Name: "forward", Table: table},
		Exprs: rule(ctState(expr.CtStateBitESTABLISHED), verdict(expr.VerdictAccept))})
	must(t, nft.Flush())
	ct, err := conntrack.Dial(nil)
	must(t, err)
	defer ct.Close()
	_, err = from.Write([]byte("first"))
	must(t, err)
	for end := time.Now().Add(patience); ; {
		flows, err := ct.Dump(nil)
		must(t, err)
		for _, f := range flows {
			if f.TupleOrig.IP.SourceAddress == clientIP {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatal("the packet was never tracked")
		}
	}
}

// keepPorts translates as natd does not: a flow that keeps its port can be continued by any translator with the same address.
func keepPorts(t testing.TB) {
	t.Helper()
	table, nft := nftTable(), transaction(t)
	ch := &nftables.Chain{Name: "postrouting", Table: table}
	nft.FlushChain(ch)
	nft.AddRule(&nftables.Rule{Table: table, Chain: ch, Exprs: snat(address, false)})
	must(t, nft.Flush())
}

func TestTheAddressIsOnTheInterfaceWhileItIsHeld(t *testing.T) {
	n := newNetwork(t)
	k := n.open(t)
	c := example()
	c.Address = netip.MustParseAddr("10.0.0.251")
	on := func(want ...string) {
		t.Helper()
		link, err := k.links.LinkByName(c.Outside)
		must(t, err)
		addresses, err := k.links.AddrList(link, unix.AF_INET)
		must(t, err)
		got := []string{}
		for _, a := range addresses {
			if a.IP.Equal(c.Address.AsSlice()) {
				got = append(got, a.IPNet.String()+" "+a.Label)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("on the interface: %q, want %q", got, want)
		}
	}
	converge := func(held *bool) {
		t.Helper()
		c.Held = held
		_, err := k.Converge(c)
		must(t, err)
	}
	yes, no := true, false
	converge(nil)
	on()
	converge(&yes)
	on("10.0.0.251/32 eth0")
	converge(nil)
	on("10.0.0.251/32 eth0")
	converge(&no)
	on()
	// The system's own tools put the same address there. Whoever did, it is not the instance's any more.
	n.addAddress(t, n.instance, "eth0", "10.0.0.251/24")
	converge(&yes)
	on("10.0.0.251/24 eth0")
	converge(&no)
	on()
	// Others are theirs.
	for _, other := range []netip.Addr{address, primary} {
		c.Address = other
		on(other.String() + map[netip.Addr]string{address: "/32 eth0", primary: "/24 eth0"}[other])
	}
}

func TestAMissingDefaultRouteIsTroubleThatIsToldAtOnce(t *testing.T) {
	n := newNetwork(t)
	k := n.open(t)
	_, err := k.Converge(example())
	must(t, err)
	changes, err := Watch(t.Context())
	must(t, err)
	way := &netlink.Route{Gw: net.ParseIP("10.0.0.1")}
	for _, step := range []struct {
		change  func(*netlink.Route) error
		trouble string
	}{{k.links.RouteDel, "no default route by eth0"}, {k.links.RouteAdd, ""}} {
		must(t, step.change(way))
		select {
		case <-changes:
		case <-time.After(5 * time.Second):
			t.Fatal("the change of a route was not told")
		}
		if _, err := k.Converge(example()); text(err) != step.trouble {
			t.Errorf("trouble is %q, want %q", text(err), step.trouble)
		}
	}
}
