package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil/rpcerror"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"
)

// ErrFault is the error of an operation that went wrong because [Server.Fault] said so. It does not survive the
// protocol: the engine sees its text.
var ErrFault = errors.New("simulated fault")

// Server is a resource provider for one package. It is safe for concurrent use. The callbacks are set before the Server
// is used.
type Server struct {
	pulumirpc.UnimplementedResourceProviderServer

	// Fault, if set, decides what becomes of each operation that changes something. It is called before the operation,
	// never twice at the same time.
	Fault func(Operation) Verdict
	// Observe, if set, is called after each operation outside preview, never twice at the same time, and not at the same
	// time as Fault.
	Observe func(Operation)
	// OnCrash, if set, is called when the verdict was [Crash], after the operation and before the answer.
	OnCrash func()

	schema *Schema
	cloud  Cloud

	callbacks sync.Mutex // serializes Fault and Observe
	seq       int        // guarded by callbacks

	mu  sync.Mutex // guards log alone, so that the callbacks may call Operations
	log []Operation
}

// NewServer returns a provider of the package that schema describes, in front of cloud.
func NewServer(schema *Schema, cloud Cloud) *Server {
	return &Server{schema: schema, cloud: cloud}
}

// Operations returns the operations outside preview, in the order in which they ended.
func (s *Server) Operations() []Operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// perform carries out one operation: number it, ask for a verdict, act, record it. act gets the operation to complete
// its id.
func (s *Server) perform(op Operation, act func(*Operation) error) error {
	op.Name = nameOf(op.URN)
	verdict := s.begin(&op)

	if verdict == FailBefore {
		op.Err = fmt.Errorf("%s %s: %w: nothing was done", op.Kind, op.Name, ErrFault)
	} else {
		op.Err = act(&op)
	}
	switch {
	case op.Err != nil:
	case verdict == FailAfter:
		op.Err = fmt.Errorf("%s %s: %w: it was done, and reported as failed", op.Kind, op.Name, ErrFault)
	case verdict == Crash:
		op.Err = fmt.Errorf("%s %s: %w: it was done, and the process died", op.Kind, op.Name, ErrFault)
	}

	s.end(op)
	if verdict == Crash && s.OnCrash != nil {
		s.OnCrash()
	}
	return op.Err
}

// begin numbers an operation and asks for the verdict, under one lock, so that Fault sees the numbers in order.
func (s *Server) begin(op *Operation) Verdict {
	s.callbacks.Lock()
	defer s.callbacks.Unlock()
	s.seq++
	op.Seq = s.seq
	if op.Kind.Changes() && s.Fault != nil {
		return s.Fault(*op)
	}
	return Proceed
}

// end records an operation and reports it, in one order.
func (s *Server) end(op Operation) {
	s.callbacks.Lock()
	defer s.callbacks.Unlock()
	s.mu.Lock()
	s.log = append(s.log, op)
	s.mu.Unlock()
	if s.Observe != nil {
		s.Observe(op)
	}
}

// resource returns the facts about a type. Newer engines send the type; older ones only the URN.
func (s *Server) resource(typ, urn string) (string, *Resource, error) {
	if typ == "" {
		typ = typeOf(urn)
	}
	r, ok := s.schema.Resources[typ]
	if !ok {
		return "", nil, fmt.Errorf("%s: %q: the simulation of package %s does not know this type (add it to its schema)",
			urn, typ, s.schema.Package)
	}
	return typ, r, nil
}

// Check completes and checks the inputs of a resource.
func (s *Server) Check(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	token, r, err := s.resource(req.GetType(), req.GetUrn())
	if err != nil {
		return nil, err
	}
	inputs, failures := checkResource(s.schema, token, r, req.GetUrn(), fromWire(req.GetOlds()), fromWire(req.GetNews()))
	if len(failures) > 0 {
		return &pulumirpc.CheckResponse{Failures: wireFailures(failures)}, nil
	}
	if c, ok := s.cloud.(Checking); ok {
		inputs = c.Checked(token, inputs)
	}
	wire, err := toWire(inputs)
	return &pulumirpc.CheckResponse{Inputs: wire}, err
}

// Diff compares the inputs of the last deployment with the wanted ones.
func (s *Server) Diff(_ context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	_, r, err := s.resource(req.GetType(), req.GetUrn())
	if err != nil {
		return nil, err
	}
	news := fromWire(req.GetNews())
	changes := diff(r, fromWire(req.GetOlds()), fromWire(req.GetOldInputs()), news, req.GetIgnoreChanges())
	resp := &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE, HasDetailedDiff: true}
	if len(changes) == 0 {
		return resp, nil
	}
	resp.Changes = pulumirpc.DiffResponse_DIFF_SOME
	resp.DetailedDiff = make(map[string]*pulumirpc.PropertyDiff, len(changes))
	for _, c := range changes {
		resp.Diffs = append(resp.Diffs, c.property)
		resp.DetailedDiff[c.property] = &pulumirpc.PropertyDiff{Kind: c.kind, InputDiff: true}
		if c.replaces {
			resp.Replaces = append(resp.Replaces, c.property)
		}
	}
	resp.DeleteBeforeReplace = len(resp.Replaces) > 0 && !s.schema.CreateFirst && deleteFirst(r, news)
	return resp, nil
}

