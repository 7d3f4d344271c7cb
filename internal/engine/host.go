package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blang/semver"
	pulumiengine "github.com/pulumi/pulumi/pkg/v3/engine"
	"github.com/pulumi/pulumi/pkg/v3/pluginstorage"
	"github.com/pulumi/pulumi/pkg/v3/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/env"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"polynat/internal/launch" //nolint:depguard // it runs any program and knows no cloud
)

// host is the engine's view of plugins during one run: the program is the language plugin, the providers are the resource
// plugins. It owns nothing, so there is nothing to release.
type host struct {
	run              *run
	address          string // of the engineServer
	messages, status diag.Sink
}

var _ plugin.Host = (*host)(nil)

// Provider connects to the provider of a package. The version does not matter: the simulation serves every one. A plugin
// that is no package is taken for a base plugin, which [connection] makes a package's when the engine parameterizes it.
func (h *host) Provider(
	ctx *plugin.Context, descriptor workspace.PluginDescriptor, _ env.Env,
) (plugin.Provider, error) {
	client := pulumirpc.NewResourceProviderClient(&connection{
		plugin: descriptor.Name, pkg: descriptor.Name, run: h.run,
	})
	return plugin.NewProviderWithClient(ctx, client, false), nil
}

// ProviderFromPath finds none: a provider at a path of its own is a process.
func (h *host) ProviderFromPath(*plugin.Context, string, env.Env) (plugin.Provider, error) {
	return nil, errors.New("a provider at a path is not supported in a rehearsal")
}

// LanguageRuntime returns the program, whatever the runtime is called.
func (h *host) LanguageRuntime(*plugin.Context, string) (plugin.LanguageRuntime, error) {
	return &language{host: h}, nil
}

// ResolvePlugin finds every plugin, in memory.
func (h *host) ResolvePlugin(
	_ *plugin.Context, descriptor workspace.PluginDescriptor,
) (*workspace.PluginInfo, error) {
	return &workspace.PluginInfo{Name: descriptor.Name, Kind: descriptor.Kind, Version: descriptor.Version}, nil
}

// PolicyAnalyzer finds none.
func (h *host) PolicyAnalyzer(
	*plugin.Context, tokens.QName, string, *plugin.PolicyAnalyzerOptions,
) (plugin.Analyzer, error) {
	return nil, errors.New("policy packs are not supported in a rehearsal")
}

// Log takes a message of the program or a provider.
func (h *host) Log(severity diag.Severity, urn resource.URN, message string, stream int32) {
	h.messages.Logf(severity, diag.StreamMessage(urn, message, stream))
}

// LogStatus takes a passing message.
func (h *host) LogStatus(severity diag.Severity, urn resource.URN, message string, stream int32) {
	h.status.Logf(severity, diag.StreamMessage(urn, message, stream))
}

// ServerAddr is where the engine's services for the program are found.
func (h *host) ServerAddr() string { return h.address }

// The rest of the interface is for plugins that are processes.

func (h *host) ReleaseContext(*plugin.Context) error                 { return nil }
func (h *host) Loader(*plugin.Context) (*plugin.GrpcServer, error)   { return nil, nil }
func (h *host) Mapper(*plugin.Context) (*plugin.GrpcServer, error)   { return nil, nil }
func (h *host) Resolver(*plugin.Context) (*plugin.GrpcServer, error) { return nil, nil }
func (h *host) SignalCancellation() error                            { return nil }
func (h *host) StartDebugging(plugin.DebuggingInfo) error            { return nil }
func (h *host) AttachDebugger(plugin.DebugSpec) bool                 { return false }
func (h *host) Close() error                                         { return nil }

// language is the program as a language plugin. The engine calls no other method of the interface for a program that
// needs no installation.
type language struct {
	plugin.LanguageRuntime

	host *host
}

// GetRequiredPackages asks for none: the engine loads what the program uses when it uses it.
func (l *language) GetRequiredPackages(
	context.Context, plugin.ProgramInfo,
) ([]workspace.PackageDescriptor, []workspace.PackageSpec, error) {
	return nil, nil, nil
}

