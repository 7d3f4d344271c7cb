package nat64

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Numbers of RFC 791, 792, 4443 and 8200 that have no name in the standard library.
const (
	headerV4, headerV6, headerFragment = 20, 40, 8

	icmp, tcp, udp, icmp6               = 1, 6, 17, 58
	hopByHop, routing, fragment, dstOpt = 0, 43, 44, 60

	dontFragment, moreFragments = 0x4000, 0x2000

	// minimumMTU is what every IPv6 link carries. A smaller packet may be fragmented behind the translator (RFC 7915, 5.1).
	minimumMTU = 1280
)

// Why a packet is dropped. A router drops silently, or the sender would learn of it by an error of its own kernel.
var (
	errShort       = errors.New("packet is cut short")
	errUnsupported = errors.New("packet has no translation")
	errStranger    = errors.New("packet is for a client that has none")
)

// translator turns packets of one family into packets of the other.
type translator struct {
	prefix  netip.Prefix // of 96 bits
	clients *mapping
	// mss is the largest segment that either side may be told to send: TUN device's MTU less the larger header.
	mss uint16
}

// translate appends the translation of a packet of either family to out.
func (t *translator) translate(out, packet []byte) ([]byte, error) {
	if len(packet) == 0 {
		return nil, errShort
	}
	switch packet[0] >> 4 {
	case 4:
		return t.to6(out, packet, false)
	case 6:
		return t.to4(out, packet, false)
	}
	return nil, errUnsupported
}

// from6 is the IPv4 address that an IPv6 address has behind the translator.
func (t *translator) from6(a netip.Addr) netip.Addr {
	if t.prefix.Contains(a) {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return t.clients.v4(a)
}

// from4 is the IPv6 address that an IPv4 address has.
func (t *translator) from4(a netip.Addr) (netip.Addr, bool) {
	if t.clients.pool.Contains(a) {
		return t.clients.v6(a)
	}
	b := t.prefix.Addr().As16()
	v4 := a.As4()
	copy(b[12:], v4[:])
	return netip.AddrFrom16(b), true
}

// header6 is what matters of an IPv6 header with its extensions.
type header6 struct {
	src, dst         netip.Addr
	class, hops      byte
	protocol         byte
	fragmented, more bool
	offset           uint16 // in bytes
	id               uint32
}

// parse6 reads the headers and returns what follows them. quoted packets, those within an error, may be cut short.
func parse6(p []byte, quoted bool) (h header6, payload []byte, err error) {
	if len(p) < headerV6 {
		return h, nil, errShort
	}
	length := int(binary.BigEndian.Uint16(p[4:]))
	if len(p) >= headerV6+length {
		p = p[:headerV6+length]
	} else if !quoted {
		return h, nil, errShort
	}
	h.class = p[0]<<4 | p[1]>>4
	h.protocol, h.hops = p[6], p[7]
	h.src, h.dst = netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40]))
	payload = p[headerV6:]
	for {
		switch h.protocol {
		case hopByHop, dstOpt, routing:
			if len(payload) < 8 || len(payload) < 8+8*int(payload[1]) {
				return h, nil, errShort
			}
			if h.protocol == routing && payload[3] != 0 { // segments left
				return h, nil, errUnsupported
			}
			h.protocol, payload = payload[0], payload[8+8*int(payload[1]):]
		case fragment:
			if len(payload) < headerFragment {
				return h, nil, errShort
			}
			field := binary.BigEndian.Uint16(payload[2:])
			h.fragmented, h.more, h.offset = true, field&1 != 0, field&^7
			h.id = binary.BigEndian.Uint32(payload[4:])
			h.protocol, payload = payload[0], payload[headerFragment:]
		default:
			return h, payload, nil
		}
	}
}

// global says whether an address may be reached through the well-known prefix: never the instance's own services, such as
// its metadata, nor private networks (RFC 6052, 3.1).
func global(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLinkLocalUnicast() && !a.IsLoopback()
}

