package attach

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ground is a project with its playground.
type ground struct {
	t   *testing.T
	dir string
}

func (g ground) write(name, text string) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func (g ground) copied() string {
	g.t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, ".polynat", "project", "Pulumi.dev.yaml"))
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

// use opens the playground as every command does, and returns what is said.
func (g ground) use() string {
	g.t.Helper()
	p, err := openPlayground(g.dir)
	if err != nil {
		g.t.Fatal(err)
	}
	var said bytes.Buffer
	if err := p.follow(g.dir, &said); err != nil {
		g.t.Fatal(err)
	}
	return said.String()
}

func newGround(t *testing.T) ground {
	g := ground{t, t.TempDir()}
	g.write("Pulumi.yaml", "name: polynat\nruntime: go\n")
	g.write("Pulumi.dev.yaml", "config:\n  a:b: one # why\n")
	if said := g.use(); said != "" || g.copied() != "config:\n  a:b: one # why\n" {
		t.Fatalf("the first use says %q and copies %q", said, g.copied())
	}
	return g
}

const inCopy = ".polynat/project/Pulumi.dev.yaml"

func TestAChangeOfAStackFileArrivesInThePlayground(t *testing.T) {
	g := newGround(t)
	g.write(inCopy, "config:\n  a:b: one\nencryptionsalt: v1:x\n") // as the CLI leaves it
	if said := g.use(); said != "" {
		t.Errorf("without a change: %q", said)
	}
	g.write("Pulumi.dev.yaml", "config:\n  a:b: two\n")
	g.write("Pulumi.prod.yaml", "config: {}\n")
	want := "polynat: took Pulumi.dev.yaml as it is now\npolynat: took Pulumi.prod.yaml as it is now\n"
	if said := g.use(); said != want || g.copied() != "config:\n  a:b: two\nencryptionsalt: v1:x\n" {
		t.Errorf("says %q, the copy is %q", said, g.copied())
	}
	if said := g.use(); said != "" {
		t.Errorf("the next time: %q", said)
	}
}

func TestACopyWithChangesOfItsOwnStaysAndIsSaidTo(t *testing.T) {
	g := newGround(t)
	g.write(inCopy, "config:\n  a:b: mine\n") // by config set
	if said := g.use(); said != "" {
		t.Errorf("a file that has not changed: %q", said)
	}
	g.write("Pulumi.dev.yaml", "config:\n  a:b: two\n")
	for range 2 { // until it is solved
		if said := g.use(); !strings.HasPrefix(said, "polynat: Pulumi.dev.yaml has changed, and so has the copy in the playground, which stays (`cp ") || strings.Count(said, "\n") != 1 {
			t.Errorf("says %q", said)
		}
	}
	if g.copied() != "config:\n  a:b: mine\n" {
		t.Errorf("the copy is %q", g.copied())
	}
	g.write(inCopy, "config:\n  a:b: two\n") // what the line says
	if said := g.use(); said != "" {
		t.Errorf("after cp: %q", said)
	}
	g.write("Pulumi.dev.yaml", "config:\n  a:b: three\n")
	if said := g.use(); !strings.Contains(said, "took") || g.copied() != "config:\n  a:b: three\n" {
		t.Errorf("the next change: says %q, the copy is %q", said, g.copied())
	}
}

func TestAPlaygroundOfAnEarlierVersionIsFollowedToo(t *testing.T) {
	g := newGround(t)
	if err := os.RemoveAll(filepath.Join(g.dir, ".polynat", "taken")); err != nil {
		t.Fatal(err)
	}
	if said := g.use(); said != "" {
		t.Errorf("an equal copy: %q", said)
	}
	g.write("Pulumi.dev.yaml", "config:\n  a:b: two\n")
	if said := g.use(); !strings.Contains(said, "took") {
		t.Errorf("a change: %q", said)
	}
}
