// Package contract holds the simulated AWS against an emulator that others wrote: moto. One table of cases says, in calls of
// the AWS SDK, what the programs and the packet lab rely on; both have to pass it. Where moto is known to be wrong, the case
// says so, and has to fail there: a deviation that was mended must be taken off the list.
//
// moto is optional: without moto_server in the PATH its half is skipped. POLYNAT_REQUIRE_MOTO=1 turns the skip into a failure.
package contract
