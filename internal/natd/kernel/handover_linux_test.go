package kernel

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAFlowIsReadAsItWasWritten(t *testing.T) {
	f := Flow{Protocol: 6, State: 3, Port: 40000, Status: 0x18e, Timeout: 349, Source: [4]byte{10, 0, 1, 2}, Destination: [4]byte{198, 51, 100, 1},
		SourcePort: 1234, DestinationPort: 443}
	b := f.Encode(nil)
	if len(b) != FlowSize {
		t.Fatalf("%d bytes", len(b))
	}
	got, err := DecodeFlow(bytes.NewReader(b))
	if diff := cmp.Diff(f, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

// export collects what a kernel has, up to a moment.
func export(t *testing.T) (flows []Flow) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := errors.New("settled")
	err := Export(ctx, example().Clients, address, func(f Flow) error { flows = append(flows, f); return nil }, func() error { return done })
	if !errors.Is(err, done) {
		t.Fatal(err)
	}
	return flows
}

// The instance loses its memory, as a successor never had it, and is told.
func TestConnectionsGoOnOverAnInstanceThatWasToldOfThem(t *testing.T) {
	n := newNetwork(t)
	k := n.open(t)
	_, err := k.Converge(example())
	must(t, err)
	to := n.serve(t)
	var conns []net.Conn
	for range 5 {
		c, _, err := n.dial(t, n.client, to)
		must(t, err)
		must(t, exchange(c, patience))
		conns = append(conns, c)
	}
	server := n.packets(t)
	var udp net.Conn
	n.in(t, n.client, func() {
		udp, err = net.Dial("udp4", server.LocalAddr().String())
		must(t, err)
	})
	defer udp.Close()
	ask := func() net.Addr {
		t.Helper()
		_, err := udp.Write([]byte("hello"))
		must(t, err)
		must(t, server.SetDeadline(time.Now().Add(patience)))
		_, from, err := server.ReadFrom(make([]byte, 64))
		must(t, err)
		return from
	}
	mapping := ask()

	flows := export(t)
	if len(flows) != 6 {
		t.Errorf("%d flows: %+v", len(flows), flows)
	}
	// A packet that is on its way still, such as a late acknowledgement, is dropped meanwhile: it would be answered by a reset.
	write(t, "net/ipv4/ip_forward", "0")
	flush(t)
	i, err := NewImporter(address)
	must(t, err)
	defer i.Close()
	for range 2 { // the second time brings up to date
		added, err := i.Add(flows...)
		must(t, err)
		if added != len(flows) {
			t.Errorf("%d of %d made known", added, len(flows))
		}
	}
	if diff := cmp.Diff(len(flows), len(export(t))); diff != "" {
		t.Errorf("flows after the import: %s", diff)
	}
	write(t, "net/ipv4/ip_forward", "1")
	for _, c := range conns {
		if err := exchange(c, patience); err != nil {
			t.Error(err)
		}
	}
	if got := ask(); got.String() != mapping.String() {
		t.Errorf("UDP comes from %s, before from %s", got, mapping)
	}
}

func TestWhatIsNewIsToldUntilTheEnd(t *testing.T) {
	n := newNetwork(t)
	_, err := n.open(t).Converge(example())
	must(t, err)
	to := n.serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	told, settled, ended := make(chan Flow, 100), make(chan struct{}), make(chan error, 1)
	go func() {
		onThread(t, n, func() {
			ended <- Export(ctx, example().Clients, address, func(f Flow) error { told <- f; return nil }, func() error { close(settled); return nil })
		})
	}()
	<-settled
	_, seen, err := n.dial(t, n.client, to)
	must(t, err)
	for f := range told {
		if f.Port == seen.Port() && f.Status&statusAssured != 0 {
			break
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}
