package privatenat

// Reached lets tests see what a rule's outputs are made of.
func (r Rule) Reached(t Target) (url, check string) { return r.reached(t) }

// Activated lets tests wait for a gateway in simulated time.
var Activated = activated

// ErrUnseen is the outcome for a gateway that no lookup shows.
var ErrUnseen = errUnseen

// AlikeDNAT and AlikeSNAT let tests see which rules are what a program wants, Orphan which of them is taken over by a program whose
// state holds rules of these ids, by name.
var (
	AlikeDNAT = alikeDNAT
	AlikeSNAT = alikeSNAT
)

func Orphan(held map[string]string, name string, found map[string]bool) string {
	o := own{}
	for name, id := range held {
		o[[2]string{dnatToken, name}] = map[string]any{idOutputs[dnatToken]: id}
	}
	return o.orphan(dnatToken, name, found)
}
