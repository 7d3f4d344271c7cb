// Package api serves the simulated AWS to the real clients: the programs under test use the AWS SDK as they do in
// production, with AWS_ENDPOINT_URL pointing at a [Server] and AWS_EC2_METADATA_SERVICE_ENDPOINT at a [Metadata].
//
// One address serves all services. Which one is meant says the credential scope of the request's signature, which every
// request has; and by the access key id in it callers are told apart, for [Server.Fault] and [Server.Counts]. Signatures
// are not verified, and no permissions are checked.
//
// Every operation is a line of a table: its parameters are decoded by name into the input of the [aws.Cloud]'s method, and
// the result is an XML element (or a JSON object) of its own. A parameter that the simulation does not know is refused with
// UnknownParameter rather than ignored. Describes answer everything at once: a wanted page size is ignored.
package api
