package engine

import (
	"context"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// connection is a gRPC connection to a provider that is a function call: messages are copied as if they had been sent, but
// nothing listens, so that there is nothing to stop, and a call has ended when it returns.
type connection struct {
	plugin string // the name by which the engine asked for it
	// pkg is the package that it serves: the plugin's own, or the one that a base plugin was parameterized for.
	pkg string
	run *run
}

var _ grpc.ClientConnInterface = (*connection)(nil)

// methods are the provider's methods by name.
var methods = func() map[string]grpc.MethodDesc {
	m := map[string]grpc.MethodDesc{}
	for _, method := range pulumirpc.ResourceProvider_ServiceDesc.Methods {
		m[method.MethodName] = method
	}
	return m
}()

// Invoke calls a method. A dead process asks for nothing. What it has asked for is done: an operation goes on when the run
// is canceled, as a cloud's does.
func (c *connection) Invoke(ctx context.Context, name string, args, reply any, _ ...grpc.CallOption) error {
	if c.run.crashed() {
		return status.Error(codes.Unavailable, ErrCrashed.Error())
	}
	server := c.run.provider(c.pkg)
	if parameters, ok := args.(*pulumirpc.ParameterizeRequest); ok && server == nil {
		// The engine parameterizes a plugin before it asks anything else of it.
		c.pkg = parameters.GetValue().GetName()
		server = c.run.provider(c.pkg)
	}
	if server == nil {
		return status.Errorf(codes.Unavailable,
			"provider %q: not simulated (give the stack a provider of that package)", c.plugin)
	}
	method, ok := methods[name[strings.LastIndex(name, "/")+1:]]
	if !ok {
		return status.Errorf(codes.Unimplemented, "%s: no such method", name)
	}
	receive := func(request any) error { return transfer(request, args) }
	response, err := method.Handler(server, context.WithoutCancel(ctx), receive, nil)
	if err != nil {
		failed := status.Convert(err).Proto()
		if codes.Code(failed.GetCode()) == codes.Unknown {
			// The engine notes in a field without a lock that an unknown failure may have left anything behind. It only shows
			// that field. Two such failures at once would be a data race.
			failed.Code = int32(codes.Aborted)
		}
		return status.ErrorProto(failed)
	}
	return transfer(reply, response)
}

// transfer copies a message to where it is received.
func transfer(to, from any) error {
	dst, ok := to.(proto.Message)
	src, isMessage := from.(proto.Message)
	if !ok || !isMessage {
		return status.Errorf(codes.Internal, "transfer %T to %T: not protocol messages", from, to)
	}
	proto.Merge(dst, src)
	return nil
}

// NewStream fails: the provider protocol has no streams that the engine needs here.
func (c *connection) NewStream(
	context.Context, *grpc.StreamDesc, string, ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "streams are not supported in process")
}
