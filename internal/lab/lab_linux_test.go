package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// requireRoot is set where the tests that need root must not be skipped.
const requireRoot = "POLYNAT_REQUIRE_ROOT"

var (
	first, second, standby    = netip.MustParseAddr("10.0.0.10"), netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("10.0.0.20")
	zoneAddress               = netip.MustParseAddr("10.0.0.250")
	firstPublic, secondPublic = netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("203.0.113.11")
	zonePublic, standbyPublic = netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
	tables                    = []string{"rtb-a-1", "rtb-a-2", "rtb-a-3"}
	publicAddresses           = map[netip.Addr]netip.Addr{first: firstPublic, second: secondPublic, zoneAddress: zonePublic, standby: standbyPublic}
)

// newLab is one zone with a plain NAT instance that holds the zone's address, a second instance, and a standby.
func newLab(t *testing.T) (l *Lab, nat, other *Node) {
	t.Helper()
	t.Parallel() // labs do not know of each other
	l, err := New(Default("a"))
	if errors.Is(err, ErrPrivilege) && os.Getenv(requireRoot) != "1" {
		t.Skipf("%v (set %s=1 to fail instead)", err, requireRoot)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(l.Dump())
		}
		l.Close()
	})
	launch := func(name string, a netip.Addr) *Node {
		n, err := l.Launch(NodeOptions{Name: name, Zone: "a", Address: a})
		must(t, err)
		must(t, n.CheckSource(false))
		return n
	}
	nat, other = launch("nat1", first), launch("nat2", second)
	_, err = l.Standby(NodeOptions{Name: "standby", Zone: "a", Address: standby})
	must(t, err, l.Translate(publicAddresses), l.Assign(zoneAddress, "nat1"), nat.Translate(zoneAddress), other.Translate(zoneAddress))
	point(t, l, "nat1")
	return l, nat, other
}

