package sim

import (
	"maps"
	"reflect"
	"slices"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// change is the difference in one property.
type change struct {
	property string
	kind     pulumirpc.PropertyDiff_Kind
	replaces bool
}

// diff compares the inputs of the last deployment with the wanted ones. state is what the cloud returned last.
//
// A property that the cloud chooses when it is left out ([Property.Computed]) is no change when it is left out, nor when
// it is set for the first time to what the cloud has chosen. Nor is one that the provider filled in on one side and that
// the other side lacks, at any depth: which defaults it writes down differs from one version to the next. A value that is
// not known yet is a change, and replaces if its property does, as in Terraform. What a program cannot set, the check has
// made of other inputs: a change of these is enough.
func diff(r *Resource, state, olds, news Object, ignore []string) []change {
	names := slices.Sorted(maps.Keys(over(shown(r, state), over(olds, news))))
	var changes []change
	for _, name := range names {
		p, known := r.Inputs[name]
		if !known || ignored(ignore, name) {
			continue
		}
		was, had := olds[name]
		is, has := news[name]
		if p.Computed && !has {
			continue
		}
		if !had && (p.Computed || !has) {
			was, had = state[name]
		}
		if had && has && same(was, is) || had && !has && filledIn(olds, name) || has && !had && filledIn(news, name) {
			continue
		}
		c := change{property: name, kind: kind(had, has), replaces: p.ForceNew || !r.Updatable}
		if c.replaces {
			c.kind++ // in the protocol each kind is followed by its replacing twin
		}
		changes = append(changes, c)
	}
	return changes
}

func ignored(ignore []string, name string) bool {
	return slices.Contains(ignore, name) || slices.Contains(ignore, "*")
}

// kind of a change of a property that had a value and has one, or not.
func kind(had, has bool) pulumirpc.PropertyDiff_Kind {
	switch {
	case !had:
		return pulumirpc.PropertyDiff_ADD
	case !has:
		return pulumirpc.PropertyDiff_DELETE
	default:
		return pulumirpc.PropertyDiff_UPDATE
	}
}

// same reports whether two values are the same but for what the provider filled in on one side alone.
func same(was, is any) bool {
	switch is := is.(type) {
	case Object:
		was, ok := was.(Object)
		if !ok {
			return false
		}
		for name := range over(was, is) {
			old, had := was[name]
			now, has := is[name]
			switch {
			case name == defaultsKey, !had && filledIn(is, name), !has && filledIn(was, name):
			case !had || !has || !same(old, now):
				return false
			}
		}
		return true
	case []any:
		was, ok := was.([]any)
		return ok && slices.EqualFunc(was, is, same)
	default:
		return reflect.DeepEqual(was, is)
	}
}

// filledIn reports whether the provider filled a property of an object in.
func filledIn(o Object, name string) bool { return slices.Contains(defaults(o), name) }

// shown are the inputs that the cloud shows although nobody has set them, and that the provider does not take for the cloud's
// own choice. A bridged provider compares the program with the state: to leave such an input out is to remove it.
func shown(r *Resource, state Object) Object {
	inputs := Object{}
	for name, value := range state {
		if p, ok := r.Inputs[name]; ok && !p.Computed && !IsZero(value) {
			inputs[name] = value
		}
	}
	return inputs
}

// deleteFirst reports whether a replacement must delete before it creates: the property that the provider could name by
// itself was named by the program, so the old object is in the way of the new one.
func deleteFirst(r *Resource, news Object) bool {
	if r.Autoname == "" {
		return false
	}
	_, set := news[r.Autoname]
	return set && !filledIn(news, r.Autoname)
}
