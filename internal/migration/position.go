package migration

import (
	"fmt"

	"polynat/internal/route"
)

// level is how far something is made.
type level int

const (
	none level = iota
	part
	full
)

func levelOf(have, want int) level {
	switch {
	case have == 0:
		return none
	case have < want:
		return part
	}
	return full
}

// standing is what a survey shows of a migration, in the terms of its stages.
type standing struct {
	// half is twice the index of the stage that the cloud looks like; odd: between two stages, after an `up` that failed.
	half int
	// broken is true when the cloud looks like no stage and like nothing between two.
	broken bool
	// carried is true while the eight blocks carry everything and no default route to the old next hop is left.
	carried bool
}

func (s standing) String() string {
	switch {
	case s.broken:
		return "outside every stage"
	case s.half%2 == 1:
		return fmt.Sprintf("between %s and %s", stages[s.half/2], stages[s.half/2+1])
	}
	return "at " + string(stages[s.half/2])
}

// standing derives from lookups alone where the migration stands. Retire looks like switch.
func (s *scope) standing(survey *Survey) standing {
	defaults, covers := 0, 0
	for _, id := range s.tables {
		t, _ := survey.table(id)
		if _, ok := t.to(route.Default(), s.spec.Old.Hop); ok {
			defaults++
		}
		for _, block := range route.Blocks() {
			if _, ok := t.to(block, s.spec.Old.Hop); ok {
				covers++
			}
		}
	}
	old, cover := levelOf(defaults, len(s.tables)), levelOf(covers, len(s.tables)*len(route.Blocks()))
	gateway, addresses, snat := s.levels(survey)
	carried := old == none && cover == full
	if gateway == none {
		switch {
		case old == full:
			return standing{half: int(cover), carried: carried}
		case cover == full:
			return standing{half: 4 - int(old), carried: carried}
		}
		return standing{broken: true}
	}
	ready := gateway == full && addresses == full && snat == full
	switch {
	case old != none:
		return standing{broken: true}
	case cover == full && gateway != full:
		return standing{half: 2*Gateway.Index() - 1, carried: carried}
	case cover == full && addresses != full:
		return standing{half: 2*Gateway.Index() + int(addresses), carried: carried}
	case cover == full:
		return standing{half: 2*Address.Index() + int(snat), carried: carried}
	case ready && cover == part:
		return standing{half: 2*Switch.Index() - 1}
	case ready:
		return standing{half: 2 * Switch.Index()}
	}
	return standing{broken: true}
}

// levels says how far gateway, addresses and SNAT are made.
func (s *scope) levels(survey *Survey) (gateway, addresses, snat level) {
	made := func(exist bool, unmet func(*problems, *Survey)) level {
		var ps problems
		if unmet(&ps, survey); len(ps) == 0 {
			return full
		} else if exist {
			return part
		}
		return none
	}
	return made(len(survey.gateways(s.spec.Gateway.Name)) > 0, s.unmetGateway),
		made(len(survey.Addresses) > 0, s.unmetAddresses),
		made(len(survey.SNATEntries)+len(survey.ForwardEntries) > 0, s.unmetSNAT)
}
