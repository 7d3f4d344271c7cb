package lambdaruntime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// initTimeout is how long a runtime may take until it asks for its first invocation.
const initTimeout = 10 * time.Second

// environment is one execution environment: a process and the Runtime API that it talks to, on a listener of its own.
type environment struct {
	function *function
	process  process
	server   *http.Server
	served   chan struct{} // closed when the server has ended

	ready chan struct{}    // the runtime asks for an invocation
	next  chan *invocation // hands it over
	init  chan outcome     // the runtime reported that it cannot start

	mu      sync.Mutex
	current *invocation
}

// invocation is handed to the runtime and answered by it.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	done     chan outcome // takes one
}

// start makes an environment. It is returned with an error too, if there is something to close.
func (f *function) start() (*environment, error) {
	listener, err := f.Listen()
	if err != nil {
		return nil, fmt.Errorf("listener of the runtime API: %w", err)
	}
	e := &environment{
		function: f,
		served:   make(chan struct{}),
		ready:    make(chan struct{}, 1),
		next:     make(chan *invocation),
		init:     make(chan outcome, 1),
	}
	e.server = &http.Server{Handler: e.routes(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(e.served)
		_ = e.server.Serve(listener) // ends with close
	}()
	e.process, err = f.service.launch(f, listener.Addr().String())
	if err != nil {
		_ = e.server.Close()
		<-e.served
		return nil, err
	}
	return e, nil
}

func (e *environment) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", e.serveNext)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) {
		e.serveAnswer(w, r, "")
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) {
		e.serveAnswer(w, r, "Unhandled")
	})
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload))
		if err == nil {
			select {
			case e.init <- outcome{payload: body, functionError: "Unhandled"}:
			default:
			}
		}
		accepted(w)
	})
	return mux
}

func (e *environment) serveNext(w http.ResponseWriter, r *http.Request) {
	select {
	case e.ready <- struct{}{}:
	default: // asked twice
	}
	select {
	case i := <-e.next:
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", i.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", e.function.service.ARN(e.function.Name))
		h.Set("Lambda-Runtime-Trace-Id", fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=0", time.Now().Unix(), hex(12), hex(8)))
		h.Set("Content-Type", "application/json")
		_, _ = w.Write(i.payload) // a runtime that went away shows in its exit
	case <-r.Context().Done():
	}
}

func (e *environment) serveAnswer(w http.ResponseWriter, r *http.Request, functionError string) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	switch {
	case err != nil:
		refused(w, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	case len(body) > maxPayload:
		refused(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size (6291556 bytes).")
		return
	}
	e.mu.Lock()
	i := e.current
	if i != nil && i.id == r.PathValue("id") {
		e.current = nil
	} else {
		i = nil
	}
	e.mu.Unlock()
	if i == nil {
		refused(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	i.done <- outcome{payload: body, functionError: functionError}
	accepted(w)
}

func accepted(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func refused(w http.ResponseWriter, status int, errorType, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(failure(errorType, "%s", message).payload)
}

// awaitReady waits until the runtime asks for an invocation.
func (e *environment) awaitReady(limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-e.ready:
		return nil
	case o := <-e.init:
		return fmt.Errorf("init error: %s", o.payload)
	case <-e.process.exited():
		return fmt.Errorf("runtime exited without asking for an invocation: %w", exitReason(e.process))
	case <-timer.C:
		return errInit
	case <-e.function.service.ctx.Done():
		return errClosed()
	}
}

// invoke has the runtime run one invocation, and says whether the environment can be used again. The runtime is ready.
func (e *environment) invoke(id string, payload []byte) (outcome, bool) {
	e.process.thaw()
	timeout := e.function.Timeout
	i := &invocation{id: id, payload: payload, deadline: time.Now().Add(timeout), done: make(chan outcome, 1)}
	e.mu.Lock()
	e.current = i
	e.mu.Unlock()
	ctx, cancel := context.WithDeadline(e.function.service.ctx, i.deadline)
	defer cancel()

	select {
	case e.next <- i:
	case <-e.process.exited():
		return e.broken(ctx, id), false
	case <-ctx.Done():
		return e.broken(ctx, id), false
	}
	var o outcome
	select {
	case o = <-i.done:
	case <-e.process.exited():
		select {
		case o = <-i.done: // the answer came first
			return o, false
		default:
			return e.broken(ctx, id), false
		}
	case <-ctx.Done():
		return e.broken(ctx, id), false
	}
	// The invocation lasts until the runtime asks for the next one. The answer stands in any case.
	select {
	case <-e.ready:
		e.process.freeze()
		return o, true
	case <-e.process.exited():
		return o, false
	case <-ctx.Done():
		return o, false
	}
}

// broken describes an invocation that got no answer.
func (e *environment) broken(ctx context.Context, id string) outcome {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return failure("Sandbox.Timedout", "RequestId: %s Error: Task timed out after %.2f seconds", id, e.function.Timeout.Seconds())
	case ctx.Err() != nil:
		return failure("Sandbox.Shutdown", "RequestId: %s Error: the service is closed", id)
	default:
		return failure("Runtime.ExitError", "RequestId: %s Error: Runtime exited with error: %v", id, exitReason(e.process))
	}
}

func (e *environment) alive() bool {
	select {
	case <-e.process.exited():
		return false
	default:
		return true
	}
}

// close ends the process and the listener, and returns when both have ended.
func (e *environment) close() {
	e.process.kill()
	<-e.process.exited()
	_ = e.server.Close() // nothing to save
	<-e.served
}

func exitReason(p process) error {
	if err := p.exitError(); err != nil {
		return err
	}
	return errors.New("exit status 0")
}
