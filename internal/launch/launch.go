// Package launch runs Pulumi programs and serves them, with simulated providers, to the stock Pulumi CLI.
//
// The CLI starts neither a language plugin nor a provider plugin when it is told, by PULUMI_DEBUG_LANGUAGES and
// PULUMI_DEBUG_PROVIDERS, at which port one is listening already. [ServeLanguage] and [ServeProvider] listen:
//
//	PULUMI_DEBUG_LANGUAGES=go:PORT PULUMI_DEBUG_PROVIDERS=alicloud:PORT,terraform-provider:PORT pulumi up
//
// Both listen on the loopback interface only.
package launch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// maxMessage is the largest message that Pulumi's own servers take, in bytes
// (maxRPCMessageSize in sdk/go/common/util/rpcutil of github.com/pulumi/pulumi).
const maxMessage = 400 << 20

// Run runs a program as info says, against the resource monitor and the engine that info names, until the engine has
// done all that the program asked for, or ctx ends.
//
// The program's error is returned as the program returned it, without the SDK's wrapping. A panic in the program is an
// error that holds the stack, not the end of the process.
func Run(ctx context.Context, program pulumi.RunFunc, info pulumi.RunInfo) error {
	recovering := func(ctx *pulumi.Context) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("the program panicked: %v\n%s", p, debug.Stack())
			}
		}()
		return program(ctx)
	}
	run, err := pulumi.NewContext(ctx, info) // not pulumi.RunErr, which waits for ever where an engine has given up
	if err != nil {
		return err
	}
	defer func() {
		_ = run.Close()
		stopHooks(run)
	}()
	if err = pulumi.RunWithContext(run, recovering); err == nil {
		return done(ctx, info.MonitorAddr)
	}
	var several interface{ WrappedErrors() []error }
	if errors.As(err, &several) {
		return errors.Join(several.WrappedErrors()...)
	}
	return err
}

// stopHooks stops the server at which the engine calls the program's hooks. The SDK (v3.276.0) has no call that does it:
// Context.Close leaves the server, and with it all that the hooks refer to, which is the whole program, to the end of the
// process. Where an SDK has other fields, nothing is stopped.
func stopHooks(run *pulumi.Context) {
	server := field(field(reflect.ValueOf(run), "state"), "callbacks")
	stop, ended := field(server, "stop"), field(field(server, "handle"), "Done")
	if stop.Kind() != reflect.Chan || ended.Kind() != reflect.Chan {
		return
	}
	stop.Close()
	go ended.Recv() // the server tells of its end whether anybody listens or not
}

// field is a field that is not exported, of a struct or of what a pointer points to. It is the zero Value where there is none.
func field(of reflect.Value, name string) reflect.Value {
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	if of = of.FieldByName(name); !of.IsValid() {
		return of
	}
	return reflect.NewAt(of.Type(), unsafe.Pointer(of.UnsafeAddr())).Elem()
}

// done tells the engine that the program asks for nothing more, and returns when the engine has done what it was asked for:
// until then it calls the program's hooks.
func done(ctx context.Context, monitor string) error {
	connection, err := grpc.NewClient(monitor, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	_, err = pulumirpc.NewResourceMonitorClient(connection).SignalAndWaitForShutdown(ctx, &emptypb.Empty{})
	if err != nil && status.Code(err) != codes.Unimplemented { // by an engine that knows no hooks
		return fmt.Errorf("wait for the engine: %w", err)
	}
	return nil
}

// ServeLanguage serves a program as the language host of the runtime "go", whatever the project directory holds, until
// stop is called. program makes it for the keys of the stack's configuration, those of every namespace, as the CLI sends
// them.
func ServeLanguage(program func(keys []string) pulumi.RunFunc) (port int, stop func(), err error) {
	return serve(func(s *grpc.Server) {
		pulumirpc.RegisterLanguageRuntimeServer(s, &language{program: program})
	})
}

// ServeProvider serves a resource provider until stop is called.
func ServeProvider(provider pulumirpc.ResourceProviderServer) (port int, stop func(), err error) {
	return serve(func(s *grpc.Server) { pulumirpc.RegisterResourceProviderServer(s, provider) })
}

// serve serves on a free port of the loopback interface.
func serve(register func(*grpc.Server)) (port int, stop func(), err error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, nil, fmt.Errorf("listen on the loopback interface: %w", err)
	}
	address, err := netip.ParseAddrPort(listener.Addr().String())
	if err != nil {
		return 0, nil, fmt.Errorf("listen on the loopback interface: %w", errors.Join(err, listener.Close()))
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage))
	register(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // returns when stopped; what fails before shows up at the caller's end
	}()
	return int(address.Port()), func() { server.Stop(); <-done }, nil
}

// language is a language host for one program.
type language struct {
	pulumirpc.UnimplementedLanguageRuntimeServer

	program func(keys []string) pulumi.RunFunc
	engine  atomic.Pointer[string] // the engine's address, from the handshake
}

// Handshake keeps the engine's address.
func (l *language) Handshake(
	_ context.Context, req *pulumirpc.LanguageHandshakeRequest,
) (*pulumirpc.LanguageHandshakeResponse, error) {
	address := req.GetEngineAddress()
	l.engine.Store(&address)
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

// Run runs the program. Its error is the program's, not the protocol's.
func (l *language) Run(ctx context.Context, req *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	info := pulumi.RunInfo{
		Project:          req.GetProject(),
		RootDirectory:    req.GetInfo().GetRootDirectory(),
		Stack:            req.GetStack(),
		Organization:     req.GetOrganization(),
		Config:           req.GetConfig(),
		ConfigSecretKeys: req.GetConfigSecretKeys(),
		Parallel:         req.GetParallel(),
		DryRun:           req.GetDryRun(),
		MonitorAddr:      req.GetMonitorAddress(),
	}
	if address := l.engine.Load(); address != nil {
		info.EngineAddr = *address
	} else if args := req.GetArgs(); len(args) > 0 {
		// An engine that attaches to a client, as the Automation API makes it do, passes its address as an argument.
		info.EngineAddr = args[0]
	}
	if err := Run(context.WithoutCancel(ctx), l.program(slices.Sorted(maps.Keys(info.Config))), info); err != nil {
		return &pulumirpc.RunResponse{Error: strings.TrimSpace(err.Error())}, nil
	}
	return &pulumirpc.RunResponse{}, nil
}

// GetRequiredPackages asks for none: the engine loads what the program uses when it uses it.
func (l *language) GetRequiredPackages(
	context.Context, *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{}, nil
}

// GetRequiredPlugins is what older engines ask instead of GetRequiredPackages.
func (l *language) GetRequiredPlugins(
	context.Context, *pulumirpc.GetRequiredPluginsRequest,
) (*pulumirpc.GetRequiredPluginsResponse, error) {
	return &pulumirpc.GetRequiredPluginsResponse{}, nil
}

// GetPluginInfo says that the host has no version of its own.
func (l *language) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{}, nil
}

// About says what the host is.
func (l *language) About(context.Context, *pulumirpc.AboutRequest) (*pulumirpc.AboutResponse, error) {
	return &pulumirpc.AboutResponse{}, nil
}

// Cancel does nothing: the program ends when the engine stops answering it.
func (l *language) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}
