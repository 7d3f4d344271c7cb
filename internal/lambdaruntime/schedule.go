package lambdaruntime

import (
	"encoding/json"
	"time"
)

// scheduledEvent is what a scheduled rule of EventBridge sends.
type scheduledEvent struct {
	Version    string         `json:"version"`
	ID         string         `json:"id"`
	DetailType string         `json:"detail-type"`
	Source     string         `json:"source"`
	Account    string         `json:"account"`
	Time       string         `json:"time"` // RFC 3339, whole seconds
	Region     string         `json:"region"`
	Resources  []string       `json:"resources"`
	Detail     map[string]any `json:"detail"`
}

// tick sends the events of a function's schedule until the service is closed.
func (f *function) tick() {
	s := f.service
	period := f.Schedule.Period
	if period == 0 {
		period = time.Minute
	}
	next := time.Now().Add(-f.Schedule.Phase).Truncate(period).Add(f.Schedule.Phase)
	for {
		for now := time.Now(); !next.After(now); {
			next = next.Add(period)
		}
		if !s.sleep(time.Until(next)) {
			return
		}
		f.deliver(next)
	}
}

func (f *function) deliver(tick time.Time) {
	s := f.service
	delays := []time.Duration{0}
	if f.Schedule.Deliveries != nil {
		delays = f.Schedule.Deliveries(tick)
	}
	payload, _ := json.Marshal(scheduledEvent{ // of strings only
		Version:    "0",
		ID:         requestID(),
		DetailType: "Scheduled Event",
		Source:     "aws.events",
		Account:    s.options.Account,
		Time:       tick.UTC().Format(time.RFC3339),
		Region:     s.options.Region,
		Resources:  []string{"arn:aws:events:" + s.options.Region + ":" + s.options.Account + ":rule/" + f.Name},
		Detail:     map[string]any{},
	})
	for _, delay := range delays {
		s.spawn(func() {
			if !s.sleep(delay) {
				return
			}
			if _, err := s.InvokeAsync(f.Name, payload); err != nil {
				s.options.Log(f.Name, "schedule: "+err.Error())
			}
		})
	}
}
