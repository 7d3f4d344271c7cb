package natd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/ti-mo/conntrack"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"polynat/internal/nat64"
	"polynat/internal/natd/kernel"
	"polynat/internal/natd/proof"
	"polynat/internal/natzone"
)

// requireRoot is set where the tests that need root must not be skipped; inside says that this process is the one whose network
// is the instance's.
const (
	requireRoot = "POLYNAT_REQUIRE_ROOT"
	inside      = "POLYNAT_TEST_INSIDE"
)

// instance runs the rest of the test in a process of its own, which has a network of its own: the agent's goroutines run on any
// thread. The Internet is another namespace, with one server, 198.51.100.1. There is no translation between them, so that the
// zone's address is its public address too.
func instance(t *testing.T) (ok bool) {
	t.Helper()
	if os.Getenv(inside) == "" {
		cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) && os.Getenv(requireRoot) != "1" {
			t.Skipf("making a network namespace needs root (set %s=1 to fail instead)", requireRoot)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return false
	}
	internet(t)
	return true
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func internet(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	here, err := netns.Get()
	must(t, err)
	_, err = netns.New() // for good
	must(t, err)
	up := func(name string, addresses ...string) {
		link, err := netlink.LinkByName(name)
		must(t, err)
		for _, text := range addresses {
			a, err := netlink.ParseAddr(text)
			must(t, err)
			must(t, netlink.AddrAdd(link, a))
		}
		must(t, netlink.LinkSetUp(link))
	}
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(here))}))
	up("lo", "198.51.100.1/32")
	up("eth0", "10.0.0.1/24")
	l, err := net.Listen("tcp4", "198.51.100.1:80")
	must(t, err)
	must(t, netns.Set(here))
	up("lo")
	up("eth0", "10.0.0.10/24")
	must(t, netlink.RouteAdd(&netlink.Route{Gw: net.IPv4(10, 0, 0, 1)}))
	runtime.UnlockOSThread()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "an answer") })
	mux.HandleFunc("/identity", func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintln(w, host)
	})
	mux.HandleFunc("/shy", func(w http.ResponseWriter, r *http.Request) {
		if host, _, _ := net.SplitHostPort(r.RemoteAddr); host != zoneAddress.String() {
			fmt.Fprintln(w, host)
		}
	})
	go http.Serve(l, mux) //nolint:errcheck,gosec // ends with the process
}

