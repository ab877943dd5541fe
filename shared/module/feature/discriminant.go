package feature

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const (
	classLabels = "Class labels column"
	extractors  = "Number of feature extractors"
)

// FisherLinearDiscriminantAnalysis replaces features by the linear
// combinations of them that tell classes apart best.
func FisherLinearDiscriminantAnalysis() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Fisher Linear Discriminant Analysis", Aliases: []string{"Linear Discriminant Analysis"}, Group: group,
			CodeVersion: 1, Nature: module.Fitted,
			Inputs: []module.Port{datasetIn},
			Outputs: []module.Port{
				{ID: "Transformed features", Kind: service.Dataset, Doc: "The combinations col1, col2, …, the best first, behind the columns that are no features."},
				{ID: "Fisher linear discriminant analysis transformation", Kind: service.Transformation, Doc: "The combinations, for Apply Transformation."},
			},
			Params: []module.Param{
				{
					Name: classLabels, Type: module.ColumnPicker, Single: true, Required: true, Schema: true,
					Doc: "The column of classes to tell apart.",
				},
				{
					Name: extractors, Type: module.Int, Default: "0", Range: &module.Range{Min: 0, Max: maxDiscriminants}, Schema: true,
					Doc: "How many combinations to give; 0 gives as many as there are features.",
				},
			},
			Doc: "Replaces the feature columns, which must be numbers, by linear combinations of them that lie far apart between classes and near within each. Rows with missing cells are not learned from, and get missing combinations. Labels, ids, weights and scores are passed through.",
		},
		Fit: fitDiscriminant, Apply: applyDiscriminant,
	}
}

// maxDiscriminants bounds the features, whose scatter is a square matrix.
const maxDiscriminants = 2000

// discriminant is the learned state.
type discriminant struct {
	Features []string `json:"features"`
	// Vectors has the coefficients of each combination.
	Vectors [][]float64 `json:"vectors"`
}

func fitDiscriminant(_ context.Context, c *module.Call) ([]byte, error) {
	in := c.Inputs[0].Frame
	picked, err := c.Params.Columns(classLabels).Resolve(in.Schema())
	if err != nil {
		return nil, err
	}
	if len(picked) != 1 {
		return nil, module.Errorf(3, "%d columns of class labels are selected: select one", len(picked))
	}
	label := in.Cols[picked[0]]
	var st discriminant
	var columns []*frame.Column
	for i, col := range in.Cols {
		f := col.Field
		if i == picked[0] || f.Role != frame.Feature {
			continue
		}
		if !numeric(f) {
			return nil, module.Errorf(17, "column %q is %s: the analysis combines numbers; leave it out with Select Columns in Dataset", f.Name, f.Type).At(f.Name)
		}
		st.Features, columns = append(st.Features, f.Name), append(columns, col)
	}
	d := len(columns)
	n := int(c.Params.Int(extractors))
	switch {
	case d == 0:
		return nil, module.Errorf(20, "the table has no feature column of numbers")
	case d > maxDiscriminants:
		return nil, module.Errorf(20, "the table has %d feature columns, more than %d", d, maxDiscriminants)
	case n > d:
		return nil, module.Errorf(8, "%d feature extractors of %d features: at most as many are there", n, d)
	case n == 0:
		n = d
	}
	x, class := complete(columns, label)
	within, between, err := scatter(x, class)
	if err != nil {
		return nil, err
	}
	for f, name := range st.Features {
		if spread := within.At(f, f) + between.At(f, f); math.IsInf(spread, 0) || math.IsNaN(spread) {
			return nil, module.Errorf(33, "column %q: the spread of its values is infinite", name).At(name)
		}
	}
	st.Vectors, err = discriminate(within, between, n)
	if err != nil {
		return nil, err
	}
	return json.Marshal(st)
}

// complete are the rows without a missing cell, feature by feature, and their
// classes.
func complete(columns []*frame.Column, label *frame.Column) (x [][]float64, class []int32) {
	x = make([][]float64, len(columns))
	index := make(map[string]int32)
	var word []byte
rows:
	for r := range label.Len() {
		if label.IsNull(r) {
			continue
		}
		for _, c := range columns {
			if c.IsNull(r) {
				continue rows
			}
		}
		word = label.Print(word[:0], r)
		k, ok := index[string(word)]
		if !ok {
			k = int32(len(index))
			index[string(word)] = k
		}
		class = append(class, k)
		for f, c := range columns {
			x[f] = append(x[f], c.Float(r))
		}
	}
	return x, class
}

