package kernel

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/ti-mo/conntrack"
)

// Counters asks the kernel for them.
func (k *Kernel) Counters(outside string) (Counters, error) {
	var c Counters
	// Not by netlink: the answer to CTGETSTATS differs between kernels in how it ends, and a socket that waits for the rest waits for ever.
	var errs [5]error
	c.Connections, errs[0] = number("nf_conntrack_count")
	c.Limit, errs[1] = number("nf_conntrack_max")
	ct, err := conntrack.Dial(nil)
	if err != nil {
		return c, fmt.Errorf("connection tracking: %w", err)
	}
	defer ct.Close() //nolint:errcheck // nothing is lost
	stats, err := ct.Stats()
	if err != nil {
		return c, fmt.Errorf("connection tracking: %w", err)
	}
	for _, cpu := range stats {
		c.PortSearches += uint64(cpu.Found)
		c.InsertFailures += uint64(cpu.InsertFailed)
		c.EarlyDrops += uint64(cpu.EarlyDrop)
		c.Drops += uint64(cpu.Drop)
	}
	link, err := k.links.LinkByName(outside)
	if err != nil {
		return c, fmt.Errorf("interface %s: %w", outside, err)
	}
	if s := link.Attrs().Statistics; s != nil {
		c.Bytes = s.TxBytes
		c.Drops += s.RxDropped + s.TxDropped
	}
	c.New, errs[2] = newConnections()
	c.Packets, errs[3] = forwarded()
	c.Allowances, errs[4] = allowances(outside)
	return c, errors.Join(errs[:]...)
}

func number(setting string) (uint64, error) {
	data, err := os.ReadFile("/proc/sys/net/netfilter/" + setting)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
}

// newConnections is what the last rule has counted: rules of type nat see the first packet of a connection only.
func newConnections() (uint64, error) {
	nft, err := newTransaction()
	if err != nil {
		return 0, err
	}
	table := &nftables.Table{Name: TableName, Family: nftables.TableFamilyIPv4}
	rules, err := nft.GetRules(table, &nftables.Chain{Name: "postrouting", Table: table})
	if err != nil {
		return 0, fmt.Errorf("rules of table %s: %w", TableName, err)
	}
	var n uint64
	for _, r := range rules {
		for _, e := range r.Exprs {
			if counter, ok := e.(*expr.Counter); ok {
				n += counter.Packets
			}
		}
	}
	return n, nil
}

// forwarded is the number of IPv4 packets that were forwarded in this network namespace.
func forwarded() (uint64, error) {
	const file = "/proc/thread-self/net/snmp"
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // it has been read
	var names []string
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) == 0 || fields[0] != "Ip:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name == "ForwDatagrams" && i < len(fields) {
				return strconv.ParseUint(fields[i], 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("%s: has no ForwDatagrams", file)
}
