package kernel

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// applyAddress has Address on the interface while the instance holds it.
//
// Amazon Linux does the same, later: amazon-ec2-net-utils asks instance metadata from time to time and has systemd-networkd add
// what it lists and remove what it does not, with the prefix of the subnet. Neither side may undo the other's work, so natd adds
// the address only while it is absent, as a /32 with a label of its own, and removes nothing but that. Should networkd drop it
// when it reconfigures the interface, it is back within a second, and nothing is lost meanwhile: translated packets need no
// address on the interface. It is there for the health endpoint, and so that a stray packet is not forwarded in circles.
func (k *Kernel) applyAddress(c Config) (string, error) {
	if c.Held == nil {
		return "", nil
	}
	link, err := k.links.LinkByName(c.Outside)
	if err != nil {
		return "", fmt.Errorf("interface %s: %w", c.Outside, err)
	}
	addresses, err := k.links.AddrList(link, unix.AF_INET)
	if err != nil {
		return "", fmt.Errorf("addresses of %s: %w", c.Outside, err)
	}
	label := c.Outside + ":nat"
	present := false
	for _, a := range addresses {
		if !a.IP.Equal(net.IP(c.Address.AsSlice())) {
			continue
		}
		present = true
		if a.Label == label && !*c.Held {
			if err := k.links.AddrDel(link, &a); err != nil {
				return "", fmt.Errorf("remove %s from %s: %w", c.Address, c.Outside, err)
			}
			return fmt.Sprintf("%s: removed from %s", c.Address, c.Outside), nil
		}
	}
	if present || !*c.Held {
		return "", nil
	}
	own := &netlink.Addr{IPNet: &net.IPNet{IP: c.Address.AsSlice(), Mask: net.CIDRMask(32, 32)}, Label: label}
	if err := k.links.AddrAdd(link, own); err != nil {
		return "", fmt.Errorf("add %s to %s: %w", c.Address, c.Outside, err)
	}
	return fmt.Sprintf("%s: added to %s", c.Address, c.Outside), nil
}
