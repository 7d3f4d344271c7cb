// Package stacks turns the configuration of a Pulumi stack into components: it reads and validates configuration, builds
// providers, composes components and exports what people and the next update need. It declares no bare resources.
//
// A stack holds any mix of setups, one configuration key each; a key that is absent deploys nothing.
package stacks
