// Package tests holds what crosses packages: random walks of the whole migration, on the real engine and on a model of it.
package tests

import (
	"flag"
	"fmt"
	"maps"
	jitterer "math/rand"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	engineWalks = flag.Int("walks.engine", 12, "how many random walks to make on the real engine")
	modelWalks  = flag.Int("walks.model", 2000, "how many random walks to make on the model")
	walkSeed    = flag.Uint64("walks.seed", 1, "seed of the first walk; the next walk has the next one")
)

// run makes one walk on a machine, and returns the walker for its trace.
type run func(seed uint64, moves []move) (*walker, error)

// source is the randomness of a walk; each purpose has a stream of its own, so that a walk can be shortened without
// changing the rest.
func source(seed, purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, purpose)) }

// enough walks see everything that checkSeen asks for.
const enough = batch

const (
	forNetwork = iota
	forMoves
	forOrder
)

// walkAll makes n walks, some at a time, and logs how long they took and what they have
// seen. The first walk that goes wrong ends the test, with the shortest list of moves that still goes wrong.
func walkAll(t *testing.T, n, parallel int, r run) {
	t.Helper()
	// Walks make much garbage of a small heap: to collect it less often saves a fifth of the time.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	began := time.Now()
	var next atomic.Uint64
	var mu sync.Mutex
	seen := tally{}
	failed := map[uint64]error{}
	var wg sync.WaitGroup
	for range parallel {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				i := next.Add(1) - 1
				mu.Lock()
				stop := len(failed) > 0
				mu.Unlock()
				if i >= uint64(n) || stop {
					return
				}
				seed := *walkSeed + i
				w, err := r(seed, newMoves(source(seed, forMoves)))
				mu.Lock()
				if err != nil {
					failed[seed] = err
				}
				seen.add(w.seen)
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	took := time.Since(began)
	for _, seed := range slices.Sorted(maps.Keys(failed)) {
		t.Errorf("%s", explain(r, seed, failed[seed]))
	}
	t.Logf("%d walks in %.1f s, %.2f ms of one processor each, %.0f walks/s", n, took.Seconds(),
		took.Seconds()*1000*float64(runtime.GOMAXPROCS(0))/float64(n), float64(n)/took.Seconds())
	for _, what := range slices.Sorted(maps.Keys(seen)) {
		t.Logf("%8d %s", seen[what], what)
	}
	if n >= enough {
		checkSeen(t, seen)
	}
}

// explain makes a failed walk short and prints it.
func explain(r run, seed uint64, err error) string {
	moves := newMoves(source(seed, forMoves))
	w, again := r(seed, moves)
	if again == nil {
		return fmt.Sprintf("the walk of seed %d failed once, and not when it was repeated: %v", seed, err)
	}
	for shorter := true; shorter; {
		shorter = false
		for i := range moves {
			fewer := slices.Delete(slices.Clone(moves), i, i+1)
			if v, e := r(seed, fewer); e != nil {
				w, again, moves, shorter = v, e, fewer, true
				break
			}
		}
	}
	return fmt.Sprintf("%v\nseed %d (-walks.seed=%d)\nnetwork: %s\nmoves: %v\ntrace:\n  %s", again, seed, seed, w.network, moves, strings.Join(w.trace, "\n  "))
}

// guardedWalk makes a walk and turns a panic into an error, so that the seed gets known.
func guardedWalk(w *walker, moves []move) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return w.walk(moves)
}

func walkModel(mistake mutant) run {
	return func(seed uint64, moves []move) (*walker, error) {
		n := newNetwork(source(seed, forNetwork), variant(seed), 2)
		w := newWalker(n, newModel(n, source(seed, forOrder), mistake), true)
		w.unruled = mistake.unruled
		return w, guardedWalk(w, moves)
	}
}

func TestWalkModelLosesNothingAndCanAlwaysBeFinished(t *testing.T) {
	walkAll(t, *modelWalks, runtime.GOMAXPROCS(0), walkModel(mutant{}))
}

func walkEngine(seed uint64, moves []move) (*walker, error) {
	options, order := variant(seed), source(seed, forOrder)
	jitter := order.Uint64()
	options.Rand = jitterer.New(jitterer.NewSource(int64(jitter >> 1)))
	n := newNetwork(source(seed, forNetwork), options, 3)
	p := newPulumi(n, order)
	defer p.stack.Close()
	w := newWalker(n, p, false)
	return w, guardedWalk(w, moves)
}

// batch is how many walks of the engine one process makes: the engine leaves about 0.2 MB, four goroutines and a listener
// behind with every update (see engine.Stack), and a walk is some 30 of them.
const batch = 50

func TestWalkEngineLosesNothingAndCanAlwaysBeFinished(t *testing.T) {
	if *engineWalks <= batch {
		// A run of the engine waits for itself half of the time.
		walkAll(t, *engineWalks, 2*runtime.GOMAXPROCS(0), walkEngine)
		return
	}
	for first := 0; first < *engineWalks; first += batch {
		n := min(batch, *engineWalks-first)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v",
			fmt.Sprint("-walks.engine=", n), fmt.Sprint("-walks.seed=", *walkSeed+uint64(first)))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("walks %d to %d: %v\n%s", first+1, first+n, err, out)
		}
		t.Logf("walks %d to %d:\n%s", first+1, first+n, out)
	}
}

// checkSeen holds that walks have met what they are for: every behavior of the cloud that nobody knows, every kind of old
// next hop, every kind of failure, and the answers of the migration to them.
func checkSeen(t *testing.T, seen tally) {
	t.Helper()
	for _, what := range []string{
		"cloud: automatic route appears", "cloud: automatic route never", "cloud: deletion of a gateway removes it",
		"cloud: deletion of a gateway refuses", "cloud: gateway beside a default route skips", "cloud: gateway beside a default route refuses",
		"old: Instance", "old: NetworkInterface", "old: HaVip", "bandwidth package", "forwards", "several tables", "several addresses",
		"ups done", "ups refused", "gates closed", "edits", "refreshes", "gateway deletion refused", "declareSystemRoute by advice",
		"fault: fail before", "fault: fail after", "fault: crash",
	} {
		if seen[what] == 0 {
			t.Errorf("the walks have never seen: %s", what)
		}
	}
}