func point(t *testing.T, l *Lab, hop string) {
	t.Helper()
	for _, table := range tables {
		must(t, l.SetRoute(table, everywhere, hop))
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// patiently repeats what a busy machine may spoil, though it holds: a fault in it spoils each try.
func patiently(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for range 10 {
		if err = try(); err == nil {
			return
		}
	}
	t.Error(err)
}

func egress(t *testing.T, l *Lab, table string, want netip.Addr) {
	t.Helper()
	patiently(t, func() error {
		if got, err := l.Egress(table); err != nil || got != want {
			return fmt.Errorf("traffic of %s leaves from %v, %w; want %v", table, got, err, want)
		}
		return nil
	})
}

func TestTrafficOfEachSubnetTakesTheHopOfItsRouteTable(t *testing.T) {
	l, _, _ := newLab(t)
	must(t, l.SetRoute(tables[1], everywhere, "standby"))
	// The longer prefix wins, even where it leads nowhere.
	must(t, l.SetRoute(tables[2], netip.PrefixFrom(l.Internet.Servers[0], 32), ""))
	egress(t, l, tables[0], zonePublic)
	egress(t, l, tables[1], standbyPublic)
	if err := l.Try(tables[2]); !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a black hole answers: %v", err)
	}
	must(t, l.DeleteRoute(tables[2], netip.PrefixFrom(l.Internet.Servers[0], 32)))
	egress(t, l, tables[2], zonePublic)
	must(t, l.DeleteRoute(tables[2], everywhere))
	if err := l.Try(tables[2]); err == nil {
		t.Error("traffic passes without a route")
	}
}

func TestTheElasticIPFollowsThePrivateAddress(t *testing.T) {
	l, _, _ := newLab(t)
	point(t, l, "nat2")
	if err := l.Try(tables[0]); err == nil {
		t.Error("an answer to the zone's address came to an instance that does not hold it")
	}
	must(t, l.Assign(zoneAddress, "nat2"))
	egress(t, l, tables[0], zonePublic)
}

func TestWhatHasNoPublicAddressDoesNotLeave(t *testing.T) {
	l, _, _ := newLab(t)
	must(t, l.Translate(map[netip.Addr]netip.Addr{standby: standbyPublic}))
	if err := l.Try(tables[0]); err == nil {
		t.Error("an instance without a public address reached the Internet")
	}
}

func TestTheSourceAndDestinationCheckStopsForwarding(t *testing.T) {
	l, nat, _ := newLab(t)
	must(t, nat.CheckSource(true))
	if err := l.Try(tables[0]); err == nil {
		t.Error("the check let a client's packet pass")
	}
	must(t, nat.CheckSource(false))
	egress(t, l, tables[0], zonePublic)
}

func TestEveryFaultBreaksNewConnectionsAndIsMended(t *testing.T) {
	l, nat, _ := newLab(t)
	for _, f := range []Fault{Dead, ForwardingOff, DataDropped, DataReset, RulesLost} {
		t.Run(string(f), func(t *testing.T) {
			must(t, nat.Break(f))
			if err := l.Try(tables[0]); err == nil {
				t.Error("a connection was answered all the same")
			}
			must(t, nat.Mend(f))
			if f == RulesLost {
				must(t, nat.Translate(zoneAddress))
			}
			egress(t, l, tables[0], zonePublic)
		})
	}
}

func TestPartialFaultsLoseAPart(t *testing.T) {
	l, nat, _ := newLab(t)
	for _, test := range []struct {
		fault    Fault
		min, max float64 // share lost
	}{{Loss30, 0.25, 0.8}, {Loss5, 0.01, 0.3}, {Drip, 0.5, 1}} {
		t.Run(string(test.fault), func(t *testing.T) {
			patiently(t, func() error {
				must(t, nat.Break(test.fault))
				attempts := during(l, 2*time.Second)
				must(t, nat.Mend(test.fault))
				if share := float64(attempts.Lost()) / float64(len(attempts)); share < test.min || share > test.max {
					return fmt.Errorf("lost %d of %d", attempts.Lost(), len(attempts))
				}
				return nil
			})
		})
	}
}

// during is a load for so long.
func during(l *Lab, d time.Duration) Attempts {
	load := l.Load(tables, 50)
	<-time.After(d)
	return load.Stop()
}

func TestAMoveToTheStandbyLosesNoNewConnectionAndCutsTheEstablished(t *testing.T) {
	l, _, _ := newLab(t)
	held, err := l.Hold(tables, 4)
	must(t, err)
	patiently(t, func() error {
		point(t, l, "nat1")
		load := l.Load(tables, 50)
		<-time.After(time.Second)
		point(t, l, "standby")
		<-time.After(time.Second)
		attempts := load.Stop()
		if len(attempts) < 50 || attempts.Lost() > 2 { // one may have been between the two halves of its handshake
			return fmt.Errorf("lost %d of %d", attempts.Lost(), len(attempts))
		}
		return nil
	})
	if cut, established := held.Stop(); cut != established || established != 12 {
		t.Errorf("%d of %d established connections were cut", cut, established)
	}
}

func TestADeadInstanceIsAnOutageUntilTheRouteMoves(t *testing.T) {
	l, nat, _ := newLab(t)
	load := l.Load(tables, 50)
	<-time.After(500 * time.Millisecond)
	must(t, nat.Break(Dead))
	<-time.After(time.Second)
	point(t, l, "standby")
	for _, table := range tables {
		egress(t, l, table, standbyPublic)
	}
	attempts := load.Stop()
	if outage := attempts.Outage(); outage < 900*time.Millisecond {
		t.Errorf("outage of %v, lost %d of %d", outage, attempts.Lost(), len(attempts))
	}
}

// attempts of three tables in turn, 50 a second, from the moment that everything breaks.
func attempts(seconds int, lost func(table int, at time.Duration) bool) Attempts {
	var as Attempts
	for i := range 50 * seconds {
		at := time.Duration(i) * 20 * time.Millisecond
		a := Attempt{Table: tables[i%len(tables)], Start: time.Unix(0, 0).Add(at)}
		if lost(i%len(tables), at) {
			a.Err = errors.New("lost")
		}
		as = append(as, a)
	}
	return as
}

func TestATableThatStaysDeadIsAnOutageWhateverTheOthersAnswer(t *testing.T) {
	as := attempts(12, func(table int, at time.Duration) bool { return table == 2 || at < time.Second })
	if outage := as.Outage(); outage < 11*time.Second {
		t.Errorf("one of three tables is dead for 12 s, and the outage is one of %s", outage)
	}
	as = attempts(12, func(_ int, at time.Duration) bool { return at < time.Second })
	if outage := as.Outage(); outage < 900*time.Millisecond || outage > 1100*time.Millisecond {
		t.Errorf("all are dead for 1 s, and the outage is one of %s", outage)
	}
}

func TestPartialLossLastsAsLongAsMoreThanUsualIsLost(t *testing.T) {
	half := func(at time.Duration) bool { return at/(20*time.Millisecond)%2 == 0 }
	for name, test := range map[string]struct {
		lost func(table int, at time.Duration) bool
		want time.Duration
	}{
		"nothing is lost":                       {func(int, time.Duration) bool { return false }, 0},
		"half is lost for 3 s":                  {func(_ int, at time.Duration) bool { return half(at) && at < 3*time.Second }, 3 * time.Second},
		"half is lost of one table, to the end": {func(table int, at time.Duration) bool { return table == 1 && half(at) }, 12 * time.Second},
		"one is lost later": {
			func(_ int, at time.Duration) bool { return half(at) && at < 3*time.Second || at == 6*time.Second }, 3 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			as := attempts(12, test.lost)
			if got := as.Impaired(0.1); got < test.want-200*time.Millisecond || got > test.want {
				t.Errorf("impaired for %s, want %s", got, test.want)
			}
		})
	}
}

