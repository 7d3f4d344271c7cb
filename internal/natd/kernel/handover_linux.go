package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"

	nl "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Numbers of linux/netfilter/nfnetlink_conntrack.h and nf_conntrack_common.h.
const (
	ctNew, ctGet, ctDelete = unix.NFNL_SUBSYS_CTNETLINK << 8, unix.NFNL_SUBSYS_CTNETLINK<<8 | 1, unix.NFNL_SUBSYS_CTNETLINK<<8 | 2

	ctaTupleOrig, ctaTupleReply, ctaStatus, ctaProtoinfo, ctaNATSource, ctaTimeout = 1, 2, 3, 4, 6, 7

	ctaTupleIP, ctaTupleProto                         = 1, 2
	ctaIPSource, ctaIPDestination                     = 1, 2
	ctaProtoNumber, ctaSourcePort, ctaDestinationPort = 1, 2, 3
	ctaProtoinfoTCP, ctaTCPState                      = 1, 1
	ctaNATMinIP, ctaNATMaxIP, ctaNATProto             = 1, 2, 3
	ctaNATMinPort, ctaNATMaxPort                      = 1, 2

	statusSeenReply, statusAssured, statusConfirmed, statusSourceNAT = 1 << 1, 1 << 2, 1 << 3, 1 << 4

	stateEstablished, stateTimeWait = 3, 7
)

// eventBuffer holds the news of connections that come faster than they are sent on: about 20,000.
const eventBuffer = 8 << 20

// Export sends the connections of clients that are translated to address: first those that are there, then, after a call of
// settled, all that are new or change, until the context ends.
func Export(ctx context.Context, clients []netip.Prefix, address netip.Addr, send func(Flow) error, settled func() error) error {
	events, err := nl.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer events.Close()                                      //nolint:errcheck // nothing is lost
	stop := context.AfterFunc(ctx, func() { events.Close() }) //nolint:errcheck // ends the reading
	defer stop()
	if err := events.SetReadBuffer(eventBuffer); err != nil {
		return err
	}
	// The news are subscribed to first, so that nothing happens between them and the list.
	for _, group := range []uint32{unix.NFNLGRP_CONNTRACK_NEW, unix.NFNLGRP_CONNTRACK_UPDATE} {
		if err := events.JoinGroup(group); err != nil {
			return err
		}
	}
	pass := func(data []byte) error {
		if e, ok := parse(data); ok && e.to == address && e.goesOn() && within(e.source(), clients) {
			return send(e.Flow)
		}
		return nil
	}
	if err := list(pass); err != nil {
		return err
	}
	if err := settled(); err != nil {
		return err
	}
	for {
		for m, err := range events.ReceiveIter() {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, unix.ENOBUFS) { // some were lost: all are sent again
				if err := list(pass); err != nil {
					return err
				}
				break
			}
			if err != nil {
				return err
			}
			if err := pass(m.Data); err != nil {
				return err
			}
		}
	}
}

// list passes every tracked connection on, one at a time: a full table does not fit into the memory a second time.
func list(pass func([]byte) error) error {
	c, err := dial()
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // nothing is lost
	if _, err := c.Send(nl.Message{Header: nl.Header{Type: ctGet, Flags: nl.Request | nl.Dump}, Data: family()}); err != nil {
		return err
	}
	for m, err := range c.ReceiveIter() {
		if err == nil {
			err = pass(m.Data)
		}
		if err == nil {
			err = limit(c) // who is told of it may have taken its time
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// family is the header of a request about IPv4.
func family() []byte { return []byte{unix.AF_INET, unix.NFNETLINK_V0, 0, 0} }

// entry is a tracked connection.
type entry struct {
	Flow
	// to is where replies are expected: the translated source, or the source itself.
	to netip.Addr
	// original is the tuple of the original direction as the kernel wrote it, by which it finds the connection again.
	original []byte
}

// goesOn says that a connection is translated, and worth a translation in future.
func (e entry) goesOn() bool {
	known := e.Protocol == unix.IPPROTO_TCP || e.Protocol == unix.IPPROTO_UDP
	return known && e.Status&statusSourceNAT != 0 && e.State < stateTimeWait
}

// parse reads an IPv4 connection as the kernel lists it.
func parse(data []byte) (e entry, ok bool) {
	if len(data) < 4 || data[0] != unix.AF_INET {
		return e, false
	}
	ad, err := nl.NewAttributeDecoder(data[4:])
	if err != nil {
		return e, false
	}
	ad.ByteOrder = binary.BigEndian
	var t, reply tuple
	for ad.Next() {
		switch ad.Type() {
		case ctaTupleOrig:
			e.original = ad.Bytes()
			ad.Nested(t.decode)
		case ctaTupleReply:
			ad.Nested(reply.decode)
		case ctaStatus:
			e.Status = ad.Uint32()
		case ctaTimeout:
			e.Timeout = ad.Uint32()
		case ctaProtoinfo:
			ad.Nested(func(ad *nl.AttributeDecoder) error {
				e.State = tcpState(ad)
				return nil
			})
		}
	}
	e.Protocol, e.Source, e.Destination, e.SourcePort, e.DestinationPort = t.protocol, t.source, t.destination, t.sourcePort, t.destinationPort
	e.Port, e.to = reply.destinationPort, netip.AddrFrom4(reply.destination)
	return e, ad.Err() == nil && e.original != nil
}

func tcpState(ad *nl.AttributeDecoder) (state uint8) {
	for ad.Next() {
		if ad.Type() != ctaProtoinfoTCP {
			continue
		}
		ad.Nested(func(ad *nl.AttributeDecoder) error {
			for ad.Next() {
				if ad.Type() == ctaTCPState {
					state = ad.Uint8()
				}
			}
			return nil
		})
	}
	return state
}

type tuple struct {
	protocol                    uint8
	source, destination         [4]byte
	sourcePort, destinationPort uint16
}

func (t *tuple) decode(ad *nl.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case ctaTupleIP:
			ad.Nested(func(ad *nl.AttributeDecoder) error {
				for ad.Next() {
					if b := ad.Bytes(); len(b) == 4 && ad.Type() == ctaIPSource {
						t.source = [4]byte(b)
					} else if len(b) == 4 && ad.Type() == ctaIPDestination {
						t.destination = [4]byte(b)
					}
				}
				return nil
			})
		case ctaTupleProto:
			ad.Nested(func(ad *nl.AttributeDecoder) error {
				for ad.Next() {
					switch ad.Type() {
					case ctaProtoNumber:
						t.protocol = ad.Uint8()
					case ctaSourcePort:
						t.sourcePort = ad.Uint16()
					case ctaDestinationPort:
						t.destinationPort = ad.Uint16()
					}
				}
				return nil
			})
		}
	}
	return nil
}
