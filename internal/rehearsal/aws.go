package rehearsal

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go4.org/netipx"

	"polynat/internal/sim"
	"polynat/internal/sim/aws"
)

// awsWorld is the simulated AWS with the ways out of its private subnets.
type awsWorld struct {
	cloud *aws.Cloud
	// served are the ways that worked when they were last looked at. They must not be lost.
	served map[awsWay]bool
	// holes are the changes after which a way was lost, by the subnet, and why.
	holes  map[string]int
	why    map[string]string
	ending bool
	// left are the subnets whose way out went while all was taken down.
	left map[string]bool
	// tried are the zones of the subnets that instances served when a bad agent came, and most is how many zones of them were without
	// their instance at once since.
	tried map[string]string
	most  int
}

// awsWay is where a subnet's packets to a class of destinations go.
type awsWay struct {
	subnet      string
	destination netip.Prefix
}

func newAWSWorld(cloud *aws.Cloud) *awsWorld {
	w := &awsWorld{cloud: cloud}
	w.Watch()
	return w
}

func (w *awsWorld) Package() string { return "aws" }

func (w *awsWorld) Provider() *sim.Server { return sim.NewServer(aws.Schema(), w.cloud) }

func (w *awsWorld) Clone() World { return newAWSWorld(w.cloud.Clone()) }

func (w *awsWorld) Watch() {
	w.served, w.holes, w.why, w.ending, w.left = map[awsWay]bool{}, map[string]int{}, map[string]string{}, false, map[string]bool{}
	w.cloud.OnChange = w.observe
	w.observe()
}

func (w *awsWorld) End() { w.ending = true }

// observe looks at every way after a change. One that is new is served from when it works on.
func (w *awsWorld) observe() {
	away := map[string]bool{}
	for _, way := range w.ways() {
		if zone, ok := w.tried[way.Subnet]; ok && (way.Hop != aws.HopInstance || !way.Works) {
			away[zone] = true
		}
		key := awsWay{way.Subnet, way.Destination}
		switch {
		case way.Works:
			w.served[key] = true
		case w.served[key] && w.ending:
			w.left[way.Subnet] = true
		case w.served[key]:
			w.holes[way.Subnet]++
			w.why[way.Subnet] = fmt.Sprintf("subnet %s in %s had no way out to %s: %s", way.Subnet, way.Zone, way.Destination, way.Why)
		}
	}
	w.most = max(w.most, len(away))
}

func (w *awsWorld) ways() []aws.Way {
	var ways []aws.Way
	for _, vpc := range w.cloud.VPCs() {
		ways = append(ways, w.cloud.WaysOut(vpc)...)
	}
	return ways
}

// Losses leaves out the subnets that are gone: what a step takes away is not missed.
func (w *awsWorld) Losses() Losses {
	var l Losses
	by := map[aws.Hop]map[string]bool{}
	for _, way := range w.ways() {
		hop := way.Hop
		if !way.Works { // a route to an instance that is dead is no way out
			hop = aws.HopNone
		}
		if by[hop] == nil {
			by[hop] = map[string]bool{}
		}
		by[hop][way.Subnet] = true
		if way.Hop == aws.HopNone && w.left[way.Subnet] {
			l.Left++
			delete(w.left, way.Subnet)
		}
		if n := w.holes[way.Subnet]; n > 0 {
			l.Holes += n
			l.Problems = once(l.Problems, w.why[way.Subnet])
			delete(w.holes, way.Subnet)
		}
	}
	if w.most > 1 {
		l.Problems = append(l.Problems, fmt.Sprintf("%d zones were without their instance at once: a bad agent may take one", w.most))
	}
	w.most = 0
	var reaches []string
	for _, hop := range slices.Sorted(maps.Keys(by)) {
		way := "by " + string(hop)
		if hop == aws.HopNone {
			way = "without a way out"
		}
		reaches = append(reaches, fmt.Sprintf("%d %s", len(by[hop]), way))
	}
	l.Reaches = strings.Join(reaches, ", ")
	if l.Reaches == "" {
		l.Reaches = "none is left"
	}
	w.Watch()
	return l
}

