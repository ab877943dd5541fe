package manipulation

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/portico-ml/portico/shared/frame"
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
			Doc: "Replaces missing cells, or removes rows or columns that have some. Nothing is put into an id. What is learned (values, columns) is kept as a transformation: a published service applies it and learns nothing from requests. Applied to new rows, it removes none for lack of a label.",
		},
		Fit:      fitCleaning,
		Apply:    applyCleaning,
		ApplyNew: cleanNew,
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

func fitCleaning(ctx context.Context, c *module.Call) ([]byte, error) {
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
		if col.Field.Role == frame.ID && mode != modeRow && mode != modeColumn {
			c.Log("column %q is left as it is: it is an id", col.Field.Name)
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
		if st.Impute, err = fitImputation(ctx, p, mode, impute); err != nil {
			return nil, err
		}
	}
	return json.Marshal(st)
}

// fitImputation learns to predict the columns' cells from each other.
func fitImputation(ctx context.Context, p module.Values, mode string, cols []*frame.Column) (*imputation, error) {
	im, err := newImputation(mode, cols)
	if err != nil {
		return nil, err
	}
	rows, missing := im.learn(cols)
	if mode == modePPCA {
		im.Latent, err = learnLatent(ctx, rows, missing, len(im.Means), int(p.Int("Number of iterations for PCA prediction")))
		return im, err
	}
	var group []int // column of each dimension
	for i := range im.Columns {
		group = append(group, slices.Repeat([]int{i}, im.Columns[i].width())...)
	}
	im.Chain, err = learnChain(ctx, rows, missing, group, int(p.Int("Number of iterations")))
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

func readCleaning(state []byte) (st cleaning, err error) {
	if err := json.Unmarshal(state, &st); err != nil {
		return st, module.Errorf(82, "the cleaning transformation cannot be read: %v", err)
	}
	return st, nil
}

func applyCleaning(state []byte, in frame.Schema) (*module.Bound, error) {
	st, err := readCleaning(state)
	if err != nil {
		return nil, err
	}
	return st.bind(in)
}

// cleanNew keeps rows without a label: that is what is to be predicted.
func cleanNew(state []byte, in frame.Schema) (*module.Bound, error) {
	st, err := readCleaning(state)
	if err != nil {
		return nil, err
	}
	st.Columns = slices.DeleteFunc(st.Columns, func(c cleaned) bool {
		at := in.Index(c.Name)
		return c.Row && at >= 0 && in[at].Role == frame.Label
	})
	return st.bind(in)
}

// bind compiles the cleaning for tables with schema in.
func (st *cleaning) bind(in frame.Schema) (*module.Bound, error) {
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
			dst.AppendFilled(in.Cols[i], one)
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
