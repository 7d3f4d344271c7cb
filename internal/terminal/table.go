package terminal

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Table is written in at most [Columns] columns of text. The first column is aligned to the left and holds names, the
// others to the right. A name that is too long for that gets a line of its own above the other cells, so that it stays whole.
type Table struct {
	heads [][]string // lines of each heading
	rows  []row
}

type row struct {
	cells []string
	below string
}

// gap between two columns.
const gap = 2

// NewTable with headings, whose lines are separated by newlines.
func NewTable(headings ...string) *Table {
	t := &Table{}
	for _, h := range headings {
		t.heads = append(t.heads, strings.Split(h, "\n"))
	}
	return t
}

// Row adds cells, each of which is printed as fmt.Sprint does.
func (t *Table) Row(cells ...any) {
	r := row{}
	for _, c := range cells {
		r.cells = append(r.cells, fmt.Sprint(c))
	}
	t.rows = append(t.rows, r)
}

// Below adds a text under the last row.
func (t *Table) Below(text string) { t.rows[len(t.rows)-1].below = text }

// Write writes the table.
func (t *Table) Write(w io.Writer) error {
	widths := make([]int, len(t.heads))
	height, rest := 0, 0
	for i, lines := range t.heads {
		height = max(height, len(lines))
		for _, line := range lines {
			widths[i] = max(widths[i], runewidth.StringWidth(line))
		}
		if i == 0 {
			continue
		}
		for _, r := range t.rows {
			widths[i] = max(widths[i], runewidth.StringWidth(r.cells[i]))
		}
		rest += gap + widths[i]
	}
	for _, r := range t.rows {
		if width := runewidth.StringWidth(r.cells[0]); width+rest <= Columns {
			widths[0] = max(widths[0], width)
		}
	}
	var b strings.Builder
	for line := range height {
		cells := make([]string, len(t.heads))
		for i, lines := range t.heads {
			if at := line - (height - len(lines)); at >= 0 {
				cells[i] = lines[at]
			}
		}
		writeRow(&b, widths, cells)
	}
	for _, r := range t.rows {
		if runewidth.StringWidth(r.cells[0]) > widths[0] {
			b.WriteString(r.cells[0] + "\n")
			r.cells = append([]string{""}, r.cells[1:]...)
		}
		writeRow(&b, widths, r.cells)
		if r.below != "" {
			b.WriteString(Wrap("  ", r.below) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeRow(b *strings.Builder, widths []int, cells []string) {
	var line strings.Builder
	for i, c := range cells {
		space := strings.Repeat(" ", widths[i]-runewidth.StringWidth(c))
		if i == 0 {
			line.WriteString(c + space)
		} else {
			line.WriteString(strings.Repeat(" ", gap) + space + c)
		}
	}
	b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}