// Deprive deletes what the operations delete, on the cloud as it was before them. A deletion that is refused without its
// creations deletes nothing.
func (w *awsWorld) Deprive(ops []sim.Operation) Losses {
	for _, op := range ops {
		if op.Kind == sim.Delete {
			_ = w.cloud.Delete(context.Background(), sim.Request{URN: op.URN, Type: op.Type, ID: op.ID, Old: op.Inputs, Inputs: op.Inputs})
		}
	}
	return w.Losses()
}

// awsKey is the configuration key of the setup.
const awsKey = "polynat:aws"

// AWSSetup is the walk of the setup polynat:aws in a simulated AWS that holds nothing but what the configuration names as existing:
// everything that may happen to the NAT instances of a VPC, from their making to their end. ok is false when the configuration has
// none.
func AWSSetup(config map[string]string) (setup Setup, ok bool, err error) {
	return awsSetup(config, awsDeployed{})
}

// awsSetup is the walk from what a deployed stack has, which may be nothing.
func awsSetup(config map[string]string, from awsDeployed) (setup Setup, ok bool, err error) {
	b, err := readBlock(config, awsKey)
	if err != nil || b.at("nat") == nil {
		return Setup{}, false, err
	}
	options := aws.Options{Region: config["aws:region"], Account: from.account, AddressQuota: -1}
	seed, err := existingOnAWS(b, options.Region, from)
	if err != nil {
		return Setup{}, false, err
	}
	existing := seed.network.zones()
	options.Zones = zonesOf(options.Region, b, from.nat)
	world, err := seed.world(options)
	if err != nil {
		return Setup{}, false, err
	}
	options.Unknown = aws.UnknownBehaviours{
		HealthIgnoresPolicy: true, PolicyKeepsMaxSize: true, PublicAddressReleased: true, SameRouteAccepted: true, SameReplaceRefused: true,
	}
	other, err := seed.world(options)
	if err != nil {
		return Setup{}, false, err
	}
	setup = Setup{
		Name: "aws", Key: awsKey, World: world, Notes: seed.notes,
		TakeOver: editBlock(awsKey, func(b block) error {
			b.make("nat")["adoptRoutes"] = true
			return nil
		}),
		Terms: Terms{Step: "step", Holes: Term{"no way\nout", "private subnets without a way to the Internet, looked for after every operation"}, Reaches: "private subnets"},
	}
	if b.at("nat").text("standby") == "none" {
		setup.Notes = append(slices.Clone(setup.Notes), "standby none: a zone whose instance dies has no way out until the next one runs")
	}
	// Whether the programs differ from those that are deployed decides what an update changes: then they are built as it builds them.
	first := Move{Name: "as configured"}
	if from.nat == nil {
		programs, err := placeholders()
		if err != nil {
			return Setup{}, false, err
		}
		// A network that exists may have traffic before.
		first = Move{Name: "deploy", Begins: b.at("vpc") != nil, Configure: editBlock(awsKey, programs.configure)}
		setup.Close = programs.remove
	}
	setup.Moves = append([]Move{first}, awsMoves(b, existing)...)
	setup.Variants = []Variant{{Name: "does the other thing wherever AWS documents do not say what it does", Moves: setup.Moves, World: other}}
	return setup, true, nil
}