// Run runs the program. Its error is returned as a message; the engine makes it the run's error.
func (l *language) Run(_ context.Context, info plugin.RunInfo) (string, bool, error) {
	program := l.host.run.started()
	if program == nil {
		return "no program (give the stack one)", false, nil
	}
	values := make(map[string]string, len(info.Config))
	for key, value := range info.Config {
		values[key.String()] = value
	}
	err := launch.Run(l.host.run.life, program, pulumi.RunInfo{
		Project:      info.Project,
		Stack:        info.Stack,
		Organization: info.Organization,
		Config:       values,
		Parallel:     info.Parallel,
		DryRun:       info.DryRun,
		MonitorAddr:  info.MonitorAddress,
		EngineAddr:   l.host.address,
	})
	if err != nil {
		return err.Error(), false, nil
	}
	return "", false, nil
}

func (l *language) GetPluginInfo(context.Context) (plugin.PluginInfo, error) {
	return plugin.PluginInfo{}, nil
}
func (l *language) Cancel(context.Context) error { return nil }
func (l *language) Close() error                 { return nil }

// engineServer is the engine's service for the program: it takes log messages. It is served on the loopback interface,
// because a program finds its engine by address, from the first run of a Stack until the Stack is closed.
type engineServer struct {
	pulumirpc.UnimplementedEngineServer

	current atomic.Pointer[host] // of the run in progress

	mu      sync.Mutex // guards what follows
	server  *grpc.Server
	address string
}

func (e *engineServer) serve() (address string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		return e.address, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen on the loopback interface: %w", err)
	}
	e.server, e.address = grpc.NewServer(), listener.Addr().String()
	pulumirpc.RegisterEngineServer(e.server, e)
	go func(server *grpc.Server) { _ = server.Serve(listener) }(e.server)
	return e.address, nil
}

func (e *engineServer) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		e.server.Stop()
		e.server = nil
	}
}

// route sends messages to a run.
func (e *engineServer) route(h *host) { e.current.Store(h) }

// Log takes a message of the program.
func (e *engineServer) Log(_ context.Context, req *pulumirpc.LogRequest) (*emptypb.Empty, error) {
	h := e.current.Load()
	if h == nil {
		return &emptypb.Empty{}, nil
	}
	severity := diag.Debug
	switch req.GetSeverity() {
	case pulumirpc.LogSeverity_INFO:
		severity = diag.Info
	case pulumirpc.LogSeverity_WARNING:
		severity = diag.Warning
	case pulumirpc.LogSeverity_ERROR:
		severity = diag.Error
	}
	log := h.Log
	if req.GetEphemeral() {
		log = h.LogStatus
	}
	log(severity, resource.URN(req.GetUrn()), req.GetMessage(), req.GetStreamId())
	return &emptypb.Empty{}, nil
}

// RequirePulumiVersion accepts every requirement: the version of the engine is the one in go.mod, and a program that needs
// another one fails to compile or to run, not to rehearse.
func (e *engineServer) RequirePulumiVersion(
	context.Context, *pulumirpc.RequirePulumiVersionRequest,
) (*pulumirpc.RequirePulumiVersionResponse, error) {
	return &pulumirpc.RequirePulumiVersionResponse{}, nil
}

// noPlugins is a plugin store in which every plugin is present, so that the engine never looks for one.
type noPlugins struct{}

var _ pulumiengine.PluginManager = noPlugins{}

func (noPlugins) HasPlugin(context.Context, workspace.PluginDescriptor) pluginstorage.InstallState {
	return pluginstorage.PluginInstalled
}

func (noPlugins) HasPluginGTE(context.Context, workspace.PluginDescriptor) (bool, *semver.Version, error) {
	return true, nil, nil
}

func (noPlugins) GetPlugins(context.Context) ([]workspace.PluginInfo, error) { return nil, nil }

func (noPlugins) GetPluginPath(
	context.Context, diag.Sink, workspace.PluginDescriptor, []workspace.ProjectPlugin,
) (string, error) {
	return "", errNoDownload
}

func (noPlugins) DownloadPlugin(
	context.Context, workspace.PluginDescriptor, func(io.ReadCloser, int64) io.ReadCloser,
	func(error, int, int, time.Duration),
) (io.ReadCloser, int64, error) {
	return nil, 0, errNoDownload
}

func (noPlugins) InstallPlugin(
	context.Context, workspace.PluginDescriptor, pluginstorage.Content, bool,
) error {
	return errNoDownload
}

func (noPlugins) GetLatestVersion(context.Context, workspace.PluginDescriptor) (*semver.Version, error) {
	return nil, errNoDownload
}

var errNoDownload = errors.New("a rehearsal downloads no plugins")
