package tests

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"

	"polynat/internal/migration"
	"polynat/internal/route"
	"polynat/internal/sim"
)

// fault is what becomes of the at-th changing operation of an `up`; none when at is 0.
type fault struct {
	at      int
	verdict sim.Verdict
}

// move is one step of a walk. A walk is a list of moves that is drawn before it is made, so that it can be shortened.
type move struct {
	// refresh is a `pulumi refresh`. The next three change the configuration: declare switches declareSystemRoute on or off
	// (it should stay on), release says which blocks stage switch gives to the gateway from now on, edit is a key of edits.
	refresh, declare bool
	release          []netip.Prefix
	edit             string
	// What is left is an `up`: to stage, or by some stages from where the migration stands.
	stage string
	by    int
	fault fault
}

func (m move) String() string {
	to := m.stage
	if to == "" {
		to = fmt.Sprintf("%+d", m.by)
	}
	switch {
	case m.refresh:
		return "refresh"
	case m.declare:
		return "switch declareSystemRoute"
	case m.edit != "":
		return "edit " + m.edit
	case m.release != nil:
		return fmt.Sprint("release ", m.release)
	case m.fault.at > 0:
		return fmt.Sprintf("up %s, operation %d: %s", to, m.fault.at, m.fault.verdict)
	}
	return "up " + to
}

// newMoves draws a walk. Most moves go forward, so that walks get somewhere; more than half meet a fault.
func newMoves(r *rand.Rand) []move {
	moves := make([]move, r.IntN(14))
	for i := range moves {
		m := &moves[i]
		switch p := r.IntN(100); {
		case p < 48:
			m.by = 1
		case p < 70:
			m.by = -1
		case p < 80: // the same stage again
		case p < 84:
			m.stage = string(pick(r, migration.Stages()...))
		case p < 86:
			m.by = pick(r, -3, -2, 2, 3)
		case p < 87:
			m.stage = pick(r, "swich", "Cover", "destroy")
		case p < 91:
			m.refresh = true
		case p < 94:
			m.declare = true
		case p < 97:
			m.edit = pick(r, slices.Sorted(maps.Keys(edits))...)
		default:
			blocks := route.Blocks()
			r.Shuffle(len(blocks), func(i, j int) { blocks[i], blocks[j] = blocks[j], blocks[i] })
			m.release = blocks[:1+r.IntN(len(blocks))]
			slices.SortFunc(m.release, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
		}
		if chance(r, 60) {
			// Most stages have few operations, two have eight for each table.
			m.fault = fault{1 + r.IntN(pick(r, 1, 3, 8, 20)), pick(r, sim.FailBefore, sim.FailAfter, sim.Crash)}
		}
	}
	return moves
}

// The edits that a message asks to take back: to repeat them does.
const (
	editAddresses = "one address more or less"
	editSources   = "SNAT by source or by vSwitch"
)

// edits are what an owner may change in the configuration at any time, wisely or not.
var edits = map[string]func(*network){
	editAddresses: func(n *network) {
		if _, ok := n.addresses["extra"]; ok {
			n.addresses = without(n.addresses, "extra")
		} else {
			n.addresses = with(n.addresses, "extra", 5)
		}
	},
	"more bandwidth": func(n *network) { n.addresses = with(n.addresses, "main", n.addresses["main"]%100+100) },
	"bandwidth package or none": func(n *network) {
		if n.pkg = 110 - n.pkg; n.pkg != 110 {
			n.pkg = 0
		}
	},
	editSources: func(n *network) { n.snat, n.otherSNAT = n.otherSNAT, n.snat },
	"a forward more or less": func(n *network) {
		if _, ok := n.forwards["ssh"]; ok {
			n.forwards = without(n.forwards, "ssh")
		} else if _, ok := n.addresses["inbound"]; ok {
			n.forwards = with(n.forwards, "ssh", migration.Forward{
				Address: "inbound", ExternalPort: "22", InternalPort: "22", InternalIP: netip.MustParseAddr("172.16.0.78"), Protocol: "tcp",
			})
		}
	},
}

func with[V any](m map[string]V, key string, value V) map[string]V {
	m = maps.Clone(m)
	m[key] = value
	return m
}

func without[V any](m map[string]V, key string) map[string]V {
	m = maps.Clone(m)
	delete(m, key)
	return m
}
