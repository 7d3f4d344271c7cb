package proof

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"polynat/internal/natzone"
)

// Dialer opens a TCP connection to an address, through the path that is to be proven.
type Dialer func(ctx context.Context, to netip.AddrPort) (net.Conn, error)

// Plan of a proof.
type Plan struct {
	Targets []natzone.Target
	// Identity are URLs that answer with the caller's address; none for a proof that does not ask.
	Identity []string
	// Timeout of each attempt, by which the answer has to be read to its end. Default 3 s: one lost SYN is forgiven.
	Timeout time.Duration
}

// Result of a proof.
type Result struct {
	// Answered of Tried targets. A target whose name has no answer was not tried: that says nothing of the path.
	Answered, Tried int
	// Egress are the addresses that identity URLs saw; none if none answered.
	Egress []netip.Addr
	// Classes of the attempts, and Failures for people, one per failed attempt.
	Classes  map[natzone.Class]int
	Failures []string
}

// Works says why the path does not work; nil if it does: at least half of the targets that were tried have answered. A single
// success would hide a loss of most packets, and all cannot be asked for, since a target may be down.
func (r Result) Works() error {
	if r.Tried > 0 && r.Answered*2 >= r.Tried {
		return nil
	}
	return fmt.Errorf("%d of %d targets answered: %s", r.Answered, r.Tried, strings.Join(r.Failures, "; "))
}

// limit of an answer that is read.
const limit = 1 << 20

// Try tries all at the same time.
func Try(ctx context.Context, dial Dialer, p Plan) Result {
	if p.Timeout == 0 {
		p.Timeout = 3 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true, // each proof is a new connection
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return dialName(ctx, dial, address)
		},
	}
	c := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r := Result{Classes: map[natzone.Class]int{}}
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, t := range p.Targets {
		group.Go(func() {
			_, _, err := get(ctx, c, string(t))
			mu.Lock()
			defer mu.Unlock()
			class := classify(err)
			r.Classes[class]++
			if class != natzone.DNS {
				r.Tried++
			}
			if err == nil {
				r.Answered++
			} else {
				r.Failures = append(r.Failures, fmt.Sprintf("%s: %s: %v", t, class, err))
			}
		})
	}
	for _, u := range p.Identity {
		group.Go(func() {
			status, body, err := get(ctx, c, u)
			mu.Lock()
			defer mu.Unlock()
			a, ok := natzone.FindAddress(body)
			switch {
			case err != nil:
				r.Failures = append(r.Failures, fmt.Sprintf("%s: %s: %v", u, classify(err), err))
			case status != http.StatusOK:
				r.Failures = append(r.Failures, fmt.Sprintf("%s: answers with status %d", u, status))
			case !ok:
				r.Failures = append(r.Failures, fmt.Sprintf("%s: its answer names no address", u))
			default:
				r.Egress = append(r.Egress, a)
			}
		})
	}
	group.Wait()
	slices.Sort(r.Failures)
	return r
}

// get reads an answer to its end.
func get(ctx context.Context, c *http.Client, u string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("User-Agent", "polynat-natd")
	resp, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	body, err = io.ReadAll(io.LimitReader(resp.Body, limit))
	return resp.StatusCode, body, err
}

// dialName resolves a name in the instance's own network, whose resolver is in the VPC and needs no translation.
func dialName(ctx context.Context, dial Dialer, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return dial(ctx, netip.AddrPortFrom(a, uint16(n)))
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return nil, err
	}
	return dial(ctx, netip.AddrPortFrom(addresses[0].Unmap(), uint16(n)))
}

// classify names what an attempt ended with.
func classify(err error) natzone.Class {
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return natzone.Answered
	case errors.As(err, &dns):
		return natzone.DNS
	case errors.Is(err, syscall.ECONNREFUSED):
		return natzone.Refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return natzone.Reset
	case errors.As(err, &record), errors.As(err, &certificate), errors.As(err, &alert):
		return natzone.TLS
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return natzone.Timeout
	}
	var u *url.Error
	if errors.As(err, &u) && u.Timeout() {
		return natzone.Timeout
	}
	return natzone.Other
}
