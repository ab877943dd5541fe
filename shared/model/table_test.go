package model_test

import (
	"errors"
	"strconv"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/linear"
)

// line is a linear model of a number and a text.
func line(t *testing.T, policy model.UnknownPolicy) *model.Model {
	t.Helper()
	w := linear.Weights{Features: 3, Outputs: 1, Base: []float64{1}, Coefficients: []float64{2, 10, 20}}
	body, err := w.Encode()
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := model.Encode(model.Header{
		Engine: model.EngineLinear, Learner: "line", Kind: model.Regression, Transform: model.Transform{Name: model.Identity}, UnknownLevel: policy,
		Features: []model.Feature{
			{Name: "x", Column: "x", Type: frame.Double, Encoding: model.Number},
			{Name: "c-a", Column: "c", Type: frame.String, Encoding: model.Indicator, Levels: []string{"a", "b"}, Level: "a"},
			{Name: "c-b", Column: "c", Type: frame.String, Encoding: model.Indicator, Level: "b"},
		},
	}, body)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(artifact)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func rowsOf(n int, odd map[int]string) *frame.Frame {
	x := frame.NewColumn(frame.Field{Name: "x", Type: frame.Double}, n)
	c := frame.NewColumn(frame.Field{Name: "c", Type: frame.String}, n)
	for i := range n {
		if x.AppendFloat(float64(i) / 7); i%1000 == 13 {
			c.AppendNull()
			continue
		}
		text := string(rune('a' + i%2))
		if o, ok := odd[i]; ok {
			text = o
		}
		c.AppendString([]byte(text))
	}
	return &frame.Frame{Cols: []*frame.Column{x, c}}
}

// TestScoreMany: on many CPUs a table has the scores and the counts that it has
// on one.
func TestScoreMany(t *testing.T) {
	m := line(t, model.UnknownMissing)
	for _, n := range []int{0, 1, 100, 1 << 14, 1<<14 + 1, 70_001} {
		in := rowsOf(n, map[int]string{50: "z", 40_000: "z"})
		s, err := m.Bind(in.Schema())
		if err != nil {
			t.Fatal(err)
		}
		score := func(run func(*model.State, *frame.Frame, []*frame.Column) error) (*frame.Column, model.Counts) {
			st, dst := s.NewState(), frame.NewColumn(m.Fields()[0], n)
			if err := run(st, in, []*frame.Column{dst}); err != nil {
				t.Fatal(err)
			}
			return dst, st.Counts
		}
		want, counts := score(s.Score)
		got, many := score(s.ScoreMany)
		if counts != many || counts.Rows != n {
			t.Errorf("%d rows count %+v, on many CPUs %+v", n, counts, many)
		}
		table, err := m.ScoreTable(in)
		if err != nil {
			t.Fatal(err)
		}
		for r := range n {
			w, g, tab := string(want.Print(nil, r)), string(got.Print(nil, r)), string(table[0].Print(nil, r))
			if w != g || w != tab {
				t.Fatalf("row %d of %d scores %s, on many CPUs %s and %s", r, n, w, g, tab)
			}
		}
	}
}

// TestScoreManyRefuses: the row that is told is the first one.
func TestScoreManyRefuses(t *testing.T) {
	m := line(t, model.UnknownError)
	_, err := m.ScoreTable(rowsOf(70_000, map[int]string{33_333: "z", 60_000: "z", 33_334: "y"}))
	var row *model.RowError
	if !errors.As(err, &row) || row.Row != 33_333 {
		t.Errorf("%v", err)
	}
}

func TestAnswersOfFeatures(t *testing.T) {
	got := line(t, model.UnknownMissing).Answers([][]float64{{0, 0, 0}, {3, 1, 0}, {0.5, 0, 1}})
	for i, want := range []float64{1, 17, 22} {
		if got[i] != want {
			t.Errorf("row %d is %s, want %v", i, strconv.FormatFloat(got[i], 'g', -1, 64), want)
		}
	}
}

func TestSummarize(t *testing.T) {
	w := linear.Weights{Features: 2, Outputs: 1, Base: []float64{1}, Coefficients: []float64{2, -3}}
	body, err := w.Encode()
	if err != nil {
		t.Fatal(err)
	}
	h := model.Header{
		Engine: model.EngineLinear, Learner: "line", Kind: model.Regression, Transform: model.Transform{Name: model.Identity},
		Features: []model.Feature{
			{Name: "x", Column: "x", Type: frame.Double, Encoding: model.Number},
			{Name: "y", Column: "y", Type: frame.Int32, Encoding: model.Number},
		},
	}
	artifact, err := model.Encode(h, body)
	if err != nil {
		t.Fatal(err)
	}
	s, err := model.Summarize(artifact)
	if err != nil {
		t.Fatal(err)
	}
	if s.Learner != "line" || s.FeatureCount != 2 || s.Features[1].Weights[0] != -3 || s.Features[1].Type != "Int32" || s.Features[1].Splits != nil {
		t.Errorf("%+v", s)
	}
	if _, err := model.Summarize(artifact[:40]); err == nil {
		t.Error("half a model has a summary")
	}
}
