package natd

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"polynat/internal/natd/claim"
	"polynat/internal/natd/metadata"
	"polynat/internal/natd/proof"
)

func TestAnAddressThatInstanceMetadataShowsVeryLateIsKeptWhileItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(Options{Config: document()}.Defaults())
		a.seen, a.moved, a.egress = &claim.Zone{Address: claim.Here}, time.Now(), true
		knows := func(addresses ...netip.Addr) {
			a.service = shows{addresses}
			a.ask(t.Context())
		}
		for _, step := range []struct {
			what    string
			happens func()
			has     bool
		}{
			{"it works, and metadata is late", func() { <-time.After(2 * arrival); knows(own) }, true},
			{"a proof fails", func() { a.egress = false }, false},
			{"metadata shows it", func() { knows(own, zoneAddress) }, true},
			{"metadata shows it no more", func() { a.egress = true; knows(own) }, false},
		} {
			if step.happens(); a.has() != step.has {
				t.Errorf("%s: has it: %v", step.what, a.has())
			}
		}
	})
}

// shows is instance metadata that shows some addresses.
type shows struct{ addresses []netip.Addr }

func (s shows) State(context.Context, metadata.Identity) (metadata.State, error) {
	return metadata.State{Addresses: s.addresses}, nil
}

func (shows) Identity(context.Context) (metadata.Identity, error) { return metadata.Identity{}, nil }

func (shows) Forget() {}

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
