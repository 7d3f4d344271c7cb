package privatenat

// Reached lets tests see what a rule's outputs are made of.
func (r Rule) Reached(t Target) (url, check string) { return r.reached(t) }

// Activated lets tests wait for a gateway in simulated time.
var Activated = activated
