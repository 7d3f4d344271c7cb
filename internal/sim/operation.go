package sim

// Kind is what an [Operation] does.
type Kind string

// The kinds of operations.
const (
	Create Kind = "create"
	Read   Kind = "read"
	Update Kind = "update"
	Delete Kind = "delete"
)

// Changes reports whether an operation of this kind changes the cloud.
func (k Kind) Changes() bool { return k != Read }

// Operation is one operation on one resource, as the provider was asked for it outside preview.
type Operation struct {
	// Seq numbers the operations of a Server from 1 in the order in which they began.
	Seq int
	// Kind is what was asked for.
	Kind Kind
	// Type is the type token, URN the resource's full name, Name the last part of it.
	Type, URN, Name string
	// ID is the cloud's id; empty in a Create that has not succeeded.
	ID string
	// Inputs are the checked inputs (Create and Update) or the last recorded ones (Delete); nil in Read.
	Inputs Object
	// Err is what was returned to the engine; nil before the operation and after a success.
	Err error
}

// Verdict decides what becomes of an operation.
type Verdict int

// The verdicts.
const (
	// Proceed carries the operation out.
	Proceed Verdict = iota
	// FailBefore does nothing in the cloud and reports a failure.
	FailBefore
	// FailAfter carries the operation out in the cloud and reports a failure, with no id: what a timeout looks like.
	FailAfter
	// Crash carries the operation out in the cloud; then the process that asked dies: [Server.OnCrash] is called before
	// the (failing) answer is given.
	Crash
)

// String names the verdict.
func (v Verdict) String() string {
	switch v {
	case Proceed:
		return "proceed"
	case FailBefore:
		return "fail before"
	case FailAfter:
		return "fail after"
	case Crash:
		return "crash"
	default:
		return "unknown verdict"
	}
}
