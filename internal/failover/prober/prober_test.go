package prober

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"polynat/internal/failover/probe"
	"polynat/internal/natzone"
)

// world is what the prober can reach.
type world struct {
	begin  time.Time
	broken func(after time.Duration) bool // the path to the Internet
	egress func(after time.Duration) string
	agent  func(after time.Duration) *natzone.Health // at the zone's address
	own    func(after time.Duration) *natzone.Health // that of the instance with the address of its own
	dials  atomic.Int32
	mu     sync.Mutex
	starts []time.Duration // of attempts at the first target
}

var zone = natzone.Prober{
	Version: natzone.Version, Name: "egress", Zone: "a",
	Targets:  []natzone.Target{"http://192.0.2.1/", "http://192.0.2.2/", "http://192.0.2.3/"},
	Identity: []string{"http://192.0.2.8/", "http://192.0.2.9/"}, Egress: []netip.Addr{netip.MustParseAddr("203.0.113.7")},
	Detection: natzone.DefaultDetection(), Health: "http://10.0.0.250:9465/health", MetricNamespace: natzone.MetricNamespace,
}

func newWorld() *world {
	return &world{
		begin:  time.Now(),
		broken: func(time.Duration) bool { return false },
		egress: func(time.Duration) string { return "203.0.113.7" },
		agent: func(time.Duration) *natzone.Health {
			return &natzone.Health{Instance: "i-1", Ready: true, Holds: true, Own: own}
		},
		own: func(time.Duration) *natzone.Health { return nil },
	}
}

// own is the address of the instance that has the zone at first.
var own = netip.MustParseAddr("10.0.0.11")

// dies is the end of the instance: neither path nor agent is there any more.
func (w *world) dies(at time.Duration) {
	w.broken = func(after time.Duration) bool { return after >= at }
	was := w.agent
	w.agent = func(after time.Duration) *natzone.Health {
		if after >= at {
			return nil
		}
		return was(after)
	}
}

func (w *world) dial(ctx context.Context, _, address string) (net.Conn, error) {
	w.dials.Add(1)
	after := time.Since(w.begin)
	host, _, _ := net.SplitHostPort(address)
	if host == "192.0.2.1" && after >= natzone.SlotLead { // not what is tried while waiting for the first slot
		w.mu.Lock()
		w.starts = append(w.starts, after)
		w.mu.Unlock()
	}
	body := "ok"
	switch {
	case host == "10.0.0.250", host == own.String():
		ask := w.agent
		if host == own.String() {
			ask = w.own
		}
		h := ask(after)
		if h == nil { // a dead instance does not refuse either
			<-ctx.Done()
			return nil, ctx.Err()
		}
		data, _ := json.Marshal(h)
		body = string(data)
	case w.broken(after):
		<-ctx.Done()
		return nil, ctx.Err()
	case host == "192.0.2.8" || host == "192.0.2.9":
		body = w.egress(after)
	}
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		if _, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
			fmt.Fprintf(far, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
	}()
	return near, nil
}

func (w *world) prober(t *testing.T, c natzone.Prober, out io.Writer) *Prober {
	t.Helper()
	p, err := New(c, probe.New(probe.NewNames(nil), w.dial), out, slog.New(slog.NewJSONHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// in runs a test in a bubble whose clock stands at midnight, so that a minute begins with the test.
func in(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld()) })
}

// run is one invocation that begins now, by the schedule's tick of this minute.
func run(t *testing.T, p *Prober, tick natzone.Tick) (natzone.Report, time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	begin := time.Now()
	r := p.Run(ctx, tick)
	return r, time.Since(begin)
}

func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // simulated time

// The alarm about silence is made soon after the first invocation, which takes a minute.
func TestTheFirstRoundOfAProcessIsToldAtOnce(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		out := &moments{begin: time.Now()}
		p := w.prober(t, zone, out)
		run(t, p, natzone.Tick{Time: w.begin})
		if len(out.at) != 2 || out.at[0] > 5*time.Second || !strings.Contains(out.lines[0], `"Probes":3`) || !strings.Contains(out.lines[1], `"Probes":717`) {
			t.Errorf("metrics after %v: %v", out.at, out.lines)
		}
		out.at = nil
		run(t, p, natzone.Tick{Time: w.begin.Add(time.Minute)})
		if len(out.at) != 1 {
			t.Errorf("a process that has told of itself: metrics after %v", out.at)
		}
	})
}

