package sample

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const (
	modeSampling = "Sampling"
	modeAssign   = "Assign to Folds"
	modePick     = "Pick Fold"
	modeHead     = "Head"

	methodEven   = "Partition evenly"
	methodCustom = "Partition with customized proportions"
)

// PartitionAndSample samples rows or assigns them to folds.
func PartitionAndSample() *module.Module {
	in := func(mode string) *module.When {
		return &module.When{Param: "Partition or sample mode", Is: []string{mode}}
	}
	method := func(m string) *module.When {
		return &module.When{Param: "Specify the partitioner method", Is: []string{m}}
	}
	return &module.Module{
		Spec: module.Spec{
			Name: "Partition and Sample", Group: group, CodeVersion: 1, Nature: module.WholeTable, PicksRows: true,
			Inputs:  []module.Port{{ID: "Dataset", Kind: service.Dataset, Doc: "The table to sample or partition."}},
			Outputs: []module.Port{{ID: "oDataset", Kind: service.Dataset, Doc: "The sample, the fold, or the rows with their folds."}},
			Params: []module.Param{
				{
					Name: "Partition or sample mode", Type: module.Enumerated, Default: modeSampling, Schema: true,
					Options: []string{modeSampling, modeAssign, modePick, modeHead},
					Doc:     "Sample rows at random, assign every row to a fold, pick one of the folds assigned before, or take the first rows.",
				},
				{
					Name: "Use replacement in the partitioning", Type: module.Boolean, Default: "false", When: in(modeAssign),
					Doc: "Draw each fold from all rows, so that a row can be in several folds or in none; rows then come fold by fold.",
				},
				{
					Name: "Randomized split", Type: module.Boolean, Default: "true", When: in(modeAssign),
					Doc: "Assign rows at random; otherwise in turn, or, with customized proportions, in blocks.",
				},
				{
					Name: "Random seed", Type: module.Int, Default: "0", When: in(modeAssign),
					Doc: "Another seed draws other folds; the same gives the same folds.",
				},
				{
					Name: "Specify the partitioner method", Type: module.Enumerated, Default: methodEven, When: in(modeAssign),
					Options: []string{methodEven, methodCustom},
					Doc:     "Folds of equal size, or of given proportions.",
				},
				{
					Name: "Specify number of folds to split evenly into", Type: module.Int, Default: "5", Range: &module.Range{Min: 1, Max: 1 << 20}, When: method(methodEven),
					Doc: "The number of folds.",
				},
				{
					Name: "Stratified split", Type: module.Boolean, Default: "false", When: method(methodEven),
					Doc: "Divide the rows of each value of a column evenly over the folds.",
				},
				{
					Name: "Stratification key column", Type: module.ColumnPicker, Required: true, Single: true, When: &module.When{Param: "Stratified split", Is: []string{"true"}},
					Doc: "The strata column: of categories, texts, truth values or whole numbers.",
				},
				{
					Name: "List of proportions separated by comma", Type: module.String, Required: true, When: method(methodCustom), Check: checkProportions,
					Doc: "The parts of the folds, as in .5, .25, .25. Where they sum to less than 1, one more fold has the rest.",
				},
				{
					Name: "Stratified split for customized fold assignment", Type: module.Boolean, Default: "false", When: method(methodCustom),
					Doc: "Divide the rows of each value of a column over the folds in these proportions.",
				},
				{
					Name: "Stratification key column for customized fold assignment", Type: module.ColumnPicker, Required: true, Single: true,
					When: &module.When{Param: "Stratified split for customized fold assignment", Is: []string{"true"}},
					Doc:  "The strata column: of categories, texts, truth values or whole numbers.",
				},
				{
					Name: "Specify which fold to be sampled from", Type: module.Int, Default: "1", Range: &module.Range{Min: 1, Max: 1 << 20}, When: in(modePick),
					Doc: "The number of the fold, from 1.",
				},
				{
					Name: "Pick complement of the selected fold", Type: module.Boolean, Default: "false", When: in(modePick),
					Doc: "Take the rows of all other folds instead.",
				},
				{
					Name: "Rate of sampling", Type: module.Float, Default: "0.01", Range: &module.Range{Min: 0, Max: 1}, When: in(modeSampling),
					Doc: "The part of the rows to take, rounded to the nearest whole row.",
				},
				{
					Name: "Random seed for sampling", Type: module.Int, Default: "0", When: in(modeSampling),
					Doc: "Another seed draws another sample; the same gives the same rows.",
				},
				{
					Name: "Stratified split for sampling", Type: module.Boolean, Default: "false", When: in(modeSampling),
					Doc: "Take this part of the rows of each value of a column.",
				},
				{
					Name: "Stratification key column for sampling", Type: module.ColumnPicker, Required: true, Single: true,
					When: &module.When{Param: "Stratified split for sampling", Is: []string{"true"}},
					Doc:  "The strata column: of categories, texts, truth values or whole numbers.",
				},
				{
					Name: "Number of rows to select", Type: module.Int, Default: "10", Range: &module.Range{Min: 0, Max: 1 << 31}, When: in(modeHead),
					Doc: "How many of the first rows to take, at most.",
				},
			},
			Doc: "Takes a random sample, the first rows, or one fold of a table; or assigns its rows to folds, whose numbers are the column " + module.FoldColumn + ", which is never a feature and which Pick Fold takes away.",
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			switch b.Params.Text("Partition or sample mode") {
			case modeAssign:
				return bindAssign(b)
			case modePick:
				return bindPick(b)
			case modeHead:
				n := int(b.Params.Int("Number of rows to select"))
				return keepColumns(b, -1, func(f *frame.Frame) ([]*frame.Column, error) {
					if f.Rows() <= n {
						return f.Cols, nil
					}
					return f.Slice(0, n).Cols, nil
				}), nil
			}
			return bindSampling(b)
		},
	}
}

