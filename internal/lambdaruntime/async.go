package lambdaruntime

import (
	"encoding/json"
	"net/http"
	"time"
)

// Condition of an asynchronous invocation, in its [Record].
type Condition string

// Conditions.
const (
	Success          Condition = "Success"
	RetriesExhausted Condition = "RetriesExhausted"
	EventAgeExceeded Condition = "EventAgeExceeded"
)

// Record is what Lambda sends to the destination of an asynchronous invocation.
type Record struct {
	Version        string          `json:"version"`   // "1.0"
	Timestamp      time.Time       `json:"timestamp"` // UTC, milliseconds
	RequestContext RequestContext  `json:"requestContext"`
	RequestPayload json.RawMessage `json:"requestPayload"`
	// ResponseContext and ResponsePayload are missing if the function never ran.
	ResponseContext *ResponseContext `json:"responseContext,omitempty"`
	ResponsePayload json.RawMessage  `json:"responsePayload,omitempty"`
}

// RequestContext says which invocation a record is of.
type RequestContext struct {
	RequestID string `json:"requestId"`
	// FunctionARN with its version, ":$LATEST".
	FunctionARN            string    `json:"functionArn"`
	Condition              Condition `json:"condition"`
	ApproximateInvokeCount int       `json:"approximateInvokeCount"`
}

// ResponseContext says how the last run ended.
type ResponseContext struct {
	StatusCode      int    `json:"statusCode"`
	ExecutedVersion string `json:"executedVersion"`
	FunctionError   string `json:"functionError,omitempty"`
}

// process carries an event through the queue: runs it, again after a throttle or a failure, and reports the end.
func (f *function) process(id string, payload []byte) {
	s := f.service
	accepted := time.Now()
	if delay := s.options.QueueDelay + f.slower(s.options.Retry.Throttled) - s.options.Retry.Throttled; delay > 0 && !s.sleep(delay) {
		return
	}
	throttled := s.options.Retry.Throttled
	failed := s.options.Retry.Failed
	var last *Response
	for runs := 0; ; {
		// A reserved concurrency of zero turns the function off: its events end at once.
		off := f.ReservedConcurrency != nil && *f.ReservedConcurrency == 0
		response, err := f.run(id, payload)
		var wait time.Duration
		if err == nil {
			runs++
			last = &response
			if response.FunctionError == "" {
				f.report(f.OnSuccess, f.record(id, payload, Success, runs, last))
				return
			}
			if runs > f.retries() {
				f.report(f.OnFailure, f.record(id, payload, RetriesExhausted, runs, last))
				return
			}
			wait, failed = failed, 2*failed
		} else {
			if off {
				f.report(f.OnFailure, f.record(id, payload, RetriesExhausted, runs, last))
				return
			}
			wait, throttled = f.slower(throttled), min(2*throttled, s.options.Retry.ThrottledMax)
		}
		if age := time.Since(accepted); age+wait > f.MaximumEventAge {
			if s.sleep(f.MaximumEventAge - age) {
				f.report(f.OnFailure, f.record(id, payload, EventAgeExceeded, runs, last))
			}
			return
		}
		if !s.sleep(wait) {
			return
		}
	}
}

// long is how many events make a queue a long one. Lambda documents that it reads a long queue more slowly, and repeats later, but no
// figure: this one is a guess.
const long = 100

// slower is an interval of the queue: once more for each [long] of its events.
func (f *function) slower(interval time.Duration) time.Duration {
	return interval * time.Duration(1+f.queued.Load()/long)
}

func (f *function) record(id string, payload []byte, c Condition, runs int, last *Response) Record {
	r := Record{
		Version:   "1.0",
		Timestamp: time.Now().UTC().Truncate(time.Millisecond),
		RequestContext: RequestContext{
			RequestID:              id,
			FunctionARN:            f.service.ARN(f.Name) + ":$LATEST",
			Condition:              c,
			ApproximateInvokeCount: runs,
		},
		RequestPayload: jsonOrString(payload),
	}
	if last != nil {
		r.ResponseContext = &ResponseContext{StatusCode: http.StatusOK, ExecutedVersion: "$LATEST", FunctionError: last.FunctionError}
		r.ResponsePayload = jsonOrString(last.Payload)
	}
	return r
}

// report delivers a record; the destination is the caller's, and may be nil.
func (f *function) report(to Destination, r Record) {
	s := f.service
	if to == nil || s.ctx.Err() != nil || (s.options.DestinationDelay > 0 && !s.sleep(s.options.DestinationDelay)) {
		return
	}
	if err := to(s.ctx, r); err != nil {
		s.options.Log(f.Name, "destination of "+r.RequestContext.RequestID+": "+err.Error())
	}
}

// jsonOrString is a function's answer inside another document: as it is, or as a string if it is no JSON.
func jsonOrString(payload []byte) json.RawMessage {
	switch {
	case len(payload) == 0:
		return nil
	case json.Valid(payload):
		return payload
	}
	quoted, _ := json.Marshal(string(payload))
	return quoted
}
