package migration

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"polynat/internal/route"
)

// namesake is one of several objects that have the name of one.
type namesake struct {
	id string
	// held is true when the stack's state holds it.
	held bool
	// routes lead to it; uses are those and what else needs it.
	routes, uses []string
}

func (n namesake) String() string {
	about := n.uses
	if n.held {
		about = append([]string{"in this stack's state"}, about...)
	}
	if len(about) == 0 {
		about = []string{"nothing uses it"}
	}
	return fmt.Sprintf("%s (%s)", n.id, strings.Join(about, ", "))
}

// checkNames finds several gateways or addresses of one name. The provider makes a second one when it repeats a creation that was done
// although the answer was an error. It is said alone: as long as nobody knows which one is meant, everything else is wrong.
func (s *scope) checkNames(ps *problems, survey *Survey) {
	gateways := survey.gateways(s.spec.Gateway.Name)
	var all []namesake
	for _, g := range gateways {
		all = append(all, survey.namesake(g))
	}
	s.namesakes(ps, survey, "natGateway.name", s.spec.Gateway.Name, "NAT gateways of VPC "+survey.VPC.ID, all)
	for _, key := range slices.Sorted(maps.Keys(survey.Namesakes)) {
		var all []namesake
		for _, a := range survey.Namesakes[key] {
			n := namesake{id: a.ID, held: a.Held}
			if a.Instance != "" {
				n.uses = []string{"bound to " + a.Instance}
			}
			all = append(all, n)
		}
		s.namesakes(ps, survey, "addresses."+key, survey.Namesakes[key][0].Name, "elastic IPs", all)
	}
}

// namesake lists what needs a gateway.
func (s *Survey) namesake(g NATGateway) namesake {
	n := namesake{id: g.ID, held: g.Held}
	for _, t := range s.Tables {
		for _, r := range t.Routes {
			if r.Hop == (Hop{HopNATGateway, g.ID}) {
				n.routes = append(n.routes, r.CIDR.String()+" of "+t.ID)
			}
		}
	}
	n.uses = slices.Clone(n.routes)
	for _, key := range slices.Sorted(maps.Keys(s.Addresses)) {
		if s.Addresses[key].Instance == g.ID {
			n.uses = append(n.uses, "address "+key)
		}
	}
	if g.Entries > 0 {
		n.uses = append(n.uses, fmt.Sprintf("%d entries", g.Entries))
	}
	return n
}

// namesakes refuses several objects of a name.
func (s *scope) namesakes(ps *problems, survey *Survey, field, name, what string, all []namesake) {
	if len(all) < 2 {
		return
	}
	var texts []string
	for _, n := range all {
		texts = append(texts, n.String())
	}
	ps.add(field, name, fmt.Sprintf("%d %s have this name: %s", len(all), what, strings.Join(texts, ", ")), s.oneName(survey, all))
}

// oneName is the way out. One that is in the state stays, or else one that is used: the next update takes it over.
func (s *scope) oneName(survey *Survey, all []namesake) string {
	stays := only(all, func(n namesake) bool { return n.held })
	if stays < 0 {
		stays = only(all, func(n namesake) bool { return len(n.uses) > 0 })
	}
	if stays < 0 {
		return "give all but one another name, or delete them; the next update takes over the one that is left"
	}
	var others, leading, routes []string
	for i, n := range all {
		if i == stays {
			continue
		}
		others = append(others, n.id)
		if len(n.routes) > 0 {
			leading, routes = append(leading, n.id), append(routes, n.routes...)
		}
	}
	switch {
	case len(leading) > 0 && s.covered(survey):
		return fmt.Sprintf("delete %s, with %s: the blocks carry its traffic", strings.Join(leading, ", "), strings.Join(routes, ", "))
	case len(leading) > 0:
		return fmt.Sprintf("lead %s to %s, then give %s another name", strings.Join(routes, ", "), all[stays].id, strings.Join(others, ", "))
	}
	wayOut := fmt.Sprintf("give %s another name, or delete it if nothing uses it", strings.Join(others, ", "))
	if !all[stays].held {
		wayOut += "; the next update takes over " + all[stays].id
	}
	return wayOut
}

// only is the index of the one that fits, -1 when none or several do.
func only(all []namesake, fits func(namesake) bool) int {
	i := slices.IndexFunc(all, fits)
	if i >= 0 && slices.ContainsFunc(all[i+1:], fits) {
		return -1
	}
	return i
}

// covered tells whether the blocks to the old next hop carry everything.
func (s *scope) covered(survey *Survey) bool {
	for _, id := range s.tables {
		t, _ := survey.table(id)
		for _, block := range route.Blocks() {
			if _, ok := t.to(block, s.spec.Old.Hop); !ok {
				return false
			}
		}
	}
	return len(s.tables) > 0
}