// keepColumns binds a function that takes some rows of the one input.
func keepColumns(b *module.Binding, strata int, rows func(*frame.Frame) ([]*frame.Column, error)) *module.Bound {
	in := b.Inputs[0].Schema
	return &module.Bound{
		Op: module.OpFunc(func(in, out []*frame.Frame) error {
			cols, err := rows(in[0])
			if err == nil {
				copy(out[0].Cols, cols)
			}
			return err
		}),
		Outputs: []frame.Schema{in}, From: [][]module.Source{passAll(len(in))}, Reads: reads(strata),
	}
}

func bindSampling(b *module.Binding) (*module.Bound, error) {
	column, err := strataColumn(b.Params, "Stratified split for sampling", "Stratification key column for sampling", b.Inputs[0].Schema)
	if err != nil {
		return nil, err
	}
	rate, seed := b.Params.Float("Rate of sampling"), b.Params.Int("Random seed for sampling")
	return keepColumns(b, column, func(f *frame.Frame) ([]*frame.Column, error) {
		rng := newRand(seed)
		var rows []int
		for _, stratum := range strata(f, column) {
			for _, i := range draw(rng, len(stratum))[:share(rate, len(stratum), math.Round)] {
				rows = append(rows, stratum[i])
			}
		}
		return take(f, rows), nil
	}), nil
}

// share is a part of n rows, rounded; what the part's decimals lost in binary
// does not count.
func share(part float64, n int, round func(float64) float64) int {
	x := part * float64(n)
	if near := math.Round(x); math.Abs(x-near) < 1e-9*max(1, near) {
		return int(near)
	}
	return int(round(x))
}

func bindPick(b *module.Binding) (*module.Bound, error) {
	in := b.Inputs[0].Schema
	at := in.Index(module.FoldColumn)
	if at < 0 || !in[at].Type.Integer() {
		return nil, module.Errorf(18, "the table has no folds to pick from: assign them with mode %q first", modeAssign).At(module.FoldColumn)
	}
	fold, complement := b.Params.Int("Specify which fold to be sampled from"), b.Params.Bool("Pick complement of the selected fold")
	out := slices.Delete(slices.Clone(in), at, at+1)
	from := slices.Delete(passAll(len(in)), at, at+1)
	return &module.Bound{
		Op: module.OpFunc(func(in, out []*frame.Frame) error {
			c := in[0].Cols[at]
			var rows []int
			found := c.Len() == 0
			for r := range c.Len() {
				is := !c.IsNull(r) && c.Ints[r] == fold
				found = found || is
				if is != complement {
					rows = append(rows, r)
				}
			}
			if !found {
				return module.Errorf(18, "no row of the table is in fold %d", fold).At(module.FoldColumn)
			}
			rest := &frame.Frame{Cols: slices.Delete(slices.Clone(in[0].Cols), at, at+1)}
			copy(out[0].Cols, take(rest, rows))
			return nil
		}),
		Outputs: []frame.Schema{out}, From: [][]module.Source{from}, Reads: [][]int{{at}},
	}, nil
}

