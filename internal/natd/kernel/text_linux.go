package kernel

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// String is the canonical text of a ruleset, near to what nft lists. Two rulesets are the same if their texts are: the values of
// counters, handles and ids are left out, and whatever the text has no words for is printed as it is, so that it differs.
func (r *ruleset) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "table ip %s {\n", TableName)
	for _, name := range slices.Sorted(maps.Keys(r.sets)) {
		fmt.Fprintf(&b, "\tset %s { %s }\n", name, ranges(r.sets[name]))
	}
	chains := slices.Clone(r.chains)
	slices.SortStableFunc(chains, func(a, b chain) int { return cmp.Compare(a.Name, b.Name) })
	for _, ch := range chains {
		fmt.Fprintf(&b, "\tchain %s { %s\n", ch.Name, hookText(ch.Chain))
		for _, exprs := range ch.rules {
			fmt.Fprintf(&b, "\t\t%s\n", ruleText(exprs))
		}
		b.WriteString("\t}\n")
	}
	b.WriteString("}\n")
	return b.String()
}

func ranges(elements []nftables.SetElement) string {
	sorted := slices.Clone(elements)
	slices.SortFunc(sorted, func(a, b nftables.SetElement) int { return bytes.Compare(a.Key, b.Key) })
	var out []string
	for _, e := range sorted {
		a, ok := netip.AddrFromSlice(e.Key)
		switch {
		case !ok:
			out = append(out, fmt.Sprintf("%x", e.Key))
		case !e.IntervalEnd:
			out = append(out, a.String())
		case a.IsUnspecified(): // the kernel lists the gap before the first range as an end at 0.0.0.0
		case len(out) > 0:
			out[len(out)-1] += "-" + a.Prev().String()
		}
	}
	return strings.Join(out, ", ")
}

func hookText(ch nftables.Chain) string {
	if ch.Hooknum == nil || ch.Priority == nil {
		return "no hook"
	}
	policy := "accept"
	if ch.Policy != nil && *ch.Policy == nftables.ChainPolicyDrop {
		policy = "drop"
	}
	return fmt.Sprintf("type %s hook %d priority %d policy %s", ch.Type, *ch.Hooknum, *ch.Priority, policy)
}

// ruleText prints a rule. loaded is what register 1 holds.
func ruleText(exprs []expr.Any) string {
	var out []string
	loaded := ""
	for _, e := range exprs {
		switch e := e.(type) {
		case *expr.Counter:
			out = append(out, "counter")
		case *expr.Payload:
			loaded = payloadText(e)
		case *expr.Meta:
			loaded = fmt.Sprintf("meta %d", e.Key)
			if name, ok := metaNames[e.Key]; ok {
				loaded = name
			}
		case *expr.Ct:
			loaded = fmt.Sprintf("ct %d", e.Key)
			if e.Key == expr.CtKeySTATE {
				loaded = "ct state"
			}
		case *expr.Bitwise:
			loaded += fmt.Sprintf(" & %#x", e.Mask)
			if !allZero(e.Xor) {
				loaded += fmt.Sprintf(" ^ %#x", e.Xor)
			}
			if loaded[:3] == "ct " {
				loaded = "ct state " + stateText(e.Mask)
			}
		case *expr.Cmp:
			out = append(out, cmpText(loaded, e))
		case *expr.Lookup:
			out = append(out, fmt.Sprintf("%s %s@%s", loaded, map[bool]string{true: "!= "}[e.Invert], e.SetName))
		case *expr.Immediate:
			loaded = valueText("addr", e.Data)
		case *expr.Exthdr:
			out = append(out, exthdrText(loaded, e))
		case *expr.NAT:
			out = append(out, natText(loaded, e))
		case *expr.Reject:
			out = append(out, rejectText(e))
		case *expr.Verdict:
			out = append(out, verdictText(e))
		default:
			out = append(out, fmt.Sprintf("%T%+v", e, e))
		}
	}
	return strings.Join(out, " ")
}

var metaNames = map[expr.MetaKey]string{expr.MetaKeyL4PROTO: "l4proto", expr.MetaKeyIIF: "iif"}

