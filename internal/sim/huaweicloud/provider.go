package huaweicloud

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"polynat/internal/sim"
)

var _ sim.Cloud = (*Cloud)(nil)

// kind is how one resource type is kept.
type kind struct {
	create func(c *Cloud, in sim.Object) (id string, err error)
	// get describes the object with its inputs; ok is false if there is none.
	get    func(s *state, id string) (out sim.Object, ok bool)
	update func(c *Cloud, id string, in sim.Object) error
	remove func(s *state, id string) error
	// adopt keeps an object as it is described.
	adopt func(s *state, id string, described sim.Object) error
}

// rules are those of one kind of object. A rule sees the whole state, in which the old object still stands; it may
// complete the new one.
type rules[T any] struct {
	// table holds the objects.
	table func(*state) map[string]*T
	// prefix of their ids.
	prefix string
	// make checks and completes a new object.
	make func(c *Cloud, id string, o *T) error
	// change checks and completes a changed one; nil means that make does that too.
	change func(c *Cloud, id string, old, o *T) error
	// remove refuses, or takes away what goes with the object; nil means neither.
	remove func(s *state, id string, old *T) error
	// show completes what the API shows; nil means nothing to complete.
	show func(s *state, id string, o *T, out sim.Object)
}

// kindOf makes the kind of a resource type from the rules of its objects.
func kindOf[T any](r rules[T]) kind {
	if r.change == nil {
		r.change = func(c *Cloud, id string, _, o *T) error { return r.make(c, id, o) }
	}
	get := func(s *state, id string) (sim.Object, bool) {
		o, ok := r.table(s)[id]
		if !ok {
			return nil, false
		}
		out, err := toObject(o)
		if err != nil {
			return nil, false
		}
		if r.show != nil {
			r.show(s, id, o, out)
		}
		return out, true
	}
	return kind{
		get: get,
		create: func(c *Cloud, in sim.Object) (string, error) {
			o := new(T)
			if err := fromObject(in, o); err != nil {
				return "", err
			}
			id := c.state.newID(r.prefix)
			if err := r.make(c, id, o); err != nil {
				return "", err
			}
			r.table(&c.state)[id] = o
			return id, nil
		},
		adopt: func(s *state, id string, described sim.Object) error {
			o := new(T)
			if err := fromObject(described, o); err != nil {
				return err
			}
			r.table(s)[id] = o
			return nil
		},
		update: func(c *Cloud, id string, in sim.Object) error {
			old, err := find(r.table(&c.state), r.prefix, id)
			if err != nil {
				return err
			}
			now, err := toObject(old)
			if err != nil {
				return err
			}
			maps.Copy(now, in)
			o := new(T)
			if err := fromObject(now, o); err != nil {
				return err
			}
			if err := r.change(c, id, old, o); err != nil {
				return err
			}
			*old = *o
			return nil
		},
		remove: func(s *state, id string) error {
			old, ok := r.table(s)[id]
			if !ok {
				return nil
			}
			if r.remove != nil {
				if err := r.remove(s, id, old); err != nil {
					return err
				}
			}
			delete(r.table(s), id)
			return nil
		},
	}
}

// toObject and fromObject turn an object into a property bag and back.
func toObject(o any) (sim.Object, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	var out sim.Object
	return out, json.Unmarshal(text, &out)
}

func fromObject(in sim.Object, o any) error {
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, o); err != nil {
		return sim.Refuse(CodeInvalid, "%v (spell addresses and CIDR blocks as IPv4 does)", err)
	}
	return nil
}

func kindFor(typ string) (kind, error) {
	k, ok := kinds[typ]
	if !ok {
		return kind{}, fmt.Errorf("type: %q: is not simulated", typ)
	}
	return k, nil
}

// Create implements sim.Cloud.
func (c *Cloud) Create(_ context.Context, r sim.Request) (id string, outputs sim.Object, err error) {
	k, err := kindFor(r.Type)
	if err != nil {
		return "", nil, err
	}
	err = c.change(func() error {
		if id, err = k.create(c, r.Inputs); err != nil {
			return err
		}
		c.state.Declared[key(r.Type, id)] = declaration{r.URN, r.Inputs}
		return nil
	})
	if err != nil {
		return "", nil, err
	}
	return id, c.describe(k, r.Type, id), nil
}

