package natd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"polynat/internal/natd/kernel"
)

// A successor asks its predecessor for the connections that it translates, before it takes the address, and is told of the new ones
// until the routes have followed: their ports are random, so nobody else can go on with them. It is asked for once, and whatever
// fails costs those connections and nothing else: their clients are told by a reset.

// handover is both sides of it. The functions are the kernel's.
type handover struct {
	export func(ctx context.Context, clients []netip.Prefix, address netip.Addr, send func(kernel.Flow) error, settled func() error) error
	// importer makes connections known until close is called.
	importer func(address netip.Addr) (add func(...kernel.Flow) (int, error), closing func() error, err error)
}

const (
	// inheritWait is how long the address waits for the connections that are there: 200,000 take about 3 s (BenchmarkHandOver).
	inheritWait = 8 * time.Second
	// inheritFor is how long new ones are listened for at most, and inheritAfter how long after the routes have followed.
	inheritFor, inheritAfter = 30 * time.Second, 2 * time.Second
	// greeting is how long a predecessor may take to accept: one that is dead must not hold the successor up.
	greeting = time.Second
	// acquaintance is how long it is known who belongs to the zone. A successor asks minutes after its launch.
	acquaintance = time.Second
)

// tell answers a successor, and nobody else: with whom clients speak is their own affair.
func (a *agent) tell(w http.ResponseWriter, r *http.Request) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || a.handover.export == nil || !a.successor(r.Context(), from.Addr().Unmap()) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	a.tells(1)
	defer a.tells(-1)
	control := http.NewResponseController(w)
	// It lasts longer than a question. The server reads on meanwhile, to see whether who asked is still there.
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), inheritWait+inheritFor)
	defer cancel()
	a.mu.Lock()
	clients := slices.Clone(a.clients())
	a.mu.Unlock()
	out, record, told, live := bufio.NewWriterSize(patient{w, control, a.stalled}, 1<<16), []byte(nil), 0, false
	send := func(f kernel.Flow) error {
		record = f.Encode(record[:0])
		if _, err := out.Write(record); err != nil {
			return err
		}
		told++
		if !live {
			return nil
		}
		if err := out.Flush(); err != nil {
			return err
		}
		return control.Flush()
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	err = a.handover.export(ctx, clients, a.Config.Address, send, func() error {
		live = true
		return send(kernel.Flow{})
	})
	a.Log.Info("handed connections over", "to", from.Addr().String(), "flows", told, "end", text(err))
}

// tells counts the successors that are being told.
func (a *agent) tells(more int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.telling += more
}

// patient gives each write its own time: a stream is not late as a whole.
type patient struct {
	w       http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
}

func (p patient) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(p.limit)); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}

// peers are the addresses of the zone's instances, as they were asked for last, and the failure if that was one.
type peers struct {
	mu        sync.Mutex
	at        time.Time
	addresses []netip.Addr
	err       error
}

// successor says that the address is that of an instance of the zone. The question to the API is the same whoever asks, and one
// answer serves all: strangers can neither have it asked often nor keep a successor waiting for more than one answer.
func (a *agent) successor(ctx context.Context, from netip.Addr) bool {
	a.peers.mu.Lock()
	defer a.peers.mu.Unlock()
	if a.now().Sub(a.peers.at) > acquaintance {
		a.peers.addresses, a.peers.err = a.zone.peers(ctx)
		a.peers.at = a.now()
	}
	a.say("API: instances of the zone", text(a.peers.err))
	return slices.Contains(a.peers.addresses, from)
}

// inherit takes over what the predecessor at an address tells. It returns when all that was there is known, or when that takes too
// long; the news are listened to until the routes have followed.
func (a *agent) inherit(ctx context.Context, predecessor netip.Addr) {
	if a.handover.importer == nil {
		return
	}
	// Not the caller's deadline: it goes on while the address and the routes are moved.
	life, cancel := context.WithTimeout(context.WithoutCancel(ctx), inheritFor)
	a.mu.Lock()
	if a.inherited != nil {
		a.inherited()
	}
	a.inherited = cancel
	a.mu.Unlock()
	settled := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		n, err := a.listen(life, predecessor, sync.OnceFunc(func() { close(settled) }))
		cancel()
		a.Log.Info("took connections over", "from", predecessor.String(), "flows", n, "end", text(err))
		close(ended)
	}()
	timer := time.NewTimer(inheritWait)
	defer timer.Stop()
	select {
	case <-settled:
	case <-ended:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// listen makes known what is told.
func (a *agent) listen(ctx context.Context, predecessor netip.Addr, settled func()) (n int, err error) {
	add, closing, err := a.handover.importer(a.Config.Address)
	if err != nil {
		return 0, err
	}
	defer closing() //nolint:errcheck // what is known stays
	c := http.Client{Transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: greeting}).DialContext, ResponseHeaderTimeout: call, DisableKeepAlives: true}}
	u := "http://" + net.JoinHostPort(predecessor.String(), strconv.Itoa(a.Config.HealthPort)) + flowsPath
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return 0, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", u, resp.Status)
	}
	return follow(bufio.NewReaderSize(resp.Body, 1<<16), add, settled)
}

// follow makes known what is read, as much at a time as has come.
func follow(in *bufio.Reader, add func(...kernel.Flow) (int, error), settled func()) (n int, err error) {
	var failed error
	var batch []kernel.Flow
	flush := func() {
		added, err := add(batch...)
		if failed == nil {
			failed = err
		}
		n, batch = n+added, batch[:0]
	}
	for {
		f, err := kernel.DecodeFlow(in)
		switch {
		case err != nil:
			return n, errors.Join(err, failed)
		case f == (kernel.Flow{}):
			flush()
			settled()
			continue
		}
		if batch = append(batch, f); in.Buffered() < kernel.FlowSize {
			flush()
		}
	}
}

// routesFollowed ends the listening, a little later: news may be on their way.
func (a *agent) routesFollowed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inherited != nil {
		time.AfterFunc(inheritAfter, a.inherited)
		a.inherited = nil
	}
}

const flowsPath = "/flows"
