package nat_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"polynat/components/aws/nat"
	"polynat/internal/cost"
)

func TestThePriceIsThatOfWhatTheArgumentsAskFor(t *testing.T) {
	minute, plain := cost.MetricRequests(time.Minute), newArgs("ab").Question()
	for name, test := range map[string]struct {
		change func(*nat.Args)
		want   func(*cost.Question)
	}{
		"endpoints":        {func(a *nat.Args) { a.Failover.Endpoints = []string{"ec2", "sns"} }, func(q *cost.Question) { q.Endpoints = 2 }},
		"functions on x86": {func(a *nat.Args) { a.Failover.Architecture = nat.X8664 }, func(q *cost.Question) { q.X86 = true }},
		"CloudWatch agent": {func(a *nat.Args) { a.Instance.CloudWatchAgent = true }, func(q *cost.Question) { q.Metrics += 2; q.MetricRequests += minute }},
		"detailed":         {func(a *nat.Args) { a.Instance.DetailedMonitoring = true }, func(q *cost.Question) { q.Metrics += 7 }},
		"each ten seconds": {func(a *nat.Args) { a.Observability.MetricInterval = 10 * time.Second }, func(q *cost.Question) { q.MetricRequests = 6 * minute }},
		"one gateway for two": {func(args *nat.Args) {
			args.Standby = nat.Existing
			with(a, func(z *nat.Zone) { z.Standby.GatewayID = "nat-0123456789abcdef0" })(args)
			with(b, func(z *nat.Zone) { z.Standby.GatewayID = "nat-0123456789abcdef0" })(args)
		}, func(q *cost.Question) { q.Gateways = 1 }},
	} {
		args, want := newArgs("ab"), plain
		test.change(args)
		test.want(&want)
		if diff := cmp.Diff(want, args.Question()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
