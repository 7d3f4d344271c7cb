// Package route holds what polynat knows about IPv4 routing, with no cloud in
// it: tables with longest prefix match, the blocks that stand in for a default
// route while it is replaced, and a judge that says for which destinations a
// table would lose traffic.
//
// A migration to a NAT gateway must replace the entry 0.0.0.0/0, and a route
// table holds one entry per prefix, so the old default has to go before the
// new one can come. Longest prefix match makes that harmless: while more
// specific entries cover every destination ([Blocks]), nothing matches the
// default, and it can be exchanged without one packet noticing. [Judge] is how
// everything else in polynat makes sure that this is so.
package route
