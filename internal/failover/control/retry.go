package control

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/aws/smithy-go"
)

// How calls are repeated. The SDK's own retries are off: they wait up to 20 s, and they wait for an attempt that hangs.
const (
	// attempt is how long one attempt may take.
	attempt = 2 * time.Second
	// hedge is how long an attempt may be without an answer before another one is started beside it. EC2 answers a route
	// call within a few hundred milliseconds. Every call of the controller may be repeated.
	hedge = 700 * time.Millisecond
	// beside is how many attempts may be under way.
	beside = 3
	// shortest and longest wait after an error; it doubles, and half of it is chance.
	shortest = 50 * time.Millisecond
	longest  = 500 * time.Millisecond
)

// call repeats an API call until it succeeds, is refused for good, or ctx ends. So a call that begins during an outage of
// the API succeeds within longest + hedge after its end.
func call[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the attempts that lost
	results := make(chan result, beside)
	running := 0
	start := func() {
		running++
		go func() {
			ctx, cancel := context.WithTimeout(ctx, attempt)
			defer cancel()
			value, err := f(ctx)
			results <- result{value, err}
		}()
	}
	start()
	wait := shortest
	next := time.NewTimer(hedge)
	defer next.Stop()
	var last result
	for {
		select {
		case last = <-results:
			running--
			if last.err == nil || !again(last.err) {
				return last.value, last.err
			}
			next.Reset(wait/2 + rand.N(wait/2))
			wait = min(2*wait, longest)
		case <-next.C:
			if running < beside {
				start()
			}
			next.Reset(hedge)
		case <-ctx.Done():
			if last.err == nil {
				last.err = ctx.Err()
			}
			return last.value, errors.Join(ctx.Err(), last.err)
		}
	}
}

// again says whether an error may go by itself: throttling, trouble of the service, and everything that is not an answer
// of the service at all.
func again(err error) bool {
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return true
	}
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) && (response.HTTPStatusCode() >= 500 || response.HTTPStatusCode() == http.StatusTooManyRequests) {
		return true
	}
	return answer.ErrorFault() == smithy.FaultServer ||
		retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary
}

// code of an error that the service answered; empty if it did not.
func code(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	return ""
}
