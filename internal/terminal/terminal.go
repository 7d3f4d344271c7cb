package terminal

import (
	"io"
	"os"
	"strings"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// Columns that every text fits, on a terminal or in a file.
const Columns = 80

// Color of a text on a terminal.
type Color string

// Colors, by what they say.
const (
	Good    Color = "32" // green
	Bad     Color = "31" // red
	Unclear Color = "33" // yellow
)

// Paint colors a text for w, if that is a terminal and NO_COLOR (https://no-color.org) does not forbid it.
func Paint(w io.Writer, color Color, text string) string {
	if terminalOf(w) == nil || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + string(color) + "m" + text + "\x1b[0m"
}

// terminalOf is the terminal that w is, nil if it is none.
func terminalOf(w io.Writer) *os.File {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// Wrap breaks a text into lines of at most Columns, between words. The lines begin with the indent, those after the first
// with two blanks more; a word that is longer keeps its line.
func Wrap(indent, text string) string { return wrap(indent, indent+"  ", text, Columns) }

// Fill breaks each paragraph of a text into lines of at most Columns. A line that is indented stays as it is.
func Fill(text string) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if !strings.HasPrefix(p, " ") {
			paragraphs[i] = wrap("", "", p, Columns)
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

// Message is a text of several lines for w. If that is a terminal, each is broken between words to the width that it has now; files keep
// whole lines, to be searched.
func Message(w io.Writer, text string) string {
	f := terminalOf(w)
	if f == nil {
		return text
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 2 {
		width = Columns
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if runewidth.StringWidth(line) > width {
			indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
			lines[i] = wrap(indent, indent+"  ", line, width)
		}
	}
	return strings.Join(lines, "\n")
}

// wrap breaks a text into lines of at most so many columns, the first and the others with indents of their own.
func wrap(first, others, text string, columns int) string {
	var b strings.Builder
	b.WriteString(first)
	at := len(first)
	for i, word := range strings.Fields(text) {
		width := runewidth.StringWidth(word)
		switch {
		case i == 0:
		case at+1+width > columns:
			b.WriteString("\n" + others)
			at = len(others)
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += width
	}
	return b.String()
}
