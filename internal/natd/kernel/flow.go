package kernel

import (
	"encoding/binary"
	"io"
	"net/netip"
)

// Flow is a translated connection as one instance hands it to another.
type Flow struct {
	Protocol uint8
	// State of a TCP connection, by the kernel's numbers; 0 if it is not known.
	State uint8
	// Port that the connection has on the outside.
	Port uint16
	// Status bits and Timeout in seconds.
	Status, Timeout             uint32
	Source, Destination         [4]byte
	SourcePort, DestinationPort uint16
}

// FlowSize is the length of an encoded flow.
const FlowSize = 24

// Encode appends the flow. A flow of zeros marks the end of what was there when the hand-over began.
func (f Flow) Encode(b []byte) []byte {
	b = append(b, f.Protocol, f.State)
	b = binary.BigEndian.AppendUint16(b, f.Port)
	b = binary.BigEndian.AppendUint32(b, f.Status)
	b = binary.BigEndian.AppendUint32(b, f.Timeout)
	b = append(append(b, f.Source[:]...), f.Destination[:]...)
	b = binary.BigEndian.AppendUint16(b, f.SourcePort)
	return binary.BigEndian.AppendUint16(b, f.DestinationPort)
}

// DecodeFlow reads one flow.
func DecodeFlow(r io.Reader) (Flow, error) {
	var b [FlowSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return Flow{}, err
	}
	return Flow{
		Protocol: b[0], State: b[1], Port: binary.BigEndian.Uint16(b[2:]),
		Status: binary.BigEndian.Uint32(b[4:]), Timeout: binary.BigEndian.Uint32(b[8:]),
		Source: [4]byte(b[12:]), Destination: [4]byte(b[16:]),
		SourcePort: binary.BigEndian.Uint16(b[20:]), DestinationPort: binary.BigEndian.Uint16(b[22:]),
	}, nil
}

func (f Flow) source() netip.Addr { return netip.AddrFrom4(f.Source) }
