package natzone

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"
)

// Environment variables of the functions. One binary serves both: the variable that is set says which it is.
const (
	ProberVariable     = "POLYNAT_PROBER"     // a [Prober] as JSON
	ControllerVariable = "POLYNAT_CONTROLLER" // a [Controller] as JSON
)

// Target is something on the Internet that a probe opens a new connection to: a URL, http or https, by name or by address.
type Target string

// Detection says what counts as a failure of the path. See [DefaultDetection].
type Detection struct {
	// Interval between the beginnings of two rounds. Rounds may overlap.
	Interval Duration `json:"interval"`
	// Timeout of a round: an attempt without a whole answer by then has failed.
	Timeout Duration `json:"timeout"`
	// Failed rounds of the last Of, in which every target failed, are a failure.
	Failed int `json:"failed"`
	Of     int `json:"of"`
	// Share of the attempts that failed within Window, from 0 to 1, is a failure too: partial loss. So is twice the share
	// within a quarter of the window: heavy loss is found sooner.
	Share  float64  `json:"share"`
	Window Duration `json:"window"`
	// Active is how long of every minute probes are sent; one minute unless in the economy preset.
	Active Duration `json:"active"`
}

// Prober is the configuration of a zone's prober.
type Prober struct {
	Version int      `json:"version"`
	Name    string   `json:"name"`
	Zone    string   `json:"zone"`
	Targets []Target `json:"targets"`
	// Identity are URLs that answer with the caller's address; Egress are the addresses that it may be.
	Identity  []string     `json:"identity,omitempty"`
	Egress    []netip.Addr `json:"egress,omitempty"`
	Detection Detection    `json:"detection"`
	// Health is the URL of the agent's health endpoint.
	Health          string `json:"health"`
	MetricNamespace string `json:"metricNamespace"`
}

// Controller is the configuration of a zone's controller.
type Controller struct {
	Version         int            `json:"version"`
	Name            string         `json:"name"`
	Zone            string         `json:"zone"`
	Region          string         `json:"region"`
	RouteTables     []string       `json:"routeTables"`
	Destinations    []netip.Prefix `json:"destinations"`
	Standby         string         `json:"standby,omitempty"`
	Group           string         `json:"group"`
	TerminateHook   string         `json:"terminateHook"`
	Targets         []Target       `json:"targets"`
	ProberFunction  string         `json:"proberFunction"`
	StateParameter  string         `json:"stateParameter"`
	AlertTopic      string         `json:"alertTopic,omitempty"`
	MetricNamespace string         `json:"metricNamespace"`
	Healing         Healing        `json:"healing"`
	// Hold is how long the other zones have held before a changed template takes this one. 0: the controller replaces nothing for its
	// template.
	Hold Duration `json:"hold,omitempty"`
}

// Healing says when a sick instance is replaced.
type Healing struct {
	// Dwell on the standby, with the instance not ready, after which it is marked unhealthy. 0 never replaces.
	Dwell Duration `json:"dwell"`
	// Pause between two replacements in the zone.
	Pause Duration `json:"pause"`
}

// Tick is what starts the prober: the schedule's event, of which only the time matters, or what the controller sends to go on
// after a verdict.
type Tick struct {
	// Time of the schedule's minute.
	Time time.Time `json:"time"`
	// Until is when a prober that the controller started ends; zero from the schedule.
	Until time.Time `json:"until,omitzero"`
	// Quiet is how long it observes before it may give a verdict again.
	Quiet Duration `json:"quiet,omitempty"`
}

// Cause of a verdict.
type Cause string

// Causes. [None] is the report at the end of a minute in which nothing failed.
const (
	None    Cause = ""
	Streak  Cause = "streak"  // Failed of Of rounds
	Partial Cause = "partial" // Share over Window
	Egress  Cause = "egress"  // connections work, from an address that is not the zone's
)

// Report is what the prober says: its answer, which Lambda carries to the controller.
type Report struct {
	Version int    `json:"version"`
	Zone    string `json:"zone"`
	// Tick that started it, with Until filled in, and End, when it ended.
	Tick Tick      `json:"tick"`
	End  time.Time `json:"end"`
	// Cause is why it ended before its minute; empty if it did not. Since is when the first of the failures began that the cause
	// rests on.
	Cause Cause     `json:"cause,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Rounds and attempts made, and how many failed.
	Rounds         int `json:"rounds"`
	FailedRounds   int `json:"failedRounds"`
	Attempts       int `json:"attempts"`
	FailedAttempts int `json:"failedAttempts"`
	// Classes counts the failed attempts by [Class].
	Classes map[Class]int `json:"classes,omitempty"`
	// Failing are the targets that the verdict rests on: those that failed in the failed rounds, or, of partial loss, those
	// that failed often.
	Failing []Target `json:"failing,omitempty"`
	// Egress is the address seen last; the zero Addr if none was.
	Egress netip.Addr `json:"egress,omitzero"`
	// Agent is what the agent at the zone's address says of itself; nil if it did not answer. Of a streak it is the answer to a
	// question that was asked after the failures.
	Agent *Health `json:"agent,omitempty"`
	// Holder is the last agent that said in this run that it holds the zone; nil if none did.
	Holder *Health `json:"holder,omitempty"`
}

// Class of the outcome of an attempt.
type Class string

// Classes. See [Class.Failure] for which of them are a failure of the path.
const (
	Answered Class = "answered" // a whole HTTP answer, whatever its status
	Timeout  Class = "timeout"
	Reset    Class = "reset" // or closed before the answer was whole
	Refused  Class = "refused"
	TLS      Class = "tls" // such as a certificate that is not to be trusted
	DNS      Class = "dns"
	Other    Class = "other"
)

// Failure says whether the class speaks against the path. A name that is not found says nothing of the path: the resolver
// is not behind it. What is wrong with TLS was found in what the target sent, so that packets went both ways.
func (c Class) Failure() bool { return c != Answered && c != TLS && c != DNS }

// ParseProber and ParseController read the value of their variable.
func ParseProber(value string) (*Prober, error) {
	var p Prober
	if err := parse(ProberVariable, value, &p, &p.Version); err != nil {
		return nil, err
	}
	return &p, nil
}

// ParseController reads the value of [ControllerVariable].
func ParseController(value string) (*Controller, error) {
	var c Controller
	if err := parse(ControllerVariable, value, &c, &c.Version); err != nil {
		return nil, err
	}
	return &c, nil
}

func parse(variable, value string, into any, version *int) error {
	if err := strict([]byte(value), into); err != nil {
		return fmt.Errorf("%s: %w", variable, err)
	}
	if *version != Version {
		return fmt.Errorf("%s: version: %d: is not %d (deploy the function and its configuration together)", variable, *version, Version)
	}
	return nil
}

func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
