package nat64

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"sync"
)

// Config of the translation.
type Config struct {
	// Prefix of 96 bits that stands for the IPv4 Internet; the well-known 64:ff9b::/96 if it is zero.
	Prefix netip.Prefix
	// Pool of the addresses that stand for clients. [DefaultPool] if it is zero.
	Pool netip.Prefix
	// Queues are how many packets are translated at a time. Default 1.
	Queues int
	Log    *slog.Logger
}

// Device is the name of the TUN device.
const Device = "polynat64"

// MTU of the TUN device: a packet grows by 20 bytes on its way to a client, and 1500 is what every VPC carries.
const MTU = 1500 - (headerV6 - headerV4)

// WellKnownPrefix of RFC 6052.
func WellKnownPrefix() netip.Prefix { return netip.MustParsePrefix("64:ff9b::/96") }

// DefaultPool is the range for benchmarks of network devices (RFC 2544): no network uses it, while the ranges for private use
// and for carriers both occur in VPCs. The addresses never leave the instance.
func DefaultPool() netip.Prefix { return netip.MustParsePrefix("198.18.0.0/15") }

// Defaults fills what is left out.
func (c Config) Defaults() Config {
	if !c.Prefix.IsValid() {
		c.Prefix = WellKnownPrefix()
	}
	if !c.Pool.IsValid() {
		c.Pool = DefaultPool()
	}
	c.Queues = max(c.Queues, 1)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) translator() *translator {
	return &translator{prefix: c.Prefix, clients: newMapping(c.Pool.Masked()), mss: MTU - headerV6 - 20}
}

// serve translates until the context ends or a device fails.
func serve(ctx context.Context, t *translator, devices []io.ReadWriteCloser, log *slog.Logger) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for _, d := range devices {
		group.Go(func() {
			cancel(t.pump(d, log))
		})
	}
	<-ctx.Done()
	for _, d := range devices {
		d.Close() //nolint:errcheck // ends the reads below; there is nothing to lose
	}
	group.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return ctx.Err()
}

// pump translates what comes out of a device, and puts it back in.
func (t *translator) pump(d io.ReadWriter, log *slog.Logger) error {
	in, out := make([]byte, 1<<16), make([]byte, 0, 1<<16)
	for {
		n, err := d.Read(in)
		if err != nil {
			return err
		}
		packet, err := t.translate(out, in[:n])
		if err != nil {
			log.Debug("packet dropped", "reason", err)
			continue
		}
		if _, err := d.Write(packet); err != nil {
			log.Debug("packet dropped", "reason", err) // the device is busy or going down: the next Read says which
		}
	}
}
