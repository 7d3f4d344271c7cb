// Package drill tries the failover of NAT instances with real packets: the programs that are deployed, natd and failover, run in
// the packet lab of internal/lab, against a simulated AWS whose route tables and addresses are the lab's.
//
// A drill is a script: what is broken, when, and what must hold. Every run of a drill has a lab of its own, in which the
// zone works already, as it was left by the deployment of the real component.
//
// What is measured is what clients see. What AWS adds is not in the figures: the API answers within milliseconds and a
// route holds at once, where the real one takes tens to hundreds of milliseconds and does not say how many.
package drill
