package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Namespace is a network namespace without a name.
type Namespace struct {
	name  string
	ns    netns.NsHandle
	links *netlink.Handle
}

// newNamespace makes one in which the loopback interface is up and IPv6 is off.
func newNamespace(name string) (*Namespace, error) {
	n := &Namespace{name: name}
	err := onThread(func() (err error) {
		n.ns, err = netns.New()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make network namespace %s: %w", name, err)
	}
	if n.links, err = netlink.NewHandleAt(n.ns, unix.NETLINK_ROUTE); err != nil {
		_ = n.ns.Close()
		return nil, fmt.Errorf("network namespace %s: %w", name, err)
	}
	if err := n.prepare(); err != nil {
		n.close()
		return nil, fmt.Errorf("network namespace %s: %w", name, err)
	}
	return n, nil
}

func (n *Namespace) prepare() error {
	lo, err := n.links.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := n.links.LinkSetUp(lo); err != nil {
		return err
	}
	return n.sysctl(map[string]string{
		"net/ipv6/conf/all/disable_ipv6":     "1",
		"net/ipv6/conf/default/disable_ipv6": "1",
		// A stack of several interfaces must not drop what comes in by another than it would go out by.
		"net/ipv4/conf/all/rp_filter":     "0",
		"net/ipv4/conf/default/rp_filter": "0",
		// Every packet that cannot go on is to be told of, not a few in a second.
		"net/ipv4/icmp_ratelimit": "0",
	})
}

func (n *Namespace) close() {
	n.links.Close()
	_ = n.ns.Close()
}

// onThread runs f on a thread of its own network namespace, which f may change.
func onThread(f func() error) error {
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() { _ = before.Close() }()
	err = f()
	if back := netns.Set(before); back != nil {
		return back // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// Do runs f inside the namespace. Sockets that f opens stay in it.
func (n *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(n.ns); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", n.name, err)
		}
		return f()
	})
}

// sysctl sets values of the namespace by their paths below /proc/sys.
func (n *Namespace) sysctl(values map[string]string) error {
	return n.Do(func() error {
		for key, value := range values {
			err := os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0)
			if errors.Is(err, os.ErrNotExist) && strings.HasPrefix(key, "net/ipv6/") {
				continue // a kernel without IPv6
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Listen announces on an address inside the namespace.
func (n *Namespace) Listen(network, address string) (l net.Listener, err error) {
	err = n.Do(func() (err error) {
		l, err = net.Listen(network, address)
		return err
	})
	return l, err
}

// ListenPacket announces on a datagram address inside the namespace.
func (n *Namespace) ListenPacket(network, address string) (c net.PacketConn, err error) {
	err = n.Do(func() (err error) {
		c, err = net.ListenPacket(network, address)
		return err
	})
	return c, err
}

// Dial opens a TCP connection from inside the namespace. The thread is held only while the socket is made, so that
// any number of connections may be on their way.
func (n *Namespace) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	var fd int
	err := n.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		return os.NewSyscallError("socket", err)
	})
	if err != nil {
		return nil, err
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	if err != nil && err != unix.EINPROGRESS { //nolint:errorlint // an errno of this very call
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	file := os.NewFile(uintptr(fd), "tcp:"+to.String())
	defer func() { _ = file.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := file.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = file.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := connected(file); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	return net.FileConn(file)
}

// connected waits until the connection of a socket is there, or refused.
func connected(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if ready, err := unix.Poll(poll, 0); err != nil || ready == 0 {
			return false
		}
		if errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil {
			failed = err
		} else if errno != 0 {
			failed = syscall.Errno(errno)
		}
		return true
	})
	if err == nil {
		err = failed
	}
	return err
}

// rules opens the namespace's packet filter.
func (n *Namespace) rules() (*nftables.Conn, error) {
	return nftables.New(nftables.WithNetNSFd(int(n.ns)))
}

// Dump is the state of the namespace, for whoever has to find out why a packet went astray.
func (n *Namespace) Dump() string {
	var b strings.Builder
	fmt.Fprintf(&b, "namespace %s:\n", n.name)
	links, _ := n.links.LinkList()
	for _, l := range links {
		a := l.Attrs()
		fmt.Fprintf(&b, "  link %d %s %s %s", a.Index, a.Name, a.OperState, a.HardwareAddr)
		addresses, _ := n.links.AddrList(l, unix.AF_INET)
		for _, address := range addresses {
			fmt.Fprintf(&b, " %s", address.IPNet)
		}
		fmt.Fprintln(&b)
	}
	policy, _ := n.links.RuleList(unix.AF_INET)
	for _, r := range policy {
		fmt.Fprintf(&b, "  %s\n", r)
	}
	routes, _ := n.links.RouteListFiltered(unix.AF_INET, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	for _, r := range routes {
		fmt.Fprintf(&b, "  route %s\n", r)
	}
	if c, err := n.rules(); err == nil {
		chains, _ := c.ListChains()
		for _, chain := range chains {
			rules, _ := c.GetRules(chain.Table, chain)
			fmt.Fprintf(&b, "  chain %s %s: %d rules\n", chain.Table.Name, chain.Name, len(rules))
		}
	}
	return b.String()
}
