package drill

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"polynat/internal/terminal"
)

// Report of all drills.
type Report struct {
	// OK says that every bound held.
	OK     bool     `json:"-"`
	Drills []Result `json:"drills"`
	// CutShort says that somebody ended the drill: only what was held until then is in it.
	CutShort bool `json:"cutShort,omitempty"`
	// NetworkService that configured the interfaces of the instances, with its version; empty where this machine has none, and the
	// lab configured them.
	NetworkService string `json:"networkService,omitempty"`
	// Skipped are the drills that need it, and were not held.
	Skipped []string `json:"skipped,omitempty"`

	noService string // why there is none
	footprint measure
	size      size
	broken    []string
}

// The tool of the network service asks for addresses ten times as often as on Amazon Linux.
const (
	serviceFirst = 3 * time.Second
	serviceEvery = 6 * time.Second
)

// size of the programs on disk, in bytes.
type size struct{ natd, failover, archive int64 }

// What the function of the peer, alterNAT, takes to start: the import of its module, in Python, and its memory.
const (
	peerMemory    = 65.6 // MiB
	peerColdStart = 385  // ms
)

// Most memory that the functions may hold, in bytes.
const (
	proberMemory     = 32 << 20
	controllerMemory = 64 << 20
)

// add takes the result of a drill.
func (r *Report) add(d Result) {
	r.Drills = append(r.Drills, d)
	r.OK = r.OK && len(d.Broken)+len(d.Failed) == 0
	f := &r.footprint
	f.proberMemory = max(f.proberMemory, d.footprint.proberMemory)
	f.controllerMemory = max(f.controllerMemory, d.footprint.controllerMemory)
	f.coldStarts = append(f.coldStarts, d.footprint.coldStarts...)
}

// finish holds the bounds of all drills together.
func (r *Report) finish() {
	for _, b := range []struct {
		function    string
		held, bound int64
	}{{"prober", r.footprint.proberMemory, proberMemory}, {"controller", r.footprint.controllerMemory, controllerMemory}} {
		if b.held >= b.bound {
			r.broken = append(r.broken, fmt.Sprintf("the %s held %d MiB, and at most %d are allowed", b.function, b.held>>20, b.bound>>20))
			r.OK = false
		}
	}
}

// Result of the runs of one drill.
type Result struct {
	Name string `json:"name"`
	Runs int    `json:"runs"`
	// DecideSeconds from the fault to the move of the last table's route, over the runs in which all were moved.
	DecideSeconds Spread `json:"decideSeconds"`
	// OutageSeconds in which no new connection from the subnets of one route table was answered: of all tables the longest
	// stretch of a run.
	OutageSeconds Spread `json:"outageSeconds"`
	// LostConnections of AttemptedConnections that were new, and CutConnections of EstablishedConnections, in all runs.
	LostConnections        int `json:"lostConnections"`
	AttemptedConnections   int `json:"attemptedConnections"`
	CutConnections         int `json:"cutConnections"`
	EstablishedConnections int `json:"establishedConnections"`
	// Transitions of a zone from instance to standby or back, and calls to the AWS API in the runs of the controller that
	// moved a route, or where none did, in all but those of each minute: the most in one run.
	Transitions int `json:"transitions"`
	APICalls    int `json:"apiCalls"`

	footprint measure
	// secondCalls are those of the runs of the controller on the same failure that moved nothing any more.
	secondCalls int
	// impaired is how long more than the usual share of new connections was lost, in a drill in which some always pass.
	impaired Spread
	// Broken are the bounds that did not hold, and Failed the runs that could not be held.
	Broken []string `json:"broken,omitempty"`
	Failed []string `json:"failed,omitempty"`
	// Notes say how the figures came about, where it is not as one would think.
	Notes []string `json:"notes,omitempty"`
}

// Spread of a measure over the runs.
type Spread struct {
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// spread rounds to milliseconds.
func spread(values []time.Duration) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	seconds := func(d time.Duration) float64 { return float64(d.Round(time.Millisecond)) / float64(time.Second) }
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + median) / 2
	}
	return Spread{Median: seconds(median), Max: seconds(sorted[len(sorted)-1])}
}

// measure is what one run gave.
type measure struct {
	decided     bool
	decide      time.Duration
	outage      time.Duration
	impaired    time.Duration
	lost        int
	attempted   int
	cut         int
	established int
	transitions int
	calls       int
	secondCalls int
	// bytes resident at most, and how long the functions took to start
	proberMemory, controllerMemory int64
	coldStarts                     []time.Duration
}

