// Package cost answers what a month of NAT costs on AWS: managed NAT gateways against NAT instances with their standby and
// everything that watches them. Prices are a dated table of this package, not looked up.
package cost
