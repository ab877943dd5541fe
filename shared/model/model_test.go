package model_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

// TestEncodings reads every encoding from every type of column.
func TestEncodings(t *testing.T) {
	regression := func(features ...model.Feature) model.Header {
		return model.Header{Engine: model.EngineTrees, Kind: model.Regression, Transform: model.Transform{Name: model.Identity}, Features: features}
	}
	abc := []string{"a", "b", "c"}
	type counts struct{ missing, unknown int }
	for _, c := range []struct {
		name     string
		features []model.Feature
		field    frame.Field
		cells    []string
		want     []string
		counts   counts
	}{
		{
			"number of Double",
			[]model.Feature{{Column: "x", Type: frame.Double, Encoding: model.Number}},
			frame.Field{Type: frame.Double},
			[]string{"3", "", "4.9", "-7"},
			[]string{"3", "9", "5", "0"},
			counts{1, 0},
		},
		{
			"number of Int32",
			[]model.Feature{{Column: "x", Type: frame.Int32, Encoding: model.Number}},
			frame.Field{Type: frame.Int32},
			[]string{"3", "", "4"},
			[]string{"3", "9", "4"},
			counts{1, 0},
		},
		{
			"number of Int64 where Double was said",
			[]model.Feature{{Column: "x", Type: frame.Double, Encoding: model.Number}},
			frame.Field{Type: frame.Int64},
			[]string{"2"},
			[]string{"2"},
			counts{},
		},
		{
			"number of Boolean",
			[]model.Feature{{Column: "x", Type: frame.Boolean, Encoding: model.Number}},
			frame.Field{Type: frame.Boolean},
			[]string{"true", "False", ""},
			[]string{"1", "0", "9"},
			counts{1, 0},
		},
		{
			"missing as a number",
			[]model.Feature{{Column: "x", Type: frame.Double, Encoding: model.Number, Missing: ptr(4)}},
			frame.Field{Type: frame.Double},
			[]string{"", "1"},
			[]string{"4", "1"},
			counts{1, 0},
		},
		{
			"codes of text",
			[]model.Feature{{Column: "x", Type: frame.String, Encoding: model.Codes, Levels: abc}},
			frame.Field{},
			[]string{"c", "a", "", "z", "A"},
			[]string{"2", "0", "9", "9", "9"},
			counts{1, 2},
		},
		{
			"codes of levels in another order",
			[]model.Feature{{Column: "x", Type: frame.String, Encoding: model.Codes, Levels: abc}},
			frame.Field{Levels: []string{"z", "c", "b"}},
			[]string{"c", "b", "", "z", "a", "y"},
			[]string{"2", "1", "9", "9", "0", "9"},
			counts{1, 2},
		},
		{
			"codes of integers",
			[]model.Feature{{Column: "x", Type: frame.Int32, Encoding: model.Codes, Levels: []string{"408", "415"}}},
			frame.Field{Type: frame.Int32},
			[]string{"415", "408", "", "1"},
			[]string{"1", "0", "9", "9"},
			counts{1, 1},
		},
		{
			"codes of doubles",
			[]model.Feature{{Column: "x", Type: frame.Double, Encoding: model.Codes, Levels: []string{"0.5", "15e-1"}}},
			frame.Field{Type: frame.Double},
			[]string{"1.5", "0.5", "", "2"},
			[]string{"1", "0", "9", "9"},
			counts{1, 1},
		},
		{
			"codes of booleans",
			[]model.Feature{{Column: "x", Type: frame.Boolean, Encoding: model.Codes, Levels: []string{"True", "False"}}},
			frame.Field{Type: frame.Boolean},
			[]string{"true", "false", ""},
			[]string{"0", "1", "9"},
			counts{1, 0},
		},
		{
			"one boolean level",
			[]model.Feature{{Column: "x", Type: frame.Boolean, Encoding: model.Codes, Levels: []string{"True"}}},
			frame.Field{Type: frame.Boolean},
			[]string{"true", "false"},
			[]string{"0", "9"},
			counts{0, 1},
		},
		{
			"the trainer's unknown level",
			[]model.Feature{{Column: "x", Type: frame.String, Encoding: model.Codes, Levels: abc, Unknown: ptr(5), Missing: ptr(4)}},
			frame.Field{},
			[]string{"b", "", "z"},
			[]string{"1", "4", "5"},
			counts{1, 1},
		},
		{
			"unknown as missing",
			[]model.Feature{{Column: "x", Type: frame.String, Encoding: model.Codes, Levels: abc, Missing: ptr(4)}},
			frame.Field{},
			[]string{"", "z"},
			[]string{"4", "4"},
			counts{1, 1},
		},
		{
			"map",
			[]model.Feature{{Column: "x", Type: frame.String, Encoding: model.Map, Levels: abc, Values: []float64{4, 3, 1}}},
			frame.Field{},
			[]string{"a", "b", "c", "", "q"},
			[]string{"4", "3", "1", "9", "9"},
			counts{1, 1},
		},
		{
			"indicators",
			[]model.Feature{
				{Column: "x", Type: frame.String, Encoding: model.Indicator, Level: "a"},
				{Column: "x", Type: frame.String, Encoding: model.Indicator, Level: "b"},
			},
			frame.Field{},
			[]string{"a", "b", "c", ""},
			[]string{"1", "10", "0", "0"},
			counts{1, 1},
		},
		{
			"indicators with a level left out",
			[]model.Feature{
				{Column: "x", Type: frame.String, Encoding: model.Indicator, Level: "b", Levels: abc},
				{Column: "x", Type: frame.String, Encoding: model.Indicator, Level: "c"},
			},
			frame.Field{Levels: abc},
			[]string{"a", "b", "c", "d"},
			[]string{"0", "1", "10", "0"},
			counts{0, 1},
		},
		{
			"one column in several ways",
			[]model.Feature{
				{Column: "x", Type: frame.Int32, Encoding: model.Number},
				{Column: "x", Type: frame.Int32, Encoding: model.Indicator, Level: "3"},
				{Column: "x", Type: frame.Int32, Encoding: model.Map, Levels: []string{"2", "3"}, Values: []float64{5, 4}},
			},
			frame.Field{Type: frame.Int32},
			[]string{"3", "2", ""},
			[]string{"413", "502", "909"},
			counts{1, 0},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := encode(t, regression(c.features...), digits(t, len(c.features)))
			c.field.Name = "x"
			id := frame.Field{Name: "other", Type: frame.String}
			var rows [][]string
			for _, cell := range c.cells {
				rows = append(rows, []string{"?", cell})
			}
			out, n, err := score(t, m, table(t, frame.Schema{id, c.field}, rows...))
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range c.want {
				if got := cells(out, i)[0]; got != want {
					t.Errorf("cell %q: %s, want %s", c.cells[i], got, want)
				}
			}
			if want := (model.Counts{Rows: len(c.cells), Missing: c.counts.missing, UnknownLevels: c.counts.unknown}); n != want {
				t.Errorf("counts %+v, want %+v", n, want)
			}
		})
	}
}

