package launch_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	"polynat/internal/launch"
)

// engine is as much of an engine as a program that makes nothing needs.
type engine struct {
	pulumirpc.UnimplementedResourceMonitorServer
	pulumirpc.UnimplementedEngineServer

	mu       sync.Mutex
	messages []string
	exports  map[string]any
	shutdown bool
}

func (e *engine) GetDeploymentInfo(context.Context, *emptypb.Empty) (*pulumirpc.DeploymentInfo, error) {
	return &pulumirpc.DeploymentInfo{}, nil
}

func (e *engine) RegisterResource(
	_ context.Context, req *pulumirpc.RegisterResourceRequest,
) (*pulumirpc.RegisterResourceResponse, error) {
	urn := fmt.Sprintf("urn:pulumi:dev::proj::%s::%s", req.GetType(), req.GetName())
	return &pulumirpc.RegisterResourceResponse{Urn: urn}, nil
}

func (e *engine) RegisterResourceOutputs(
	_ context.Context, req *pulumirpc.RegisterResourceOutputsRequest,
) (*emptypb.Empty, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.exports = req.GetOutputs().AsMap()
	return &emptypb.Empty{}, nil
}

func (e *engine) SignalAndWaitForShutdown(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shutdown = true
	return &emptypb.Empty{}, nil
}

func (e *engine) Log(_ context.Context, req *pulumirpc.LogRequest) (*emptypb.Empty, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.messages = append(e.messages, req.GetMessage())
	return &emptypb.Empty{}, nil
}

// provider answers one question.
type provider struct {
	pulumirpc.UnimplementedResourceProviderServer
}

func (provider) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: "1.2.3"}, nil
}

func dial(t *testing.T, port int) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// run serves the program and has it run as the CLI does.
func run(t *testing.T, program pulumi.RunFunc, attach func(pulumirpc.LanguageRuntimeClient, *pulumirpc.RunRequest, string)) (
	*engine, *pulumirpc.RunResponse,
) {
	t.Helper()
	e := &engine{}
	address := serveEngine(t, e)

	port, stop, err := launch.ServeLanguage(func([]string) pulumi.RunFunc { return program })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	client := pulumirpc.NewLanguageRuntimeClient(dial(t, port))
	req := &pulumirpc.RunRequest{
		Project: "proj", Stack: "dev", Organization: "org", MonitorAddress: address,
		Config: map[string]string{"proj:nat": `{"stage":"adopt"}`, "alicloud:region": "cn-hangzhou"},
	}
	attach(client, req, address)
	resp, err := client.Run(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	return e, resp
}

func byHandshake(client pulumirpc.LanguageRuntimeClient, _ *pulumirpc.RunRequest, address string) {
	_, _ = client.Handshake(context.Background(), &pulumirpc.LanguageHandshakeRequest{EngineAddress: address})
}

func byArgument(_ pulumirpc.LanguageRuntimeClient, req *pulumirpc.RunRequest, address string) {
	req.Args = []string{address}
}

func TestAServedProgramGetsWhatTheEngineSendsAndReachesIt(t *testing.T) {
	t.Parallel()
	for name, attach := range map[string]func(pulumirpc.LanguageRuntimeClient, *pulumirpc.RunRequest, string){
		"engine by handshake": byHandshake, "engine by argument": byArgument,
	} {
		e, resp := run(t, func(ctx *pulumi.Context) error {
			nat, _ := ctx.GetConfig("proj:nat")           //nolint:forbidigo // this program stands for any
			region, _ := ctx.GetConfig("alicloud:region") //nolint:forbidigo // this program stands for any
			ctx.Export("seen", pulumi.String(ctx.Organization()+" "+ctx.Project()+" "+ctx.Stack()+" "+nat+" "+region))
			return ctx.Log.Info("hello", nil)
		}, attach)
		if resp.GetError() != "" {
			t.Errorf("%s: %s", name, resp.GetError())
		}
		want := map[string]any{"seen": `org proj dev {"stage":"adopt"} cn-hangzhou`}
		if diff := cmp.Diff(want, e.exports); diff != "" {
			t.Errorf("%s: exports (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff([]string{"hello"}, e.messages); diff != "" {
			t.Errorf("%s: messages (-want +got):\n%s", name, diff)
		}
		if !e.shutdown {
			t.Errorf("%s: the program did not wait for the engine", name)
		}
	}
}

func TestTheErrorOfAServedProgramIsItsOwn(t *testing.T) {
	t.Parallel()
	_, resp := run(t, func(*pulumi.Context) error {
		return errors.Join(errors.New("a: 1: bad"), errors.New("b: 2: worse"))
	}, byHandshake)
	if got, want := resp.GetError(), "a: 1: bad\nb: 2: worse"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAServedProviderAnswersUntilStopped(t *testing.T) {
	t.Parallel()
	port, stop, err := launch.ServeProvider(provider{})
	if err != nil {
		t.Fatal(err)
	}
	client := pulumirpc.NewResourceProviderClient(dial(t, port))
	info, err := client.GetPluginInfo(context.Background(), &emptypb.Empty{})
	if err != nil || info.GetVersion() != "1.2.3" {
		t.Errorf("got %v, %v; want version 1.2.3", info, err)
	}
	stop()
	if _, err := client.GetPluginInfo(context.Background(), &emptypb.Empty{}); err == nil {
		t.Error("answered after it was stopped")
	}
}

// serveEngine serves an engine on the loopback interface and returns its address.
func serveEngine(t *testing.T, e *engine) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pulumirpc.RegisterResourceMonitorServer(server, e)
	pulumirpc.RegisterEngineServer(server, e)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}
