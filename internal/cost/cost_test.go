package cost

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"polynat/internal/natzone"
)

// near says whether two amounts are the same to a share of a percent.
func near(a, b, percent float64) bool { return math.Abs(a-b) <= math.Abs(b)*percent/100 }

func ask(t interface {
	Helper()
	Fatal(...any)
}, q Question) Answer {
	t.Helper()
	a, err := Ask(q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The example that alterNAT publishes: 10 TB a month, half of it in, half of it out, for 954 USD by gateway and about 526 by
// instance, within 1 percent. It does not count the volume (0.64), the instance's own public address (3.65), what watches the
// instance (4.74) and what that sends (1.06): with them the bill is within 2 percent.
func TestThePublishedExampleComesOut(t *testing.T) {
	a := ask(t, Question{Region: "us-east-1", InGB: 5120, OutGB: 5120, InstanceType: "c6gn.large", Standby: StandbyNone})
	if math.Round(a.Gateway.MonthlyUSD) != 954 {
		t.Errorf("by gateway %.2f, published 954", a.Gateway.MonthlyUSD)
	}
	counted := item(a, "c6gn.large").MonthlyUSD + item(a, "data to the Internet").MonthlyUSD
	if !near(counted, 526, 1) || !near(a.NATInstance.MonthlyUSD, 526, 2) {
		t.Errorf("by instance %.2f, with all that belongs to it %.2f; published about 526", counted, a.NATInstance.MonthlyUSD)
	}
	if !near(a.Gateway.MonthlyUSD-counted, 428, 1) {
		t.Errorf("saving %.2f, published 428", a.Gateway.MonthlyUSD-counted)
	}
}

// item of the bill of the instances; the zero Item if it has none of that name.
func item(a Answer, name string) Item {
	for _, i := range a.NATInstance.Items {
		if i.Name == name {
			return i
		}
	}
	return Item{}
}

func TestEveryZonePaysForWhatItIsAskedToHave(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Question)
		item   string
		usd    float64
	}{
		"the instance's own address": {func(*Question) {}, "public IPv4 address of the instance itself", 3 * 730 * 0.005},
		"arm64":                      {func(*Question) {}, "Lambda, prober and controller", 3 * 351_494.4 * 0.0000133334},
		"x86_64":                     {func(q *Question) { q.X86 = true }, "Lambda, prober and controller", 3 * 351_494.4 * 0.0000166667},
		"no metrics":                 {func(*Question) {}, "CloudWatch, requests with metrics", 0},
		"metrics each minute":        {func(q *Question) { *q = q.WithObservability() }, "CloudWatch, requests with metrics", 3 * 0.438},
		"endpoints":                  {func(q *Question) { q.Endpoints = 2 }, "interface endpoints", 3 * 2 * 730 * 0.01},
		"a gateway each":             {func(*Question) {}, "standby NAT gateway", 3 * 730 * 0.045},
		"a gateway for two":          {func(q *Question) { q.Gateways = 2 }, "standby NAT gateway", 2 * 730 * 0.045},
	} {
		q := Question{Region: "us-east-1", InstanceType: "c6gn.large", Zones: 3}
		test.change(&q)
		if got := item(ask(t, q), test.item).MonthlyUSD; !near(got, test.usd, 0.1) {
			t.Errorf("%s: %.2f USD, want %.2f", name, got, test.usd)
		}
	}
}

func TestTheFunctionsOfAZoneCostAtMostFiveDollarsAndTwoInTheEconomyPreset(t *testing.T) {
	for _, test := range []struct {
		name  string
		d     natzone.Detection
		bound float64
	}{{"default", natzone.DefaultDetection(), 5}, {"economy", natzone.EconomyDetection(), 2}} {
		p, err := PricesOf("us-east-1")
		if err != nil {
			t.Fatal(err)
		}
		if got := FunctionsOf(test.d).MonthlyUSD(p); got > test.bound || got < test.bound/2 {
			t.Errorf("%s: %.2f USD a month, want at most %.0f, and no tenth of it either", test.name, got, test.bound)
		}
	}
}

