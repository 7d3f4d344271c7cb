// Package discovery finds the zones of a VPC that exists: in each availability zone the public subnet that is to hold the NAT
// instance, the private subnets that are to leave through it, and their route tables.
//
// Public and private subnets are told apart by the tags that the caller names, or else by what terraform-aws-vpc
// (vpc-private-eu-west-1a), awsx (the tag SubnetType) and Kubernetes (kubernetes.io/role/elb) leave on them. What is found is held
// against the routes: a public subnet reaches an Internet gateway, a private one does not. What it found it says in the
// preview, and what it cannot decide it refuses: it never takes the first of two.
package discovery
