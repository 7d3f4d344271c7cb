// Package migration decides how a VPC moves, stage by stage, from a self-managed SNAT instance to a NAT gateway
// without ever leaving a destination without exactly one working next hop.
//
// It knows no cloud SDK and no Pulumi: a [Spec] says what the user wants, a [Survey] what lookups have found, a
// [Record] what the stack wrote down when its last stage was done. [Decide] turns the three into a [Plan] (which
// resources the stage declares) or into a [*Refusal] that names everything that is in the way. [Plan.Unmet] is the gate:
// what the cloud must show before a stage counts as done, and before anything is deleted.
//
// The eight blocks of package route cover every destination outside 0.0.0.0/8 and are longer than 0.0.0.0/0, so while
// all eight point at the old next hop, nothing depends on the default route:
//
//	stage    declared in each table     beside it                                what the step does
//	adopt    0/0 to the old hop         -                                        takes the entry over, changes nothing
//	cover    0/0 and eight to old       -                                        creates only
//	uncover  eight to old               -                                        deletes the default route only
//	gateway  eight to old, 0/0 to NAT*  NAT gateway                              creates only
//	address  the same                   + elastic IPs                            creates only
//	snat     the same                   + SNAT and forward entries               creates only
//	switch   0/0 to NAT*                the same, protected                      deletes blocks only
//	retire   the same                   the old gateway may go                   nothing in the tables
//
// (* declared in custom tables, and in the system table only on request: there the cloud makes it by itself.)
package migration
