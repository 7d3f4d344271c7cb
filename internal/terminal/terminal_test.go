package terminal

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/mattn/go-runewidth"
	"pgregory.net/rapid"
)

// onTerminal runs f with a terminal of that width, and returns what it wrote.
func onTerminal(t *testing.T, width uint16, f func(tty *os.File)) string {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: width}); err != nil {
		t.Fatal(err)
	}
	written := make(chan string)
	go func() {
		all, _ := io.ReadAll(master) // ends with an error when the last one has closed the other side
		written <- string(all)
	}()
	f(tty)
	tty.Close()
	return <-written
}

// frames are the lines that were drawn one over the other.
func frames(written string) (all []string) {
	for _, frame := range strings.Split(written, "\r")[1:] {
		all = append(all, strings.TrimSuffix(frame, "\x1b[K"))
	}
	return all
}

func TestTheStatusIsOneLineThatFitsTheTerminalAlsoAfterItsSizeChanged(t *testing.T) {
	long := strings.Repeat("a long detail ", 20)
	for _, width := range []uint16{40, 80, 120} {
		written := onTerminal(t, width, func(tty *os.File) {
			s := NewStatus(tty)
			s.Step("aws 1/2: " + long)
			if err := pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: 20}); err != nil {
				t.Error(err)
			}
			s.Step("aws 2/2: " + long)
			s.Close()
		})
		if strings.Contains(written, "\n") {
			t.Errorf("%d columns: a line is left behind: %q", width, written)
		}
		got := frames(written)
		if first := runewidth.StringWidth(got[0]); first != int(width)-1 || !strings.HasPrefix(got[0], "aws 1/2: ") {
			t.Errorf("%d columns: the first line has %d: %q", width, first, got[0])
		}
		last := got[len(got)-2]
		if runewidth.StringWidth(last) != 19 || !strings.HasPrefix(last, "aws 2/2: ") || got[len(got)-1] != "" {
			t.Errorf("%d columns: after the terminal has 20, %q", width, got)
		}
	}
}

func TestALineThatStaysIsNotMixedWithTheStatus(t *testing.T) {
	written := onTerminal(t, 80, func(tty *os.File) {
		s := NewStatus(tty)
		s.Step("reboot 1/3")
		s.Print("run 1: a reason")
		s.Close()
	})
	if want := "\rreboot 1/3\x1b[K\r\x1b[Krun 1: a reason\r\n\rreboot 1/3\x1b[K"; !strings.HasPrefix(written, want) {
		t.Errorf("got %q, want %q", written, want)
	}
}

func TestWithoutATerminalEachStepIsALine(t *testing.T) {
	var out bytes.Buffer
	s := NewStatus(&out)
	s.Step("aws 1/2: deploy")
	s.Detail("create a")
	s.Step("aws 2/2: destroy")
	s.Close()
	if want := "aws 1/2: deploy\naws 2/2: destroy\n"; out.String() != want {
		t.Errorf("got %q", &out)
	}
}

func TestATerminalThatCannotDrawOverALineGetsALineForEachStep(t *testing.T) {
	t.Setenv("TERM", "dumb")
	written := onTerminal(t, 80, func(tty *os.File) {
		s := NewStatus(tty)
		s.Step("aws 1/2: deploy")
		s.Detail("create a")
		s.Step("aws 2/2: destroy")
		s.Close()
	})
	if want := "aws 1/2: deploy\r\naws 2/2: destroy\r\n"; written != want {
		t.Errorf("got %q, want %q", written, want)
	}
}

func TestAMessageIsAsWideAsTheTerminalAndWholeInAFile(t *testing.T) {
	long := "refused:\n  - a.b: " + strings.Repeat("is too long ", 20) + "(shorten it)"
	for _, width := range []uint16{40, 60, 120} {
		written := onTerminal(t, width, func(tty *os.File) { fmt.Fprint(tty, Message(tty, long)) })
		for i, line := range strings.Split(written, "\r\n") {
			if len(line) > int(width) || i > 1 && !strings.HasPrefix(line, "    ") {
				t.Errorf("%d columns: line %q", width, line)
			}
		}
		if strings.Join(strings.Fields(written), " ") != strings.Join(strings.Fields(long), " ") {
			t.Errorf("%d columns: other words: %q", width, written)
		}
	}
	if got := Message(&bytes.Buffer{}, long); got != long {
		t.Errorf("in a file %q", got)
	}
}

func TestColorIsForTerminalsThatWantIt(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	var file bytes.Buffer
	if got := Paint(&file, Good, "ok"); got != "ok" {
		t.Errorf("without a terminal %q", got)
	}
	paint := func() (got string) {
		onTerminal(t, 80, func(tty *os.File) { got = Paint(tty, Good, "ok") })
		return got
	}
	if got := paint(); got != "\x1b[32mok\x1b[0m" {
		t.Errorf("on a terminal %q", got)
	}
	t.Setenv("NO_COLOR", "1")
	if got := paint(); got != "ok" {
		t.Errorf("with NO_COLOR %q", got)
	}
}

func TestEveryTableFitsEightyColumnsAndKeepsItsNamesWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := NewTable("step", "operations", "failures\ntried", "seconds", "no next\nhop", "lost", "cut")
		names := rapid.SliceOfN(rapid.StringMatching(`[a-z][a-z ]{0,70}[a-z]`), 1, 8).Draw(t, "names")
		counts := rapid.IntRange(0, 99999)
		for _, name := range names {
			table.Row(name, counts.Draw(t, "a"), counts.Draw(t, "b"), fmt.Sprintf("%.1f", rapid.Float64Range(0, 9999).Draw(t, "c")), counts.Draw(t, "d"), 0, 0)
			table.Below(rapid.StringMatching(`([a-z]{1,30} ){0,9}`).Draw(t, "below"))
		}
		var out strings.Builder
		if err := table.Write(&out); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(out.String(), "\n") {
			if len(line) > Columns {
				t.Errorf("%d columns: %q", len(line), line)
			}
		}
		for _, name := range names {
			if !strings.Contains(out.String(), name) {
				t.Errorf("%q is not in\n%s", name, &out)
			}
		}
	})
}

func TestANameThatIsTooLongHasALineOfItsOwn(t *testing.T) {
	table := NewTable("step", "operations", "failures\ntried")
	table.Row("deploy", 13, 0)
	table.Below("private subnets: 3 by instance")
	table.Row(strings.Repeat("long ", 12)+"name", 7, 7)
	var out strings.Builder
	if err := table.Write(&out); err != nil {
		t.Fatal(err)
	}
	want := `                    failures
step    operations     tried
deploy          13         0
  private subnets: 3 by instance
long long long long long long long long long long long long name
                 7         7
`
	if out.String() != want {
		t.Errorf("got\n%s", &out)
	}
}

func TestTextIsWrappedBetweenWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([a-z]{1,20} ){0,40}`).Draw(t, "text")
		wrapped := Wrap("  ", text)
		if got := strings.Join(strings.Fields(wrapped), " "); got != strings.TrimSpace(text) {
			t.Errorf("%q has other words than %q", got, text)
		}
		for i, line := range strings.Split(wrapped, "\n") {
			if len(line) > Columns || i > 0 && !strings.HasPrefix(line, "    ") {
				t.Errorf("line %q", line)
			}
		}
	})
}
