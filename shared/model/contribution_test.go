package model_test

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/importer"
	"github.com/portico-ml/portico/shared/model/linear"
)

// explain binds m to f and returns the contributions of all rows.
func explain(t *testing.T, m *model.Model, f *frame.Frame) *frame.Frame {
	t.Helper()
	s, err := m.Bind(f.Schema())
	if err != nil {
		t.Fatal(err)
	}
	x, err := s.Explainer(artifacts[m])
	if err != nil {
		t.Fatal(err)
	}
	l, err := frame.NewLayout(x.Fields())
	if err != nil {
		t.Fatal(err)
	}
	out := l.New(f.Rows())
	if err := x.Explain(x.NewState(), f, out.Cols); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestContributionsAddUp holds that the contributions of each customer and the
// base are the log odds of the probability, and that indicators of one column
// have a column each.
func TestContributionsAddUp(t *testing.T) {
	for file, name := range map[string]string{"churn_native.json": "Contribution of state", "churn_onehot.ubj": "Contribution of state_KS"} {
		m, f := churn(t, file, "missing")
		f = f.Slice(0, 300)
		out := explain(t, m, f)
		if out.Rows() != f.Rows() || out.Col(name) == nil || out.Cols[len(out.Cols)-1].Field.Name != "Contribution base" {
			t.Fatalf("%s: %d rows of %q", file, out.Rows(), out.Schema().Names())
		}
		scores, _, err := score(t, m, f)
		if err != nil {
			t.Fatal(err)
		}
		moved := 0
		for r := range f.Rows() {
			sum := 0.0
			for _, c := range out.Cols {
				sum += c.Floats[r]
			}
			p := scores.Col(model.ScoredProbabilities).Floats[r]
			if odds := math.Log(p / (1 - p)); math.Abs(odds-sum) > 1e-4*max(1, math.Abs(odds)) {
				t.Fatalf("%s, row %d: contributions add up to %v, the log odds are %v", file, r+1, sum, odds)
			}
			if out.Col(name).Floats[r] != 0 {
				moved++
			}
		}
		if moved == 0 {
			t.Errorf("%s: %s is 0 in every row", file, name)
		}
	}
}

func TestContributionNames(t *testing.T) {
	for _, c := range []struct{ feature, of, want string }{
		{"age", "", "Contribution of age"},
		{"", "", "Contribution base"},
		{"age", model.OfClass("red"), `Contribution of age for Class "red"`},
		{"", model.OfClass("red"), `Contribution base for Class "red"`},
		{"age", model.AboveClass("low"), `Contribution of age above Class "low"`},
		{"", model.OfCluster(2), "Contribution base for Cluster 2"},
	} {
		if got := model.ContributionName(c.feature, c.of); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestContributionsOfThePositiveClass holds contributions to the probability that
// is answered, whichever class it is of.
func TestContributionsOfThePositiveClass(t *testing.T) {
	body, err := (&linear.Weights{Features: 1, Outputs: 1, Base: []float64{0.25}, Coefficients: []float64{0.125}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	link := map[string]func(float64) float64{
		model.Identity: func(x float64) float64 { return x },
		model.Sigmoid:  func(x float64) float64 { return 1 / (1 + math.Exp(-2*x)) },
		model.Probit:   func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 },
	}
	for name := range link {
		for positive, want := range map[string]float64{"no": link[name](0.25 + 3*0.125), "yes": link[name](0.25 + 3*0.125)} {
			if positive == "no" {
				want = 1 - want
			}
			artifact, err := model.Encode(model.Header{
				Engine: model.EngineLinear, Learner: name, Kind: model.TwoClass, Transform: model.Transform{Name: name, Scale: 2},
				Features: []model.Feature{{Name: "x", Column: "x", Type: frame.Double, Encoding: model.Number}},
				Label:    &model.Label{Type: frame.String, Classes: []string{"no", "yes"}, Positive: positive},
			}, body)
			if err != nil {
				t.Fatal(err)
			}
			m, err := model.Open(artifact)
			if err != nil {
				t.Fatal(err)
			}
			artifacts[m] = artifact
			layout, err := frame.NewLayout(m.Requires())
			if err != nil {
				t.Fatal(err)
			}
			f, err := frame.CSV{}.Read([]byte("x\n3\n\"\"\n"), layout)
			if err != nil {
				t.Fatal(err)
			}
			out := explain(t, m, f)
			part, base := out.Col("Contribution of x").Floats[0], out.Col("Contribution base").Floats[0]
			if got := link[name](part + base); math.Abs(got-want) > 1e-15 || part < 0 != (positive == "no") {
				t.Errorf("%s, positive %s: contribution %v and base %v make %v, not %v", name, positive, part, base, got, want)
			}
			if !out.Cols[0].IsNull(1) || !out.Cols[1].IsNull(1) {
				t.Errorf("%s: a row without a score has contributions", name)
			}
		}
	}
}

// TestTooManyContributions is a model of more contributions than a table may
// have columns.
func TestTooManyContributions(t *testing.T) {
	const features, classes = 1100, 60
	w := linear.Weights{Features: features, Outputs: classes, Base: make([]float64, classes), Coefficients: make([]float64, features*classes)}
	body, err := w.Encode()
	if err != nil {
		t.Fatal(err)
	}
	h := model.Header{Engine: model.EngineLinear, Kind: model.Multiclass, Transform: model.Transform{Name: model.Softmax}, Label: &model.Label{Type: frame.Int32}}
	for k := range classes {
		h.Label.Classes = append(h.Label.Classes, strconv.Itoa(k))
	}
	schema := frame.Schema{}
	for i := range features {
		name := "x" + strconv.Itoa(i)
		h.Features = append(h.Features, model.Feature{Name: name, Column: name, Type: frame.Double, Encoding: model.Number})
		schema = append(schema, frame.Field{Name: name, Type: frame.Double})
	}
	artifact, err := model.Encode(h, body)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(artifact)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Bind(schema)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Explainer(artifact); !fault.Is(err, fault.BadUserArgument) || !strings.Contains(err.Error(), "66060 columns") {
		t.Errorf("%v", err)
	}
}

// TestImportWithoutContributions imports a model without covers: it is
// smaller, scores alike, and says what it lacks.
func TestImportWithoutContributions(t *testing.T) {
	file := readFile(t, churnFolder+"churn_native.json")
	binding := readFile(t, churnFolder+"churn_native.binding.json")
	with, err := importer.Import(importer.Request{File: file, Binding: binding})
	if err != nil {
		t.Fatal(err)
	}
	without, err := importer.Import(importer.Request{File: file, Binding: bytes.Replace(binding, []byte("{"), []byte(`{"contributions": false, `), 1)})
	if err != nil {
		t.Fatal(err)
	}
	if len(without.Artifact) >= len(with.Artifact) {
		t.Errorf("%d bytes without what contributions need, %d with", len(without.Artifact), len(with.Artifact))
	}
	_, f := churn(t, "churn_native.json", "missing")
	f = f.Slice(0, 100)
	a, b := texts(t, with.Model, f, 10), texts(t, without.Model, f, 10)
	for r := range a {
		if a[r] != b[r] {
			t.Fatalf("row %d scores %s with and %s without", r+1, a[r], b[r])
		}
	}
	s, err := without.Model.Bind(f.Schema())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Explainer(without.Artifact); !fault.Is(err, fault.BadUserArgument) || !strings.Contains(err.Error(), "no contributions") {
		t.Errorf("%v", err)
	}
}

func TestExplainDoesNotAllocate(t *testing.T) {
	m, f := churn(t, "churn_native.json", "missing")
	s, err := m.Bind(f.Schema())
	if err != nil {
		t.Fatal(err)
	}
	x, err := s.Explainer(artifacts[m])
	if err != nil {
		t.Fatal(err)
	}
	l, err := frame.NewLayout(x.Fields())
	if err != nil {
		t.Fatal(err)
	}
	st, in, out := x.NewState(), f.Slice(0, 20), l.New(20)
	if n := testing.AllocsPerRun(5, func() {
		out.Reset()
		if err := x.Explain(st, in, out.Cols); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
