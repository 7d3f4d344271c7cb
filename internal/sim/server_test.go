package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	"polynat/internal/sim"
)

const schemaJSON = `{
	"package": "toy",
	"version": "1.0.0",
	"resources": {
		"toy:index:Route": {
			"inputs": {
				"name":  {"type": "string", "forceNew": true},
				"cidr":  {"type": "string", "required": true, "forceNew": true},
				"hop":   {"type": "string", "enum": ["Instance", "Gateway"]},
				"alias": {"type": "string", "conflicts": ["hop"]},
				"cost":  {"type": "int", "default": 10},
				"mtu":   {"type": "int", "computed": true},
				"zones": {"type": "list:string"},
				"tags":  {"type": "map:string"},
				"probe": {"type": "object:Probe"},
				"label": {"type": "string", "length": [2, 4]}
			},
			"outputs": ["cidr", "mtu", "status", "version"],
			"recomputed": ["version"],
			"autoname": "name",
			"autonameSkippedIfSet": ["label"],
			"updatable": true
		},
		"toy:index:Fixed": {"inputs": {"size": {"type": "float"}}},
		"toy:index:Rule": {
			"inputs": {"table": {"type": "string"}, "tags": {"type": "map:string"}},
			"idWithin": "table",
			"emptyIsNull": true,
			"updatable": true
		}
	},
	"functions": {
		"toy:index:find": {"args": {"cidr": {"type": "string", "required": true}, "limit": {"type": "int", "default": 5}}}
	},
	"types": {"Probe": {"port": {"type": "int", "required": true}, "loud": {"type": "bool"}, "tries": {"type": "int", "default": 3}}}
}`

const (
	routeURN = "urn:pulumi:dev::proj::pkg:index:Parent$toy:index:Route::egress"
	unknown  = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
)

// cloud answers as its functions say.
type cloud struct {
	create func(sim.Request) (string, sim.Object, error)
	read   func(id string) (sim.Object, sim.Object, bool, error)
	update func(sim.Request) (sim.Object, error)
	delete func(sim.Request) error
	invoke func(sim.Object) (sim.Object, error)
}

func (c cloud) Create(_ context.Context, r sim.Request) (string, sim.Object, error) {
	return c.create(r)
}

func (c cloud) Read(_ context.Context, _, id string) (sim.Object, sim.Object, bool, error) {
	return c.read(id)
}
func (c cloud) Update(_ context.Context, r sim.Request) (sim.Object, error) { return c.update(r) }
func (c cloud) Delete(_ context.Context, r sim.Request) error               { return c.delete(r) }
func (c cloud) Invoke(_ context.Context, _ string, args sim.Object) (sim.Object, error) {
	return c.invoke(args)
}

func newServer(t *testing.T, c cloud) *sim.Server {
	t.Helper()
	schema, err := sim.ParseSchema([]byte(schemaJSON))
	if err != nil {
		t.Fatal(err)
	}
	return sim.NewServer(schema, c)
}

// wire makes a property bag of JSON.
func wire(t testing.TB, text string) *structpb.Struct {
	t.Helper()
	var s structpb.Struct
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return &s
}

func check(t *testing.T, s *sim.Server, olds, news string) (map[string]any, []string) {
	t.Helper()
	resp, err := s.Check(context.Background(), &pulumirpc.CheckRequest{
		Urn: routeURN, Olds: wire(t, olds), News: wire(t, news),
	})
	if err != nil {
		t.Fatal(err)
	}
	var failures []string
	for _, f := range resp.GetFailures() {
		failures = append(failures, f.GetProperty()+": "+f.GetReason())
	}
	return resp.GetInputs().AsMap(), failures
}

