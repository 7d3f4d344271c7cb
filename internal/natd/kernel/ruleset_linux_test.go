package kernel

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

func TestTheKernelListsTheGoldenRuleset(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"usual": func(*Config) {},
		"everything": func(c *Config) {
			c.MidStream, c.Self, c.SSH, c.Canary = PickUp, true, true, netip.MustParseAddr("192.0.0.3")
			c.Clients = append(c.Clients, netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/29"))
			c.Networks = []netip.Prefix{netip.MustParsePrefix("172.16.0.0/12")}
		},
		"upper half": func(c *Config) { c.Clients = []netip.Prefix{netip.MustParsePrefix("128.0.0.0/1")} },
	} {
		t.Run(name, func(t *testing.T) {
			k := newNetwork(t).open(t)
			c := example()
			change(&c)
			if _, err := k.Converge(c); err != nil {
				t.Fatal(err)
			}
			have, err := readRuleset(transaction(t))
			must(t, err)
			golden(t, name, have.String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".nft")
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		must(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (UPDATE_GOLDEN=1 writes it):\n%s", file, diff)
	}
}

// generation is the kernel's count of transactions of nftables.
func generation(t *testing.T) string {
	t.Helper()
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	must(t, err)
	defer conn.Close()
	answers, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN, Flags: netlink.Request},
		Data:   make([]byte, 4),
	})
	must(t, err)
	attributes, err := netlink.UnmarshalAttributes(answers[0].Data[4:])
	must(t, err)
	for _, a := range attributes {
		if a.Type == unix.NFTA_GEN_ID {
			return string(a.Data)
		}
	}
	t.Fatal("the kernel names no generation")
	return ""
}

func TestConvergingTwiceChangesNothing(t *testing.T) {
	k := newNetwork(t).open(t)
	first, err := k.Converge(example())
	must(t, err)
	if len(first.Changed) == 0 {
		t.Fatal("the first run changed nothing: the test shows nothing")
	}
	before := generation(t)
	for range 3 {
		again, err := k.Converge(example())
		must(t, err)
		if len(again.Changed) > 0 {
			t.Errorf("changed again: %q", again.Changed)
		}
	}
	if generation(t) != before {
		t.Error("a transaction was sent although everything was right")
	}
}

func TestAnotherProcessFindsNothingToDo(t *testing.T) {
	n := newNetwork(t)
	_, err := n.open(t).Converge(example())
	must(t, err)
	before := generation(t)
	again, err := n.open(t).Converge(example())
	must(t, err)
	if len(again.Changed) > 0 || generation(t) != before {
		t.Errorf("changed: %q", again.Changed)
	}
}

func TestWhateverIsChangedByHandIsPutRight(t *testing.T) {
	table := &nftables.Table{Name: TableName, Family: nftables.TableFamilyIPv4}
	for name, spoil := range map[string]func(t *testing.T, k *Kernel, c *nftables.Conn){
		"table deleted": func(_ *testing.T, _ *Kernel, c *nftables.Conn) { c.DelTable(table) },
		"rules flushed": func(_ *testing.T, _ *Kernel, c *nftables.Conn) { c.FlushTable(table) },
		"one rule deleted": func(t *testing.T, k *Kernel, c *nftables.Conn) {
			rules, err := transaction(t).GetRules(table, &nftables.Chain{Name: "postrouting"})
			must(t, err)
			must(t, c.DelRule(rules[len(rules)-1]))
		},
		"rule added": func(_ *testing.T, _ *Kernel, c *nftables.Conn) {
			c.InsertRule(&nftables.Rule{Table: table, Chain: &nftables.Chain{Name: "forward", Table: table}, Exprs: verdict(expr.VerdictDrop)})
		},
		"set emptied": func(_ *testing.T, _ *Kernel, c *nftables.Conn) {
			c.FlushSet(&nftables.Set{Table: table, Name: clientSet})
		},
		"chain added": func(_ *testing.T, _ *Kernel, c *nftables.Conn) {
			c.AddChain(&nftables.Chain{Name: "own", Table: table})
		},
		"forwarding turned off": func(t *testing.T, _ *Kernel, _ *nftables.Conn) { write(t, "net/ipv4/ip_forward", "0") },
		"timeout changed": func(t *testing.T, _ *Kernel, _ *nftables.Conn) {
			write(t, "net/netfilter/nf_conntrack_tcp_timeout_established", "432000")
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			k := n.open(t)
			_, err := k.Converge(example())
			must(t, err)
			right, err := readRuleset(transaction(t))
			must(t, err)
			by, err := nftables.New()
			must(t, err)
			spoil(t, k, by)
			must(t, by.Flush())

			r, err := k.Converge(example())
			must(t, err)
			if len(r.Changed) == 0 {
				t.Error("nothing was reported as changed")
			}
			have, err := readRuleset(transaction(t))
			must(t, err)
			if diff := cmp.Diff(right.String(), have.String()); diff != "" {
				t.Error(diff)
			}
			if got := read(t, "net/ipv4/ip_forward"); got != "1" {
				t.Errorf("ip_forward is %s", got)
			}
		})
	}
}

