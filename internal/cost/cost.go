package cost

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"polynat/internal/natzone"
	"polynat/internal/problem"
)

// HoursPerMonth is 365 days of 24 hours over 12 months, as AWS's own calculator has it.
const HoursPerMonth = 730

const secondsPerMonth = HoursPerMonth * 3600

// Standby says which NAT gateways stand by.
type Standby string

// Standby gateways.
const (
	StandbyPerZone Standby = "perZone"
	StandbyShared  Standby = "shared"
	StandbyNone    Standby = "none"
)

// Standbys lists the values of Standby.
func Standbys() []Standby { return []Standby{StandbyPerZone, StandbyShared, StandbyNone} }

// Question is what is to be priced. Traffic is what passes the NAT in a month, over all zones, in GB of 2^30 bytes.
type Question struct {
	Region string
	// InGB comes from the Internet, OutGB goes to it.
	InGB, OutGB  float64
	InstanceType string
	// InstanceHourUSD overrides the price of the type, for Spot, savings plans and types that the table lacks; 0 does not.
	InstanceHourUSD float64
	// Zones with a NAT; 1 or more.
	Zones   int
	Standby Standby
	// Gateways of StandbyPerZone where zones share some; 0 for one in each zone.
	Gateways int
	// VolumeGB of an instance's gp3 volume.
	VolumeGB float64
	// Detection decides how long the prober runs and, with the number of Targets, what it sends.
	Detection natzone.Detection
	Targets   int
	// X86 functions are dearer than those on arm64.
	X86 bool
	// Metrics, Alarms per zone and Dashboards in all that are paid for; 0 leaves them out.
	Metrics, Alarms, Dashboards int
	// MetricRequests with which a zone's metrics are published in a month.
	MetricRequests float64
	// Endpoints are interface endpoints in each zone. What passes them is not counted.
	Endpoints int
}

// Defaults fills what a Question leaves out: one zone, a standby each, the volume of Amazon Linux 2023, and the default
// detection and targets.
func (q Question) Defaults() Question {
	if q.Zones == 0 {
		q.Zones = 1
	}
	if q.Standby == "" {
		q.Standby = StandbyPerZone
	}
	if q.VolumeGB == 0 {
		q.VolumeGB = VolumeGB
	}
	if q.Detection == (natzone.Detection{}) {
		q.Detection = natzone.DefaultDetection()
	}
	if q.Targets == 0 {
		q.Targets = Targets
	}
	return q
}

// Targets that are probed by default.
const Targets = 3

// VolumeGB is the size of the root volume of the standard Amazon Linux 2023 image.
const VolumeGB = 8

// Item of a bill.
type Item struct {
	Name       string  `json:"name"`
	Quantity   float64 `json:"quantity"`
	Unit       string  `json:"unit"`
	UnitUSD    float64 `json:"unitUSD"`
	MonthlyUSD float64 `json:"monthlyUSD"`
}

// Side is the bill of one way to do it.
type Side struct {
	MonthlyUSD float64 `json:"monthlyUSD"`
	Items      []Item  `json:"items"`
}

// Answer compares the two. What both sides pay alike is on both bills, but for the one public IPv4 address per zone that
// either needs: it is on neither. The instance's own address, its way to AWS before it holds the zone's, is on its bill.
type Answer struct {
	Gateway     Side `json:"gateway"`
	NATInstance Side `json:"natInstance"`
	// SavingUSD a month; negative if the instances cost more.
	SavingUSD float64 `json:"savingUSD"`
	// BreakEvenGB is the traffic, in and out, from which the instances are the cheaper way; 0 if they always are.
	BreakEvenGB float64 `json:"breakEvenGB"`
}

// Ask answers a question, or returns every Problem with it.
func Ask(q Question) (Answer, error) {
	q = q.Defaults()
	p, err := PricesOf(q.Region)
	if err != nil {
		return Answer{}, err
	}
	hour, err := q.check(p)
	if err != nil {
		return Answer{}, err
	}
	zones := float64(q.Zones)
	var gateway, instance Side
	gateway.add("NAT gateway", HoursPerMonth*zones, "hour", p.NATGatewayHour)
	fixed := -gateway.MonthlyUSD
	gateway.add("NAT gateway, data processed", q.InGB+q.OutGB, "GB", p.NATGatewayGB)

	instance.add(q.InstanceType, HoursPerMonth*zones, "hour", hour)
	instance.add("gp3 volume", q.VolumeGB*zones, "GB-month", p.GP3GBMonth)
	instance.add("public IPv4 address of the instance itself", HoursPerMonth*zones, "hour", p.PublicIPv4Hour)
	each := zones
	if q.Gateways > 0 {
		each = float64(q.Gateways)
	}
	if standby := map[Standby]float64{StandbyPerZone: each, StandbyShared: 1}[q.Standby]; standby > 0 {
		instance.add("standby NAT gateway", HoursPerMonth*standby, "hour", p.NATGatewayHour)
		instance.add("public IPv4 address of the standby", HoursPerMonth*standby, "hour", p.PublicIPv4Hour)
	}
	functions := FunctionsOf(q.Detection)
	second := p.LambdaArmGBSecond
	if q.X86 {
		second = p.LambdaX86GBSecond
	}
	instance.add("Lambda, prober and controller", functions.GBSeconds*zones, "GB-second", second)
	instance.add("Lambda, requests", functions.Requests*zones/1e6, "million", p.LambdaMillionRequests)
	instance.add("CloudWatch metrics", float64(q.Metrics)*zones, "metric", p.Metric)
	instance.add("CloudWatch, requests with metrics", q.MetricRequests*zones/1000, "thousand", p.MetricThousandRequests)
	instance.add("CloudWatch alarms", float64(q.Alarms)*zones, "alarm", p.Alarm)
	instance.add("CloudWatch dashboard", float64(q.Dashboards), "dashboard", p.Dashboard)
	instance.add("interface endpoints", HoursPerMonth*float64(q.Endpoints)*zones, "hour", p.InterfaceEndpointHour)
	instance.add("probes, data to the Internet", ProbesGB(q.Detection, q.Targets)*zones, "GB", p.Egress[0].USD)
	fixed += instance.MonthlyUSD

	for _, side := range []*Side{&gateway, &instance} {
		side.addEgress(p.Egress, q.OutGB)
	}
	return Answer{
		Gateway:     gateway,
		NATInstance: instance,
		SavingUSD:   gateway.MonthlyUSD - instance.MonthlyUSD,
		BreakEvenGB: max(0, fixed/p.NATGatewayGB),
	}, nil
}