// start runs an agent until the returned function is called.
func start(t *testing.T, c *cloud, dir string, change func(*Options)) (a *agent, stop func()) {
	t.Helper()
	config := document()
	config.PublicAddress, config.MetricInterval = zoneAddress, natzone.Duration(50*time.Millisecond)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	o := Options{Config: config, StateDir: dir, Interval: 200 * time.Millisecond, Metadata: 50 * time.Millisecond,
		Proof: 100 * time.Millisecond, Look: 100 * time.Millisecond, StartTimeout: time.Minute, Settle: 100 * time.Millisecond, Log: log}
	if change != nil {
		change(&o)
	}
	a = newAgent(o.Defaults())
	k, err := kernel.Open()
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	changes, err := kernel.Watch(ctx)
	must(t, err)
	a.service, a.kernel, a.zone.ec2, a.zone.groups = c, k, c, c
	must(t, a.begin(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.run(ctx, changes, &publisher{to: c, read: a.counters(k.Counters)})
	}()
	return a, func() {
		cancel()
		<-done
		k.Close()
	}
}

func (c *cloud) everyRoute(at string) func() bool {
	return func() bool { return slices.Equal(c.at(), []string{at, at, at}) }
}

func TestTheAgentClaimsRepairsAndHandsOver(t *testing.T) {
	if !instance(t) {
		return
	}
	c, dir := newCloud(), t.TempDir()
	a, stop := start(t, c, dir, nil)
	until(t, "the launch is completed", func() bool { return len(c.answered()) == 1 })
	if diff := cmp.Diff([]string{natzone.LaunchHook + " CONTINUE"}, c.answered()); diff != "" {
		t.Error(diff)
	}
	if !c.everyRoute("eni-own")() {
		t.Errorf("routes: %v", c.at())
	}
	until(t, "it says so", func() bool { return a.health().Holds })
	if h := ask(t, zoneAddress); !h.Ready || !h.Holds || h.Instance != identity.Instance {
		t.Errorf("health: %+v", h)
	}

	until(t, "metrics say so", func() bool { return c.metric(natzone.MetricHolds) == 1 && c.metric(natzone.MetricReady) == 1 })
	if c.metric(natzone.MetricConnectionLimit) == 0 {
		t.Error("no limit of connections is published")
	}
	if got := c.metric(natzone.MetricAllowanceExceeded); got != 0 {
		t.Errorf("a driver without allowances has exceeded %v", got)
	}

	// What is spoiled is put right, at once where the kernel tells.
	nft, err := nftables.New()
	must(t, err)
	nft.DelTable(&nftables.Table{Name: kernel.TableName, Family: nftables.TableFamilyIPv4})
	must(t, nft.Flush())
	took := until(t, "the rules are back", func() bool {
		tables, err := nft.ListTablesOfFamily(nftables.TableFamilyIPv4)
		return err == nil && slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == kernel.TableName })
	})
	if took > time.Second {
		t.Errorf("the rules were back after %s", took)
	}
	must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0))
	until(t, "forwarding is on again", func() bool {
		data, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
		return err == nil && string(data) == "1\n"
	})

	// The way out is the network service's. Without it nothing is ready, and the reason is told at once.
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	must(t, err)
	i := slices.IndexFunc(routes, func(r netlink.Route) bool { return r.Gw != nil })
	must(t, netlink.RouteDel(&routes[i]))
	until(t, "the missing route is told", func() bool { h := a.health(); return !h.Ready && strings.Contains(h.Reason, "no default route") })
	must(t, netlink.RouteAdd(&routes[i]))
	until(t, "it is ready again", func() bool { return a.health().Ready })

	// A restart, as after a crash, changes nothing.
	stop()
	c.forget()
	before := kernelState(t)
	_, stop = start(t, c, dir, nil)
	until(t, "it has looked", func() bool { return slices.Contains(c.called(), "DescribeRouteTables") })
	until(t, "it is ready", func() bool { return ask(t, own).Holds })
	if writes := slices.DeleteFunc(c.called(), reads); len(writes) > 0 {
		t.Errorf("written after a restart: %q", writes)
	}
	if diff := cmp.Diff(before, kernelState(t)); diff != "" {
		t.Errorf("a restart changed the kernel:\n%s", diff)
	}

	c.terminate()
	until(t, "the routes are at the standby", c.everyRoute("nat-standby"))
	until(t, "the termination is completed", func() bool { return len(c.answered()) == 2 })
	stop()
	if _, err := netlink.LinkByName(proof.Device); err == nil {
		t.Error("the proof's interface is left")
	}
}

func TestAFailoverIsNotedAndTheZoneClaimedBackWhenTheDwellIsOver(t *testing.T) {
	if !instance(t) {
		return
	}
	c := newCloud()
	a, stop := start(t, c, t.TempDir(), func(o *Options) { o.Config.Restore.Dwell = natzone.Duration(2 * time.Second) })
	defer stop()
	until(t, "it holds", func() bool { return a.health().Holds })
	for _, table := range []string{"rtb-1", "rtb-2", "rtb-3"} {
		c.set(table, types.Route{NatGatewayId: aws.String("nat-standby")})
	}
	until(t, "it has seen that", func() bool { return !a.health().Holds })
	took := until(t, "it claims back", c.everyRoute("eni-own"))
	if took < time.Second {
		t.Errorf("claimed back after %s", took)
	}
}

func TestAClaimDoesNotWaitForInstanceMetadata(t *testing.T) {
	if !instance(t) {
		return
	}
	c := newCloud()
	c.late = true
	a, stop := start(t, c, t.TempDir(), nil)
	defer stop()
	until(t, "it holds", func() bool { return a.health().Holds })
	if !c.everyRoute("eni-own")() {
		t.Errorf("routes: %v", c.at())
	}
}

