package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"polynat/internal/lab"
)

// Options of a rehearsal with real packets.
type Options struct {
	// Names of the drills; none for all.
	Names []string
	// Runs of each; 0 for the drill's own number.
	Runs int
	// Parallel is how many runs go on at once; 0 for one for every processor.
	Parallel int
	// Logs is a folder for what the programs wrote, a file for each run; empty for none.
	Logs string
	// Begins hears of everything that takes its time, before it begins; nil for nobody.
	Begins func(step string)
	// Progress hears of every run that has ended; nil for nobody. Calls do not overlap.
	Progress func(drill string, run, runs int, err error)

	// untimed leaves out the bounds in seconds: they are for a machine that has nothing else to do.
	untimed bool
}

// rate of new connections that clients open in every zone, a second, and how many they hold open in each subnet.
const (
	rate = 50
	held = 4
)

// Names of all drills.
func Names() []string {
	var names []string
	for _, d := range drills() {
		names = append(names, slug(d.name))
	}
	return names
}

// drill is a script.
type drill struct {
	name  string
	runs  int
	zones int
	play  func(*stage) error
	// bounds that the result must hold.
	bounds []bound
	// notes for people on how the figures came about.
	notes []string
	// pace shortens waits, where a drill would last for an hour otherwise.
	pace pace
	// impaired has the time in which more than the usual are lost measured beside the one in which all are.
	impaired bool
	// window in which transitions are counted; 0 for the whole run.
	window time.Duration
	// lag of the zone's address when it moves.
	lag lag
	// asks says that the script asks for addresses where the network service's tool would, so that it knows when.
	asks bool
}

// pace is what is not deployed with its default: the zero value changes nothing. Dwell is how long natd waits before it
// claims back, Healing how long the controller waits before it has a sick instance replaced.
type pace struct{ dwell, healing time.Duration }

// bound is what must hold of a result.
type bound struct {
	text string
	// timed says that it is one in seconds.
	timed bool
	holds func(Result) bool
}

// broken bounds of a drill.
func (d drill) broken(r Result, untimed bool) []string {
	var texts []string
	for _, b := range d.bounds {
		if left := b.timed && untimed; !left && !b.holds(r) {
			texts = append(texts, b.text)
		}
	}
	return texts
}

// slug is a name that a shell takes as one word: `NAT rule lost` is nat-rule-lost. Either spelling names the drill.
func slug(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), "-")
}

// Check refuses names of drills that are not known.
func Check(names []string) error {
	_, err := choose(names)
	return err
}

// Run plays drills. When ctx ends, the report has the drills that were held until then.
func Run(ctx context.Context, o Options) (*Report, error) {
	chosen, err := choose(o.Names)
	if err != nil {
		return nil, err
	}
	if err := Supported(); err != nil {
		return nil, err
	}
	dir, err := workspace()
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if o.Begins != nil {
		o.Begins("build natd and the failover functions, which takes minutes the first time")
	}
	p, err := build(ctx, dir)
	if err != nil {
		return nil, err
	}
	t := &runner{Options: o, dir: dir, programs: p, deployments: map[string]func() (*deployment, error){}}
	if t.Parallel <= 0 {
		t.Parallel = runtime.NumCPU()
	}
	report := &Report{OK: true, size: p.size}
	t.version, err = lab.NetworkServiceVersion()
	if report.NetworkService = t.version; err != nil {
		report.noService = err.Error()
	}
	for i, d := range chosen {
		if ctx.Err() != nil {
			break
		}
		if o.Begins != nil {
			o.Begins(fmt.Sprintf("drill %d/%d: %s", i+1, len(chosen), d.name))
		}
		if d.asks && err != nil {
			report.Skipped = append(report.Skipped, d.name)
			continue
		}
		r, err := t.series(ctx, d)
		switch {
		case err == nil:
			report.add(r)
		case ctx.Err() == nil:
			return nil, err
		}
	}
	if ctx.Err() != nil {
		report.OK, report.CutShort = false, true
	}
	report.finish()
	return report, nil
}

// Supported says why no drill can be held here; nil if it can.
func Supported() error {
	l, err := lab.New(lab.Options{VPC: netip.MustParsePrefix("10.0.0.0/16")})
	if err == nil {
		l.Close()
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnsupported, err)
}

