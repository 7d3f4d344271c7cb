package nat64

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Run translates until the context ends: it makes the TUN device in the network namespace of the calling thread, routes prefix
// and pool into it, and takes it down again. The source NAT of the pool, and forwarding of both families, are the caller's.
func Run(ctx context.Context, c Config) error {
	c = c.Defaults()
	queues := make([]io.ReadWriteCloser, 0, c.Queues)
	closeAll := func() {
		for _, q := range queues {
			q.Close() //nolint:errcheck // it is given up
		}
	}
	for range c.Queues {
		q, err := openQueue()
		if err != nil {
			closeAll()
			return fmt.Errorf("device %s: %w", Device, err)
		}
		queues = append(queues, q)
	}
	if err := route(c.Prefix, c.Pool); err != nil {
		closeAll()
		return fmt.Errorf("device %s: %w", Device, err)
	}
	return serve(ctx, c.translator(), queues, c.Log)
}

// openQueue attaches to the device and makes it if there is none. It is gone with the last queue.
func openQueue() (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	request, err := unix.NewIfreq(Device)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_MULTI_QUEUE)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd) //nolint:errcheck // it is given up
		return nil, err
	}
	return os.NewFile(uintptr(fd), Device), nil
}

// route brings the device up and both families into it.
func route(prefixes ...netip.Prefix) error {
	link, err := netlink.LinkByName(Device)
	if err != nil {
		return err
	}
	if err := errors.Join(netlink.LinkSetMTU(link, MTU), netlink.LinkSetUp(link)); err != nil {
		return err
	}
	for _, p := range prefixes {
		dst := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
		if err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst}); err != nil {
			return fmt.Errorf("route to %s: %w", p, err)
		}
	}
	return nil
}
