package statistical

import (
	"math"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

// ComputeLinearCorrelation computes Pearson's r of every two columns.
func ComputeLinearCorrelation() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Compute Linear Correlation", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{datasetIn}, Outputs: []module.Port{datasetOut},
			Doc: "Computes Pearson's correlation of every two numeric columns, over the rows where both have a value: a square table, with rows in the order of its columns. Where a column is constant the correlation is missing. Columns that are not numbers are left out.",
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			in := b.Inputs[0].Schema
			var picked []int
			var schema frame.Schema
			for i := range in {
				if in[i].Type.Numeric() {
					picked = append(picked, i)
					schema = append(schema, frame.Field{Name: in[i].Name, Type: frame.Double, Nullable: true})
				}
			}
			if len(picked) == 0 {
				return nil, module.Errorf(20, "the table has no numeric column")
			}
			return wholeTable(schema, picked, func(t, out *frame.Frame) error {
				for _, i := range picked {
					for k, j := range picked {
						// By columns in order: r of (a, b) and (b, a) are the same bits.
						out.Cols[k].AppendFloat(pearson(t.Cols[min(i, j)], t.Cols[max(i, j)]))
					}
				}
				return nil
			})
		},
	}
}

// pearson is the correlation of two columns over the rows where neither is
// missing; NaN where it is not defined.
func pearson(a, b *frame.Column) float64 {
	var xs, ys []float64
	for r := range a.Len() {
		if !a.IsNull(r) && !b.IsNull(r) {
			xs, ys = append(xs, a.Float(r)), append(ys, b.Float(r))
		}
	}
	mx, my := average(xs), average(ys)
	var xx, yy, xy float64
	for i := range xs {
		dx, dy := xs[i]-mx, ys[i]-my
		xx += float64(dx * dx)
		yy += float64(dy * dy)
		xy += float64(dx * dy)
	}
	if len(xs) < 2 || xx == 0 || yy == 0 {
		return math.NaN()
	}
	return max(-1, min(1, xy/(math.Sqrt(xx)*math.Sqrt(yy))))
}
