package kernel

import (
	"net/netip"
	"time"
)

// Config is the state that [Kernel.Converge] brings about.
type Config struct {
	// Outside is the name of the interface towards the VPC and the Internet: an instance has one for both.
	Outside string
	// Address is what new connections of clients get as their source: the zone's secondary address, to which the Elastic IP is bound.
	Address netip.Addr
	// Held says whether the instance has Address, which is then put on the interface. nil leaves it as it is: that is not known yet.
	Held *bool
	// Primary is the instance's own address. What the instance itself sends is left alone, unless Self is set.
	Primary netip.Addr
	// Self gives the instance's own connections to the Internet Address as well: for an instance whose primary address has no public one.
	Self bool
	// Clients are the sources that are translated.
	Clients []netip.Prefix
	// Canary is a source that is forwarded as a client's and gets Primary: it proves the path before Address is there. May be zero.
	Canary netip.Addr
	// MidStream says what happens to a client's TCP connection that the kernel does not know.
	MidStream MidStream
	// HealthPort is closed to all but clients.
	HealthPort uint16
	// IPv6 turns the forwarding of IPv6 on too, for NAT64.
	IPv6 bool
	// EstablishedTimeout of an idle TCP connection; MaxConnections tracked, 0 for [ConnectionLimit] of the memory.
	EstablishedTimeout time.Duration
	MaxConnections     int
}

// MidStream is the treatment of TCP packets that belong to no known connection and do not begin one: after a failover, a reboot, or
// more idle time than EstablishedTimeout.
type MidStream string

const (
	// Reset answers the client with a TCP reset, so that it connects anew at once instead of hanging. This is the default.
	Reset MidStream = "reset"
	// PickUp lets the packet through with its source port kept. That continues a connection which had the same port at its
	// former translator too, under the same public address. One that fully random ports were chosen for did not.
	PickUp MidStream = "pick up"
)

// Report of one convergence. All empty means that nothing was to do.
type Report struct {
	// Changed says what was not as it should be, and now is.
	Changed []string
	// Tolerated says what could not be set and need not be, such as a limit that belongs to the host.
	Tolerated []string
}
