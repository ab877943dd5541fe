package scale

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// PrincipalComponentAnalysis projects columns to their principal components.
func PrincipalComponentAnalysis() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Principal Component Analysis", Group: group, CodeVersion: 1, Nature: module.Fitted,
			Inputs: []module.Port{datasetIn},
			Outputs: []module.Port{
				{ID: "Results dataset", Kind: service.Dataset, Doc: "The other columns, and behind them the components."},
				{ID: "PCA Transformation", Kind: service.Transformation, Doc: "The projection, for Apply Transformation."},
			},
			Params: []module.Param{
				{
					Name: "Selected columns", Type: module.ColumnPicker, Required: true, Schema: true,
					Doc: "The columns to reduce, all of numbers. Bring them to one scale first where they are not.",
				},
				{
					Name: "Number of dimensions to reduce to", Type: module.Int, Required: true, Range: &module.Range{Min: 1, Max: maxDimensions}, Schema: true,
					Doc: "The number of components, at most that of the columns.",
				},
				{
					Name: "Normalize dense dataset to zero mean", Type: module.Boolean, Default: "true",
					Doc: "Subtract each column's mean first.",
				},
			},
			Doc: "Replaces columns by their principal components Col1, Col2, …, the one of the largest variance first; in each, the largest weight is positive. Rows with a missing cell teach nothing and have missing components.",
		},
		Fit: fitPCA, Apply: applyPCA,
	}
}

// maxDimensions is the number of columns above which a covariance matrix
// becomes too large.
const maxDimensions = 4096

// projection is the learned state.
type projection struct {
	Columns []string    `json:"columns"`
	Means   []float64   `json:"means"`
	Weights [][]float64 `json:"weights"` // of each component, by column
}

func fitPCA(_ context.Context, c *module.Call) ([]byte, error) {
	cols, err := numeric(c, "Selected columns")
	if err != nil {
		return nil, err
	}
	n, k := len(cols), int(c.Params.Int("Number of dimensions to reduce to"))
	switch {
	case k > n:
		return nil, module.Errorf(7, "%d columns cannot be reduced to %d dimensions", n, k)
	case n > maxDimensions:
		return nil, module.Errorf(7, "%d columns are selected: at most %d are allowed", n, maxDimensions)
	}
	var rows []int // without missing cells
	for r := range c.Inputs[0].Frame.Rows() {
		if !slices.ContainsFunc(cols, func(col *frame.Column) bool { return col.IsNull(r) }) {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return nil, module.Errorf(21, "every row of the table has a missing cell in a selected column")
	}
	st := projection{Means: make([]float64, n)}
	for i, col := range cols {
		st.Columns = append(st.Columns, col.Field.Name)
		if c.Params.Bool("Normalize dense dataset to zero mean") {
			for _, r := range rows {
				st.Means[i] += col.Float(r)
			}
			st.Means[i] /= float64(len(rows))
		}
	}
	cov := covariance(cols, rows, st.Means)
	for i, v := range cov.RawSymmetric().Data {
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, module.Errorf(33, "column %q: its values are too large", st.Columns[i/n]).At(st.Columns[i/n])
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(cov, true) {
		return nil, module.Errorf(39, "the principal components cannot be computed")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors) // by ascending eigenvalue
	for j := range k {
		w := mat.Col(nil, n-1-j, &vectors)
		largest := 0
		for i := range w {
			if math.Abs(w[i]) > math.Abs(w[largest]) {
				largest = i
			}
		}
		if w[largest] < 0 {
			for i := range w {
				w[i] = -w[i]
			}
		}
		st.Weights = append(st.Weights, w)
	}
	return json.Marshal(st)
}

// covariance sums the products of the columns, less their means, over rows.
func covariance(cols []*frame.Column, rows []int, means []float64) *mat.SymDense {
	n := len(cols)
	sums := make([]float64, n*n)
	row := make([]float64, n)
	for _, r := range rows {
		for i, col := range cols {
			row[i] = col.Float(r) - means[i]
		}
		for i, a := range row {
			for j := i; j < n; j++ {
				sums[i*n+j] += float64(a * row[j])
			}
		}
	}
	for i := range sums {
		sums[i] /= float64(len(rows))
	}
	return mat.NewSymDense(n, sums) // reads the upper triangle
}

func applyPCA(state []byte, in frame.Schema) (*module.Bound, error) {
	var st projection
	if err := decode(state, &st); err != nil {
		return nil, err
	}
	at := make([]int, len(st.Columns))
	for k, name := range st.Columns {
		var err error
		if at[k], err = number(in, name); err != nil {
			return nil, err
		}
	}
	var m module.RowMap
	var names []string
	for i := range in {
		if !slices.Contains(at, i) {
			m.Outs = append(m.Outs, module.Pass(in, i))
			names = append(names, in[i].Name)
		}
	}
	for j, w := range st.Weights {
		name := module.Unique(fmt.Sprintf("Col%d", j+1), func(name string) bool { return slices.Contains(names, name) })
		names = append(names, name)
		m.Outs = append(m.Outs, st.out(name, at, w))
	}
	return m.Bind(in, 0, 1)
}

// out is one component: the weighted sum of the columns at at, in their order.
func (st *projection) out(name string, at []int, weights []float64) module.Out {
	return module.Out{
		Field: frame.Field{Name: name, Type: frame.Double, Nullable: true}, From: -1, Reads: at,
		Fill: func(dst *frame.Column, in *frame.Frame) error {
			for r := range in.Cols[at[0]].Len() {
				sum := 0.0
				for k, i := range at {
					sum += float64(weights[k] * (in.Cols[i].Float(r) - st.Means[k])) // NaN where missing
				}
				if err := finite(dst, r, sum); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
