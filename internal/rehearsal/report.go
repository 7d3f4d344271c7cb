package rehearsal

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// JSON writes the report for machines.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Text writes the report for people: a table per setup, and what went wrong below it.
func (r *Report) Text(w io.Writer) error {
	for _, setup := range r.Setups {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, "stage\toperations\tseconds\tdestinations without next hop\tnew connections lost\testablished cut\tfailures tried\t")
		for _, s := range setup.Steps {
			fmt.Fprintf(t, "%s\t%d\t%.2f\t%d\t%d\t%d\t%d\t\n", s.Name, s.Operations, s.Seconds, s.Holes, s.LostConnections, s.CutConnections, s.Faults)
		}
		if err := t.Flush(); err != nil {
			return err
		}
		for _, s := range setup.Steps {
			for _, p := range s.Problems {
				fmt.Fprintf(w, "\nstage %s: %s\n", s.Name, strings.TrimSpace(p))
			}
		}
		for _, v := range setup.Variants {
			fmt.Fprintf(w, "\nwalked as well: a cloud that %s", v)
		}
		verdict := "ok: nothing was lost"
		if !setup.OK {
			verdict = "FAILED: see above"
		}
		if _, err := fmt.Fprintf(w, "\n\n%s: %s\n", setup.Setup, verdict); err != nil {
			return err
		}
	}
	return nil
}