// Adopt puts an object there as a provider described it, unchecked: what exists already. URN and inputs are those of the
// program that made it, empty if none did.
func (c *Cloud) Adopt(urn, typ, id string, inputs, outputs sim.Object) error {
	k, err := kindFor(typ)
	if err != nil {
		return err
	}
	return c.change(func() error {
		if err := k.adopt(&c.state, id, outputs); err != nil {
			return err
		}
		if inputs != nil {
			c.state.Declared[key(typ, id)] = declaration{urn, inputs}
		}
		c.state.skip(id)
		c.state.skip(outputs)
		return nil
	})
}

// made is an id of this cloud.
var made = regexp.MustCompile(`^([a-z]+)-(\d{6,})$`)

// skip keeps the ids that a value holds from being given again.
func (s *state) skip(value any) {
	switch value := value.(type) {
	case string:
		if m := made.FindStringSubmatch(value); m != nil {
			if n, err := strconv.Atoi(m[2]); err == nil {
				s.Next[m[1]] = max(s.Next[m[1]], n)
			}
		}
	case []any:
		for _, v := range value {
			s.skip(v)
		}
	case sim.Object:
		for _, v := range value {
			s.skip(v)
		}
	}
}

// Read implements sim.Cloud.
func (c *Cloud) Read(_ context.Context, typ, id string) (inputs, outputs sim.Object, ok bool, err error) {
	k, err := kindFor(typ)
	if err != nil {
		return nil, nil, false, err
	}
	c.look(id)
	outputs = c.describe(k, typ, id)
	if outputs == nil {
		return nil, nil, false, nil
	}
	c.mu.Lock()
	given, known := c.state.Declared[key(typ, id)]
	c.mu.Unlock()
	return Schema().Resources[typ].Declared(given.Inputs, known, outputs), outputs, true, nil
}

// Update implements sim.Cloud. An input that is left out keeps what the cloud chose, if the cloud chooses it, and is
// cleared otherwise.
func (c *Cloud) Update(_ context.Context, r sim.Request) (sim.Object, error) {
	k, err := kindFor(r.Type)
	if err != nil {
		return nil, err
	}
	in := sim.Object{}
	for name, p := range Schema().Resources[r.Type].Inputs {
		if _, ok := r.Old[name]; ok && !p.Computed {
			in[name] = nil
		}
	}
	maps.Copy(in, r.Inputs)
	err = c.change(func() error {
		if err := k.update(c, r.ID, in); err != nil {
			return err
		}
		c.state.Declared[key(r.Type, r.ID)] = declaration{r.URN, r.Inputs}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c.describe(k, r.Type, r.ID), nil
}

// Delete implements sim.Cloud.
func (c *Cloud) Delete(_ context.Context, r sim.Request) error {
	k, err := kindFor(r.Type)
	if err != nil {
		return err
	}
	return c.change(func() error {
		if err := k.remove(&c.state, r.ID); err != nil {
			return err
		}
		delete(c.state.Declared, key(r.Type, r.ID))
		return nil
	})
}

// describe returns what the API says of an object, nil if there is none.
func (c *Cloud) describe(k kind, typ, id string) sim.Object {
	c.mu.Lock()
	defer c.mu.Unlock()
	out, ok := k.get(&c.state, id)
	if !ok {
		return nil
	}
	out[idProperty(typ)] = id
	return out
}

// idProperty is the property in which the dynamic bridge shows the id: "vpcId" of huaweicloud:index/vpc:Vpc.
func idProperty(typ string) string {
	name := typ[strings.LastIndex(typ, ":")+1:]
	return strings.ToLower(name[:1]) + name[1:] + "Id"
}

func key(typ, id string) string { return typ + " " + id }

// sorted returns the ids of a table in order.
func sorted[T any](m map[string]*T) []string { return slices.Sorted(maps.Keys(m)) }
