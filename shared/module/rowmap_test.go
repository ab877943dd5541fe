package module_test

import (
	"fmt"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

// TestRowMapLarge: a table whose columns are filled side by side gives what its
// parts do, and fails as they do.
func TestRowMapLarge(t *testing.T) {
	const rows = 70_000
	schema := frame.Schema{{Name: "a", Type: frame.Int32}, {Name: "b", Type: frame.Double}}
	in := &frame.Frame{Cols: []*frame.Column{frame.NewColumn(schema[0], rows), frame.NewColumn(schema[1], rows)}}
	for r := range rows {
		in.Cols[0].AppendInt(int64(r))
		in.Cols[1].AppendFloat(float64(r%7) / 4)
	}
	m := module.RowMap{
		Keep: func(f *frame.Frame, r int) bool { return f.Cols[0].Ints[r]%3 > 0 }, KeepReads: []int{0},
		Outs: []module.Out{module.Pass(schema, 1)},
	}
	for k := range 5 {
		m.Outs = append(m.Outs, module.Out{
			Field: frame.Field{Name: fmt.Sprint("c", k), Type: frame.Int64}, From: -1, Reads: []int{0, 1},
			Fill: func(dst *frame.Column, in *frame.Frame) error {
				for r := range in.Rows() {
					if k > 2 && in.Cols[1].Floats[r] > 10 {
						return fmt.Errorf("column %d, row %d", k, r)
					}
					dst.AppendInt(in.Cols[0].Ints[r] * int64(k))
				}
				return nil
			},
		})
	}
	bound, err := m.Bind(schema, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	state := bound.Op.NewState()
	apply := func(in *frame.Frame) (string, error) {
		out := []*frame.Frame{{Cols: make([]*frame.Column, len(bound.Outputs[0]))}}
		if err := state.Apply([]*frame.Frame{in}, out); err != nil {
			return "", err
		}
		return string(frame.AppendCSVRows(nil, out[0], 0, out[0].Rows(), ',')), nil
	}
	whole, err := apply(in)
	if err != nil {
		t.Fatal(err)
	}
	parts := ""
	for lo := 0; lo < rows; lo += 10_000 {
		part, err := apply(in.Slice(lo, min(lo+10_000, rows)))
		if err != nil {
			t.Fatal(err)
		}
		parts += part
	}
	if whole != parts {
		t.Error("the whole table gives other cells than its parts")
	}
	in.Cols[1].Floats[rows-5] = 11
	if _, err := apply(in); err == nil || err.Error()[:8] != "column 3" {
		t.Errorf("got %v, want the first failing column's error", err)
	}
}
