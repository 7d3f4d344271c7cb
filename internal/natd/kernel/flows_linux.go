package kernel

import (
	"errors"
	"net/netip"
	"slices"

	nl "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Sweep deletes flows of clients that were tracked before the rules were there: their replies are still expected at the
// client's own address, so they would leave untranslated for ever, while every new connection works. The
// instance's own connections are not translated and stay. It says how many it deleted.
func Sweep(clients, networks []netip.Prefix, own ...netip.Addr) (int, error) {
	return forgetAll(func(e entry) bool { return !slices.Contains(own, e.source()) && untranslated(e, clients, networks) })
}

// Forget deletes all flows that begin at an address of a network, and says how many.
func Forget(network netip.Prefix) (int, error) {
	return forgetAll(func(e entry) bool { return network.Contains(e.source()) })
}

// forgetAll deletes the flows that are doomed.
func forgetAll(isDoomed func(entry) bool) (int, error) {
	var doomed [][]byte
	err := list(func(data []byte) error {
		if e, ok := parse(data); ok && isDoomed(e) {
			doomed = append(doomed, e.original)
		}
		return nil
	})
	if err != nil || len(doomed) == 0 {
		return 0, err
	}
	c, err := dial()
	if err != nil {
		return 0, err
	}
	defer c.Close() //nolint:errcheck // nothing is lost
	deleted := 0
	var failures []error
	for _, original := range doomed {
		if err := limit(c); err != nil {
			return deleted, err
		}
		switch err := forget(c, original); {
		case errors.Is(err, unix.ENOENT): // it has ended by itself
		case err != nil:
			failures = append(failures, err)
		default:
			deleted++
		}
	}
	return deleted, errors.Join(failures...)
}

// forget deletes a connection.
func forget(c *nl.Conn, original []byte) error {
	attributes, err := nl.MarshalAttributes([]nl.Attribute{{Type: ctaTupleOrig | unix.NLA_F_NESTED, Data: original}})
	if err != nil {
		return err
	}
	_, err = c.Execute(nl.Message{Header: nl.Header{Type: ctDelete, Flags: nl.Request | nl.Acknowledge}, Data: append(family(), attributes...)})
	return err
}

func untranslated(e entry, clients, networks []netip.Prefix) bool {
	to := netip.AddrFrom4(e.Destination)
	return e.to == e.source() && within(e.source(), clients) && !within(to, clients) && !within(to, networks) && routable(to)
}

func routable(a netip.Addr) bool {
	return !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsMulticast()
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}