// awsMoves are the steps after the first one. Zones come and go in a VPC of the stack's own: in one that exists, which has these, subnets
// stay.
func awsMoves(b block, existing []string) []Move {
	edit := func(change func(block) error) func(map[string]string) error { return editBlock(awsKey, change) }
	own, zones := b.at("vpc") != nil, b.at("vpc", "zones").keys()
	alone := b.at("nat").text("standby") == "none"
	moves := []Move{
		{Name: "the same again", Still: true},
		{Name: "change the template", Configure: edit(changeTemplate)},
	}
	if own {
		moves = append(moves, Move{Name: "add a zone", Configure: edit(addZone)})
	}
	if b.at("nat").text("standby") == "shared" {
		moves = append(moves, Move{Name: "a standby in each zone", Configure: edit(func(b block) error {
			delete(b.at("nat"), "standby")
			delete(b.at("nat"), "sharedStandby")
			return nil
		})})
	}
	if len(zones) > 0 {
		moves = append(moves, Move{Name: "remove zone " + zones[0], Configure: edit(func(b block) error {
			delete(b.at("vpc", "zones"), zones[0])
			delete(b.at("nat", "zones"), zones[0])
			return nil
		})})
	}
	moves = append(moves,
		Move{Name: "change the instance type", Configure: edit(changeType)},
		Move{Name: "an instance dies", Still: true, Interrupts: alone, Happens: func(w World) { w.(*awsWorld).kill(alone) }},
		Move{Name: "its successor has taken over", Still: true, Happens: func(w World) { w.(*awsWorld).wait() }},
	)
	// Without a standby it interrupts its zone; at once, it takes all zones, and in a window none within the walk.
	if rotation := b.at("nat", "rotation"); !alone && rotation["atOnce"] != true && rotation["window"] == nil {
		moves = append(moves,
			Move{Name: "a bad agent", Configure: edit(changeTemplate), Happens: func(w World) { w.(*awsWorld).spoil() }},
			Move{Name: "a good agent instead", Configure: edit(changeTemplate), Happens: func(w World) { w.(*awsWorld).mend() }},
			Move{Name: "it is in all zones", Still: true, Happens: func(w World) { w.(*awsWorld).spread() }},
		)
	}
	// Whoever keeps gateways that exist keeps their addresses allowed, and wants no other one.
	if b.at("nat").text("standby") != "existing" {
		moves = append(moves, Move{Name: "share the standby", Configure: edit(func(b block) error { return shareStandby(b, existing) })})
	}
	return append(moves, Move{Name: "destroy", Destroys: true})
}

// placeholder stands for the two programs that are deployed: a rehearsal deploys no machine on which they would run.
type placeholder string

func placeholders() (placeholder, error) {
	dir, err := os.MkdirTemp("", "polynat-rehearsal-")
	if err != nil {
		return "", err
	}
	p := placeholder(dir)
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	bootstrap, err := z.Create("bootstrap")
	if err == nil {
		_, err = io.WriteString(bootstrap, "here stands failover when this is no rehearsal\n")
	}
	err = errors.Join(err, z.Close(),
		os.WriteFile(p.path("natd"), []byte("here stands natd when this is no rehearsal\n"), 0o600),
		os.WriteFile(p.path("failover.zip"), archive.Bytes(), 0o600))
	return p, err
}

func (p placeholder) path(name string) string { return filepath.Join(string(p), name) }

func (p placeholder) configure(b block) error {
	artefacts := b.make("nat", "artefacts")
	artefacts["natd"], artefacts["failover"] = p.path("natd"), p.path("failover.zip")
	return nil
}

func (p placeholder) remove() { os.RemoveAll(string(p)) } //nolint:errcheck // a leftover in the temporary folder harms nobody

// kill waits until the rotation of the step before is over, stops an instance that carries traffic, and lets AWS and the zone's controller do what they do
// then. How long a failover takes is the drill's question, not the rehearsal's: from here on, every subnet is served again, unless the
// instances are alone, without a standby.
func (w *awsWorld) kill(alone bool) {
	w.wait()
	for _, way := range w.ways() {
		if way.Hop == aws.HopInstance && w.cloud.Break(way.Target, aws.FaultDead) == nil {
			w.cloud.Advance(10 * time.Second)
			break
		}
	}
	if !alone {
		w.Watch()
	}
}

// spoil has the instances that are launched from now on die a minute after they have claimed their zones.
func (w *awsWorld) spoil() {
	w.wait()
	w.cloud.Doom(time.Minute)
	w.tried = map[string]string{}
	for _, way := range w.ways() {
		if way.Hop == aws.HopInstance && way.Works {
			w.tried[way.Subnet] = way.Zone
		}
	}
}

// mend lets what [awsWorld.spoil] has begun go on for hours, and ends it.
func (w *awsWorld) mend() {
	for range 3 {
		w.wait()
	}
	w.cloud.Doom(0)
	w.Watch() // how long a failover takes is the drill's question
}

// spread lets a good agent reach all zones.
func (w *awsWorld) spread() {
	w.wait()
	w.tried = nil
	w.Watch()
}

// changeTemplate changes nothing but the launch template.
func changeTemplate(b block) error {
	b.make("nat", "instance")["before"] = "# another template\n" + b.at("nat", "instance").text("before")
	return nil
}

