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
	// Networks of the VPC, besides Clients: what goes there is not translated, and what comes from there may speak to Address.
	Networks []netip.Prefix
	// Canary is a source that is forwarded as a client's and gets Primary: it proves the path before Address is there. May be zero.
	Canary netip.Addr
	// MidStream says what happens to a client's TCP connection that the kernel does not know.
	MidStream MidStream
	// HealthPort is open to Clients and Networks, and to nobody else. No other port of the instance is open to them, but with SSH that
	// of SSH.
	HealthPort uint16
	SSH        bool
	// IPv6 turns the forwarding of IPv6 on too, for NAT64.
	IPv6 bool
	// EstablishedTimeout of an idle TCP connection, UDPTimeout of a UDP flow, UDPStreamTimeout of one that has gone on for two seconds
	// with answers. Whole seconds; 0 leaves the kernel's.
	EstablishedTimeout, UDPTimeout, UDPStreamTimeout time.Duration
	// MaxConnections tracked, 0 for [ConnectionLimit] of the memory.
	MaxConnections int
}

// MidStream is the treatment of TCP packets that belong to no known connection and do not begin one: after a failover, a reboot, or
// more idle time than EstablishedTimeout.
type MidStream string

const (
	// Reset answers the client with a TCP reset, so that it connects anew at once instead of hanging. This is the default.
	Reset MidStream = "reset"
	// PickUp lets the packet through with its source port kept. That continues a connection which had the same port at its
	// former translator too, under the same public address. One that fully random ports were chosen for did not: it would be
	// answered by a reset of the server, or by nothing where a firewall stands before it. So natd itself never asks for this: what
	// can go on is handed over with its port (see [Export]), and the rest is told at once.
	PickUp MidStream = "pick up"
)

// Report of one convergence. All empty means that nothing was to do.
type Report struct {
	// Changed says what was not as it should be, and now is.
	Changed []string
	// Tolerated says what could not be set and need not be, such as a limit that belongs to the host.
	Tolerated []string
}

// Counters of the kernel. All but Connections and Limit only ever grow, until a reboot or, for New, a change of the rules.
type Counters struct {
	// Connections tracked, and the most that may be.
	Connections, Limit uint64
	// New connections translated.
	New uint64
	// PortSearches is how often a connection's tuple was found in use when a port was looked for ("found"). Per new connection
	// it rises with the use of the ports to a destination: about 1 at half of them, 80 at 99 % (measured), long before it fails.
	PortSearches uint64
	// InsertFailures are connections for which no port was left, EarlyDrops those that made room for others in a full table.
	InsertFailures, EarlyDrops uint64
	// Packets forwarded; Bytes sent by the interface, the instance's own among them; Drops of both.
	Packets, Bytes, Drops uint64
	// Allowances exceeded, as the driver of the Elastic Network Adapter counts them.
	Allowances uint64
}
