package nat64

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

var (
	clientAddr = netip.MustParseAddr("2001:db8:1::7")
	serverV4   = netip.MustParseAddr("203.0.113.9")
	serverV6   = netip.MustParseAddr("64:ff9b::203.0.113.9")
)

func newTranslator() *translator { return Config{}.Defaults().translator() }

// packet6 makes a whole IPv6 packet with a right checksum.
func packet6(src, dst netip.Addr, protocol byte, body []byte) []byte {
	p := make([]byte, headerV6, headerV6+len(body))
	p[0] = 0x60
	binary.BigEndian.PutUint16(p[4:], uint16(len(body)))
	p[6], p[7] = protocol, 64
	copy(p[8:], src.AsSlice())
	copy(p[24:], dst.AsSlice())
	p = append(p, body...)
	at := map[byte]int{tcp: 16, udp: 6, icmp6: 2}[protocol]
	binary.BigEndian.PutUint16(p[headerV6+at:], 0)
	binary.BigEndian.PutUint16(p[headerV6+at:], ^fold(pseudo(src, dst, protocol, len(body))+sum(p[headerV6:])))
	return p
}

// valid4 says what is wrong with an IPv4 packet: length and checksums.
func valid4(p []byte) string {
	if len(p) < headerV4 || int(binary.BigEndian.Uint16(p[2:])) != len(p) {
		return "length"
	}
	if fold(sum(p[:headerV4])) != 0xffff {
		return "header checksum"
	}
	body, s := p[headerV4:], uint32(0)
	if p[9] != icmp {
		s = sum(p[12:20]) + uint32(p[9]) + uint32(len(body))
	}
	if fold(s+sum(body)) != 0xffff {
		return "checksum"
	}
	return ""
}

func valid6(p []byte) string {
	h, body, err := parse6(p, false)
	if err != nil {
		return err.Error()
	}
	if fold(pseudo(h.src, h.dst, h.protocol, len(body))+sum(body)) != 0xffff {
		return "checksum"
	}
	return ""
}

// swap turns a packet of a client into one of the server: the addresses exchanged, which changes no checksum.
func swap(p4 []byte) []byte {
	r := bytes.Clone(p4)
	copy(r[12:], p4[16:20])
	copy(r[16:], p4[12:16])
	return r
}

func TestEveryPacketArrivesWithRightChecksumsAndComesBackToItsClient(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := newTranslator()
		var raw [16]byte
		copy(raw[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "client"))
		raw[0] = 0x20
		from := netip.AddrFrom16(raw)
		protocol := rapid.SampledFrom([]byte{tcp, udp, icmp6}).Draw(t, "protocol")
		body := rapid.SliceOfN(rapid.Byte(), 20, 1400).Draw(t, "body")
		if protocol == tcp {
			body[12] = 0x50
		}
		if protocol == icmp6 {
			body[0], body[1] = echo6, 0
		}
		sent := packet6(from, serverV6, protocol, body)
		there, err := tr.translate(nil, sent)
		if err != nil {
			t.Fatal(err)
		}
		if why := valid4(there); why != "" {
			t.Fatalf("to the server: wrong %s in % x", why, there)
		}
		if dst := netip.AddrFrom4([4]byte(there[16:20])); dst != serverV4 {
			t.Fatalf("went to %s", dst)
		}
		if src := netip.AddrFrom4([4]byte(there[12:16])); !DefaultPool().Contains(src) {
			t.Fatalf("came from %s", src)
		}
		back, err := tr.translate(nil, swap(there))
		if err != nil {
			t.Fatal(err)
		}
		if why := valid6(back); why != "" {
			t.Fatalf("to the client: wrong %s in % x", why, back)
		}
		h, payload, _ := parse6(back, false)
		if h.src != serverV6 || h.dst != from {
			t.Fatalf("came back from %s to %s", h.src, h.dst)
		}
		skip := map[byte]int{tcp: 18, udp: 8, icmp6: 4}[protocol]
		if !bytes.Equal(payload[skip:], sent[headerV6+skip:]) {
			t.Fatal("the payload changed")
		}
	})
}

