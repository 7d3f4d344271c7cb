// Package cli_test holds the rehearsal against the stock Pulumi CLI: both run the same program on the same simulated
// clouds, and must preview and carry out the same operations.
package cli_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/attach"
	"polynat/internal/engine"
	"polynat/internal/migration"
	"polynat/internal/rehearsal"
	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
	"polynat/internal/sim/huaweicloud"
)

// side is one of the two: what it has done in one step.
type side struct {
	Planned []string
	Done    []string
}

// stock is the stock CLI in a playground of its own.
type stock struct {
	t   *testing.T
	dir string
	ops []sim.Operation
}

func newStock(t *testing.T) *stock {
	t.Helper()
	if os.Getenv("POLYNAT_PULUMI_CLI") == "" {
		if os.Getenv("POLYNAT_REQUIRE_CLI") != "" {
			t.Fatal("POLYNAT_REQUIRE_CLI is set, but POLYNAT_PULUMI_CLI names no CLI")
		}
		t.Skip("needs the stock Pulumi CLI of the version in tools/go.mod: build it and name it in POLYNAT_PULUMI_CLI, as .ci/run does")
	}
	dir := t.TempDir()
	for _, name := range []string{"Pulumi.yaml", "Pulumi.dev.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		// The programs of AWS would have to be built. Its setup is rehearsed on the embedded engine.
		text = regexp.MustCompile(`(?s)  aws:region.*?\n(  alicloud:region)`).ReplaceAll(text, []byte("$1"))
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &stock{t: t, dir: dir}
}

// pulumi runs the CLI and returns its standard output.
func (s *stock) pulumi(args ...string) string {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	err := attach.Run(s.t.Context(), attach.Options{
		Dir: s.dir, Program: rehearsal.Polynat, Args: args, Stdout: &stdout, Stderr: &stderr,
		Observe: func(op sim.Operation) { s.ops = append(s.ops, op) },
	})
	if err != nil {
		s.t.Fatalf("pulumi %s: %v\n%s\n%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

func (s *stock) project() string { return filepath.Join(s.dir, ".polynat", "project") }

func (s *stock) step() side {
	s.t.Helper()
	var preview struct {
		Steps []struct {
			Op  string `json:"op"`
			URN string `json:"urn"`
		} `json:"steps"`
	}
	text := s.pulumi("preview", "--json", "--non-interactive")
	if err := json.Unmarshal([]byte(text), &preview); err != nil {
		s.t.Fatalf("preview: %v\n%s", err, text)
	}
	var planned []string
	for _, p := range preview.Steps {
		if p.Op != "same" {
			planned = append(planned, p.Op+" "+p.URN)
		}
	}
	s.ops = nil
	s.pulumi("up", "--yes", "--skip-preview", "--non-interactive")
	return side{sorted(planned), done(s.t, s.ops)}
}

// embedded is the rehearsal's engine, with the configuration that the CLI has written.
type embedded struct {
	t     *testing.T
	stack *engine.Stack
	mu    sync.Mutex // guards ops: there are two providers
	ops   []sim.Operation
}

func newEmbedded(t *testing.T) *embedded {
	t.Helper()
	e := &embedded{t: t}
	observe := func(op sim.Operation) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.ops = append(e.ops, op)
	}
	ali := sim.NewServer(alicloud.Schema(), alicloud.New(alicloud.Options{}))
	huawei := sim.NewServer(huaweicloud.Schema(), huaweicloud.New(huaweicloud.Options{}))
	ali.Observe, huawei.Observe = observe, observe
	stack, err := engine.New(engine.Options{
		Project: "polynat", Stack: "dev", Program: rehearsal.Polynat(nil),
		Providers: map[string]pulumirpc.ResourceProviderServer{"alicloud": ali, "huaweicloud": huawei},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Close)
	e.stack = stack
	return e
}

func (e *embedded) step(project string) side {
	e.t.Helper()
	_, config, err := engine.LoadConfig(context.Background(), project, "dev")
	if err != nil {
		e.t.Fatal(err)
	}
	for k, v := range config {
		if err := e.stack.SetConfig(k, v); err != nil {
			e.t.Fatal(err)
		}
	}
	preview, err := e.stack.Preview(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	var planned []string
	for _, p := range preview.Steps {
		// The CLI's JSON names a replacement, and not the two steps that it consists of.
		if p.Op != "create-replacement" && p.Op != "delete-replaced" {
			planned = append(planned, p.Op+" "+p.URN)
		}
	}
	e.ops = nil
	if _, err := e.stack.Up(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
	return side{sorted(planned), done(e.t, e.ops)}
}

func sorted(texts []string) []string { return slices.Sorted(slices.Values(texts)) }

// done names the operations, in an order that does not depend on which of several at once came first, and sees that
// deletions came last.
func done(t *testing.T, ops []sim.Operation) []string {
	t.Helper()
	deleting := false
	var names []string
	for _, op := range ops {
		if op.Err != nil {
			t.Errorf("%s %s: %v", op.Kind, op.URN, op.Err)
		}
		if deleting && op.Kind != sim.Delete {
			t.Errorf("%s %s came after a deletion", op.Kind, op.URN)
		}
		deleting = deleting || op.Kind == sim.Delete
		names = append(names, string(op.Kind)+" "+op.Type+" "+op.Name)
	}
	slices.SortFunc(names, cmp.Compare[string])
	return names
}

func TestTheStockCLIDoesWhatTheRehearsalSays(t *testing.T) {
	cli, rehearsed := newStock(t), newEmbedded(t)
	const stageKey = "alicloud.migration.stage"
	cli.pulumi("stack", "ls") // makes the playground
	agree := func(name string) {
		t.Helper()
		want, got := rehearsed.step(cli.project()), cli.step()
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("step %s: the CLI differs from the rehearsal (-rehearsal +CLI):\n%s", name, diff)
		}
		t.Logf("step %s: %d planned, %d operations on both", name, len(got.Planned), len(got.Done))
	}
	stages := migration.Stages()
	walk := slices.Clone(stages)
	for i := len(stages) - 2; i >= 0; i-- {
		walk = append(walk, stages[i])
	}
	for _, stage := range walk {
		cli.pulumi("config", "set", "--path", stageKey, string(stage))
		agree(string(stage))
	}
	for _, change := range [][2]string{
		{"huaweicloud.privateNat.rules.web.port", "8080"},
		{"huaweicloud.privateNat.transitIps.main.address", "192.168.0.77"},
		{"huaweicloud.privateNat.gateway.spec", "Medium"},
	} {
		cli.pulumi("config", "set", "--path", change[0], change[1])
		agree(change[0])
	}
}

func TestTheStockCLIRefusesASkippedStageInPreview(t *testing.T) {
	cli := newStock(t)
	cli.pulumi("up", "--yes", "--skip-preview", "--non-interactive")
	cli.pulumi("config", "set", "--path", "alicloud.migration.stage", "uncover")
	var stdout, stderr bytes.Buffer
	cli.ops = nil
	err := attach.Run(t.Context(), attach.Options{
		Dir: cli.dir, Program: rehearsal.Polynat, Args: []string{"preview", "--non-interactive"}, Stdout: &stdout, Stderr: &stderr,
		Observe: func(op sim.Operation) { cli.ops = append(cli.ops, op) },
	})
	if text := stdout.String() + stderr.String(); err == nil || !strings.Contains(text, "a stage moves by one at a time") {
		t.Errorf("error %v, output:\n%s", err, text)
	}
	if len(cli.ops) > 0 {
		t.Errorf("operations: %v", cli.ops)
	}
}

// The README sends people who have played to the rehearsal.
func TestAnExportOfThePlaygroundIsRehearsed(t *testing.T) {
	cli := newStock(t)
	cli.pulumi("up", "--yes", "--skip-preview", "--non-interactive")
	export := []byte(cli.pulumi("stack", "export"))
	project, config, err := engine.LoadConfig(t.Context(), cli.project(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]func(map[string]string, string, string, []byte) (rehearsal.Setup, bool, error){
		"alicloud": rehearsal.AlicloudFromExport, "huaweicloud": rehearsal.HuaweicloudFromExport,
	} {
		setup, ok, err := from(config, project, "dev", export)
		if err != nil || !ok {
			t.Fatalf("%s: there is a setup: %v, error %v", name, ok, err)
		}
		report, err := rehearsal.Run(t.Context(), rehearsal.Options{Project: project, Stack: "dev", Config: config, Program: rehearsal.Polynat}, setup)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !report.OK || len(report.Setups[0].Steps) < 5 {
			t.Errorf("%s: %+v", name, report.Setups[0])
		}
	}
}
