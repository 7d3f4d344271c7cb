package natzone_test

import (
	"strings"
	"testing"
	"time"

	"polynat/internal/natzone"
)

// A letter is a zone: capital when it is of the changed template, followed by what is special about it.
func standings(text string) (all []natzone.Standing) {
	for _, word := range strings.Fields(text) {
		zone, special, _ := strings.Cut(word, "-")
		s := natzone.Standing{Zone: strings.ToLower(zone), Instance: "i-" + word, Settled: special == "", Outdated: zone == strings.ToLower(zone)}
		if special == "standby" {
			s.Instance = ""
		}
		all = append(all, s)
	}
	return all
}

func TestAChangedTemplateTakesOneZoneAfterTheOther(t *testing.T) {
	const hold = 5 * time.Minute
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for zones, test := range map[string]struct {
		calm time.Duration // how long the others have been as they are
		turn bool
		why  string
	}{
		"a":                   {0, true, "hold"},
		"a b c":               {0, true, "hold"},
		"b a c":               {0, false, "zone a is first"},
		"b A c":               {hold - time.Second, false, "only since"},
		"b A c ":              {hold, true, "hold"},
		"c A B":               {hold, true, "hold"},
		"c A b":               {hold, false, "zone b is first"},
		"b A-standby c":       {time.Hour, false, "zone a is not well"},
		"b A-replacing c":     {time.Hour, false, "zone a is not well"},
		"a b c-standby":       {time.Hour, false, "zone c is not well"},
		"A b c":               {time.Hour, false, ""},
		"a-replacing b c":     {time.Hour, false, "under way"},
		"c-standby a b":       {0, true, "no instance serves"},
		"c-standby a-standby": {0, true, "no instance serves"}, // neither waits for the other
		"C-standby a b":       {0, false, ""},                  // a mended template cannot help what is of it already
	} {
		all := standings(zones)
		_, calm, _ := natzone.Turn(all[0], all[1:], natzone.Calm{}, now.Add(-test.calm), hold)
		turn, next, why := natzone.Turn(all[0], all[1:], calm, now, hold)
		if turn != test.turn || !strings.Contains(why, test.why) || (next != natzone.Calm{}) != strings.Contains(why, "only since") {
			t.Errorf("%s after %s: %v, %q, remembers %v", zones, test.calm, turn, why, next)
		}
	}
}

func TestAnotherInstanceHasToHoldAnew(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	calm := natzone.Calm{}
	for minute := range 60 { // a's instance dies whenever it has held for four minutes, and another one follows
		peers := standings("A")
		peers[0].Instance += strings.Repeat("+", minute/4)
		turn, next, _ := natzone.Turn(standings("b")[0], peers, calm, now.Add(time.Duration(minute)*time.Minute), 5*time.Minute)
		if calm = next; turn {
			t.Fatalf("b has its turn after %d minutes", minute)
		}
	}
}