// TestUnknownLevelError names row, column and value.
func TestUnknownLevelError(t *testing.T) {
	h := model.Header{
		Engine: model.EngineTrees, Kind: model.Regression, Transform: model.Transform{Name: model.Identity}, UnknownLevel: model.UnknownError,
		Features: []model.Feature{{Column: "state", Type: frame.String, Encoding: model.Codes, Levels: []string{"KS", "OH"}}},
	}
	m := encode(t, h, digits(t, 1))
	for _, levels := range [][]string{nil, {"KS", "ZZ"}, {"KS"}} {
		_, _, err := score(t, m, table(t, frame.Schema{{Name: "state", Levels: levels}}, []string{"KS"}, []string{""}, []string{"ZZ"}))
		var row *model.RowError
		if !errors.As(err, &row) || row.Row != 2 {
			t.Fatalf("levels %q: %v", levels, err)
		}
		if e := fault.Of(err); e.Kind != fault.BadUserArgument || e.Target != "state" || !strings.Contains(e.Msg, `"state"`) || !strings.Contains(e.Msg, `"ZZ"`) {
			t.Errorf("fault %+v", e)
		}
	}
}

// TestAnswers covers the score columns of each kind and label type.
func TestAnswers(t *testing.T) {
	x := []model.Feature{{Column: "x", Type: frame.Double, Encoding: model.Number}}
	header := func(kind model.Kind, transform string, l *model.Label) model.Header {
		return model.Header{Engine: model.EngineTrees, Kind: kind, Transform: model.Transform{Name: transform}, Features: x, Label: l}
	}
	const p1, p0 = "0.7310585786300049", "0.2689414213699951" // sigmoid of 1 and -1
	for _, c := range []struct {
		name    string
		h       model.Header
		outputs int
		names   []string
		want    map[string][]string // by x
	}{
		{"regression", header(model.Regression, model.Identity, nil), 1, []string{"Scored Labels"}, map[string][]string{"2": {"2"}, "-4": {"-4"}}},
		{"exp", header(model.Regression, model.Exp, nil), 1, []string{"Scored Labels"}, map[string][]string{"0": {"1"}, "1": {"2.718281828459045"}}},
		{"square", header(model.Regression, model.Square, nil), 1, []string{"Scored Labels"}, map[string][]string{"3": {"9"}, "-3": {"-9"}}},
		{
			"two-class", header(model.TwoClass, model.Sigmoid, &model.Label{Classes: []string{"no", "yes"}, Positive: "yes"}), 1,
			[]string{"Scored Labels", "Scored Probabilities"},
			map[string][]string{"1": {"yes", p1}, "-1": {"no", p0}, "0": {"yes", "0.5"}},
		},
		{
			"two-class, the first positive", header(model.TwoClass, model.Sigmoid, &model.Label{Classes: []string{"bad", "good"}, Positive: "bad"}), 1,
			[]string{"Scored Labels", "Scored Probabilities"},
			map[string][]string{"1": {"good", p0}, "-1": {"bad", p1}, "0": {"bad", "0.5"}},
		},
		{
			"Boolean label", header(model.TwoClass, model.Sigmoid, &model.Label{Type: frame.Boolean, Classes: []string{"false", "true"}, Positive: "true"}), 1,
			[]string{"Scored Labels", "Scored Probabilities"},
			map[string][]string{"1": {"True", p1}, "-1": {"False", p0}},
		},
		{
			"Int32 label", header(model.TwoClass, model.Sigmoid, &model.Label{Type: frame.Int32, Classes: []string{"0", "1"}, Positive: "1"}), 1,
			[]string{"Scored Labels", "Scored Probabilities"},
			map[string][]string{"1": {"1", p1}, "-1": {"0", p0}},
		},
		{
			"Double label", header(model.TwoClass, model.Sigmoid, &model.Label{Type: frame.Double, Classes: []string{"-0.5", "1e3"}, Positive: "1e3"}), 1,
			[]string{"Scored Labels", "Scored Probabilities"},
			map[string][]string{"1": {"1000", p1}, "-1": {"-0.5", p0}},
		},
		{
			"hinge", header(model.TwoClass, model.Step, &model.Label{Classes: []string{"no", "yes"}, Positive: "yes"}), 1,
			[]string{"Scored Labels", "Scored Probabilities"},
			map[string][]string{"1": {"yes", "1"}, "0": {"no", "0"}},
		},
		{
			"two-class of two outputs", header(model.TwoClass, model.Softmax, &model.Label{Classes: []string{"no", "yes"}, Positive: "no"}), 2,
			[]string{"Scored Labels", "Scored Probabilities"},
			map[string][]string{"1": {"yes", "0.2689414213699951"}, "0": {"no", "0.5"}},
		},
		{
			"multiclass", header(model.Multiclass, model.Softmax, &model.Label{Classes: []string{"a", "b", "c"}}), 3,
			[]string{`Scored Probabilities for Class "a"`, `Scored Probabilities for Class "b"`, `Scored Probabilities for Class "c"`, "Scored Labels"},
			map[string][]string{
				"0": {"0.3333333333333333", "0.3333333333333333", "0.3333333333333333", "a"},
				"1": {"0.09003057317038046", "0.24472847105479764", "0.6652409557748218", "c"},
			},
		},
		{
			"one against all", header(model.Multiclass, model.Sigmoids, &model.Label{Classes: []string{"a", "b"}}), 2,
			[]string{`Scored Probabilities for Class "a"`, `Scored Probabilities for Class "b"`, "Scored Labels"},
			map[string][]string{"-1": {p0, "0.11920292202211755", "a"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := encode(t, c.h, sums(t, c.outputs))
			if got := frame.Schema(m.Fields()).Names(); !cmp.Equal(got, c.names) {
				t.Errorf("columns %q, want %q", got, c.names)
			}
			for _, f := range m.Fields() {
				if f.Role != frame.Score {
					t.Errorf("column %q has role %q", f.Name, f.Role)
				}
			}
			for x, want := range c.want {
				out, _, err := score(t, m, table(t, frame.Schema{{Name: "x", Type: frame.Double}}, []string{x}))
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want, cells(out, 0)); d != "" {
					t.Errorf("x=%s (-want +got):\n%s", x, d)
				}
			}
		})
	}
}

