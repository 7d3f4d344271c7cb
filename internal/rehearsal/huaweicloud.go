package rehearsal

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go4.org/netipx"

	"polynat/internal/sim"
	"polynat/internal/sim/huaweicloud"
)

// huaweicloudKey is the configuration key of the setup.
const huaweicloudKey = "polynat:huaweicloud"

// huaweicloudWorld is the simulated Huawei Cloud with the connections through its DNAT rules.
type huaweicloudWorld struct {
	cloud   *huaweicloud.Cloud
	traffic *huaweicloud.Traffic
	losses  Losses
	opened  *opened // with the clones of the world
}

// opened is what the configurations before and after a step lead to; nothing is known before the first.
type opened struct{ before, after []huaweicloud.Opening }

// follow has every move say what its configuration opens, for what is reached beyond that.
func (o *opened) follow(moves []Move) {
	for i := range moves {
		configure := moves[i].Configure
		moves[i].Configure = func(config map[string]string) error {
			if configure != nil {
				if err := configure(config); err != nil {
					return err
				}
			}
			b, err := readBlock(config, huaweicloudKey)
			o.before, o.after = o.after, openings(b)
			return err
		}
	}
}

// openings are those of the rules. The name is that of the component's child.
func openings(b block) []huaweicloud.Opening {
	var all []huaweicloud.Opening
	rules := b.at("privateNat", "rules")
	for _, key := range rules.keys() {
		r := rules.at(key)
		port, _ := r["port"].(float64)
		all = append(all, huaweicloud.Opening{Transit: "huaweicloud-nat-transit-" + r.text("transitIp"), Protocol: strings.ToLower(r.text("protocol")), Port: int(port)})
	}
	return all
}

func newHuaweicloudWorld(cloud *huaweicloud.Cloud, o *opened) *huaweicloudWorld {
	w := &huaweicloudWorld{cloud: cloud, opened: o}
	w.Watch()
	return w
}

func (w *huaweicloudWorld) Package() string { return "huaweicloud" }

func (w *huaweicloudWorld) Provider() *sim.Server {
	return sim.NewServer(huaweicloud.Schema(), w.cloud)
}

func (w *huaweicloudWorld) Clone() World { return newHuaweicloudWorld(w.cloud.Clone(), w.opened) }

func (w *huaweicloudWorld) Watch() {
	w.traffic = huaweicloud.NewTraffic(w.cloud)
	w.traffic.Opens(func() []huaweicloud.Opening { return append(slices.Clip(w.opened.before), w.opened.after...) })
	w.losses = Losses{}
	w.cloud.OnChange = func() { w.losses.observe(w.traffic.Observe()) }
}

func (w *huaweicloudWorld) End() { w.traffic.End() }

// observe counts one operation after which some rule was not reached, however many there were.
func (l *Losses) observe(s huaweicloud.Sample) {
	if len(s.Unreached) > 0 {
		l.Lost++
	}
	l.Cut += len(s.Cut)
	for _, c := range s.Cut {
		l.Problems = once(l.Problems, c+": the established connection was cut")
	}
	for _, p := range s.Unreached {
		l.Problems = once(l.Problems, p)
	}
	for _, p := range s.Leaks {
		l.Leaks = once(l.Leaks, p)
	}
}

func once(texts []string, text string) []string {
	if slices.Contains(texts, text) || len(texts) == maxProblems {
		return texts
	}
	return append(texts, text)
}

// Losses begins anew with the rules that there are now: one that the step took away is not missed in the next.
func (w *huaweicloudWorld) Losses() Losses {
	l := w.losses
	l.Reaches = strings.Join(w.traffic.Reached(), ", ")
	if l.Reaches == "" {
		l.Reaches = "nothing"
	}
	w.Watch()
	return l
}

// Deprive deletes what the operations delete, on the cloud as it was before them. A deletion that is refused without its
// creations deletes nothing.
func (w *huaweicloudWorld) Deprive(ops []sim.Operation) Losses {
	for _, op := range ops {
		if op.Kind == sim.Delete {
			_ = w.cloud.Delete(context.Background(), sim.Request{URN: op.URN, Type: op.Type, ID: op.ID, Old: op.Inputs, Inputs: op.Inputs})
		}
	}
	return w.Losses()
}

func editHuaweicloud(change func(block) error) func(map[string]string) error {
	return editBlock(huaweicloudKey, change)
}