func TestAStartWithoutAPathIsAbandoned(t *testing.T) {
	if !instance(t) {
		return
	}
	c := newCloud()
	_, stop := start(t, c, t.TempDir(), func(o *Options) {
		o.Config.Targets, o.StartTimeout = []natzone.Target{"http://198.51.100.1:81/"}, time.Second
	})
	defer stop()
	until(t, "it is abandoned", func() bool { return slices.Contains(c.answered(), natzone.LaunchHook+" ABANDON") })
	if !c.everyRoute("nat-standby")() || slices.Contains(c.called(), "AssignPrivateIpAddresses") {
		t.Errorf("routes %v, calls %q", c.at(), c.called())
	}
}

func TestAnotherPublicAddressIsNoProof(t *testing.T) {
	if !instance(t) {
		return
	}
	c := newCloud()
	a, stop := start(t, c, t.TempDir(), func(o *Options) { o.Config.PublicAddress = netip.MustParseAddr("203.0.113.7") })
	defer stop()
	until(t, "it says why", func() bool {
		return a.health().Reason == "connections leave from 10.0.0.250 instead of 203.0.113.7"
	})
	if !c.everyRoute("nat-standby")() || a.health().Ready {
		t.Errorf("routes %v, health %+v", c.at(), a.health())
	}
}

func TestAnIdentityURLThatAnswersElsewhereIsWaitedFor(t *testing.T) {
	if !instance(t) {
		return
	}
	c := newCloud()
	a, stop := start(t, c, t.TempDir(), func(o *Options) { o.Config.Identity = []string{"http://198.51.100.1/shy"} })
	defer stop()
	until(t, "it takes the address", func() bool { return slices.Contains(c.called(), "AssignPrivateIpAddresses") })
	until(t, "it has tried the way out through it", func() bool { return a.health().Ready })
	<-time.After(500 * time.Millisecond) // several proofs
	if !c.everyRoute("nat-standby")() || a.health().Holds {
		t.Errorf("routes %v, health %+v", c.at(), a.health())
	}
}

func TestIdentityURLsThatNeverAnswerKeepNobodyFromAClaim(t *testing.T) {
	if !instance(t) {
		return
	}
	c := newCloud()
	a, stop := start(t, c, t.TempDir(), func(o *Options) { o.Config.Identity = []string{"http://198.51.100.1:81/"} })
	defer stop()
	until(t, "it holds", func() bool { return a.health().Holds })
}

