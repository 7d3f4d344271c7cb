package drill

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// log holds what the programs of one run wrote, for when something goes wrong.
type log struct {
	began time.Time
	mu    sync.Mutex
	lines []string
}

func newLog() *log { return &log{began: time.Now()} }

func (l *log) add(who, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("%7.3f %s: %s", time.Since(l.began).Seconds(), who, strings.TrimRight(line, "\n")))
}

// String is all of it.
func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// writer takes the output of a program.
func (l *log) writer(who string) io.Writer { return &logWriter{log: l, who: who} }

type logWriter struct {
	log  *log
	who  string
	mu   sync.Mutex
	rest []byte
}

func (w *logWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		w.log.add(w.who, string(line))
		w.rest = rest
	}
}