// HuaweicloudSetup is the walk of the setup polynat:huaweicloud in a simulated cloud that holds nothing but what the
// configuration names as existing: everything that may happen to
// the rules of a private NAT gateway, from its making to its end. ok is false when the configuration has none.
func HuaweicloudSetup(config map[string]string) (setup Setup, ok bool, err error) {
	b, err := readBlock(config, huaweicloudKey)
	if err != nil || b.at("privateNat") == nil {
		return Setup{}, false, err
	}
	worlds, opens := [2]World{}, &opened{}
	for i, options := range []huaweicloud.Options{{}, {HideClients: true}} {
		options.Zones = zonesOf(config["huaweicloud:region"], b)
		cloud := huaweicloud.New(options)
		if err := existing(b, cloud); err != nil {
			return Setup{}, false, err
		}
		worlds[i] = newHuaweicloudWorld(cloud, opens)
	}
	setup = Setup{
		Name: "huaweicloud", Key: huaweicloudKey, World: worlds[0],
		Terms: Terms{
			Step: "step", Reaches: "applications reach", Cut: established,
			Lost: Term{"cut off", "operations after which applications could not reach what a rule promises"},
		},
		Moves: []Move{{Name: "create"}, {Name: "the same again", Still: true}},
	}
	setup.Moves = append(setup.Moves, Move{Name: "change ports", Cuts: true, Configure: editHuaweicloud(changePorts)})
	if rule, target, ok := balanced(b); ok {
		other := another(target, maxKey, func(key string) bool {
			return b.at("service", "loadBalancers", key) != nil || b.at("service", "instances", key) != nil || b.at("privateNat", "targets", key) != nil
		})
		setup.Moves = append(setup.Moves,
			Move{Name: "second load balancer", Configure: editHuaweicloud(func(b block) error { return copyBalancer(b, target, other) })},
			Move{Name: "move rule " + rule, Cuts: true, Configure: editHuaweicloud(func(b block) error {
				b.at("privateNat", "rules", rule)["target"] = other
				return nil
			})})
	}
	setup.Moves = append(setup.Moves,
		Move{Name: "replace the gateway", Interrupts: true, Replaces: []string{"huaweicloud:index/natPrivateGateway:NatPrivateGateway"}},
		Move{Name: "fixed transit IP", Cuts: true, Configure: editHuaweicloud(fixTransitIPs)},
		Move{Name: "destroy", Cuts: true, Destroys: true})
	opens.follow(setup.Moves)
	setup.Variants = []Variant{{Name: "shows a destination the gateway's address instead of the client's", World: worlds[1], Moves: setup.Moves}}
	return setup, true, nil
}

// balanced is the first rule that leads to a load balancer of the stack.
func balanced(b block) (rule, target string, ok bool) {
	for _, rule := range b.at("privateNat", "rules").keys() {
		target := b.at("privateNat", "rules", rule).text("target")
		if b.at("service", "loadBalancers", target) != nil {
			return rule, target, true
		}
	}
	return "", "", false
}

// firstFreshPort is where changePorts looks for ports that no rule has.
const firstFreshPort = 20001

func changePorts(b block) error {
	rules := b.at("privateNat", "rules")
	var taken []float64
	for _, key := range rules.keys() {
		port, _ := rules.at(key)["port"].(float64)
		taken = append(taken, port)
	}
	fresh := float64(firstFreshPort)
	for i, key := range rules.keys() {
		if taken[i] == 0 {
			continue // it is for all ports
		}
		for slices.Contains(taken, fresh) {
			fresh++
		}
		rules.at(key)["port"] = fresh
		fresh++
	}
	return nil
}

// How long keys and names may be.
const (
	maxKey  = 31
	maxName = 64
)

// another is a key or a name like the one that is given, no longer than limit and not taken.
func another(like string, limit int, taken func(string) bool) string {
	for n := 1; ; n++ {
		suffix := "-other"
		if n > 1 {
			suffix += strconv.Itoa(n)
		}
		if found := like[:min(len(like), limit-len(suffix))] + suffix; !taken(found) {
			return found
		}
	}
}

// copyBalancer adds a load balancer like another one.
func copyBalancer(b block, from, to string) error {
	var other map[string]any
	if err := remarshal(b.at("service", "loadBalancers", from), &other); err != nil {
		return err
	}
	delete(other, "address")
	if name, ok := other["name"].(string); ok {
		other["name"] = another(name, maxName, func(string) bool { return false })
	}
	b.at("service", "loadBalancers")[to] = other
	return nil
}

// fixTransitIPs gives every transit IP an address that none of its subnet has: from the tenth on, or further on where so many
// transit IPs may have those. One for which the subnet has none left keeps its own.
func fixTransitIPs(b block) error {
	nat := b.at("privateNat")
	transits := nat.at("transitIps")
	taken, free := map[string]bool{}, map[string]netip.Addr{}
	for _, key := range transits.keys() {
		transit := transits.at(key)
		taken[placeOf(nat, transit)+" "+transit.text("address")] = true
	}
	for _, key := range transits.keys() {
		transit := transits.at(key)
		place, subnet := placeOf(nat, transit), nat.at("networks", transit.text("network"), "subnet")
		cidr, err := netip.ParsePrefix(subnet.text("cidr"))
		if err != nil {
			return err
		}
		a, ok := free[place]
		if !ok {
			a = cidr.Addr()
			// Automatic ones begin behind the subnet's own address, and its router may be among them.
			for range max(10, len(transits)+3) {
				a = a.Next()
			}
		}
		for a.String() == subnet.text("gateway") || taken[place+" "+a.String()] {
			a = a.Next()
		}
		end := netipx.PrefixLastIP(cidr).Prev().Prev() // the cloud keeps the last three
		if free[place] = a; a.Less(end) {
			transit["address"], free[place] = a.String(), a.Next()
		}
	}
	return nil
}

// placeOf is the subnet of a transit IP: two keys of networks may stand for one that exists.
func placeOf(nat, transit block) string {
	name := transit.text("network")
	if id := nat.at("networks", name, "subnet").text("id"); id != "" {
		return "subnet " + id
	}
	return "network " + name
}
