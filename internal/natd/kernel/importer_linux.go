package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Importer makes connections known to the kernel. It is not safe for concurrent use.
type Importer struct {
	fd       int
	address  netip.Addr
	sequence uint32
}

// together is how many requests go to the kernel at a time: it works them off before the call returns, so their outcomes are then
// there to be read. One at a time was fifteen times slower (12,900 and 199,600 a second), and a successor waits for it.
const together = 64

// NewImporter is for connections that are translated to address, in the network namespace of the calling thread.
func NewImporter(address netip.Addr) (*Importer, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	// Without the request in each outcome; an old kernel repeats it, which is no harm.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &Importer{fd: fd, address: address}, nil
}

// Close the importer. The connections stay.
func (i *Importer) Close() error { return unix.Close(i.fd) }

// Add makes connections known, and brings those that are known up to date. It says how many could be, and returns the first failure
// of one: that of another does not stop the rest.
func (i *Importer) Add(flows ...Flow) (n int, err error) {
	for batch := range slices.Chunk(flows, together) {
		outcomes, e := i.request(batch, true)
		if e != nil {
			return n, e
		}
		var known []Flow
		for j, outcome := range outcomes {
			switch {
			case outcome == unix.EEXIST:
				known = append(known, batch[j])
			case outcome != 0 && err == nil:
				err = fmt.Errorf("make a connection known: %w", outcome)
			case outcome == 0:
				n++
			}
		}
		if len(known) == 0 {
			continue
		}
		if outcomes, e = i.request(known, false); e != nil {
			return n, e
		}
		for _, outcome := range outcomes {
			if outcome == 0 || outcome == unix.EBUSY { // busy: the kernel has seen more of it than is told
				n++
			} else if err == nil {
				err = fmt.Errorf("bring a connection up to date: %w", outcome)
			}
		}
	}
	return n, err
}

// request sends a request for each flow and returns their outcomes.
func (i *Importer) request(flows []Flow, create bool) ([]unix.Errno, error) {
	flags := uint16(unix.NLM_F_REQUEST | unix.NLM_F_ACK)
	if create {
		flags |= unix.NLM_F_CREATE | unix.NLM_F_EXCL
	}
	first := i.sequence + 1
	var out message
	for _, f := range flows {
		i.sequence++
		start := len(out)
		out = binary.NativeEndian.AppendUint32(out, 0)
		out = binary.NativeEndian.AppendUint16(out, ctNew)
		out = binary.NativeEndian.AppendUint16(out, flags)
		out = binary.NativeEndian.AppendUint32(out, i.sequence)
		out = binary.NativeEndian.AppendUint32(out, 0)
		out = append(out, family()...)
		out.flow(f, i.address, create)
		binary.NativeEndian.PutUint32(out[start:], uint32(len(out)-start))
	}
	if err := unix.Sendto(i.fd, out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	outcomes := make([]unix.Errno, len(flows))
	in := make([]byte, 1<<12)
	for left := len(flows); left > 0; {
		n, _, err := unix.Recvfrom(i.fd, in, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		// struct nlmsghdr, then the outcome, negative, in the first member of struct nlmsgerr.
		if n < 20 || binary.NativeEndian.Uint16(in[4:]) != unix.NLMSG_ERROR {
			return nil, fmt.Errorf("the kernel's answer of %d bytes is not an outcome", n)
		}
		j := int(binary.NativeEndian.Uint32(in[8:]) - first)
		if j < 0 || j >= len(outcomes) {
			return nil, errors.New("the kernel's answer is to another request")
		}
		outcomes[j] = unix.Errno(-int32(binary.NativeEndian.Uint32(in[16:])))
		left--
	}
	return outcomes, nil
}

// message is a netlink message that is being written.
type message []byte

// attribute writes one attribute; what write appends is its value.
func (m *message) attribute(kind uint16, write func()) {
	start := len(*m)
	*m = append(*m, 0, 0, 0, 0)
	write()
	binary.NativeEndian.PutUint16((*m)[start:], uint16(len(*m)-start))
	binary.NativeEndian.PutUint16((*m)[start+2:], kind)
	for len(*m)%unix.NLA_ALIGNTO != 0 {
		*m = append(*m, 0)
	}
}

func (m *message) nested(kind uint16, write func()) { m.attribute(kind|unix.NLA_F_NESTED, write) }

func (m *message) bytes(kind uint16, value ...byte) {
	m.attribute(kind, func() { *m = append(*m, value...) })
}

func (m *message) uint16(kind, value uint16) { m.bytes(kind, byte(value>>8), byte(value)) }

func (m *message) uint32(kind uint16, value uint32) {
	m.bytes(kind, binary.BigEndian.AppendUint32(nil, value)...)
}

// flow writes the attributes of a connection.
func (m *message) flow(f Flow, address netip.Addr, create bool) {
	m.nested(ctaTupleOrig, func() { m.tuple(tuple{f.Protocol, f.Source, f.Destination, f.SourcePort, f.DestinationPort}) })
	state := f.State
	if create {
		// The plain inverse: were the translation here too, the kernel would take the connection for one that is not translated.
		m.nested(ctaTupleReply, func() { m.tuple(tuple{f.Protocol, f.Destination, f.Source, f.DestinationPort, f.SourcePort}) })
		m.nested(ctaNATSource, func() {
			a := address.As4()
			m.bytes(ctaNATMinIP, a[:]...)
			m.bytes(ctaNATMaxIP, a[:]...)
			m.nested(ctaNATProto, func() {
				m.uint16(ctaNATMinPort, f.Port)
				m.uint16(ctaNATMaxPort, f.Port)
			})
		})
		if state == 0 {
			state = stateEstablished
		}
	}
	m.uint32(ctaStatus, f.Status&(statusSeenReply|statusAssured)|statusConfirmed)
	m.uint32(ctaTimeout, f.Timeout)
	if f.Protocol == unix.IPPROTO_TCP && state != 0 {
		m.nested(ctaProtoinfo, func() {
			m.nested(ctaProtoinfoTCP, func() { m.bytes(ctaTCPState, state) })
		})
	}
}

func (m *message) tuple(t tuple) {
	m.nested(ctaTupleIP, func() {
		m.bytes(ctaIPSource, t.source[:]...)
		m.bytes(ctaIPDestination, t.destination[:]...)
	})
	m.nested(ctaTupleProto, func() {
		m.bytes(ctaProtoNumber, t.protocol)
		m.uint16(ctaSourcePort, t.sourcePort)
		m.uint16(ctaDestinationPort, t.destinationPort)
	})
}
