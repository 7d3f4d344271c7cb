package natd

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"golang.org/x/sys/unix"

	"polynat/internal/nat64"
	"polynat/internal/natd/claim"
	"polynat/internal/natd/kernel"
	"polynat/internal/natd/metadata"
	"polynat/internal/natd/proof"
)

// Run is the agent, until the context ends. It leaves the kernel as it is then.
func Run(ctx context.Context, o Options) error {
	o = o.Defaults()
	sdk, err := config.LoadDefaultConfig(ctx, config.WithRegion(o.Config.Region), config.WithHTTPClient(client()), config.WithRetryer(retryer))
	if err != nil {
		return fmt.Errorf("configuration of the AWS SDK: %w", err)
	}
	k := &opened{open: kernel.Open}
	defer k.close()
	a := newAgent(o)
	a.service, a.kernel, a.handover = metadata.New(sdk), k, connections()
	a.zone.ec2, a.zone.groups = ec2.NewFromConfig(sdk), autoscaling.NewFromConfig(sdk)
	if err := a.begin(ctx); err != nil {
		return err
	}
	p := &publisher{to: cloudwatch.NewFromConfig(sdk), read: a.counters(k.Counters)}
	a.run(ctx, a.watched(ctx), p)
	return ctx.Err()
}

// opened is the kernel, which is opened when it is first needed. One that cannot be is a kernel that does not forward: the start is
// abandoned if that lasts, where a program that ended would only be started again and again.
type opened struct {
	open func() (*kernel.Kernel, error)
	mu   sync.Mutex
	k    *kernel.Kernel
}

func (o *opened) get() (*kernel.Kernel, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var err error
	if o.k == nil {
		o.k, err = o.open()
	}
	return o.k, err
}

// Converge implements converger.
func (o *opened) Converge(c kernel.Config) (kernel.Report, error) {
	k, err := o.get()
	if err != nil {
		return kernel.Report{}, err
	}
	return k.Converge(c)
}

// Counters are the kernel's.
func (o *opened) Counters(outside string) (kernel.Counters, error) {
	k, err := o.get()
	if err != nil {
		return kernel.Counters{}, err
	}
	return k.Counters(outside)
}

func (o *opened) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.k != nil {
		o.k.Close()
	}
}

// watched tells of changes of the kernel as soon as they can be watched. Until then, and without, it is compared all the same.
func (a *agent) watched(ctx context.Context) <-chan struct{} {
	changes := make(chan struct{})
	go every(ctx, nil, func(ctx context.Context) time.Duration {
		watch, err := kernel.Watch(ctx)
		a.say("changes of the kernel", text(err))
		for err == nil {
			select {
			case <-watch:
			case <-ctx.Done():
				return 0
			}
			select {
			case changes <- struct{}{}:
			case <-ctx.Done():
				return 0
			}
		}
		return jitter(time.Second)
	})
	return changes
}

// run is the loops, until the context ends.
func (a *agent) run(ctx context.Context, changes <-chan struct{}, p *publisher) {
	var path path
	a.prove = func(ctx context.Context, zone bool) proof.Result { return path.try(ctx, a, zone) }
	defer path.close()
	var group sync.WaitGroup
	loop := func(poked <-chan struct{}, f func(context.Context) time.Duration) {
		group.Go(func() { every(ctx, poked, f) })
	}
	loop(a.converging, a.converge)
	loop(nil, a.ask)
	loop(a.proving, a.proves)
	loop(nil, func(ctx context.Context) time.Duration { return a.publishMetrics(ctx, p) })
	var lookAt time.Time
	loop(a.wake, func(ctx context.Context) time.Duration { return a.decide(ctx, &lookAt) })
	group.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-changes:
				poke(a.converging)
			}
		}
	})
	for _, at := range []netip.Addr{a.Config.Address, a.identity.Primary} {
		group.Go(func() { a.answer(ctx, netip.AddrPortFrom(at, uint16(a.Config.HealthPort))) })
	}
	if a.Config.NAT64 {
		group.Go(func() { a.translate64(ctx) })
	}
	group.Wait()
	a.keep()
}