// TestCompleteRows gives no score where a feature is missing.
func TestCompleteRows(t *testing.T) {
	h := model.Header{
		Engine: model.EngineTrees, Kind: model.TwoClass, Transform: model.Transform{Name: model.Sigmoid}, CompleteRows: true,
		Label: &model.Label{Classes: []string{"no", "yes"}, Positive: "yes"},
		Features: []model.Feature{
			{Column: "x", Type: frame.Double, Encoding: model.Number},
			{Column: "s", Type: frame.String, Encoding: model.Indicator, Level: "a"},
		},
	}
	m := encode(t, h, digits(t, 2))
	out, _, err := score(t, m, table(t, frame.Schema{{Name: "x", Type: frame.Double}, {Name: "s"}}, []string{"0", "b"}, []string{"", "a"}, []string{"0", ""}, []string{"0", "a"}))
	if err != nil {
		t.Fatal(err)
	}
	for i, null := range []bool{true, true, true, false} { // "b" is no level that the model knows
		if out.Cols[0].IsNull(i) != null || out.Cols[1].IsNull(i) != null {
			t.Errorf("row %d: %q", i, cells(out, i))
		}
	}
}

func TestBindRefuses(t *testing.T) {
	h := model.Header{Engine: model.EngineTrees, Kind: model.Regression, Transform: model.Transform{Name: model.Identity}, Features: []model.Feature{
		{Column: "minutes", Type: frame.Double, Encoding: model.Number},
		{Column: "state", Type: frame.String, Encoding: model.Codes, Levels: []string{"KS", "OH"}},
	}}
	m := encode(t, h, digits(t, 2))
	for _, c := range []struct {
		schema       frame.Schema
		target, want string
	}{
		{frame.Schema{{Name: "minute", Type: frame.Double}, {Name: "state"}}, "minutes", `column "minutes" is missing: the model reads it; the nearest there is "minute"`},
		{frame.Schema{{Name: "minutes", Type: frame.Double}}, "state", `column "state" is missing`},
		{frame.Schema{{Name: "minutes"}, {Name: "state"}}, "minutes", `column "minutes" is String: the model reads its number`},
		{frame.Schema{{Name: "minutes", Type: frame.DateTime}, {Name: "state"}}, "minutes", `column "minutes" is DateTime`},
		{frame.Schema{{Name: "minutes", Type: frame.Double}, {Name: "state", Type: frame.Int32}}, "state", `the model's level "KS" is none of its values`},
		{frame.Schema{{Name: "minutes", Type: frame.Double}, {Name: "state", Type: frame.Boolean}}, "state", `the model's level "KS"`},
		{frame.Schema{{Name: "minutes", Type: frame.Double}, {Name: "state", Type: frame.DateTime}}, "state", "the model reads levels"},
	} {
		_, err := m.Bind(c.schema)
		if e := fault.Of(err); err == nil || e.Kind != fault.BadUserArgument || e.Target != c.target || !strings.Contains(e.Msg, c.want) {
			t.Errorf("%v: %v, want %q", c.schema, err, c.want)
		}
	}
}

