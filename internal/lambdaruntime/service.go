package lambdaruntime

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Sizes of payloads in bytes.
const (
	maxPayload      = 6 << 20 // a synchronous request, and every response
	maxAsyncPayload = 1 << 20
)

// Unreserved is how much of an account's concurrency no function can reserve; where there is less in all, that.
const Unreserved = 100

// Options of a [Service]. The zero value is a service with AWS's own timing.
type Options struct {
	// Region and Account of the ARNs; "us-east-1" and "123456789012" if empty.
	Region, Account string
	// Retry is the timing of asynchronous invocations.
	Retry Retry
	// Concurrency of the account, of which [Unreserved] cannot be reserved; 1,000 if zero.
	Concurrency int
	// QueueDelay before an accepted event is run for the first time, and DestinationDelay before a record is delivered. AWS
	// documents neither, and neither is zero there.
	QueueDelay, DestinationDelay time.Duration
	// Log takes every line that a function writes, and what the service has to say of it. It may be called from several
	// goroutines at once.
	Log func(function, line string)
	// Observe takes a report of every run, when it has ended. It may be called from several goroutines at once.
	Observe func(Report)
}

// Retry is the timing of asynchronous invocations that could not be run, or failed.
type Retry struct {
	// Throttled is how long a throttled event waits; twice as long after every further throttle, up to ThrottledMax. 1 s and
	// 5 min if zero.
	Throttled, ThrottledMax time.Duration
	// Failed is how long a failed event waits for its second run, and twice that for the third. 1 min if zero.
	Failed time.Duration
}

// Report of one run of a function.
type Report struct {
	Function, RequestID string
	// Cold says that an environment was started for it; Init is how long that took.
	Cold bool
	Init time.Duration
	// Duration of the run itself.
	Duration time.Duration
	// MaxMemory is the environment's peak resident memory in bytes so far; 0 where the system does not tell.
	MaxMemory int64
	// FunctionError is empty after a success.
	FunctionError string
}

// Response of a run.
type Response struct {
	RequestID string
	// Payload is what the function answered, or the JSON description of its error.
	Payload []byte
	// FunctionError is "Unhandled" if the function failed, timed out or exited; else empty.
	FunctionError string
}

// Error is a refusal of the Lambda API: the function has not run.
type Error struct {
	// Code as the API spells it, such as "ResourceNotFoundException".
	Code, Message string
	// Status of HTTP.
	Status int
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Service is the Lambda service. Create with [New]; it has to be closed.
type Service struct {
	options Options
	launch  func(*function, string) (process, error) // replaced by tests

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wg   sync.WaitGroup // everything that outlives a call

	mu        sync.Mutex
	functions map[string]*function
	closed    bool
	reserved  int // concurrency of functions
	unlimited int // runs of functions without reserved concurrency
}

// New makes a service without functions.
func New(o Options) *Service {
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Account == "" {
		o.Account = "123456789012"
	}
	if o.Log == nil {
		o.Log = func(string, string) {}
	}
	if o.Observe == nil {
		o.Observe = func(Report) {}
	}
	if o.Concurrency == 0 {
		o.Concurrency = 1000
	}
	if o.Retry.Throttled == 0 {
		o.Retry.Throttled = time.Second
	}
	if o.Retry.ThrottledMax == 0 {
		o.Retry.ThrottledMax = 5 * time.Minute
	}
	if o.Retry.Failed == 0 {
		o.Retry.Failed = time.Minute
	}
	s := &Service{options: o, functions: map[string]*function{}}
	s.launch = s.exec
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Create deploys a function; its schedule starts.
func (s *Service) Create(f Function) error {
	if err := f.validate(); err != nil {
		return fmt.Errorf("function %s: %w", f.Name, err)
	}
	fn := &function{Function: f.withDefaults(), service: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.functions[f.Name]; taken {
		return &Error{Code: "ResourceConflictException", Message: "Function already exist: " + f.Name, Status: http.StatusConflict}
	}
	if s.closed {
		return errClosed()
	}
	if n := f.ReservedConcurrency; n != nil {
		least := min(Unreserved, s.options.Concurrency)
		if *n > 0 && s.reserved+*n > s.options.Concurrency-least {
			return &Error{
				Code: "InvalidParameterValueException", Status: http.StatusBadRequest,
				Message: fmt.Sprintf("Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].", least),
			}
		}
		s.reserved += *n
	}
	s.functions[f.Name] = fn
	if f.Schedule != nil {
		s.wg.Go(fn.tick)
	}
	return nil
}

// Invoke runs a function and waits for its answer (RequestResponse). What the function does wrong is in the Response; an
// error of type [*Error] says that it has not run. When ctx ends, the function runs on, as it does in AWS.
func (s *Service) Invoke(ctx context.Context, name string, payload []byte) (Response, error) {
	fn, payload, err := s.accept(name, payload, maxPayload)
	if err != nil {
		return Response{}, err
	}
	type result struct {
		response Response
		err      error
	}
	done := make(chan result, 1)
	if !s.spawn(func() {
		r, err := fn.run(requestID(), payload)
		done <- result{r, err}
	}) {
		return Response{}, errClosed()
	}
	select {
	case r := <-done:
		return r.response, r.err
	case <-ctx.Done():
		return Response{}, ctx.Err()
	}
}

// InvokeAsync queues an event (Event) and returns the id of its request.
func (s *Service) InvokeAsync(name string, payload []byte) (string, error) {
	fn, payload, err := s.accept(name, payload, maxAsyncPayload)
	if err != nil {
		return "", err
	}
	id := requestID()
	fn.queued.Add(1)
	if !s.spawn(func() {
		defer fn.queued.Add(-1)
		fn.process(id, payload)
	}) {
		fn.queued.Add(-1)
		return "", errClosed()
	}
	return id, nil
}

// To is a destination: another function of this service, invoked asynchronously with the record.
func (s *Service) To(name string) Destination {
	return func(_ context.Context, r Record) error {
		payload, err := json.Marshal(r)
		if err != nil {
			return err
		}
		_, err = s.InvokeAsync(name, payload)
		return err
	}
}

// ARN of a function.
func (s *Service) ARN(name string) string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", s.options.Region, s.options.Account, name)
}

// Close ends all schedules, queues and processes, and returns when they have ended. Queued events are lost.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.wg.Wait()
	for _, fn := range s.functions {
		fn.closeIdle()
	}
}

// spawn runs f unless the service is closed.
func (s *Service) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Go(f)
	return true
}

// accept finds the function and checks the payload; none is an empty object.
func (s *Service) accept(name string, payload []byte, limit int) (*function, []byte, error) {
	s.mu.Lock()
	fn := s.functions[name]
	s.mu.Unlock()
	switch {
	case fn == nil:
		return nil, nil, &Error{Code: "ResourceNotFoundException", Message: "Function not found: " + s.ARN(name), Status: http.StatusNotFound}
	case len(payload) > limit:
		return nil, nil, &Error{Code: "RequestTooLargeException", Message: fmt.Sprintf("%d byte payload is too large (limit %d)", len(payload), limit), Status: http.StatusRequestEntityTooLarge}
	case len(payload) > 0 && !json.Valid(payload):
		return nil, nil, &Error{Code: "InvalidRequestContentException", Message: "Could not parse request body into json", Status: http.StatusBadRequest}
	case len(payload) == 0:
		payload = []byte("{}")
	}
	return fn, payload, nil
}

// sleep reports whether the service is still open after d.
func (s *Service) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

func errClosed() error {
	return &Error{Code: "ServiceException", Message: "the service is closed", Status: http.StatusInternalServerError}
}

// requestID is a random UUID.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
