package api

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"polynat/internal/lambdaruntime"
	"polynat/internal/sim/aws"
)

// Call identifies a kind of calls: which operation of which service, and who asked for it.
type Call struct {
	// Service is "ec2", "autoscaling", "cloudwatch", "lambda", "sns" or "ssm".
	Service string
	// Action is the operation, such as "ReplaceRoute".
	Action string
	// Caller is the access key id of the request. [Metadata] gives an instance its id as access key id.
	Caller string
}

// Fault is what goes wrong with a call. The zero value is nothing.
type Fault struct {
	// Delay before anything is done.
	Delay time.Duration
	// Error is answered, and nothing done. See [Throttled].
	Error *aws.Error
	// Drop closes the connection without an answer, and nothing is done.
	Drop bool
	// Lost is like Drop, but after the call was carried out.
	Lost bool
}

// Throttled is the answer to a call above the rate limit. As all errors of EC2 that are no fault of the caller's, it is a 503.
func Throttled() *aws.Error {
	return &aws.Error{Code: "RequestLimitExceeded", Message: "Request limit exceeded.", Status: http.StatusServiceUnavailable}
}

// Invoker is the Lambda service; [lambdaruntime.Service] is one.
type Invoker interface {
	Invoke(ctx context.Context, function string, payload []byte) (lambdaruntime.Response, error)
	InvokeAsync(function string, payload []byte) (requestID string, err error)
}

// Server is the HTTP endpoint of all services. Create with [New].
type Server struct {
	// Fault, when set, says for each call what goes wrong with it. It may be called from several goroutines at once. Set it
	// before use.
	Fault func(Call) Fault

	services map[string]service // by the name in the credential scope

	mu     sync.Mutex
	counts map[Call]int
	served int
}

// service is one service's protocol.
type service interface {
	name() string
	// prepare reads a request: the action, and what carries it out.
	prepare(r *http.Request, body []byte) (action string, run func(context.Context) (any, error), err error)
	// answer and refuse write what came of it.
	answer(w http.ResponseWriter, requestID, action string, result any)
	refuse(w http.ResponseWriter, requestID string, e *aws.Error)
}

// New serves a cloud. Without an invoker, which may be nil, there is no Lambda service.
func New(cloud *aws.Cloud, functions Invoker) *Server {
	s := &Server{counts: map[Call]int{}, services: map[string]service{
		"ec2":         ec2Service(cloud),
		"autoscaling": autoScalingService(cloud),
		"monitoring":  cloudWatchService(cloud),
		"sns":         snsService(cloud),
		"ssm":         ssm{cloud},
	}}
	if functions != nil {
		s.services["lambda"] = functionService{functions}
	}
	return s
}

// Counts returns how often each call was made so far, failed ones included.
func (s *Server) Counts() map[Call]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	scope, caller := credential(r.Header.Get("Authorization"))
	service := s.services[scope]
	if service == nil {
		http.Error(w, fmt.Sprintf("service %q of the request's credential scope is not simulated", scope), http.StatusNotImplemented)
		return
	}
	body, err := readBody(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	action, run, err := service.prepare(r, body)
	call := Call{Service: service.name(), Action: action, Caller: caller}
	id := s.count(call)
	w.Header().Set("X-Amzn-Requestid", id)
	var fault Fault
	if s.Fault != nil {
		fault = s.Fault(call)
	}
	if fault.Delay > 0 && !sleep(r.Context(), fault.Delay) {
		return
	}
	var result any
	switch {
	case fault.Drop:
		panic(http.ErrAbortHandler) // how net/http is told to close the connection
	case fault.Error != nil:
		err = fault.Error
	case err == nil:
		result, err = run(r.Context())
	}
	if fault.Lost {
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		service.refuse(w, id, asError(err))
		return
	}
	service.answer(w, id, action, result)
}

// count notes a call and returns the id of its request.
func (s *Server) count(c Call) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[c]++
	s.served++
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", s.served>>32, s.served)
}

// credential reads the service and the access key id from a signature of version 4:
//
//	AWS4-HMAC-SHA256 Credential=<access key id>/<date>/<region>/<service>/aws4_request, SignedHeaders=…, Signature=…
func credential(authorization string) (service, accessKey string) {
	_, rest, _ := strings.Cut(authorization, "Credential=")
	scope, _, _ := strings.Cut(rest, ",")
	parts := strings.Split(strings.TrimSpace(scope), "/")
	if len(parts) != 5 {
		return "", ""
	}
	return parts[3], parts[0]
}

// readBody reads a request's body, which the clients compress when it is large.
func readBody(r *http.Request) ([]byte, error) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(r.Body); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(body, 16<<20))
}

// asError is what a refusal looks like on the wire; anything unforeseen is the service's fault.
func asError(err error) *aws.Error {
	var refused *aws.Error
	var function *lambdaruntime.Error
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &function):
		return &aws.Error{Code: function.Code, Message: function.Message, Status: function.Status}
	default:
		return &aws.Error{Code: "InternalFailure", Message: err.Error(), Status: http.StatusInternalServerError}
	}
}

// mistake is a refusal of what the client sent.
func mistake(code, format string, args ...any) error {
	return &aws.Error{Code: code, Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest}
}

// sleep reports whether ctx is still open after d.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
