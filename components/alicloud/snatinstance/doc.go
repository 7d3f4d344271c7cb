// Package snatinstance makes a small VPC of Alibaba Cloud whose vSwitches reach the Internet through a self-managed SNAT
// instance: what a migration starts from, for a development environment that can be thrown away.
//
// It makes a VPC, vSwitches, custom route tables with their attachments, a security group that lets the VPC in, an ECS
// instance with an encrypted disk that forwards and masquerades (by user data, without installing a package), an elastic
// IP, and a default route to the instance in every table.
//
// It refuses vSwitches outside the VPC's CIDR or overlapping each other, and tables that do not exist.
//
// A migration in the same program takes the default routes over (DefaultRoutesElsewhere) and, at its end, lets the
// instance go (Retired) while the network stays.
package snatinstance
