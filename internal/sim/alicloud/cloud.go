package alicloud

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// AutomaticRoute says whether the NAT service adds 0.0.0.0/0 to the VPC's
// system table when an Internet NAT gateway is created.
type AutomaticRoute string

// NATWithDefault says what CreateNatGateway does while a table of the VPC
// sends 0.0.0.0/0 to an instance, an interface or a HAVIP. Older documents
// say that it is refused, newer ones only that the route must not be there.
type NATWithDefault string

// DeleteNAT says what DeleteNatGateway does with the automatic route. No
// document tells.
type DeleteNAT string

// The outcomes that the options choose from; the first of each is the default.
const (
	RouteAppears AutomaticRoute = "appears" // if the destination is free
	RouteNever   AutomaticRoute = "never"

	NATSkipsRoute NATWithDefault = "skips" // the gateway is made, the automatic route is not
	NATRefused    NATWithDefault = "refuses"

	DeleteRemovesRoute DeleteNAT = "removes"
	DeleteRefused      DeleteNAT = "refuses" // DependencyViolation.RouterEntry
)

// Limits of the cloud (Alibaba Cloud documentation, "Limits and quotas" of
// VPC and NAT Gateway). All but the route quota are fixed here.
const (
	DefaultRouteQuota   = 200 // custom entries of a route table
	natGatewaysPerVPC   = 5
	eipsPerNATGateway   = 20
	snatEntriesPerNAT   = 40
	customTablesPerVPC  = 9
	defaultEIPBandwidth = "5" // Mbit/s
)

// Options choose between behaviors of the cloud that are not known, and set
// the scene. The zero value is the default.
type Options struct {
	AutomaticRoute       AutomaticRoute
	CreateNATWithDefault NATWithDefault
	DeleteNAT            DeleteNAT
	// RouteQuota is how many custom entries a route table takes;
	// 0 means [DefaultRouteQuota].
	RouteQuota int
	// Zones are what getZones answers, with those in use;
	// nil means four zones of cn-hangzhou.
	Zones []string
	// SoldOut are zones where no instance is for sale: getZones leaves them out, whatever it is asked for, and vSwitches may be there.
	SoldOut []string
	// EnhancedNATZones are the zones in which CreateNatGateway works;
	// nil means every zone.
	EnhancedNATZones []string
	// ThrottleEvery has every so manieth call that a lookup makes refused with
	// [CodeThrottling]; 0 has none.
	ThrottleEvery int
	// MadeTwice has the provider make each gateway and each address twice, and know the second only: the API does the first call and
	// answers that it throttles, and the provider v1.217.2 repeats a creation with a new client token.
	MadeTwice bool
	// Rand jitters the order in which asynchronous operations that run in
	// parallel get done; nil means no jitter.
	Rand *rand.Rand
}

// Cloud is one simulated region. It is safe for concurrent use.
type Cloud struct {
	// OnChange, when set, is called after every single change of state, also
	// to an intermediate one such as Pending. No other change happens until
	// it returns, so it sees every state there is: it may read ([Cloud.Judge],
	// [Cloud.Save], …) but must not change the cloud. Set it before use.
	OnChange func()

	opts Options

	// turn is held by whoever changes the state, until OnChange has returned;
	// mu only while the state is read or written. Lock turn first.
	turn      sync.Mutex
	idle      *sync.Cond      // on turn: a task has ended
	busy      map[string]bool // VPCs with a route task, gateways with an SNAT task
	conflicts int

	mu    sync.Mutex
	state state
	live  map[string]*liveTable // what forwards now, by table; rebuilt when missing
	calls map[string]int        // that lookups have made, by action
	asked int                   // all of them

	jitter sync.Mutex // guards opts.Rand
}

// New returns an empty region.
func New(opts Options) *Cloud {
	if opts.AutomaticRoute == "" {
		opts.AutomaticRoute = RouteAppears
	}
	if opts.CreateNATWithDefault == "" {
		opts.CreateNATWithDefault = NATSkipsRoute
	}
	if opts.DeleteNAT == "" {
		opts.DeleteNAT = DeleteRemovesRoute
	}
	if opts.RouteQuota == 0 {
		opts.RouteQuota = DefaultRouteQuota
	}
	if opts.Zones == nil {
		opts.Zones = []string{"cn-hangzhou-i", "cn-hangzhou-j", "cn-hangzhou-k", "cn-hangzhou-h"}
	}
	return newCloud(opts, newState())
}