// moments notes lines and when they were written.
type moments struct {
	begin time.Time
	at    []time.Duration
	lines []string
}

func (m *moments) Write(line []byte) (int, error) {
	m.at, m.lines = append(m.at, time.Since(m.begin)), append(m.lines, string(line))
	return len(line), nil
}

func TestAQuietMinuteIsReportedAtTheEndOfItsSlot(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		var out bytes.Buffer
		pass(400 * time.Millisecond)
		r, took := run(t, w.prober(t, zone, &out), natzone.Tick{Time: w.begin})
		if r.Cause != natzone.None || r.Rounds != 240 || r.Attempts != 720 || r.FailedAttempts != 0 || r.Zone != "a" {
			t.Errorf("%+v", r)
		}
		if took < 62*time.Second || took > 63*time.Second {
			t.Errorf("took %v", took)
		}
		if first, last := w.starts[0], w.starts[len(w.starts)-1]; first != natzone.SlotLead || last != natzone.SlotLead+59750*time.Millisecond {
			t.Errorf("rounds from %v to %v", first, last)
		}
		if r.Agent == nil || !r.Agent.Ready || r.Egress.String() != "203.0.113.7" {
			t.Errorf("agent %v, egress %v", r.Agent, r.Egress)
		}
		if want := w.begin.Add(63 * time.Second); !r.Tick.Until.Equal(want) || !r.Tick.Time.Equal(w.begin) {
			t.Errorf("tick %+v, want until %v", r.Tick, want)
		}
		var line map[string]any
		_, last, _ := bytes.Cut(out.Bytes(), []byte("\n"))
		if err := json.Unmarshal(last, &line); err != nil || line[natzone.MetricProbes] != 717.0 || line[natzone.MetricFailedProbes] != 0.0 ||
			line[natzone.MetricEgressMismatch] != 0.0 || line[natzone.MetricProbeLatency] == nil {
			t.Errorf("metrics: %v %s", err, out.Bytes())
		}
		if aside := int(w.dials.Load()) - 720; aside > 23 {
			t.Errorf("%d connections for the egress address and the agent", aside)
		}
	})
}

func TestAVerdictIsReportedAtOnce(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.dies(20 * time.Second)
		r, took := run(t, w.prober(t, zone, io.Discard), natzone.Tick{Time: w.begin})
		if r.Cause != natzone.Streak || len(r.Failing) != 3 || r.Classes[natzone.Timeout] < 9 || r.Agent != nil {
			t.Errorf("%+v", r)
		}
		if late := took - 20*time.Second; late < time.Second+Witness || late > 1250*time.Millisecond+Witness {
			t.Errorf("%v after the fault", late)
		}
		if since := r.Since.Sub(w.begin); since < 20*time.Second || since >= 20250*time.Millisecond {
			t.Errorf("rests on failures since %v", since)
		}
		if r.Holder == nil || r.Holder.Instance != "i-1" {
			t.Errorf("holder %+v, want the instance that died", r.Holder)
		}
	})
}

func TestAPathThatIsSilentForAMomentIsNoVerdictWhileTheAgentIsReady(t *testing.T) {
	for _, silence := range []time.Duration{900 * time.Millisecond, 1200 * time.Millisecond} {
		for phase := time.Duration(0); phase < 250*time.Millisecond; phase += 50 * time.Millisecond {
			in(t, func(t *testing.T, w *world) {
				silent := func(after time.Duration) bool {
					return after >= 20*time.Second+phase && after < 20*time.Second+phase+silence
				}
				w.broken = silent
				was := w.agent
				w.agent = func(after time.Duration) *natzone.Health { // such as one whose network card is reset
					if silent(after) && silence < time.Second {
						return nil
					}
					return was(after)
				}
				if r, _ := run(t, w.prober(t, zone, io.Discard), natzone.Tick{Time: w.begin}); r.Cause != natzone.None {
					t.Errorf("phase %v: %q after %v of silence", phase, r.Cause, silence)
				}
			})
		}
	}
}

