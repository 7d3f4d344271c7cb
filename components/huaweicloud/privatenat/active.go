package privatenat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/sdks/huaweicloud"
)

// The cloud takes rules of a gateway that is ACTIVE, for which the provider does not wait. It is a matter of seconds.
const (
	active = "ACTIVE"
	// activationTimeout is how long a gateway is waited for that is shown and is not ACTIVE.
	activationTimeout = 10 * time.Minute
	// unseenTimeout is how long a gateway is looked for that no lookup shows: by then throttling is over, and the reason is another one,
	// such as a role that may make gateways and not list them.
	unseenTimeout = time.Minute
	firstPause    = 100 * time.Millisecond
	longestPause  = 5 * time.Second
)

// errUnseen is the outcome for a gateway that no lookup shows.
var errUnseen = errors.New("no lookup shows the gateway")

// activated waits until a gateway is ACTIVE. Whether one is that cannot be looked up, the cloud says when it takes the rule or not.
func (b *builder) activated(gateway string) error {
	err := activated(b.ctx.Context(), gateway, func() (status string, err error) {
		found, err := huaweicloud.GetNatPrivateGateways(b.ctx, &huaweicloud.GetNatPrivateGatewaysArgs{GatewayId: &gateway}, pulumi.Provider(b.args.Provider))
		if err != nil {
			return "", err
		}
		for _, g := range found.Gateways {
			if deref(g.Id) == gateway && g.Status != nil {
				return *g.Status, nil
			}
		}
		return "", errors.New("a lookup does not show it")
	})
	if errors.Is(err, errUnseen) {
		return b.ctx.Log.Warn(fmt.Sprintf("private NAT gateway %s: %v: its rules are made all the same (let the role list private NAT gateways)", gateway, err), nil)
	}
	return err
}

// activated asks for the status until it is ACTIVE. A question that gets no answer, such as one too many in a second, is put
// again.
func activated(ctx context.Context, gateway string, ask func() (status string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, activationTimeout)
	defer cancel()
	seen, began := false, time.Now()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		status, err := ask()
		if err == nil && status == active {
			return nil
		}
		if seen = seen || err == nil; !seen && time.Since(began) >= unseenTimeout {
			return fmt.Errorf("%w: %w", errUnseen, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			if err == nil {
				err = errors.New("is " + status)
			}
			return fmt.Errorf("private NAT gateway %s: not %s after %v, and takes no rules before: %w (look at it in the console, then repeat the update)",
				gateway, active, activationTimeout, err)
		}
	}
}