// Four rounds a second of three attempts are 31.5 million a month; of 400 bytes each these are 11.7 GB.
func TestWhatTheProbesSendIsPaidForInEveryZone(t *testing.T) {
	for _, test := range []struct {
		d       natzone.Detection
		targets int
		gb      float64
	}{{natzone.Detection{}, 0, 11.75}, {natzone.EconomyDetection(), 0, 4.7}, {natzone.DefaultDetection(), 6, 23.5}} {
		for _, zones := range []int{1, 3} {
			a := ask(t, Question{Region: "us-east-1", InstanceType: "c6gn.large", Zones: zones, Detection: test.d, Targets: test.targets})
			sent := item(a, "probes, data to the Internet")
			if want := test.gb * float64(zones); !near(sent.Quantity, want, 0.1) || !near(sent.MonthlyUSD, want*0.09, 0.1) {
				t.Errorf("%+v in %d zones: %.2f GB for %.2f USD, want %.2f GB", test.d, zones, sent.Quantity, sent.MonthlyUSD, want)
			}
		}
	}
}

func TestEgressIsPricedInTiers(t *testing.T) {
	a := ask(t, Question{Region: "us-east-1", OutGB: 200_000, InstanceType: "c6gn.8xlarge"})
	want := 10240*0.09 + 40960*0.085 + 102400*0.07 + (200_000-153_600)*0.05
	got := 0.0
	for _, item := range a.Gateway.Items {
		if item.Name == "data to the Internet" {
			got += item.MonthlyUSD
		}
	}
	if !near(got, want, 1e-6) {
		t.Errorf("200,000 GB out: %.2f, want %.2f", got, want)
	}
}

func TestAtTheBreakEvenBothCostTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := Question{
			Region:       rapid.SampledFrom(Regions()).Draw(t, "region"),
			InstanceType: rapid.SampledFrom([]string{"t4g.nano", "t4g.micro", "t4g.small"}).Draw(t, "type"),
			Zones:        rapid.IntRange(1, 6).Draw(t, "zones"),
			Standby:      rapid.SampledFrom(Standbys()).Draw(t, "standby"),
			Metrics:      rapid.IntRange(0, 20).Draw(t, "metrics"),
		}
		even := ask(t, q).BreakEvenGB
		q.InGB = even * rapid.Float64Range(0, 1).Draw(t, "share in")
		q.OutGB = even - q.InGB
		a := ask(t, q)
		if even > 0 && math.Abs(a.SavingUSD) > 1e-6 || even == 0 && a.SavingUSD < 0 {
			t.Fatalf("at the break-even of %.1f GB the saving is %f", even, a.SavingUSD)
		}
		sum := 0.0
		for _, item := range a.NATInstance.Items {
			sum += item.MonthlyUSD
		}
		if !near(sum, a.NATInstance.MonthlyUSD, 1e-6) {
			t.Fatalf("the items add up to %f, the bill says %f", sum, a.NATInstance.MonthlyUSD)
		}
	})
}

func TestAStandbyIsPaidForOnceWhenItIsShared(t *testing.T) {
	q := Question{Region: "us-east-1", InstanceType: "t4g.small", Zones: 3}
	each := ask(t, q).NATInstance.MonthlyUSD
	q.Standby = StandbyShared
	shared := ask(t, q).NATInstance.MonthlyUSD
	q.Standby = StandbyNone
	none := ask(t, q).NATInstance.MonthlyUSD
	if one := shared - none; !near(each-none, 3*one, 1e-6) || !near(one, HoursPerMonth*(0.045+0.005), 1e-6) {
		t.Errorf("three standby gateways cost %.2f, one %.2f", each-none, one)
	}
}

func TestWhatHasNoPriceIsRefusedWithTheWayOut(t *testing.T) {
	ok := Question{Region: "us-east-1", InstanceType: "c6gn.large"}
	for want, change := range map[string]func(*Question){
		`region: "mars-1"`:           func(q *Question) { q.Region = "mars-1" },
		`instanceType: "m1.small"`:   func(q *Question) { q.InstanceType = "m1.small" },
		"instanceType: is missing":   func(q *Question) { q.InstanceType = "" },
		`standby: "some"`:            func(q *Question) { q.Standby = "some" },
		"gateways: 2":                func(q *Question) { q.Gateways = 2 },
		"zones: -1":                  func(q *Question) { q.Zones = -1 },
		`traffic: "0 in, -1 out"`:    func(q *Question) { q.OutGB = -1 },
		`traffic: "NaN in, 0 out"`:   func(q *Question) { q.InGB = math.NaN() },
		`instanceHourUSD: "negative`: func(q *Question) { q.InstanceHourUSD = -1 },
	} {
		q := ok
		change(&q)
		if _, err := Ask(q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	ok.InstanceType, ok.InstanceHourUSD = "m1.small", 0.044
	if _, err := Ask(ok); err != nil {
		t.Errorf("a type with a given price: %v", err)
	}
}