// assigning is the mode Assign to Folds, bound.
type assigning struct {
	column       int
	random, back bool // with replacement
	seed         int64
	even         int       // number of folds of equal size; 0 for custom ones
	ends         []float64 // of each custom fold, as a part of the rows
}

func bindAssign(b *module.Binding) (*module.Bound, error) {
	in, p := b.Inputs[0].Schema, b.Params
	a := &assigning{random: p.Bool("Randomized split"), back: p.Bool("Use replacement in the partitioning"), seed: p.Int("Random seed")}
	var err error
	if p.Text("Specify the partitioner method") == methodEven {
		a.even = int(p.Int("Specify number of folds to split evenly into"))
		a.column, err = strataColumn(p, "Stratified split", "Stratification key column", in)
	} else if a.ends, err = proportions(p.Text("List of proportions separated by comma")); err == nil {
		a.column, err = strataColumn(p, "Stratified split for customized fold assignment", "Stratification key column for customized fold assignment", in)
	}
	if err != nil {
		return nil, err
	}
	old := in.Index(module.FoldColumn) // folds assigned before
	out, from := slices.Clone(in), passAll(len(in))
	if old >= 0 {
		out, from = slices.Delete(out, old, old+1), slices.Delete(from, old, old+1)
	}
	field := frame.Field{Name: module.FoldColumn, Type: frame.Int32, Role: frame.ID}
	out, from = append(out, field), append(from, module.Computed)
	return &module.Bound{
		Op: module.OpFunc(func(in, out []*frame.Frame) error {
			rows, folds := a.assign(in[0])
			c := frame.NewColumn(field, len(folds))
			for _, k := range folds {
				c.AppendInt(int64(k) + 1)
			}
			cols := in[0].Cols
			if rows != nil {
				cols = in[0].Take(rows).Cols
			}
			if old >= 0 {
				cols = slices.Delete(slices.Clone(cols), old, old+1)
			}
			copy(out[0].Cols, append(slices.Clone(cols), c))
			return nil
		}),
		Outputs: []frame.Schema{out}, From: [][]module.Source{from}, Reads: reads(a.column),
	}, nil
}

func checkProportions(text string) error {
	_, err := proportions(text)
	return err
}

// proportions reads the parts of custom folds and returns where each ends.
func proportions(text string) ([]float64, error) {
	const name = "List of proportions separated by comma"
	var ends []float64
	sum := 0.0
	for _, s := range strings.Split(text, ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil || !(x > 0 && x <= 1) {
			return nil, module.Errorf(2, "parameter %q: %q is not a part between 0 and 1", name, s)
		}
		sum += x
		ends = append(ends, sum)
	}
	if sum > 1+1e-9 {
		return nil, module.Errorf(7, "parameter %q: the parts sum to %v, which is more than 1", name, sum)
	}
	if sum < 1-1e-9 {
		ends = append(ends, 1)
	}
	ends[len(ends)-1] = 1
	return ends, nil
}

// assign returns the fold, from 0, of each row of the table; with replacement,
// of each of the rows given.
func (a *assigning) assign(f *frame.Frame) (rows, folds []int) {
	rng := newRand(a.seed)
	count := max(a.even, len(a.ends))
	if a.back {
		rows, folds = []int{}, []int{}
	} else {
		folds = make([]int, f.Rows())
	}
	turn := 0 // goes on from stratum to stratum, so that folds are of one size
	drawn := make([][]int, count)
	for _, stratum := range strata(f, a.column) {
		n := len(stratum)
		order := stratum
		if a.random && !a.back {
			order = make([]int, n)
			for k, i := range draw(rng, n) {
				order[k] = stratum[i]
			}
		}
		fold := 0
		for k := range n {
			at := fold
			if a.even > 0 {
				at = turn % a.even
				turn++
			} else {
				for k >= share(a.ends[fold], n, math.Round) {
					fold++
				}
				at = fold
			}
			switch {
			case !a.back:
				folds[order[k]] = at
			case a.random:
				drawn[at] = append(drawn[at], stratum[rng.IntN(n)])
			default:
				drawn[at] = append(drawn[at], stratum[k])
			}
		}
	}
	for k, d := range drawn {
		slices.Sort(d)
		for _, r := range d {
			rows, folds = append(rows, r), append(folds, k)
		}
	}
	return rows, folds
}
