package lab

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
)

// Fault is what is wrong with a node.
type Fault string

// Faults. Those of the data path leave the management link and the programs alone; freeze the programs too where they
// would mend it.
const (
	// Dead: the node vanishes without a word, programs and all.
	Dead Fault = "dead"
	// ForwardingOff: the node receives and does not forward.
	ForwardingOff Fault = "forwarding off"
	// RulesLost: the packet filter is empty; what leaves is not translated.
	RulesLost Fault = "rules lost"
	// DataDropped: connections open, and nothing passes in them.
	DataDropped Fault = "data dropped"
	// DataReset: connections open, and are reset when something is said.
	DataReset Fault = "data reset"
	// Drip: connections open, and answers trickle: two packets a second, whoever they are for.
	Drip Fault = "drip"
	// Loss30 and Loss5: so many of 100 packets are lost, each way.
	Loss30 Fault = "loss 30 %"
	Loss5  Fault = "loss 5 %"
	// Silent: nothing is forwarded, though the node itself is well.
	Silent Fault = "silent"
)

// dripRate is packets a second that a dripping node lets pass.
const dripRate = 2

// Break gives the node a fault, in one step.
func (n *Node) Break(f Fault) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.Namespace == nil {
		return fmt.Errorf("node %s: %s: %w", n.name, f, ErrStopped)
	}
	n.faults[f] = true
	switch f {
	case Dead:
		return errors.Join(n.freeze(), n.links.LinkSetDown(n.eth.link), n.links.LinkSetDown(n.manage.link))
	case ForwardingOff:
		return n.sysctl(map[string]string{"net/ipv4/ip_forward": "0"})
	case RulesLost:
		return n.flush()
	}
	return n.hinder()
}

// Mend takes a fault away. Lost rules do not come back by that: the agent's do when it runs.
func (n *Node) Mend(f Fault) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.Namespace == nil || !n.faults[f] {
		return nil
	}
	delete(n.faults, f)
	switch f {
	case Dead:
		err := errors.Join(
			n.links.LinkSetUp(n.eth.link), n.links.LinkSetUp(n.manage.link),
			n.eth.up(), n.port.up(), n.manage.up(), n.here.up(),
			n.manage.route(0, host(Services), Services),
		)
		if n.service == nil { // the network service asks for it again
			err = errors.Join(err, gatewayOf(n.eth, n.port, nth(n.zone.Public, 1)))
		}
		n.thaw()
		return err
	case ForwardingOff:
		return n.forward()
	case RulesLost:
		return nil
	}
	return n.hinder()
}

// hinder writes the faults that are rules. It comes before every other chain, and knows directions by the connection
// tracking that the translation needs anyway.
func (n *Node) hinder() error {
	var rules []rule
	for f, r := range map[Fault]rule{
		DataDropped: join(flags(push, true), drop()),
		DataReset:   join(flags(push, true), reset()),
		Drip:        join(reply(), flags(syn|rst, false), over(dripRate), drop()),
		Loss30:      join(percent(30), drop()),
		Loss5:       join(percent(5), drop()),
		Silent:      drop(),
	} {
		if n.faults[f] {
			rules = append(rules, r)
		}
	}
	if rules == nil {
		return n.replace("fault")
	}
	return n.replace("fault", forwarded(*nftables.ChainPriorityMangle, rules...))
}