// collect makes the result of a drill from its runs.
func collect(d drill, runs []measure) Result {
	r := Result{Name: d.name, Runs: len(runs), Notes: d.notes}
	var decide, outage, impaired []time.Duration
	for _, m := range runs {
		if m.decided {
			decide = append(decide, m.decide)
		}
		outage, impaired = append(outage, m.outage), append(impaired, m.impaired)
		r.LostConnections += m.lost
		r.AttemptedConnections += m.attempted
		r.CutConnections += m.cut
		r.EstablishedConnections += m.established
		r.Transitions = max(r.Transitions, m.transitions)
		r.APICalls = max(r.APICalls, m.calls)
		r.secondCalls = max(r.secondCalls, m.secondCalls)
		f := &r.footprint
		f.proberMemory, f.controllerMemory = max(f.proberMemory, m.proberMemory), max(f.controllerMemory, m.controllerMemory)
		f.coldStarts = append(f.coldStarts, m.coldStarts...)
	}
	r.DecideSeconds, r.OutageSeconds, r.impaired = spread(decide), spread(outage), spread(impaired)
	return r
}

// Text writes the report for people: a table, and what went wrong below it.
func (r *Report) Text(w io.Writer) error {
	t := terminal.NewTable("drill", "runs", "decided\nseconds", "no answer\nseconds", "lost", "cut", "moves", "API\ncalls")
	for _, d := range r.Drills {
		t.Row(d.Name, d.Runs, d.DecideSeconds, d.OutageSeconds, fmt.Sprintf("%d/%d", d.LostConnections, d.AttemptedConnections),
			fmt.Sprintf("%d/%d", d.CutConnections, d.EstablishedConnections), d.Transitions, d.APICalls)
	}
	if err := t.Write(w); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s\n%s\n", terminal.Wrap("", "seconds are the median and the most of all runs: decided, from the fault until the routes have moved; no answer, "+
		"without an answer to a new connection"),
		terminal.Wrap("", "lost: new connections without an answer; cut: established ones that ended; moves of a zone and calls of the AWS API: the most in one run"))
	say := func(format string, args ...any) {
		fmt.Fprintf(w, "\n%s", terminal.Wrap("", fmt.Sprintf(format, args...)))
	}
	for _, d := range r.Drills {
		for _, note := range d.Notes {
			say("%s: %s", d.Name, note)
		}
		if d.impaired.Max > 0 {
			say("%s: more new connections than usual were lost for %.2f s, median, %.2f s at most", d.Name, d.impaired.Median, d.impaired.Max)
		}
		if d.secondCalls > 0 {
			say("%s: %d API calls more for verdicts that moved nothing", d.Name, d.secondCalls)
		}
	}
	if f := r.footprint; len(f.coldStarts) > 0 {
		cold := spread(f.coldStarts)
		fmt.Fprintln(w)
		say("resident at most: prober %.1f MiB, controller %.1f MiB; cold start %.0f ms, at most %.0f ms (alterNAT's function: %.1f MiB, %d ms)",
			mebibytes(f.proberMemory), mebibytes(f.controllerMemory), cold.Median*1000, cold.Max*1000, peerMemory, peerColdStart)
		say("binaries: natd %.1f MiB, failover %.1f MiB, zipped %.1f MiB",
			mebibytes(r.size.natd), mebibytes(r.size.failover), mebibytes(r.size.archive))
	}
	fmt.Fprintln(w)
	say("network service of the instances: %s", r.service())
	verdict := terminal.Paint(w, terminal.Good, "ok: every bound held")
	switch {
	case r.CutShort && len(r.Drills) == 0:
		verdict = terminal.Paint(w, terminal.Unclear, "cut short before the end of the first drill")
	case r.CutShort:
		verdict = terminal.Paint(w, terminal.Unclear, "cut short after "+r.Drills[len(r.Drills)-1].Name)
	case !r.OK:
		verdict = terminal.Paint(w, terminal.Bad, "FAILED")
	}
	_, err := fmt.Fprintf(w, "\n\ndrill: %s\n", verdict)
	return err
}

// service says what configured the interfaces.
func (r *Report) service() string {
	if r.NetworkService == "" {
		return fmt.Sprintf("%s, so that the lab configured the interfaces; not held: %s", r.noService, strings.Join(r.Skipped, ", "))
	}
	return fmt.Sprintf("%s, whose tool asks for addresses %.0f s after the boot and every %.0f s, instead of 30 s and 60 s on Amazon Linux",
		r.NetworkService, serviceFirst.Seconds(), serviceEvery.Seconds())
}

// String is the median and the most.
func (s Spread) String() string { return fmt.Sprintf("%.2f/%.2f", s.Median, s.Max) }

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// ErrBroken says that a bound did not hold: clients would lose more than is promised.
var ErrBroken = errors.New("bound broken")

// Err names every bound that was broken, each an ErrBroken, and every run that could not be held, or is nil.
func (r *Report) Err() error {
	var errs []error
	for _, b := range r.broken {
		errs = append(errs, fmt.Errorf("%w: %s", ErrBroken, b))
	}
	for _, d := range r.Drills {
		for _, b := range d.Broken {
			errs = append(errs, fmt.Errorf("drill %s: %w: %s", d.Name, ErrBroken, b))
		}
		for _, f := range d.Failed {
			errs = append(errs, fmt.Errorf("drill %s: %s", d.Name, strings.TrimSpace(f)))
		}
	}
	if r.CutShort {
		errs = append(errs, errors.New("cut short: there is no verdict on what was not held"))
	}
	return errors.Join(errs...)
}
