package failover_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"polynat/internal/lambdaruntime"
	"polynat/internal/natzone"
	"polynat/internal/sim"
	"polynat/internal/sim/aws"
	"polynat/internal/sim/aws/api"
)

// The binary as it is deployed, built once for all tests of the package.
var built struct {
	sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(code)
}

func bootstrap(tb testing.TB) string {
	tb.Helper()
	built.Do(func() {
		dir, err := os.MkdirTemp("", "failover")
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "bootstrap")
		build := exec.Command("go", "build", "-tags", "lambda.norpc", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=",
			"-o", built.path, "polynat/cmd/failover")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if built.err != nil {
		tb.Fatal(built.err)
	}
	return built.path
}

// service runs functions of the real binary, and remembers what they did and said.
type service struct {
	*lambdaruntime.Service
	mu      sync.Mutex
	reports []lambdaruntime.Report
	lines   []string
	process *exec.Cmd // of the prober
}

func newService(tb testing.TB) *service {
	s := &service{}
	s.Service = lambdaruntime.New(lambdaruntime.Options{
		Log: func(_, line string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.lines = append(s.lines, line)
		},
		Observe: func(r lambdaruntime.Report) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.reports = append(s.reports, r)
		},
	})
	tb.Cleanup(s.Close)
	return s
}

func (s *service) last() lambdaruntime.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reports[len(s.reports)-1]
}

func (s *service) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// invoke runs a function and reads its answer.
func (s *service) invoke(tb testing.TB, name string, payload, answer any) {
	tb.Helper()
	data, err := json.Marshal(payload)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := s.Invoke(tb.Context(), name, data)
	if err != nil || r.FunctionError != "" {
		tb.Fatalf("%v %s %s\n%s", err, r.FunctionError, r.Payload, s.said())
	}
	if err := json.Unmarshal(r.Payload, answer); err != nil {
		tb.Fatalf("%s: %v", r.Payload, err)
	}
}

func encoded(tb testing.TB, v any) string {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// internet is three https servers on loopback and their certificate.
type internet struct {
	targets []natzone.Target
	cut     atomic.Bool // they answer no more
	ca      string
}

func newInternet(tb testing.TB) *internet {
	tb.Helper()
	n := &internet{ca: filepath.Join(tb.TempDir(), "ca.pem")}
	for i := range 3 {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n.cut.Load() {
				<-r.Context().Done()
				return
			}
			if r.URL.Path == "/ip" {
				fmt.Fprint(w, "203.0.113.7")
				return
			}
			_, _ = io.WriteString(w, "ok")
		}))
		tb.Cleanup(s.Close)
		if i == 0 {
			// Beside those that a host has, if it has any: they take memory.
			block, _ := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
			block = append(block, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})...)
			if err := os.WriteFile(n.ca, block, 0o600); err != nil {
				tb.Fatal(err)
			}
		}
		n.targets = append(n.targets, natzone.Target(s.URL+"/"))
	}
	return n
}

// detection is the default with ten times the rounds, and half the window. No shorter: on a busy machine, handshakes may take a
// fraction of a second, and a quarter of the window has to hold more of them than that.
func detection() natzone.Detection {
	d := natzone.DefaultDetection()
	d.Interval, d.Window = d.Interval/10, d.Window/2
	return d
}

func (s *service) prober(tb testing.TB, n *internet, d natzone.Detection) {
	tb.Helper()
	config := natzone.Prober{
		Version: natzone.Version, Name: "egress", Zone: "us-east-1a", Targets: n.targets, Identity: []string{string(n.targets[0]) + "ip"},
		Egress: []netip.Addr{netip.MustParseAddr("203.0.113.7")}, Detection: d, Health: "http://127.0.0.1:1/health",
		MetricNamespace: natzone.MetricNamespace,
	}
	if err := s.Create(lambdaruntime.Function{
		Name: "prober", Bootstrap: bootstrap(tb), Timeout: 90 * time.Second,
		Env: map[string]string{natzone.ProberVariable: encoded(tb, config), "SSL_CERT_FILE": n.ca},
		Start: func(c *exec.Cmd) error {
			s.process = c
			return c.Start()
		},
	}); err != nil {
		tb.Fatal(err)
	}
}

// tick that is over after a while.
func tick(d time.Duration) natzone.Tick {
	now := time.Now()
	return natzone.Tick{Time: now.Truncate(time.Minute), Until: now.Add(d)}
}

func TestTheRealProberReportsAndHoldsItsMemory(t *testing.T) {
	n, s := newInternet(t), newService(t)
	s.prober(t, n, detection())
	var r natzone.Report
	s.invoke(t, "prober", tick(3*time.Second), &r)
	if r.Cause != natzone.None || r.Rounds < 60 || r.Classes[natzone.TLS] > 0 || r.Egress.String() != "203.0.113.7" || r.Agent != nil {
		t.Errorf("%+v\n%s", r, s.said())
	}
	if 10*r.FailedAttempts > r.Attempts {
		t.Errorf("%d of %d attempts failed: %v", r.FailedAttempts, r.Attempts, r.Classes)
	}
	n.cut.Store(true)
	s.invoke(t, "prober", tick(20*time.Second), &r)
	if r.Cause != natzone.Streak || len(r.Failing) != 3 {
		t.Errorf("%+v", r)
	}
	if m := s.last().MaxMemory; m > 32<<20 {
		t.Errorf("%d MiB resident", m>>20)
	}
	if said := s.said(); !strings.Contains(said, `"_aws"`) || !strings.Contains(said, `"cause":"streak"`) {
		t.Errorf("log: %s", said)
	}
}

