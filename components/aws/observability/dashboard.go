package observability

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"polynat/internal/natzone"
)

// widget of a dashboard.
type widget struct {
	Type       string         `json:"type"`
	X          int            `json:"x"`
	Y          int            `json:"y"`
	Width      int            `json:"width"`
	Height     int            `json:"height"`
	Properties map[string]any `json:"properties"`
}

// graph is a widget in the order of reading: a line per zone and metric.
type graph struct {
	title, statistic string
	lines            []any
	more             map[string]any
}

// The grid of CloudWatch is 24 wide: three graphs in a row.
const width, height, inRow = 8, 6, 3

// dashboardBody is the JSON of the dashboard. standbys are the ids of the gateways, in the order of the zones.
func (a *Args) dashboardBody(standbys []string) (string, error) {
	widgets := []widget{{Type: "alarm", Width: 24, Height: 2, Properties: map[string]any{"title": "Alarms", "alarms": a.alarmARNs()}}}
	if !a.Alarms {
		widgets = nil
	}
	top := 0
	for _, w := range widgets {
		top = w.Height
	}
	// CloudWatch refuses a graph without a line, such as that of the gateways where there is none.
	drawn := slices.DeleteFunc(a.graphs(standbys), func(g graph) bool { return len(g.lines) == 0 })
	for i, g := range drawn {
		properties := map[string]any{
			"title": g.title, "region": a.Account.Region, "view": "timeSeries", "stat": g.statistic, "period": minute, "metrics": g.lines,
		}
		maps.Copy(properties, g.more)
		widgets = append(widgets, widget{
			Type: "metric", X: i % inRow * width, Y: top + i/inRow*height, Width: width, Height: height, Properties: properties,
		})
	}
	text, err := json.Marshal(map[string]any{"start": "-PT3H", "widgets": widgets})
	return string(text), err
}

// alarmARNs are those that allAlarms makes.
func (a *Args) alarmARNs() []string {
	var arns []string
	for _, zone := range sorted(a.Zones) {
		z := a.Zones[zone]
		for _, alarm := range zoneAlarms(z.Names, z.HasStandby, nil) {
			arns = append(arns, a.Account.ARN("cloudwatch", "alarm:"+z.Names.Prefix+"-"+alarm.key))
		}
	}
	return append(arns, a.Account.ARN("cloudwatch", "alarm:"+a.Names.Prefix+"-"+deadLetters(a.Names).key))
}

func (a *Args) graphs(standbys []string) []graph {
	line := func(zone, metric, label string) []any {
		return []any{natzone.MetricNamespace, metric, natzone.DimensionName, a.Name, natzone.DimensionZone, zone, map[string]string{"label": label}}
	}
	each := func(metrics ...string) (lines []any) {
		for _, zone := range sorted(a.Zones) {
			for _, m := range metrics {
				label := zone
				if len(metrics) > 1 {
					label += " " + m
				}
				lines = append(lines, line(zone, m, label))
			}
		}
		return lines
	}
	share := func() (lines []any) {
		for i, zone := range sorted(a.Zones) {
			failed, all := line(zone, natzone.MetricFailedProbes, zone), line(zone, natzone.MetricProbes, zone)
			failed[6] = map[string]any{"id": fmt.Sprintf("f%d", i), "visible": false}
			all[6] = map[string]any{"id": fmt.Sprintf("p%d", i), "visible": false}
			lines = append(lines, []any{map[string]string{"expression": fmt.Sprintf("100 * f%d / p%d", i, i), "label": zone}}, failed, all)
		}
		return lines
	}
	axis := func(from, to int) map[string]any {
		return map[string]any{"yAxis": map[string]any{"left": map[string]int{"min": from, "max": to}}}
	}
	return []graph{
		{"On the standby (1) or on the instance (0)", "Maximum", each(natzone.MetricOnStandby), axis(0, 1)},
		{"Probes that failed, %", "Sum", share(), axis(0, 100)},
		{"Time of a probe, ms", "Average", each(natzone.MetricProbeLatency), nil},
		{"Failovers and replacements", "Sum", each(natzone.MetricTransitions, natzone.MetricLeftReady, natzone.MetricReplacements), nil},
		{"Instance ready, and holding the routes", "Minimum", each(natzone.MetricReady, natzone.MetricHolds), axis(0, 1)},
		{"Egress from a wrong address, standby broken", "Maximum", each(natzone.MetricEgressMismatch, natzone.MetricStandbyBroken), axis(0, 1)},
		{"Bytes forwarded in a minute", "Sum", each(natzone.MetricBytes), nil},
		{"Packets forwarded in a minute", "Sum", each(natzone.MetricPackets), nil},
		{"Packets dropped by the instance, throttled by its type", "Sum", each(natzone.MetricDrops, natzone.MetricAllowanceExceeded), nil},
		{"Connections tracked, % of the limit", "Maximum", each(natzone.MetricConnectionUse), axis(0, 100)},
		{"Connections tracked", "Maximum", each(natzone.MetricConnections, natzone.MetricConnectionLimit), nil},
		{"Ports: taken ones tried per connection, failures", "Maximum", each(natzone.MetricPortSearches, natzone.MetricInsertFailures, natzone.MetricEarlyDrops), nil},
		{"Standby gateways: bytes out in a minute", "Sum", a.gateways(standbys, "BytesOutToDestination"), nil},
		{"Functions: errors and throttles", "Sum", a.functions("Errors", "Throttles"), nil},
		{"Functions: duration, ms", "Maximum", a.functions("Duration"), nil},
	}
}

// gateways draws a metric of each standby gateway once, though zones may share it.
func (a *Args) gateways(standbys []string, metric string) []any {
	lines, seen := []any{}, map[string]bool{"": true}
	for i, zone := range sorted(a.Zones) {
		if id := standbys[i]; !seen[id] {
			seen[id] = true
			lines = append(lines, []any{"AWS/NATGateway", metric, "NatGatewayId", id, map[string]string{"label": zone}})
		}
	}
	return lines
}

func (a *Args) functions(metrics ...string) (lines []any) {
	for _, zone := range sorted(a.Zones) {
		z := a.Zones[zone].Names
		for _, f := range []struct{ kind, name string }{{"prober", z.Prober()}, {"controller", z.Controller()}} {
			for _, m := range metrics {
				lines = append(lines, []any{"AWS/Lambda", m, "FunctionName", f.name, map[string]string{"label": zone + " " + f.kind + " " + m}})
			}
		}
	}
	return lines
}
