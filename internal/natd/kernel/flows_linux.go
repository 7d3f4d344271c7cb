package kernel

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"
)

// Sweep deletes flows of clients that were tracked before the rules were there: their replies are still expected at the
// client's own address, so they would leave untranslated for ever, while every new connection works. The
// instance's own connections are not translated and stay. It says how many it deleted.
func (k *Kernel) Sweep(clients, networks []netip.Prefix, own ...netip.Addr) (int, error) {
	flows, err := k.ct.Dump(nil)
	if err != nil {
		return 0, err
	}
	deleted := 0
	var failures []error
	for _, f := range flows {
		if slices.Contains(own, f.TupleOrig.IP.SourceAddress) || !untranslated(f, clients, networks) {
			continue
		}
		switch err := k.ct.Delete(f); {
		case errors.Is(err, unix.ENOENT): // it has ended by itself
		case err != nil:
			failures = append(failures, err)
		default:
			deleted++
		}
	}
	return deleted, errors.Join(failures...)
}

func untranslated(f conntrack.Flow, clients, networks []netip.Prefix) bool {
	from, to := f.TupleOrig.IP.SourceAddress, f.TupleOrig.IP.DestinationAddress
	return f.TupleReply.IP.DestinationAddress == from && within(from, clients) && !within(to, clients) && !within(to, networks) && routable(to)
}

func routable(a netip.Addr) bool {
	return a.Is4() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsMulticast()
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