func TestNoInputMakesTheTranslatorPanicOrPutOutNonsense(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := newTranslator()
		tr.clients.v4(clientAddr)
		p := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "packet")
		if len(p) > 0 && rapid.Bool().Draw(t, "begins as a packet") {
			good := packet6(clientAddr, serverV6, rapid.SampledFrom([]byte{tcp, udp, icmp6}).Draw(t, "protocol"), append(make([]byte, 20), p...))
			at := rapid.IntRange(1, len(good)-1).Draw(t, "at")
			good[at] ^= p[0]
			p = good[:rapid.IntRange(1, len(good)).Draw(t, "length")]
		}
		out, err := tr.translate(nil, p)
		if err == nil && len(out) < headerV4 {
			t.Fatalf("%d bytes", len(out))
		}
	})
}

func TestAnErrorOnTheWayReachesTheClientWithThePacketItIsAbout(t *testing.T) {
	tr := newTranslator()
	sent := packet6(clientAddr, serverV6, udp, append([]byte{0x10, 0, 0, 53, 0, 28, 0, 0}, make([]byte, 20)...))
	there, err := tr.translate(nil, sent)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		kind, code, want6, wantCode byte
		mtu, wantMTU                uint32
	}{
		"port unreachable":     {unreachable4, 3, unreachable6, 4, 0, 0},
		"prohibited":           {unreachable4, 13, unreachable6, 1, 0, 0},
		"hops used up":         {exceeded4, 0, exceeded6, 0, 0, 0},
		"too big":              {unreachable4, fragmentationNeeded, tooBig6, 0, 1400, 1420},
		"too big for any IPv6": {unreachable4, fragmentationNeeded, tooBig6, 0, 500, 1280},
	} {
		message := append([]byte{test.kind, test.code, 0, 0, 0, 0, byte(test.mtu >> 8), byte(test.mtu)}, there...)
		packet := make([]byte, headerV4)
		packet[0], packet[8], packet[9] = 0x45, 60, icmp
		copy(packet[12:], serverV4.AsSlice())
		copy(packet[16:], there[12:16])
		packet = append(packet, message...)
		binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
		back, err := tr.translate(nil, packet)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, body, _ := parse6(back, false)
		if why := valid6(back); why != "" || body[0] != test.want6 || body[1] != test.wantCode || binary.BigEndian.Uint32(body[4:]) != test.wantMTU {
			t.Errorf("%s: type %d code %d mtu %d (%s)", name, body[0], body[1], binary.BigEndian.Uint32(body[4:]), why)
		}
		inner, _, err := parse6(body[8:], true)
		if err != nil || inner.src != clientAddr || inner.dst != serverV6 || inner.protocol != udp {
			t.Errorf("%s: is about %+v (%v)", name, inner, err)
		}
	}
}

func TestTheClientsOwnErrorReachesTheServer(t *testing.T) {
	tr := newTranslator()
	sent, err := tr.translate(nil, packet6(clientAddr, serverV6, udp, append([]byte{0x10, 0, 0, 53, 0, 16, 0, 0}, make([]byte, 8)...)))
	if err != nil {
		t.Fatal(err)
	}
	arrived, err := tr.translate(nil, swap(sent))
	if err != nil {
		t.Fatal(err)
	}
	tooBig := append([]byte{tooBig6, 0, 0, 0, 0, 0, 0x05, 0x14}, arrived...) // 1300
	there, err := tr.translate(nil, packet6(clientAddr, serverV6, icmp6, tooBig))
	if err != nil {
		t.Fatal(err)
	}
	body := there[headerV4:]
	if why := valid4(there); why != "" || body[0] != unreachable4 || body[1] != fragmentationNeeded || binary.BigEndian.Uint16(body[6:]) != 1280 {
		t.Errorf("type %d code %d mtu %d (%s)", body[0], body[1], binary.BigEndian.Uint16(body[6:]), why)
	}
	if inner := netip.AddrFrom4([4]byte(body[8+12 : 8+16])); inner != serverV4 {
		t.Errorf("is about a packet of %s", inner)
	}
}

