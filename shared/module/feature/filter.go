// Package feature holds the palette group Feature Selection.
package feature

import (
	"context"
	"encoding/json"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const group = "Feature Selection"

// Modules returns the group's modules.
func Modules() []*module.Module {
	return []*module.Module{FilterBasedFeatureSelection(), FisherLinearDiscriminantAnalysis(), PermutationFeatureImportance()}
}

var datasetIn = module.Port{ID: "Dataset", Kind: service.Dataset, Doc: "The table."}

// The scoring methods.
const (
	methodParam = "Feature scoring method"

	byPearson  = "Pearson Correlation"
	byMutual   = "Mutual Information"
	byKendall  = "Kendall Correlation"
	bySpearman = "Spearman Correlation"
	byChi      = "Chi Squared"
	byFisher   = "Fisher Score"
	byCount    = "Count Based"

	featuresOnly = "Operate on feature columns only"
	targetColumn = "Target column"
	desired      = "Number of desired features"
	leastNonZero = "Minimum number of non-zero elements"
)

// FilterBasedFeatureSelection keeps the columns that say most of a target.
func FilterBasedFeatureSelection() *module.Module {
	methods := []string{byPearson, byMutual, byKendall, bySpearman, byChi, byFisher, byCount}
	withTarget := &module.When{Param: methodParam, Is: methods[:len(methods)-1]}
	return &module.Module{
		Spec: module.Spec{
			Name: "Filter Based Feature Selection", Group: group, CodeVersion: 1, Nature: module.Fitted,
			Inputs: []module.Port{datasetIn},
			Outputs: []module.Port{
				{ID: "Filtered dataset", Kind: service.Dataset, Doc: "The target and the features selected, the best first."},
				{ID: "Features", Kind: service.Dataset, Doc: "One line: the score of every column that was looked at, the best first."},
				{ID: "Selection transformation", Kind: service.Transformation, Doc: "The selection, for Apply Transformation."},
			},
			Params: []module.Param{
				{
					Name: methodParam, Type: module.Enumerated, Default: byPearson, Options: methods, Schema: true,
					Doc: "How columns are scored against the target. Correlations, without their sign, and the Fisher score need numbers; where the target is text, a correlation is that of the numbers with their mean over the rows of the same target. Mutual information (over the mean of both entropies) and chi squared take texts too, and numbers in 10 bins of equal size. Count Based scores a column of numbers by how many are not 0, whatever the target.",
				},
				{
					Name: featuresOnly, Type: module.Boolean, Default: "true", Schema: true,
					Doc: "Look at columns that are features only; otherwise at ids and weights too. Labels and scores are never looked at.",
				},
				{
					Name: targetColumn, Type: module.ColumnPicker, Required: true, Single: true, Schema: true, When: withTarget,
					Doc: "The column that the features are to tell of.",
				},
				{
					Name: desired, Type: module.Int, Default: "1", Range: &module.Range{Min: 1, Max: math.MaxInt32}, Schema: true, When: withTarget,
					Doc: "How many features to keep; where there are fewer, all are kept. A column that the method cannot score is not.",
				},
				{
					Name: leastNonZero, Type: module.Int, Default: "1", Range: &module.Range{Min: 1, Max: math.MaxInt32}, Schema: true,
					When: &module.When{Param: methodParam, Is: []string{byCount}},
					Doc:  "Keep the columns, in their order, that have at least so many numbers that are not 0.",
				},
			},
			Doc: "Scores columns by how much they tell of a target column and keeps the best. Missing cells are left out, pair by pair. Ids and weights are passed through. A published service keeps the columns that were selected when it was published.",
		},
		Fit: fitFilter, Apply: applyFilter, Learned: filterScores,
	}
}

// filter is the learned state.
type filter struct {
	Keep   []string      `json:"keep"`             // the output's columns, in order
	Target string        `json:"target,omitempty"` // may be absent where the filter is applied
	Scores []columnScore `json:"scores"`
}

type columnScore struct {
	Column string  `json:"column"`
	Score  float64 `json:"score"`
}

// target is the target column in the forms that methods need.
type target struct {
	*frame.Column
	numeric bool
}

func fitFilter(_ context.Context, c *module.Call) ([]byte, error) {
	p, in := c.Params, c.Inputs[0].Frame
	method := p.Text(methodParam)
	var st filter
	var to *target
	at := -1
	if method != byCount {
		picked, err := p.Columns(targetColumn).Resolve(in.Schema())
		if err != nil {
			return nil, err
		}
		if len(picked) != 1 {
			return nil, module.Errorf(3, "%d target columns are selected: select one", len(picked))
		}
		at = picked[0]
		if to, err = newTarget(in.Cols[at]); err != nil {
			return nil, err
		}
		st.Target = to.Field.Name
	}
	var columns []int
	for i, c := range in.Cols {
		role := c.Field.Role
		if i != at && (role == frame.Feature || role != frame.Label && role != frame.Score && !p.Bool(featuresOnly)) {
			columns = append(columns, i)
		}
	}
	scores, able := scoreColumns(method, in, columns, to)
	if at >= 0 {
		st.Keep = append(st.Keep, st.Target)
	}
	order := make([]int, len(columns))
	for k := range order {
		order[k] = k
	}
	byScore := func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return a - b
	}
	if method == byCount {
		for k, i := range columns {
			if scores[k] >= p.Float(leastNonZero) {
				st.Keep = append(st.Keep, in.Cols[i].Field.Name)
			}
		}
	}
	slices.SortFunc(order, byScore)
	for _, k := range order {
		name := in.Cols[columns[k]].Field.Name
		st.Scores = append(st.Scores, columnScore{name, scores[k]})
		if method != byCount && able[k] && len(st.Keep) <= int(p.Int(desired)) {
			st.Keep = append(st.Keep, name)
		}
	}
	if len(st.Scores) == 0 {
		return nil, module.Errorf(20, "the table has no feature column to score")
	}
	var kept []string
	for _, c := range in.Cols {
		if role := c.Field.Role; (role == frame.ID || role == frame.Weight) && !slices.Contains(st.Keep, c.Field.Name) {
			kept = append(kept, c.Field.Name)
		}
	}
	if st.Keep = append(kept, st.Keep...); len(st.Keep) == 0 {
		return nil, module.Errorf(20, "no column has enough numbers that are not 0")
	}
	return json.Marshal(st)
}

