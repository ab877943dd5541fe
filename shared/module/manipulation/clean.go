package manipulation

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// The cleaning modes.
const (
	modeCustom = "Custom substitution value"
	modeMean   = "Replace with mean"
	modeMedian = "Replace with median"
	modeMode   = "Replace with mode"
	modeRow    = "Remove entire row"
	modeColumn = "Remove entire column"
	modeMICE   = "Replace using MICE"
	modePPCA   = "Replace using Probabilistic PCA"
)

// CleanMissingData replaces or removes missing cells.
func CleanMissingData() *module.Module {
	zeroToOne := &module.Range{Min: 0, Max: 1}
	return &module.Module{
		Spec: module.Spec{
			Name: "Clean Missing Data", Aliases: []string{"Missing Values Scrubber"},
			Group: group, CodeVersion: 1, Nature: module.Fitted,
			Inputs: []module.Port{datasetIn},
			Outputs: []module.Port{
				{ID: "Cleaned dataset", Kind: service.Dataset, Doc: "The table with missing cells replaced or removed."},
				{ID: "Cleaning transformation", Kind: service.Transformation, Doc: "What was learned, for Apply Transformation."},
			},
			Params: []module.Param{
				{
					Name: "Columns to be cleaned", Type: module.ColumnPicker, Default: "All", Schema: true,
					Doc: "The columns to clean; one mode applies to all of them.",
				},
				{
					Name: "Minimum missing value ratio", Type: module.Float, Default: "0", Range: zeroToOne, Schema: true,
					Doc: "A column is cleaned only if at least this part of its cells is missing.",
				},
				{
					Name: "Maximum missing value ratio", Type: module.Float, Default: "1", Range: zeroToOne, Schema: true,
					Doc: "A column is cleaned only if at most this part of its cells is missing.",
				},
				{
					Name: "Cleaning mode", Type: module.Enumerated, Default: modeCustom, Schema: true,
					Options: []string{modeMICE, modeCustom, modeMean, modeMedian, modeMode, modeRow, modeColumn, modePPCA},
					Doc:     "How to clean. Mean suits numbers, truth values and dates; median numbers; mode everything. MICE and Probabilistic PCA predict a missing cell from the selected columns' other cells in its row, and suit all but text that is not categorical. What replaces whole numbers is rounded.",
				},
				{
					Name: "Replacement value", Type: module.String, Default: "0",
					When: &module.When{Param: "Cleaning mode", Is: []string{modeCustom}},
					Doc:  "The value to put in the place of missing ones; it must suit the type of every column. Dates may be given as 100 ns ticks since 0001-01-01.",
				},
				{
					Name: "Cols with all missing values", Type: module.Enumerated, Default: "Remove", Schema: true,
					Options: []string{"Remove", "Propagate"},
					When:    &module.When{Param: "Cleaning mode", Is: []string{modeMean, modeMedian, modeMode, modeMICE, modePPCA}},
					Doc:     "Drop a column without any value, or leave it as it is.",
				},
				{
					Name: "Generate missing value indicator column", Type: module.Boolean, Default: "false", Schema: true,
					When: &module.When{Param: "Cleaning mode", Is: []string{modeCustom, modeMean, modeMedian, modeMode, modeMICE, modePPCA}},
					Doc:  "Append a Boolean column {column}_IsMissing for each cleaned column: which rows were cleaned.",
				},
				{
					Name: "Number of iterations", Type: module.Int, Default: "5", Range: &module.Range{Min: 1, Max: 10},
					When: &module.When{Param: "Cleaning mode", Is: []string{modeMICE}},
					Doc:  "How often MICE goes through the columns.",
				},
				{
					Name: "Number of iterations for PCA prediction", Type: module.Int, Default: "10", Range: &module.Range{Min: 1, Max: 50},
					When: &module.When{Param: "Cleaning mode", Is: []string{modePPCA}},
					Doc:  "How often Probabilistic PCA improves its components.",
				},
			},
			Doc: "Replaces missing cells, or removes rows or columns that have some. What is learned (values, columns) is kept as a transformation: a published service applies it and learns nothing from requests.",
		},
		Fit:   fitCleaning,
		Apply: applyCleaning,
	}
}

