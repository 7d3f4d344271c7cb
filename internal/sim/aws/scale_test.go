package aws_test

import (
	"fmt"
	"testing"
	"time"

	"polynat/internal/sim/aws"
)

// region makes zones in VPCs of five, each with an instance that claims, and watches all the time.
func region(t testing.TB, zones int) (changes int) {
	w := newWorld(t, aws.Options{AddressQuota: -1})
	traffic := aws.NewTraffic(w.cloud)
	w.cloud.OnChange = func() {
		changes++
		for _, lost := range traffic.Observe() {
			t.Errorf("lost: %s", lost)
		}
	}
	for i := range zones {
		n := newWorld(t, aws.Options{})
		n.cloud, n.suffix, n.zoneName = w.cloud, fmt.Sprint("-", i), fmt.Sprint("zone-", i)
		n.zone()
	}
	w.cloud.Advance(25 * time.Hour) // every instance is replaced once
	return changes
}

func BenchmarkRegion(b *testing.B) {
	for _, zones := range []int{5, 50} {
		b.Run(fmt.Sprint(zones), func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(float64(region(b, zones)), "changes")
			}
		})
	}
}
