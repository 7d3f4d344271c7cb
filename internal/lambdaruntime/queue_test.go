package lambdaruntime

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// These tests run the queue on the fake clock of synctest: a minute passes at once. The runtime is a goroutine instead of a
// process, on an in-memory listener; everything between is the real thing.

// pipe is an in-memory listener.
type pipe struct {
	connections chan net.Conn
	closed      chan struct{}
}

func newPipe() *pipe { return &pipe{make(chan net.Conn), make(chan struct{})} }

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipe) Close() error   { close(p.closed); return nil }
func (p *pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipe) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.connections <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// goroutine is a runtime whose handler is a Go function.
type goroutine struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (g *goroutine) exited() <-chan struct{} { return g.done }
func (g *goroutine) exitError() error        { return nil }
func (g *goroutine) kill()                   { g.cancel() }
func (g *goroutine) freeze()                 {}
func (g *goroutine) thaw()                   {}
func (g *goroutine) maxMemory() int64        { return 0 }

type handler func(ctx context.Context, payload []byte) ([]byte, error)

func fake(p *pipe, h handler) *goroutine {
	ctx, cancel := context.WithCancel(context.Background())
	g := &goroutine{cancel: cancel, done: make(chan struct{})}
	transport := &http.Transport{DialContext: p.dial}
	call := func(method, path string, body []byte) (*http.Response, []byte, error) {
		r, err := http.NewRequestWithContext(ctx, method, "http://runtime/2018-06-01/runtime/invocation/"+path, bytes.NewReader(body))
		if err != nil {
			return nil, nil, err
		}
		response, err := transport.RoundTrip(r)
		if err != nil {
			return nil, nil, err
		}
		defer response.Body.Close()
		read, err := io.ReadAll(response.Body)
		return response, read, err
	}
	go func() {
		defer close(g.done)
		defer transport.CloseIdleConnections()
		for {
			response, payload, err := call(http.MethodGet, "next", nil)
			if err != nil {
				return
			}
			path := response.Header.Get("Lambda-Runtime-Aws-Request-Id") + "/response"
			answer, err := h(ctx, payload)
			if err != nil {
				path = response.Header.Get("Lambda-Runtime-Aws-Request-Id") + "/error"
				answer, _ = json.Marshal(map[string]string{"errorMessage": err.Error()})
			}
			if _, _, err := call(http.MethodPost, path, answer); err != nil {
				return
			}
		}
	}()
	return g
}

// simulate runs a service with one function in a bubble.
func simulate(t *testing.T, f Function, h handler, check func(*Service)) {
	t.Helper()
	simulateRuntime(t, f, func(p *pipe) process { return fake(p, h) }, check)
}

// simulateRuntime is simulate with a runtime of its own.
func simulateRuntime(t *testing.T, f Function, start func(*pipe) process, check func(*Service)) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		s := New(Options{})
		defer s.Close()
		var pipes []*pipe
		f.Name, f.Bootstrap = "f", "in memory"
		f.Listen = func() (net.Listener, error) {
			pipes = append(pipes, newPipe())
			return pipes[len(pipes)-1], nil
		}
		s.launch = func(*function, string) (process, error) { return start(pipes[len(pipes)-1]), nil }
		if err := s.Create(f); err != nil {
			t.Fatal(err)
		}
		check(s)
	})
}

type failing struct{}

func (failing) Error() string { return "no" }

func TestAFailedEventIsRunAgainAfterOneAndTwoMinutes(t *testing.T) {
	var begin time.Time
	var runs []time.Duration
	var record *Record
	var ended time.Duration
	simulate(t, Function{OnFailure: func(_ context.Context, r Record) error {
		record, ended = &r, time.Since(begin)
		return nil
	}}, func(context.Context, []byte) ([]byte, error) {
		runs = append(runs, time.Since(begin))
		return nil, failing{}
	}, func(s *Service) {
		begin = time.Now()
		if _, err := s.InvokeAsync("f", []byte(`{"a":1}`)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) //nolint:forbidigo // of the fake clock
	})
	if diff := cmp.Diff([]time.Duration{0, time.Minute, 3 * time.Minute}, runs); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	if record == nil || record.RequestContext.Condition != RetriesExhausted || record.RequestContext.ApproximateInvokeCount != 3 ||
		string(record.RequestPayload) != `{"a":1}` || string(record.ResponsePayload) != `{"errorMessage":"no"}` ||
		record.ResponseContext.FunctionError != "Unhandled" || ended != 3*time.Minute {
		t.Errorf("after %s: record %+v", ended, record)
	}
}

