package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"polynat/internal/natzone"
)

// server answers one connection.
type server func(net.Conn)

// reads lets the server read the request before it goes on.
func reads(then server) server {
	return func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			then(c)
		}
	}
}

func says(text string) server {
	return reads(func(c net.Conn) { _, _ = c.Write([]byte(text)) })
}

// to makes a client whose connections end at a server, after the time of a handshake.
func to(s server) *Client {
	return New(NewNames(found("192.0.2.1")), func(ctx context.Context, _, _ string) (net.Conn, error) {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			s(far)
		}()
		return near, nil
	})
}

// failing makes a client that gets no connection.
func failing(err error) *Client {
	return New(NewNames(found("192.0.2.1")), func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	})
}

func found(addresses ...string) Lookup {
	return func(context.Context, string) ([]netip.Addr, error) {
		var all []netip.Addr
		for _, a := range addresses {
			all = append(all, netip.MustParseAddr(a))
		}
		return all, nil
	}
}

func silence(c net.Conn) {
	buffer := make([]byte, 1024)
	for {
		if _, err := c.Read(buffer); err != nil {
			return
		}
	}
}

func drip(c net.Conn) {
	for _, b := range []byte("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("x", 1000)) {
		if _, err := c.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // simulated time
	}
}

func TestEveryOutcomeHasItsClass(t *testing.T) {
	const secure, plain = natzone.Target("https://a.example/"), natzone.Target("http://a.example/")
	hang := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	}
	nameless := func(err error) *Client {
		return New(NewNames(func(context.Context, string) ([]netip.Addr, error) { return nil, err }), nil)
	}
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	defer certificate.Close()
	untrusted := func(c net.Conn) {
		s := tls.Server(c, &tls.Config{Certificates: certificate.TLS.Certificates})
		_ = s.Handshake()
	}
	for name, test := range map[string]struct {
		client *Client
		target natzone.Target
		want   natzone.Class
		takes  time.Duration
	}{
		"a whole answer": {to(says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")), plain, natzone.Answered, 20 * time.Millisecond},
		"an answer that ends with the connection": {to(says("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok")), plain, natzone.Answered, 20 * time.Millisecond},
		"503":                          {to(says("HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n")), plain, natzone.Answered, 20 * time.Millisecond},
		"a redirection":                {to(says("HTTP/1.1 301 Moved\r\nLocation: https://b.example/\r\nContent-Length: 0\r\n\r\n")), plain, natzone.Answered, 20 * time.Millisecond},
		"no connection":                {New(NewNames(found("192.0.2.1")), hang), plain, natzone.Timeout, 500 * time.Millisecond},
		"a handshake and then nothing": {to(silence), plain, natzone.Timeout, 500 * time.Millisecond},
		"nothing after the TLS handshake's first packet": {to(silence), secure, natzone.Timeout, 500 * time.Millisecond},
		"a header and then nothing":                      {to(reads(func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")); silence(c) })), plain, natzone.Timeout, 500 * time.Millisecond},
		"a slow drip":                                    {to(reads(drip)), plain, natzone.Timeout, 500 * time.Millisecond},
		"closed without an answer":                       {to(reads(func(net.Conn) {})), plain, natzone.Reset, 20 * time.Millisecond},
		"closed in the midst of an answer":               {to(says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")), plain, natzone.Reset, 20 * time.Millisecond},
		"closed in the TLS handshake":                    {to(func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }), secure, natzone.Reset, 20 * time.Millisecond},
		"refused":                                        {failing(syscall.ECONNREFUSED), plain, natzone.Refused, 0},
		"reset":                                          {failing(syscall.ECONNRESET), plain, natzone.Reset, 0},
		"unreachable":                                    {failing(syscall.EHOSTUNREACH), plain, natzone.Other, 0},
		"a certificate nobody trusts":                    {to(untrusted), secure, natzone.TLS, 20 * time.Millisecond},
		"no TLS at all":                                  {to(func(c net.Conn) { go silence(c); _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }), secure, natzone.TLS, 20 * time.Millisecond},
		"a name that does not exist":                     {nameless(&net.DNSError{Err: "no such host", IsNotFound: true}), plain, natzone.DNS, 0},
		"a name without addresses":                       {nameless(nil), plain, natzone.DNS, 0},
		"an address needs no name":                       {failing(syscall.ECONNREFUSED), "http://192.0.2.9/", natzone.Refused, 0},
		"a target that is none":                          {failing(syscall.ECONNREFUSED), "ftp://192.0.2.9/", natzone.Other, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := test.client.fresh().Round(t.Context(), time.Now(), []natzone.Target{test.target}, 500*time.Millisecond)
				if a := r.Attempts[0]; a.Class != test.want || a.Latency != test.takes {
					t.Errorf("%s after %v, want %s after %v", a.Class, a.Latency, test.want, test.takes)
				}
				time.Sleep(time.Second) //nolint:forbidigo // simulated time, in which the servers notice
			})
		})
	}
}

// fresh is the client with names that nobody has looked up: what waits in a bubble must have been made in it.
func (c *Client) fresh() *Client { return New(NewNames(c.names.lookup), c.dial) }

func TestTheTargetsOfARoundAreTriedInParallelUnderOneDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		targets := []natzone.Target{"http://a.example/", "http://b.example/", "http://192.0.2.3/"}
		r := to(silence).fresh().Round(t.Context(), begin, targets, 500*time.Millisecond)
		if took := time.Since(begin); took != 500*time.Millisecond {
			t.Errorf("took %v", took)
		}
		for i, a := range r.Attempts {
			if a.Target != targets[i] || a.Class != natzone.Timeout {
				t.Errorf("%v", a)
			}
		}
	})
}

func TestARealConnectionThatIsRefusedOrReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := natzone.Target("http://" + l.Addr().String() + "/")
	client := New(NewNames(System), nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Read(make([]byte, 1024))
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if a := client.Try(ctx, target); a.Class != natzone.Reset {
		t.Errorf("reset on data: %s", a.Class)
	}
	wg.Wait()
	_ = l.Close()
	if a := client.Try(ctx, target); a.Class != natzone.Refused {
		t.Errorf("nobody listens: %s", a.Class)
	}
}

func TestEveryAttemptIsAConnectionOfItsOwnAndATLSSessionIsResumed(t *testing.T) {
	var connections int
	var mu sync.Mutex
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.TLS.DidResume)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			mu.Lock()
			connections++
			mu.Unlock()
		}
	}
	s.StartTLS()
	defer s.Close()
	client := New(NewNames(System), nil)
	client.roots = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	var resumed []string
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		status, body, err := client.Get(ctx, natzone.Target(s.URL))
		cancel()
		if err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
		resumed = append(resumed, string(body))
	}
	mu.Lock()
	defer mu.Unlock()
	if connections != 3 || strings.Join(resumed, " ") != "false true true" {
		t.Errorf("%d connections, resumed: %v", connections, resumed)
	}
}

func TestNamesDoNotWaitForTheResolverAndOutliveIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lookups, broken := 0, false
		answer := "192.0.2.1"
		names := NewNames(func(ctx context.Context, _ string) ([]netip.Addr, error) {
			lookups++
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			if broken {
				return nil, errors.New("server misbehaving")
			}
			return []netip.Addr{netip.MustParseAddr(answer)}, nil
		})
		ask := func() (string, time.Duration) {
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			a, err := names.Address(ctx, "a.example")
			if err != nil {
				return err.Error(), time.Since(begin)
			}
			return a.String(), time.Since(begin)
		}
		pass := func(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // simulated time
		if a, took := ask(); a != "192.0.2.1" || took != 100*time.Millisecond {
			t.Errorf("first: %s after %v", a, took)
		}
		for range 100 {
			if a, took := ask(); a != "192.0.2.1" || took != 0 {
				t.Errorf("again: %s after %v", a, took)
			}
		}
		if lookups != 1 {
			t.Errorf("%d look-ups", lookups)
		}
		answer = "192.0.2.2"
		pass(Refresh)
		if a, took := ask(); a != "192.0.2.1" || took != 0 {
			t.Errorf("due: %s after %v: it is looked up meanwhile", a, took)
		}
		pass(time.Second)
		if a, took := ask(); a != "192.0.2.2" || took != 0 {
			t.Errorf("after the look-up: %s after %v", a, took)
		}
		broken = true
		for range 60 {
			pass(time.Minute)
			if a, took := ask(); a != "192.0.2.2" || took != 0 {
				t.Fatalf("an hour without DNS: %s after %v", a, took)
			}
		}
		pass(time.Second) // for the last look-up
	})
}

func TestANameThatIsNotFoundIsLookedUpOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lookups := 0
		names := NewNames(func(context.Context, string) ([]netip.Addr, error) {
			lookups++
			return nil, errors.New("no such host")
		})
		for range 40 { // ten seconds of rounds
			if _, err := names.Address(t.Context(), "a.example"); ClassOf(err) != natzone.DNS {
				t.Fatalf("%v", err)
			}
			time.Sleep(250 * time.Millisecond) //nolint:forbidigo // simulated time
		}
		if lookups > 11 {
			t.Errorf("%d look-ups", lookups)
		}
	})
}

func TestTheAddressesOfANameTakeTurns(t *testing.T) {
	names := NewNames(found("192.0.2.1", "::ffff:192.0.2.2", "192.0.2.3"))
	seen := map[string]int{}
	for range 30 {
		a, err := names.Address(t.Context(), "a.example")
		if err != nil {
			t.Fatal(err)
		}
		seen[a.String()]++
	}
	if len(seen) != 3 || seen["192.0.2.2"] != 10 {
		t.Errorf("%v", seen)
	}
}
