package nat

import (
	"time"

	"polynat/internal/cost"
)

// Question asks what the component costs, but for region, traffic and what the caller pays for an instance.
func (a *Args) Question() cost.Question {
	q := cost.Question{
		InstanceType: a.Instance.types()[0], Zones: len(a.Zones), VolumeGB: float64(or(a.Instance.VolumeGiB, defaultVolume)), Detection: a.Failover.detection(),
		Targets: len(a.Failover.targets()), X86: a.Failover.Architecture == X8664, Endpoints: len(a.Failover.Endpoints),
	}.WithObservability()
	switch a.standby() {
	case Shared:
		q.Standby = cost.StandbyShared
	case None:
		q.Standby = cost.StandbyNone
	case Existing: // they are paid for, too
		distinct := map[string]bool{}
		for _, z := range a.Zones {
			distinct[z.Standby.GatewayID] = true
		}
		q.Standby, q.Gateways = cost.StandbyPerZone, len(distinct)
	default:
		q.Standby = cost.StandbyPerZone
	}
	o := a.Observability
	q.MetricRequests = cost.MetricRequests(or(o.MetricInterval, time.Minute))
	if a.Instance.CloudWatchAgent {
		q.Metrics += cost.CloudWatchAgentMetrics
		q.MetricRequests += cost.MetricRequests(time.Minute)
	}
	if a.Instance.DetailedMonitoring {
		q.Metrics += cost.DetailedMetrics
	}
	if o.NoAlarms {
		q.Alarms = 0
	}
	if o.NoDashboard {
		q.Dashboards = 0
	}
	return q
}
