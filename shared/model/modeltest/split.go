package modeltest

import (
	"math"
	"testing"
)

// Contributor is a session of an engine that splits what it answers: feature f
// of row r is x[f*n+r]; out has, for each row and output, a contribution of each
// feature and the base behind them.
type Contributor interface {
	Contributions(x []float64, n int, out []float64)
}

// AsPredictor makes numbers to compare of contributions.
type AsPredictor struct{ Contributor }

// Predict is Contributions.
func (p AsPredictor) Predict(x []float64, n int, out []float64) { p.Contributions(x, n, out) }

// AddUp splits the rows of x, column by column, together and each alone, as Rows
// does. It fails where the contributions to an output do not add up with the base
// to what whole says of the row, within tolerance, relative to the largest of
// them; or where a base is not the first row's.
func AddUp(t *testing.T, c Contributor, x []float64, features, outputs int, tolerance float64, whole func(row []float64) []float64) {
	t.Helper()
	width := features + 1
	var base []float64
	Rows(t, AsPredictor{c}, x, features, outputs*width, func(r int, row, got []float64) {
		want := whole(row)
		for k := range outputs {
			block := got[k*width:][:width]
			if len(base) < outputs {
				base = append(base, block[features])
			}
			if block[features] != base[k] {
				t.Errorf("row %d, output %d: base %v, of another row %v", r, k, block[features], base[k])
			}
			sum, top := 0.0, math.Abs(want[k])
			for _, v := range block {
				sum += v
				top = max(top, math.Abs(v))
			}
			if !(math.Abs(sum-want[k]) <= tolerance*top) && !(math.IsNaN(sum) && math.IsNaN(want[k])) {
				t.Fatalf("row %d, output %d: %v add up to %v, not %v", r, k, block, sum, want[k])
			}
		}
	})
}
