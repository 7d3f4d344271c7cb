package migration

import (
	"fmt"
	"slices"
	"strings"
)

// Stage names a state of the network. Stages are ordered; one `pulumi up` moves by at most one of them.
type Stage string

// The stages, in order.
const (
	Adopt   Stage = "adopt"
	Cover   Stage = "cover"
	Uncover Stage = "uncover"
	Gateway Stage = "gateway"
	Address Stage = "address"
	SNAT    Stage = "snat"
	Switch  Stage = "switch"
	Retire  Stage = "retire"
)

var stages = []Stage{Adopt, Cover, Uncover, Gateway, Address, SNAT, Switch, Retire}

// Stages returns the stages in their order.
func Stages() []Stage { return slices.Clone(stages) }

// ParseStage returns the stage of that name, or an error that lists the known ones.
func ParseStage(name string) (Stage, error) {
	if i := slices.Index(stages, Stage(name)); i >= 0 {
		return stages[i], nil
	}
	return "", fmt.Errorf("%q is not a stage (use one of %s)", name, strings.Join(StageNames(), ", "))
}

// StageNames returns the names of the stages in their order.
func StageNames() []string {
	names := make([]string, len(stages))
	for i, s := range stages {
		names[i] = string(s)
	}
	return names
}

// Index is the place of s in the order, 0 for adopt; -1 when s is not a stage.
func (s Stage) Index() int { return slices.Index(stages, s) }

// Next is the stage after s, and false for the last one.
func (s Stage) Next() (Stage, bool) {
	if i := s.Index(); i >= 0 && i+1 < len(stages) {
		return stages[i+1], true
	}
	return "", false
}

// covers tells whether the eight blocks stand at the end of stage s.
func (s Stage) covers() bool { return s.Index() >= Cover.Index() && s.Index() <= SNAT.Index() }

// from tells whether s is stage or a later one.
func (s Stage) from(stage Stage) bool { return s.Index() >= stage.Index() }

// Effect says what an `up` that moves forward to s does, for people.
func (s Stage) Effect() string {
	switch s {
	case Adopt:
		return "takes over the default route of each table; changes nothing in the cloud"
	case Cover:
		return "creates eight routes to the old next hop in each table; they cover every destination"
	case Uncover:
		return "deletes the default route of each table; the eight routes carry all traffic"
	case Gateway:
		return "creates the NAT gateway; it carries no traffic yet"
	case Address:
		return "creates the elastic IPs and binds them to the NAT gateway"
	case SNAT:
		return "creates the SNAT entries of every vSwitch and source, and the forward entries"
	case Switch:
		return "deletes the eight routes: traffic moves to the NAT gateway, established connections are cut once"
	case Retire:
		return "lets the old gateway go; its instance may be removed"
	}
	return ""
}

// Needs says what must hold before an `up` moves forward to s, for people.
func (s Stage) Needs() string {
	switch s {
	case Adopt:
		return "each table has exactly one default route, to the old next hop, which is in the VPC and running"
	case Cover:
		return "the adopted default routes are Available and no other route is hijacked or collides"
	case Uncover:
		return "all eight routes are Available in every table and the old next hop is running"
	case Gateway:
		return "no table has a default route; the gateway's zone offers enhanced NAT"
	case Address:
		return "the NAT gateway is Available and every table has a default route to it"
	case SNAT:
		return "every elastic IP is in use by the NAT gateway"
	case Switch:
		return "every vSwitch of every table has an Available SNAT entry; clients' allow lists hold the new addresses"
	case Retire:
		return "no route of the VPC points at the old next hop, and the switch has been observed for as long as you like"
	}
	return ""
}