func newTarget(c *frame.Column) (*target, error) {
	f := c.Field
	if f.Type == frame.DateTime {
		return nil, module.Errorf(17, "the target %q is a date", f.Name).At(f.Name)
	}
	if c.Nulls() == c.Len() {
		return nil, module.Errorf(134, "the target %q has no value", f.Name).At(f.Name)
	}
	return &target{c, f.Type != frame.String}, nil
}

// numeric reports a column whose cells are numbers or truth values.
func numeric(f *frame.Field) bool { return f.Type.Numeric() || f.Type == frame.Boolean }

// scoreColumns scores columns of a table, and says which of them the method is
// able to.
func scoreColumns(method string, in *frame.Frame, columns []int, to *target) (scores []float64, able []bool) {
	scores, able = make([]float64, len(columns)), make([]bool, len(columns))
	next := make(chan int)
	var all sync.WaitGroup
	for range min(len(columns), runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for k := range next {
				scores[k], able[k] = scoreColumn(method, in.Cols[columns[k]], to)
			}
		})
	}
	for k := range columns {
		next <- k
	}
	close(next)
	all.Wait()
	return scores, able
}

func scoreColumn(method string, c *frame.Column, to *target) (score float64, able bool) {
	f := c.Field
	if method == byCount {
		for r := range c.Len() {
			if numeric(f) && !c.IsNull(r) && c.Float(r) != 0 {
				score++
			}
		}
		return score, numeric(f)
	}
	classes := method == byMutual || method == byChi
	if !numeric(f) && (!classes || f.Type != frame.String) {
		return 0, false
	}
	var rows []int
	for r := range c.Len() {
		if !c.IsNull(r) && !to.IsNull(r) {
			rows = append(rows, r)
		}
	}
	if len(rows) < 2 {
		return 0, true
	}
	switch method {
	case byMutual:
		return mutualInformation(classesOf(c, rows), classesOf(to.Column, rows)), true
	case byChi:
		return chiSquared(classesOf(c, rows), classesOf(to.Column, rows)), true
	case byFisher:
		return fisher(numbersOf(c, rows), classesOf(to.Column, rows)), true
	}
	x := numbersOf(c, rows)
	var y []float64
	if to.numeric {
		y = numbersOf(to.Column, rows)
	} else {
		y = conditional(x, classesOf(to.Column, rows))
	}
	correlation := map[string]func(x, y []float64) float64{byPearson: pearson, byKendall: kendall, bySpearman: spearman}[method]
	return math.Abs(correlation(x, y)), true
}

func numbersOf(c *frame.Column, rows []int) []float64 {
	out := make([]float64, len(rows))
	for i, r := range rows {
		out[i] = c.Float(r)
	}
	return out
}

// classesOf are the cells as classes: texts as they are, numbers in bins.
func classesOf(c *frame.Column, rows []int) []int32 {
	if numeric(c.Field) {
		return bins(numbersOf(c, rows))
	}
	index := make(map[string]int32)
	out := make([]int32, len(rows))
	for i, r := range rows {
		var code int32
		var ok bool
		if c.Field.Categorical() {
			if code, ok = index[c.Level(r)]; !ok {
				code = int32(len(index))
				index[c.Level(r)] = code
			}
		} else if code, ok = index[string(c.Text(r))]; !ok {
			code = int32(len(index))
			index[string(c.Text(r))] = code
		}
		out[i] = code
	}
	return out
}

func openFilter(state []byte) (*filter, error) {
	st := new(filter)
	if err := json.Unmarshal(state, st); err != nil {
		return nil, module.Errorf(82, "the selection of features cannot be read: %v", err)
	}
	return st, nil
}

func filterScores(state []byte) (*frame.Frame, error) {
	st, err := openFilter(state)
	if err != nil {
		return nil, err
	}
	out := &frame.Frame{}
	for _, s := range st.Scores {
		c := frame.NewColumn(frame.Field{Name: s.Column, Type: frame.Double}, 1)
		c.AppendFloat(s.Score)
		out.Cols = append(out.Cols, c)
	}
	return out, nil
}

func applyFilter(state []byte, in frame.Schema) (*module.Bound, error) {
	st, err := openFilter(state)
	if err != nil {
		return nil, err
	}
	var m module.RowMap
	for _, name := range st.Keep {
		switch at := in.Index(name); {
		case at >= 0:
			m.Outs = append(m.Outs, module.Pass(in, at))
		case name != st.Target:
			return nil, module.NoColumn(in, name)
		}
	}
	if len(m.Outs) == 0 {
		return nil, module.Errorf(20, "the selection leaves no column of the table")
	}
	return m.Bind(in, 0, 1)
}
