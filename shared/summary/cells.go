package summary

import (
	"strings"

	"github.com/portico-ml/portico/shared/frame"
)

// Cells prints cells for somebody to look at. Texts that do not fit beside what
// it has printed before are cut. The zero value is ready for one page.
type Cells struct{ printed int }

const (
	maxPrinted = 4 << 20 // bytes of a page, but for texts that have been cut
	maxCut     = 200     // bytes of a text that is cut
)

// Print returns a cell's text; nil where it is missing.
func (p *Cells) Print(c *frame.Column, row int) *string {
	if c.IsNull(row) {
		return nil
	}
	b := c.Print(nil, row)
	if len(b) > maxCut && p.printed+len(b) > maxPrinted {
		text := strings.ToValidUTF8(string(b[:maxCut]), "") + "…"
		return &text
	}
	p.printed += len(b)
	text := string(b)
	return &text
}

// Rows prints the first rows of a table.
func (p *Cells) Rows(f *frame.Frame, rows int) [][]*string {
	out := make([][]*string, min(rows, f.Rows()))
	for r := range out {
		out[r] = make([]*string, len(f.Cols))
		for i, c := range f.Cols {
			out[r][i] = p.Print(c, r)
		}
	}
	return out
}
