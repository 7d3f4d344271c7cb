package rehearsal_test

import (
	"context"
	"testing"

	"polynat/internal/engine"
	"polynat/internal/rehearsal"
)

// BenchmarkRehearsal measures the walk of the dev environment, 16 updates there and back, with and without the failures
// that are tried beside it; updates/op tells how many updates of the engine a walk is.
func BenchmarkRehearsal(b *testing.B) {
	project, config, err := engine.LoadConfig(context.Background(), "../..", "dev")
	if err != nil {
		b.Fatal(err)
	}
	for name, faults := range map[string]bool{"walk": false, "walk and failures": true} {
		b.Run(name, func(b *testing.B) {
			updates := 0
			for b.Loop() {
				setup, _, err := rehearsal.AlicloudSetup(config)
				if err != nil {
					b.Fatal(err)
				}
				setup.Variants = nil
				report, err := rehearsal.Run(b.Context(), rehearsal.Options{
					Project: project, Stack: "dev", Config: config, Program: rehearsal.Polynat, Faults: faults,
				}, setup)
				if err != nil || !report.OK {
					b.Fatal(err, report)
				}
				updates = 0
				for _, s := range report.Setups[0].Steps {
					updates += 1 + 2*s.Faults // one with the failure, one to finish
				}
			}
			b.ReportMetric(float64(updates), "updates/op")
		})
	}
}