func TestAKernelThatCannotBeOpenedIsTriedAgain(t *testing.T) {
	if !instance(t) {
		return
	}
	tries := 0
	k := &opened{open: func() (*kernel.Kernel, error) {
		if tries++; tries < 3 {
			return nil, errors.New("no netlink")
		}
		return kernel.Open()
	}}
	defer k.close()
	for range 2 {
		if _, err := k.Converge(kernel.Config{}); err == nil || err.Error() != "no netlink" {
			t.Errorf("error %v", err)
		}
	}
	if _, err := k.Counters("eth0"); err != nil && err.Error() == "no netlink" || tries != 3 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

func TestAnEndIsAnEndWhateverElseMetadataDoesNotSay(t *testing.T) {
	c := newCloud()
	a := newAgent(Options{Config: document()}.Defaults())
	a.service = c
	a.ask(t.Context())
	c.terminate()
	c.mute = true
	a.ask(t.Context())
	if o := a.observe(); !o.Terminating || o.Leaving == "" || len(a.networks) == 0 {
		t.Errorf("observed %+v, networks %v", o, a.networks)
	}
}

// kernelState is what is new after every change: the handles of the rules, and the addresses of the interface.
func kernelState(t *testing.T) (out []string) {
	t.Helper()
	nft, err := nftables.New()
	must(t, err)
	chains, err := nft.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	must(t, err)
	for _, ch := range chains {
		if ch.Table.Name == kernel.GuardName { // it comes and goes with the agent
			continue
		}
		rules, err := nft.GetRules(ch.Table, ch)
		must(t, err)
		for _, r := range rules {
			out = append(out, fmt.Sprintf("%s %d", ch.Name, r.Handle))
		}
	}
	link, err := netlink.LinkByName("eth0")
	must(t, err)
	addresses, err := netlink.AddrList(link, netlink.FAMILY_V4)
	must(t, err)
	for _, a := range addresses {
		out = append(out, a.String())
	}
	return out
}

// A client that has IPv6 only reaches the server by its IPv4 address, from the zone's address.
func TestAClientWithoutIPv4IsTranslatedToo(t *testing.T) {
	if !instance(t) {
		return
	}
	c := newCloud()
	dir, with := t.TempDir(), func(o *Options) { o.Config.NAT64 = true }
	translator := func() bool { _, err := netlink.LinkByName(nat64.Device); return err == nil }
	a, stop := start(t, c, dir, with)
	until(t, "it holds", func() bool { return a.health().Holds })
	until(t, "the translator is there", translator)

	answer := make(chan string, 1)
	here, err := netns.Get()
	must(t, err)
	go func() {
		runtime.LockOSThread() // it ends with the goroutine
		answer <- fromIPv6(here)
	}()
	if got := <-answer; got != zoneAddress.String()+"\n" {
		t.Errorf("the server says %q", got)
	}

	// A restart gives clients addresses anew. What is tracked for the old ones would reach others.
	stop()
	if ofPool(t) == 0 {
		t.Fatal("the connection is not tracked")
	}
	_, stop = start(t, c, dir, with)
	defer stop()
	until(t, "the translator is there again", translator)
	if n := ofPool(t); n > 0 {
		t.Errorf("%d connections of the last run are tracked", n)
	}
}

// ofPool is how many connections of NAT64's clients are tracked.
func ofPool(t *testing.T) (n int) {
	t.Helper()
	ct, err := conntrack.Dial(nil)
	must(t, err)
	defer ct.Close()
	flows, err := ct.Dump(nil)
	must(t, err)
	for _, f := range flows {
		if nat64.DefaultPool().Contains(f.TupleOrig.IP.SourceAddress) {
			n++
		}
	}
	return n
}

// fromIPv6 makes a client on a link of its own and returns what the server says of it, or what went wrong.
func fromIPv6(instance netns.NsHandle) string {
	outside, err := netlink.NewHandleAt(instance)
	if err != nil {
		return err.Error()
	}
	if _, err := netns.New(); err != nil {
		return err.Error()
	}
	inside, err := netlink.NewHandle()
	if err != nil {
		return err.Error()
	}
	if err := inside.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "client", PeerNamespace: netlink.NsFd(int(instance))}); err != nil {
		return err.Error()
	}
	for _, end := range []struct {
		h             *netlink.Handle
		name, address string
	}{{inside, "eth0", "2001:db8::2/64"}, {outside, "client", "2001:db8::1/64"}} {
		link, err := end.h.LinkByName(end.name)
		if err != nil {
			return err.Error()
		}
		a, err := netlink.ParseAddr(end.address)
		if err != nil {
			return err.Error()
		}
		a.Flags = unix.IFA_F_NODAD
		if err := errors.Join(end.h.AddrAdd(link, a), end.h.LinkSetUp(link)); err != nil {
			return err.Error()
		}
	}
	if err := inside.RouteAdd(&netlink.Route{Gw: net.ParseIP("2001:db8::1")}); err != nil {
		return err.Error()
	}
	conn, err := net.DialTimeout("tcp6", "[64:ff9b::198.51.100.1]:80", patience)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /identity HTTP/1.0\r\n\r\n")); err != nil {
		return err.Error()
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func ask(t *testing.T, at netip.Addr) (h natzone.Health) {
	t.Helper()
	c := http.Client{Timeout: time.Second}
	resp, err := c.Get(fmt.Sprintf("http://%s:%d/health", at, natzone.HealthPort))
	if err != nil {
		return h
	}
	defer resp.Body.Close()
	must(t, json.NewDecoder(resp.Body).Decode(&h))
	return h
}

func reads(call string) bool { return len(call) > 8 && call[:8] == "Describe" }

func (c *cloud) answered() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.results)
}

func (c *cloud) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = nil
}

func (c *cloud) set(table string, r types.Route) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.point(table, r)
}

func (c *cloud) terminate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.target = "Terminated"
	c.waiting[natzone.TerminateHook] = true
}
