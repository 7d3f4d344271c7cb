package natd

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"time"

	"polynat/internal/natzone"
)

// healthServer answers what the agent says of itself, and to a successor what it asks for.
func healthServer(health func() natzone.Health, flows http.HandlerFunc) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+flowsPath, flows)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		h := health()
		w.Header().Set("Content-Type", "application/json")
		if !h.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		json.NewEncoder(w).Encode(h) //nolint:errcheck // who asked has hung up
	})
	const patience = 2 * time.Second
	return &http.Server{Handler: mux, ReadTimeout: patience, WriteTimeout: patience, IdleTimeout: time.Minute, MaxHeaderBytes: 4 << 10}
}

// private is a listener that takes connections of the VPC only.
type private struct {
	net.Listener
	allowed func(netip.Addr) bool
}

func (p private) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if from, ok := c.RemoteAddr().(*net.TCPAddr); ok && p.allowed(from.AddrPort().Addr().Unmap()) {
			return c, nil
		}
		c.Close() //nolint:errcheck // a stranger's
	}
}
