package natd

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"polynat/internal/natd/kernel"
	"polynat/internal/natzone"
)

func TestMetricsAreWhatHappenedSinceTheLast(t *testing.T) {
	before := kernel.Counters{New: 100, PortSearches: 1000, InsertFailures: 7, Packets: 50, Bytes: 5000}
	now := kernel.Counters{
		Connections: 50, Limit: 200, New: 110, PortSearches: 1500, InsertFailures: 9, EarlyDrops: 3, Packets: 80, Bytes: 9000, Drops: 1, Allowances: 4,
	}
	got := map[string]float64{}
	for _, v := range values(before, now, true, false) {
		got[v.name] = v.is
	}
	want := map[string]float64{
		natzone.MetricConnections: 50, natzone.MetricConnectionLimit: 200, natzone.MetricConnectionUse: 25, natzone.MetricEarlyDrops: 3,
		natzone.MetricInsertFailures: 2, natzone.MetricPortSearches: 50, natzone.MetricPackets: 30, natzone.MetricBytes: 4000,
		natzone.MetricDrops: 1, natzone.MetricHolds: 0, natzone.MetricReady: 1, natzone.MetricAllowanceExceeded: 4,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestACounterThatBeganAnewCountsFromThere(t *testing.T) {
	for _, v := range values(kernel.Counters{New: 100, Packets: 1000}, kernel.Counters{New: 4, Packets: 10, PortSearches: 8}, true, true) {
		if v.name == natzone.MetricPackets && v.is != 10 || v.name == natzone.MetricPortSearches && v.is != 2 {
			t.Errorf("%s is %v", v.name, v.is)
		}
	}
}
