package kernel

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"go4.org/netipx"
	"golang.org/x/sys/unix"
)

// TableName is the nftables table of family ip with natd's rules. Nobody else is to touch it, but they can: see guard.
const TableName = "polynat"

// The sets: whose traffic is translated, and what is not the Internet.
const (
	clientSet = "clients"
	insideSet = "inside"
)

// ruleset is the content of the table.
type ruleset struct {
	sets   map[string][]nftables.SetElement
	chains []chain
}

type chain struct {
	nftables.Chain
	rules [][]expr.Any
}

// desired is the ruleset of a configuration.
func desired(c Config) (*ruleset, error) {
	sets, err := setsOf(c)
	if err != nil {
		return nil, err
	}
	accept := nftables.ChainPolicyAccept
	hook := func(name string, t nftables.ChainType, h *nftables.ChainHook, p *nftables.ChainPriority, rules ...[]expr.Any) chain {
		return chain{nftables.Chain{Name: name, Type: t, Hooknum: h, Priority: p, Policy: &accept}, rules}
	}
	return &ruleset{sets: sets, chains: []chain{
		hook("input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter, inputRules(c)...),
		hook("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter, forwardRules(c)...),
		hook("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, postroutingRules(c)...),
	}}, nil
}

func setsOf(c Config) (map[string][]nftables.SetElement, error) {
	clients, err := elements(c.Clients)
	if err != nil {
		return nil, err
	}
	inside, err := elements(slices.Concat(c.Clients, c.Networks))
	if err != nil {
		return nil, err
	}
	return map[string][]nftables.SetElement{clientSet: clients, insideSet: inside}, nil
}

// inputRules: what arrives for Address and belongs to no connection is dropped. Else the kernel would answer a server that goes on
// with a connection of a former holder by a reset, before the client has said a word. The security group lets clients in with all that
// they send to the Internet, so that the instance's own ports are closed to them here. What comes from elsewhere is the group's.
func inputRules(c Config) [][]expr.Any {
	rules := [][]expr.Any{
		rule(addressIs(destination, c.Address), outside(source), ctState(expr.CtStateBitNEW|expr.CtStateBitINVALID), verdict(expr.VerdictDrop)),
	}
	if c.HealthPort != 0 {
		rules = append(rules, rule(tcp(), portIs(c.HealthPort), outside(source), verdict(expr.VerdictDrop)))
	}
	rules = append(rules,
		rule(loopback(), verdict(expr.VerdictAccept)),
		rule(ctState(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), verdict(expr.VerdictAccept)),
		rule(protocol(unix.IPPROTO_ICMP), verdict(expr.VerdictAccept)),
		rule(protocol(unix.IPPROTO_UDP), portIs(dhcpClient), verdict(expr.VerdictAccept)))
	for _, open := range []struct {
		port uint16
		is   bool
	}{{c.HealthPort, c.HealthPort != 0}, {ssh, c.SSH}} {
		if open.is {
			rules = append(rules, rule(tcp(), portIs(open.port), verdict(expr.VerdictAccept)))
		}
	}
	return append(rules, rule(inside(source), verdict(expr.VerdictDrop)))
}

// Ports of the instance that others may speak to.
const ssh, dhcpClient = 22, 68

// segment is the largest TCP segment that fits the Internet's 1500 bytes: less 20 each for the headers of IPv4 and TCP.
const segment = 1460

// forwardRules: an invalid packet is not translated, so it must not leave; a packet from within an unknown connection is answered. Both
// ends of a connection to the Internet are told segments that fit it, as a NAT gateway does: interfaces of a VPC take 9001 bytes, and
// where the ICMP message that says so gets lost on the way, a connection would hang for ever.
func forwardRules(c Config) [][]expr.Any {
	rules := [][]expr.Any{
		rule(client(source), outside(destination), tcp(), opens(), clamp(segment)),
		rule(client(destination), outside(source), tcp(), opens(), clamp(segment)),
		rule(ctState(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), verdict(expr.VerdictAccept)),
		rule(client(source), outside(destination), ctState(expr.CtStateBitINVALID), verdict(expr.VerdictDrop)),
	}
	if c.MidStream != PickUp {
		rules = append(rules, rule(client(source), outside(destination), tcp(), notFirst(), ctState(expr.CtStateBitNEW),
			[]expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}}))
	}
	return rules
}

// postroutingRules see the first packet of a connection only.
func postroutingRules(c Config) [][]expr.Any {
	var rules [][]expr.Any
	if c.Self {
		rules = append(rules, rule(addressIs(source, c.Primary), outside(destination), notLinkLocal(), snat(c.Address, true)))
	}
	rules = append(rules,
		rule(addressIs(source, c.Primary), verdict(expr.VerdictAccept)),
		rule(addressIs(source, c.Address), verdict(expr.VerdictAccept)))
	if c.Canary.IsValid() {
		rules = append(rules, rule(addressIs(source, c.Canary), outside(destination), snat(c.Primary, true)))
	}
	if c.MidStream == PickUp {
		rules = append(rules, rule(client(source), outside(destination), tcp(), notFirst(), snat(c.Address, false)))
	}
	// The counter is that of new connections.
	return append(rules, rule(client(source), outside(destination), []expr.Any{&expr.Counter{}}, snat(c.Address, true)))
}

// elements are the ranges of an interval set, as the kernel lists them: each beginning, and each end exclusive.
func elements(prefixes []netip.Prefix) ([]nftables.SetElement, error) {
	var b netipx.IPSetBuilder
	for _, p := range prefixes {
		if !p.Addr().Is4() || p.Bits() == 0 {
			return nil, fmt.Errorf("clients: %s: is not an IPv4 network (name the networks whose traffic is translated)", p)
		}
		b.AddPrefix(p)
	}
	set, err := b.IPSet()
	if err != nil {
		return nil, err
	}
	if len(set.Ranges()) == 0 {
		return nil, fmt.Errorf("clients: none: nothing would be translated")
	}
	var out []nftables.SetElement
	for _, r := range set.Ranges() {
		out = append(out, nftables.SetElement{Key: r.From().AsSlice()})
		if end := r.To().Next(); end.IsValid() {
			out = append(out, nftables.SetElement{Key: end.AsSlice(), IntervalEnd: true})
		}
	}
	return out, nil
}

// applyRuleset replaces the table, in one transaction, if it is not as desired. It says what it did.
func applyRuleset(c Config) (string, error) {
	want, err := desired(c)
	if err != nil {
		return "", err
	}
	nft, err := newTransaction()
	if err != nil {
		return "", err
	}
	have, err := readRuleset(nft)
	if err != nil {
		return "", fmt.Errorf("read table %s: %w", TableName, err)
	}
	if have != nil && have.String() == want.String() {
		return "", nil
	}
	what := "ruleset: was missing"
	table := &nftables.Table{Name: TableName, Family: nftables.TableFamilyIPv4}
	if have != nil {
		what = "ruleset: differed in " + firstDifference(have.String(), want.String())
		nft.DelTable(table)
	}
	if err := want.write(nft, nft.AddTable(table)); err != nil {
		return "", err
	}
	return what, nft.Flush()
}

// write puts the content into a table.
func (r *ruleset) write(nft *nftables.Conn, table *nftables.Table) error {
	ids := map[string]uint32{}
	for _, name := range slices.Sorted(maps.Keys(r.sets)) {
		set := &nftables.Set{Table: table, Name: name, KeyType: nftables.TypeIPAddr, Interval: true}
		if err := nft.AddSet(set, r.sets[name]); err != nil {
			return err
		}
		ids[name] = set.ID
	}
	for _, ch := range r.chains {
		added := ch.Chain
		added.Table = table
		nft.AddChain(&added)
		for _, exprs := range ch.rules {
			nft.AddRule(&nftables.Rule{Table: table, Chain: &added, Exprs: bind(exprs, ids)})
		}
	}
	return nil
}

// bind gives the lookups of a rule the ids of the sets within the transaction.
func bind(exprs []expr.Any, ids map[string]uint32) []expr.Any {
	out := slices.Clone(exprs)
	for i, e := range out {
		if l, ok := e.(*expr.Lookup); ok {
			bound := *l
			bound.SetID = ids[l.SetName]
			out[i] = &bound
		}
	}
	return out
}

// readRuleset is the table as the kernel lists it, or nil.
func readRuleset(nft *nftables.Conn) (*ruleset, error) {
	tables, err := nft.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(tables, func(t *nftables.Table) bool { return t.Name == TableName })
	if i < 0 {
		return nil, nil
	}
	table := tables[i]
	r := &ruleset{sets: map[string][]nftables.SetElement{}}
	sets, err := nft.GetSets(table)
	if err != nil {
		return nil, err
	}
	for _, s := range sets {
		if r.sets[s.Name], err = nft.GetSetElements(s); err != nil {
			return nil, err
		}
	}
	chains, err := nft.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return nil, err
	}
	for _, ch := range chains {
		if ch.Table.Name != TableName {
			continue
		}
		rules, err := nft.GetRules(table, ch)
		if err != nil {
			return nil, err
		}
		read := chain{Chain: *ch}
		for _, rule := range rules {
			read.rules = append(read.rules, rule.Exprs)
		}
		r.chains = append(r.chains, read)
	}
	return r, nil
}

