// Package vpc makes a small VPC to try polynat in: an Internet gateway, and in every zone a public subnet and any number of
// private ones, each with a route table of its own that has no way out yet. A VPC that people depend on is better made
// elsewhere, and found by package discovery.
//
// It refuses what the cloud would refuse half way through an update: CIDRs that are not canonical, of a size that AWS does
// not take, outside the VPC's or overlapping. All problems at once, before it registers anything.
package vpc
