package natzone

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"
)

// Version of the documents. A program refuses a document of another version: both come from one release.
const Version = 1

// Agent is the configuration document of natd: JSON in /etc/polynat/natd.json, written by the user data. It holds names
// and addresses only, never a secret.
type Agent struct {
	Version int `json:"version"`
	// Name of the component; the value of [TagName].
	Name string `json:"name"`
	// Zone is the availability zone, such as "eu-west-1a".
	Zone   string `json:"zone"`
	Region string `json:"region"`
	// AllocationID of the zone's Elastic IP, and PublicAddress, the address that clients are seen with.
	AllocationID  string     `json:"allocationId"`
	PublicAddress netip.Addr `json:"publicAddress"`
	// Address is the secondary private address of the zone, to which the Elastic IP is bound. Whoever holds it, holds the zone.
	Address netip.Addr `json:"address"`
	// RouteTables of the zone's private subnets, and the destinations in them that the agent claims, such as 0.0.0.0/0.
	RouteTables  []string       `json:"routeTables"`
	Destinations []netip.Prefix `json:"destinations"`
	// NAT64 turns on the translation of [NAT64Prefix], which is then among the destinations.
	NAT64 bool `json:"nat64,omitempty"`
	// Standby is the NAT gateway to which the agent points the routes when it goes without a successor; empty for none.
	Standby string `json:"standby,omitempty"`
	// Group is the Auto Scaling group; LaunchHook and TerminateHook are the names of its lifecycle hooks.
	Group         string `json:"group"`
	LaunchHook    string `json:"launchHook"`
	TerminateHook string `json:"terminateHook"`
	// ClientCIDRs whose traffic is translated beside that of the VPC, whose own are as instance metadata lists them.
	ClientCIDRs []netip.Prefix `json:"clientCidrs,omitempty"`
	// Targets with which the agent proves its own path, and Identity, URLs that answer with the caller's address.
	Targets  []Target `json:"targets"`
	Identity []string `json:"identity"`
	Tuning   Tuning   `json:"tuning"`
	Restore  Restore  `json:"restore"`
	// MetricNamespace of CloudWatch, and how often metrics are published.
	MetricNamespace string   `json:"metricNamespace"`
	MetricInterval  Duration `json:"metricInterval"`
	// HealthPort of the endpoint on Address; see [Health].
	HealthPort int `json:"healthPort"`
	// SSH lets clients reach the instance's SSH. No other port but HealthPort is open to them.
	SSH bool `json:"ssh,omitempty"`
}

// Tuning of connection tracking.
type Tuning struct {
	// EstablishedTimeout of an idle TCP connection. Default 350 s, the NAT gateway's.
	EstablishedTimeout Duration `json:"establishedTimeout"`
	// MaxConnections tracked; 0 for what the memory holds.
	MaxConnections int `json:"maxConnections,omitempty"`
}

// Restore says when an instance that lost its routes to a failover may claim them back.
type Restore struct {
	// Dwell is how long the instance must have been proven without a break. It doubles with every further failover within a day, up to MaxDwell.
	Dwell    Duration `json:"dwell"`
	MaxDwell Duration `json:"maxDwell"`
}

// Duration is a time.Duration that is written as Go writes it, such as "350s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	*d = Duration(parsed)
	return err
}

// Health is what the agent answers at http://<address>:<port>/health, with status 200 if Ready and 503 if not. The prober
// passes it on in its reports.
type Health struct {
	// Instance is the EC2 instance id.
	Instance string `json:"instance"`
	// Ready says that the agent's own path is proven.
	Ready bool `json:"ready"`
	// Holds says that address and routes point at the instance, and Since, from when on without a break, by the clock of the
	// instance; zero if it does not hold them.
	Holds bool      `json:"holds"`
	Since time.Time `json:"since,omitzero"`
	// Claim says that the zone goes over to another instance: to this one, which has taken its address and not its routes yet, or from
	// this one.
	Claim bool `json:"claim,omitempty"`
	// Own is the instance's own address, at which it answers too, wherever that of the zone is.
	Own netip.Addr `json:"own,omitzero"`
	// Leaving says that the instance is about to go.
	Leaving bool `json:"leaving,omitempty"`
	// Reason why it is not ready or does not hold, for people.
	Reason string `json:"reason,omitempty"`
}

// ParseAgent reads and checks a configuration document.
func ParseAgent(data []byte) (*Agent, error) {
	var a Agent
	if err := strict(data, &a); err != nil {
		return nil, fmt.Errorf("configuration of natd: %w", err)
	}
	if a.Version != Version {
		return nil, fmt.Errorf("configuration of natd: version: %d: is not %d (install the release that wrote the configuration)", a.Version, Version)
	}
	if err := a.Check(); err != nil {
		return nil, fmt.Errorf("configuration of natd: %w", err)
	}
	return &a, nil
}

// JSON is the document, indented, in one order.
func (a Agent) JSON() ([]byte, error) { return json.MarshalIndent(a, "", "  ") }
