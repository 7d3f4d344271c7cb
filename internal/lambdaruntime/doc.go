// Package lambdaruntime is a Lambda service on this machine: it runs the binary that would be deployed, as a process,
// through the same Runtime API that AWS gives it, and around it the parts of the service on which a function's
// behavior depends:
//
//   - execution environments: started when needed, one invocation at a time, reused, frozen between invocations, and
//     thrown away after a timeout or an exit;
//   - the timeout and the reserved concurrency of a function;
//   - the account's limit, which functions without reserved concurrency share;
//   - synchronous invocations, and asynchronous ones with their queue: throttled events come back after 1 s and then
//     ever later, failed ones are tried again, old ones are given up, and a long queue is read more slowly;
//   - destinations, with the record that Lambda sends there;
//   - a schedule, with the event that EventBridge sends.
//
// It is for drills and tests: no permissions are checked, memory is told to the function but not limited, and the
// code runs with the rights of the caller. Hooks let the caller put a function's process, and the listener of its
// Runtime API, into a network namespace.
//
// Figures without a source of their own are those of the AWS Lambda developer guide, 2026.
package lambdaruntime