// wait lets an hour pass: a rotation ends, a dead instance is replaced and its successor claims.
func (w *awsWorld) wait() { w.cloud.Advance(time.Hour) }

// addZone adds an availability zone like the first one, with addresses that are free.
func addZone(b block) error {
	zones := b.at("vpc", "zones")
	keys := zones.keys()
	if len(keys) == 0 {
		return errors.New("aws.vpc.zones: is missing")
	}
	last := keys[len(keys)-1]
	letter := freeLetter(b, keys)
	fresh := last[:len(last)-1] + string(letter)
	if b.at("nat", "zones", last)["slot"] != nil { // which a local zone has to have
		b.make("nat", "zones", fresh)["slot"] = letter - 'a'
	}
	var taken []netip.Prefix
	take := func(text string) error {
		p, err := netip.ParsePrefix(text)
		taken = append(taken, p)
		return err
	}
	for _, zone := range keys {
		if err := take(zones.at(zone).text("public")); err != nil {
			return err
		}
		for _, key := range zones.at(zone, "private").keys() {
			if err := take(zones.at(zone, "private").text(key)); err != nil {
				return err
			}
		}
	}
	within, err := netip.ParsePrefix(b.at("vpc").text("cidr"))
	if err != nil {
		return err
	}
	private := map[string]any{}
	for _, key := range zones.at(keys[0], "private").keys() {
		p, ok := free(within, taken[1].Bits(), &taken)
		if !ok {
			return full(within)
		}
		private[key] = p.String()
	}
	public, ok := free(within, taken[0].Bits(), &taken)
	if !ok {
		return full(within)
	}
	zones[fresh] = map[string]any{"public": public.String(), "private": private}
	return nil
}

// freeLetter is the first letter of a zone whose turn in the rotation, its slot, no other zone has.
func freeLetter(b block, zones []string) rune {
	taken := map[rune]bool{}
	for _, zone := range zones {
		slot := int(zone[len(zone)-1] - 'a')
		if n, ok := b.at("nat", "zones", zone)["slot"].(float64); ok {
			slot = int(n)
		}
		taken['a'+rune(slot)] = true
	}
	letter := 'a'
	for taken[letter] {
		letter++
	}
	return letter
}

func full(within netip.Prefix) error {
	return fmt.Errorf("aws.vpc.cidr: %s: has no room for another zone (rehearse with a larger one)", within)
}

// free is the first prefix of a length that overlaps none of those taken, and takes it.
func free(within netip.Prefix, bits int, taken *[]netip.Prefix) (_ netip.Prefix, ok bool) {
	for a := within.Addr(); bits >= within.Bits() && within.Contains(a); {
		p := netip.PrefixFrom(a, bits)
		if !slices.ContainsFunc(*taken, p.Overlaps) {
			*taken = append(*taken, p)
			return p, true
		}
		a = netipx.PrefixLastIP(p).Next()
	}
	return netip.Prefix{}, false
}

// changeType changes the instance type to another one of the same architecture.
func changeType(b block) error {
	instance := b.make("nat", "instance")
	other := "c7gn.medium"
	if types, _ := instance["types"].([]any); len(types) > 0 {
		if family, _, _ := strings.Cut(fmt.Sprint(types[0]), "."); !strings.Contains(family[1:], "g") {
			other = "c6in.large"
		}
	}
	if instance.text("architecture") == "x86_64" {
		other = "c6in.large"
	}
	instance["types"] = []any{other}
	return nil
}

// shareStandby has one gateway stand by for all zones, in place of theirs: in the first one that the stack has made, or that exists.
func shareStandby(b block, existing []string) error {
	n, zones := b.at("nat"), b.at("vpc", "zones").keys()
	if b.at("vpc") == nil {
		zones = existing
	}
	n["standby"] = "shared"
	n["sharedStandby"] = map[string]any{"zone": zones[0]}
	for _, key := range n.at("zones").keys() {
		if delete(n.at("zones", key), "standby"); len(n.at("zones", key)) == 0 { // one that is found, of which no more was said
			delete(n.at("zones"), key)
		}
	}
	if len(n.at("zones")) == 0 {
		delete(n, "zones")
	}
	return nil
}
