package kernel

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	nl "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// guard holds what must not pass while the rules are lost, in a table that the kernel lets nobody but natd change: `nft flush ruleset`,
// which empties every other, leaves it alone. It goes with natd, so that whoever stops natd is rid of it.
//
// Without it, what a server sends to a client in the moment until the rules are back reaches the instance itself, which answers with
// a reset: the server ends a connection of which the client learns nothing. And what clients send leaves with their own addresses.
// Both are dropped instead, and sent again.
type guard struct {
	conn  *nftables.Conn
	rules string
}

// GuardName is the nftables table of family ip that natd owns.
const GuardName = TableName + "-guard"

// guarding are its rules: what the translation has not seen.
func guarding(c Config) (*ruleset, error) {
	sets, err := setsOf(c)
	if err != nil {
		return nil, err
	}
	accept, translated := nftables.ChainPolicyAccept, nftables.ChainPriorityRef(*nftables.ChainPriorityNATSource+1)
	return &ruleset{sets: sets, chains: []chain{
		{nftables.Chain{Name: "input", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter, Policy: &accept}, [][]expr.Any{
			rule(addressIs(destination, c.Address), outside(source), sourceTranslated(), verdict(expr.VerdictDrop)),
			rule(addressIs(destination, c.Address), outside(source), ctState(expr.CtStateBitNEW|expr.CtStateBitINVALID), verdict(expr.VerdictDrop)),
		}},
		{nftables.Chain{Name: "postrouting", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPostrouting, Priority: translated, Policy: &accept}, [][]expr.Any{
			rule(addressIs(source, c.Primary), verdict(expr.VerdictAccept)),
			rule(addressIs(source, c.Address), verdict(expr.VerdictAccept)),
			rule(client(source), outside(destination), verdict(expr.VerdictDrop)),
		}},
	}}, nil
}

// sourceTranslated matches packets, either way, of connections whose source is translated.
func sourceTranslated() []expr.Any {
	const sourceNAT = 1 << 4 // IPS_SRC_NAT
	return []expr.Any{
		&expr.Ct{Register: 1, Key: expr.CtKeySTATUS},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(sourceNAT), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)}}
}

// apply has the guard as it ought to be. Nobody else can change it, so that it is written when it becomes another only.
func (g *guard) apply(c Config) error {
	want, err := guarding(c)
	if err != nil || g.rules == want.String() {
		return err
	}
	g.close()
	var socket *nl.Conn
	g.conn, err = nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *nl.Conn) error { socket = c; return limit(c) }))
	if err != nil {
		return err
	}
	table := &nftables.Table{Name: GuardName, Family: nftables.TableFamilyIPv4}
	err = own(socket, table)
	if err == nil {
		err = want.write(g.conn, table)
	}
	if err == nil {
		err = g.conn.Flush()
	}
	if err != nil {
		g.close()
		return fmt.Errorf("table %s: %w", GuardName, err)
	}
	g.rules = want.String()
	return nil
}

func (g *guard) close() {
	if g.conn != nil {
		g.conn.CloseLasting() //nolint:errcheck // the table goes with the socket
	}
	g.conn, g.rules = nil, ""
}

// own makes a table that belongs to the socket. The library has no words for it.
func own(socket *nl.Conn, table *nftables.Table) error {
	const owner = 0x2 // NFT_TABLE_F_OWNER, since Linux 5.12
	attributes, err := nl.MarshalAttributes([]nl.Attribute{
		{Type: unix.NFTA_TABLE_NAME, Data: []byte(table.Name + "\x00")}, {Type: unix.NFTA_TABLE_FLAGS, Data: binaryutil.BigEndian.PutUint32(owner)},
	})
	if err != nil {
		return err
	}
	edge := func(kind nl.HeaderType) nl.Message {
		return nl.Message{Header: nl.Header{Type: kind, Flags: nl.Request}, Data: append([]byte{0, unix.NFNETLINK_V0}, binaryutil.BigEndian.PutUint16(unix.NFNL_SUBSYS_NFTABLES)...)}
	}
	create := nl.Message{
		Header: nl.Header{Type: nl.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWTABLE), Flags: nl.Request | nl.Acknowledge | nl.Create | nl.Excl},
		Data:   append([]byte{byte(table.Family), unix.NFNETLINK_V0, 0, 0}, attributes...),
	}
	if _, err := socket.SendMessages([]nl.Message{edge(unix.NFNL_MSG_BATCH_BEGIN), create, edge(unix.NFNL_MSG_BATCH_END)}); err != nil {
		return err
	}
	if _, err := socket.Receive(); err != nil {
		return errors.Join(errors.New("the kernel makes no table with an owner"), err)
	}
	return nil
}