// begin finds out which instance this is. After a reboot the record says so, before instance metadata has answered.
func (a *agent) begin(ctx context.Context) error {
	r, err := recall(a.StateDir)
	a.say("state directory", text(err))
	for {
		i, err := a.service.Identity(ctx)
		a.say("instance metadata", text(err))
		if err == nil {
			if i.Instance != r.Identity.Instance {
				r = record{} // of another instance: an image that was made of a running one
			}
			r.Identity = i
			break
		}
		if r.Identity.Instance != "" {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(jitter(time.Second)):
		}
	}
	a.identity, a.networks, a.self, a.kept = r.Identity, r.Networks, r.Self, r
	a.machine = claim.New(claim.Config{
		Dwell: time.Duration(a.Config.Restore.Dwell), MaxDwell: time.Duration(a.Config.Restore.MaxDwell),
		StartTimeout: a.StartTimeout, Settle: a.Settle, Standby: a.Config.Standby != "", Jitter: jitter,
	}, r.Claim)
	a.zone.instance, a.zone.eni, a.zone.vpc = r.Identity.Instance, r.Identity.Interface, r.Identity.VPC
	a.Log = a.Log.With("instance", r.Identity.Instance)
	a.zone.log = a.Log
	a.Log.Info("started", "interface", r.Identity.Interface, "primary", r.Identity.Primary.String(), "state", r.Claim)
	return nil
}

// connections are handed over by the kernel's connection tracking.
func connections() handover {
	return handover{
		export: kernel.Export,
		importer: func(address netip.Addr) (func(...kernel.Flow) (int, error), func() error, error) {
			i, err := kernel.NewImporter(address)
			if err != nil {
				return nil, nil, err
			}
			return i.Add, i.Close, nil
		},
	}
}

// client of the API: an attempt that has not connected within a second has met a dead path.
func client() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: time.Second, KeepAlive: 15 * time.Second}).DialContext
	transport.TLSHandshakeTimeout = time.Second
	transport.Proxy = http.ProxyFromEnvironment
	return &http.Client{Transport: transport, Timeout: 2 * time.Second}
}

func retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 3
		o.MaxBackoff = 500 * time.Millisecond
	})
}

// path is the namespace of the proof. It is made when first needed, and anew when it has gone.
type path struct {
	mu      sync.Mutex
	space   *proof.Namespace
	network netip.Prefix
}

func (p *path) try(ctx context.Context, a *agent, zone bool) proof.Result {
	dial, err := p.dialer(a, zone)
	if err != nil {
		return proof.Result{Failures: []string{err.Error()}}
	}
	return proof.Try(ctx, dial, proof.Plan{Targets: a.Config.Targets, Identity: a.Config.Identity})
}

// dialer is that of the source for a path.
func (p *path) dialer(a *agent, zone bool) (proof.Dialer, error) {
	a.mu.Lock()
	network, err := a.network()
	a.mu.Unlock()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.space == nil || p.network != network || !p.space.Works() {
		p.drop()
		if p.space, err = proof.Open(network); err != nil {
			return nil, err
		}
		p.network = network
	}
	_, from, canary := proof.Addresses(network)
	if !zone {
		from = canary
	}
	return p.space.Dialer(from), nil
}

func (p *path) drop() {
	if p.space != nil {
		p.space.Close() //nolint:errcheck // it is replaced, or the process ends
		p.space = nil
	}
}

func (p *path) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
}

// answer serves the health endpoint at an address, which need not be there yet.
func (a *agent) answer(ctx context.Context, at netip.AddrPort) {
	listen := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if control := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1) }); control != nil {
			return control
		}
		return err
	}}
	every(ctx, nil, func(ctx context.Context) time.Duration {
		l, err := listen.Listen(ctx, "tcp4", at.String())
		if err == nil {
			server := healthServer(a.health, a.tell)
			stop := context.AfterFunc(ctx, func() { server.Close() }) //nolint:errcheck // who asks is answered by nobody soon
			err = server.Serve(private{l, a.allowed})
			stop()
		}
		if ctx.Err() == nil {
			a.say("health endpoint "+at.String(), text(err))
		}
		return jitter(time.Second)
	})
}

// translate64 runs the NAT64, and again when it fails. Each run gives clients addresses anew, so what the kernel still tracks for
// the addresses of the last one is forgotten first: its replies would reach another client.
func (a *agent) translate64(ctx context.Context) {
	every(ctx, nil, func(ctx context.Context) time.Duration {
		_, err := kernel.Forget(nat64.DefaultPool())
		if err == nil {
			err = nat64.Run(ctx, nat64.Config{Log: a.Log})
		}
		if ctx.Err() == nil {
			a.say("NAT64", strings.TrimSpace(text(err)))
		}
		return jitter(time.Second)
	})
}