// TestOpenRefuses edits one thing at a time of a sound header.
func TestOpenRefuses(t *testing.T) {
	number := model.Feature{Name: "x", Column: "x", Type: frame.Double, Encoding: model.Number}
	codes := model.Feature{Name: "s", Column: "s", Type: frame.String, Encoding: model.Codes, Levels: []string{"a", "b"}}
	for _, c := range []struct {
		name, want string
		edit       func(h *model.Header)
	}{
		{"engine", `no engine "magic"`, func(h *model.Header) { h.Engine = "magic" }},
		{"kind", `unknown kind "guess"`, func(h *model.Header) { h.Kind = "guess" }},
		{"transform", `unknown transform "fft"`, func(h *model.Header) { h.Transform.Name = "fft" }},
		{"policy", `unknownLevel is "ignore"`, func(h *model.Header) { h.UnknownLevel = "ignore" }},
		{"no label", "needs a label", func(h *model.Header) { h.Label = nil }},
		{"one class", "has two classes", func(h *model.Header) { h.Label.Classes = []string{"yes"} }},
		{"class twice", `class "yes" is there twice`, func(h *model.Header) { h.Label.Classes = []string{"yes", "yes"} }},
		{"empty class", "an empty text is a missing cell", func(h *model.Header) { h.Label.Classes = []string{"yes", ""} }},
		{"class of another type", "not a Int32", func(h *model.Header) { h.Label.Type = frame.Int32 }},
		{"positive", "none of the classes", func(h *model.Header) { h.Label.Positive = "maybe" }},
		{"multiclass of one output", "2 classes for 1 outputs", func(h *model.Header) { h.Kind = model.Multiclass; h.Transform.Name = model.Softmax }},
		{"fewer features", "its engine has 2 features, its binding 1", func(h *model.Header) { h.Features = h.Features[:1] }},
		{"no column", "has no column", func(h *model.Header) { h.Features[0].Column = "" }},
		{"two types", "is read as", func(h *model.Header) { h.Features[1].Column = "x" }},
		{"two lists of levels", "and others for another", func(h *model.Header) {
			h.Features[0] = codes
			h.Features[1].Levels = []string{"b", "a"}
		}},
		{"encoding", `unknown encoding "hash"`, func(h *model.Header) { h.Features[1].Encoding = "hash" }},
		{"text", "does not read text", func(h *model.Header) { h.Features[1].Encoding = model.Text }},
		{"number of text", "has no number", func(h *model.Header) { h.Features[1].Encoding = model.Number }},
		{"no levels", "needs levels", func(h *model.Header) { h.Features[1].Levels = nil }},
		{"level twice", `has level "a" twice`, func(h *model.Header) { h.Features[1].Levels = []string{"a", "a"} }},
		{"empty level", "an empty text", func(h *model.Header) { h.Features[1].Levels = []string{""} }},
		{"map of another length", "1 values for 2 levels", func(h *model.Header) { h.Features[1].Encoding, h.Features[1].Values = model.Map, []float64{1} }},
		{"indicator of no level", "none of the levels", func(h *model.Header) { h.Features[1].Encoding, h.Features[1].Level = model.Indicator, "c" }},
	} {
		h := model.Header{
			Engine: model.EngineTrees, Kind: model.TwoClass, Transform: model.Transform{Name: model.Sigmoid},
			Features: []model.Feature{number, codes}, Label: &model.Label{Classes: []string{"no", "yes"}, Positive: "yes"},
		}
		c.edit(&h)
		_, err := model.Encode(h, digits(t, 2))
		if e := fault.Of(err); err == nil || e.Kind != fault.Package || !strings.Contains(e.Msg, c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestPositiveByRule(t *testing.T) {
	for _, c := range []struct {
		classes []string
		want    string
	}{
		{[]string{"no", "yes"}, "yes"},
		{[]string{"yes", "no"}, "yes"},
		{[]string{"1", "0"}, "1"},
		{[]string{"true", "false"}, "true"},
		{[]string{"True", "False"}, "True"},
		{[]string{"good", "bad"}, "good"},
		{[]string{"1", "2"}, "1"},
		{[]string{"x"}, ""},
	} {
		if got := model.PositiveByRule(c.classes); got != c.want {
			t.Errorf("%q: %q, want %q", c.classes, got, c.want)
		}
	}
}

func TestCompare(t *testing.T) {
	base := func() model.Signature {
		return model.Signature{
			Kind: model.TwoClass, Classes: []string{"no", "yes"}, Positive: "yes",
			Columns: []frame.Field{{Name: "state", Levels: []string{"KS"}}, {Name: "minutes", Type: frame.Double}},
			Scores:  []frame.Field{{Name: "Scored Labels", Levels: []string{"no", "yes"}}, {Name: "Scored Probabilities", Type: frame.Double}},
		}
	}
	for _, c := range []struct {
		name string
		edit func(s *model.Signature)
		want model.Relation
		diff string
	}{
		{"nothing", func(*model.Signature) {}, model.Same, ""},
		{"order of columns", func(s *model.Signature) { s.Columns[0], s.Columns[1] = s.Columns[1], s.Columns[0] }, model.Same, ""},
		{"a level", func(s *model.Signature) { s.Columns[0].Levels = []string{"KS", "OH"} }, model.Compatible, `column "state": 2 levels, were 1`},
		{"kind", func(s *model.Signature) { s.Kind = model.Regression }, model.Breaking, "kind: regression, was two-class"},
		{"classes", func(s *model.Signature) { s.Classes = []string{"no", "maybe"} }, model.Breaking, "classes:"},
		{"positive", func(s *model.Signature) { s.Positive = "no" }, model.Breaking, `positive class: "no", was "yes"`},
		{"column more", func(s *model.Signature) { s.Columns = append(s.Columns, frame.Field{Name: "age"}) }, model.Breaking, `column "age": read now, was not`},
		{"column less", func(s *model.Signature) { s.Columns = s.Columns[:1] }, model.Breaking, `column "minutes": was read, is not now`},
		{"type", func(s *model.Signature) { s.Columns[1].Type = frame.Int32 }, model.Breaking, `column "minutes": Int32, was Double`},
		{"score type", func(s *model.Signature) { s.Scores[0].Type = frame.Boolean }, model.Breaking, "score columns:"},
	} {
		s := base()
		c.edit(&s)
		got, diffs := s.Compare(base())
		if got != c.want || (c.diff == "") != (len(diffs) == 0) || !strings.Contains(strings.Join(diffs, "\n"), c.diff) {
			t.Errorf("%s: %s %q, want %s %q", c.name, got, diffs, c.want, c.diff)
		}
	}
}
