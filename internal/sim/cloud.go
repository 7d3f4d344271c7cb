package sim

import "context"

// Object is a property bag as JSON would hold it. Values are string, bool, float64, []any, map[string]any (or Object)
// and nil; numbers are always float64. An absent property is absent from the map. In preview a value that is not known
// yet is [Unknown].
type Object = map[string]any

// Unknown stands for a value that only the real operation can tell, such as the id of a resource that preview does not
// create. A [Cloud] never sees one: it is not asked in preview.
type Unknown struct{}

// String names the value as Pulumi's previews do.
func (Unknown) String() string { return "output<unknown>" }

// Request is what a [Cloud] is asked to do to one resource.
type Request struct {
	// URN is the resource's name in the stack, for messages and for deterministic ids. It is not a property of the
	// cloud's object: two stacks may use the same URN.
	URN string
	// Type is the type token, such as "alicloud:vpc/routeEntry:RouteEntry".
	Type string
	// ID is the cloud's id of the object; empty in Create.
	ID string
	// Old is what the last operation returned as outputs (Update and Delete); nil in Create.
	Old Object
	// Inputs are the checked inputs, defaults filled in: the wanted ones (Create and Update), the last recorded ones
	// (Delete).
	Inputs Object
}

// Cloud is a simulated control plane. Its methods are called from several goroutines at once, as a cloud's API is, and
// do not return before the change is done, as a provider's do not. They may keep what they are given: the Server hands
// out copies, and copies what it gets.
//
// A Cloud is never asked in preview, except for Read and Invoke, which change nothing.
type Cloud interface {
	// Create makes an object and returns its id and its outputs. Inputs that the outputs do not mention are added to
	// them by the Server, as a provider that keeps its state does.
	//
	// An id together with an error says that the object was made and is not what it should be, such as one that never
	// became available: the engine records it, fails, and updates it in the next run.
	Create(ctx context.Context, r Request) (id string, outputs Object, err error)
	// Read returns the object of that type and id as it is now: its inputs (what a program would have to write to get
	// it, which is what an import compares with) and its outputs. ok is false when there is no such object; an error
	// says that the question could not be answered.
	Read(ctx context.Context, typ, id string) (inputs, outputs Object, ok bool, err error)
	// Update changes the object in place and returns its outputs.
	Update(ctx context.Context, r Request) (outputs Object, err error)
	// Delete removes the object. An object that is gone already is no error.
	Delete(ctx context.Context, r Request) error
	// Invoke answers a function of the package: a lookup. args hold what the program passed; what the schema lists as
	// default is filled in.
	Invoke(ctx context.Context, token string, args Object) (Object, error)
}
