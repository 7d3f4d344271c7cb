package migration_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	component "polynat/components/alicloud/migration"
	"polynat/internal/engine"
	"polynat/internal/migration"
	"polynat/internal/rehearsal"
)

var everything = netip.MustParsePrefix("0.0.0.0/0")

// rehearseDev rehearses the dev environment of the repository.
func rehearseDev(t *testing.T, faults bool) rehearsal.SetupReport {
	t.Helper()
	project, config, err := engine.LoadConfig(context.Background(), "../../..", "dev")
	if err != nil {
		t.Fatal(err)
	}
	setup, ok, err := rehearsal.AlicloudSetup(config)
	if err != nil || !ok {
		t.Fatalf("ok %v, error %v", ok, err)
	}
	report, err := rehearsal.Run(t.Context(), rehearsal.Options{
		Project: project, Stack: "dev", Config: config, Program: rehearsal.Polynat, Faults: faults, MaxFaults: maxFaults,
	}, setup)
	if err != nil {
		t.Fatal(err)
	}
	return report.Setups[0]
}

// maxFaults is how many failures of a step are tried, of the two that each of its operations may have.
const maxFaults = 20

func TestTheDevEnvironmentIsRehearsedThereAndBackAndNothingIsLost(t *testing.T) {
	report := rehearseDev(t, true)
	if want := 18; !report.OK || len(report.Steps) != want {
		t.Fatalf("ok %v, %d steps, want %d: %+v", report.OK, len(report.Steps), want, report.Steps)
	}
	for _, s := range report.Steps {
		if s.Holes+s.LostConnections != 0 {
			t.Errorf("%+v", s)
		}
		if cuts := s.Name == "switch" || s.Name == "back to snat"; cuts != (s.CutConnections > 0) {
			t.Errorf("step %s cut %d connections; they are cut where traffic moves, and nowhere else", s.Name, s.CutConnections)
		}
		if s.Name != "deploy" && s.Faults != min(2*s.Operations, maxFaults) {
			t.Errorf("step %s tried %d failures of %d operations", s.Name, s.Faults, s.Operations)
		}
	}
}

// The faults that a careless change could put into the program, each caught by the stage and the destination it names.
func TestAPlantedFaultIsCaughtByTheRehearsal(t *testing.T) {
	for _, fault := range []struct {
		name        string
		plant       func(*migration.Plan)
		stage, says string
	}{
		{
			"covers and removal in one stage",
			func(p *migration.Plan) {
				if p.Stage == migration.Cover {
					p.Tables = withoutRoutes(p.Tables, func(r migration.RoutePlan) bool { return r.CIDR == everything })
				}
			},
			"cover", "1.0.0.0",
		},
		{
			"a vSwitch without SNAT",
			func(p *migration.Plan) {
				if p.Stage == migration.Switch {
					p.SNAT = p.SNAT[1:]
				}
			},
			"switch", "1.0.0.0",
		},
		{
			"a vSwitch that never gets SNAT",
			func(p *migration.Plan) {
				if len(p.SNAT) > 0 {
					p.SNAT = p.SNAT[1:]
				}
			},
			"snat", "has no SNAT entry, its hosts would be cut off",
		},
		{
			"a declared 0.0.0.0/0 in the system table",
			func(p *migration.Plan) {
				if p.Stage != migration.Gateway {
					return
				}
				for i, t := range p.Tables {
					if !has(t.Routes, func(r migration.RoutePlan) bool { return r.ToNAT }) {
						p.Tables[i].Routes = append(t.Routes, migration.RoutePlan{CIDR: everything, ToNAT: true})
					}
				}
			},
			"gateway", "0.0.0.0/0",
		},
	} {
		t.Run(fault.name, func(t *testing.T) {
			defer component.Plant(fault.plant)()
			report := rehearseDev(t, false)
			last := report.Steps[len(report.Steps)-1]
			if report.OK || last.Name != fault.stage {
				t.Fatalf("ok %v at stage %s, want it caught at %s", report.OK, last.Name, fault.stage)
			}
			if text := strings.Join(last.Problems, "\n"); !strings.Contains(text, fault.says) {
				t.Errorf("problems of stage %s do not name %s:\n%s", last.Name, fault.says, text)
			}
		})
	}
}

func withoutRoutes(tables []migration.TablePlan, drop func(migration.RoutePlan) bool) []migration.TablePlan {
	for i := range tables {
		var kept []migration.RoutePlan
		for _, r := range tables[i].Routes {
			if !drop(r) {
				kept = append(kept, r)
			}
		}
		tables[i].Routes = kept
	}
	return tables
}

func has(routes []migration.RoutePlan, is func(migration.RoutePlan) bool) bool {
	for _, r := range routes {
		if is(r) {
			return true
		}
	}
	return false
}
