// Package proof shows that the instance forwards and translates, by packets: a network namespace of its own stands for a client, behind
// a pair of virtual interfaces, so that what it sends is forwarded and translated like a client's, and comes back or does not.
//
// The namespace has no name: it ends with the process, and its interfaces with it, however the process ends.
package proof
