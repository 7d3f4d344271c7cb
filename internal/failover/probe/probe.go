// Package probe opens connections as a client would and says what became of them.
//
// Every attempt is a connection of its own: a kept one would live on where new ones fail. An attempt ends when the answer
// has been read to its end; everything is under one deadline, so that an answer that drips in counts as none.
package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"polynat/internal/failover/detect"
	"polynat/internal/natzone"
)

// Body is how much of an answer is read: enough to see that the path carries more than a header, little enough to be paid
// twelve times a second.
const Body = 16 << 10

// Client makes attempts. Its zero value is not usable; see [New].
type Client struct {
	dial     Dial
	names    *Names
	sessions tls.ClientSessionCache
	roots    *x509.CertPool // nil for those of the host
	targets  sync.Map       // natzone.Target -> *target
}

// Dial opens a connection, as net.Dialer's DialContext does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// New makes a client that finds names by names and opens connections by dial; nil for the network of the host.
func New(names *Names, dial Dial) *Client {
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	return &Client{
		dial:  dial,
		names: names,
		// A resumed session is still a new connection, at a fraction of the handshake's price: the prober has 1/14 of a CPU.
		sessions: tls.NewLRUClientSessionCache(16),
	}
}

// target is a parsed URL.
type target struct {
	secure  bool
	host    string // without port
	port    uint16
	address netip.Addr // zero if by name
	request []byte
}

func parse(t natzone.Target) (*target, error) {
	u, err := t.URL()
	if err != nil {
		return nil, err
	}
	p := &target{secure: u.Scheme == "https", host: u.Hostname(), port: 80}
	if p.secure {
		p.port = 443
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		p.port = uint16(n)
	}
	p.address, _ = netip.ParseAddr(p.host)
	p.request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: polynat\r\nAccept: */*\r\nConnection: close\r\n\r\n",
		u.RequestURI(), u.Host)
	return p, nil
}

// Round tries all targets in parallel and returns when every attempt has ended, at the latest after timeout.
func (c *Client) Round(ctx context.Context, start time.Time, targets []natzone.Target, timeout time.Duration) detect.Round {
	ctx, cancel := context.WithDeadline(ctx, start.Add(timeout))
	defer cancel()
	r := detect.Round{Start: start, Attempts: make([]detect.Attempt, len(targets))}
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { r.Attempts[i] = c.Try(ctx, t) })
	}
	wg.Wait()
	return r
}

// Try makes one attempt, for as long as ctx lets it.
func (c *Client) Try(ctx context.Context, t natzone.Target) detect.Attempt {
	start := time.Now()
	_, _, err := c.Get(ctx, t)
	return detect.Attempt{Target: t, Class: ClassOf(err), Latency: time.Since(start)}
}

// Get fetches a target on a connection of its own: the status and up to [Body] bytes. A redirection is an answer. Errors
// are those of the network, a [*NameError], or a [*TLSError]; [ClassOf] sorts them.
func (c *Client) Get(ctx context.Context, t natzone.Target) (status int, body []byte, err error) {
	p, err := c.parsed(t)
	if err != nil {
		return 0, nil, err
	}
	address := p.address
	if !address.IsValid() {
		if address, err = c.names.Address(ctx, p.host); err != nil {
			return 0, nil, err
		}
	}
	conn, err := c.dial(ctx, "tcp", netip.AddrPortFrom(address, p.port).String())
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return 0, nil, err
		}
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	stream := conn
	if p.secure {
		if stream, err = c.secure(ctx, conn, p.host); err != nil {
			return 0, nil, err
		}
	}
	return exchange(stream, p.request)
}

func (c *Client) parsed(t natzone.Target) (*target, error) {
	if p, ok := c.targets.Load(t); ok {
		return p.(*target), nil
	}
	p, err := parse(t)
	if err == nil {
		c.targets.Store(t, p)
	}
	return p, err
}

func (c *Client) secure(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
	secured := tls.Client(conn, &tls.Config{
		ServerName:         host,
		RootCAs:            c.roots,
		MinVersion:         tls.VersionTLS12,
		ClientSessionCache: c.sessions,
		// Without the post-quantum exchange, whose key makes the first message larger than a packet.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256},
	})
	err := secured.HandshakeContext(ctx)
	var network net.Error
	var system syscall.Errno
	switch {
	case err == nil:
		return secured, nil
	case errors.As(err, &network) && network.Timeout(), errors.As(err, &system), ctx.Err() != nil, closed(err):
		return nil, err
	default:
		return nil, &TLSError{Host: host, Err: err}
	}
}

// exchange writes the request and reads the answer to its end.
func exchange(conn net.Conn, request []byte) (int, []byte, error) {
	if _, err := conn.Write(request); err != nil {
		return 0, nil, err
	}
	in := &source{Reader: conn}
	answer, err := http.ReadResponse(bufio.NewReaderSize(in, 1024), nil)
	if err != nil {
		if in.err != nil { // a line that was cut is malformed, too
			err = in.err
		}
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, Body))
	if err != nil {
		return 0, nil, err
	}
	return answer.StatusCode, body, nil
}

// source remembers why reading ended.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

// TLSError is a handshake that failed although packets went both ways: a certificate that is not trusted, has expired or
// is for another name; an alert; an answer that is not TLS.
type TLSError struct {
	Host string
	Err  error
}

func (e *TLSError) Error() string { return fmt.Sprintf("tls: %s: %v", e.Host, e.Err) }
func (e *TLSError) Unwrap() error { return e.Err }

// ClassOf sorts the error of an attempt.
func ClassOf(err error) natzone.Class {
	var name *NameError
	var secure *TLSError
	var network net.Error
	switch {
	case err == nil:
		return natzone.Answered
	case errors.As(err, &name):
		return natzone.DNS
	case errors.As(err, &secure):
		return natzone.TLS
	case errors.Is(err, syscall.ECONNREFUSED):
		return natzone.Refused
	case closed(err):
		return natzone.Reset
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.As(err, &network) && network.Timeout():
		return natzone.Timeout
	default:
		return natzone.Other
	}
}

// closed says that the connection ended before the answer did.
func closed(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
