package drill

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"polynat/internal/lab"
	"polynat/internal/lambdaruntime"
	"polynat/internal/natzone"
	"polynat/internal/sim/aws"
	"polynat/internal/sim/aws/api"
)

// apiPort of [lab.Services]; instance metadata is behind it, a port for each instance.
const apiPort = 8000

// world is a lab in which a deployment runs.
type world struct {
	dir      string
	programs programs
	lab      *lab.Lab
	cloud    *aws.Cloud
	api      *api.Server
	lambda   *lambdaruntime.Service
	mirror   *mirror
	zones    []*zone
	log      *log

	mu      sync.Mutex
	fault   func(api.Call) api.Fault
	calls   []call
	ports   int
	reports []lambdaruntime.Report
	quiet   map[string]bool       // requests that bring a minute's report in which nothing failed
	runs    []run                 // of them
	agents  map[string]agentFiles // by instance
	closers []func()
	ctx     context.Context
	cancel  context.CancelFunc
	booting sync.WaitGroup
	service *service
}

// service is the network service of instances: nil where this machine has none, so that the lab configures the interfaces.
type service struct{ first, every time.Duration }

// serviceAnswer is how long the DHCP server takes for each of its two answers.
const serviceAnswer = 300 * time.Millisecond

// network is the service of the instance with a network interface.
func (w *world) network(e aws.NetworkInterface) *lab.NetworkService {
	if w.service == nil {
		return nil
	}
	dir := w.path("network-" + e.NetworkInterfaceID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.mirror.note(err) // called by the mirror
	}
	return &lab.NetworkService{
		Dir: dir, Answer: serviceAnswer, First: w.service.first, Every: w.service.every, Log: w.log.writer("network service of " + e.InstanceID),
		Secondary: func() []netip.Addr { return w.secondary(e) },
	}
}

// secondary addresses of an interface as the instance's metadata lists them: after the primary one. None are there before the agent
// has run, though the deployment was saved when it had the zone's.
func (w *world) secondary(e aws.NetworkInterface) (addresses []netip.Addr) {
	w.mu.Lock()
	_, ran := w.agents[e.InstanceID]
	w.mu.Unlock()
	if !ran {
		return nil
	}
	text, _ := w.cloud.Metadata(e.InstanceID, "meta-data/network/interfaces/macs/"+e.MacAddress+"/local-ipv4s")
	for _, line := range strings.Fields(text) {
		if a, err := netip.ParseAddr(line); err == nil && line != e.PrivateIPAddress {
			addresses = append(addresses, a)
		}
	}
	return addresses
}

// call of the API.
type call struct {
	api.Call
	at time.Time
}

// run of a controller, from begin to end. A quiet one was about a minute in which nothing failed.
type run struct {
	function   string
	begin, end time.Time
	quiet      bool
}

// has says that a call was made in the run.
func (r run) has(c call) bool {
	return c.Caller == r.function && !c.at.Before(r.begin) && !c.at.After(r.end)
}

// zone is one zone's names.
type zone struct {
	name               string
	tables             []string
	prober, controller string
	standby            string
	agent              *natzone.Agent
}

// agentFiles are where an instance's agent has its configuration and its state, which outlives a reboot.
type agentFiles struct{ config, state, endpoint string }

// newWorld brings a deployment to life: with the time that it was left at, the real agents on its instances, and the real
// functions. Log lines of all programs go to log.
func newWorld(ctx context.Context, d *deployment, p programs, dir string, log *log, s *service, late lag) (w *world, err error) {
	ctx, cancel := context.WithCancel(ctx)
	w = &world{dir: dir, programs: p, log: log, agents: map[string]agentFiles{}, quiet: map[string]bool{}, ctx: ctx, cancel: cancel, service: s}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.lab, err = lab.New(d.lab); err != nil {
		return nil, err
	}
	w.closers = append(w.closers, w.lab.Close)
	began := time.Now()
	w.cloud = aws.New(aws.Options{
		Region: region, AddressQuota: -1, Agent: aws.AgentExternal, BootTime: time.Second, GatewayTime: time.Second,
		MetadataLag: late.Duration, // it shows an address where it has arrived
		Clock:       func() time.Time { return d.at.Add(time.Since(began)) },
	})
	if err := w.cloud.Load(d.saved); err != nil {
		return nil, err
	}
	w.lambda = lambdaruntime.New(lambdaruntime.Options{
		Region: region, Log: func(function, line string) { log.add(function, line) }, Observe: w.ran,
	})
	w.closers = append(w.closers, w.lambda.Close)
	w.mirror = newMirror(w.lab, w.cloud)
	w.mirror.booted, w.mirror.network, w.mirror.lag = w.boot, w.network, late
	for _, step := range []func(*deployment) error{w.files, w.serve, w.functions} {
		if err := step(d); err != nil {
			return nil, err
		}
	}
	w.cloud.OnChange = w.mirror.sync
	w.cloud.OnEvent = w.event
	w.mirror.sync()
	go w.cloud.Run(ctx)
	return w, w.mirror.Err()
}

