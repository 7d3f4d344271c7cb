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
	active            = "ACTIVE"
	activationTimeout = 10 * time.Minute
	firstPause        = 100 * time.Millisecond
	longestPause      = 5 * time.Second
)

// activated waits until a gateway is ACTIVE.
func (b *builder) activated(gateway string) error {
	return activated(b.ctx.Context(), gateway, func() (status string, err error) {
		found, err := huaweicloud.GetNatPrivateGateways(b.ctx, &huaweicloud.GetNatPrivateGatewaysArgs{GatewayId: &gateway}, pulumi.Provider(b.args.Provider))
		if err != nil {
			return "", err
		}
		if len(found.Gateways) == 0 || found.Gateways[0].Status == nil {
			return "", errors.New("a lookup does not show it")
		}
		return *found.Gateways[0].Status, nil
	})
}

// activated asks for the status until it is ACTIVE. A question that gets no answer, such as one too many in a second, is put
// again.
func activated(ctx context.Context, gateway string, ask func() (status string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, activationTimeout)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		status, err := ask()
		if err == nil && status == active {
			return nil
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