// protocols that rules name.
var protocols = map[byte]string{unix.IPPROTO_ICMP: "icmp", unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp"}

func payloadText(e *expr.Payload) string {
	switch {
	case e.Base == expr.PayloadBaseNetworkHeader && e.Offset == uint32(source) && e.Len == 4:
		return "saddr"
	case e.Base == expr.PayloadBaseNetworkHeader && e.Offset == uint32(destination) && e.Len == 4:
		return "daddr"
	case e.Base == expr.PayloadBaseTransportHeader && e.Offset == 13 && e.Len == 1:
		return "tcp flags"
	case e.Base == expr.PayloadBaseTransportHeader && e.Offset == 2 && e.Len == 2:
		return "dport"
	}
	return fmt.Sprintf("payload %d %d %d", e.Base, e.Offset, e.Len)
}

func stateText(mask []byte) string {
	if len(mask) != 4 {
		return fmt.Sprintf("%#x", mask)
	}
	bits, names := binary.NativeEndian.Uint32(mask), []string(nil)
	for _, s := range []struct {
		bit  uint32
		name string
	}{{expr.CtStateBitINVALID, "invalid"}, {expr.CtStateBitESTABLISHED, "established"}, {expr.CtStateBitRELATED, "related"}, {expr.CtStateBitNEW, "new"}} {
		if bits&s.bit != 0 {
			names = append(names, s.name)
			bits &^= s.bit
		}
	}
	if bits != 0 {
		names = append(names, fmt.Sprintf("%#x", bits))
	}
	return strings.Join(names, ",")
}

func cmpText(loaded string, e *expr.Cmp) string {
	if strings.HasPrefix(loaded, "ct state ") && e.Op == expr.CmpOpNeq && allZero(e.Data) {
		return loaded
	}
	op := map[expr.CmpOp]string{expr.CmpOpEq: "", expr.CmpOpNeq: "!= "}
	name, ok := op[e.Op]
	if !ok {
		name = fmt.Sprintf("op %d ", e.Op)
	}
	return fmt.Sprintf("%s %s%s", loaded, name, valueText(loaded, e.Data))
}

func valueText(of string, data []byte) string {
	switch {
	case len(data) == 4 && (strings.Contains(of, "addr")):
		return netip.AddrFrom4([4]byte(data)).String()
	case len(data) == 2:
		return fmt.Sprint(binary.BigEndian.Uint16(data))
	case len(data) == 1 && of == "l4proto" && protocols[data[0]] != "":
		return protocols[data[0]]
	case len(data) == 4 && of == "iif" && binary.NativeEndian.Uint32(data) == 1:
		return "lo"
	}
	return fmt.Sprintf("%#x", data)
}

func natText(loaded string, e *expr.NAT) string {
	n := *e
	if n.RegAddrMax == n.RegAddrMin { // the kernel always lists both
		n.RegAddrMax = 0
	}
	plain := expr.NAT{Type: expr.NATTypeSourceNAT, Family: uint32(nftables.TableFamilyIPv4), RegAddrMin: 1}
	random := plain
	random.FullyRandom = true
	switch n {
	case plain:
		return "snat to " + loaded
	case random:
		return "snat to " + loaded + " fully-random"
	}
	return fmt.Sprintf("nat %+v %s", n, loaded)
}

func exthdrText(loaded string, e *expr.Exthdr) string {
	if e.Op == expr.ExthdrOpTcpopt && e.Type == 2 && e.Offset == 2 && e.Len == 2 && e.SourceRegister == 1 && e.DestRegister == 0 {
		return "tcp option maxseg size set " + loaded
	}
	return fmt.Sprintf("exthdr %+v %s", *e, loaded)
}

func rejectText(e *expr.Reject) string {
	if e.Type == unix.NFT_REJECT_TCP_RST {
		return "reject with tcp reset"
	}
	return fmt.Sprintf("reject type %d code %d", e.Type, e.Code)
}

func verdictText(e *expr.Verdict) string {
	switch e.Kind {
	case expr.VerdictAccept:
		return "accept"
	case expr.VerdictDrop:
		return "drop"
	}
	return fmt.Sprintf("verdict %d %s", e.Kind, e.Chain)
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// firstDifference names the first line that two texts do not share.
func firstDifference(have, want string) string {
	a, b := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i := range b {
		if i >= len(a) || a[i] != b[i] {
			return fmt.Sprintf("%q", strings.TrimSpace(b[i]))
		}
	}
	return "its end"
}
