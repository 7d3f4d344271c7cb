// Package natd is the agent on a NAT instance: it forwards and translates for the clients of one zone, proves that it does, and only
// then claims the zone's address and routes. When the instance is to go it hands them over.
//
// # To run it
//
//	natd run --config /etc/polynat/natd.json --state /var/lib/natd
//	natd check-config --config /etc/polynat/natd.json
//	natd version
//
// The configuration is a [polynat/internal/natzone.Agent] document. run needs root, or CAP_NET_ADMIN and CAP_SYS_ADMIN; it works in
// the network namespace in which it is started, so that a laboratory may run several on one machine. It ends on SIGTERM and SIGINT
// and leaves forwarding on: only a terminating instance hands over.
//
// The SDK's usual variables say where AWS is: AWS_ENDPOINT_URL, AWS_EC2_METADATA_SERVICE_ENDPOINT, AWS_ACCESS_KEY_ID and so on.
// The interface towards the VPC is the one with the MAC address that instance metadata names, else that of the default route.
//
// Flags of run, with their defaults:
//
//	--state /var/lib/natd     what a reboot must not forget; $STATE_DIRECTORY of systemd if that is set
//	--interval 1s             between two comparisons of the kernel with what it should be; a change is seen at once where the kernel tells
//	--metadata-interval 2s    between two looks at instance metadata: termination, Spot notices, who has the address
//	--proof-interval 5s       between two proofs of the path while it is proven; 1 s, or this if it is shorter, while it is not
//	--look-interval 10s       between two looks at routes and addresses by API
//	--start-timeout 5m        after which a start without success is abandoned
//	--log-level info          debug, info, warn or error; logs are JSON lines on standard error
//
// # The parts
//
//	kernel    forwarding and translation, compared and put right every second
//	proof     packets through the own forwarding path, from a network namespace that stands for a client
//	metadata  instance metadata, version 2 only
//	claim     what to do next: a state machine without input and output
//
// This package observes, asks claim, and acts. A successor takes over the connections of its predecessor too: it asks for them, under
// /flows of the health endpoint, before it takes the address, and is told of new ones until the routes have followed.
//
// # What a move costs clients
//
// In a planned replacement nothing: address, public address, routes and tracked connections move to the successor. After a failover
// the connections over the standby are unknown to the instance that claims back, and those over the instance unknown to the
// standby: both answer them with a reset at once.
package natd
