package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"polynat/internal/cost"
	"polynat/internal/natzone"
	"polynat/internal/terminal"
)

type costFlags struct {
	question      cost.Question
	standby       string
	economy       bool
	observability bool
}

func costCommand(out *output) *cobra.Command {
	var flags costFlags
	c := &cobra.Command{
		Use:   "cost",
		Short: "Compare a month of NAT gateways with NAT instances on AWS",
		Long: fmt.Sprintf(`Compares what a month of 730 hours costs by managed NAT gateways and by NAT instances with their standby, the functions
that watch them and their volumes, and says from which traffic on the instances are the cheaper way.

List prices in USD of %s, for %s; without tax, free tiers and discounts.`, cost.AsOf(), strings.Join(cost.Regions(), ", ")),
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return runCost(out, flags) },
	}
	f := c.Flags()
	q := &flags.question
	f.StringVar(&q.Region, "region", "us-east-1", "AWS region")
	f.Float64Var(&q.InGB, "in-gb", 0, "traffic from the Internet in a month, in `GB` of 2^30 bytes, over all zones")
	f.Float64Var(&q.OutGB, "out-gb", 0, "traffic to the Internet in a month, in `GB`")
	f.StringVar(&q.InstanceType, "instance-type", "t4g.small", "type of a NAT instance")
	f.Float64Var(&q.InstanceHourUSD, "instance-hour-usd", 0, "price of its hour, if not the table's: Spot, savings plan, other type")
	f.IntVar(&q.Zones, "zones", 1, "availability zones with a NAT")
	f.StringVar(&flags.standby, "standby", string(cost.StandbyPerZone), "NAT gateways that stand by: perZone, shared or none")
	f.BoolVar(&flags.economy, "economy", false, "count the economy preset of the failover functions")
	f.BoolVar(&flags.observability, "observability", false, "count metrics, alarms and the dashboard")
	out.flag(c)
	complete(c, "region", cost.Regions()...)
	var standbys []string
	for _, s := range cost.Standbys() {
		standbys = append(standbys, string(s))
	}
	complete(c, "standby", standbys...)
	return c
}

func runCost(out *output, flags costFlags) error {
	q := flags.question
	if q.Zones < 1 {
		return fmt.Errorf("--zones: %d: is less than one (give the number of zones with a NAT)", q.Zones)
	}
	q.Standby = cost.Standby(flags.standby)
	if flags.economy {
		q.Detection = natzone.EconomyDetection()
	}
	if flags.observability {
		q = q.WithObservability()
	}
	answer, err := cost.Ask(q)
	if err != nil {
		return err
	}
	out.report = bill{answer}
	return nil
}

// bill is the answer for people and machines.
type bill struct{ cost.Answer }

func (b bill) Text(w io.Writer) error {
	for _, side := range []struct {
		name string
		cost.Side
	}{{"by NAT gateway", b.Gateway}, {"by NAT instance", b.NATInstance}} {
		t := terminal.NewTable(side.name, "quantity", "unit", "USD per\nunit", "USD per\nmonth")
		for _, item := range side.Items {
			t.Row(item.Name, quantity(item.Quantity), item.Unit, strconv.FormatFloat(item.UnitUSD, 'f', -1, 64), amount(item.MonthlyUSD, 2))
		}
		t.Row("together", "", "", "", amount(side.MonthlyUSD, 2))
		if err := t.Write(w); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	verdict := fmt.Sprintf("saving %.2f USD", b.SavingUSD)
	if b.SavingUSD < 0 {
		verdict = fmt.Sprintf("costing %.2f USD more", -b.SavingUSD)
	}
	_, err := fmt.Fprintln(w, terminal.Wrap("", fmt.Sprintf("%s a month; the instances are the cheaper way from %s GB a month on (list prices of %s)",
		verdict, amount(b.BreakEvenGB, 0), cost.AsOf())))
	return err
}

// amount is a number in full, with its thousands grouped.
func amount(n float64, decimals int) string {
	text := strconv.FormatFloat(n, 'f', decimals, 64)
	whole, rest, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest == "" {
		return whole
	}
	return whole + "." + rest
}

// quantity has two decimals where it is no whole number and they matter.
func quantity(n float64) string {
	if n == math.Trunc(n) || n >= 1000 {
		return amount(n, 0)
	}
	return amount(n, 2)
}
