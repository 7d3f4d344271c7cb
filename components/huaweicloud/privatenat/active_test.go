package privatenat_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"polynat/components/huaweicloud/privatenat"
)

func TestAGatewayIsWaitedForUntilItIsActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []string{"PENDING_CREATE", "", "PENDING_CREATE", "ACTIVE"}
		asked := 0
		err := privatenat.Activated(t.Context(), "g-1", func() (string, error) {
			answer := answers[asked]
			if asked++; answer == "" {
				return "", errors.New("throttled")
			}
			return answer, nil
		})
		if err != nil || asked != len(answers) {
			t.Errorf("error %v after %d questions", err, asked)
		}
	})
}

func TestAGatewayIsNotWaitedForWithoutEnd(t *testing.T) {
	for _, c := range []struct {
		status string
		err    error
		says   string
	}{
		{"ERROR", nil, "private NAT gateway g-1: not ACTIVE after 10m0s, and takes no rules before: is ERROR (look at it in the console, then repeat the update)"},
		{"", errors.New("throttled"), ": throttled ("}, // which showed it once
	} {
		synctest.Test(t, func(t *testing.T) {
			began, asked := time.Now(), 0
			err := privatenat.Activated(t.Context(), "g-1", func() (string, error) {
				if asked++; asked == 1 {
					return "PENDING_CREATE", nil
				}
				return c.status, c.err
			})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %s", err, c.says)
			}
			if took := time.Since(began); took != 10*time.Minute || asked > 130 {
				t.Errorf("took %v and %d questions", took, asked)
			}
		})
	}
}

func TestAGatewayThatNoLookupShowsHoldsNoUpdateUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := privatenat.Activated(t.Context(), "g-1", func() (string, error) { return "", errors.New("403 Forbidden") })
		if !errors.Is(err, privatenat.ErrUnseen) || !strings.Contains(err.Error(), "403 Forbidden") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took > time.Minute+5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
