package lambdaruntime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"time"
)

// Function is what is deployed. The zero value of every optional field is Lambda's own default.
type Function struct {
	Name string
	// Bootstrap is the path of the executable.
	Bootstrap string
	// Env is the function's environment. Credentials go here too: AWS_ACCESS_KEY_ID tells a simulated AWS who calls.
	Env map[string]string
	// Timeout of an invocation; 3 s if zero.
	Timeout time.Duration
	// MemoryMB is told to the function, and not enforced; 128 if zero.
	MemoryMB int
	// ReservedConcurrency is how many invocations may run at once; nil for no limit.
	ReservedConcurrency *int
	// MaximumRetryAttempts of an asynchronous invocation that failed, from 0 to 2; nil for 2.
	MaximumRetryAttempts *int
	// MaximumEventAge after which an asynchronous invocation is given up; 6 h if zero.
	MaximumEventAge time.Duration
	// OnSuccess and OnFailure are where the records of asynchronous invocations go; nil for nowhere.
	OnSuccess, OnFailure Destination
	// Schedule that invokes it; nil for none.
	Schedule *Schedule

	// Listen opens the listener of the Runtime API of one environment; nil for loopback. A caller that runs the
	// process in a network namespace opens it there.
	Listen func() (net.Listener, error)
	// Start starts the prepared process; nil for [exec.Cmd.Start].
	Start func(*exec.Cmd) error
}

// Destination takes the record of an asynchronous invocation. An error is logged, and the record is lost.
type Destination func(context.Context, Record) error

// Schedule invokes a function asynchronously, as a rule of EventBridge does.
type Schedule struct {
	// Period between two ticks; one minute if zero. A drill may shorten it.
	Period time.Duration
	// Phase shifts the ticks, which else fall on the whole periods of the clock.
	Phase time.Duration
	// Deliveries says after how long the event of a tick arrives: once for each element, so that an event can be
	// late, lost or doubled. Nil for once, at once.
	Deliveries func(tick time.Time) []time.Duration
}

func (f Function) validate() error {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if f.Name == "" {
		refuse("name: is empty")
	}
	if f.Bootstrap == "" {
		refuse("bootstrap: is empty (give the path of the executable)")
	}
	if f.Timeout < 0 || f.Timeout > 900*time.Second {
		refuse("timeout: %s: must be at most 900 s", f.Timeout)
	}
	if n := f.ReservedConcurrency; n != nil && *n < 0 {
		refuse("reservedConcurrency: %d: must not be negative (nil for none)", *n)
	}
	if n := f.MaximumRetryAttempts; n != nil && (*n < 0 || *n > 2) {
		refuse("maximumRetryAttempts: %d: must be from 0 to 2", *n)
	}
	if f.Schedule != nil && f.Schedule.Period < 0 {
		refuse("schedule.period: %s: must not be negative", f.Schedule.Period)
	}
	return errors.Join(problems...)
}

func (f Function) withDefaults() Function {
	if f.Timeout == 0 {
		f.Timeout = 3 * time.Second
	}
	if f.MemoryMB == 0 {
		f.MemoryMB = 128
	}
	if f.MaximumEventAge == 0 {
		f.MaximumEventAge = 6 * time.Hour
	}
	if f.Listen == nil {
		f.Listen = func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }
	}
	if f.Start == nil {
		f.Start = (*exec.Cmd).Start
	}
	return f
}

func (f Function) retries() int {
	if f.MaximumRetryAttempts == nil {
		return 2
	}
	return *f.MaximumRetryAttempts
}