func newCloud(opts Options, s state) *Cloud {
	c := &Cloud{opts: opts, state: s, busy: map[string]bool{}, live: map[string]*liveTable{}, calls: map[string]int{}}
	c.idle = sync.NewCond(&c.turn)
	return c
}

// Save returns the whole state as JSON; equal states give equal bytes.
func (c *Cloud) Save() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return json.MarshalIndent(&c.state, "", "  ")
}

// Load replaces the state by one that Save returned. A transition that was
// under way then is not resumed (see [Cloud.Settle]).
func (c *Cloud) Load(saved []byte) error {
	s := newState()
	if err := json.Unmarshal(saved, &s); err != nil {
		return fmt.Errorf("load the simulated cloud: %w", err)
	}
	return c.change(func() error {
		c.state = s
		clear(c.live)
		return nil
	})
}

// Clone returns a cloud with the same options and state, a life of its own
// and no OnChange. Both share Options.Rand; give clones that run in parallel
// none.
func (c *Cloud) Clone() *Cloud {
	c.mu.Lock()
	defer c.mu.Unlock()
	clone := newCloud(c.opts, c.state.clone())
	for id, l := range c.live {
		clone.live[id] = l.clone()
	}
	return clone
}

// Conflicts counts the operations that met a task under way (TaskConflict,
// OperationConflict) and were retried by the provider.
func (c *Cloud) Conflicts() int {
	c.turn.Lock()
	defer c.turn.Unlock()
	return c.conflicts
}

// change makes one change of state, or none when f fails, and publishes it.
func (c *Cloud) change(f func() error) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	return c.step(f)
}

// step is change for a caller that has the turn.
func (c *Cloud) step(f func() error) error {
	c.mu.Lock()
	err := f()
	c.mu.Unlock()
	if err == nil && c.OnChange != nil {
		c.OnChange()
	}
	return err
}

// task makes an asynchronous change: begin leads to the intermediate state,
// finish to the final one. In between the turn is free; a second task with
// the same key is refused with the code. An empty key excludes nothing.
func (c *Cloud) task(key, code string, begin func() error, finish func()) error {
	c.turn.Lock()
	if key != "" && c.busy[key] {
		c.turn.Unlock()
		return &Error{Code: code, Message: key + ": another task is under way (try again when it is done)", Task: key}
	}
	if err := c.step(begin); err != nil {
		c.turn.Unlock()
		return err
	}
	if key != "" {
		c.busy[key] = true
	}
	c.turn.Unlock()

	c.pause()

	c.turn.Lock()
	defer c.turn.Unlock()
	delete(c.busy, key)
	c.idle.Broadcast()
	return c.step(func() error { finish(); return nil })
}

// pause lets other goroutines go first, a random number of times.
func (c *Cloud) pause() {
	if c.opts.Rand == nil {
		return
	}
	c.jitter.Lock()
	n := c.opts.Rand.Intn(16)
	c.jitter.Unlock()
	for range n {
		runtime.Gosched()
	}
}

// newID returns given, or the next id of the kind ("vpc-000001").
func (c *Cloud) newID(given, prefix string) string {
	if given != "" {
		// One that another simulation made up is not to be made up again.
		if n, err := strconv.Atoi(strings.TrimPrefix(given, prefix+"-")); err == nil {
			c.state.Next[prefix] = max(c.state.Next[prefix], n)
		}
		return given
	}
	c.state.Next[prefix]++
	n := strconv.Itoa(c.state.Next[prefix])
	return prefix + "-" + "000000"[:max(0, 6-len(n))] + n
}

// get returns the object, or the error that it does not exist.
func get[T any](m map[string]*T, kind, id string) (*T, error) {
	if v, ok := m[id]; ok {
		return v, nil
	}
	return nil, notFound(kind, id)
}

// describe returns a copy of the object.
func describe[T any](m map[string]*T, kind, id string) (T, error) {
	v, err := get(m, kind, id)
	if err != nil {
		var zero T
		return zero, err
	}
	return *detach(v), nil
}
