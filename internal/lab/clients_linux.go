package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Patience is how long a client waits for the whole answer on a new connection. The kernel sends a lost SYN again after
// 1 s, so a client with more patience would hide an outage.
const Patience = 900 * time.Millisecond

// Attempt is one try of a client to open a connection and have an answer.
type Attempt struct {
	Table string
	Start time.Time
	Took  time.Duration
	// Err is nil if the whole answer came within [Patience].
	Err error
}

// Attempts by their start.
type Attempts []Attempt

// Lost is how many had no answer.
func (as Attempts) Lost() int {
	lost := 0
	for _, a := range as {
		if a.Err != nil {
			lost++
		}
	}
	return lost
}

// Outage is the longest time in which nothing but loss began in the subnets of one route table, of all tables the worst: from
// the start of the first attempt that was lost to the start of the next one that was not. What other tables answer ends no
// outage.
func (as Attempts) Outage() time.Duration { return as.worst(Attempts.outage) }

// outage of one table.
func (as Attempts) outage() time.Duration {
	var longest time.Duration
	var since time.Time
	for i, a := range as {
		if a.Err != nil && since.IsZero() {
			since = a.Start
		}
		if last := i == len(as)-1; !since.IsZero() && (a.Err == nil || last) {
			longest = max(longest, a.Start.Sub(since))
		}
		if a.Err == nil {
			since = time.Time{}
		}
	}
	return longest
}

// Impaired is how long more than the usual share is lost, of all tables the worst: from the start of the first attempt that
// was lost to the last one with which more than the usual share of a second's attempts was.
func (as Attempts) Impaired(usual float64) time.Duration {
	return as.worst(func(as Attempts) time.Duration { return as.impaired(usual) })
}

// impaired of one table.
func (as Attempts) impaired(usual float64) time.Duration {
	first, last := -1, -1
	for i, a := range as {
		if a.Err == nil {
			continue
		}
		if first < 0 {
			first = i
		}
		second := slices.IndexFunc(as, func(b Attempt) bool { return a.Start.Sub(b.Start) < time.Second })
		if within := as[second : i+1]; float64(within.Lost()) > usual*float64(len(within)) {
			last = i
		}
	}
	if last < 0 {
		return 0
	}
	return as[last].Start.Sub(as[first].Start)
}

// worst of a measure of the attempts of one table.
func (as Attempts) worst(measure func(Attempts) time.Duration) time.Duration {
	tables := map[string]Attempts{}
	for _, a := range as {
		tables[a.Table] = append(tables[a.Table], a)
	}
	var worst time.Duration
	for _, of := range tables {
		worst = max(worst, measure(of))
	}
	return worst
}

// Load is clients that open new connections at a constant rate, from one subnet after the other to one server after
// the other.
type Load struct {
	lab     *Lab
	tables  []string
	servers []netip.Addr
	cancel  context.CancelFunc
	done    chan struct{}

	mu       sync.Mutex
	attempts Attempts
}

// Load starts clients in the subnets of the route tables, so many connections a second in all, to these servers, or to
// all.
func (l *Lab) Load(tables []string, rate int, servers ...netip.Addr) *Load {
	ctx, cancel := context.WithCancel(context.Background())
	if len(servers) == 0 {
		servers = l.Internet.Servers
	}
	load := &Load{lab: l, tables: tables, servers: servers, cancel: cancel, done: make(chan struct{})}
	go load.run(ctx, time.Second/time.Duration(rate))
	return load
}

func (l *Load) run(ctx context.Context, interval time.Duration) {
	defer close(l.done)
	var attempts sync.WaitGroup
	defer attempts.Wait()
	begin := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 0; ; i++ {
		// By the clock and not by the tick, so that a busy machine delays attempts and does not leave them out.
		timer.Reset(time.Until(begin.Add(time.Duration(i) * interval)))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		attempts.Go(func() {
			table := l.tables[i%len(l.tables)]
			start := time.Now()
			err := l.lab.try(table, l.servers[i/len(l.tables)%len(l.servers)])
			l.mu.Lock()
			defer l.mu.Unlock()
			l.attempts = append(l.attempts, Attempt{Table: table, Start: start, Took: time.Since(start), Err: err})
		})
	}
}

