package natd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"polynat/internal/natd/kernel"
)

// serverPatience is how long the endpoint waits for who asks how it is.
const serverPatience = 50 * time.Millisecond

var loopback = netip.MustParseAddr("127.0.0.1")

// pair is a predecessor that answers on loopback, and its successor, whose address is the same.
type pair struct {
	predecessor, successor *agent
	cloud                  *cloud
	// old is what the predecessor has, and fresh what it hears of.
	old   []kernel.Flow
	fresh chan kernel.Flow

	mu    sync.Mutex
	known []kernel.Flow
}

func newPair(t *testing.T) *pair {
	t.Helper()
	l, err := net.Listen("tcp4", loopback.String()+":0")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := net.SplitHostPort(l.Addr().String())
	port, _ := strconv.Atoi(text)
	p := &pair{cloud: newCloud(), fresh: make(chan kernel.Flow), old: []kernel.Flow{{Protocol: 6, Port: 1}, {Protocol: 17, Port: 2}}}
	p.cloud.interfaces["eni-successor"] = &card{addresses: []netip.Addr{loopback}, tagged: true}
	for _, a := range []**agent{&p.predecessor, &p.successor} {
		config := document()
		config.HealthPort = port
		*a = newAgent(Options{Config: config}.Defaults())
		(*a).zone.ec2 = p.cloud
	}
	p.predecessor.handover.export = func(ctx context.Context, _ []netip.Prefix, _ netip.Addr, send func(kernel.Flow) error, settled func() error) error {
		for _, f := range p.old {
			if err := send(f); err != nil {
				return err
			}
		}
		if err := settled(); err != nil {
			return err
		}
		for {
			select {
			case f := <-p.fresh:
				if err := send(f); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	p.successor.handover.importer = func(netip.Addr) (func(...kernel.Flow) (int, error), func() error, error) {
		return func(f ...kernel.Flow) (int, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.known = append(p.known, f...)
			return len(f), nil
		}, func() error { return nil }, nil
	}
	server := healthServer(p.predecessor.health, p.predecessor.tell)
	server.ReadTimeout, server.WriteTimeout = serverPatience, serverPatience
	go server.Serve(l) //nolint:errcheck // until it is closed
	t.Cleanup(func() { server.Close() })
	return p
}

func (p *pair) knows() []kernel.Flow {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.known)
}

func TestASuccessorKnowsTheConnectionsBeforeItTakesTheAddress(t *testing.T) {
	p := newPair(t)
	p.successor.inherit(t.Context(), loopback)
	if diff := cmp.Diff(p.old, p.knows()); diff != "" {
		t.Error(diff)
	}
	<-time.After(2 * serverPatience) // a hand-over takes longer than a question
	select {
	case p.fresh <- kernel.Flow{Protocol: 6, Port: 3}:
	case <-time.After(patience):
		t.Fatal("the predecessor has hung up")
	}
	until(t, "it is told of what is new", func() bool { return len(p.knows()) == 3 })
	p.successor.mu.Lock()
	listening := p.successor.inherited != nil
	p.successor.mu.Unlock()
	p.successor.routesFollowed()
	if !listening || p.successor.inherited != nil {
		t.Errorf("listening before the routes followed: %v, after: %v", listening, p.successor.inherited != nil)
	}
}

func TestAPredecessorSaysThatItsZoneGoesOverWhileItTellsItsSuccessor(t *testing.T) {
	p := newPair(t)
	if p.predecessor.health().Claim {
		t.Error("nobody has asked for the connections")
	}
	p.successor.inherit(t.Context(), loopback)
	if !p.predecessor.health().Claim {
		t.Error("a successor is being told")
	}
	p.successor.mu.Lock()
	gone := p.successor.inherited
	p.successor.mu.Unlock()
	gone() // as after the routes have followed, or when it dies
	until(t, "the claim is over", func() bool { return !p.predecessor.health().Claim })
}

func TestAStrangerIsNotToldOfConnections(t *testing.T) {
	p := newPair(t)
	p.cloud.interfaces["eni-successor"].tagged = false
	for range 3 {
		began := time.Now()
		p.successor.inherit(t.Context(), loopback)
		if took := time.Since(began); took > time.Second {
			t.Errorf("was held up for %s", took)
		}
	}
	if known := p.knows(); len(known) > 0 || p.predecessor.health().Claim {
		t.Errorf("told: %v, claim: %v", known, p.predecessor.health().Claim)
	}
	if asked := len(p.cloud.called()); asked != 1 {
		t.Errorf("the API was asked %d times for one who was refused", asked)
	}
}

func TestStrangersDoNotKeepASuccessorWaitingForMoreThanOneAnswer(t *testing.T) {
	p := newPair(t)
	now := time.Now()
	p.predecessor.now = func() time.Time { return now }
	for i := range 100 {
		if p.predecessor.successor(t.Context(), netip.AddrFrom4([4]byte{10, 0, 9, byte(i)})) {
			t.Errorf("stranger %d is taken for a successor", i)
		}
	}
	if !p.predecessor.successor(t.Context(), loopback) {
		t.Error("the successor is not known")
	}
	if asked := len(p.cloud.called()); asked != 1 {
		t.Errorf("the API was asked %d times within a second", asked)
	}
	delete(p.cloud.interfaces, "eni-successor")
	now = now.Add(2 * acquaintance)
	if p.predecessor.successor(t.Context(), loopback) {
		t.Error("one who has left the zone is still known")
	}
}

func TestASuccessorThatDoesNotReadEndsItsHandOver(t *testing.T) {
	p := newPair(t)
	p.predecessor.stalled = 50 * time.Millisecond
	ended := make(chan error, 1)
	p.predecessor.handover.export = func(_ context.Context, _ []netip.Prefix, _ netip.Addr, send func(kernel.Flow) error, _ func() error) error {
		for {
			if err := send(kernel.Flow{Protocol: 6}); err != nil {
				ended <- err
				return err
			}
		}
	}
	c, err := net.Dial("tcp4", net.JoinHostPort(loopback.String(), strconv.Itoa(p.successor.Config.HealthPort)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Write([]byte("GET " + flowsPath + " HTTP/1.1\r\nHost: predecessor\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ended with: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("goes on for one who does not read")
	}
}

func TestAnUnknownSuccessorIsRefusedWhenTheAPIDoesNotAnswer(t *testing.T) {
	p := newPair(t)
	p.cloud.refuse["DescribeNetworkInterfaces"] = "RequestLimitExceeded"
	p.successor.inherit(t.Context(), loopback)
	if known := p.knows(); len(known) > 0 {
		t.Errorf("told: %v", known)
	}
}

func TestAPredecessorThatDoesNotAnswerHoldsNobodyUp(t *testing.T) {
	p := newPair(t)
	began := time.Now()
	p.successor.Config.HealthPort = 1 // nobody listens
	p.successor.inherit(t.Context(), loopback)
	if took := time.Since(began); took > time.Second {
		t.Errorf("was held up for %s", took)
	}
}

func TestAConnectionThatCannotBeMadeKnownDoesNotStopTheOthers(t *testing.T) {
	var stream []byte
	for port := range uint16(3) {
		stream = kernel.Flow{Protocol: 6, Port: port}.Encode(stream)
	}
	stream = kernel.Flow{}.Encode(stream)
	stream = kernel.Flow{Protocol: 6, Port: 3}.Encode(stream)
	settled := 0
	n, err := follow(bufio.NewReader(bytes.NewReader(stream)), func(flows ...kernel.Flow) (int, error) {
		if len(flows) == 3 {
			return 2, errors.New("no room")
		}
		return len(flows), nil
	}, func() { settled++ })
	if n != 3 || settled != 1 || err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("%d made known, settled %d times, %v", n, settled, err)
	}
}

func TestTheZoneAsksThePredecessorThatHasTheAddress(t *testing.T) {
	c := newCloud()
	c.interfaces["eni-peer"] = &card{addresses: []netip.Addr{netip.MustParseAddr("10.0.0.11"), zoneAddress}, tagged: true}
	c.bound = zoneAddress
	z := newZone(c)
	var asked []string
	z.inherit = func(_ context.Context, from netip.Addr) {
		asked = append(asked, from.String())
		if slices.Contains(c.called(), "AssignPrivateIpAddresses") {
			t.Error("the address was taken before")
		}
	}
	see(t, z)
	do(t, z.takeAddress)
	if diff := cmp.Diff([]string{"10.0.0.11"}, asked); diff != "" {
		t.Error(diff)
	}

	// Once the peer has gone, there is nobody to ask.
	c.mu.Lock()
	delete(c.interfaces, "eni-peer")
	c.interfaces["eni-own"].addresses, c.bound, c.calls = []netip.Addr{own}, netip.Addr{}, nil
	c.mu.Unlock()
	see(t, z)
	do(t, z.takeAddress)
	if len(asked) != 1 {
		t.Errorf("asked %v", asked)
	}
}
