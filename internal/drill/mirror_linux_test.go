package drill

import (
	"net/netip"
	"testing"
	"time"
)

func TestATransitionIsWhenAllTablesHaveComeToPointElsewhere(t *testing.T) {
	begin := time.Unix(0, 0)
	at := func(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }
	hop := func(h string) map[netip.Prefix]string { return map[netip.Prefix]string{everywhere: h} }
	m := &mirror{
		routes: map[string]map[netip.Prefix]string{"one": hop("eni"), "two": hop("eni"), "other zone": hop("nat")},
		moves: []move{
			{at(1), "one", "eni", "nat"},
			{at(2), "two", "eni", "nat"}, // the first transition
			{at(3), "one", "nat", "eni"},
			{at(4), "one", "eni", "nat"}, // back before the other followed: none
			{at(5), "other zone", "eni", "nat"},
			{at(20), "one", "nat", "eni"},
			{at(21), "two", "nat", "eni"}, // the second
		},
	}
	times := m.transitions(begin, []string{"one", "two"})
	if len(times) != 2 || !times[0].Equal(at(2)) || !times[1].Equal(at(21)) {
		t.Errorf("got %v, want 2 s and 21 s", times)
	}
	if took, ok := m.decided(begin, []string{"one", "two"}); !ok || took != 2*time.Second {
		t.Errorf("decided after %s, %v: want the 2 s of the last table", took, ok)
	}
	if took, ok := m.decided(at(22), []string{"one", "two"}); ok {
		t.Errorf("decided after %s, and nothing moved", took)
	}
	for window, want := range map[time.Duration]int{0: 2, 10 * time.Second: 1, 19 * time.Second: 2} {
		if got := most(times, window); got != want {
			t.Errorf("%d transitions in %s, want %d", got, window, want)
		}
	}
	if later := m.transitions(at(10), []string{"one", "two"}); len(later) != 1 {
		t.Errorf("got %v after 10 s, want one", later)
	}
}