// check returns the price of an instance's hour, or what is wrong with the question.
func (q Question) check(p Prices) (float64, error) {
	var problems problem.List
	hour, known := p.InstanceHour[q.InstanceType]
	switch {
	case q.InstanceType == "":
		problems.Missing("instanceType", "name one, such as c6gn.large")
	case q.InstanceHourUSD > 0:
		hour = q.InstanceHourUSD
	case !known:
		problems.Add("instanceType", q.InstanceType, "has no price in "+q.Region+" in the table of "+AsOf(),
			"give the price of its hour, or use one of "+strings.Join(slices.Sorted(maps.Keys(p.InstanceHour)), ", "))
	}
	if !slices.Contains(Standbys(), q.Standby) {
		problems.Add("standby", string(q.Standby), "is not a kind of standby", "use perZone, shared or none")
	}
	if q.Zones < 1 {
		problems.Number("zones", q.Zones, "is less than one", "give the number of zones with a NAT")
	}
	if !(q.InGB >= 0 && q.OutGB >= 0) || math.IsInf(q.InGB+q.OutGB, 0) { // NaN is neither
		problems.Add("traffic", fmt.Sprintf("%g in, %g out", q.InGB, q.OutGB), "is no amount of traffic", "give GB a month, 0 or more")
	}
	if q.Gateways < 0 || q.Gateways > max(q.Zones, 0) {
		problems.Number("gateways", q.Gateways, "is no number of standby gateways for that many zones", "leave it out for one in each zone")
	}
	if q.InstanceHourUSD < 0 {
		problems.Add("instanceHourUSD", "negative", "is no price", "give USD an hour")
	}
	return hour, problems.Err()
}

func (s *Side) add(name string, quantity float64, unit string, unitUSD float64) {
	if quantity == 0 {
		return
	}
	s.Items = append(s.Items, Item{name, quantity, unit, unitUSD, quantity * unitUSD})
	s.MonthlyUSD += quantity * unitUSD
}

// addEgress adds one item for every tier that the traffic reaches.
func (s *Side) addEgress(tiers []Tier, gb float64) {
	from := 0.0
	for _, tier := range tiers {
		in := gb - from
		if tier.UpToGB > 0 {
			in = min(gb, tier.UpToGB) - from
		}
		if in <= 0 {
			return
		}
		s.add("data to the Internet", in, "GB", tier.USD)
		from = tier.UpToGB
	}
}

// probeBytes is what one attempt sends: five or six packets of which one holds a request of about 100 bytes, over plain HTTP as
// the default targets have it. Over TLS it is four times as much.
const probeBytes = 400

// ProbesGB is what the prober of one zone sends to the Internet in a month, at the price of the first tier, for it is always
// sent: each of the targets in every interval as long as it is active.
func ProbesGB(d natzone.Detection, targets int) float64 {
	rounds := secondsPerMonth * time.Duration(d.Active).Seconds() / 60 / time.Duration(d.Interval).Seconds()
	return rounds * float64(targets) * probeBytes / (1 << 30)
}

// Functions is what the prober and the controller of one zone take in a month.
type Functions struct{ GBSeconds, Requests float64 }

// controllerRun is what one run of the controller takes, generously: it reads a report and, once a minute, three API answers.
const controllerRun = 300 * time.Millisecond

// FunctionsOf one zone with a detection: the prober runs as long as it is active and waits for its slot, the controller once a minute.
func FunctionsOf(d natzone.Detection) Functions {
	const minutes = secondsPerMonth / 60
	active := time.Duration(d.Active)
	if active >= time.Minute {
		active += natzone.SlotLead
	}
	mbSeconds := active.Seconds()*natzone.FunctionMemory + controllerRun.Seconds()*natzone.ControllerMemory
	return Functions{GBSeconds: mbSeconds * minutes / 1024, Requests: 2 * minutes}
}

// MonthlyUSD of the functions, on arm64.
func (f Functions) MonthlyUSD(p Prices) float64 {
	return f.GBSeconds*p.LambdaArmGBSecond + f.Requests/1e6*p.LambdaMillionRequests
}

// WithObservability counts the metrics, alarms and the dashboard that the component declares in each zone unless it is told
// otherwise.
func (q Question) WithObservability() Question {
	q.Metrics, q.Alarms, q.Dashboards, q.MetricRequests = len(natzone.Metrics()), Alarms, 1, MetricRequests(time.Minute)
	return q
}

// MetricRequests of one program that publishes its metrics at that interval, in a month.
func MetricRequests(interval time.Duration) float64 { return secondsPerMonth / interval.Seconds() }

// Metrics per zone of what the component can be asked for beside its own.
const (
	// DetailedMetrics are those of EC2's detailed monitoring.
	DetailedMetrics = 7
	// CloudWatchAgentMetrics are memory and disk, published each minute by a program of its own.
	CloudWatchAgentMetrics = 2
)

// Alarms that the component declares in each zone.
const Alarms = 9