// region declares a zone whose three tables point at its instance.
type region struct {
	cloud             *aws.Cloud
	server            *api.Server
	url               string
	tables            []string
	standby, instance string
	config            natzone.Controller
}

func newRegion(tb testing.TB, s *service, targets []natzone.Target) *region {
	tb.Helper()
	r := &region{cloud: aws.New(aws.Options{Agent: aws.AgentNone})}
	count := 0
	declare := func(typ string, inputs sim.Object) (string, sim.Object) {
		tb.Helper()
		count++
		id, out, err := r.cloud.Create(tb.Context(), sim.Request{URN: fmt.Sprintf("urn:pulumi:s::p::%s::%d", typ, count), Type: typ, Inputs: inputs})
		if err != nil {
			tb.Fatalf("%s: %v", typ, err)
		}
		return id, out
	}
	vpc, _ := declare("aws:ec2/vpc:Vpc", sim.Object{"cidrBlock": "10.0.0.0/16"})
	declare("aws:ec2/internetGateway:InternetGateway", sim.Object{"vpcId": vpc})
	subnet, _ := declare("aws:ec2/subnet:Subnet", sim.Object{"vpcId": vpc, "cidrBlock": "10.0.1.0/24", "availabilityZone": "us-east-1a"})
	eip, _ := declare("aws:ec2/eip:Eip", sim.Object{"domain": "vpc"})
	r.standby, _ = declare("aws:ec2/natGateway:NatGateway", sim.Object{"subnetId": subnet, "allocationId": eip})
	template, _ := declare("aws:ec2/launchTemplate:LaunchTemplate", sim.Object{"name": "nat", "imageId": "ami-0123456789abcdef0", "instanceType": "t4g.small"})
	group, _ := declare("aws:autoscaling/group:Group", sim.Object{
		"name": "egress-us-east-1a", "minSize": 1.0, "maxSize": 1.0, "desiredCapacity": 1.0, "vpcZoneIdentifiers": []any{subnet},
		"launchTemplate": sim.Object{"id": template, "version": "$Latest"},
		"tags": []any{
			sim.Object{"key": natzone.TagName, "value": "egress", "propagateAtLaunch": true},
			sim.Object{"key": natzone.TagZone, "value": "us-east-1a", "propagateAtLaunch": true},
		},
	})
	r.cloud.Advance(10 * time.Minute)
	instances := r.cloud.Instances()
	if len(instances) != 1 {
		tb.Fatalf("instances %+v", instances)
	}
	r.instance = instances[0].InstanceID
	topic, out := declare("aws:sns/topic:Topic", sim.Object{"name": "alerts"})
	if arn, ok := out["arn"].(string); ok {
		topic = arn
	}
	state, _ := declare("aws:ssm/parameter:Parameter", sim.Object{"name": "/polynat/egress/us-east-1a", "type": "String", "value": "{}"})
	for range 3 {
		table, _ := declare("aws:ec2/routeTable:RouteTable", sim.Object{"vpcId": vpc})
		if err := r.cloud.CreateRoute(aws.RouteInput{
			RouteTableID: table, DestinationCidrBlock: "0.0.0.0/0", InstanceID: r.instance,
		}); err != nil {
			tb.Fatal(err)
		}
		r.tables = append(r.tables, table)
	}
	r.server = api.New(r.cloud, s)
	web := httptest.NewServer(r.server)
	tb.Cleanup(web.Close)
	r.url = web.URL
	r.config = natzone.Controller{
		Version: natzone.Version, Name: "egress", Zone: "us-east-1a", Region: "us-east-1", RouteTables: r.tables,
		Destinations: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, Standby: r.standby, Group: group, TerminateHook: natzone.TerminateHook,
		Targets: targets, ProberFunction: "prober", StateParameter: state, AlertTopic: topic, MetricNamespace: natzone.MetricNamespace,
		Healing: natzone.DefaultHealing(),
	}
	return r
}

func (s *service) controller(tb testing.TB, r *region, n *internet) {
	tb.Helper()
	if err := s.Create(lambdaruntime.Function{
		Name: "controller", Bootstrap: bootstrap(tb), Timeout: 2 * time.Minute, MemoryMB: natzone.ControllerMemory,
		Env: map[string]string{
			natzone.ControllerVariable: encoded(tb, r.config), "SSL_CERT_FILE": n.ca,
			"AWS_ENDPOINT_URL": r.url, "AWS_ACCESS_KEY_ID": "controller", "AWS_SECRET_ACCESS_KEY": "secret",
		},
	}); err != nil {
		tb.Fatal(err)
	}
}