func TestCheckNamesEveryReasonToRefuse(t *testing.T) {
	t.Parallel()
	s := newServer(t, cloud{})
	for news, want := range map[string][]string{
		`{"cidr": "10.0.0.0/8", "hop": "Instance", "zones": ["a"], "tags": {"k": "v"}, "probe": {"port": 80}}`: nil,
		`{"hop": "instance", "cidr": "x"}`: {`hop: "instance": not one of the documented values (Instance, Gateway)`},
		`{"cidr": 7}`:                      {`cidr: 7: not a string (the property is of type string)`},
		`{"cidr": "x", "cost": 1.5}`:       {`cost: 1.5: not a whole number (the property is of type int)`},
		`{"cidr": "x", "cost": "1"}`:       {`cost: "1": not a whole number (the property is of type int)`},
		`{"cidr": "x", "zones": "a"}`:      {`zones: "a": not a list (the property is of type list:string)`},
		`{"cidr": "x", "zones": ["a", 1]}`: {`zones[1]: 1: not a string (the property is of type string)`},
		`{"cidr": "x", "tags": {"k": 1}}`:  {`tags.k: 1: not a string (the property is of type string)`},
		`{"cidr": "x", "probe": {"loud": true}}`: {
			`probe.port: missing: Probe requires it (set it)`,
		},
		`{"cidr": "x", "probe": {"port": 1, "pitch": 2}}`: {
			`probe.pitch: 2: not a property of Probe (known: loud, port, tries)`,
		},
		`{"cidr": "x", "hop": "Gateway", "alias": "y"}`: {
			`alias: "y": conflicts with hop (leave one of them out)`,
		},
		`{"cdir": "x"}`: {
			`cdir: "x": not a property of toy:index:Route (known: alias, cidr, cost, hop, label, mtu, name, probe, tags, zones)`,
			`cidr: missing: toy:index:Route requires it (set it)`,
		},
		`{"cidr": "x", "label": ""}`:                             {`label: expected length of label to be in the range (2 - 4), got `},
		`{"cidr": "x", "label": "abcde"}`:                        {`label: expected length of label to be in the range (2 - 4), got abcde`},
		`{"cidr": null}`:                                         {`cidr: missing: toy:index:Route requires it (set it)`},
		`{"cidr": "` + unknown + `", "cost": "` + unknown + `"}`: nil,
	} {
		if _, got := check(t, s, `{}`, news); !cmp.Equal(want, got) {
			t.Errorf("%s (-want +got):\n%s", news, cmp.Diff(want, got))
		}
	}
}

func TestCheckFillsInDefaultsAndTheAutomaticName(t *testing.T) {
	t.Parallel()
	s := newServer(t, cloud{})
	inputs, _ := check(t, s, `{}`, `{"cidr": "x"}`)
	name, _ := inputs["name"].(string)
	if !strings.HasPrefix(name, "egress-") || len(name) != len("egress-")+7 {
		t.Errorf("name: got %q, want egress- and seven digits", name)
	}
	if inputs["cost"] != 10.0 {
		t.Errorf("cost: got %v, want the default 10", inputs["cost"])
	}
	if again, _ := check(t, s, `{}`, `{"cidr": "x"}`); again["name"] != name {
		t.Errorf("the second run's name is %v, the first's was %s", again["name"], name)
	}

	kept, _ := check(t, s, `{"cidr": "x", "name": "egress-0000000", "__defaults": ["name"]}`, `{"cidr": "x"}`)
	if kept["name"] != "egress-0000000" {
		t.Errorf("an automatic name became %v", kept["name"])
	}
	dropped, _ := check(t, s, `{"cidr": "x", "name": "mine"}`, `{"cidr": "x"}`)
	if dropped["name"] != name {
		t.Errorf("a name that the program dropped became %v, want an automatic one", dropped["name"])
	}
	skipped, _ := check(t, s, `{}`, `{"cidr": "x", "label": "ll"}`)
	if _, named := skipped["name"]; named {
		t.Errorf("named %v beside a label", skipped["name"])
	}
}

