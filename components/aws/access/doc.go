// Package access makes the IAM roles of a component, each for one program in one zone, and their policies.
//
// A program touches what belongs to its zone and nothing else: the zone's route tables by id, its Elastic IP by id, its
// Auto Scaling group by name, its network interfaces by their tags. Only what AWS knows no resource for has "*": Describe
// calls, metrics (held to one namespace), Session Manager, and the network interfaces that the Lambda service makes for a
// function in a VPC, which the function's own code is denied.
package access
