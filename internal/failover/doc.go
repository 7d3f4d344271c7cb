// Package failover is the Lambda function binary of a zone: the prober, which looks at the zone's way out as a client
// would, and the controller, which moves the zone's routes to the standby. [New] decides by the environment which of the
// two a process is; cmd/failover hands what it returns to the Lambda runtime.
//
//	detect   what the prober saw -> verdict; the slots of the minute     pure
//	decide   what is known -> what to do, and the next state             pure
//	event    payload -> message                                          pure
//	probe    one attempt, names without waiting for DNS                  network
//	prober   the loop of a minute                                        probe + detect
//	control  look-ups, decision, calls                                   decide + AWS APIs
//	emf      metrics as log lines
//
// # Running it outside of AWS
//
// The binary needs nothing of AWS but a Runtime API. Build it as it is deployed:
//
//	CGO_ENABLED=0 go build -tags lambda.norpc -trimpath -ldflags "-s -w -buildid=" -o bootstrap ./cmd/failover
//
// (Without the tag lambda.norpc, net/rpc brings html/template in and the linker keeps every operation of every SDK.)
//
// Both functions want AWS_LAMBDA_RUNTIME_API=host:port. The prober takes POLYNAT_PROBER (natzone.Prober as JSON) and opens
// connections to its targets and identity URLs, to the agent at its health URL and at its own address, and to the resolvers
// of /etc/resolv.conf; so it belongs into the namespace of a client. The controller takes POLYNAT_CONTROLLER
// (natzone.Controller as JSON), AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL (one for all
// services; or AWS_ENDPOINT_URL_EC2, …), and opens connections to that endpoint and to the same targets, by a way that does
// not pass the NAT.
//
// The prober is invoked with a natzone.Tick, that is {"time": "<RFC 3339>"}, and answers with a natzone.Report. A tick of
// the schedule makes it wait for its slot: three to 63 seconds past the minute of the tick (or later, if it is started later).
// A drill that does not want to wait sends "until" too, as the controller does: the prober then begins at once.
//
// The controller is invoked with the record that Lambda's asynchronous destination makes of that answer
// ({"requestContext": {"condition": "Success"}, "requestPayload": …, "responsePayload": <report>}), with an EventBridge
// event, or with an SNS event. It invokes the prober through the Lambda API (InvocationType Event) after a verdict.
//
// Function settings that the code relies on: prober 128 MB, timeout 90 s, reserved concurrency 2, maximum event age 60 s,
// no retry; controller 512 MB, timeout 120 s, reserved concurrency 1, two retries.
package failover
