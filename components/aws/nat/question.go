package nat

import "polynat/internal/cost"

// Question asks what the component costs, but for region, traffic and what the caller pays for an instance.
func (a *Args) Question() cost.Question {
	q := cost.Question{
		InstanceType: a.Instance.types()[0], Zones: len(a.Zones), VolumeGB: float64(or(a.Instance.VolumeGiB, defaultVolume)), Detection: a.Failover.detection(),
		Targets: len(a.Failover.targets()),
	}.WithObservability()
	switch a.standby() {
	case Shared:
		q.Standby = cost.StandbyShared
	case None:
		q.Standby = cost.StandbyNone
	default: // gateways that exist are paid for, too
		q.Standby = cost.StandbyPerZone
	}
	if a.Observability.NoAlarms {
		q.Alarms = 0
	}
	if a.Observability.NoDashboard {
		q.Dashboards = 0
	}
	return q
}