func TestAfterARebootOneRunBringsEverythingBack(t *testing.T) {
	texts := make([]string, 2)
	for i := range texts { // a namespace knows no more of the last one than a kernel of its last boot
		n := newNetwork(t)
		k := n.open(t)
		_, err := k.Converge(example())
		must(t, err)
		have, err := readRuleset(transaction(t))
		must(t, err)
		texts[i] = have.String()
		n.pings(t, 1)
	}
	if diff := cmp.Diff(texts[0], texts[1]); diff != "" {
		t.Error(diff)
	}
}

func TestRulesOfOthersAreLeftAlone(t *testing.T) {
	k := newNetwork(t).open(t)
	foreign, err := nftables.New()
	must(t, err)
	table := foreign.AddTable(&nftables.Table{Name: "nat", Family: nftables.TableFamilyIPv4})
	policy := nftables.ChainPolicyAccept
	own := foreign.AddChain(&nftables.Chain{Name: "postrouting", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource, Policy: &policy})
	foreign.AddRule(&nftables.Rule{Table: table, Chain: own, Exprs: rule(addressIs(source, netip.MustParseAddr("172.17.0.2")), verdict(expr.VerdictDrop))})
	must(t, foreign.Flush())
	handles := func() (out []uint64) {
		rules, err := foreign.GetRules(table, own)
		must(t, err)
		for _, r := range rules {
			out = append(out, r.Handle)
		}
		return out
	}
	before := handles()
	for _, midStream := range []MidStream{Reset, PickUp} { // applied, and applied again with a change
		c := example()
		c.MidStream = midStream
		_, err := k.Converge(c)
		must(t, err)
	}
	if diff := cmp.Diff(before, handles()); diff != "" || len(before) != 1 {
		t.Errorf("rules of another table (%v):\n%s", before, diff)
	}
}

func TestAConfigurationThatWouldTranslateNothingIsRefused(t *testing.T) {
	for name, clients := range map[string][]netip.Prefix{
		"none": nil, "IPv6": {netip.MustParsePrefix("fd00::/8")}, "everything": {netip.MustParsePrefix("0.0.0.0/0")},
	} {
		c := example()
		c.Clients = clients
		if _, err := desired(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestWhatBelongsToTheHostIsToleratedWithAReason(t *testing.T) {
	c := example()
	c.MaxConnections = 1 << 22
	r, err := newNetwork(t).open(t).Converge(c)
	must(t, err)
	if len(r.Tolerated) == 0 || !strings.Contains(strings.Join(r.Tolerated, "\n"), "nf_conntrack_max") {
		t.Errorf("tolerated: %q", r.Tolerated)
	}
}
