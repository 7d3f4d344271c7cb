package terminal

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// Status says how something goes on: on a terminal in one line that is drawn over, elsewhere in a line for each step.
type Status struct {
	out      io.Writer
	terminal *os.File // nil when out is none

	mu            sync.Mutex
	title, detail string
	began         time.Time // of the step
	changed       bool      // since the line was drawn
	drawn         time.Time
	done          chan struct{}
	ended         sync.WaitGroup
}

// redraw is how often a line is drawn again, where it changed; the time in it changes each second.
const redraw = 100 * time.Millisecond

// NewStatus begins. Close ends it.
func NewStatus(out io.Writer) *Status {
	s := &Status{out: out, terminal: terminalOf(out), done: make(chan struct{})}
	if os.Getenv("TERM") == "dumb" { // it cannot draw over a line
		s.terminal = nil
	}
	if s.terminal == nil {
		return s
	}
	s.ended.Go(func() {
		tick := time.NewTicker(redraw)
		defer tick.Stop()
		for {
			select {
			case <-s.done:
				return
			case <-tick.C:
				s.mu.Lock()
				if s.title != "" && (s.changed || time.Since(s.drawn) >= time.Second) {
					s.draw()
				}
				s.mu.Unlock()
			}
		}
	})
	return s
}

// Step begins: it is shown at once.
func (s *Status) Step(title string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.title, s.detail, s.began = title, "", time.Now()
	if s.terminal == nil {
		fmt.Fprintln(s.out, title)
		return
	}
	s.draw()
}

// Detail is what goes on within the step. Only a terminal shows it.
func (s *Status) Detail(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detail, s.changed = text, true
}

// Print writes a line that stays.
func (s *Status) Print(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	fmt.Fprintln(s.out, text)
	if s.title != "" && s.terminal != nil {
		s.draw()
	}
}

// Close takes the line away.
func (s *Status) Close() {
	close(s.done)
	s.ended.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
}

func (s *Status) clear() {
	if s.terminal != nil {
		fmt.Fprint(s.out, "\r\x1b[K")
	}
}

// draw draws the line, cut to the width that the terminal has now: a line that wraps cannot be drawn over. The last column
// stays free, where some terminals wrap already.
func (s *Status) draw() {
	width, _, err := term.GetSize(int(s.terminal.Fd()))
	if err != nil || width < 2 {
		width = Columns
	}
	line := s.title
	if waited := time.Since(s.began).Round(time.Second); waited > 0 {
		line += fmt.Sprintf("  %d:%02d", int(waited.Minutes()), int(waited.Seconds())%60)
	}
	if s.detail != "" {
		line += "  " + s.detail
	}
	fmt.Fprint(s.out, "\r"+runewidth.Truncate(line, width-1, "…")+"\x1b[K")
	s.changed, s.drawn = false, time.Now()
}
