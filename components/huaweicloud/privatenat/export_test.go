package privatenat

// Reached lets tests see what a rule's outputs are made of.
func (r Rule) Reached(t Target) (url, check string) { return r.reached(t) }
