package cost

import (
	_ "embed" // the price table
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"polynat/internal/problem"
)

//go:embed prices.json
var pricesJSON []byte

// Prices of a region in USD. They are list prices without tax, free tiers and discounts, of the date of the table; those of
// us-east-1 were generated from AWS's own price list, the other regions' are as several public pages quote them. Check the
// live page before a decision hangs on them.
type Prices struct {
	NATGatewayHour        float64 `json:"natGatewayHour"`
	NATGatewayGB          float64 `json:"natGatewayGB"`
	PublicIPv4Hour        float64 `json:"publicIPv4Hour"`
	Egress                []Tier  `json:"egress"`
	GP3GBMonth            float64 `json:"gp3GBMonth"`
	LambdaArmGBSecond     float64 `json:"lambdaArmGBSecond"`
	LambdaX86GBSecond     float64 `json:"lambdaX86GBSecond"`
	LambdaMillionRequests float64 `json:"lambdaMillionRequests"`
	Metric                float64 `json:"metric"`
	Alarm                 float64 `json:"alarm"`
	Dashboard             float64 `json:"dashboard"`
	// MetricThousandRequests are requests of PutMetricData.
	MetricThousandRequests float64 `json:"metricThousandRequests"`
	// InterfaceEndpointHour is of one endpoint in one zone.
	InterfaceEndpointHour float64            `json:"interfaceEndpointHour"`
	InstanceHour          map[string]float64 `json:"instanceHour"`
}

// Tier is the price of the GB up to a number of them in a month; the last tier has no end.
type Tier struct {
	UpToGB float64 `json:"upToGB"`
	USD    float64 `json:"usd"`
}

type table struct {
	AsOf    string            `json:"asOf"`
	Regions map[string]Prices `json:"regions"`
}

var prices = func() (t table) {
	if err := json.Unmarshal(pricesJSON, &t); err != nil {
		panic(err) // the file is part of the program
	}
	return t
}()

// AsOf is the date of the price table.
func AsOf() string { return prices.AsOf }

// Regions with prices, sorted.
func Regions() []string { return slices.Sorted(maps.Keys(prices.Regions)) }

// PricesOf a region; a Problem if the table has none.
func PricesOf(region string) (Prices, error) {
	p, ok := prices.Regions[region]
	if !ok {
		var list problem.List
		list.Add("region", region, "has no prices in the table of "+prices.AsOf, "use one of "+strings.Join(Regions(), ", "))
		return Prices{}, list.Err()
	}
	return p, nil
}
