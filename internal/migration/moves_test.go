package migration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// moves says which stages Decide accepts, by where the network stands (rows) and by the last stage that was done by the
// record (columns). Stages are numbered from 0 adopt to 7 retire; "-" accepts none.
//
// On the diagonal record and network agree: the stage again, and one step to each side. Beside it an update stopped half
// way, or somebody changed the network by hand. Far from it nothing is accepted, but for one rule: while the eight blocks
// carry everything (from at uncover on), what a record says of the gateway's side may be made again or taken back.
const moves = `
network                     adopt   cover   uncover gateway address snat    switch  retire
at adopt                    01      01      -       -       -       -       -       -
between adopt and cover     01      01      -       -       -       -       -       -
at cover                    01      012     12      2       -       -       -       -
between cover and uncover   0       1       12      2       -       -       -       -
at uncover                  -       1       123     23      34      45      5       -
between uncover and gateway -       -       23      23      34      45      5       -
at gateway                  -       -       23      234     34      45      5       -
between gateway and address -       -       23      234     34      45      5       -
at address                  -       -       23      234     345     45      5       -
between address and snat    -       -       23      234     345     45      5       -
at snat                     -       -       23      234     345     456     56      6
between snat and switch     -       -       -       -       -       5       56      6
at switch                   -       -       -       -       -       5       567     67
`

func TestWhatIsAcceptedWhereverRecordAndNetworkStand(t *testing.T) {
	var got strings.Builder
	fmt.Fprintf(&got, "%-28s", "network")
	for _, record := range stages {
		fmt.Fprintf(&got, "%-8s", record)
	}
	for i := range stages[:len(stages)-1] {
		for half := range 2 {
			if i == Switch.Index() && half == 1 {
				continue // switch and retire look the same
			}
			net, record := newNetwork().at(newSpec(stages[i]))
			if half == 1 {
				next := newSpec(stages[i+1])
				plan, err := Decide(next, &net.Survey, record)
				if err != nil {
					t.Fatal(err)
				}
				creates, deletes := net.operations(plan)
				net.do(append(creates, deletes...)[0], next)
			}
			fmt.Fprintf(&got, "\n%-28s", net.position())
			for _, was := range stages {
				claimed := *record
				claimed.Stage = was
				fmt.Fprintf(&got, "%-8s", accepted(net, &claimed))
			}
		}
	}
	lines := strings.Split(got.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	if diff := cmp.Diff(strings.Split(strings.Trim(moves, "\n"), "\n"), lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func accepted(net *network, record *Record) string {
	var numbers []string
	for _, to := range stages {
		if _, err := Decide(newSpec(to), &net.Survey, record); err == nil {
			numbers = append(numbers, fmt.Sprint(to.Index()))
		}
	}
	if numbers == nil {
		return "-"
	}
	return strings.Join(slices.Compact(numbers), "")
}