// Stop ends the clients, waits for the attempts on their way and returns all.
func (l *Load) Stop() Attempts {
	l.cancel()
	<-l.done
	return l.since(time.Time{})
}

// Since returns the finished attempts that began at or after a time.
func (l *Load) Since(t time.Time) Attempts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.since(t)
}

func (l *Load) since(t time.Time) Attempts {
	var as Attempts
	for _, a := range l.attempts {
		if !a.Start.Before(t) {
			as = append(as, a)
		}
	}
	slices.SortFunc(as, func(a, b Attempt) int { return a.Start.Compare(b.Start) })
	return as
}

// Try opens one new connection from the subnet of a route table to the first server.
func (l *Lab) Try(table string) error { return l.try(table, l.Internet.Servers[0]) }

func (l *Lab) try(table string, server netip.Addr) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	body, err := l.Host(table).Get(ctx, netip.AddrPortFrom(server, HTTPPort), "/")
	if err == nil && body != Answer {
		err = fmt.Errorf("answer of %d bytes instead of %d", len(body), len(Answer))
	}
	return err
}

// Egress is the address that a new connection from the subnet of a route table is seen with.
func (l *Lab) Egress(table string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	body, err := l.Host(table).Get(ctx, netip.AddrPortFrom(l.Internet.Servers[0], HTTPPort), "/identity")
	if err != nil {
		return netip.Addr{}, err
	}
	return netip.ParseAddr(body[:len(body)-1])
}

// Held are connections that were established before, half of them to servers that echo, half to servers that speak
// and are only listened to.
type Held struct {
	stop   chan struct{}
	cut    chan error
	opened []net.Conn
}

// What is heard on an established connection, how often it is spoken on, and how long a silence is taken for the end.
const (
	beat    = 200 * time.Millisecond
	silence = 5 * time.Second
	goodbye = 2 * time.Second
)

// Hold opens n connections from the subnet of each route table to these servers, or to all.
func (l *Lab) Hold(tables []string, n int, servers ...netip.Addr) (*Held, error) {
	if len(servers) == 0 {
		servers = l.Internet.Servers
	}
	h := &Held{stop: make(chan struct{}), cut: make(chan error, n*len(tables))}
	for i := range n * len(tables) {
		port, serve := uint16(EchoPort), h.echo
		if i/len(tables)%2 == 1 {
			port, serve = PushPort, h.listen
		}
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		c, err := l.Host(tables[i%len(tables)]).Dial(ctx, netip.AddrPortFrom(servers[i%len(servers)], port))
		cancel()
		if err != nil {
			h.Stop()
			return nil, fmt.Errorf("connection to hold: %w", err)
		}
		h.opened = append(h.opened, c)
		go func() {
			defer func() { _ = c.Close() }()
			h.cut <- serve(c)
		}()
	}
	return h, nil
}

// Stop asks every connection whether it still lives, and returns how many do not, of how many.
func (h *Held) Stop() (cut, established int) {
	close(h.stop)
	for _, c := range h.opened { // who listens is not to listen longer
		_ = c.SetDeadline(time.Now().Add(goodbye))
	}
	for range h.opened {
		if err := <-h.cut; err != nil {
			cut++
		}
	}
	return cut, len(h.opened)
}

func (h *Held) echo(c net.Conn) error {
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		select {
		case <-h.stop:
			return exchange(c, goodbye)
		case <-t.C:
			if err := exchange(c, silence); err != nil {
				return err
			}
		}
	}
}

func exchange(c net.Conn, within time.Duration) error {
	b := []byte{'?'}
	err := c.SetDeadline(time.Now().Add(within))
	if err == nil {
		_, err = c.Write(b)
	}
	if err == nil {
		_, err = io.ReadFull(c, b)
	}
	return err
}

func (h *Held) listen(c net.Conn) error {
	b := make([]byte, 64)
	for {
		within, last := silence, false
		select {
		case <-h.stop:
			within, last = goodbye, true
		default:
		}
		if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
			return err
		}
		if _, err := c.Read(b); err != nil {
			return errors.Join(errors.New("silent"), err)
		}
		if last {
			return nil
		}
	}
}
