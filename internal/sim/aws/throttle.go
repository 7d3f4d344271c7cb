package aws

import (
	"net/http"
	"strings"
	"time"
)

// bucket is the token bucket of one API action.
type bucket struct {
	tokens float64
	at     time.Time
}

// rate of an action: how many calls at once, and how many more a second. The figures are those of the EC2 developer guide's
// page on throttling; what it does not name is a mutating action. Other services have limits of their own, which no
// document lists: they are not throttled here.
type rate struct{ burst, refill float64 }

var (
	mutating   = rate{50, 5}
	describing = rate{100, 20}
	// unfiltered is for descriptions of everything, without filter and pagination.
	unfiltered = rate{50, 10}
	rates      = map[string]rate{
		"AssignPrivateIpAddresses":        {100, 5},
		"UnassignPrivateIpAddresses":      {100, 5},
		"ModifyNetworkInterfaceAttribute": {100, 5},
		"TerminateInstances":              {100, 5},
		"RunInstances":                    {5, 2},
		"StartInstances":                  {5, 2},
		"DescribeInstances*":              unfiltered,
		"DescribeNetworkInterfaces*":      unfiltered,
	}
)

// take takes one token of an action of EC2, or refuses the call. An empty name is an action that is not throttled.
func (c *Cloud) take(api string) error {
	if api == "" || c.opts.NoThrottling {
		return nil
	}
	r, ok := rates[api]
	if !ok {
		r = mutating
		if strings.HasPrefix(api, "Describe") {
			r = describing
		}
	}
	b, ok := c.buckets[api]
	if !ok {
		b = &bucket{r.burst, c.state.Now}
		c.buckets[api] = b
	}
	if passed := c.state.Now.Sub(b.at).Seconds(); passed > 0 {
		b.tokens = min(r.burst, b.tokens+passed*r.refill)
		b.at = c.state.Now
	}
	if b.tokens < 1 {
		return &Error{Code: "RequestLimitExceeded", Message: "Request limit exceeded.", Status: http.StatusServiceUnavailable}
	}
	b.tokens--
	return nil
}
