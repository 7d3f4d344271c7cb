package lambdaruntime

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// function is a deployed Function and its environments.
type function struct {
	Function
	service *Service

	queued  atomic.Int64 // events in the queue, or running
	mu      sync.Mutex
	running int            // invocations, each with an environment of its own
	idle    []*environment // the one used last is last, and is used first
	started int            // environments so far
}

// run carries out one invocation, in an idle environment or a new one. The error is a throttle.
func (f *function) run(id string, payload []byte) (Response, error) {
	e, err := f.acquire()
	if err != nil {
		return Response{}, err
	}
	report := Report{Function: f.Name, RequestID: id, Cold: e == nil}
	begin := time.Now()
	if e == nil {
		if e, err = f.start(); err == nil {
			err = e.awaitReady(initTimeout)
		}
		report.Init = time.Since(begin)
	}
	var outcome outcome
	reusable := false
	if err == nil {
		begin = time.Now()
		outcome, reusable = e.invoke(id, payload)
		report.Duration = time.Since(begin)
		report.MaxMemory = e.process.maxMemory()
	} else {
		outcome = failure("Runtime.ExitError", "RequestId: %s Error: %v", id, err)
	}
	f.release(e, reusable)
	report.FunctionError = outcome.functionError
	f.service.options.Observe(report)
	return Response{RequestID: id, Payload: outcome.payload, FunctionError: outcome.functionError}, nil
}

func (f *function) acquire() (*environment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	throttled := func(reason string) error {
		return &Error{Code: "TooManyRequestsException", Status: http.StatusTooManyRequests, Message: "Rate Exceeded: " + reason}
	}
	if limit := f.ReservedConcurrency; limit != nil && f.running >= *limit {
		return nil, throttled(reasonReserved)
	}
	if !f.service.share(f, 1) {
		return nil, throttled(reasonAccount)
	}
	f.running++
	// An environment whose process has ended while it was idle is no use.
	for len(f.idle) > 0 {
		e := f.idle[len(f.idle)-1]
		f.idle = f.idle[:len(f.idle)-1]
		if e.alive() {
			return e, nil
		}
		e.close()
	}
	return nil, nil
}

// Reasons of a throttle.
const (
	reasonReserved = "ReservedFunctionConcurrentInvocationLimitExceeded"
	reasonAccount  = "ConcurrentInvocationLimitExceeded"
)

// share takes a run of a function from what nobody has reserved, or gives it back, and says whether there is one.
func (s *Service) share(f *function, by int) bool {
	if f.ReservedConcurrency != nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if by > 0 && s.unlimited >= s.options.Concurrency-s.reserved {
		return false
	}
	s.unlimited += by
	return true
}

func (f *function) release(e *environment, reusable bool) {
	if e != nil && !reusable {
		e.close()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
	f.service.share(f, -1)
	if e != nil && reusable {
		f.idle = append(f.idle, e)
	}
}

func (f *function) closeIdle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.idle {
		e.close()
	}
	f.idle = nil
}

// outcome of a run: an answer, or the JSON of an error and "Unhandled".
type outcome struct {
	payload       []byte
	functionError string
}

func failure(errorType, format string, args ...any) outcome {
	payload, _ := json.Marshal(struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}{errorType, fmt.Sprintf(format, args...)})
	return outcome{payload: payload, functionError: "Unhandled"}
}

// errInit is what a process that never asked for its first invocation ends with.
var errInit = errors.New("runtime did not initialize in time")
