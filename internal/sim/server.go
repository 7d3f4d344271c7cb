package sim

import (
	"sync"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// Server is a resource provider for one package. It is safe for concurrent use. The callbacks are set before the Server
// is used.
type Server struct {
	pulumirpc.UnimplementedResourceProviderServer

	// Fault, if set, decides what becomes of each operation that changes something. It is called before the operation,
	// never twice at the same time.
	Fault func(Operation) Verdict
	// Observe, if set, is called after each operation outside preview, never twice at the same time.
	Observe func(Operation)
	// OnCrash, if set, is called when the verdict was [Crash], after the operation and before the answer.
	OnCrash func()

	schema *Schema
	cloud  Cloud

	callbacks sync.Mutex // serialises Fault and Observe

	mu  sync.Mutex // guards what follows
	seq int
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
	return append([]Operation(nil), s.log...)
}