// record of a report, as Lambda's destination delivers it.
func record(cause natzone.Cause, failing []natzone.Target) map[string]any {
	now := time.Now().UTC()
	return map[string]any{
		"version": "1.0", "requestContext": map[string]any{"condition": "Success"},
		"responsePayload": natzone.Report{
			Version: natzone.Version, Zone: "us-east-1a", Cause: cause, End: now, Failing: failing,
			Tick: natzone.Tick{Time: now.Truncate(time.Minute), Until: now.Add(30 * time.Second)},
		},
	}
}

func (r *region) hops(tb testing.TB) string {
	tb.Helper()
	tables, err := r.cloud.DescribeRouteTables(aws.DescribeRouteTablesInput{RouteTableIDs: r.tables})
	if err != nil {
		tb.Fatal(err)
	}
	var all []string
	for _, t := range tables {
		for _, route := range t.Routes {
			if route.DestinationCidrBlock == "0.0.0.0/0" {
				all = append(all, route.NatGatewayID+route.InstanceID)
			}
		}
	}
	return strings.Join(all, " ")
}

func TestTheRealControllerFailsOverWithEightCallsAndHoldsItsMemory(t *testing.T) {
	n, s := newInternet(t), newService(t)
	r := newRegion(t, s, n.targets)
	s.controller(t, r, n)
	s.prober(t, n, detection()) // for the controller to start
	var nothing any

	s.invoke(t, "controller", record(natzone.None, nil), &nothing)
	if hops := r.hops(t); hops != strings.Join([]string{r.instance, r.instance, r.instance}, " ") {
		t.Fatalf("routes: %s\n%s", hops, s.said())
	}
	before := total(r.server)
	s.invoke(t, "controller", record(natzone.Streak, n.targets), &nothing)
	if hops := r.hops(t); hops != strings.Join([]string{r.standby, r.standby, r.standby}, " ") {
		t.Fatalf("routes: %s\n%s", hops, s.said())
	}
	if calls := total(r.server) - before; calls > 8 {
		t.Errorf("%d calls: %v", calls, r.server.Counts())
	}
	if p, err := r.cloud.GetParameter(r.config.StateParameter); err != nil || !strings.Contains(p.Value, r.instance) {
		t.Errorf("state: %v %v", p.Value, err)
	}
	if told := r.cloud.Published(); len(told) != 1 || !strings.Contains(told[0].Subject, "moved to the standby") {
		t.Errorf("alerts: %v", told)
	}
	if m := s.last().MaxMemory; m > 64<<20 {
		t.Errorf("%d MiB resident", m>>20)
	}
}

func total(s *api.Server) int {
	n := 0
	for _, c := range s.Counts() {
		n += c
	}
	return n
}

func TestTheBinaryRefusesAnEnvironmentThatIsNone(t *testing.T) {
	for name, env := range map[string][]string{
		"neither":     nil,
		"both":        {natzone.ProberVariable + "={}", natzone.ControllerVariable + "={}"},
		"another one": {natzone.ProberVariable + `={"version": 9}`},
		"no region":   {natzone.ControllerVariable + `={"version": 1}`},
	} {
		cmd := exec.Command(bootstrap(t))
		cmd.Env = append(env, "AWS_LAMBDA_RUNTIME_API=127.0.0.1:1", "HOME="+t.TempDir(), "AWS_EC2_METADATA_DISABLED=true")
		out, err := cmd.CombinedOutput()
		if err == nil || len(out) == 0 || strings.Contains(string(out), "goroutine") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// cpu is what the prober's process has used, user and system, as Linux counts it in hundredths of a second; 0 elsewhere.
func (s *service) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// BenchmarkBinary reports what is deployed: its size, the time from the start of a process to its first question for work,
// and the memory and CPU time of a prober that has served as many rounds as a minute has, over TLS. Of 128 MB come 4.3 s of
// CPU time a minute.
func BenchmarkBinary(b *testing.B) {
	info, err := os.Stat(bootstrap(b))
	if err != nil {
		b.Fatal(err)
	}
	n := newInternet(b)
	var cold, used time.Duration
	var prober, controller int64
	for b.Loop() {
		s := newService(b)
		r := newRegion(b, s, n.targets)
		s.prober(b, n, detection())
		s.controller(b, r, n)
		var report natzone.Report
		s.invoke(b, "prober", tick(6*time.Second), &report)
		cold += s.last().Init
		used += s.cpu()
		prober = max(prober, s.last().MaxMemory)
		var nothing any
		s.invoke(b, "controller", record(natzone.Streak, n.targets), &nothing)
		controller = max(controller, s.last().MaxMemory)
		s.Close()
	}
	b.ReportMetric(float64(info.Size())/(1<<20), "MiB-binary")
	b.ReportMetric(float64(cold.Milliseconds())/float64(b.N), "ms-cold")
	b.ReportMetric(float64(used.Milliseconds())/float64(b.N), "ms-CPU-prober")
	b.ReportMetric(float64(prober)/(1<<20), "MiB-prober")
	b.ReportMetric(float64(controller)/(1<<20), "MiB-controller")
}
