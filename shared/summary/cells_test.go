package summary

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/frame"
)

// TestCells: a page of long texts stays one that can be shown.
func TestCells(t *testing.T) {
	c := frame.NewColumn(frame.Field{Name: "text", Type: frame.String, Nullable: true}, 0)
	long := strings.Repeat("é", 1<<20) // 2 MiB
	for _, cell := range []string{"a", long, "", long, long, "b" + long} {
		if err := c.AppendText([]byte(cell)); err != nil {
			t.Fatal(err)
		}
	}
	cut := long[:maxCut] + "…"
	odd := "b" + long[:maxCut-2] + "…" // no half of a character
	var p Cells
	rows := p.Rows(&frame.Frame{Cols: []*frame.Column{c}}, 10)
	for i, want := range []string{"a", long, "", cut, cut, odd} {
		if i == 2 {
			if rows[i][0] != nil {
				t.Errorf("row %d is missing, and printed %q", i, *rows[i][0])
			}
			continue
		}
		if got := *rows[i][0]; got != want || !utf8.ValidString(got) {
			t.Errorf("row %d: %d bytes ending %q, want %d", i, len(got), got[max(0, len(got)-10):], len(want))
		}
	}
}
