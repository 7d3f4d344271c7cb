package huaweicloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"sync"

	"polynat/internal/sim"
)

// Codes of the refusals. The vendor's exact spelling was not verified against the API: nothing should be decided by it.
const (
	CodeNotFound   = "NotFound"
	CodeInvalid    = "InvalidParameter"
	CodeConflict   = "Conflict"
	CodeInUse      = "InUse"
	CodeQuota      = "QuotaExceeded"
	CodeNotActive  = "NotActive"
	CodeProtection = "DeletionProtection"
)

// Options set the scene. The zero value is the default.
type Options struct {
	// Zones are the availability zones of the region; nil means the four of cn-north-4.
	Zones []string
	// Activation is how many looks at a new private NAT gateway, by a read or a lookup, find it PENDING_CREATE before one finds
	// it ACTIVE. Whoever does not look never sees it ACTIVE, however often he tries: his tries take no time.
	Activation int
	// OneGateway refuses rules of two gateways on one transit IP. No document says it, but the API shows one gateway for a
	// transit IP. The default is that it serves several.
	OneGateway bool
	// HideClients gives connections that come through a DNAT rule an address of the gateway's subnet as their source. No
	// document says which source a destination sees. The default is the client's own.
	HideClients bool
	// LooseFilters has lookups that find any number of objects answer with all of the type, whatever they are asked for.
	LooseFilters bool
}

// Cloud is one simulated region. It is safe for concurrent use.
type Cloud struct {
	// OnChange, when set, is called after every single change of state. No other change happens until it returns: it may
	// read but must not change the cloud. Set it before use.
	OnChange func()

	opts Options

	// turn is held by whoever changes the state, until OnChange has returned; mu only while the state is read or written.
	// Lock turn first.
	turn  sync.Mutex
	mu    sync.Mutex
	state state
}

// New returns an empty region.
func New(opts Options) *Cloud {
	if opts.Zones == nil {
		opts.Zones = []string{"cn-north-4a", "cn-north-4b", "cn-north-4c", "cn-north-4g"}
	}
	return &Cloud{opts: opts, state: newState()}
}

// Save returns the whole state as JSON; equal states give equal bytes.
func (c *Cloud) Save() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return json.MarshalIndent(&c.state, "", "  ")
}

// Load replaces the state by one that Save returned.
func (c *Cloud) Load(saved []byte) error {
	s := newState()
	if err := json.Unmarshal(saved, &s); err != nil {
		return fmt.Errorf("load the simulated cloud: %w", err)
	}
	return c.change(func() error { c.state = s; return nil })
}

// Clone returns a cloud with the same options and state, a life of its own and no OnChange.
func (c *Cloud) Clone() *Cloud {
	clone := New(c.opts)
	saved, err := c.Save()
	if err == nil {
		err = clone.Load(saved)
	}
	if err != nil {
		panic(err) // a state is made of values that JSON can hold; a test makes the round trip
	}
	return clone
}

// change makes one change of state, or none when f fails, and publishes it.
func (c *Cloud) change(f func() error) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	c.mu.Lock()
	next := maps.Clone(c.state.Next)
	err := f()
	if err != nil {
		c.state.Next = next // what was refused has used no id
	}
	c.mu.Unlock()
	if err == nil && c.OnChange != nil {
		c.OnChange()
	}
	return err
}

// portPrefix begins the ids of ports.
const portPrefix = "port"

// newID returns the next id of a kind, such as "elb-000001".
func (s *state) newID(prefix string) string {
	s.Next[prefix]++
	n := strconv.Itoa(s.Next[prefix])
	return prefix + "-" + "000000"[:max(0, 6-len(n))] + n
}

func find[T any](m map[string]*T, kind, id string) (*T, error) {
	if v, ok := m[id]; ok {
		return v, nil
	}
	return nil, sim.Refuse(CodeNotFound, "%s: %q: does not exist", kind, id)
}
