// Package observability declares what tells people how the zones of a NAT component do: alarms for what they have to act on,
// and a dashboard for what they then want to see. The metrics are those that package natzone names and the running programs
// publish, and those of AWS's own services.
//
// Components call it: package nat checks what it is given.
package observability