// cleaning is the learned state.
type cleaning struct {
	Columns   []cleaned   `json:"columns"`
	Indicator bool        `json:"indicator,omitempty"`
	Impute    *imputation `json:"impute,omitempty"` // of further columns
}

// cleaned is what is done to one column: exactly one of Value, Row and Drop.
type cleaned struct {
	Name  string     `json:"name"`
	Type  frame.Type `json:"type"`
	Value *string    `json:"value,omitempty"` // put in the place of a missing cell
	Row   bool       `json:"row,omitempty"`   // a missing cell removes its row
	Drop  bool       `json:"drop,omitempty"`  // the column goes
}

func fitCleaning(_ context.Context, c *module.Call) ([]byte, error) {
	p, table := c.Params, c.Inputs[0].Frame
	picked, err := p.Columns("Columns to be cleaned").Resolve(table.Schema())
	if err != nil {
		return nil, err
	}
	lo, hi := p.Float("Minimum missing value ratio"), p.Float("Maximum missing value ratio")
	if lo > hi {
		return nil, module.Errorf(8, "the minimum missing value ratio %v is above the maximum %v", lo, hi)
	}
	mode := p.Text("Cleaning mode")
	st := cleaning{Columns: []cleaned{}, Indicator: p.Bool("Generate missing value indicator column") && mode != modeRow && mode != modeColumn}
	values := learnValues(mode, table, picked)
	var impute []*frame.Column
	for k, i := range picked {
		col := table.Cols[i]
		ratio := 0.0
		if col.Len() > 0 {
			ratio = float64(col.Nulls()) / float64(col.Len())
		}
		if ratio < lo || ratio > hi {
			c.Log("column %q is left as it is: %v of its cells are missing", col.Field.Name, ratio)
			continue
		}
		out := cleaned{Name: col.Field.Name, Type: col.Field.Type}
		switch mode {
		case modeRow:
			out.Row = true
		case modeColumn:
			if col.Nulls() == 0 {
				continue
			}
			out.Drop = true
			c.Log("column %q is removed: %d of its cells are missing", col.Field.Name, col.Nulls())
		case modeCustom:
			v, err := customValue(col.Field, p.Text("Replacement value"))
			if err != nil {
				return nil, err
			}
			out.Value = &v
		default:
			if col.Nulls() == col.Len() {
				if p.Text("Cols with all missing values") == "Propagate" {
					continue
				}
				out.Drop = true
				c.Log("column %q is removed: it has no value", col.Field.Name)
				break
			}
			if mode == modeMICE || mode == modePPCA {
				impute = append(impute, col)
				continue
			}
			if values[k].err != nil {
				return nil, values[k].err
			}
			out.Value = &values[k].text
		}
		st.Columns = append(st.Columns, out)
	}
	if len(impute) > 0 {
		if st.Impute, err = fitImputation(p, mode, impute); err != nil {
			return nil, err
		}
	}
	return json.Marshal(st)
}

// fitImputation learns to predict the columns' cells from each other.
func fitImputation(p module.Values, mode string, cols []*frame.Column) (*imputation, error) {
	im, err := newImputation(mode, cols)
	if err != nil {
		return nil, err
	}
	rows, missing := im.learn(cols)
	if mode == modePPCA {
		im.Latent, err = learnLatent(rows, missing, len(im.Means), int(p.Int("Number of iterations for PCA prediction")))
		return im, err
	}
	var group []int // column of each dimension
	for i := range im.Columns {
		group = append(group, slices.Repeat([]int{i}, im.Columns[i].width())...)
	}
	im.Chain, err = learnChain(rows, missing, group, int(p.Int("Number of iterations")))
	return im, err
}

