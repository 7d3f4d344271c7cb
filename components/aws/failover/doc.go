// Package failover declares what watches the zones of a NAT component and moves their routes to the standby: per zone a prober
// inside its private subnets, which a schedule starts every minute and which calls no AWS API, and a controller outside the
// VPC, which gets the prober's answer from the Lambda service, the lifecycle notices of the Auto Scaling groups from SNS,
// and what happens to its group from EventBridge. None of them needs the path that it watches.
//
// Every rule has one target, so any number of zones fits under the five targets that EventBridge takes for one.
//
// Components call it: package nat checks what it is given and makes the roles.
package failover
