package kernel

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"polynat/internal/lab"
)

// Servers that speak first speak all the time: what they say in the moment without rules met no translation, and the instance's
// own answer, a reset, ended the connection.
func TestNoConnectionIsCutWhileAllRulesAreLost(t *testing.T) {
	l, err := lab.New(lab.Default("a"))
	if errors.Is(err, lab.ErrPrivilege) && os.Getenv(requireRoot) != "1" {
		t.Skipf("%v (set %s=1 to fail instead)", err, requireRoot)
	}
	must(t, err)
	t.Cleanup(l.Close)
	node, err := l.Launch(lab.NodeOptions{Name: "nat", Zone: "a", Address: primary})
	must(t, err)
	must(t, node.CheckSource(false))
	must(t, l.Translate(public))
	must(t, l.Assign(zoned, "nat"))
	tables := []string{"rtb-a-1", "rtb-a-2", "rtb-a-3"}
	for _, table := range tables {
		must(t, l.SetRoute(table, netip.MustParsePrefix("0.0.0.0/0"), "nat"))
	}
	must(t, node.Do(func() error {
		k, err := Open()
		if err != nil {
			return err
		}
		defer k.Close()
		c, held := example(), true
		c.Address, c.Held = zoned, &held
		if _, err := k.Converge(c); err != nil {
			return err
		}
		connections, err := l.Hold(tables, 8)
		if err != nil {
			return err
		}
		if err := node.Break(lab.RulesLost); err != nil {
			return err
		}
		<-time.After(300 * time.Millisecond)
		r, err := k.Converge(c)
		if err != nil || len(r.Changed) == 0 {
			t.Errorf("%v, changed: %q; want the rules to have been lost", err, r.Changed)
		}
		<-time.After(300 * time.Millisecond)
		if cut, of := connections.Stop(); cut > 0 {
			t.Errorf("%d of %d connections were cut", cut, of)
		}
		return nil
	}))
}
