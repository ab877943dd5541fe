package importer

import (
	"math"
	"slices"
	"strconv"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

// Tolerance is how far a score may be from the author's, relative to
// max(1,|y|).
const Tolerance = 1e-6

// CheckResult is what a check found. Every score was within Tolerance.
type CheckResult struct {
	Rows   int      `json:"rows"`
	Scores []string `json:"scores"` // the columns that were compared
	// Worst is the largest difference relative to max(1,|y|), at WorstRow,
	// counted from 1.
	Worst         float64 `json:"worst"`
	WorstRow      int     `json:"worstRow,omitempty"`
	Missing       int     `json:"missing"`
	UnknownLevels int     `json:"unknownLevels"`
}

// pair is a score column of the model and the column of the check that has
// what it must be.
type pair struct {
	score    int
	expected int
}

// check scores every row of table and compares.
func check(m *model.Model, table []byte) (*CheckResult, error) {
	f, pairs, err := readCheck(m, table)
	if err != nil {
		return nil, err
	}
	rows := f.Rows()
	if rows == 0 {
		return nil, fault.New(fault.BadUserArgument, "", "the check has no rows")
	}
	scorer, err := m.Bind(f.Schema())
	if err != nil {
		return nil, err
	}
	layout, err := frame.NewLayout(scorer.Fields())
	if err != nil {
		return nil, fault.Wrap(err, fault.Package, "score columns")
	}
	scores, st := layout.New(rows), scorer.NewState()
	if err := scorer.Score(st, f, scores.Cols); err != nil {
		return nil, err
	}
	res := &CheckResult{Rows: rows, Missing: st.Missing, UnknownLevels: st.UnknownLevels}
	bad, worstPair := 0, pair{}
	for _, p := range pairs {
		got, want := scores.Cols[p.score], f.Cols[p.expected]
		res.Scores = append(res.Scores, got.Field.Name)
		for i := range rows {
			d := difference(got, want, i)
			if d > Tolerance {
				bad++
			}
			if d > res.Worst {
				res.Worst, res.WorstRow, worstPair = d, i+1, p
			}
		}
	}
	if bad > 0 {
		got, want := scores.Cols[worstPair.score], f.Cols[worstPair.expected]
		i := res.WorstRow - 1
		return nil, fault.New(fault.BadUserArgument, "CheckFailed",
			"the model does not give the expected scores: %d of %d differ by more than 1e-6; the worst is row %d, %s: %s, expected %s",
			bad, rows*len(pairs), res.WorstRow, got.Field.Name, show(got, i), show(want, i)).At(got.Field.Name)
	}
	return res, nil
}

// readCheck reads the columns that the model reads and those that hold
// expected scores: by the score columns' own names, or "score" for the
// probability of a two-class model or the value of a regression.
func readCheck(m *model.Model, table []byte) (*frame.Frame, []pair, error) {
	o := frame.CSV{Comma: separator(table)}
	schema := frame.Schema(slices.Clone(m.Requires()))
	known, err := headerNames(o, table)
	if err != nil {
		return nil, nil, err
	}
	fields := m.Fields()
	var pairs []pair
	add := func(name string, score int) {
		if !slices.Contains(known, name) || schema.Index(name) >= 0 {
			return
		}
		f := fields[score]
		f.Name, f.Nullable = name, true
		if f.Type == frame.String {
			f.Levels = nil
		}
		pairs = append(pairs, pair{score, len(schema)})
		schema = append(schema, f)
	}
	for i := range fields {
		add(fields[i].Name, i)
	}
	if len(pairs) == 0 && m.Kind() != model.Multiclass {
		add("score", len(fields)-1)
	}
	if len(pairs) == 0 {
		names := frame.Schema(fields).Names()
		return nil, nil, fault.New(fault.BadUserArgument, "", "the check has no score to compare: give one or more of the columns %q%s", names,
			map[bool]string{true: ` or "score"`}[m.Kind() != model.Multiclass])
	}
	layout, err := frame.NewLayout(schema)
	if err != nil {
		return nil, nil, fault.New(fault.BadUserArgument, "", "the check cannot be read: %v", err)
	}
	f, err := o.Read(table, layout)
	if err != nil {
		return nil, nil, fault.Wrap(err, fault.BadUserArgument, "read check")
	}
	return f, pairs, nil
}

// headerNames returns the columns of a table.
func headerNames(o frame.CSV, table []byte) ([]string, error) {
	none, err := frame.NewLayout(nil)
	if err != nil {
		return nil, err
	}
	h, err := o.Header(table, none)
	if err != nil {
		return nil, fault.Wrap(err, fault.BadUserArgument, "read check")
	}
	return h.Names, nil
}

// difference compares a score with what is expected: relative to max(1,|y|)
// for numbers, all or nothing for labels and for a score that is missing on
// one side.
func difference(got, want *frame.Column, i int) float64 {
	switch {
	case got.IsNull(i) && want.IsNull(i):
		return 0
	case got.IsNull(i) || want.IsNull(i):
		return math.Inf(1)
	case got.Field.Type == frame.Double:
		x, y := got.Float(i), want.Float(i)
		return math.Abs(x-y) / max(1, math.Abs(y))
	case got.Field.Type == frame.String:
		if got.Level(i) == string(want.Text(i)) {
			return 0
		}
		return math.Inf(1)
	}
	if got.Float(i) == want.Float(i) {
		return 0
	}
	return math.Inf(1)
}

func show(c *frame.Column, i int) string {
	if c.IsNull(i) {
		return "missing"
	}
	if c.Field.Type == frame.String {
		return strconv.Quote(string(c.Text(i)))
	}
	return string(c.Print(nil, i))
}