// to4 translates a packet of a client.
func (t *translator) to4(out, packet []byte, quoted bool) ([]byte, error) {
	h, payload, err := parse6(packet, quoted)
	if err != nil {
		return nil, err
	}
	if !quoted && (!t.prefix.Contains(h.dst) || t.prefix.Contains(h.src)) {
		return nil, errUnsupported // not for us, or from one who pretends to be on the Internet
	}
	src, dst := t.from6(h.src), t.from6(h.dst)
	if !quoted && !global(dst) {
		return nil, errUnsupported
	}
	whole := !h.fragmented || (h.offset == 0 && !h.more)
	protocol := h.protocol
	if protocol == icmp6 {
		protocol = icmp
	}
	start := len(out)
	out = append(out, make([]byte, headerV4)...)
	switch h.protocol {
	case icmp6:
		if !whole {
			return nil, errUnsupported
		}
		out, err = t.icmpTo4(out, payload, quoted)
	case tcp, udp:
		out = append(out, payload...)
		if h.offset == 0 && !quoted {
			err = t.transport(out[start+headerV4:], h.protocol, sum(h.src.AsSlice())+sum(h.dst.AsSlice()), sum(src.AsSlice())+sum(dst.AsSlice()))
		}
	default:
		err = errUnsupported
	}
	if err != nil {
		return nil, err
	}
	v4 := out[start:]
	v4[0], v4[1] = 0x45, h.class
	length := len(v4)
	if quoted { // what the quoted packet was, not what is left of it
		length = headerV4 + int(binary.BigEndian.Uint16(packet[4:])) - (len(packet) - headerV6 - len(payload))
	}
	binary.BigEndian.PutUint16(v4[2:], uint16(length))
	switch {
	case h.fragmented:
		binary.BigEndian.PutUint16(v4[4:], uint16(h.id))
		field := h.offset >> 3
		if h.more {
			field |= moreFragments
		}
		binary.BigEndian.PutUint16(v4[6:], field)
	case length > minimumMTU-headerV6+headerV4:
		binary.BigEndian.PutUint16(v4[6:], dontFragment)
	}
	v4[8], v4[9] = h.hops, protocol
	copy(v4[12:], src.AsSlice())
	copy(v4[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(v4[10:], ^fold(sum(v4[:headerV4])))
	return out, nil
}

// header4 is what matters of an IPv4 header.
type header4 struct {
	src, dst         netip.Addr
	class, ttl       byte
	protocol         byte
	fragmented, more bool
	offset           uint16 // in bytes
	id               uint16
	carried          int // bytes behind the header, also of a quoted packet that is cut short
}

func parse4(p []byte, quoted bool) (h header4, payload []byte, err error) {
	if len(p) < headerV4 {
		return h, nil, errShort
	}
	header, length := int(p[0]&0xf)*4, int(binary.BigEndian.Uint16(p[2:]))
	if header < headerV4 || len(p) < header || length < header || (len(p) < length && !quoted) {
		return h, nil, errShort
	}
	field := binary.BigEndian.Uint16(p[6:])
	h = header4{
		src: netip.AddrFrom4([4]byte(p[12:16])), dst: netip.AddrFrom4([4]byte(p[16:20])),
		class: p[1], ttl: p[8], protocol: p[9],
		offset: field & 0x1fff << 3, more: field&moreFragments != 0,
		id: binary.BigEndian.Uint16(p[4:]), carried: length - header,
	}
	h.fragmented = h.offset != 0 || h.more
	return h, p[header:min(len(p), length)], nil
}

// to6 translates a packet to a client.
func (t *translator) to6(out, packet []byte, quoted bool) ([]byte, error) {
	h, payload, err := parse4(packet, quoted)
	if err != nil {
		return nil, err
	}
	src, ok := t.from4(h.src)
	dst, known := t.from4(h.dst)
	if !ok || !known {
		return nil, errStranger
	}
	protocol := h.protocol
	if protocol == icmp {
		protocol = icmp6
	}
	start := len(out)
	out = append(out, make([]byte, headerV6)...)
	if h.fragmented {
		out = append(out, make([]byte, headerFragment)...)
		extension := out[start+headerV6:]
		field := h.offset
		if h.more {
			field |= 1
		}
		extension[0] = protocol
		binary.BigEndian.PutUint16(extension[2:], field)
		binary.BigEndian.PutUint32(extension[4:], uint32(h.id))
	}
	body := len(out)
	if out, err = t.payloadTo6(out, payload, h, src, dst, quoted); err != nil {
		return nil, err
	}
	v6 := out[start:]
	v6[0], v6[1] = 0x60|h.class>>4, h.class<<4
	carried := len(v6) - headerV6
	if quoted {
		carried = h.carried + (body - start - headerV6)
	}
	binary.BigEndian.PutUint16(v6[4:], uint16(carried))
	v6[6], v6[7] = protocol, h.ttl
	if h.fragmented {
		v6[6] = fragment
	}
	copy(v6[8:], src.AsSlice())
	copy(v6[24:], dst.AsSlice())
	return out, nil
}

func (t *translator) payloadTo6(out, payload []byte, h header4, src, dst netip.Addr, quoted bool) ([]byte, error) {
	switch h.protocol {
	case icmp:
		if h.fragmented {
			return nil, errUnsupported
		}
		return t.icmpTo6(out, payload, src, dst, quoted)
	case tcp, udp:
	default:
		return nil, errUnsupported
	}
	body := len(out)
	out = append(out, payload...)
	if h.offset != 0 || quoted {
		return out, nil
	}
	if h.protocol == udp && len(payload) >= 8 && payload[6] == 0 && payload[7] == 0 { // IPv4 may do without a checksum
		if h.fragmented {
			return nil, errUnsupported
		}
		binary.BigEndian.PutUint16(out[body+6:], ^fold(pseudo(src, dst, udp, len(payload))+sum(out[body:])))
		return out, nil
	}
	return out, t.transport(out[body:], h.protocol, sum(h.src.AsSlice())+sum(h.dst.AsSlice()), sum(src.AsSlice())+sum(dst.AsSlice()))
}

// transport corrects the checksum of a TCP or UDP header for the addresses that changed, and the largest segment that a SYN asks for.
func (t *translator) transport(segment []byte, protocol byte, before, after uint32) error {
	at := 16
	if protocol == udp {
		at = 6
	}
	if len(segment) < at+2 {
		return errShort
	}
	adjust(segment[at:], before, after)
	if protocol == udp && segment[6] == 0 && segment[7] == 0 {
		segment[6], segment[7] = 0xff, 0xff
	}
	if protocol == tcp && len(segment) >= 20 && segment[13]&0x02 != 0 {
		t.clamp(segment)
	}
	return nil
}

// clamp lowers the maximum segment size of a SYN: the translation makes packets larger, and path MTU discovery is often broken.
func (t *translator) clamp(segment []byte) {
	end := min(int(segment[12]>>4)*4, len(segment))
	for i := 20; i+1 < end; {
		kind, size := segment[i], int(segment[i+1])
		switch {
		case kind == 0:
			return
		case kind == 1:
			i++
			continue
		case size < 2 || i+size > end:
			return
		case kind == 2 && size == 4:
			if old := binary.BigEndian.Uint16(segment[i+2:]); old > t.mss && i%2 == 0 {
				binary.BigEndian.PutUint16(segment[i+2:], t.mss)
				adjust(segment[16:], uint32(old), uint32(t.mss))
			}
			return
		}
		i += size
	}
}

// sum adds 16-bit words, of which there are few enough for 32 bits.
func sum(b []byte) (s uint32) {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// adjust corrects a checksum for words that changed (RFC 1624).
func adjust(checksum []byte, before, after uint32) {
	s := uint32(^binary.BigEndian.Uint16(checksum)) + uint32(^fold(before)) + uint32(fold(after))
	binary.BigEndian.PutUint16(checksum, ^fold(s))
}

// pseudo is the sum of the pseudo-header of IPv6.
func pseudo(src, dst netip.Addr, protocol byte, length int) uint32 {
	return sum(src.AsSlice()) + sum(dst.AsSlice()) + uint32(protocol) + uint32(length)
}
