package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"polynat/internal/sim"
)

var _ sim.Cloud = (*Cloud)(nil)

// kind is how one resource type is kept. Its functions are called with the state locked, except those that wait.
type kind struct {
	// create makes the object, and returns its id and the outputs that never change.
	create func(c *Cloud, s *state, in sim.Object) (id string, out sim.Object, err error)
	// ready waits until the object is as the provider wants it before it returns from a creation.
	ready func(ctx context.Context, c *Cloud, id string) error
	// update changes it; nil for a type whose inputs are all that there is.
	update func(c *Cloud, s *state, id string, old, in sim.Object) error
	// updated waits after an update.
	updated func(ctx context.Context, c *Cloud, id string, old, in sim.Object) error
	// remove takes it away, or refuses; nil for a type that nothing depends on.
	remove func(c *Cloud, s *state, id string, d *declaration) error
	// removing is done before remove, and may wait; removed waits afterwards.
	removing, removed func(ctx context.Context, c *Cloud, id string, d *declaration) error
	// show returns what changes by itself; ok is false when the object is gone.
	show func(c *Cloud, s *state, id string, d *declaration) (out sim.Object, ok bool)
}

// deleteTimeout is how long the provider tries to delete what something else still depends on.
const deleteTimeout = 20 * time.Minute

func kindFor(typ string) (kind, error) {
	k, ok := kinds[typ]
	if !ok {
		return kind{}, fmt.Errorf("type: %q: is not simulated", typ)
	}
	return k, nil
}

// Create implements [sim.Cloud].
func (c *Cloud) Create(ctx context.Context, r sim.Request) (id string, outputs sim.Object, err error) {
	k, err := kindFor(r.Type)
	if err != nil {
		return "", nil, err
	}
	if id, err = c.create(ctx, k, r, nil); id != "" {
		outputs, _ = c.show(k, r.Type, id)
	}
	return id, outputs, err
}

// create makes an object and waits until it is ready, or makes one that exists, under its own id. It returns an id when there is an
// object, ready or not.
func (c *Cloud) create(ctx context.Context, k kind, r sim.Request, adopted *Existing) (id string, err error) {
	if adopted == nil {
		if err := checkTags(r.Type, r.Inputs); err != nil {
			return "", creating("creating", r, err)
		}
	}
	err = c.change(func(s *state) error {
		s.adopting = adopted
		defer func() { s.adopting = nil }()
		made, out, err := k.create(c, s, r.Inputs)
		if err != nil {
			return err
		}
		if id = made; adopted != nil {
			id = adopted.ID
			for name := range out {
				if v, known := adopted.Outputs[name]; known {
					out[name] = v
				}
			}
		}
		if s.Declared[r.Type] == nil {
			s.Declared[r.Type] = map[string]*declaration{}
		}
		s.Declared[r.Type][id] = &declaration{r.URN, r.Inputs, out}
		return nil
	})
	if err == nil && k.ready != nil {
		err = k.ready(ctx, c, id)
	}
	return id, creating("creating", r, err)
}

func creating(doing string, r sim.Request, err error) error {
	if err == nil {
		return nil
	}
	name := r.Type
	if facts, ok := Schema().Resources[r.Type]; ok {
		name = facts.Terraform
	}
	return fmt.Errorf("%s %s: %w", doing, name, err)
}

// show returns what the provider reads of an object, its inputs among it.
func (c *Cloud) show(k kind, typ, id string) (sim.Object, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.state
	d, ok := s.Declared[typ][id]
	if !ok {
		return nil, false
	}
	out := maps.Clone(d.Inputs)
	if out == nil {
		out = sim.Object{}
	}
	maps.Copy(out, d.Outputs)
	if tagged(typ) {
		out["tagsAll"] = d.Inputs["tags"]
		if out["tagsAll"] == nil {
			out["tagsAll"] = sim.Object{}
		}
	}
	if k.show != nil {
		live, ok := k.show(c, s, id, d)
		if !ok {
			return nil, false
		}
		maps.Copy(out, live)
	}
	return plain(out), true
}