func diff(t *testing.T, s *sim.Server, urn, state, olds, news string, ignore ...string) *pulumirpc.DiffResponse {
	t.Helper()
	resp, err := s.Diff(context.Background(), &pulumirpc.DiffRequest{
		Urn: urn, Olds: wire(t, state), OldInputs: wire(t, olds), News: wire(t, news), IgnoreChanges: ignore,
	})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestCheckListsInEachObjectTheDefaultsThatItFilledIn(t *testing.T) {
	t.Parallel()
	s := newServer(t, cloud{})
	for olds, tries := range map[string]float64{
		`{}`: 3,
		`{"cidr": "x", "probe": {"port": 1, "tries": 5, "__defaults": ["tries"]}}`: 5, // of an earlier version: it is kept
		`{"cidr": "x", "probe": {"port": 1, "tries": 5, "__defaults": []}}`:        3,
	} {
		got, _ := check(t, s, olds, `{"cidr": "x", "label": "mine", "cost": 1, "probe": {"port": 1}}`)
		want := map[string]any{
			"cidr": "x", "label": "mine", "cost": 1.0, "__defaults": []any{},
			"probe": map[string]any{"port": 1.0, "tries": tries, "__defaults": []any{"tries"}},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("after %s (-want +got):\n%s", olds, d)
		}
	}
}

func TestAnIDIsUniqueWithinWhatTheTypeSays(t *testing.T) {
	t.Parallel()
	const urn = "urn:pulumi:dev::proj::toy:index:Rule::r"
	var asked []string
	s := newServer(t, cloud{
		create: func(sim.Request) (string, sim.Object, error) { return "a/r", nil, nil },
		read: func(id string) (sim.Object, sim.Object, bool, error) {
			asked = append(asked, "read "+id)
			return sim.Object{"table": "a"}, sim.Object{}, true, nil
		},
		update: func(r sim.Request) (sim.Object, error) { asked = append(asked, "update "+r.ID); return nil, nil },
		delete: func(r sim.Request) error { asked = append(asked, "delete "+r.ID); return nil },
	})
	made, err := s.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn, Properties: wire(t, `{"table": "a"}`)})
	if err != nil || made.GetId() != "r" {
		t.Errorf("made %q (%v), want r", made.GetId(), err)
	}
	for _, id := range []string{"r", "a/r"} { // of a state, and one to import
		read, err := s.Read(t.Context(), &pulumirpc.ReadRequest{Urn: urn, Id: id, Properties: wire(t, `{"table": "a"}`)})
		if err != nil || read.GetId() != "r" {
			t.Errorf("read %q (%v), want r", read.GetId(), err)
		}
	}
	_, err = s.Update(t.Context(), &pulumirpc.UpdateRequest{Urn: urn, Id: "r", Olds: wire(t, `{"table": "a"}`), News: wire(t, `{"table": "b"}`)})
	if err == nil {
		_, err = s.Delete(t.Context(), &pulumirpc.DeleteRequest{Urn: urn, Id: "r", Properties: wire(t, `{"table": "b"}`)})
	}
	if got := strings.Join(asked, ", "); err != nil || got != "read a/r, read a/r, update a/r, delete b/r" {
		t.Errorf("the cloud was asked to %s (%v)", got, err)
	}
}

func TestDiffTellsUpdatesFromReplacements(t *testing.T) {
	t.Parallel()
	s := newServer(t, cloud{})
	const fixedURN = "urn:pulumi:dev::proj::toy:index:Fixed::f"
	for name, c := range map[string]struct {
		urn, state, olds, news string
		ignore                 []string
		diffs, replaces        string
		deleteFirst            bool
	}{
		"nothing":               {olds: `{"cidr": "x"}`, news: `{"cidr": "x"}`},
		"defaults do not count": {olds: `{"cidr": "x", "__defaults": []}`, news: `{"cidr": "x"}`},
		"nested defaults neither": {
			olds: `{"probe": {"port": 1, "__defaults": []}}`, news: `{"probe": {"port": 1}}`,
		},
		"a default that the other version writes down": {olds: `{"cidr": "x", "alias": "a", "__defaults": ["alias"]}`, news: `{"cidr": "x", "__defaults": []}`},
		"a default that this version writes down":      {olds: `{"cidr": "x"}`, news: `{"cidr": "x", "cost": 10, "__defaults": ["cost"]}`},
		"a nested default of one version": {
			olds: `{"probe": {"port": 1, "loud": false, "__defaults": ["loud"]}}`, news: `{"probe": {"port": 1, "__defaults": []}}`,
		},
		"a nested removal": {
			olds: `{"probe": {"port": 1, "loud": true, "__defaults": []}}`, news: `{"probe": {"port": 1, "__defaults": []}}`, diffs: "probe",
		},
		"in place":    {olds: `{"hop": "Instance"}`, news: `{"hop": "Gateway"}`, diffs: "hop"},
		"added":       {olds: `{}`, news: `{"hop": "Gateway"}`, diffs: "hop"},
		"removed":     {olds: `{"hop": "Gateway"}`, news: `{}`, diffs: "hop"},
		"replacement": {olds: `{"cidr": "x"}`, news: `{"cidr": "y"}`, diffs: "cidr", replaces: "cidr"},
		"unknown replaces": {
			olds: `{"cidr": "x"}`, news: `{"cidr": "` + unknown + `"}`, diffs: "cidr", replaces: "cidr",
		},
		"named by the program": {
			olds: `{"cidr": "x", "name": "n"}`, news: `{"cidr": "y", "name": "n"}`,
			diffs: "cidr", replaces: "cidr", deleteFirst: true,
		},
		"named automatically": {
			olds:  `{"cidr": "x", "name": "n", "__defaults": ["name"]}`,
			news:  `{"cidr": "y", "name": "n", "__defaults": ["name"]}`,
			diffs: "cidr", replaces: "cidr",
		},
		"named by the program, in place": {
			olds: `{"name": "n", "hop": "Instance"}`, news: `{"name": "n", "hop": "Gateway"}`, diffs: "hop",
		},
		"ignored":              {olds: `{"cidr": "x"}`, news: `{"cidr": "y"}`, ignore: []string{"cidr"}},
		"computed, left out":   {olds: `{"mtu": 9000}`, news: `{}`},
		"computed, as chosen":  {state: `{"mtu": 1500}`, olds: `{}`, news: `{"mtu": 1500}`},
		"computed, set anew":   {state: `{"mtu": 1500}`, olds: `{}`, news: `{"mtu": 9000}`, diffs: "mtu"},
		"shown, never set":     {state: `{"cidr": "x", "status": "up"}`, olds: `{}`, news: `{}`, diffs: "cidr", replaces: "cidr"},
		"shown, ignored":       {state: `{"cidr": "x"}`, olds: `{}`, news: `{}`, ignore: []string{"cidr"}},
		"shown, empty":         {state: `{"cidr": "", "zones": []}`, olds: `{}`, news: `{}`},
		"shown, computed":      {state: `{"mtu": 1500}`, olds: `{}`, news: `{}`},
		"no update operation":  {urn: fixedURN, olds: `{"size": 1}`, news: `{"size": 2}`, diffs: "size", replaces: "size"},
		"a list by its values": {olds: `{"zones": ["a"]}`, news: `{"zones": ["a"]}`},
		"a list's order":       {olds: `{"zones": ["a", "b"]}`, news: `{"zones": ["b", "a"]}`, diffs: "zones"},
	} {
		if c.urn == "" {
			c.urn = routeURN
		}
		if c.state == "" {
			c.state = "{}"
		}
		resp := diff(t, s, c.urn, c.state, c.olds, c.news, c.ignore...)
		if got := strings.Join(resp.GetDiffs(), " "); got != c.diffs {
			t.Errorf("%s: diffs %q, want %q", name, got, c.diffs)
		}
		if got := strings.Join(resp.GetReplaces(), " "); got != c.replaces {
			t.Errorf("%s: replaces %q, want %q", name, got, c.replaces)
		}
		if got := resp.GetDeleteBeforeReplace(); got != c.deleteFirst {
			t.Errorf("%s: delete first %t, want %t", name, got, c.deleteFirst)
		}
		if some := resp.GetChanges() == pulumirpc.DiffResponse_DIFF_SOME; some != (c.diffs != "") {
			t.Errorf("%s: changes %v", name, resp.GetChanges())
		}
	}
}

func TestPreviewAsksTheCloudForNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t, cloud{}) // any call would panic
	created, err := s.Create(context.Background(), &pulumirpc.CreateRequest{
		Urn: routeURN, Preview: true, Properties: wire(t, `{"cidr": "x"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"cidr": "x", "mtu": unknown, "status": unknown, "version": unknown}
	if d := cmp.Diff(want, created.GetProperties().AsMap()); d != "" {
		t.Errorf("create (-want +got):\n%s", d)
	}
	updated, err := s.Update(context.Background(), &pulumirpc.UpdateRequest{
		Urn: routeURN, Id: "r-1", Preview: true, Olds: wire(t, `{"mtu": 1, "hop": "Instance"}`), News: wire(t, `{"hop": "Gateway"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]any{"mtu": 1.0, "hop": "Gateway", "version": unknown}, updated.GetProperties().AsMap()); d != "" {
		t.Errorf("update (-want +got):\n%s", d)
	}
	if len(s.Operations()) != 0 {
		t.Errorf("recorded: %v", s.Operations())
	}
}

func TestPreviewKnowsWhatAnUpdateChangesByItself(t *testing.T) {
	t.Parallel()
	s := newServer(t, cloud{}) // any call would panic
	updated, err := s.Update(context.Background(), &pulumirpc.UpdateRequest{
		Urn: routeURN, Preview: true, Olds: wire(t, `{"cidr": "10.0.0.0/8", "status": "up", "version": 3}`), News: wire(t, `{"cidr": "10.0.0.0/8", "cost": 7}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	got := updated.GetProperties().AsMap()
	if got["version"] != unknown || got["status"] != "up" {
		t.Errorf("the version after the update is %v, and the status %v", got["version"], got["status"])
	}
}

func TestOperationsReachTheCloudAndAreRecorded(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var asked []sim.Request
	ask := func(r sim.Request) { asked = append(asked, r) }
	s := newServer(t, cloud{
		create: func(r sim.Request) (string, sim.Object, error) {
			ask(r)
			r.Inputs["cidr"] = "changed by the cloud" // its copy
			return "r-1", sim.Object{"status": "up"}, nil
		},
		update: func(r sim.Request) (sim.Object, error) { ask(r); return sim.Object{"status": "moved"}, nil },
		delete: func(r sim.Request) error { ask(r); return errors.New("in use") },
	})
	inputs := wire(t, `{"cidr": "x", "name": "n", "__defaults": ["name"]}`)
	created, err := s.Create(ctx, &pulumirpc.CreateRequest{Urn: routeURN, Properties: inputs})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]any{"cidr": "x", "name": "n", "status": "up"}, created.GetProperties().AsMap()); d != "" {
		t.Errorf("create (-want +got):\n%s", d)
	}
	state := created.GetProperties()
	if _, err := s.Update(ctx, &pulumirpc.UpdateRequest{
		Urn: routeURN, Id: "r-1", Olds: state, OldInputs: inputs, News: wire(t, `{"cidr": "x", "hop": "Gateway"}`),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete(ctx, &pulumirpc.DeleteRequest{
		Urn: routeURN, Id: "r-1", Properties: state, OldInputs: inputs,
	}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("delete: %v, want the cloud's error", err)
	}

	const typ = "toy:index:Route"
	old := sim.Object{"cidr": "x", "name": "n", "status": "up"}
	wantAsked := []sim.Request{
		{URN: routeURN, Type: typ, Inputs: sim.Object{"cidr": "changed by the cloud", "name": "n"}},
		{URN: routeURN, Type: typ, ID: "r-1", Old: old, Inputs: sim.Object{"cidr": "x", "hop": "Gateway"}},
		{URN: routeURN, Type: typ, ID: "r-1", Old: old, Inputs: sim.Object{"cidr": "x", "name": "n"}},
	}
	if d := cmp.Diff(wantAsked, asked); d != "" {
		t.Errorf("asked of the cloud (-want +got):\n%s", d)
	}
	var log []string
	for _, op := range s.Operations() {
		log = append(log, fmt.Sprint(op.Seq, op.Kind, op.Name, op.ID, op.Inputs["cidr"], op.Err))
	}
	wantLog := []string{
		fmt.Sprint(1, sim.Create, "egress", "r-1", "x", nil),
		fmt.Sprint(2, sim.Update, "egress", "r-1", "x", nil),
		fmt.Sprint(3, sim.Delete, "egress", "r-1", "x", errors.New("in use")),
	}
	if d := cmp.Diff(wantLog, log); d != "" {
		t.Errorf("recorded (-want +got):\n%s", d)
	}
}

func TestReadForAnImportReturnsWhatTheCloudSays(t *testing.T) {
	t.Parallel()
	s := newServer(t, cloud{read: func(id string) (sim.Object, sim.Object, bool, error) {
		return sim.Object{"cidr": "x"}, sim.Object{"status": "up"}, id == "r-1", nil
	}})
	resp, err := s.Read(context.Background(), &pulumirpc.ReadRequest{Urn: routeURN, Id: "r-1"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]any{"cidr": "x"}, resp.GetInputs().AsMap()); d != "" {
		t.Errorf("inputs (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]any{"cidr": "x", "status": "up"}, resp.GetProperties().AsMap()); d != "" {
		t.Errorf("properties (-want +got):\n%s", d)
	}
	gone, err := s.Read(context.Background(), &pulumirpc.ReadRequest{Urn: routeURN, Id: "r-2"})
	if err != nil || gone.GetId() != "" {
		t.Errorf("of what is gone: id %q, %v; want neither", gone.GetId(), err)
	}
}

func TestReadForARefreshBringsOnlyRecordedInputsUpToDate(t *testing.T) {
	t.Parallel()
	s := newServer(t, cloud{read: func(string) (sim.Object, sim.Object, bool, error) {
		return sim.Object{"cidr": "x", "hop": "Gateway", "label": nil, "mtu": 1500.0}, sim.Object{"cost": 7.0}, true, nil
	}})
	resp, err := s.Read(context.Background(), &pulumirpc.ReadRequest{
		Urn: routeURN, Id: "r-1",
		Inputs: wire(t, `{"cidr": "x", "hop": "Instance", "label": "l", "cost": 10, "alias": "write-only", "__defaults": ["cost"]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"cidr": "x", "hop": "Gateway", "cost": 7.0, "alias": "write-only", "__defaults": []any{"cost"},
	}
	if d := cmp.Diff(want, resp.GetInputs().AsMap()); d != "" {
		t.Errorf("inputs (-want +got):\n%s", d)
	}
}

func TestAReadKeepsTheListsOfDefaultsAndLosesEmptyMapsWhereTheTypeHasNone(t *testing.T) {
	t.Parallel()
	s := newServer(t, cloud{read: func(string) (sim.Object, sim.Object, bool, error) {
		return sim.Object{"cidr": "x", "tags": sim.Object{}, "probe": sim.Object{"port": 2.0, "tries": 3.0}}, sim.Object{}, true, nil
	}})
	for urn, want := range map[string]map[string]any{
		routeURN: {"tags": map[string]any{}, "probe": map[string]any{"port": 2.0, "tries": 3.0, "__defaults": []any{"tries"}}, "__defaults": []any{}},
		"urn:pulumi:dev::proj::toy:index:Rule::r": {"probe": map[string]any{"port": 2.0, "tries": 3.0, "__defaults": []any{"tries"}}, "__defaults": []any{}},
	} {
		resp, err := s.Read(t.Context(), &pulumirpc.ReadRequest{
			Urn: urn, Id: "r-1", Inputs: wire(t, `{"tags": {}, "probe": {"port": 1, "tries": 3, "__defaults": ["tries"]}, "__defaults": []}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, resp.GetInputs().AsMap()); d != "" {
			t.Errorf("%s (-want +got):\n%s", urn, d)
		}
	}
}

func TestReadKnowsFilesAndArchivesByTheirHashesAlone(t *testing.T) {
	t.Parallel()
	const signature = "4dabf18193072939515e22adb298388d"
	file := sim.Object{signature: "c44067f5952c0a294b673a41bacd8c17", "hash": "f1", "path": "/tmp/natd"}
	archive := sim.Object{signature: "0def7320c3a5731c473e5ecbe6d01bc7", "hash": "a1", "path": "/tmp/code.zip"}
	s := newServer(t, cloud{read: func(string) (sim.Object, sim.Object, bool, error) {
		return sim.Object{"cidr": "x", "label": archive}, sim.Object{"files": []any{file}, "label": archive}, true, nil
	}})
	resp, err := s.Read(context.Background(), &pulumirpc.ReadRequest{
		Urn: routeURN, Id: "r-1", Inputs: wire(t, `{"cidr": "x", "label": {"`+signature+`": "0def7320c3a5731c473e5ecbe6d01bc7", "hash": "a1"}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	inside := map[string]any{signature: archive[signature], "hash": "a1", "assets": map[string]any{}}
	want := []map[string]any{
		{"cidr": "x", "label": inside},
		{"cidr": "x", "label": inside, "files": []any{map[string]any{signature: file[signature], "hash": "f1"}}},
	}
	if d := cmp.Diff(want, []map[string]any{resp.GetInputs().AsMap(), resp.GetProperties().AsMap()}); d != "" {
		t.Errorf("inputs and outputs (-want +got):\n%s", d)
	}
}

func TestAFaultDecidesWhatBecomesOfAnOperation(t *testing.T) {
	t.Parallel()
	for verdict, want := range map[sim.Verdict]struct {
		done, failed, crashed bool
	}{
		sim.Proceed:    {done: true},
		sim.FailBefore: {failed: true},
		sim.FailAfter:  {done: true, failed: true},
		sim.Crash:      {done: true, failed: true, crashed: true},
	} {
		done, crashed := false, false
		s := newServer(t, cloud{create: func(sim.Request) (string, sim.Object, error) {
			done = true
			return "r-1", nil, nil
		}})
		s.Fault = func(op sim.Operation) sim.Verdict {
			if op.Seq != 1 || op.Kind != sim.Create || op.Name != "egress" || op.Inputs["cidr"] != "x" {
				t.Errorf("%s: asked about %v", verdict, op)
			}
			return verdict
		}
		var observed []sim.Operation
		s.Observe = func(op sim.Operation) { observed = append(observed, op) }
		s.OnCrash = func() {
			crashed = true
			if len(observed) != 1 {
				t.Errorf("%s: crashed before the operation was observed", verdict)
			}
		}
		resp, err := s.Create(context.Background(), &pulumirpc.CreateRequest{Urn: routeURN, Properties: wire(t, `{"cidr": "x"}`)})
		if done != want.done || crashed != want.crashed || (err != nil) != want.failed {
			t.Errorf("%s: done %t, crashed %t, error %v", verdict, done, crashed, err)
		}
		if want.failed && (resp.GetId() != "" || !errors.Is(observed[0].Err, sim.ErrFault)) {
			t.Errorf("%s: id %q, recorded error %v", verdict, resp.GetId(), observed[0].Err)
		}
	}
}

func TestAReadIsNeverMadeToFail(t *testing.T) {
	t.Parallel()
	s := newServer(t, cloud{read: func(string) (sim.Object, sim.Object, bool, error) { return nil, nil, false, nil }})
	s.Fault = func(sim.Operation) sim.Verdict { return sim.FailBefore }
	if _, err := s.Read(context.Background(), &pulumirpc.ReadRequest{Urn: routeURN, Id: "r-1"}); err != nil {
		t.Error(err)
	}
}

func TestAnInvokeIsCheckedAndAnswered(t *testing.T) {
	t.Parallel()
	s := newServer(t, cloud{invoke: func(args sim.Object) (sim.Object, error) {
		if args["cidr"] == "bad" {
			return nil, errors.New("throttled")
		}
		return sim.Object{"limit": args["limit"], "routes": []string{"a"}}, nil
	}})
	ask := func(args string) (*pulumirpc.InvokeResponse, error) {
		return s.Invoke(context.Background(), &pulumirpc.InvokeRequest{Tok: "toy:index:find", Args: wire(t, args)})
	}
	resp, err := ask(`{"cidr": "x"}`)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]any{"limit": 5.0, "routes": []any{"a"}}, resp.GetReturn().AsMap()); d != "" {
		t.Errorf("answer (-want +got):\n%s", d)
	}
	if resp, err := ask(`{}`); err != nil || len(resp.GetFailures()) != 1 {
		t.Errorf("without the required argument: %v, %v; want one failure", resp, err)
	}
	if _, err := ask(`{"cidr": "bad"}`); err == nil || !strings.Contains(err.Error(), "throttled") {
		t.Errorf("got %v, want the cloud's error", err)
	}
}

func TestWhatTheSchemaDoesNotKnowIsAnError(t *testing.T) {
	t.Parallel()
	s := newServer(t, cloud{})
	const urn = "urn:pulumi:dev::proj::toy:index:Bridge::b"
	if _, err := s.Check(context.Background(), &pulumirpc.CheckRequest{Urn: urn}); err == nil ||
		!strings.Contains(err.Error(), "toy:index:Bridge") {
		t.Errorf("check: %v, want the unknown type", err)
	}
	if _, err := s.Invoke(context.Background(), &pulumirpc.InvokeRequest{Tok: "toy:index:lose"}); err == nil ||
		!strings.Contains(err.Error(), "toy:index:lose") {
		t.Errorf("invoke: %v, want the unknown function", err)
	}
}

func TestParseSchemaRefusesWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{`:                                "decode schema",
		`{"package": "p", "resource": {}}`: "resource",
		`{"resources": {}}`:                "package: missing",
		`{"package": "p", "resources": {"a": null}}`:                                                   "a: null",
		`{"package": "p", "resources": {"a": {"inputs": {"x": {"type": "number"}}}}}`:                  `a.x: type "number"`,
		`{"package": "p", "resources": {"a": {"inputs": {"x": {"type": "list:object:T"}}}}}`:           "T is not among the types",
		`{"package": "p", "resources": {"a": {"inputs": {"x": {"type": "string:int"}}}}}`:              "no element type",
		`{"package": "p", "resources": {"a": {"inputs": {"x": {"type": "int", "conflicts": ["y"]}}}}}`: `conflicts with "y"`,
		`{"package": "p", "resources": {"a": {"inputs": {}, "autoname": "name"}}}`:                     `autoname "name"`,
	} {
		if _, err := sim.ParseSchema([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestConcurrentOperationsAreNumberedAndObservedOneByOne(t *testing.T) {
	t.Parallel()
	s := newServer(t, cloud{create: func(r sim.Request) (string, sim.Object, error) { return r.URN, nil, nil }})
	inside, last := 0, 0
	enter := func() {
		inside++
		if inside != 1 {
			t.Error("two callbacks at the same time")
		}
	}
	s.Fault = func(op sim.Operation) sim.Verdict {
		enter()
		defer func() { inside-- }()
		if op.Seq != last+1 {
			t.Errorf("operation %d after %d", op.Seq, last)
		}
		last = op.Seq
		_ = s.Operations() // may be asked from within
		return sim.Proceed
	}
	s.Observe = func(sim.Operation) { enter(); inside-- }
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			urn := fmt.Sprintf("urn:pulumi:dev::proj::toy:index:Route::r%d", i)
			if _, err := s.Create(context.Background(), &pulumirpc.CreateRequest{Urn: urn, Properties: wire(t, `{"cidr": "x"}`)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := len(s.Operations()); got != 50 || last != 50 {
		t.Errorf("recorded %d, numbered up to %d: want 50", got, last)
	}
}

// objects draws JSON-like values without nil, which means absent.
func objects() *rapid.Generator[map[string]any] {
	var value *rapid.Generator[any]
	value = rapid.OneOf(
		rapid.Map(rapid.StringMatching(`[a-z]{0,4}`), func(s string) any { return s }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.Float64Range(-1e6, 1e6), func(f float64) any { return f }),
		rapid.Map(rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return value }), 0, 3),
			func(l []any) any { return l }),
		rapid.Map(rapid.MapOfN(rapid.StringMatching(`[a-z]{1,4}`),
			rapid.Deferred(func() *rapid.Generator[any] { return value }), 0, 3),
			func(m map[string]any) any { return m }),
	)
	return rapid.MapOfN(rapid.StringMatching(`[a-z]{1,4}`), value, 0, 5)
}

func TestWhatTheCloudIsGivenIsWhatTheProgramWrote(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		inputs := objects().Draw(rt, "inputs")
		var got sim.Object
		s := newServer(t, cloud{create: func(r sim.Request) (string, sim.Object, error) {
			got = r.Inputs
			return "r-1", nil, nil
		}})
		properties, err := structpb.NewStruct(inputs)
		if err != nil {
			rt.Fatal(err)
		}
		resp, err := s.Create(context.Background(), &pulumirpc.CreateRequest{Urn: routeURN, Properties: properties})
		if err != nil {
			rt.Fatal(err)
		}
		if d := cmp.Diff(inputs, got); d != "" {
			rt.Errorf("the cloud got (-want +got):\n%s", d)
		}
		if d := cmp.Diff(inputs, resp.GetProperties().AsMap()); d != "" {
			rt.Errorf("the engine got back (-want +got):\n%s", d)
		}
		if same := diff(t, s, routeURN, `{}`, toJSON(t, inputs), toJSON(t, maps.Clone(inputs))); len(same.GetDiffs()) != 0 {
			rt.Errorf("equal inputs differ in %v", same.GetDiffs())
		}
	})
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestABasePluginServesItsOnePackage(t *testing.T) {
	schema, err := sim.ParseSchema([]byte(strings.Replace(schemaJSON, `"version": "1.0.0",`, `"version": "1.0.0", "basePlugin": "bridge", "createFirst": true,`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	s := sim.NewServer(schema, cloud{})
	if s.Plugin() != "bridge" || newServer(t, cloud{}).Plugin() != "toy" {
		t.Errorf("plugins %q and %q, want bridge and toy", s.Plugin(), newServer(t, cloud{}).Plugin())
	}
	ask := func(s *sim.Server, name string) (*pulumirpc.ParameterizeResponse, error) {
		return s.Parameterize(t.Context(), &pulumirpc.ParameterizeRequest{Parameters: &pulumirpc.ParameterizeRequest_Value{
			Value: &pulumirpc.ParameterizeRequest_ParametersValue{Name: name, Version: "7.0.0"},
		}})
	}
	if got, err := ask(s, "toy"); err != nil || got.GetName() != "toy" || got.GetVersion() != "7.0.0" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := ask(s, "other"); err == nil || !strings.Contains(err.Error(), `"other": this simulation of plugin bridge serves package toy only`) {
		t.Errorf("another package: %v", err)
	}
	if _, err := ask(newServer(t, cloud{}), "toy"); err == nil || !strings.Contains(err.Error(), "takes no parameters") {
		t.Errorf("a package with a plugin of its own: %v", err)
	}

	// The order of a replacement is left to the program, although the program names the resource.
	wire := func(o sim.Object) *structpb.Struct {
		w, err := structpb.NewStruct(o)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	old, now := sim.Object{"cidr": "10.0.0.0/8", "name": "a"}, sim.Object{"cidr": "11.0.0.0/8", "name": "a"}
	diff, err := s.Diff(t.Context(), &pulumirpc.DiffRequest{Urn: routeURN, Olds: wire(old), OldInputs: wire(old), News: wire(now)})
	if err != nil || len(diff.GetReplaces()) == 0 || diff.GetDeleteBeforeReplace() {
		t.Errorf("%v, %v: want a replacement that creates first", diff, err)
	}
}
