package kernel

import (
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// What is compared: forwarding with neither rules nor connection tracking, the rule that everybody writes, and natd's rules.
var contenders = []struct {
	name  string
	apply func(b *testing.B, n *network)
}{
	{"plain", func(b *testing.B, n *network) {
		write(b, "net/ipv4/ip_forward", "1")
		n.in(b, n.server, func() { // the answers find their way without translation
			_, clients, _ := net.ParseCIDR("10.0.1.0/24")
			must(b, netlink.RouteAdd(&netlink.Route{Dst: clients, Gw: primary.AsSlice()}))
		})
	}},
	{"masquerade", func(b *testing.B, n *network) {
		write(b, "net/ipv4/ip_forward", "1")
		c, err := nftables.New()
		must(b, err)
		table := c.AddTable(&nftables.Table{Name: "nat", Family: nftables.TableFamilyIPv4})
		ch := c.AddChain(&nftables.Chain{Name: "postrouting", Table: table, Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
		c.AddRule(&nftables.Rule{Table: table, Chain: ch, Exprs: []expr.Any{&expr.Masq{}}})
		must(b, c.Flush())
	}},
	{"natd", func(b *testing.B, n *network) {
		_, err := n.open(b).Converge(example())
		must(b, err)
	}},
}

// round of each contender. They take turns, so that what else the machine does disturbs them alike.
const round = 250 * time.Millisecond

// compare reports the median of the rounds of each contender, and natd's as a share of the others'.
func compare(b *testing.B, unit string, measure func(b *testing.B, n *network) float64) {
	networks := make([]*network, len(contenders))
	for i, c := range contenders {
		networks[i] = newNetwork(b)
		c.apply(b, networks[i])
	}
	results := make([][]float64, len(contenders))
	rounds := 0
	for b.Loop() {
		for i := range contenders {
			turn := (i + rounds) % len(contenders)
			must(b, netns.Set(networks[turn].instance))
			results[turn] = append(results[turn], measure(b, networks[turn]))
		}
		rounds++
	}
	must(b, netns.Set(networks[len(networks)-1].instance))
	medians := make([]float64, len(contenders))
	for i, c := range contenders {
		slices.Sort(results[i])
		medians[i] = results[i][len(results[i])/2]
		b.ReportMetric(medians[i], c.name+"-"+unit)
	}
	natd := medians[len(medians)-1]
	for i, c := range contenders[:len(contenders)-1] {
		b.ReportMetric(natd/medians[i], "natd/"+c.name)
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkThroughput sends one TCP stream from the client to the server.
func BenchmarkThroughput(b *testing.B) {
	compare(b, "Gbit/s", func(b *testing.B, n *network) float64 {
		var l net.Listener
		n.in(b, n.server, func() {
			var err error
			l, err = net.Listen("tcp4", serverIP.String()+":0")
			must(b, err)
		})
		defer l.Close()
		received := make(chan int64)
		go func() {
			c, err := l.Accept()
			if err != nil {
				received <- 0
				return
			}
			defer c.Close()
			m, _ := io.Copy(io.Discard, c)
			received <- m
		}()
		var c net.Conn
		n.in(b, n.client, func() {
			var err error
			c, err = net.DialTimeout("tcp4", l.Addr().String(), patience)
			must(b, err)
		})
		buffer := make([]byte, 1<<18)
		began := time.Now()
		for time.Since(began) < round {
			_, err := c.Write(buffer)
			must(b, err)
		}
		must(b, c.Close())
		bytes := <-received
		return float64(bytes) * 8 / 1e9 / time.Since(began).Seconds()
	})
}

// BenchmarkConnections opens connections from the client, four at a time, each until the server has said something.
func BenchmarkConnections(b *testing.B) {
	compare(b, "conn/s", func(b *testing.B, n *network) float64 {
		var l net.Listener
		n.in(b, n.server, func() {
			var err error
			l, err = net.Listen("tcp4", serverIP.String()+":0")
			must(b, err)
		})
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte{1})
				c.Close()
			}
		}()
		var made atomic.Int64
		var group sync.WaitGroup
		began := time.Now()
		for range 4 {
			group.Go(func() {
				runtime.LockOSThread() // ends with the goroutine
				if netns.Set(n.client) != nil {
					return
				}
				for time.Since(began) < round {
					c, err := net.DialTimeout("tcp4", l.Addr().String(), patience)
					if err != nil {
						return
					}
					if _, err := c.Read(make([]byte, 1)); err == nil {
						made.Add(1)
					}
					_ = c.(*net.TCPConn).SetLinger(0)
					c.Close()
				}
			})
		}
		group.Wait()
		return float64(made.Load()) / time.Since(began).Seconds()
	})
}

// BenchmarkHandOver lists the connections of one instance and makes them known to another, as a successor's start does.
func BenchmarkHandOver(b *testing.B) {
	const flows = 20000
	n := newNetwork(b)
	k := n.open(b)
	_, err := k.Converge(example())
	must(b, err)
	i, err := NewImporter(address)
	must(b, err)
	defer i.Close()
	var listed []Flow
	for f := range flows {
		listed = append(listed, Flow{Protocol: unix.IPPROTO_TCP, State: stateEstablished, Port: uint16(1024 + f), Timeout: 300,
			Status: statusSeenReply | statusAssured, Source: clientIP.As4(), Destination: serverIP.As4(), SourcePort: uint16(1024 + f), DestinationPort: 443})
	}
	var listing, adding time.Duration
	for b.Loop() {
		flush(b)
		began := time.Now()
		_, err := i.Add(listed...)
		must(b, err)
		adding += time.Since(began)
		began = time.Now()
		listed = listed[:0]
		stop := errors.New("listed")
		if err := Export(b.Context(), example().Clients, address, func(f Flow) error { listed = append(listed, f); return nil }, func() error { return stop }); !errors.Is(err, stop) {
			b.Fatal(err)
		}
		listing += time.Since(began)
		if len(listed) != flows {
			b.Fatalf("%d of %d flows", len(listed), flows)
		}
	}
	b.ReportMetric(float64(b.N)*flows/listing.Seconds(), "listed/s")
	b.ReportMetric(float64(b.N)*flows/adding.Seconds(), "made-known/s")
	b.ReportMetric(0, "ns/op")
}