func TestAReadyAgentEarnsItsPathPatienceAndNoMore(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.broken = func(after time.Duration) bool { return after >= 20*time.Second }
		r, took := run(t, w.prober(t, zone, io.Discard), natzone.Tick{Time: w.begin})
		if late := took - 20*time.Second; r.Cause != natzone.Streak || late < Patience || late > Patience+500*time.Millisecond {
			t.Errorf("%q %v after the fault", r.Cause, late)
		}
		if r.Agent == nil || !r.Agent.Ready {
			t.Errorf("agent %+v, want what it said after the failures", r.Agent)
		}
	})
	in(t, func(t *testing.T, w *world) { // whose own proof fails a moment later
		w.broken = func(after time.Duration) bool { return after >= 20*time.Second }
		was := w.agent
		w.agent = func(after time.Duration) *natzone.Health {
			h := was(after)
			h.Ready = after < 21400*time.Millisecond
			return h
		}
		r, took := run(t, w.prober(t, zone, io.Discard), natzone.Tick{Time: w.begin})
		if late := took - 20*time.Second; r.Cause != natzone.Streak || late > 1750*time.Millisecond {
			t.Errorf("%q %v after the fault", r.Cause, late)
		}
	})
}

// claimed is how long a successor takes for the routes when it has the address.
const claimed = 300 * time.Millisecond

// claims is a rotation: the zone's address is nowhere for a while, and the predecessor says so at its own.
func (w *world) claims(at, gap time.Duration) {
	w.broken = func(after time.Duration) bool { return after >= at && after < at+gap }
	w.agent = func(after time.Duration) *natzone.Health {
		switch {
		case after < at:
			return &natzone.Health{Instance: "i-1", Ready: true, Holds: true, Own: own}
		case after < at+gap:
			return nil
		case after < at+gap+claimed:
			return &natzone.Health{Instance: "i-2", Ready: true, Claim: true}
		}
		return &natzone.Health{Instance: "i-2", Ready: true, Holds: true}
	}
	w.own = func(after time.Duration) *natzone.Health {
		return &natzone.Health{Instance: "i-1", Claim: after >= at && after < at+gap+2*time.Second}
	}
}

func TestAnAddressThatMovesSlowlyIsNoVerdict(t *testing.T) {
	for _, gap := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		for phase := time.Duration(0); phase < 250*time.Millisecond; phase += 50 * time.Millisecond {
			in(t, func(t *testing.T, w *world) {
				w.claims(20*time.Second+phase, gap)
				r, took := run(t, w.prober(t, zone, io.Discard), natzone.Tick{Time: w.begin})
				// A share of what failed before the claim may be left: that is no verdict on the successor, as the controller sees.
				after := took - 20*time.Second - phase
				if r.Cause == natzone.Streak || r.Cause == natzone.Partial && (r.Holder.Instance != "i-2" || after < gap+claimed) {
					t.Errorf("phase %v: %q %v into a gap of %v", phase, r.Cause, after, gap)
				}
			})
		}
	}
}

func TestAProberThatBeginsInAClaimKnowsTheHolderOfTheMinuteBefore(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.claims(61*time.Second, 4*time.Second)
		p := w.prober(t, zone, io.Discard)
		run(t, p, natzone.Tick{Time: w.begin, Until: w.begin.Add(30 * time.Second)})
		pass(time.Until(w.begin.Add(62 * time.Second)))
		if r, took := run(t, p, natzone.Tick{Time: w.begin, Until: w.begin.Add(70 * time.Second)}); r.Cause != natzone.None {
			t.Errorf("%q after %v", r.Cause, took)
		}
	})
}