// The matches and statements that rules are made of. All use register 1.

type field uint32 // offset in the IPv4 header

const (
	source      field = 12
	destination field = 16
)

func rule(parts ...[]expr.Any) []expr.Any { return slices.Concat(parts...) }

func load(f field) expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: uint32(f), Len: 4}
}

func equal(data ...byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

func addressIs(f field, a netip.Addr) []expr.Any { return []expr.Any{load(f), equal(a.AsSlice()...)} }

func client(f field) []expr.Any {
	return []expr.Any{load(f), &expr.Lookup{SourceRegister: 1, SetName: clientSet}}
}

func outside(f field) []expr.Any {
	return []expr.Any{load(f), &expr.Lookup{SourceRegister: 1, SetName: insideSet, Invert: true}}
}

func inside(f field) []expr.Any {
	return []expr.Any{load(f), &expr.Lookup{SourceRegister: 1, SetName: insideSet}}
}

// loopback matches what the instance sends to itself. The first interface of every network namespace is its loopback.
func loopback() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyIIF, Register: 1}, equal(binaryutil.NativeEndian.PutUint32(1)...)}
}

// notLinkLocal spares instance metadata, the resolver and the clock.
func notLinkLocal() []expr.Any {
	return []expr.Any{load(destination),
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: []byte{255, 255, 0, 0}, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{169, 254, 0, 0}}}
}

