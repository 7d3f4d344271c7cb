// Package loadbalancer makes the service side of a private NAT gateway on Huawei Cloud: a VPC with a subnet, dedicated load
// balancers in it, the backend server groups that they forward to, and, for a development environment, ECS instances that
// serve a page.
//
// A group exists without a load balancer: listeners of several load balancers may forward to the same one, and a listener
// may move to another. Instances accept connections from the subnet of the load balancers only, on the ports of their
// members, and what Admits says of each. Load balancers are elastic, and have a private IPv4 address only.
//
// It refuses members outside the subnet, ports that two listeners of a load balancer and addresses that two servers would share,
// listeners that the flavors of their load balancer do not serve, names that the API refuses, and what one holder could only
// take from another in the middle of an update; all problems at once, before it registers anything.
package loadbalancer
