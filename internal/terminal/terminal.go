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
func Wrap(indent, text string) string {
	var b strings.Builder
	b.WriteString(indent)
	at := len(indent)
	indent += "  "
	for i, word := range strings.Fields(text) {
		width := runewidth.StringWidth(word)
		switch {
		case i == 0:
		case at+1+width > Columns:
			b.WriteString("\n" + indent)
			at = len(indent)
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += width
	}
	return b.String()
}