// customValue checks a replacement value for a column and returns its text.
func customValue(f *frame.Field, text string) (string, error) {
	plain := frame.Field{Name: f.Name, Type: f.Type}
	c := frame.NewColumn(plain, 1)
	err := c.AppendText([]byte(text))
	if f.Type == frame.DateTime && err != nil {
		if ticks, perr := strconv.ParseInt(text, 10, 64); perr == nil {
			c.AppendInt((ticks - epochTicks) / ticksPerMicro)
			err = nil
		}
	}
	if err != nil || c.IsNull(0) {
		return "", module.Errorf(2, "the replacement value %q does not suit column %q, which is %s", text, f.Name, f.Type).At(f.Name)
	}
	return string(c.Print(nil, 0)), nil
}

// learned is what a mode that learns one value learns of a column.
type learned struct {
	text string
	err  error
}

// learnValues learns of each picked column that has values, side by side.
func learnValues(mode string, table *frame.Frame, picked []int) []learned {
	out := make([]learned, len(picked))
	if mode != modeMean && mode != modeMedian && mode != modeMode {
		return out
	}
	new(learn.Session).Each(len(picked), func(_, k int) {
		if c := table.Cols[picked[k]]; c.Nulls() < c.Len() {
			out[k].text, out[k].err = learnedValue(mode, c)
		}
	})
	return out
}

// learnedValue returns the mean, median or mode of a column with at least one
// value, as text.
func learnedValue(mode string, c *frame.Column) (string, error) {
	f := c.Field
	if mode == modeMode {
		return mostFrequent(c), nil
	}
	if f.Type == frame.String || mode == modeMedian && (f.Type == frame.Boolean || f.Type == frame.DateTime) {
		return "", module.Errorf(17, "column %q is %s: %q does not apply to it", f.Name, f.Type, mode).At(f.Name)
	}
	values := make([]float64, 0, c.Len())
	for r := range c.Len() {
		if !c.IsNull(r) {
			values = append(values, c.Float(r))
		}
	}
	var x float64
	if mode == modeMean {
		x = mean(values)
	} else {
		x = median(values)
	}
	out := frame.NewColumn(frame.Field{Name: f.Name, Type: f.Type}, 1)
	switch {
	case f.Type == frame.Double:
		out.AppendFloat(x)
	case f.Type == frame.Boolean:
		out.AppendBool(math.RoundToEven(x) != 0)
	default:
		out.AppendInt(int64(math.RoundToEven(x)))
	}
	return string(out.Print(nil, 0)), nil
}

// mean is computed about the first value, which keeps dates and other large
// numbers exact.
func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v - values[0]
	}
	return values[0] + sum/float64(len(values))
}

// median reorders values.
func median(values []float64) float64 {
	n := len(values)
	hi := nth(values, n/2)
	if n%2 == 1 {
		return hi
	}
	lo := slices.Max(values[:n/2]) // nth leaves the smaller ones in front
	return lo + (hi-lo)/2
}

