package natd

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"polynat/internal/natd/kernel"
	"polynat/internal/natzone"
)

// publisher sends metrics to CloudWatch.
type publisher struct {
	to      CloudWatch
	read    func() (kernel.Counters, error)
	before  kernel.Counters
	started bool
}

// defaultMetricInterval is what CloudWatch keeps for free: one value a minute.
const defaultMetricInterval = time.Minute

func (a *agent) metricInterval() time.Duration {
	if d := time.Duration(a.Config.MetricInterval); d > 0 {
		return d
	}
	return defaultMetricInterval
}

// publishMetrics sends what has happened since the last time. What could not be sent is in the next values.
func (a *agent) publishMetrics(ctx context.Context, p *publisher) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, call)
	defer cancel()
	now, err := p.read()
	if err == nil && p.started {
		h := a.health()
		_, err = p.to.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{
			Namespace:  aws.String(a.Config.MetricNamespace),
			MetricData: a.data(values(p.before, now, h.Ready, h.Holds)),
		})
	}
	if ctx.Err() == nil || err != nil {
		a.say("metrics", text(err))
	}
	if err == nil {
		p.before, p.started = now, true
	}
	return a.metricInterval()
}

type value struct {
	name string
	unit types.StandardUnit
	is   float64
}

// values are the metrics of an interval.
func values(before, now kernel.Counters, ready, holds bool) []value {
	since := func(before, now uint64) float64 {
		if now < before { // it has begun anew
			return float64(now)
		}
		return float64(now - before)
	}
	use, searches := 0.0, since(before.PortSearches, now.PortSearches)
	if now.Limit > 0 {
		use = 100 * float64(now.Connections) / float64(now.Limit)
	}
	if n := since(before.New, now.New); n > 0 {
		searches /= n
	}
	flag := map[bool]float64{true: 1}
	const count = types.StandardUnitCount
	return []value{
		{natzone.MetricConnections, count, float64(now.Connections)},
		{natzone.MetricConnectionLimit, count, float64(now.Limit)},
		{natzone.MetricConnectionUse, types.StandardUnitPercent, use},
		{natzone.MetricEarlyDrops, count, since(before.EarlyDrops, now.EarlyDrops)},
		{natzone.MetricInsertFailures, count, since(before.InsertFailures, now.InsertFailures)},
		{natzone.MetricPortSearches, types.StandardUnitNone, searches},
		{natzone.MetricPackets, count, since(before.Packets, now.Packets)},
		{natzone.MetricBytes, types.StandardUnitBytes, since(before.Bytes, now.Bytes)},
		{natzone.MetricDrops, count, since(before.Drops, now.Drops)},
		{natzone.MetricHolds, count, flag[holds]},
		{natzone.MetricReady, count, flag[ready]},
		{natzone.MetricAllowanceExceeded, count, since(before.Allowances, now.Allowances)},
	}
}

func (a *agent) data(vs []value) []types.MetricDatum {
	at := a.now()
	dimensions := []types.Dimension{
		{Name: aws.String(natzone.DimensionName), Value: aws.String(a.Config.Name)},
		{Name: aws.String(natzone.DimensionZone), Value: aws.String(a.Config.Zone)},
	}
	data := make([]types.MetricDatum, len(vs))
	for i, v := range vs {
		data[i] = types.MetricDatum{MetricName: aws.String(v.name), Unit: v.unit, Value: aws.Float64(v.is), Timestamp: &at, Dimensions: dimensions}
	}
	return data
}

// counters reads those of the kernel.
func (a *agent) counters(read func(outside string) (kernel.Counters, error)) func() (kernel.Counters, error) {
	return func() (kernel.Counters, error) {
		outside, err := a.outside()
		if err != nil {
			return kernel.Counters{}, err
		}
		a.kernelLock.Lock()
		defer a.kernelLock.Unlock()
		c, err := read(outside)
		if err != nil {
			return c, fmt.Errorf("counters: %w", err)
		}
		return c, nil
	}
}
