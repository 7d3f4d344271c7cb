package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/google/nftables"
)

// Internet is everything beyond the VPC.
type Internet struct {
	*Namespace
	// Servers are their addresses. Each answers on [HTTPPort] and echoes on [EchoPort].
	Servers []netip.Addr
	closers []func() error
}

// Ports of the servers.
const (
	HTTPPort = 80
	EchoPort = 7
	// PushPort speaks, every 50 ms, and listens to nothing.
	PushPort = 19
)

// Answer is what a server says to a request for /. It is sent in two parts, so that an answer may be cut in the middle.
const Answer = "polynat lab: the whole answer\n"

// pushInterval of the servers that speak first.
const pushInterval = 50 * time.Millisecond

func newInternet(n *Namespace, servers int) (*Internet, error) {
	i := &Internet{Namespace: n}
	lo, err := loopback(n)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", answer)
	mux.HandleFunc("/identity", identity)
	mux.HandleFunc("/drip", dripping)
	mux.HandleFunc("/reset", resetting)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	a := FirstServer
	for range servers {
		if err := lo.address(host(a)); err != nil {
			return nil, err
		}
		i.Servers = append(i.Servers, a)
		a = a.Next()
	}
	i.closers = append(i.closers, web.Close)
	// One listener for all addresses.
	for port, serve := range map[uint16]func(net.Listener){
		HTTPPort: func(l net.Listener) { _ = web.Serve(l) },
		EchoPort: func(l net.Listener) { each(l, func(c net.Conn) { _, _ = io.Copy(c, c) }) },
		PushPort: func(l net.Listener) { each(l, speak) },
	} {
		l, err := n.Listen("tcp4", fmt.Sprintf(":%d", port))
		if err != nil {
			i.close()
			return nil, err
		}
		i.closers = append(i.closers, l.Close)
		go serve(l)
	}
	return i, nil
}

func (i *Internet) close() {
	for _, f := range i.closers {
		_ = f()
	}
}

// Silence makes servers answer nobody, and all others answer.
func (i *Internet) Silence(servers ...netip.Addr) error {
	var rules []rule
	for _, a := range servers {
		rules = append(rules, join(is(destination, a), drop()))
	}
	if rules == nil {
		return i.replace("silence")
	}
	return i.replace("silence", chain{nftables.ChainHookInput, *nftables.ChainPriorityFilter, nftables.ChainTypeFilter, rules})
}

// each serves every connection in a goroutine of its own until the listener is closed.
func each(l net.Listener, serve func(net.Conn)) {
	var open sync.Map
	for {
		c, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				open.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); return true })
				return
			}
			continue
		}
		open.Store(c, nil)
		go func() {
			defer func() { open.Delete(c); _ = c.Close() }()
			serve(c)
		}()
	}
}

// speak writes until nobody takes it.
func speak(c net.Conn) {
	t := time.NewTicker(pushInterval)
	defer t.Stop()
	for range t.C {
		if _, err := c.Write([]byte{'.'}); err != nil {
			return
		}
	}
}

func answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(len(Answer)))
	_, _ = io.WriteString(w, Answer[:len(Answer)/2])
	_ = http.NewResponseController(w).Flush()
	_, _ = io.WriteString(w, Answer[len(Answer)/2:])
}

// identity says the caller's address, and no more.
func identity(w http.ResponseWriter, r *http.Request) {
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	fmt.Fprintln(w, from.Addr().Unmap())
}

// dripping answers, one byte in four seconds.
func dripping(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(len(Answer)))
	t := time.NewTicker(4 * time.Second)
	defer t.Stop()
	for i := range Answer {
		_, _ = w.Write([]byte{Answer[i]})
		_ = http.NewResponseController(w).Flush()
		select {
		case <-t.C:
		case <-r.Context().Done():
			return
		}
	}
}

// resetting hangs up on the request.
func resetting(w http.ResponseWriter, _ *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// Get asks a server for a path by a new connection and returns the answer's body, or an error if it is not whole by the
// context's deadline.
func (n *Namespace) Get(ctx context.Context, server netip.AddrPort, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server.String()+path, nil)
	if err != nil {
		return "", err
	}
	request.Close = true
	// By hand: an http.Transport may still dial when its request is over, and perhaps the lab with it.
	c, err := n.Dial(ctx, server)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	if err := request.Write(c); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(c), request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}