// nth returns the value that would be at k were the values sorted, and puts
// none that is larger in front of it, none that is smaller behind (Hoare 1961).
func nth(values []float64, k int) float64 {
	lo, hi := 0, len(values)-1
	for lo < hi {
		a, b, c := values[lo], values[lo+(hi-lo)/2], values[hi]
		pivot := max(min(a, b), min(max(a, b), c))
		i, j := lo, hi
		for i <= j {
			for values[i] < pivot {
				i++
			}
			for values[j] > pivot {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			hi = j
		case k >= i:
			lo = i
		default:
			return values[k]
		}
	}
	return values[k]
}

// mostFrequent returns the mode; of several, the one that comes first in order.
func mostFrequent(c *frame.Column) string {
	counts := make(map[string]int)
	var buf []byte
	for r := range c.Len() {
		if !c.IsNull(r) {
			buf = c.Print(buf[:0], r)
			counts[string(buf)]++
		}
	}
	best, most := "", 0
	for _, text := range levels(c) {
		if counts[text] > most {
			best, most = text, counts[text]
		}
	}
	return best
}

func applyCleaning(state []byte, in frame.Schema) (*module.Bound, error) {
	var st cleaning
	if err := json.Unmarshal(state, &st); err != nil {
		return nil, module.Errorf(82, "the cleaning transformation cannot be read: %v", err)
	}
	byName := make(map[string]*cleaned, len(st.Columns))
	for i := range st.Columns {
		c := &st.Columns[i]
		byName[c.Name] = c
		at := in.Index(c.Name)
		switch {
		case at < 0 && !c.Drop:
			return nil, module.NoColumn(in, c.Name)
		case at >= 0 && in[at].Type != c.Type && !c.Drop:
			return nil, module.Errorf(17, "column %q is %s, the transformation was learned on %s", c.Name, in[at].Type, c.Type).At(c.Name)
		}
	}
	if st.Impute != nil {
		return st.Impute.bind(in, func(name string) bool { return byName[name] != nil && byName[name].Drop }, st.Indicator)
	}
	var m module.RowMap
	var flags []module.Out
	var rows []int
	for i := range in {
		c := byName[in[i].Name]
		switch {
		case c == nil:
			m.Outs = append(m.Outs, module.Pass(in, i))
		case c.Drop:
		case c.Row:
			rows = append(rows, i)
			out := module.Pass(in, i)
			m.Outs = append(m.Outs, out)
		default:
			out, err := replaced(in, i, *c.Value)
			if err != nil {
				return nil, err
			}
			m.Outs = append(m.Outs, out)
			if st.Indicator {
				flags = append(flags, wasMissing(in, i))
			}
		}
	}
	if len(rows) > 0 {
		m.KeepReads = rows
		m.Keep = func(f *frame.Frame, r int) bool {
			for _, c := range rows {
				if f.Cols[c].IsNull(r) {
					return false
				}
			}
			return true
		}
	}
	m.Outs = append(m.Outs, flags...)
	if len(m.Outs) == 0 {
		return nil, module.Errorf(20, "cleaning leaves no column of the table")
	}
	return m.Bind(in, 0, 1)
}

// replaced is column i with value in the place of missing cells.
func replaced(in frame.Schema, i int, value string) (module.Out, error) {
	f := in[i]
	if f.Categorical() && !slices.Contains(f.Levels, value) {
		f.Levels = append(slices.Clip(f.Levels), value)
	}
	one := frame.NewColumn(frame.Field{Name: f.Name, Type: f.Type, Levels: f.Levels}, 1)
	if err := one.AppendText([]byte(value)); err != nil {
		return module.Out{}, module.Errorf(82, "the cleaning transformation cannot be read: %v", err)
	}
	f.Nullable, f.Optional = false, false
	return module.Out{
		Field: f, From: -1, Reads: []int{i},
		Fill: func(dst *frame.Column, in *frame.Frame) error {
			c := in.Cols[i]
			if c.Nulls() == 0 {
				dst.AppendRange(c, 0, c.Len())
				return nil
			}
			for r := range c.Len() {
				if c.IsNull(r) {
					dst.AppendFrom(one, 0)
				} else {
					dst.AppendFrom(c, r)
				}
			}
			return nil
		},
	}, nil
}

func wasMissing(in frame.Schema, i int) module.Out {
	return module.Out{
		Field: frame.Field{Name: module.Unique(in[i].Name+"_IsMissing", hasColumn(in)), Type: frame.Boolean}, From: -1, Reads: []int{i},
		Fill: func(dst *frame.Column, in *frame.Frame) error {
			c := in.Cols[i]
			for r := range c.Len() {
				dst.AppendBool(c.IsNull(r))
			}
			return nil
		},
	}
}