// Create makes a resource; in preview it only tells what would be known.
func (s *Server) Create(ctx context.Context, req *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	token, r, err := s.resource(req.GetType(), req.GetUrn())
	if err != nil {
		return nil, err
	}
	inputs := properties(fromWire(req.GetProperties()))
	if req.GetPreview() {
		outputs := Object{}
		for _, name := range r.Outputs {
			outputs[name] = Unknown{}
		}
		wire, err := toWire(over(outputs, inputs))
		return &pulumirpc.CreateResponse{Properties: wire}, err
	}

	var id string
	var outputs Object
	op := Operation{Kind: Create, Type: token, URN: req.GetUrn(), Inputs: inputs}
	err = s.perform(op, func(op *Operation) error {
		var err error
		id, outputs, err = s.cloud.Create(ctx, Request{URN: op.URN, Type: op.Type, Inputs: properties(inputs)})
		op.ID = id
		return err
	})
	if err != nil && (id == "" || errors.Is(err, ErrFault)) {
		return nil, err
	}
	wire, wireErr := toWire(over(inputs, outputs))
	if wireErr != nil {
		return nil, wireErr
	}
	if err != nil {
		return nil, rpcerror.WithDetails(rpcerror.New(codes.Unknown, err.Error()), &pulumirpc.ErrorResourceInitFailed{
			Id: r.stateID(id, inputs), Properties: wire, Inputs: req.GetProperties(), Reasons: []string{err.Error()},
		})
	}
	return &pulumirpc.CreateResponse{Id: r.stateID(id, inputs), Properties: wire}, nil
}

// Read returns a resource as it is now, for a refresh, an import or a lookup by id.
func (s *Server) Read(ctx context.Context, req *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	token, r, err := s.resource(req.GetType(), req.GetUrn())
	if err != nil {
		return nil, err
	}
	var inputs, outputs Object
	var found bool
	before := fromWire(req.GetProperties())
	op := Operation{Kind: Read, Type: token, URN: req.GetUrn(), ID: r.CloudID(req.GetId(), before)}
	err = s.perform(op, func(op *Operation) error {
		var err error
		inputs, outputs, found, err = s.cloud.Read(ctx, op.Type, op.ID)
		return err
	})
	if err != nil || !found {
		return &pulumirpc.ReadResponse{}, err
	}
	if r.EmptyIsNull {
		inputs, outputs = emptyIsNull(inputs), emptyIsNull(outputs)
	}
	if recorded := fromWire(req.GetInputs()); len(recorded) > 0 {
		inputs = refreshed(recorded, inputs, outputs)
	}
	shown := over(over(before, properties(inputs)), outputs)
	wireInputs, err := toWire(byHash(inputs).(Object))
	if err != nil {
		return nil, err
	}
	wire, err := toWire(byHash(shown).(Object))
	if err != nil {
		return nil, err
	}
	return &pulumirpc.ReadResponse{Id: r.stateID(op.ID, shown), Inputs: wireInputs, Properties: wire}, nil
}

// refreshed brings recorded inputs up to date with what the cloud returned. It adds none: what the program did not set is
// not the program's. An input of which the cloud says nothing stays; one that it says is nil goes.
func refreshed(recorded, inputs, outputs Object) Object {
	now := Object{}
	for name, was := range recorded {
		is, ok := inputs[name]
		if !ok {
			is, ok = outputs[name]
		}
		switch {
		case !ok:
			now[name] = was
		case is != nil:
			now[name] = marked(was, is)
		}
	}
	return now
}

// emptyIsNull returns a bag in which nothing takes the place of its empty maps.
func emptyIsNull(o Object) Object {
	c := Object{}
	for name, v := range o {
		if m, ok := v.(Object); ok && len(m) == 0 {
			v = nil
		}
		c[name] = v
	}
	return c
}

