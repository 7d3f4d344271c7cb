package main

import (
	"context"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
)

// recording is what a person saw on a terminal.
type recording struct {
	// lines that are left at the end, and frames, the states of the line that was drawn over.
	lines, frames []string
}

// onScreen runs a command on a terminal of that width, and returns its standard output and all that was to be seen.
func onScreen(t *testing.T, width int, command func(stdout, stderr io.Writer) int) (status int, report string, r recording) {
	t.Helper()
	const height = 500 // nothing scrolls away
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if err := pty.Setsize(tty, &pty.Winsize{Rows: height, Cols: uint16(width)}); err != nil {
		t.Fatal(err)
	}
	shown := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(master) // ends with an error when the command has closed its side
		shown <- all
	}()
	var out strings.Builder
	status = func() int { defer tty.Close(); return command(io.MultiWriter(tty, &out), tty) }()
	screen := vt10x.New(vt10x.WithSize(width, height))
	line := func(y int) string {
		var b strings.Builder
		for x := range width {
			b.WriteRune(screen.Cell(x, y).Char)
		}
		return strings.TrimRight(b.String(), " \x00")
	}
	for _, part := range strings.SplitAfter(string(<-shown), "\x1b[K") {
		_, _ = screen.Write([]byte(part))
		if strings.HasSuffix(part, "\x1b[K") {
			r.frames = append(r.frames, line(screen.Cursor().Y))
		}
	}
	for y := range height {
		r.lines = append(r.lines, line(y))
	}
	for len(r.lines) > 0 && r.lines[len(r.lines)-1] == "" {
		r.lines = r.lines[:len(r.lines)-1]
	}
	return status, out.String(), r
}

func TestATerminalShowsEveryStepInOneLineAndKeepsTheReportAlone(t *testing.T) {
	all := rehearseAll(t)
	inRepository(t)
	wide := []string{"huaweicloud"}
	wideStatus, wideReport, wideScreen := onScreen(t, 120, func(stdout, stderr io.Writer) int {
		return run(t.Context(), append([]string{"rehearse", "--faults=false"}, wide...), stdout, stderr)
	})
	for _, c := range []struct {
		width, status int
		setups        []string
		report        string
		got           recording
	}{{80, all.status, walked(), all.text, all.screen}, {120, wideStatus, wide, wideReport, wideScreen}} {
		width, setups, report, got := c.width, c.setups, c.report, c.got
		if c.status != 0 {
			t.Fatalf("status %d\n%s", c.status, strings.Join(got.lines, "\n"))
		}
		t.Logf("%d columns: %d lines are left, %d were drawn over", width, len(got.lines), len(got.frames))
		steps := map[string]map[string]bool{}
		for _, frame := range got.frames {
			m := regexp.MustCompile(`^(alicloud|huaweicloud|aws)(?:, variant \d of \d,)? (\d+/\d+): `).FindStringSubmatch(frame)
			if frame != "" && m == nil && !strings.HasPrefix(frame, "stack dev: ") {
				t.Fatalf("%d columns: the line begins with neither stack nor setup and step: %q", width, frame)
			}
			if m != nil {
				if steps[m[1]] == nil {
					steps[m[1]] = map[string]bool{}
				}
				steps[m[1]][m[2]] = true
			}
		}
		for _, setup := range setups {
			if n := all.steps(t)[setup]; len(steps[setup]) != n || n == 0 {
				t.Errorf("%d columns: %d steps of %s were shown, want %d", width, len(steps[setup]), setup, n)
			}
		}
		if left := strings.Join(got.lines, "\n") + "\n"; left != report {
			t.Errorf("%d columns: %d lines are left:\n%s\nwant the report alone:\n%s", width, len(got.lines), left, report)
		}
		for _, line := range got.lines {
			if len([]rune(line)) > 80 {
				t.Errorf("%d columns: %q", width, line)
			}
		}
	}
}

// interrupts ends a context when a line is written that has a text.
type interrupts struct {
	at     string
	cancel func()
}

func (i interrupts) Write(p []byte) (int, error) {
	if strings.Contains(string(p), i.at) {
		i.cancel()
	}
	return len(p), nil
}

func TestARehearsalThatIsInterruptedReportsWhatWasWalked(t *testing.T) {
	inRepository(t)
	for _, format := range formats {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var out strings.Builder
		status := run(ctx, []string{"rehearse", "--format", format, "alicloud", "huaweicloud"}, &out, interrupts{": uncover", cancel})
		if status != statusNoVerdict {
			t.Errorf("%s: status %d", format, status)
		}
		want := []string{"\ncover ", "alicloud (stack dev): cut short after step cover; nothing was lost up to there", "huaweicloud (stack dev): not walked"}
		if format == "json" {
			want = []string{`"name": "cover"`, `"cutShort": true`, `"error": "cut short; nothing was lost up to there"`, `"ok": false`}
		}
		for _, w := range want {
			if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), strings.TrimSpace(w)) {
				t.Errorf("%s: %q is not in\n%s", format, w, &out)
			}
		}
		if strings.Contains(out.String(), "uncover") {
			t.Errorf("%s: a step that was not finished is reported\n%s", format, &out)
		}
	}
}
