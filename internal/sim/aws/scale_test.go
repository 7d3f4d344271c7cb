package aws_test

import (
	"fmt"
	"testing"
	"time"

	"polynat/internal/natzone"
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
		n := &world{TB: t, cloud: w.cloud, id: map[string]string{}, typ: map[string]string{}, in: map[string]o{}}
		n.network().standby()
		n.make("eip", eipType, o{"domain": "vpc"})
		template := n.template(n.userData(func(a *natzone.Agent) { a.Group = fmt.Sprint("zone-", i) }))
		template["name"] = fmt.Sprint("zone-", i)
		n.make("template", templateType, template)
		in := n.group()
		in["name"] = template["name"]
		n.make("group", scalingType, in)
	}
	w.cloud.Advance(time.Hour)
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
