package network

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"polynat/internal/problem"
)

// Claim is something that the cloud gives to one holder at a time, such as an address of a subnet or a port of a load
// balancer.
type Claim struct {
	// Value is what is claimed; [All] is all of it, and the empty text whatever the cloud gives.
	Value string
	// Of is what it belongs to, such as "load balancer elb01". Claims of different things do not collide.
	Of string
	// Sharers name the holders that share it among each other; empty for those that share it with nobody.
	Sharers string
}

// All is the value of a claim on all that there is.
const All = "any"

// Claims are by the path of the field that claims.
type Claims map[string]Claim

// Collisions are the claims that an update cannot make at once, because another field held them when the last one ended,
// in held: what is new is made before what is old is deleted, and in no order. What contradicts itself in c is left to
// others to say.
func (c Claims) Collisions(held Claims) problem.List {
	var l problem.List
	for _, field := range slices.Sorted(maps.Keys(c)) {
		claim := c[field]
		for _, other := range slices.Sorted(maps.Keys(held)) {
			if Holder(other) == Holder(field) || !claim.meets(held[other]) || claim.meets(c[other]) {
				continue
			}
			l.Add(field, claim.Value, "of "+claim.Of+" is still held by "+Holder(other), "first take it away from there by an update of its own")
			break
		}
	}
	return l
}

// Under returns the claims with paths that begin so.
func (c Claims) Under(path string) Claims {
	under := Claims{}
	for field, claim := range c {
		under[path+field] = claim
	}
	return under
}

// Holder is the path of what a field belongs to.
func Holder(field string) string { return field[:max(0, strings.LastIndex(field, "."))] }

// meets reports whether both claims cannot be granted at once.
func (c Claim) meets(o Claim) bool {
	if c.Of != o.Of || c.Value == "" || o.Value == "" || c.Sharers != "" && c.Sharers == o.Sharers {
		return false
	}
	if c.Value == o.Value || c.Value == All || o.Value == All {
		return true
	}
	a, errA := netip.ParsePrefix(c.Value)
	b, errB := netip.ParsePrefix(o.Value)
	return errA == nil && errB == nil && a.Overlaps(b)
}
