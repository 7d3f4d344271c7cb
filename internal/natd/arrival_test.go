package natd

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"polynat/internal/natd/claim"
	"polynat/internal/natd/proof"
)

// While the address is on its way, every attempt takes its full time and fails.
func TestAnAddressThatArrivesLateIsSeenAtOnce(t *testing.T) {
	for late := time.Duration(0); late < call-attemptEvery; late += 300 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			a := newAgent(Options{Config: document()}.Defaults())
			a.seen, a.moved = &claim.Zone{Address: claim.Here}, time.Now()
			begin := time.Now()
			a.prove = func(ctx context.Context, _ bool) proof.Result {
				if time.Since(begin) >= late {
					return proof.Result{Answered: 1, Tried: 1}
				}
				select {
				case <-ctx.Done():
				case <-time.After(3 * time.Second):
				}
				return proof.Result{Tried: 1, Failures: []string{"timeout"}}
			}
			a.Config.Identity = nil
			err := a.act(t.Context(), claim.ProveEgress)
			if took := time.Since(begin); err != nil || took > late+2*attemptEvery {
				t.Errorf("address arrived after %v, seen after %v: %v", late, took, err)
			}
		})
	}
}