func TestAThrottledEventComesBackAfterOneSecondThenLater(t *testing.T) {
	one := 1
	var begin time.Time
	var runs []time.Duration
	simulate(t, Function{ReservedConcurrency: &one, Timeout: time.Minute}, func(context.Context, []byte) ([]byte, error) {
		runs = append(runs, time.Since(begin))
		time.Sleep(4 * time.Second) //nolint:forbidigo // of the fake clock
		return []byte("{}"), nil
	}, func(s *Service) {
		begin = time.Now()
		for range 2 {
			if _, err := s.InvokeAsync("f", nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		time.Sleep(time.Hour) //nolint:forbidigo // of the fake clock
	})
	// Throttled at 0, 1 and 3 s; the first has ended at 4 s.
	if diff := cmp.Diff([]time.Duration{0, 7 * time.Second}, runs); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
}

func TestALongQueueIsReadMoreSlowly(t *testing.T) {
	var begin time.Time
	waited := map[string]time.Duration{}
	simulate(t, Function{Timeout: time.Minute}, func(_ context.Context, payload []byte) ([]byte, error) {
		waited[string(payload)] = time.Since(begin)
		return nil, nil
	}, func(s *Service) {
		begin = time.Now()
		for range 499 { // they all wait, at most for as long as the last
			s.functions["f"].queued.Add(1)
		}
		if _, err := s.InvokeAsync("f", []byte(`"last"`)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // of the fake clock
		synctest.Wait()
		s.functions["f"].queued.Store(0)
		begin = time.Now()
		if _, err := s.InvokeAsync("f", []byte(`"alone"`)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // of the fake clock
	})
	if diff := cmp.Diff(map[string]time.Duration{`"last"`: 5 * time.Second, `"alone"`: 0}, waited); diff != "" {
		t.Errorf("waited (-want +got):\n%s", diff)
	}
}

func TestFunctionsWithoutReservationShareWhatTheAccountHasLeft(t *testing.T) {
	simulate(t, Function{Timeout: time.Minute}, func(context.Context, []byte) ([]byte, error) {
		time.Sleep(time.Second) //nolint:forbidigo // of the fake clock
		return nil, nil
	}, func(s *Service) {
		s.options.Concurrency = 2
		var throttled int
		answers := make(chan error, 3)
		for range 3 {
			go func() { _, err := s.Invoke(context.Background(), "f", nil); answers <- err }()
			synctest.Wait()
		}
		for range 3 {
			if err := <-answers; err != nil {
				throttled++
			}
		}
		if throttled != 1 {
			t.Errorf("%d of 3 runs were throttled where two may run at once", throttled)
		}
		if _, err := s.Invoke(context.Background(), "f", nil); err != nil {
			t.Errorf("after they have ended: %v", err)
		}
		for quota, least := range map[int]string{10: "[10]", 102: "[100]"} {
			s.options.Concurrency = quota
			three := 3
			err := s.Create(Function{Name: "g", Bootstrap: "in memory", ReservedConcurrency: &three})
			if err == nil || !strings.Contains(err.Error(), "UnreservedConcurrentExecution below its minimum value of "+least) {
				t.Errorf("quota %d: %v", quota, err)
			}
		}
	})
}

func TestAnOldEventIsGivenUp(t *testing.T) {
	one, none := 1, 0
	var records []Record
	note := func(_ context.Context, r Record) error {
		records = append(records, r)
		return nil
	}
	simulate(t, Function{ReservedConcurrency: &one, MaximumEventAge: time.Minute, Timeout: 10 * time.Minute, MaximumRetryAttempts: &none, OnFailure: note},
		func(context.Context, []byte) ([]byte, error) {
			time.Sleep(9 * time.Minute) //nolint:forbidigo // of the fake clock
			return []byte("{}"), nil
		}, func(s *Service) {
			for _, payload := range []string{"1", "2"} {
				if _, err := s.InvokeAsync("f", []byte(payload)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			time.Sleep(time.Hour) //nolint:forbidigo // of the fake clock
		})
	if len(records) != 1 || records[0].RequestContext.Condition != EventAgeExceeded || records[0].RequestContext.ApproximateInvokeCount != 0 ||
		records[0].ResponseContext != nil || string(records[0].RequestPayload) != "2" {
		t.Errorf("records %+v", records)
	}
}

func TestAReservedConcurrencyOfZeroTurnsAFunctionOff(t *testing.T) {
	zero := 0
	var records []Record
	simulate(t, Function{ReservedConcurrency: &zero, OnFailure: func(_ context.Context, r Record) error {
		records = append(records, r)
		return nil
	}}, func(context.Context, []byte) ([]byte, error) {
		t.Error("a function that is off has run")
		return nil, nil
	}, func(s *Service) {
		if _, err := s.InvokeAsync("f", nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	})
	if len(records) != 1 {
		t.Errorf("records %+v", records)
	}
}

func TestAScheduleTicksOnTheMinute(t *testing.T) {
	var at []time.Time
	var events []scheduledEvent
	simulate(t, Function{Schedule: &Schedule{
		Phase: 10 * time.Second,
		Deliveries: func(tick time.Time) []time.Duration { // the third is lost, the fourth late and doubled
			switch tick.Minute() {
			case 2:
				return nil
			case 3:
				return []time.Duration{5 * time.Second, 6 * time.Second}
			}
			return []time.Duration{0}
		},
	}}, func(_ context.Context, payload []byte) ([]byte, error) {
		var e scheduledEvent
		if err := json.Unmarshal(payload, &e); err != nil {
			t.Error(err)
		}
		at, events = append(at, time.Now().UTC()), append(events, e)
		return nil, nil
	}, func(*Service) {
		time.Sleep(4 * time.Minute) //nolint:forbidigo // of the fake clock
	})
	var times []string
	for i, e := range events {
		times = append(times, at[i].Format("04:05")+" of "+e.Time)
		if e.Source != "aws.events" || e.DetailType != "Scheduled Event" || e.Version != "0" {
			t.Errorf("event %+v", e)
		}
	}
	want := []string{ // synctest begins at midnight, 1 January 2000
		"00:10 of 2000-01-01T00:00:10Z", "01:10 of 2000-01-01T00:01:10Z",
		"03:15 of 2000-01-01T00:03:10Z", "03:16 of 2000-01-01T00:03:10Z",
	}
	if diff := cmp.Diff(want, times); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestEachRunHasAnEnvironmentOfItsOwn(t *testing.T) {
	var mu sync.Mutex
	running, most := 0, 0
	count := func(by int) {
		mu.Lock()
		defer mu.Unlock()
		running += by
		most = max(most, running)
	}
	var reports []Report
	simulate(t, Function{Timeout: time.Minute}, func(context.Context, []byte) ([]byte, error) {
		count(1)
		time.Sleep(time.Second) //nolint:forbidigo // of the fake clock
		count(-1)
		return nil, nil
	}, func(s *Service) {
		s.options.Observe = func(r Report) {
			mu.Lock()
			defer mu.Unlock()
			reports = append(reports, r)
		}
		for range 2 {
			for range 3 {
				if _, err := s.InvokeAsync("f", nil); err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // so that the handlers do not race
			}
			time.Sleep(time.Minute) //nolint:forbidigo // of the fake clock
		}
	})
	cold := slices.DeleteFunc(slices.Clone(reports), func(r Report) bool { return !r.Cold })
	if most != 3 || len(reports) != 6 || len(cold) != 3 {
		t.Errorf("%d at once, %d runs of which %d cold", most, len(reports), len(cold))
	}
}

// raw is a runtime that makes the calls of script, which gets the client of its Runtime API.
func raw(p *pipe, script func(call func(method, path, body string) (int, string))) *goroutine {
	ctx, cancel := context.WithCancel(context.Background())
	g := &goroutine{cancel: cancel, done: make(chan struct{})}
	transport := &http.Transport{DialContext: p.dial}
	go func() {
		defer close(g.done)
		defer transport.CloseIdleConnections()
		script(func(method, path, body string) (int, string) {
			r, err := http.NewRequestWithContext(ctx, method, "http://runtime/2018-06-01/runtime/"+path, strings.NewReader(body))
			if err != nil {
				return 0, err.Error()
			}
			response, err := transport.RoundTrip(r)
			if err != nil {
				return 0, err.Error()
			}
			defer response.Body.Close()
			read, err := io.ReadAll(response.Body)
			if err != nil {
				return 0, err.Error()
			}
			return response.StatusCode, response.Header.Get("Lambda-Runtime-Aws-Request-Id") + string(read)
		})
	}()
	return g
}

func TestTheRuntimeAPIRefusesWhatItWouldNotTake(t *testing.T) {
	var statuses []int
	simulateRuntime(t, Function{Timeout: time.Minute}, func(p *pipe) process {
		return raw(p, func(call func(string, string, string) (int, string)) {
			note := func(status int, _ string) { statuses = append(statuses, status) }
			_, id := call(http.MethodGet, "invocation/next", "")
			id = strings.TrimSuffix(id, "{}")
			note(call(http.MethodPost, "invocation/another/response", "1"))
			note(call(http.MethodPost, "invocation/"+id+"/response", strings.Repeat("x", maxPayload+1)))
			note(call(http.MethodPost, "invocation/"+id+"/response", "2"))
			note(call(http.MethodPost, "invocation/"+id+"/response", "3"))
		})
	}, func(s *Service) {
		response, err := s.Invoke(context.Background(), "f", nil)
		if err != nil || string(response.Payload) != "2" {
			t.Errorf("answer %s, %v", response.Payload, err)
		}
		synctest.Wait()
	})
	if diff := cmp.Diff([]int{400, 413, 202, 400}, statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestARuntimeThatCannotStartSaysWhy(t *testing.T) {
	silent := false
	simulateRuntime(t, Function{}, func(p *pipe) process {
		return raw(p, func(call func(string, string, string) (int, string)) {
			if !silent {
				call(http.MethodPost, "init/error", `{"errorMessage":"no configuration"}`)
			}
			time.Sleep(time.Hour) //nolint:forbidigo // of the fake clock
		})
	}, func(s *Service) {
		for _, want := range []string{"no configuration", "did not initialize in time"} {
			response, err := s.Invoke(context.Background(), "f", nil)
			if err != nil || response.FunctionError == "" || !strings.Contains(string(response.Payload), want) {
				t.Errorf("answer %s, %v, want %q", response.Payload, err, want)
			}
			silent = true
		}
	})
}
