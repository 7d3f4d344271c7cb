package aws

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"polynat/internal/sim"
)

// Existing is something that is there before a program runs: of a stack's state, or of somebody else's network.
type Existing struct {
	// URN is that of the stack which made it; empty for none.
	URN string
	// Type and ID are those of a state.
	Type, ID string
	// Inputs are what it was made with.
	Inputs sim.Object
	// Outputs are what the provider said of it, as far as that is known: such as the public address of an Elastic IP.
	Outputs sim.Object
}

// Adopt puts what exists into the region under its own ids, in the given order: what another one refers to comes first. It is made as
// the provider makes it, so that it works when Adopt returns: gateways are available, instances have claimed.
func (c *Cloud) Adopt(ctx context.Context, all ...Existing) error {
	c.mu.Lock()
	for _, e := range all {
		c.state.skip(e.ID)
	}
	c.mu.Unlock()
	for _, e := range all {
		k, err := kindFor(e.Type)
		if err == nil {
			e.ID = Schema().Resources[e.Type].CloudID(e.ID, e.Inputs)
			_, err = c.create(ctx, k, sim.Request{URN: e.URN, Type: e.Type, ID: e.ID, Inputs: e.Inputs}, &e)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", e.ID, err)
		}
	}
	return nil
}

// skip keeps an id from being made up: those of a state that comes from a simulated region are of the same kind.
func (s *state) skip(id string) {
	i := strings.LastIndex(id, "-")
	if n, err := strconv.ParseInt(id[i+1:], 16, 32); err == nil && i > 0 {
		s.Next[id[:i]] = max(s.Next[id[:i]], int(n))
	}
}

// known is what is known of the object that is adopted; nothing of one that is created.
func (s *state) known() sim.Object {
	if s.adopting == nil {
		return nil
	}
	return s.adopting.Outputs
}