// Update changes a resource in place.
func (s *Server) Update(ctx context.Context, req *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	token, r, err := s.resource(req.GetType(), req.GetUrn())
	if err != nil {
		return nil, err
	}
	olds := fromWire(req.GetOlds())
	inputs := properties(fromWire(req.GetNews()))
	outputs := over(olds, inputs)
	for _, name := range r.Recomputed {
		outputs[name] = Unknown{}
	}
	if !req.GetPreview() {
		op := Operation{Kind: Update, Type: token, URN: req.GetUrn(), ID: r.CloudID(req.GetId(), olds), Inputs: inputs}
		err := s.perform(op, func(op *Operation) error {
			now, err := s.cloud.Update(ctx, Request{
				URN: op.URN, Type: op.Type, ID: op.ID, Old: properties(olds), Inputs: properties(inputs),
			})
			outputs = over(inputs, now)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	wire, err := toWire(outputs)
	return &pulumirpc.UpdateResponse{Properties: wire}, err
}

// Delete removes a resource.
func (s *Server) Delete(ctx context.Context, req *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	token, r, err := s.resource(req.GetType(), req.GetUrn())
	if err != nil {
		return nil, err
	}
	inputs, olds := properties(fromWire(req.GetOldInputs())), properties(fromWire(req.GetProperties()))
	op := Operation{Kind: Delete, Type: token, URN: req.GetUrn(), ID: r.CloudID(req.GetId(), olds), Inputs: inputs}
	err = s.perform(op, func(op *Operation) error {
		return s.cloud.Delete(ctx, Request{
			URN: op.URN, Type: op.Type, ID: op.ID, Old: olds, Inputs: properties(inputs),
		})
	})
	return &emptypb.Empty{}, err
}

// Invoke answers a lookup.
func (s *Server) Invoke(ctx context.Context, req *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	f, ok := s.schema.Functions[req.GetTok()]
	if !ok {
		return nil, fmt.Errorf("invoke %q: the simulation of package %s does not know this function (add it to its schema)",
			req.GetTok(), s.schema.Package)
	}
	args := fromWire(req.GetArgs())
	if failures := checkProperties(s.schema, req.GetTok(), f.Args, args); len(failures) > 0 {
		return &pulumirpc.InvokeResponse{Failures: wireFailures(failures)}, nil
	}
	fillDefaults(f.Args, args)
	result, err := s.cloud.Invoke(ctx, req.GetTok(), args)
	if err != nil {
		return nil, fmt.Errorf("invoke %s: %w", req.GetTok(), err)
	}
	wire, err := toWire(result)
	return &pulumirpc.InvokeResponse{Return: wire}, err
}

// wireFailures turns failures into those of the protocol.
func wireFailures(failures []failure) []*pulumirpc.CheckFailure {
	wire := make([]*pulumirpc.CheckFailure, len(failures))
	for i, f := range failures {
		wire[i] = &pulumirpc.CheckFailure{Property: f.property, Reason: f.reason}
	}
	return wire
}

// The rest of the protocol asks how the provider is set up. A simulation takes any configuration, keeps no secrets and
// answers in preview.

// Handshake accepts every engine.
func (s *Server) Handshake(
	context.Context, *pulumirpc.ProviderHandshakeRequest,
) (*pulumirpc.ProviderHandshakeResponse, error) {
	return &pulumirpc.ProviderHandshakeResponse{}, nil
}

// Attach accepts every engine.
func (s *Server) Attach(context.Context, *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// Cancel does nothing: no operation takes long.
func (s *Server) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// CheckConfig takes the provider's configuration as it is.
func (s *Server) CheckConfig(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	return &pulumirpc.CheckResponse{Inputs: req.GetNews()}, nil
}

// DiffConfig finds no change of configuration that matters.
func (s *Server) DiffConfig(context.Context, *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}, nil
}

// Configurable is a [Cloud] to which it matters how its provider is configured.
type Configurable interface {
	// Configure takes the provider's arguments. Those that are blocks come as Pulumi's SDKs send them, as JSON.
	Configure(args Object)
}

// Checking is a [Cloud] whose provider changes inputs that passed the check.
type Checking interface {
	// Checked returns what becomes of the inputs of a resource of that type. They may hold [Unknown].
	Checked(typ string, inputs Object) Object
}

// Configure says what the Server supports.
func (s *Server) Configure(_ context.Context, req *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	if c, ok := s.cloud.(Configurable); ok {
		c.Configure(req.GetArgs().AsMap())
	}
	return &pulumirpc.ConfigureResponse{SupportsPreview: true}, nil
}

// Plugin is the name of the plugin that the engine looks for: the package's own, or the one that is to be parameterized.
func (s *Server) Plugin() string {
	if s.schema.BasePlugin != "" {
		return s.schema.BasePlugin
	}
	return s.schema.Package
}

// Parameterize makes a base plugin the provider of the package. It serves the version that it is asked for, and refuses
// another package, and any package if it is no base plugin.
func (s *Server) Parameterize(
	_ context.Context, req *pulumirpc.ParameterizeRequest,
) (*pulumirpc.ParameterizeResponse, error) {
	if s.schema.BasePlugin == "" {
		return nil, fmt.Errorf("parameterize: plugin %s takes no parameters (it serves its own package)", s.schema.Package)
	}
	value := req.GetValue()
	if value.GetName() != s.schema.Package {
		return nil, fmt.Errorf("parameterize: %q: this simulation of plugin %s serves package %s only (use an SDK of it)",
			value.GetName(), s.schema.BasePlugin, s.schema.Package)
	}
	return &pulumirpc.ParameterizeResponse{Name: value.GetName(), Version: value.GetVersion()}, nil
}

// GetPluginInfo tells a version that no SDK finds too old: the simulation serves whichever asks.
func (s *Server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: "99.0.0"}, nil
}