// scatter is the covariance within the classes and that of their means, both
// over the number of rows.
func scatter(x [][]float64, class []int32) (within, between *mat.SymDense, err error) {
	d, n := len(x), float64(len(class))
	k := 0
	for _, c := range class {
		k = max(k, int(c)+1)
	}
	if k < 2 {
		return nil, nil, module.Errorf(134, "complete rows have %d classes: the analysis needs at least 2", k)
	}
	centered := mat.NewDense(len(class), d, nil)
	means, counts := make([][]float64, d), []float64(nil)
	all := make([]float64, d)
	for f, column := range x {
		sums, c := perClass(column, class)
		means[f], counts = sums, c
		for g := range sums {
			all[f] += sums[g] / n
			sums[g] /= c[g]
		}
		for r, v := range column {
			centered.Set(r, f, v-sums[class[r]])
		}
	}
	within, between = mat.NewSymDense(d, nil), mat.NewSymDense(d, nil)
	within.SymOuterK(1/n, centered.T())
	for g := range k {
		v := mat.NewVecDense(d, nil)
		for f := range x {
			v.SetVec(f, means[f][g]-all[f])
		}
		between.SymRankOne(between, counts[g]/n, v)
	}
	return within, between, nil
}

// discriminate returns the n vectors v of greatest vᵀBv where vᵀWv is 1 and
// different ones are uncorrelated: of the generalised eigenproblem Bv = λWv. The
// greatest coefficient of each is positive.
func discriminate(within, between *mat.SymDense, n int) ([][]float64, error) {
	d := within.SymmetricDim()
	var chol mat.Cholesky
	// Features that others determine leave W singular: it is then raised by as
	// little as makes it definite.
	scale := mat.Trace(within) / float64(d)
	for ridge := 0.0; !chol.Factorize(within); ridge = max(1e-12, ridge*100) {
		if ridge > 1 || scale == 0 {
			return nil, module.Errorf(1000, "the features do not vary within the classes: there is nothing to weigh their means against")
		}
		for f := range d {
			within.SetSym(f, f, within.At(f, f)+ridge*scale)
		}
	}
	var lower mat.TriDense
	chol.LTo(&lower)
	var half, whole mat.Dense // L⁻¹B, then L⁻¹BL⁻ᵀ
	if err := half.Solve(&lower, between); err != nil {
		return nil, module.Errorf(1000, "the scatter of the features cannot be inverted: %v", err)
	}
	if err := whole.Solve(&lower, half.T()); err != nil {
		return nil, module.Errorf(1000, "the scatter of the features cannot be inverted: %v", err)
	}
	sym := mat.NewSymDense(d, nil)
	for i := range d {
		for j := i; j < d; j++ {
			sym.SetSym(i, j, (whole.At(i, j)+whole.At(j, i))/2)
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(sym, true) {
		return nil, module.Errorf(1000, "the features have no discriminants: the eigenvalues do not converge")
	}
	var u, v mat.Dense
	eigen.VectorsTo(&u)
	if err := v.Solve(lower.T(), &u); err != nil {
		return nil, module.Errorf(1000, "the scatter of the features cannot be inverted: %v", err)
	}
	out := make([][]float64, n)
	for k := range out {
		out[k] = mat.Col(nil, d-1-k, &v) // eigenvalues rise
		greatest := 0.0
		for _, c := range out[k] {
			if math.Abs(c) > math.Abs(greatest)*(1+1e-9) {
				greatest = c
			}
		}
		if greatest < 0 {
			for f := range out[k] {
				out[k][f] = -out[k][f]
			}
		}
	}
	return out, nil
}

func applyDiscriminant(state []byte, in frame.Schema) (*module.Bound, error) {
	var st discriminant
	if err := json.Unmarshal(state, &st); err != nil {
		return nil, module.Errorf(82, "the discriminant analysis cannot be read: %v", err)
	}
	var m module.RowMap
	reads := make([]int, len(st.Features))
	used := make([]bool, len(in))
	for f, name := range st.Features {
		at := in.Index(name)
		if at < 0 {
			return nil, module.NoColumn(in, name)
		}
		if !numeric(&in[at]) {
			return nil, module.Errorf(17, "column %q is %s: the analysis combines numbers", name, in[at].Type).At(name)
		}
		reads[f], used[at] = at, true
	}
	taken := make(map[string]bool)
	for i := range in {
		if !used[i] {
			m.Outs = append(m.Outs, module.Pass(in, i))
			taken[in[i].Name] = true
		}
	}
	for k, v := range st.Vectors {
		if len(v) != len(reads) {
			return nil, module.Errorf(82, "the discriminant analysis cannot be read: %d coefficients for %d features", len(v), len(reads))
		}
		name := module.Unique(fmt.Sprintf("col%d", k+1), func(n string) bool { return taken[n] })
		m.Outs = append(m.Outs, module.Out{
			Field: frame.Field{Name: name, Type: frame.Double, Nullable: true}, From: -1, Reads: reads,
			Fill: func(dst *frame.Column, in *frame.Frame) error {
				for r := range in.Rows() {
					sum := 0.0
					for f, at := range reads {
						sum += float64(in.Cols[at].Float(r) * v[f]) // NaN where missing
					}
					dst.AppendFloat(sum)
				}
				return nil
			},
		})
	}
	return m.Bind(in, 0, 1)
}
