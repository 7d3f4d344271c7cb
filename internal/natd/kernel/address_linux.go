package kernel

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// applyAddress has Address on the interface while the instance holds it, and not otherwise.
//
// Amazon Linux does the same, later: amazon-ec2-net-utils asks instance metadata every minute, and has systemd-networkd put what it
// lists on the interface. So what either of them adds has to look the same: a /32 with no label, or networkd cannot take it over, and
// gives the interface up, address, default route and all. Address is the zone's, and AWS says which instance has it: where it is not
// the instance's, it is no one's, and is removed whoever added it. Every other address is left alone. Should networkd drop it when
// it configures the interface anew, it is back at once, and nothing is lost meanwhile: translated packets need no address on the
// interface. It is there for the health endpoint, and so that a stray packet is not forwarded in circles.
func (k *Kernel) applyAddress(c Config) (string, error) {
	if c.Held == nil || c.Address == c.Primary {
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
	for _, a := range addresses {
		switch {
		case !a.IP.Equal(net.IP(c.Address.AsSlice())):
		case *c.Held:
			return "", nil
		default:
			if err := k.links.AddrDel(link, &a); err != nil {
				return "", fmt.Errorf("remove %s from %s: %w", a.IPNet, c.Outside, err)
			}
			return fmt.Sprintf("%s: removed from %s", c.Address, c.Outside), nil
		}
	}
	if !*c.Held {
		return "", nil
	}
	if err := k.links.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: c.Address.AsSlice(), Mask: net.CIDRMask(32, 32)}}); err != nil {
		return "", fmt.Errorf("add %s to %s: %w", c.Address, c.Outside, err)
	}
	return fmt.Sprintf("%s: added to %s", c.Address, c.Outside), nil
}
