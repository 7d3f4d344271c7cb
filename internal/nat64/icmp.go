package nat64

import (
	"encoding/binary"
	"net/netip"
)

// Types of ICMP and ICMPv6 that have a counterpart.
const (
	echoReply4, unreachable4, echo4, exceeded4        = 0, 3, 8, 11
	unreachable6, tooBig6, exceeded6, echo6, echoRep6 = 1, 2, 3, 128, 129

	fragmentationNeeded = 4 // code of unreachable4
)

// codesTo6 and codesTo4 are the codes of destination unreachable (RFC 7915, 4.2 and 5.2).
var (
	codesTo6 = map[byte]byte{0: 0, 1: 0, 3: 4, 5: 0, 6: 0, 7: 0, 8: 0, 9: 1, 10: 1, 11: 0, 12: 0, 13: 1, 15: 1}
	codesTo4 = map[byte]byte{0: 1, 1: 10, 2: 1, 3: 1, 4: 3}
)

func (t *translator) icmpTo4(out, message []byte, quoted bool) ([]byte, error) {
	if len(message) < 8 {
		return nil, errShort
	}
	start := len(out)
	out = append(out, message[:8]...)
	head := out[start:]
	switch message[0] {
	case echo6, echoRep6:
		head[0] = map[byte]byte{echo6: echo4, echoRep6: echoReply4}[message[0]]
		out = append(out, message[8:]...)
	default:
		if quoted {
			return nil, errUnsupported // an error about an error
		}
		var err error
		if out, err = t.errorTo4(out, head, message); err != nil {
			return nil, err
		}
	}
	body := out[start:]
	body[2], body[3] = 0, 0
	binary.BigEndian.PutUint16(body[2:], ^fold(sum(body)))
	return out, nil
}

func (t *translator) errorTo4(out, head, message []byte) ([]byte, error) {
	clear(head[4:8])
	switch message[0] {
	case unreachable6:
		code, ok := codesTo4[message[1]]
		if !ok {
			return nil, errUnsupported
		}
		head[0], head[1] = unreachable4, code
	case tooBig6:
		head[0], head[1] = unreachable4, fragmentationNeeded
		mtu := max(binary.BigEndian.Uint32(message[4:]), minimumMTU) - (headerV6 - headerV4)
		binary.BigEndian.PutUint16(head[6:], uint16(min(mtu, 0xffff)))
	case exceeded6:
		head[0] = exceeded4
	default:
		return nil, errUnsupported
	}
	return t.to4(out, message[8:], true)
}

func (t *translator) icmpTo6(out, message []byte, src, dst netip.Addr, quoted bool) ([]byte, error) {
	if len(message) < 8 {
		return nil, errShort
	}
	start := len(out)
	out = append(out, message[:8]...)
	head := out[start:]
	switch message[0] {
	case echo4, echoReply4:
		head[0] = map[byte]byte{echo4: echo6, echoReply4: echoRep6}[message[0]]
		out = append(out, message[8:]...)
	default:
		if quoted {
			return nil, errUnsupported
		}
		var err error
		if out, err = t.errorTo6(out, head, message); err != nil {
			return nil, err
		}
	}
	body := out[start:]
	body[2], body[3] = 0, 0
	binary.BigEndian.PutUint16(body[2:], ^fold(pseudo(src, dst, icmp6, len(body))+sum(body)))
	return out, nil
}

func (t *translator) errorTo6(out, head, message []byte) ([]byte, error) {
	clear(head[4:8])
	switch message[0] {
	case unreachable4:
		if message[1] == fragmentationNeeded {
			head[0], head[1] = tooBig6, 0
			mtu := uint32(binary.BigEndian.Uint16(message[6:])) + headerV6 - headerV4
			binary.BigEndian.PutUint32(head[4:], max(mtu, minimumMTU))
			break
		}
		code, ok := codesTo6[message[1]]
		if !ok {
			return nil, errUnsupported
		}
		head[0], head[1] = unreachable6, code
	case exceeded4:
		head[0] = exceeded6
	default:
		return nil, errUnsupported
	}
	return t.to6(out, message[8:], true)
}
