package lab

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// rule is a line of a ruleset.
type rule []expr.Any

// chain is a base chain and its rules.
type chain struct {
	hook     *nftables.ChainHook
	priority nftables.ChainPriority
	kind     nftables.ChainType
	rules    []rule
}

// replace puts the chains in place of a table's, in one transaction: no packet sees less than the whole of either.
// Without chains the table goes.
func (n *Namespace) replace(table string, chains ...chain) error {
	c, err := n.rules()
	if err != nil {
		return fmt.Errorf("rules of %s: %w", n.name, err)
	}
	t := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: table}
	c.AddTable(t) // so that there is one to delete
	c.DelTable(t)
	if len(chains) > 0 {
		c.AddTable(t)
	}
	for i, ch := range chains {
		in := c.AddChain(&nftables.Chain{
			Name: fmt.Sprintf("chain%d", i), Table: t, Hooknum: ch.hook, Priority: &ch.priority, Type: ch.kind,
		})
		for _, r := range ch.rules {
			c.AddRule(&nftables.Rule{Table: t, Chain: in, Exprs: r})
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("rules of %s: table %s: %w", n.name, table, err)
	}
	return nil
}

// flush removes every table, whoever made it.
func (n *Namespace) flush() error {
	c, err := n.rules()
	if err != nil {
		return err
	}
	c.FlushRuleset()
	return c.Flush()
}

func join(parts ...rule) rule {
	var r rule
	for _, p := range parts {
		r = append(r, p...)
	}
	return r
}

// Where an IPv4 header holds its addresses.
const (
	source      = 12
	destination = 16
)

func load(offset uint32) expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}
}

func is(field uint32, a netip.Addr) rule {
	return rule{load(field), &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: a.AsSlice()}}
}

func isNoneOf(field uint32, addresses []netip.Addr) rule {
	r := rule{load(field)}
	for _, a := range addresses {
		r = append(r, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: a.AsSlice()})
	}
	return r
}

func within(field uint32, p netip.Prefix) rule {
	mask := make([]byte, 4)
	binary.BigEndian.PutUint32(mask, ^uint32(0)<<(32-p.Bits()))
	return rule{
		load(field),
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Masked().Addr().AsSlice()},
	}
}

// set writes an address into the header and mends the checksums.
func set(field uint32, a netip.Addr) rule {
	return rule{
		&expr.Immediate{Register: 1, Data: a.AsSlice()},
		&expr.Payload{
			OperationType: expr.PayloadWrite, SourceRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: field, Len: 4,
			CsumType: expr.CsumTypeInet, CsumOffset: 10, CsumFlags: unix.NFT_PAYLOAD_L4CSUM_PSEUDOHDR,
		},
	}
}

// Keys of [iface].
const (
	metaIn  = expr.MetaKeyIIF
	metaOut = expr.MetaKeyOIF
)

func iface(key expr.MetaKey, index int) rule {
	return rule{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.NativeEndian.AppendUint32(nil, uint32(index))},
	}
}

func protocol(p byte) rule {
	return rule{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{p}}}
}

func tcp() rule { return protocol(unix.IPPROTO_TCP) }

// Bits of the TCP header.
const (
	syn  = 0x02
	rst  = 0x04
	push = 0x08 // set on the last segment of what a program wrote
)

// flags holds for a TCP segment with (or without) any of the bits.
func flags(bits byte, set bool) rule {
	op := expr.CmpOpEq
	if set {
		op = expr.CmpOpNeq
	}
	return join(tcp(), rule{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{bits}, Xor: []byte{0}},
		&expr.Cmp{Op: op, Register: 1, Data: []byte{0}},
	})
}

// reply holds for packets of the direction that did not begin the connection.
func reply() rule {
	return rule{
		&expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{1}},
	}
}

// unknown holds for packets of no tracked connection.
func unknown() rule {
	state := binary.NativeEndian.AppendUint32(nil, expr.CtStateBitNEW|expr.CtStateBitINVALID)
	return rule{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: state, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

// percent holds for so many of 100 packets.
func percent(n uint32) rule {
	return rule{
		&expr.Numgen{Register: 1, Modulus: 100, Type: unix.NFT_NG_RANDOM},
		// The number is in the byte order of the host, in which it cannot be compared by size.
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: expr.CmpOpLt, Register: 1, Data: binary.BigEndian.AppendUint32(nil, n)},
	}
}

// over holds for packets beyond so many a second.
func over(rate uint64) rule {
	return rule{&expr.Limit{Type: expr.LimitTypePkts, Rate: rate, Unit: expr.LimitTimeSecond, Burst: 1, Over: true}}
}

func drop() rule   { return rule{&expr.Verdict{Kind: expr.VerdictDrop}} }
func accept() rule { return rule{&expr.Verdict{Kind: expr.VerdictAccept}} }
func reset() rule  { return rule{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}} }

// translate gives what is forwarded the source address a, and a random port.
func translate(a netip.Addr) rule {
	return rule{
		&expr.Immediate{Register: 1, Data: a.AsSlice()},
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, FullyRandom: true},
	}
}

func forwarded(priority nftables.ChainPriority, rules ...rule) chain {
	return chain{nftables.ChainHookForward, priority, nftables.ChainTypeFilter, rules}
}

func incoming(priority nftables.ChainPriority, rules ...rule) chain {
	return chain{nftables.ChainHookPrerouting, priority, nftables.ChainTypeFilter, rules}
}

func outgoing(priority nftables.ChainPriority, rules ...rule) chain {
	return chain{nftables.ChainHookPostrouting, priority, nftables.ChainTypeFilter, rules}
}
