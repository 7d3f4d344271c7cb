package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestCostAnswersThePublishedExampleAsJSON(t *testing.T) {
	var out, errs bytes.Buffer
	args := "cost --region us-east-1 --in-gb 5120 --out-gb 5120 --instance-type c6gn.large --standby none --format json"
	if status := run(context.Background(), strings.Fields(args), &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, &errs)
	}
	type side struct {
		MonthlyUSD float64
		Items      []struct {
			Name       string
			MonthlyUSD float64
		}
	}
	var answer struct {
		Gateway, NATInstance   side
		SavingUSD, BreakEvenGB float64
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(out.Bytes(), &raw); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"ok", "version", "gateway", "natInstance", "savingUSD", "breakEvenGB"} {
		if raw[key] == nil {
			t.Errorf("the answer has no %q", key)
		}
	}
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	if math.Round(answer.Gateway.MonthlyUSD) != 954 || math.Abs(answer.NATInstance.MonthlyUSD-526) > 526*0.02 {
		t.Errorf("%.2f by gateway, %.2f by instance; published are 954 and about 526", answer.Gateway.MonthlyUSD, answer.NATInstance.MonthlyUSD)
	}
	if len(answer.Gateway.Items) == 0 || len(answer.NATInstance.Items) == 0 {
		t.Error("a bill without items")
	}
}

func TestCostForPeopleNamesItemsSavingAndTheDateOfThePrices(t *testing.T) {
	var out, errs bytes.Buffer
	if status := run(context.Background(), strings.Fields("cost --in-gb 10000 --out-gb 500 --instance-type t4g.small --zones 3 --economy --observability"), &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, &errs)
	}
	for _, want := range []string{"by NAT gateway", "by NAT instance", "standby NAT gateway", "CloudWatch alarms", "saving", "list prices of 20"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, &out)
		}
	}
}
