package natzone

import (
	"net/netip"
	"time"
)

// Tags of what belongs to a component, and to one zone of it.
const (
	TagName = "polynat:nat"
	TagZone = "polynat:zone"
)

// Lifecycle hooks of every zone's group.
const (
	LaunchHook    = "polynat-launch"
	TerminateHook = "polynat-terminate"
)

// HealthPort is where the agent answers; any port that nothing else takes.
const HealthPort = 9465

// MetricNamespace of CloudWatch. Every metric has the dimensions Name and Zone.
const (
	MetricNamespace = "polynat"
	DimensionName   = "Name"
	DimensionZone   = "Zone"
)

// Metrics of the agent.
const (
	MetricConnections       = "ConnectionsTracked" // count
	MetricConnectionLimit   = "ConnectionLimit"    // count
	MetricConnectionUse     = "ConnectionUse"      // percent of the limit
	MetricEarlyDrops        = "EarlyDrops"         // count since the last
	MetricInsertFailures    = "InsertFailures"     // count: no port was left
	MetricPortSearches      = "PortSearches"       // the kernel's `found` per new connection: rises long before ports to one destination run out
	MetricPackets           = "PacketsForwarded"   // count
	MetricBytes             = "BytesForwarded"     // bytes
	MetricDrops             = "PacketsDropped"     // count
	MetricHolds             = "HoldsRoutes"        // 1 or 0
	MetricReady             = "Ready"              // 1 or 0
	MetricAllowanceExceeded = "AllowanceExceeded"  // count: what the ENA driver says the instance type did not allow
)

// Metrics of the prober and the controller.
const (
	MetricProbes         = "Probes"         // attempts
	MetricFailedProbes   = "FailedProbes"   // attempts
	MetricProbeLatency   = "ProbeLatency"   // milliseconds, mean of the answered
	MetricEgressMismatch = "EgressMismatch" // 1 or 0
	MetricOnStandby      = "OnStandby"      // 1 while a route of the zone points at the standby
	MetricTransitions    = "Transitions"    // routes moved by the controller
	MetricStandbyBroken  = "StandbyBroken"  // 1 while the standby does not work either
	MetricReplacements   = "Replacements"   // instances marked unhealthy
	MetricLeftReady      = "LeftReady"      // failovers from an instance that called itself ready
)

// NAT64Prefix is the well-known prefix of RFC 6052.
func NAT64Prefix() netip.Prefix { return netip.MustParsePrefix("64:ff9b::/96") }

// DefaultDetection finds a silent death within 1.0 to 1.25 s: Timeout + (Failed-1) x Interval, after the phase of one Interval.
func DefaultDetection() Detection {
	return Detection{
		Interval: Duration(250 * time.Millisecond),
		Timeout:  Duration(500 * time.Millisecond),
		Failed:   3,
		Of:       3,
		Share:    0.3,
		Window:   Duration(10 * time.Second),
		Active:   Duration(time.Minute),
	}
}

// EconomyDetection probes for 24 s of every minute: a silent death between two bursts is found within 37.5 s.
func EconomyDetection() Detection {
	d := DefaultDetection()
	d.Active = Duration(24 * time.Second)
	return d
}

// DefaultRestore keeps two transitions of a flapping instance more than ten minutes apart.
func DefaultRestore() Restore {
	return Restore{Dwell: Duration(10 * time.Minute), MaxDwell: Duration(4 * time.Hour)}
}

// DefaultHealing replaces an instance after five minutes on the standby, and at most once in half an hour.
func DefaultHealing() Healing {
	return Healing{Dwell: Duration(5 * time.Minute), Pause: Duration(30 * time.Minute)}
}

// Idle UDP flows: of one question and its answer, or one direction, and of more. A security group tracks them for 60 s and 180 s at
// most, so that these are as long as natd can have them: it forgets a flow TrackingMargin before the group does. Then whatever the
// client sends next begins a flow that both know, instead of one whose answers the group drops.
const (
	UDPTimeout       = 60*time.Second - TrackingMargin
	UDPStreamTimeout = 180*time.Second - TrackingMargin
	TrackingMargin   = 10 * time.Second
)

// DefaultTuning closes idle connections when the NAT gateway does.
func DefaultTuning() Tuning { return Tuning{EstablishedTimeout: Duration(350 * time.Second)} }

// SlotLead is how much later than the schedule's minute the slot of its prober begins, so that the next prober is up before the
// slot of this one ends, although schedules are some seconds late. A prober that is not active all minute has none to hand over to
// and begins at once.
const SlotLead = 3 * time.Second

// Memory of the functions, in MB. The prober, which runs all minute, gets the least that Lambda offers. The controller, which
// runs for a moment, gets the share of a CPU that comes with more: it makes several TLS connections while a zone is down.
const (
	FunctionMemory   = 128
	ControllerMemory = 512
)

// Metrics lists the metrics that a zone publishes.
func Metrics() []string {
	return []string{
		MetricConnections, MetricConnectionLimit, MetricConnectionUse, MetricEarlyDrops, MetricInsertFailures, MetricPortSearches,
		MetricPackets, MetricBytes, MetricDrops, MetricHolds, MetricReady, MetricAllowanceExceeded,
		MetricProbes, MetricFailedProbes, MetricProbeLatency, MetricEgressMismatch,
		MetricOnStandby, MetricTransitions, MetricStandbyBroken, MetricReplacements, MetricLeftReady,
	}
}
