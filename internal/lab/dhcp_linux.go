package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
)

// lease is how long an address is given for, in seconds: as a VPC does.
const lease = 3600

// dhcp answers the host behind a port of the router, as a VPC does: always the same address, for an hour.
type dhcp struct {
	socket  net.PacketConn
	gateway netip.Addr
	subnet  netip.Prefix
	host    netip.Addr
	names   netip.Addr
	// delay of each answer, and how many of the next requests are lost.
	delay time.Duration
	lose  atomic.Int32
	// leases is how often the address was given.
	leases atomic.Int32
}

// dhcp starts a server at a port of the router.
func (r *router) dhcp(port end, subnet netip.Prefix, host netip.Addr, delay time.Duration) (*dhcp, error) {
	d := &dhcp{gateway: nth(subnet, 1), subnet: subnet, host: host, names: nth(r.vpc, 2), delay: delay}
	name := port.link.Attrs().Name
	listen := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var bound error
		err := c.Control(func(fd uintptr) { bound = unix.BindToDevice(int(fd), name) }) // each port has a server of its own
		if err == nil {
			err = bound
		}
		return err
	}}
	err := r.Do(func() (err error) {
		d.socket, err = listen.ListenPacket(context.Background(), "udp4", fmt.Sprintf(":%d", dhcpv4.ServerPort))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("DHCP at %s: %w", name, err)
	}
	go d.serve()
	return d, nil
}

func (d *dhcp) close() { _ = d.socket.Close() }

func (d *dhcp) serve() {
	buffer := make([]byte, 1500)
	for {
		n, _, err := d.socket.ReadFrom(buffer)
		if err != nil {
			return // it is closed
		}
		request, err := dhcpv4.FromBytes(buffer[:n])
		if err != nil || d.lose.Add(-1) >= 0 {
			continue
		}
		answer, err := d.answer(request)
		if err != nil || answer == nil {
			continue
		}
		time.AfterFunc(d.delay, func() {
			if answer.MessageType() == dhcpv4.MessageTypeAck {
				d.leases.Add(1)
			}
			_, _ = d.socket.WriteTo(answer.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ClientPort})
		})
	}
}

// answer to a request; nil for one that wants none.
func (d *dhcp) answer(request *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	kind := dhcpv4.MessageTypeAck
	switch request.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		kind = dhcpv4.MessageTypeOffer
	case dhcpv4.MessageTypeRequest:
	default:
		return nil, nil
	}
	gateway := net.IP(d.gateway.AsSlice())
	return dhcpv4.NewReplyFromRequest(request,
		dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(d.host.AsSlice()), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(gateway)),
		dhcpv4.WithNetmask(net.CIDRMask(d.subnet.Bits(), 32)), dhcpv4.WithRouter(gateway), dhcpv4.WithDNS(d.names.AsSlice()), dhcpv4.WithLeaseTime(lease))
}
