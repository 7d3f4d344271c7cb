package alicloud

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"polynat/internal/sim"
)

var _ sim.Cloud = (*Cloud)(nil)

// kind is how the provider handles one resource type.
type kind struct {
	// create makes the object and waits until it is ready. An error together
	// with an id is a resource that was made but is not as it should be.
	create func(c *Cloud, in sim.Object) (id string, err error)
	// repeats says that a repeated creation makes another object: its name may be taken.
	repeats bool
	// outputs describes the object as the API does, inputs included; ok is
	// false if there is none. It is called with the state locked.
	outputs func(c *Cloud, id string) (out sim.Object, ok bool)
	// update changes the object in place; nil if nothing that the simulation
	// knows of can change.
	update func(c *Cloud, id string, in sim.Object) error
	// remove deletes the object.
	remove func(c *Cloud, id string, in sim.Object) error
	// adopt puts an object with this id into the state, from the inputs and
	// outputs that a stack has recorded.
	adopt func(c *Cloud, id string, o sim.Object) error
}

func kindFor(typ string) (kind, error) {
	k, ok := kinds[typ]
	if !ok {
		return kind{}, fmt.Errorf("type: %q: is not simulated", typ)
	}
	return k, nil
}

// Create implements sim.Cloud.
func (c *Cloud) Create(ctx context.Context, r sim.Request) (string, sim.Object, error) {
	k, err := kindFor(r.Type)
	if err != nil {
		return "", nil, err
	}
	if truth(r.Inputs, "dryRun") {
		return "", nil, fail(CodeInvalid, "dryRun: true: the API only checks the request (leave dryRun out)")
	}
	var id string
	create := func() (err error) {
		id, err = k.create(c, r.Inputs)
		return err
	}
	if err = c.retry(ctx, create); err == nil && c.opts.MadeTwice && k.repeats {
		err = c.retry(ctx, create)
	}
	if id == "" {
		return "", nil, err
	}
	return id, c.declare(k, r.Type, id, r.Inputs), err
}

// Read implements sim.Cloud. For an object that a program has made the inputs
// are those that the program gave, brought up to date; for any other they are
// all that a program could have given.
func (c *Cloud) Read(_ context.Context, typ, id string) (inputs, outputs sim.Object, ok bool, err error) {
	k, err := kindFor(typ)
	if err != nil {
		return nil, nil, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	outputs, ok = k.outputs(c, id)
	if !ok {
		return nil, nil, false, nil
	}
	declared, known := c.state.Declared[declaredKey(typ, id)]
	inputs = Schema().Resources[typ].Declared(declared, known, outputs)
	return inputs, outputs, true, nil
}

// Update implements sim.Cloud.
func (c *Cloud) Update(ctx context.Context, r sim.Request) (sim.Object, error) {
	k, err := kindFor(r.Type)
	if err != nil {
		return nil, err
	}
	if k.update != nil {
		if err := c.retry(ctx, func() error { return k.update(c, r.ID, r.Inputs) }); err != nil {
			return nil, err
		}
	}
	return c.declare(k, r.Type, r.ID, r.Inputs), nil
}

// Delete implements sim.Cloud. An object that is gone is a success, and so is
// a prepaid one: the provider v1.217.2 drops Subscription gateways and
// addresses from the state and leaves them in the cloud.
func (c *Cloud) Delete(ctx context.Context, r sim.Request) error {
	k, err := kindFor(r.Type)
	if err != nil {
		return err
	}
	err = c.retry(ctx, func() error { return k.remove(c, r.ID, r.Inputs) })
	if err != nil && !IsCode(err, CodeNotFound, CodeRouteNotFound, CodeNATGatewayGone) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.state.Declared, declaredKey(r.Type, r.ID))
	return nil
}

// Adopt puts an object that a stack has recorded into the cloud: one of the
// types of [Schema], its id, its recorded inputs and outputs. If the object is
// there already, for instance because a lookup of the real network found it,
// it stays as it is and is only taken for the program's. Adopt in the order
// of dependencies: what an object refers to must be there.
func (c *Cloud) Adopt(typ, id string, inputs, outputs sim.Object) error {
	k, err := kindFor(typ)
	if err != nil {
		return err
	}
	c.mu.Lock()
	_, ok := k.outputs(c, id)
	c.mu.Unlock()
	if !ok {
		o := maps.Clone(inputs)
		if o == nil {
			o = sim.Object{}
		}
		maps.Copy(o, outputs)
		if err := k.adopt(c, id, o); err != nil {
			return fmt.Errorf("adopt %s %s: %w", typ, id, err)
		}
	}
	c.declare(k, typ, id, inputs)
	return nil
}

// declare remembers what the program gave and returns the outputs.
func (c *Cloud) declare(k kind, typ, id string, inputs sim.Object) sim.Object {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Declared[declaredKey(typ, id)] = inputs
	outputs, _ := k.outputs(c, id)
	return outputs
}

func declaredKey(typ, id string) string { return typ + " " + id }

// retry repeats a call that met another task, when that task is done.
func (c *Cloud) retry(ctx context.Context, call func() error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := call()
		var e *Error
		if !errors.As(err, &e) || e.Task == "" {
			return err
		}
		c.turn.Lock()
		c.conflicts++
		c.turn.Unlock()
		c.awaitIdle(e.Task)
	}
}
