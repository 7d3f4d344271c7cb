// Package kernel brings the Linux kernel of a NAT instance into the state in which it forwards and translates, and keeps it
// there: over netlink and /proc/sys only, in an nftables table of its own. It compares before it writes, so that a second run
// changes nothing, and it never touches what belongs to others.
package kernel
