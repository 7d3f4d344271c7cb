package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Sizes of packets in bytes: of a VPC, and of the Internet.
const (
	jumbo    = 9001
	internet = 1500
)

// narrow puts the Internet's size of packets between the instance and the server, whose own interface takes as much as the VPC's. What
// is too large is lost on the way. An ICMP message says so to the client, unless that is silent.
func (n *network) narrow(t testing.TB, silent bool) {
	t.Helper()
	hop := n.server
	peer, err := netns.New()
	must(t, err)
	t.Cleanup(func() { must(t, peer.Close()) })
	n.server = peer
	n.connect(t, hop, "eth1", "203.0.113.1/24", peer, "203.0.113.2/24")
	n.addAddress(t, peer, "lo", serverIP.String()+"/32")
	n.defaultVia(t, peer, "203.0.113.1")
	n.in(t, hop, func() {
		write(t, "net/ipv4/ip_forward", "1")
		lo, err := netlink.LinkByName("lo")
		must(t, err)
		own, err := netlink.ParseAddr(serverIP.String() + "/32")
		must(t, err)
		must(t, netlink.AddrDel(lo, own))
		must(t, netlink.RouteAdd(&netlink.Route{Dst: own.IPNet, Gw: net.ParseIP("203.0.113.2")}))
		if silent {
			dropsICMP(t)
		}
	})
	for _, end := range []struct {
		ns   netns.NsHandle
		name string
		mtu  int
	}{
		{n.client, "eth0", jumbo}, {n.instance, "eth1", jumbo}, {n.instance, "eth0", jumbo}, {hop, "eth0", jumbo}, {hop, "eth1", internet}, {peer, "eth0", jumbo},
	} {
		n.in(t, end.ns, func() {
			link, err := netlink.LinkByName(end.name)
			must(t, err)
			must(t, netlink.LinkSetMTU(link, end.mtu))
			offloadOff(t, end.name)
		})
	}
}

// dropsICMP loses what this namespace itself says by ICMP.
func dropsICMP(t testing.TB) {
	t.Helper()
	nft, err := nftables.New()
	must(t, err)
	table := nft.AddTable(&nftables.Table{Name: "hop", Family: nftables.TableFamilyIPv4})
	output := nft.AddChain(&nftables.Chain{
		Name: "output", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter,
	})
	nft.AddRule(&nftables.Rule{Table: table, Chain: output, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal(unix.IPPROTO_ICMP), &expr.Verdict{Kind: expr.VerdictDrop},
	}})
	must(t, nft.Flush())
}

// offloadOff makes packets of a virtual interface as large as those on a wire: the kernel would pass on several as one.
func offloadOff(t testing.TB, device string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	// ETHTOOL_STSO, ETHTOOL_SGSO and ETHTOOL_SGRO of linux/ethtool.h; struct ethtool_value: cmd, data.
	for _, command := range []uint32{0x1f, 0x24, 0x2c} {
		request := make([]byte, 8)
		binary.NativeEndian.PutUint32(request, command)
		must(t, ethtool(fd, device, request))
	}
}

// bulk sends a megabyte there and back.
func bulk(c net.Conn) error {
	const size = 1 << 20
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, size))
		sent <- err
	}()
	if n, err := io.CopyN(io.Discard, c, size); err != nil {
		return fmt.Errorf("%d bytes came back: %w", n, err)
	}
	return <-sent
}

// unfragmented sends packets of 3000 bytes that nobody may take apart, until the system knows of a smaller size on the way, or the time
// is over. It returns the size that the system knows.
func unfragmented(t testing.TB, c *net.UDPConn, within time.Duration) (size int) {
	t.Helper()
	raw, err := c.SyscallConn()
	must(t, err)
	control := func(f func(fd int) error) {
		t.Helper()
		var failed error
		must(t, raw.Control(func(fd uintptr) { failed = f(int(fd)) }))
		must(t, failed)
	}
	control(func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
	})
	deadline, tick := time.After(within), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for waits := true; waits; {
		select {
		case <-deadline:
			waits = false
		case <-tick.C:
			_, err := c.Write(make([]byte, 2*internet))
			waits = !errors.Is(err, unix.EMSGSIZE)
		}
	}
	control(func(fd int) (err error) {
		size, err = unix.GetsockoptInt(fd, unix.SOL_IP, unix.IP_MTU)
		return err
	})
	return size
}

func TestWhatARouterSaysOfTheSizeReachesTheClient(t *testing.T) {
	for silent, want := range map[bool]int{false: internet, true: jumbo} {
		n := newNetwork(t)
		n.narrow(t, silent)
		_, err := n.open(t).Converge(example())
		must(t, err)
		server := n.packets(t)
		var c *net.UDPConn
		n.in(t, n.client, func() {
			c, err = net.DialUDP("udp4", nil, server.LocalAddr().(*net.UDPAddr))
			must(t, err)
		})
		defer c.Close()
		if size := unfragmented(t, c, silence); size != want {
			t.Errorf("silent %v: the client knows of packets of %d bytes, want %d", silent, size, want)
		}
	}
}

func TestBulkGoesThroughThoughTheInternetTakesSmallerPacketsThanTheVPC(t *testing.T) {
	for _, silent := range []bool{false, true} {
		n := newNetwork(t)
		n.narrow(t, silent)
		_, err := n.open(t).Converge(example())
		must(t, err)
		to := n.serve(t)
		c, seen, err := n.dial(t, n.client, to)
		must(t, err)
		if seen.Addr() != address {
			t.Errorf("the server saw %s, not %s", seen.Addr(), address)
		}
		if err := bulk(c); err != nil {
			t.Errorf("a connection that was established, routers silent %v: %v", silent, err)
		}
	}
}
