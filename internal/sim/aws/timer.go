package aws

import (
	"fmt"
	"slices"
	"time"
)

// timer is something that is due at a time. Timers are part of the state, so that a saved cloud goes on where it was.
type timer struct {
	At   time.Time
	Kind timerKind
	// ID of what it is for.
	ID string
	// Arg tells which of several.
	Arg string `json:",omitempty"`
}

type timerKind string

const (
	gatewayDue   timerKind = "nat gateway"
	metadataDue  timerKind = "metadata"
	instanceDue  timerKind = "instance"
	hookDue      timerKind = "hook"
	groupDue     timerKind = "group"
	lifetimeDue  timerKind = "lifetime"
	spotDue      timerKind = "spot"
	agentDue     timerKind = "agent"
	controlDue   timerKind = "controller"
	functionDue  timerKind = "function"
	interfaceDue timerKind = "interface"
)

// after sets a timer.
func (s *state) after(d time.Duration, kind timerKind, id, arg string) {
	t := timer{s.Now.Add(d), kind, id, arg}
	i, _ := slices.BinarySearchFunc(s.Timers, t, func(a, b timer) int {
		if a.At.After(b.At) {
			return 1
		}
		return -1 // behind those of the same time
	})
	s.Timers = slices.Insert(s.Timers, i, t)
}

// cancel takes timers away; an empty arg means all of them.
func (s *state) cancel(kind timerKind, id, arg string) {
	s.Timers = slices.DeleteFunc(s.Timers, func(t timer) bool {
		return t.Kind == kind && t.ID == id && (arg == "" || t.Arg == arg)
	})
}

// due does what a timer is for. It returns whether anything has changed.
func (c *Cloud) due(t timer) bool {
	s := &c.state
	switch t.Kind {
	case gatewayDue:
		return c.gatewayDue(s, t.ID)
	case metadataDue:
		return c.metadataDue(s, t.ID)
	case instanceDue:
		return c.instanceDue(s, t.ID)
	case hookDue:
		return c.hookDue(s, t.ID, t.Arg)
	case groupDue:
		return c.groupDue(s, t.ID, t.Arg)
	case lifetimeDue:
		return c.lifetimeDue(s, t.ID)
	case spotDue:
		return c.spotDue(s, t.ID)
	case agentDue:
		return c.agentDue(s, t.ID, t.Arg)
	case controlDue:
		return c.controlDue(s, t.ID, t.Arg)
	case functionDue:
		return c.functionDue(s, t.ID)
	case interfaceDue:
		return c.interfaceDue(s, t.ID)
	}
	panic(fmt.Sprintf("timer %q is for nothing", t.Kind)) // the list above is complete
}