func choose(names []string) ([]drill, error) {
	all := drills()
	for i := range all {
		all[i].name = slug(all[i].name)
	}
	if len(names) == 0 {
		return all, nil
	}
	var chosen []drill
	for _, name := range names {
		i := slices.IndexFunc(all, func(d drill) bool { return slug(d.name) == slug(name) })
		if i < 0 {
			return nil, fmt.Errorf("drill %q: is not known (use %s)", name, strings.Join(Names(), ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// workspace makes a folder for the files of this process, and removes those of processes that were killed.
func workspace() (string, error) {
	base := filepath.Join(os.TempDir(), "polynat-drill")
	if err := os.MkdirAll(base, 0o700); err != nil {
		return "", err
	}
	old, err := os.ReadDir(base)
	if err != nil {
		return "", err
	}
	for _, e := range old {
		pid, _, _ := strings.Cut(e.Name(), "-")
		if _, err := os.Stat("/proc/" + pid); errors.Is(err, os.ErrNotExist) {
			_ = os.RemoveAll(filepath.Join(base, e.Name()))
		}
	}
	return os.MkdirTemp(base, fmt.Sprintf("%d-", os.Getpid()))
}

// runner is what the runs share.
type runner struct {
	Options
	dir      string
	programs programs
	version  string // of the network service; empty for none

	mu          sync.Mutex
	deployments map[string]func() (*deployment, error)
}

// deployment for a drill; drills with the same needs share one.
func (t *runner) deployment(ctx context.Context, d drill) (*deployment, error) {
	key := fmt.Sprintf("%d %+v", max(d.zones, 1), d.pace)
	t.mu.Lock()
	deployed, ok := t.deployments[key]
	if !ok {
		deployed = sync.OnceValues(func() (*deployment, error) { return deploy(ctx, t.programs, max(d.zones, 1), d.pace) })
		t.deployments[key] = deployed
	}
	t.mu.Unlock()
	return deployed()
}

// service that instances of a drill have.
func (t *runner) service(d drill) *service {
	switch {
	case t.version == "":
		return nil
	case d.asks:
		return &service{}
	}
	return &service{serviceFirst, serviceEvery}
}

// series plays all runs of a drill.
func (t *runner) series(ctx context.Context, d drill) (Result, error) {
	runs := d.runs
	if t.Runs > 0 {
		runs = t.Runs
	}
	at, err := t.deployment(ctx, d)
	if err != nil {
		return Result{}, err
	}
	var (
		mu       sync.Mutex
		measures []measure
		problems []string
		ended    int
	)
	slots := make(chan struct{}, t.Parallel)
	var group sync.WaitGroup
	for i := range runs {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			if ctx.Err() != nil {
				return
			}
			m, err := t.once(ctx, d, at, i)
			mu.Lock()
			defer mu.Unlock()
			ended++
			if err != nil {
				problems = append(problems, fmt.Sprintf("run %d: %v", i+1, err))
			} else {
				measures = append(measures, m)
			}
			if t.Progress != nil {
				t.Progress(d.name, ended, runs, err)
			}
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	r := collect(d, measures)
	r.Failed = problems
	if len(measures) > 0 {
		r.Broken = d.broken(r, t.untimed)
	}
	return r, nil
}

// once is one run, in a lab of its own.
func (t *runner) once(ctx context.Context, d drill, at *deployment, i int) (m measure, err error) {
	dir, err := os.MkdirTemp(t.dir, "run-")
	if err != nil {
		return m, err
	}
	log := newLog()
	defer func() {
		if t.Logs == "" {
			return
		}
		if err != nil {
			log.add("drill", err.Error())
		}
		file := filepath.Join(t.Logs, fmt.Sprintf("%s-%d.log", d.name, i+1))
		err = errors.Join(err, os.WriteFile(file, []byte(log.String()+"\n"), 0o600))
	}()
	w, err := newWorld(ctx, at, t.programs, dir, log, t.service(d), d.lag)
	if err != nil {
		return m, err
	}
	defer w.close()
	defer func() {
		if err != nil {
			log.add("drill", w.lab.Dump())
		}
	}()
	if err := w.ready(); err != nil {
		return m, err
	}
	s := &stage{world: w}
	return s.perform(d)
}

// stage is a run from the moment that the zones work.
type stage struct {
	*world
	load  []*lab.Load // by zone
	held  []*lab.Held
	began time.Time
	// marked is the moment from which the drill is measured: of the fault, unless the drill says otherwise.
	marked time.Time
}

// clients are the servers that clients use: not those that the probes try, which a drill may silence.
func clients() []netip.Addr {
	var servers []netip.Addr
	for i := range clientServers {
		servers = append(servers, server(targetServers+i))
	}
	return servers
}

// warm is how long clients and probes run before anything happens, and settle how long after everything has. What
// comes in between begins at a random moment of the probes' interval.
const (
	warm   = time.Second
	settle = time.Second
)

func (s *stage) perform(d drill) (measure, error) {
	err := s.open()
	if err == nil {
		err = s.wait(warm + rand.N(time.Second))
	}
	if err == nil {
		s.mark()
		err = d.play(s)
	}
	if err == nil {
		err = s.wait(settle)
	}
	m := s.measure(d)
	s.log.add("drill", fmt.Sprintf("lost %d of %d, outage %s, decided %s", m.lost, m.attempted, m.outage, m.decide))
	return m, errors.Join(err, s.mirror.Err())
}

// open lets the clients in, new ones if there were some: those are not counted.
func (s *stage) open() error {
	s.leave()
	s.load, s.held = nil, nil
	for _, z := range s.zones {
		h, err := s.lab.Hold(z.tables, held, clients()...)
		if err != nil {
			return err
		}
		s.held = append(s.held, h)
		s.load = append(s.load, s.lab.Load(z.tables, rate, clients()...))
	}
	s.began = time.Now()
	return nil
}

// leave sends the clients away.
func (s *stage) leave() {
	for i := range s.held {
		s.load[i].Stop()
		s.held[i].Stop()
	}
}

// mark says that the drill is measured from now on.
func (s *stage) mark() {
	s.marked = time.Now()
	s.log.add("drill", "marked")
}

// measure takes the clients away and counts.
func (s *stage) measure(d drill) measure {
	m := s.footprint()
	for i, z := range s.zones[:len(s.held)] {
		all := s.load[i].Stop()
		m.attempted += len(all)
		m.lost += all.Lost()
		since := s.load[i].Since(s.marked)
		m.outage = max(m.outage, since.Outage())
		if d.impaired {
			m.impaired = max(m.impaired, since.Impaired(usual))
		}
		cut, of := s.held[i].Stop()
		m.cut += cut
		m.established += of
		m.transitions += most(s.mirror.transitions(s.began, z.tables), d.window)
		if took, ok := s.mirror.decided(s.marked, z.tables); ok {
			m.decided, m.decide = true, max(m.decide, took)
		}
	}
	m.calls, m.secondCalls = s.callsOf(s.began)
	return m
}
