package lambdaruntime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"polynat/internal/lambdaruntime"
)

func budget(deadline time.Time) float64 { return time.Until(deadline).Seconds() }

func serve(t *testing.T, o lambdaruntime.Options, functions ...lambdaruntime.Function) *lambdaruntime.Service {
	t.Helper()
	s := lambdaruntime.New(o)
	t.Cleanup(s.Close)
	for _, f := range functions {
		if err := s.Create(f); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func function(t *testing.T, name string) lambdaruntime.Function {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return lambdaruntime.Function{
		Name: name, Bootstrap: self, Timeout: time.Minute,
		Env: map[string]string{bootstrap: "1", "OWN": "of " + name},
	}
}

func payload(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func invoke(t *testing.T, s *lambdaruntime.Service, name string, r request) (answer, lambdaruntime.Response) {
	t.Helper()
	response, err := s.Invoke(t.Context(), name, payload(t, r))
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if response.FunctionError == "" {
		if err := json.Unmarshal(response.Payload, &a); err != nil {
			t.Fatalf("answer %s: %v", response.Payload, err)
		}
	}
	return a, response
}

func number(n int) *int { return &n }

func TestAFunctionIsRunWithWhatLambdaGivesIt(t *testing.T) {
	s := serve(t, lambdaruntime.Options{Region: "eu-west-1"}, function(t, "echo"))
	a, r := invoke(t, s, "echo", request{Value: "hello"})
	if a.Value != "hello" || a.ID != r.RequestID || a.ARN != "arn:aws:lambda:eu-west-1:123456789012:function:echo" {
		t.Errorf("answer %+v", a)
	}
	if a.Env["AWS_REGION"] != "eu-west-1" || a.Env["AWS_LAMBDA_FUNCTION_NAME"] != "echo" || a.Env["OWN"] != "of echo" {
		t.Errorf("environment %v", a.Env)
	}
	if a.Budget <= 0 || a.Budget > 60 {
		t.Errorf("%g s left of a minute", a.Budget)
	}
}

func TestAnEnvironmentIsUsedAgainAndReported(t *testing.T) {
	var mu sync.Mutex
	var reports []lambdaruntime.Report
	s := serve(t, lambdaruntime.Options{Observe: func(r lambdaruntime.Report) {
		mu.Lock()
		defer mu.Unlock()
		reports = append(reports, r)
	}}, function(t, "echo"))
	first, _ := invoke(t, s, "echo", request{})
	second, _ := invoke(t, s, "echo", request{})
	if first.PID != second.PID {
		t.Errorf("processes %d and %d for two invocations in a row", first.PID, second.PID)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(reports) != 2 || !reports[0].Cold || reports[0].Init == 0 || reports[1].Cold || reports[1].Duration == 0 {
		t.Errorf("reports %+v", reports)
	}
}

func TestAnErrorOfTheFunctionIsItsAnswer(t *testing.T) {
	s := serve(t, lambdaruntime.Options{}, function(t, "echo"))
	first, _ := invoke(t, s, "echo", request{})
	_, r := invoke(t, s, "echo", request{Do: "fail", Value: "no way"})
	if r.FunctionError != "Unhandled" || !strings.Contains(string(r.Payload), `"errorMessage":"no way"`) {
		t.Errorf("%s %s", r.FunctionError, r.Payload)
	}
	if again, _ := invoke(t, s, "echo", request{}); again.PID != first.PID {
		t.Error("the environment was thrown away after an error that the runtime reported")
	}
}

func TestAnExitThrowsTheEnvironmentAway(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	s := serve(t, lambdaruntime.Options{Log: func(function, line string) {
		mu.Lock()
		defer mu.Unlock()
		log.WriteString(function + ": " + line + "\n")
	}}, function(t, "echo"))
	first, _ := invoke(t, s, "echo", request{})
	_, r := invoke(t, s, "echo", request{Do: "exit"})
	if r.FunctionError != "Unhandled" || !strings.Contains(string(r.Payload), "Runtime.ExitError") || !strings.Contains(string(r.Payload), "exit status 7") {
		t.Errorf("%s %s", r.FunctionError, r.Payload)
	}
	if again, _ := invoke(t, s, "echo", request{}); again.PID == first.PID {
		t.Error("the process answers after its exit")
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(log.String(), "echo: about to exit\n") {
		t.Errorf("log %q lacks the last line of the process", log.String())
	}
}

func TestATimeoutKillsTheProcess(t *testing.T) {
	f := function(t, "slow")
	f.Timeout = 200 * time.Millisecond
	var started []*exec.Cmd
	f.Start = func(c *exec.Cmd) error {
		started = append(started, c)
		return c.Start()
	}
	s := serve(t, lambdaruntime.Options{}, f)
	_, r := invoke(t, s, "slow", request{Do: "hang"})
	if !strings.Contains(string(r.Payload), "Sandbox.Timedout") || !strings.Contains(string(r.Payload), "Task timed out after 0.20 seconds") {
		t.Errorf("%s", r.Payload)
	}
	if len(started) != 1 || started[0].ProcessState == nil {
		t.Errorf("the process that timed out was not ended and waited for")
	}
	if a, _ := invoke(t, s, "slow", request{Value: "again"}); a.Value != "again" {
		t.Errorf("answer after the timeout: %+v", a)
	}
}

func TestReservedConcurrencyThrottles(t *testing.T) {
	f := function(t, "one")
	f.ReservedConcurrency = number(1)
	s := serve(t, lambdaruntime.Options{}, f)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	first := make(chan error, 1)
	go func() {
		_, err := s.Invoke(context.Background(), "one", payload(t, request{Do: "wait", Value: listener.Addr().String()}))
		first <- err
	}()
	running, err := listener.Accept() // now it holds the only environment
	if err != nil {
		t.Fatal(err)
	}
	var refused *lambdaruntime.Error
	if _, err := s.Invoke(t.Context(), "one", payload(t, request{})); !errors.As(err, &refused) {
		t.Errorf("a second invocation: %v", err)
	} else if refused.Code != "TooManyRequestsException" || refused.Status != 429 {
		t.Errorf("%+v", refused)
	}
	running.Close()
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestARecordReachesTheNextFunction(t *testing.T) {
	records := make(chan lambdaruntime.Record, 1)
	s := lambdaruntime.New(lambdaruntime.Options{})
	t.Cleanup(s.Close)
	prober, controller := function(t, "prober"), function(t, "controller")
	prober.OnSuccess = s.To("controller")
	controller.Bootstrap = prober.Bootstrap
	controller.OnSuccess = capture(records)
	for _, f := range []lambdaruntime.Function{prober, controller} {
		if err := s.Create(f); err != nil {
			t.Fatal(err)
		}
	}
	id, err := s.InvokeAsync("prober", payload(t, request{Value: "tick"}))
	if err != nil {
		t.Fatal(err)
	}
	outer := <-records
	var inner lambdaruntime.Record
	if err := json.Unmarshal(outer.RequestPayload, &inner); err != nil {
		t.Fatal(err)
	}
	if inner.Version != "1.0" || inner.RequestContext.RequestID != id || inner.RequestContext.Condition != lambdaruntime.Success ||
		inner.RequestContext.ApproximateInvokeCount != 1 ||
		inner.RequestContext.FunctionARN != "arn:aws:lambda:us-east-1:123456789012:function:prober:$LATEST" {
		t.Errorf("record %+v", inner)
	}
	if c := inner.ResponseContext; c == nil || c.StatusCode != 200 || c.ExecutedVersion != "$LATEST" || c.FunctionError != "" {
		t.Errorf("response context %+v", c)
	}
	var a answer
	if err := json.Unmarshal(inner.ResponsePayload, &a); err != nil || a.Value != "tick" {
		t.Errorf("response payload %s, %v", inner.ResponsePayload, err)
	}
}

func TestHooksPlaceProcessAndListener(t *testing.T) {
	f := function(t, "placed")
	listened := 0
	f.Listen = func() (net.Listener, error) {
		listened++
		return net.Listen("tcp", "127.0.0.1:0")
	}
	f.Start = func(c *exec.Cmd) error {
		c.Env = append(c.Env, "OWN=by the hook")
		return c.Start()
	}
	s := serve(t, lambdaruntime.Options{}, f)
	a, _ := invoke(t, s, "placed", request{})
	if listened != 1 || a.Env["OWN"] != "by the hook" {
		t.Errorf("%d listeners, environment %v", listened, a.Env)
	}
}

func TestWhatCannotStartFailsItsInvocation(t *testing.T) {
	missing := lambdaruntime.Function{Name: "missing", Bootstrap: filepath.Join(t.TempDir(), "bootstrap")}
	mute := function(t, "mute")
	mute.Bootstrap = "/bin/true"
	nowhere := function(t, "nowhere")
	nowhere.Listen = func() (net.Listener, error) { return nil, errors.New("no such namespace") }
	s := serve(t, lambdaruntime.Options{}, missing, mute, nowhere)
	for name, want := range map[string]string{
		"missing": "no such file", "mute": "exited without asking", "nowhere": "no such namespace",
	} {
		_, r := invoke(t, s, name, request{})
		if r.FunctionError == "" || !strings.Contains(string(r.Payload), want) {
			t.Errorf("%s: %s %s, want %q", name, r.FunctionError, r.Payload, want)
		}
	}
}

func TestRefusalsOfTheAPI(t *testing.T) {
	s := serve(t, lambdaruntime.Options{}, function(t, "echo"))
	for want, call := range map[string]func() error{
		"ResourceNotFoundException": func() error { _, err := s.Invoke(t.Context(), "none", nil); return err },
		"InvalidRequestContentException": func() error {
			_, err := s.Invoke(t.Context(), "echo", []byte("{"))
			return err
		},
		"RequestTooLargeException": func() error {
			_, err := s.InvokeAsync("echo", payload(t, strings.Repeat("x", 1<<20)))
			return err
		},
		"ResourceConflictException": func() error { return s.Create(function(t, "echo")) },
	} {
		var refused *lambdaruntime.Error
		if err := call(); !errors.As(err, &refused) || refused.Code != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := s.Create(lambdaruntime.Function{Timeout: time.Hour, MaximumRetryAttempts: number(3)}); err == nil ||
		!strings.Contains(err.Error(), "name: is empty") || !strings.Contains(err.Error(), "maximumRetryAttempts: 3") {
		t.Errorf("a function that cannot be: %v", err)
	}
}

func TestCloseEndsWhatRuns(t *testing.T) {
	f := function(t, "slow")
	started := make(chan *exec.Cmd, 1)
	f.Start = func(c *exec.Cmd) error {
		err := c.Start()
		started <- c
		return err
	}
	s := lambdaruntime.New(lambdaruntime.Options{})
	if err := s.Create(f); err != nil {
		t.Fatal(err)
	}
	if _, err := s.InvokeAsync("slow", payload(t, request{Do: "hang"})); err != nil {
		t.Fatal(err)
	}
	cmd := <-started
	s.Close()
	if cmd.ProcessState == nil {
		t.Error("a process outlives Close")
	}
	if _, err := s.Invoke(t.Context(), "slow", nil); err == nil {
		t.Error("a closed service runs functions")
	}
}

func capture(records chan<- lambdaruntime.Record) lambdaruntime.Destination {
	return func(_ context.Context, r lambdaruntime.Record) error {
		records <- r
		return nil
	}
}