func TestFragmentsPassInBothDirections(t *testing.T) {
	tr := newTranslator()
	body := make([]byte, 24)
	for _, test := range []struct {
		offset uint16
		more   bool
	}{{0, true}, {1024, true}, {2048, false}} {
		field := test.offset
		if test.more {
			field |= 1
		}
		extended := binary.BigEndian.AppendUint16([]byte{udp, 0}, field)
		p := packet6(clientAddr, serverV6, udp, append(append(extended, 0, 0, 0, 0), body...))
		p[6] = fragment
		binary.BigEndian.PutUint32(p[headerV6+4:], 0xabcd)
		there, err := tr.translate(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		flags := binary.BigEndian.Uint16(there[6:])
		if flags&0x1fff<<3 != test.offset || flags&moreFragments != 0 != test.more || binary.BigEndian.Uint16(there[4:]) != 0xabcd {
			t.Errorf("offset %d: % x", test.offset, there[:headerV4])
		}
		back, err := tr.translate(nil, swap(there))
		if err != nil {
			t.Fatal(err)
		}
		if h, _, err := parse6(back, false); err != nil || !h.fragmented || h.offset != test.offset || h.more != test.more || h.id != 0xabcd {
			t.Errorf("offset %d came back as %+v (%v)", test.offset, h, err)
		}
	}
}

func TestALargerSegmentThanFitsIsNotAskedFor(t *testing.T) {
	syn := make([]byte, 24)
	syn[12], syn[13] = 0x60, 0x02
	copy(syn[20:], []byte{2, 4, 0x23, 0x01}) // 8961, of a VPC with jumbo frames
	tr := newTranslator()
	there, err := tr.translate(nil, packet6(clientAddr, serverV6, tcp, syn))
	if err != nil {
		t.Fatal(err)
	}
	if mss := binary.BigEndian.Uint16(there[headerV4+22:]); int(mss) != MTU-headerV6-20 || valid4(there) != "" {
		t.Errorf("asks for segments of %d (%s)", mss, valid4(there))
	}
}

func TestWhatIsNotTheClientsIsDropped(t *testing.T) {
	tr := newTranslator()
	stray := swap(mustTranslate(t, newTranslator(), packet6(clientAddr, serverV6, udp, make([]byte, 20))))
	stray[18], stray[19] = 99, 99
	for name, p := range map[string][]byte{
		"to another prefix":                packet6(clientAddr, netip.MustParseAddr("2001:db8::1"), udp, make([]byte, 20)),
		"to the instance's metadata":       packet6(clientAddr, netip.MustParseAddr("64:ff9b::169.254.169.254"), udp, make([]byte, 20)),
		"to a private network":             packet6(clientAddr, netip.MustParseAddr("64:ff9b::10.0.0.5"), udp, make([]byte, 20)),
		"as if from the Internet":          packet6(serverV6, serverV6, udp, make([]byte, 20)),
		"to an address of no client":       stray,
		"of a protocol without ports":      packet6(clientAddr, serverV6, 99, append(make([]byte, 20), 0)),
		"neighbor discovery":               packet6(clientAddr, serverV6, icmp6, append([]byte{135}, make([]byte, 23)...)),
		"empty":                            {},
		"of a version that does not exist": {0x50},
	} {
		if _, err := tr.translate(nil, p); !errors.Is(err, errUnsupported) && !errors.Is(err, errStranger) && !errors.Is(err, errShort) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func mustTranslate(t *testing.T, tr *translator, p []byte) []byte {
	t.Helper()
	out, err := tr.translate(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAClientKeepsItsAddressUntilThePoolIsUsedUp(t *testing.T) {
	m := newMapping(netip.MustParsePrefix("198.18.0.0/29")) // six addresses
	client := func(i byte) netip.Addr { b := clientAddr.As16(); b[15] = i; return netip.AddrFrom16(b) }
	given := map[netip.Addr]byte{}
	for i := range byte(6) {
		given[m.v4(client(i))] = i
	}
	if len(given) != 6 {
		t.Fatalf("six clients have %d addresses", len(given))
	}
	first := m.v4(client(0)) // seen again: the second is now the one that has been silent longest
	taken := m.v4(client(6))
	if given[taken] != 1 {
		t.Errorf("the seventh client took the address of client %d", given[taken])
	}
	if who, ok := m.v6(first); !ok || who != client(0) {
		t.Errorf("%s stands for %s", first, who)
	}
	if who, ok := m.v6(taken); !ok || who != client(6) {
		t.Errorf("%s stands for %s", taken, who)
	}
}

func BenchmarkTranslate(b *testing.B) {
	tr := newTranslator()
	p := packet6(clientAddr, serverV6, tcp, append(make([]byte, 12), append([]byte{0x50}, make([]byte, 1387)...)...))
	out := make([]byte, 0, 2048)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		if _, err := tr.translate(out, p); err != nil {
			b.Fatal(err)
		}
	}
}
