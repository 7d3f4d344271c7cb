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
	"sync/atomic"
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
	api      *imds.Client
	identity atomic.Pointer[Identity]
	settled  atomic.Pointer[settled]
}

// settled is what rarely changes: the networks of the VPC and public addresses.
type settled struct {
	networks []netip.Prefix
	public   bool
	at       time.Time
}

// slowly is how old what rarely changes may be.
const slowly = 30 * time.Second

// attempt is how long one request may take. The service is on the same host, and answers within milliseconds or throttles.
const attempt = time.Second

// New makes a client of the service that the environment or the configuration names.
func New(c aws.Config) *Client {
	client := &Client{api: imds.NewFromConfig(c, func(o *imds.Options) {
		o.EnableFallback = aws.FalseTernary
		o.HTTPClient = &http.Client{Timeout: attempt}
	})}
	client.Forget()
	return client
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
	if known := c.identity.Load(); known != nil {
		return *known, nil
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
	c.identity.Store(&i)
	return i, nil
}

func of(i Identity, path string) string { return "network/interfaces/macs/" + i.MAC + "/" + path }

// State asks for what may change, for all of it at once: a service that hangs takes the time of one question. With an error
// come the fields that could be read all the same, each of them whole; the others are zero. So nil Addresses were not read, nor
// were nil Networks, and PrimaryPublic with them; and an end that was read (Target, Spot, Rebalance) is one, whatever else failed.
func (c *Client) State(ctx context.Context, i Identity) (State, error) {
	var s State
	parts := []func() error{
		func() (err error) { s.Target, err = c.optional(ctx, "autoscaling/target-lifecycle-state"); return err },
		func() (err error) { s.Spot, err = c.spot(ctx); return err },
		func() error {
			notice, err := c.optional(ctx, "events/recommendations/rebalance")
			s.Rebalance = notice != ""
			return err
		},
		func() (err error) { s.Addresses, err = list(ctx, c, of(i, "local-ipv4s"), netip.ParseAddr); return err },
		func() error {
			known, err := c.slow(ctx, i)
			s.Networks, s.PrimaryPublic = known.networks, known.public
			return err
		},
	}
	errs := make([]error, len(parts))
	var asked sync.WaitGroup
	for n, part := range parts {
		asked.Go(func() { errs[n] = part() })
	}
	asked.Wait()
	return s, errors.Join(errs...)
}

// spot is the notice of an interruption, nil without one.
func (c *Client) spot(ctx context.Context) (*SpotAction, error) {
	notice, err := c.optional(ctx, "spot/instance-action")
	if err != nil || notice == "" {
		return nil, err
	}
	action := new(SpotAction)
	if err := json.Unmarshal([]byte(notice), action); err != nil {
		return nil, fmt.Errorf("instance metadata: spot/instance-action: %w", err)
	}
	return action, nil
}

func (c *Client) optional(ctx context.Context, path string) (string, error) {
	value, err := c.get(ctx, path)
	if errors.Is(err, errAbsent) {
		return "", nil
	}
	return value, err
}

// slow asks for what rarely changes, and not each time.
func (c *Client) slow(ctx context.Context, i Identity) (settled, error) {
	known := c.settled.Load()
	if time.Since(known.at) < slowly {
		return *known, nil
	}
	networks, err := list(ctx, c, of(i, "vpc-ipv4-cidr-blocks"), netip.ParsePrefix)
	if err != nil {
		return settled{}, err
	}
	public, err := c.primaryPublic(ctx, i)
	if err != nil {
		return settled{}, err
	}
	now := &settled{networks, public, time.Now()}
	c.settled.CompareAndSwap(known, now) // not if it was forgotten meanwhile
	return *now, nil
}

// Forget has the next State ask for everything: an address was moved. It waits for nobody.
func (c *Client) Forget() { c.settled.Store(new(settled)) }

func (c *Client) primaryPublic(ctx context.Context, i Identity) (bool, error) {
	associated, err := c.optional(ctx, of(i, "ipv4-associations/"))
	if err != nil {
		return false, err
	}
	for _, public := range strings.Fields(associated) {
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

// list is what stands at a path, line by line.
func list[T any](ctx context.Context, c *Client, path string, one func(string) (T, error)) ([]T, error) {
	text, err := c.get(ctx, path)
	if err != nil {
		return nil, err
	}
	var out []T
	for _, line := range strings.Fields(text) {
		v, err := one(line)
		if err != nil {
			return nil, fmt.Errorf("instance metadata: %s: %w", path, err)
		}
		out = append(out, v)
	}
	return out, nil
}