func TestARebootedNodeHasLostWhatWasSetAndIsReachedAgain(t *testing.T) {
	l, nat, _ := newLab(t)
	must(t, nat.Stop())
	if err := l.Try(tables[0]); err == nil {
		t.Error("a stopped node forwards")
	}
	must(t, nat.Boot(false))
	if err := l.Try(tables[0]); err == nil {
		t.Error("a fresh node forwards without being told to")
	}
	must(t, nat.Translate(zoneAddress))
	egress(t, l, tables[0], zonePublic)
}

func TestServersAndNamesFallSilentAndAnswerAgain(t *testing.T) {
	l, _, _ := newLab(t)
	must(t, l.Internet.Silence(l.Internet.Servers[0]))
	if err := l.Try(tables[0]); err == nil {
		t.Error("a silent server answered")
	}
	must(t, l.Internet.Silence())
	egress(t, l, tables[0], zonePublic)

	for _, from := range []*Namespace{l.Host(tables[0]).Namespace, l.Region} {
		for _, silent := range []bool{true, false} {
			l.Names.Silence(silent)
			patience := 10 * time.Second
			if silent {
				patience = 500 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			got, err := l.Names.lookup(ctx, from, ServerName(2))
			cancel()
			if (err != nil) != silent || !silent && got != l.Internet.Servers[2] {
				t.Errorf("%s, silent %v: %v, %v", from.name, silent, got, err)
			}
		}
	}
}

func TestAProgramRunsInItsNamespaceWithFilesOfItsOwn(t *testing.T) {
	_, nat, _ := newLab(t)
	fake := t.TempDir() + "/resolv.conf"
	must(t, os.WriteFile(fake, []byte("nameserver 10.0.0.2\n"), 0o600))
	var out bytes.Buffer
	p, err := nat.Start(ProgramOptions{
		Path: "/bin/cat", Args: []string{"/etc/resolv.conf", "/proc/self/net/dev"}, Stdout: &out,
		Files: map[string]string{"/etc/resolv.conf": fake},
	})
	must(t, err)
	<-p.Done()
	must(t, p.Err())
	for _, want := range []string{"nameserver 10.0.0.2", "manage:"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the program does not see %s:\n%s", want, &out)
		}
	}
	if theirs, err := os.ReadFile("/etc/resolv.conf"); err == nil && strings.Contains(string(theirs), "nameserver 10.0.0.2") {
		t.Error("the file is in place of the system's")
	}
}

func TestAProgramDiesWithItsNodeEvenWhenFrozen(t *testing.T) {
	_, nat, _ := newLab(t)
	p, err := nat.Start(ProgramOptions{Path: "/bin/sleep", Args: []string{"600"}})
	must(t, err)
	must(t, nat.Freeze())
	must(t, nat.Terminate())
	select {
	case <-p.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the program outlives its node")
	}
}

// lookup asks for a name from inside a namespace.
func (n *Names) lookup(ctx context.Context, from *Namespace, name string) (netip.Addr, error) {
	resolver := n.Resolver
	if from.name == "region" {
		resolver = Services
	}
	dial := func(context.Context, string, string) (c net.Conn, err error) {
		err = from.Do(func() (err error) {
			c, err = net.Dial("udp4", netip.AddrPortFrom(resolver, 53).String())
			return err
		})
		return c, err
	}
	found, err := (&net.Resolver{PreferGo: true, Dial: dial}).LookupNetIP(ctx, "ip4", name)
	if err != nil {
		return netip.Addr{}, err
	}
	return found[0].Unmap(), nil
}
