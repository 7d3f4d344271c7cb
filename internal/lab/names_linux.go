package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"

	"golang.org/x/net/dns/dnsmessage"
)

// Names answers queries for names, in the VPC at its second address and in the region at [Services]: server1.lab. to
// serverN.lab. are the Internet's.
type Names struct {
	// Resolver is the address in the VPC.
	Resolver netip.Addr
	silent   atomic.Bool
	byName   map[string]netip.Addr
	sockets  []net.PacketConn
}

func newNames(l *Lab) (*Names, error) {
	n := &Names{Resolver: nth(l.options.VPC, 2), byName: map[string]netip.Addr{}}
	for i, a := range l.Internet.Servers {
		n.byName[ServerName(i)] = a
	}
	for space, a := range map[*Namespace]netip.Addr{l.router.Namespace: n.Resolver, l.Region: Services} {
		c, err := space.ListenPacket("udp4", netip.AddrPortFrom(a, 53).String())
		if err != nil {
			n.close()
			return nil, err
		}
		n.sockets = append(n.sockets, c)
		go n.serve(c)
	}
	return n, nil
}

// ServerName of the Internet's i-th server, from 0.
func ServerName(i int) string { return fmt.Sprintf("server%d.lab.", i+1) }

func (n *Names) close() {
	for _, c := range n.sockets {
		_ = c.Close()
	}
}

// Silence makes queries go unanswered, or answered again.
func (n *Names) Silence(on bool) { n.silent.Store(on) }

func (n *Names) serve(c net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		size, from, err := c.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n.silent.Load() {
			continue
		}
		if answer, err := n.answer(buffer[:size]); err == nil {
			_, _ = c.WriteTo(answer, from)
		}
	}
}

func (n *Names) answer(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	if len(m.Questions) != 1 {
		return nil, fmt.Errorf("%d questions", len(m.Questions))
	}
	q := m.Questions[0]
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: m.ID, Response: true, RecursionDesired: m.RecursionDesired, RecursionAvailable: true},
		Questions: m.Questions,
	}
	a, ok := n.byName[strings.ToLower(q.Name.String())]
	switch {
	case !ok:
		reply.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		reply.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
			Body:   &dnsmessage.AResource{A: a.As4()},
		}}
	}
	return reply.Pack()
}