// plain turns what JSON can hold into what JSON would hold.
func plain(o sim.Object) sim.Object {
	text, err := json.Marshal(o)
	var out sim.Object
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		panic(err) // made of strings, numbers, lists and maps
	}
	return out
}

// Read implements [sim.Cloud]: the outputs are what is there now.
func (c *Cloud) Read(_ context.Context, typ, id string) (inputs, outputs sim.Object, ok bool, err error) {
	k, err := kindFor(typ)
	if err != nil {
		return nil, nil, false, err
	}
	c.importRoute(typ, id)
	outputs, ok = c.show(k, typ, id)
	if !ok {
		return nil, nil, false, nil
	}
	c.mu.Lock()
	given := c.state.Declared[typ][id].Inputs
	c.mu.Unlock()
	return Schema().Resources[typ].Declared(given, true, outputs), outputs, true, nil
}

// Update implements [sim.Cloud].
func (c *Cloud) Update(ctx context.Context, r sim.Request) (sim.Object, error) {
	k, err := kindFor(r.Type)
	if err != nil {
		return nil, err
	}
	if err := checkTags(r.Type, r.Inputs); err != nil {
		return nil, creating("updating", r, err)
	}
	var old sim.Object
	err = c.change(func(s *state) error {
		d, ok := s.Declared[r.Type][r.ID]
		if !ok {
			return refuse("NotFound", "%s does not exist", r.ID)
		}
		old = d.Inputs
		in := r.Inputs
		for name, p := range Schema().Resources[r.Type].Inputs {
			if _, set := in[name]; !set && p.Computed && old[name] != nil {
				in[name] = old[name] // left out: the cloud keeps it
			}
		}
		if k.update != nil {
			if err := k.update(c, s, r.ID, old, in); err != nil {
				return err
			}
		}
		d.URN, d.Inputs = r.URN, in
		return nil
	})
	if err == nil && k.updated != nil {
		err = k.updated(ctx, c, r.ID, old, r.Inputs)
	}
	if err != nil {
		return nil, creating("updating", r, err)
	}
	out, _ := c.show(k, r.Type, r.ID)
	return out, nil
}

// Delete implements [sim.Cloud]. What something else still depends on is tried again while time goes on, as the provider
// does.
func (c *Cloud) Delete(ctx context.Context, r sim.Request) error {
	k, err := kindFor(r.Type)
	if err != nil {
		return err
	}
	c.mu.Lock()
	d, ok := c.state.Declared[r.Type][r.ID]
	c.mu.Unlock()
	if !ok {
		return nil
	}
	if k.removing != nil {
		if err := k.removing(ctx, c, r.ID, d); err != nil {
			return creating("deleting", r, err)
		}
	}
	if k.remove != nil {
		err = c.retry(ctx, func(s *state) error { return k.remove(c, s, r.ID, d) })
	}
	if err == nil && k.removed != nil {
		err = k.removed(ctx, c, r.ID, d)
	}
	if err != nil {
		return creating("deleting", r, err)
	}
	return c.change(func(s *state) error {
		delete(s.Declared[r.Type], r.ID)
		return nil
	})
}

// retry makes a change that is refused because something depends on what it takes away, again and again while time goes on.
func (c *Cloud) retry(ctx context.Context, f func(*state) error) error {
	deadline := c.Now().Add(deleteTimeout)
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		err := c.change(f)
		if !isCode(err, "DependencyViolation", "InvalidIPAddress.InUse", "DeleteConflict", "ResourceInUse", "ScalingActivityInProgress") {
			return err
		}
		if passErr := c.pass(ctx, deadline, changed); passErr != nil {
			return err
		}
	}
}

// isCode reports whether err is an [Error] with one of the codes.
func isCode(err error, codes ...string) bool {
	var e *Error
	return errors.As(err, &e) && slices.Contains(codes, e.Code)
}