func protocol(number byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal(number)}
}

func tcp() []expr.Any { return protocol(unix.IPPROTO_TCP) }

func portIs(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		equal(binaryutil.BigEndian.PutUint16(port)...)}
}

// Flags of a TCP header.
const fin, syn, rst, ack = 1, 2, 4, 16

func flags(mask byte, op expr.CmpOp, value byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{mask}, Xor: []byte{0}},
		&expr.Cmp{Op: op, Register: 1, Data: []byte{value}}}
}

// notFirst matches TCP packets that do not begin a connection: of FIN, SYN, RST and ACK not SYN alone.
func notFirst() []expr.Any { return flags(fin|syn|rst|ack, expr.CmpOpNeq, syn) }

// opens matches the TCP packets that say how large a segment their sender takes: SYN, and SYN with ACK.
func opens() []expr.Any { return flags(syn|rst, expr.CmpOpEq, syn) }

// clamp lowers the largest segment that the packet announces, if it announces one. The kernel never raises it.
func clamp(size uint16) []expr.Any {
	const maximumSegmentSize = 2 // kind of the option; its value begins at the third byte
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(size)},
		&expr.Exthdr{SourceRegister: 1, Type: maximumSegmentSize, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt}}
}

func ctState(bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Register: 1, Key: expr.CtKeySTATE},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)}}
}

func verdict(kind expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: kind}} }

func snat(to netip.Addr, random bool) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: to.AsSlice()},
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, FullyRandom: random}}
}
