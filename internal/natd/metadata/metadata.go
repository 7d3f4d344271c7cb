// Package metadata asks the instance metadata service what the agent has to know: who the instance is, which addresses it has by now,
// and whether it is about to go. Version 2 of the service only.
package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// Identity of an instance does not change.
type Identity struct {
	Instance string `json:"instance"`
	// MAC and Interface (eni-...) of the primary interface.
	MAC       string `json:"mac"`
	Interface string `json:"interface"`
	VPC       string `json:"vpc"`
	// Primary private address.
	Primary netip.Addr `json:"primary"`
}

// State of an instance, as the service knows it.
type State struct {
	// Networks of the VPC, IPv4.
	Networks []netip.Prefix
	// Addresses of the primary interface. An address that was moved by API is here once it has arrived.
	Addresses []netip.Addr
	// PrimaryPublic says that the primary address has a public one.
	PrimaryPublic bool
	// Target is the lifecycle state that Auto Scaling wants: "InService", "Terminated" and so on; empty before the first.
	Target string
	// Spot is the notice that a Spot instance is interrupted; nil without one.
	Spot *SpotAction
	// Rebalance says that EC2 recommends to replace the instance.
	Rebalance bool
}

// SpotAction is what becomes of a Spot instance, and when.
type SpotAction struct {
	Action string    `json:"action"` // terminate, stop or hibernate
	Time   time.Time `json:"time"`
}

// Client of the service. It is safe for concurrent use.
type Client struct {
	api *imds.Client

	mu       sync.Mutex
	identity Identity
	networks []netip.Prefix
	public   bool
	slowAt   time.Time
}

// slowly is how old what rarely changes may be: the networks of the VPC and public addresses.
const slowly = 30 * time.Second

// attempt is how long one request may take. The service is on the same host, and answers within milliseconds or throttles.
const attempt = time.Second

// New makes a client of the service that the environment or the configuration names.
func New(c aws.Config) *Client {
	return &Client{api: imds.NewFromConfig(c, func(o *imds.Options) {
		o.EnableFallback = aws.FalseTernary
		o.HTTPClient = &http.Client{Timeout: attempt}
	})}
}

var errAbsent = errors.New("instance metadata: not there")

// get returns the text at a path below latest/meta-data, or errAbsent.
func (c *Client) get(ctx context.Context, path string) (string, error) {
	out, err := c.api.GetMetadata(ctx, &imds.GetMetadataInput{Path: path})
	if err != nil {
		var status interface{ HTTPStatusCode() int }
		if errors.As(err, &status) && status.HTTPStatusCode() == http.StatusNotFound {
			return "", errAbsent
		}
		return "", fmt.Errorf("instance metadata: %s: %w", path, err)
	}
	defer out.Content.Close() //nolint:errcheck // it has been read
	data, err := io.ReadAll(io.LimitReader(out.Content, 1<<20))
	if err != nil {
		return "", fmt.Errorf("instance metadata: %s: %w", path, err)
	}
	return strings.TrimSpace(string(data)), nil
}

// Identity asks once and remembers.
func (c *Client) Identity(ctx context.Context) (Identity, error) {
	c.mu.Lock()
	known := c.identity
	c.mu.Unlock()
	if known.Instance != "" {
		return known, nil
	}
	var i Identity
	var primary string
	for _, field := range []struct {
		path string
		to   *string
	}{
		{"instance-id", &i.Instance}, {"mac", &i.MAC}, {"local-ipv4", &primary},
	} {
		value, err := c.get(ctx, field.path)
		if err != nil {
			return Identity{}, err
		}
		*field.to = value
	}
	var err error
	if i.Primary, err = netip.ParseAddr(primary); err != nil {
		return Identity{}, fmt.Errorf("instance metadata: local-ipv4: %w", err)
	}
	if i.Interface, err = c.get(ctx, of(i, "interface-id")); err != nil {
		return Identity{}, err
	}
	if i.VPC, err = c.get(ctx, of(i, "vpc-id")); err != nil {
		return Identity{}, err
	}
	c.mu.Lock()
	c.identity = i
	c.mu.Unlock()
	return i, nil
}

func of(i Identity, path string) string { return "network/interfaces/macs/" + i.MAC + "/" + path }

// State asks for what may change.
func (c *Client) State(ctx context.Context, i Identity) (State, error) {
	var s State
	var err error
	if s.Target, err = c.optional(ctx, "autoscaling/target-lifecycle-state"); err != nil {
		return State{}, err
	}
	spot, err := c.optional(ctx, "spot/instance-action")
	if err != nil {
		return State{}, err
	}
	if spot != "" {
		s.Spot = new(SpotAction)
		if err := json.Unmarshal([]byte(spot), s.Spot); err != nil {
			return State{}, fmt.Errorf("instance metadata: spot/instance-action: %w", err)
		}
	}
	rebalance, err := c.optional(ctx, "events/recommendations/rebalance")
	if err != nil {
		return State{}, err
	}
	s.Rebalance = rebalance != ""
	addresses, err := c.get(ctx, of(i, "local-ipv4s"))
	if err != nil {
		return State{}, err
	}
	if s.Addresses, err = parse(addresses, netip.ParseAddr); err != nil {
		return State{}, err
	}
	s.Networks, s.PrimaryPublic, err = c.slow(ctx, i)
	return s, err
}

func (c *Client) optional(ctx context.Context, path string) (string, error) {
	value, err := c.get(ctx, path)
	if errors.Is(err, errAbsent) {
		return "", nil
	}
	return value, err
}

// slow asks for what rarely changes, and not each time.
func (c *Client) slow(ctx context.Context, i Identity) ([]netip.Prefix, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.slowAt) < slowly {
		return c.networks, c.public, nil
	}
	text, err := c.get(ctx, of(i, "vpc-ipv4-cidr-blocks"))
	if err != nil {
		return nil, false, err
	}
	networks, err := parse(text, netip.ParsePrefix)
	if err != nil {
		return nil, false, err
	}
	public, err := c.primaryPublic(ctx, i)
	if err != nil {
		return nil, false, err
	}
	c.networks, c.public, c.slowAt = networks, public, time.Now()
	return networks, public, nil
}

// Forget has the next State ask for everything: an address was moved.
func (c *Client) Forget() {
	c.mu.Lock()
	c.slowAt = time.Time{}
	c.mu.Unlock()
}

func (c *Client) primaryPublic(ctx context.Context, i Identity) (bool, error) {
	list, err := c.optional(ctx, of(i, "ipv4-associations/"))
	if err != nil {
		return false, err
	}
	for _, public := range strings.Fields(list) {
		private, err := c.optional(ctx, of(i, "ipv4-associations/"+public))
		if err != nil {
			return false, err
		}
		for _, a := range strings.Fields(private) {
			if a == i.Primary.String() {
				return true, nil
			}
		}
	}
	return false, nil
}

func parse[T any](text string, one func(string) (T, error)) ([]T, error) {
	var out []T
	for _, line := range strings.Fields(text) {
		v, err := one(line)
		if err != nil {
			return nil, fmt.Errorf("instance metadata: %w", err)
		}
		out = append(out, v)
	}
	return out, nil
}