// Whatever agents say, and however often they change their minds: a path that is dead is left.
func TestADeadPathIsLeftAfterAClaimsPatienceAtTheLatest(t *testing.T) {
	answers := rapid.SampledFrom([]*natzone.Health{
		nil, {Instance: "i-1"}, {Instance: "i-1", Ready: true}, {Instance: "i-1", Claim: true}, {Instance: "i-2", Ready: true, Claim: true},
	})
	rapid.Check(t, func(draw *rapid.T) {
		const rounds = 40
		zones := rapid.SliceOfN(answers, rounds, rounds).Draw(draw, "at the zone's address")
		owns := rapid.SliceOfN(answers, rounds, rounds).Draw(draw, "at the holder's own")
		in(t, func(t *testing.T, w *world) {
			const fault = 20 * time.Second
			w.broken = func(after time.Duration) bool { return after >= fault }
			before := w.agent
			said := func(of []*natzone.Health) func(time.Duration) *natzone.Health {
				return func(after time.Duration) *natzone.Health {
					if after < fault {
						return before(after)
					}
					return of[min(int((after-fault)/(250*time.Millisecond)), rounds-1)]
				}
			}
			w.agent, w.own = said(zones), said(owns)
			r, took := run(t, w.prober(t, zone, io.Discard), natzone.Tick{Time: w.begin})
			if late := took - fault; r.Cause == natzone.None || late > Claim+500*time.Millisecond+Witness || late < time.Second {
				draw.Fatalf("%q %v after the fault", r.Cause, late)
			}
		})
	})
}

func TestAPredecessorThatIsDeadIsNotWaitedFor(t *testing.T) {
	in(t, func(t *testing.T, w *world) { // its successor has not got the address yet
		w.dies(20 * time.Second)
		r, took := run(t, w.prober(t, zone, io.Discard), natzone.Tick{Time: w.begin})
		if late := took - 20*time.Second; r.Cause != natzone.Streak || late > 1250*time.Millisecond+Witness {
			t.Errorf("%q %v after the fault", r.Cause, late)
		}
	})
}

func TestAnAgentThatDoesNotAnswerIsNotReported(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		was := w.agent
		w.agent = func(after time.Duration) *natzone.Health {
			if after > 30*time.Second {
				return nil
			}
			return was(after)
		}
		if r, _ := run(t, w.prober(t, zone, io.Discard), natzone.Tick{Time: w.begin}); r.Agent != nil || r.Cause != natzone.None {
			t.Errorf("%+v", r)
		}
	})
}

func TestAWrongEgressAddressIsReportedSecondsAfterItIsSeen(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.egress = func(after time.Duration) string {
			if after > 20*time.Second {
				return "198.51.100.9"
			}
			return "203.0.113.7"
		}
		r, took := run(t, w.prober(t, zone, io.Discard), natzone.Tick{Time: w.begin})
		if r.Cause != natzone.Egress || r.Egress.String() != "198.51.100.9" || took > 32*time.Second {
			t.Errorf("%+v after %v", r, took)
		}
	})
}

func TestAProberThatIsStartedAfterAVerdictIsQuietFirst(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.dies(0)
		tick := natzone.Tick{Time: w.begin, Until: w.begin.Add(40 * time.Second), Quiet: natzone.Duration(5 * time.Second)}
		r, took := run(t, w.prober(t, zone, io.Discard), tick)
		if r.Cause != natzone.Streak || took < 5*time.Second+Witness || took > 5500*time.Millisecond+Witness {
			t.Errorf("%q after %v", r.Cause, took)
		}
		tick.Quiet = 0
		if r, took = run(t, w.prober(t, zone, io.Discard), tick); r.Cause != natzone.Streak || took != time.Second+Witness {
			t.Errorf("%q after %v", r.Cause, took)
		}
	})
}

