package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	nl "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Watch sends whenever the kernel tells of a change of rules, addresses, routes, links or forwarding, own changes included, until the
// context ends. Several changes may be one message.
func Watch(ctx context.Context) (<-chan struct{}, error) {
	changes := make(chan struct{}, 1)
	var conns []*nl.Conn
	stop := func() error {
		var err error
		for _, c := range conns {
			err = errors.Join(err, c.Close())
		}
		return err
	}
	for family, groups := range map[int][]uint32{
		unix.NETLINK_NETFILTER: {unix.NFNLGRP_NFTABLES},
		unix.NETLINK_ROUTE:     {unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV4_NETCONF},
	} {
		c, err := nl.Dial(family, nil)
		if err != nil {
			return nil, errors.Join(err, stop())
		}
		conns = append(conns, c)
		for _, g := range groups {
			if err := c.JoinGroup(g); err != nil {
				return nil, errors.Join(err, stop())
			}
		}
		go forward(c, changes)
	}
	context.AfterFunc(ctx, func() { stop() }) //nolint:errcheck // ends the goroutines; nothing is lost
	return changes, nil
}

func forward(c *nl.Conn, changes chan<- struct{}) {
	for {
		if _, err := c.Receive(); err != nil && !errors.Is(err, unix.ENOBUFS) { // too many at a time is a change too
			return
		}
		select {
		case changes <- struct{}{}:
		default:
		}
	}
}

// Outside finds the interface with a MAC address, else that of the default route.
func Outside(mac string) (string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return "", err
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
		if hw, err := net.ParseMAC(mac); err == nil && strings.EqualFold(hw.String(), l.Attrs().HardwareAddr.String()) {
			return l.Attrs().Name, nil
		}
	}
	routes, err := netlink.RouteList(nil, unix.AF_INET)
	if err != nil {
		return "", err
	}
	for _, r := range routes {
		if (r.Dst == nil || r.Dst.IP.IsUnspecified()) && names[r.LinkIndex] != "" {
			return names[r.LinkIndex], nil
		}
	}
	return "", fmt.Errorf("no interface has the MAC address %s, and there is no default route", mac)
}