// close ends all programs and takes the lab down.
func (w *world) close() {
	w.cancel()
	w.booting.Wait()
	if w.mirror != nil {
		w.mirror.close()
	}
	for i := len(w.closers) - 1; i >= 0; i-- {
		w.closers[i]()
	}
	if w.mirror != nil {
		w.mirror.departing.Wait()
	}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// files that say where names are asked for, in the VPC and in the region.
func (w *world) files(*deployment) error {
	return errors.Join(
		os.WriteFile(w.path("resolv.vpc"), []byte("nameserver "+w.lab.Names.Resolver.String()+"\n"), 0o600),
		os.WriteFile(w.path("resolv.region"), []byte("nameserver "+lab.Services.String()+"\n"), 0o600),
	)
}

func (w *world) resolver(name string) map[string]string {
	return map[string]string{"/etc/resolv.conf": w.path("resolv." + name)}
}

// serve opens the API.
func (w *world) serve(*deployment) error {
	w.api = api.New(w.cloud, w.lambda)
	w.api.Fault = func(c api.Call) api.Fault {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls = append(w.calls, call{c, time.Now()})
		if w.fault != nil {
			return w.fault(c)
		}
		return api.Fault{}
	}
	return w.listen(apiPort, w.api)
}

func (w *world) listen(port int, handler http.Handler) error {
	l, err := w.lab.Region.Listen("tcp4", netip.AddrPortFrom(lab.Services, uint16(port)).String())
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	w.mu.Lock()
	w.closers = append(w.closers, func() { _ = server.Close() })
	w.mu.Unlock()
	go func() { _ = server.Serve(l) }()
	return nil
}

func endpoint(port int) string { return fmt.Sprintf("http://%s:%d", lab.Services, port) }

// failing sets what goes wrong with the API; nil for nothing.
func (w *world) failing(f func(api.Call) api.Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
}

// functions deploys the functions that were declared. The prober stands in the first private subnet of its zone, the
// controller in the region.
func (w *world) functions(d *deployment) error {
	for _, z := range d.lab.Zones {
		zone := &zone{name: z.Name}
		for _, s := range z.Private {
			zone.tables = append(zone.tables, s.Table)
		}
		w.zones = append(w.zones, zone)
	}
	for _, f := range w.cloud.Functions() {
		if err := w.function(f); err != nil {
			return err
		}
	}
	for _, z := range w.zones {
		if z.prober == "" || z.controller == "" {
			return fmt.Errorf("zone %s: has no prober or no controller", z.name)
		}
	}
	return nil
}

func (w *world) zone(name string) (*zone, error) {
	for _, z := range w.zones {
		if z.name == name {
			return z, nil
		}
	}
	return nil, fmt.Errorf("zone %s: is not in the lab", name)
}

func (w *world) function(f aws.Function) error {
	made := lambdaruntime.Function{
		Name: f.Name, Bootstrap: w.programs.bootstrap, Env: map[string]string{}, Timeout: time.Duration(f.Timeout) * time.Second, MemoryMB: f.MemorySize,
		MaximumRetryAttempts: &f.MaximumRetryAttempts, MaximumEventAge: time.Duration(f.MaximumEventAge) * time.Second,
	}
	if f.ReservedConcurrency >= 0 {
		made.ReservedConcurrency = &f.ReservedConcurrency
	}
	for k, v := range f.Environment {
		made.Env[k] = v
	}
	if f.OnSuccess != "" {
		made.OnSuccess = w.report(functionOf(f.OnSuccess))
	}
	host, files := w.lab.Region, w.resolver("region")
	switch {
	case f.Environment[natzone.ProberVariable] != "":
		c, err := natzone.ParseProber(f.Environment[natzone.ProberVariable])
		if err != nil {
			return err
		}
		z, err := w.zone(c.Zone)
		if err != nil {
			return err
		}
		z.prober = f.Name
		host, files = w.lab.Host(z.tables[0]).Namespace, w.resolver("vpc")
		made.Schedule = &lambdaruntime.Schedule{}
	case f.Environment[natzone.ControllerVariable] != "":
		c, err := natzone.ParseController(f.Environment[natzone.ControllerVariable])
		if err != nil {
			return err
		}
		z, err := w.zone(c.Zone)
		if err != nil {
			return err
		}
		z.controller, z.standby = f.Name, c.Standby
		for k, v := range map[string]string{"AWS_ACCESS_KEY_ID": f.Name, "AWS_SECRET_ACCESS_KEY": "simulated", "AWS_ENDPOINT_URL": endpoint(apiPort)} {
			made.Env[k] = v
		}
	default:
		return fmt.Errorf("function %s: is neither prober nor controller", f.Name)
	}
	made.Listen = func() (net.Listener, error) { return host.Listen("tcp4", "127.0.0.1:0") }
	made.Start = func(cmd *exec.Cmd) error { return host.Spawn(cmd, files) }
	return w.lambda.Create(made)
}

// report carries a prober's answer to the controller, as the Lambda service does, and notes which bring no verdict.
func (w *world) report(controller string) lambdaruntime.Destination {
	return func(_ context.Context, r lambdaruntime.Record) error {
		payload, err := json.Marshal(r)
		if err != nil {
			return err
		}
		var answer natzone.Report
		if err := json.Unmarshal(r.ResponsePayload, &answer); err != nil {
			return err
		}
		id, err := w.lambda.InvokeAsync(controller, payload)
		if err == nil && answer.Cause == natzone.None {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.quiet[id] = true
		}
		return err
	}
}

// functionOf is the name in the ARN of a function.
func functionOf(arn string) string {
	_, name, _ := strings.Cut(arn, ":function:")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// event hands an event of the cloud to the functions that it is for.
func (w *world) event(e aws.Event) {
	w.log.add("cloud", fmt.Sprintf("event %s to %d", e.DetailType, len(e.Targets)))
	for _, target := range e.Targets {
		if name := functionOf(target); name != "" {
			if _, err := w.lambda.InvokeAsync(name, e.Payload); err != nil {
				w.log.add("cloud", err.Error())
			}
		}
	}
}

// ran takes note of a run of a function.
func (w *world) ran(r lambdaruntime.Report) {
	w.log.add(r.Function, fmt.Sprintf("ran for %s, memory %d KiB, cold start %s %s", r.Duration, r.MaxMemory>>10, r.Init, r.FunctionError))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reports = append(w.reports, r)
	now := time.Now()
	if slices.ContainsFunc(w.zones, func(z *zone) bool { return z.controller == r.Function }) {
		w.runs = append(w.runs, run{r.Function, now.Add(-r.Duration), now, w.quiet[r.RequestID]})
	}
}

// boot starts the agent on an instance that runs, with what its user data says, as soon as it is online.
func (w *world) boot(i aws.Instance, node *lab.Node) {
	w.booting.Go(func() {
		err := w.bootAgent(i, node)
		if err != nil && w.ctx.Err() == nil && !errors.Is(err, lab.ErrStopped) { // it may be terminated before it runs
			w.mirror.fail(fmt.Errorf("instance %s: %w", i.InstanceID, err))
		}
	})
}

func (w *world) bootAgent(i aws.Instance, node *lab.Node) error {
	if err := node.Online(w.ctx); err != nil {
		return err
	}
	w.mu.Lock()
	files, ok := w.agents[i.InstanceID]
	w.mu.Unlock()
	if !ok {
		var err error
		if files, err = w.install(i, node); err != nil {
			return err
		}
	}
	_, err := node.Start(lab.ProgramOptions{
		Path: w.programs.natd, Args: []string{"run", "--config", files.config, "--state", files.state},
		Env: []string{
			"AWS_REGION=" + region, "AWS_ENDPOINT_URL=" + endpoint(apiPort), "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + files.endpoint,
			"PATH=/usr/bin:/bin", "HOME=/",
		},
		Files: w.resolver("vpc"), Stdout: w.log.writer(i.InstanceID), Stderr: w.log.writer(i.InstanceID),
	})
	return err
}

// install does what the user data of an instance does at its first boot.
func (w *world) install(i aws.Instance, node *lab.Node) (files agentFiles, err error) {
	script, err := base64.StdEncoding.DecodeString(i.UserData)
	if err != nil {
		return files, fmt.Errorf("user data: %w", err)
	}
	agent, err := natzone.AgentOf(string(script))
	if err != nil {
		return files, err
	}
	z, err := w.zone(agent.Zone)
	if err != nil {
		return files, err
	}
	document, err := agent.JSON()
	if err != nil {
		return files, err
	}
	w.mu.Lock()
	w.ports++
	port := apiPort + w.ports
	z.agent = agent
	w.mu.Unlock()
	files = agentFiles{config: w.path(i.InstanceID + ".json"), state: w.path(i.InstanceID), endpoint: endpoint(port)}
	if err := errors.Join(os.WriteFile(files.config, document, 0o600), os.MkdirAll(files.state, 0o700), w.listen(port, api.NewMetadata(w.cloud, i.InstanceID))); err != nil {
		return files, err
	}
	if settings := natzone.NetworkSettingsOf(string(script)); settings != "" {
		if err := node.ConfigureNetwork(w.ctx, settings); err != nil {
			return files, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.agents[i.InstanceID] = files
	return files, nil
}

// health is what the agent that has the zone's address says of itself.
func (w *world) health(z *zone) (natzone.Health, error) {
	var h natzone.Health
	w.mu.Lock()
	agent := z.agent
	w.mu.Unlock()
	if agent == nil {
		return h, errors.New("no instance has been booted")
	}
	ctx, cancel := context.WithTimeout(w.ctx, lab.Patience)
	defer cancel()
	body, err := w.lab.Host(z.tables[0]).Get(ctx, netip.AddrPortFrom(agent.Address, uint16(agent.HealthPort)), "/health")
	if err != nil {
		return h, err
	}
	return h, json.Unmarshal([]byte(body), &h)
}

// until waits for a condition. It is asked often, and cheap.
func (w *world) until(what string, within time.Duration, condition func() bool) error {
	ctx, cancel := context.WithTimeout(w.ctx, within)
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s", what, within)
		case <-t.C:
		}
	}
	return nil
}

// wait lets time pass.
func (w *world) wait(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-w.ctx.Done():
		return w.ctx.Err()
	case <-t.C:
		return nil
	}
}

// ready waits until the instance of every zone holds it and connections leave with the zone's address, and starts the
// probers, which the schedule takes over.
func (w *world) ready() error {
	for _, z := range w.zones {
		err := w.until("zone "+z.name+" is held by its instance", time.Minute, func() bool {
			h, err := w.health(z)
			return err == nil && h.Ready && h.Holds
		})
		if err != nil {
			h, last := w.health(z)
			return errors.Join(fmt.Errorf("%w: %+v", err, h), last)
		}
		for _, table := range z.tables {
			if seen, err := w.lab.Egress(table); err != nil || seen != z.agent.PublicAddress {
				return fmt.Errorf("zone %s: connections of %s leave from %v instead of %s: %w", z.name, table, seen, z.agent.PublicAddress, err)
			}
		}
		if err := w.probe(z); err != nil {
			return err
		}
	}
	return nil
}

// grace is how far past the minute the slot of a scheduled prober begins (internal/failover/detect).
const grace = 3 * time.Second

// probe starts a prober for what is left of the present slot; the schedule starts the next.
func (w *world) probe(z *zone) error {
	now := time.Now()
	minute := now.Truncate(time.Minute)
	until := minute.Add(time.Minute + grace)
	payload, err := json.Marshal(natzone.Tick{Time: minute.UTC(), Until: until.UTC()})
	if err != nil {
		return err
	}
	_, err = w.lambda.InvokeAsync(z.prober, payload)
	return err
}

// instance of a zone that its routes point at.
func (w *world) instance(z *zone) (string, *lab.Node) {
	holder := w.mirror.holder(z.tables)
	for _, i := range w.cloud.Instances() {
		if id := w.mirror.instance(i.InstanceID); id != "" && id == holder {
			return i.InstanceID, w.mirror.node(id)
		}
	}
	return "", nil
}

// callsOf counts the calls of the controllers from a time on.
func (w *world) callsOf(since time.Time) (made, second int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return tally(w.runs, w.calls, since)
}

// tally the calls of runs from a time on: in the runs that moved a route, and second in all others but those that there are
// each minute, whatever happens. Where no run moved a route, these are the ones that were made.
func tally(runs []run, calls []call, since time.Time) (made, second int) {
	moved, other := 0, 0
	for _, r := range runs {
		count, moves := 0, false
		for _, c := range calls {
			if r.has(c) && !c.at.Before(since) {
				count++
				moves = moves || c.Action == "ReplaceRoute" || c.Action == "CreateRoute"
			}
		}
		switch {
		case moves:
			moved += count
		case !r.quiet:
			other += count
		}
	}
	if moved > 0 {
		return moved, other
	}
	return other, 0
}

// footprint is what the functions took: memory and cold starts.
func (w *world) footprint() measure {
	w.mu.Lock()
	defer w.mu.Unlock()
	var m measure
	for _, r := range w.reports {
		prober := slices.ContainsFunc(w.zones, func(z *zone) bool { return r.Function == z.prober })
		if prober {
			m.proberMemory = max(m.proberMemory, r.MaxMemory)
		} else {
			m.controllerMemory = max(m.controllerMemory, r.MaxMemory)
		}
		if r.Cold {
			m.coldStarts = append(m.coldStarts, r.Init)
		}
	}
	return m
}

// alerted says whether people were told of something.
func (w *world) alerted(subject string) bool {
	return slices.ContainsFunc(w.cloud.Published(), func(p aws.PublishInput) bool { return strings.Contains(p.Subject, subject) })
}