// The probers of ten minutes, each started with some delay. The fault begins at every phase of a hand-over.
func TestAFaultAtTheHandOverOfTwoProbersIsFoundInTime(t *testing.T) {
	for phase := time.Duration(0); phase < 2500*time.Millisecond; phase += 50 * time.Millisecond {
		in(t, func(t *testing.T, w *world) {
			fault := 62*time.Second + phase
			w.dies(fault)
			p := w.prober(t, zone, io.Discard)
			verdicts := make(chan time.Duration, 3)
			for m := range 3 {
				go func() {
					tick := natzone.Tick{Time: w.begin.Add(time.Duration(m) * time.Minute)}
					pass(time.Until(tick.Time) + time.Duration(m)*700*time.Millisecond)
					if r, _ := run(t, p, tick); r.Cause != natzone.None {
						verdicts <- time.Since(w.begin)
					} else {
						verdicts <- time.Hour
					}
				}()
			}
			first := min(<-verdicts, <-verdicts, <-verdicts)
			if late := first - fault; late > 1500*time.Millisecond+Witness {
				t.Errorf("phase %v: %v after the fault", phase, late)
			}
		})
	}
}

func TestRoundsGoOnWithoutAGapAndOneAtATimeFromProberToProber(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		p := w.prober(t, zone, io.Discard)
		var wg sync.WaitGroup
		for m := range 10 {
			wg.Go(func() {
				tick := natzone.Tick{Time: w.begin.Add(time.Duration(m) * time.Minute)}
				pass(time.Until(tick.Time) + time.Duration(m%4)*900*time.Millisecond)
				run(t, p, tick)
			})
		}
		wg.Wait()
		if len(w.starts) != 10*240 {
			t.Errorf("%d rounds, want 2400", len(w.starts))
		}
		for i, at := range w.starts {
			if want := natzone.SlotLead + time.Duration(i)*250*time.Millisecond; at != want {
				t.Fatalf("round %d at %v, want %v", i, at, want)
			}
		}
	})
}

func TestAProberThatSeesLossStaysForItsVerdict(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		var n atomic.Int32
		w.broken = func(after time.Duration) bool { // from 8 s before the end, half of the attempts fail
			return n.Add(1)%2 == 0 && after > 55*time.Second
		}
		r, took := run(t, w.prober(t, zone, io.Discard), natzone.Tick{Time: w.begin})
		if r.Cause != natzone.Partial || took < 61*time.Second || took > 65*time.Second {
			t.Errorf("%q after %v", r.Cause, took)
		}
	})
	in(t, func(t *testing.T, w *world) {
		var n atomic.Int32
		w.broken = func(time.Duration) bool { return n.Add(1)%5 == 0 } // 20 %: never clean, never a verdict
		r, took := run(t, w.prober(t, zone, io.Discard), natzone.Tick{Time: w.begin})
		if r.Cause != natzone.None || took < 73*time.Second || took > 74*time.Second {
			t.Errorf("%q after %v", r.Cause, took)
		}
	})
}

func TestTheEconomyPresetProbesForItsBurst(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		c := zone
		c.Detection = natzone.EconomyDetection()
		pass(300 * time.Millisecond)
		r, took := run(t, w.prober(t, c, io.Discard), natzone.Tick{Time: w.begin})
		if r.Rounds != 96 || took > 25*time.Second {
			t.Errorf("%d rounds in %v", r.Rounds, took)
		}
	})
}

func TestTheFunctionsTimeoutEndsTheMinuteWithAReport(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		w.broken = func(after time.Duration) bool { return after > 19*time.Second }
		r := w.prober(t, zone, io.Discard).Run(ctx, natzone.Tick{Time: w.begin})
		if r.Rounds == 0 || ctx.Err() != nil {
			t.Errorf("%+v, %v", r, ctx.Err())
		}
	})
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	for want, change := range map[string]func(*natzone.Prober){
		"targets: none":     func(c *natzone.Prober) { c.Targets = nil },
		`target: "a.exam`:   func(c *natzone.Prober) { c.Targets = []natzone.Target{"a.example"} },
		"failed at least 2": func(c *natzone.Prober) { c.Detection.Failed = 1 },
		"at most of":        func(c *natzone.Prober) { c.Detection.Of = 2 },
		"must be positive":  func(c *natzone.Prober) { c.Detection.Interval = 0 },
	} {
		c := zone
		change(&c)
		_, err := New(c, nil, io.Discard, slog.Default())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), natzone.ProberVariable) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
