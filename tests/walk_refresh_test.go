package tests

import (
	"slices"
	"strings"
	"testing"

	"polynat/internal/migration"
)

// thereAndBack is the way through all stages, and back.
func thereAndBack() []string {
	var way []string
	for _, s := range migration.Stages() {
		way = append(way, string(s))
	}
	back := slices.Clone(way[:len(way)-1])
	slices.Reverse(back)
	return append(way, back...)
}

// A refresh after any stage leaves a stack that can repeat the stage, which does nothing. Where routes of the console are held,
// which have no name, that takes the way out of the guide: name them, and refresh again.
func TestAfterARefreshAStageCanBeRepeatedOrTheGuideSaysHow(t *testing.T) {
	for name, named := range map[string]bool{"routes with names": true, "routes without names": false} {
		t.Run(name, func(t *testing.T) {
			options, order := variant(1), source(1, forOrder)
			n := newNetwork(source(1, forNetwork), options, 3)
			p := newPulumi(n, order)
			defer p.stack.Close()
			w := newWalker(n, p, false)
			if named {
				check(w.nameRoutes())
			}
			var locked []string
			for _, stage := range thereAndBack() {
				if err := w.move(stage, fault{}); err != nil {
					if err = w.follow(err); err != nil || w.stage() != stage {
						t.Fatalf("%s: %v", stage, err)
					}
				}
				check(w.renew())
				done := len(p.operations())
				err := w.move(stage, fault{})
				if err != nil && strings.Contains(err.Error(), "expected length of name") {
					locked = append(locked, stage)
					check(w.nameRoutes())
					check(w.renew())
					err = w.move(stage, fault{})
				}
				if err != nil {
					t.Fatalf("%s again, after a refresh: %v", stage, err)
				}
				if more := p.operations()[done:]; len(more) > 0 {
					t.Errorf("%s again, after a refresh: %v", stage, more)
				}
			}
			if named == (len(locked) > 0) {
				t.Errorf("a refresh locks %v", locked)
			}
		})
	}
}
