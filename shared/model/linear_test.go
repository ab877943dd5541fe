package model_test

import (
	"math"
	"strconv"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/linear"
)

// TestLinearModels scores logistic, multinomial, Poisson, linear and margin
// models, trained on standardised features, from request columns to answers.
func TestLinearModels(t *testing.T) {
	// Of x = 3: z = (3-1)/2 = 1; "b" is 1.
	mean, scale := []float64{1, 0}, []float64{2, 1}
	features := []model.Feature{
		{Name: "x", Column: "x", Type: frame.Double, Encoding: model.Number},
		{Name: "kind=b", Column: "kind", Type: frame.String, Encoding: model.Indicator, Level: "b", Levels: []string{"a", "b"}},
	}
	two := &model.Label{Type: frame.String, Classes: []string{"no", "yes"}, Positive: "yes"}
	three := &model.Label{Type: frame.Int32, Classes: []string{"4", "5", "6"}}
	e := math.Exp
	for _, c := range []struct {
		name      string
		kind      model.Kind
		transform string
		label     *model.Label
		base, w   []float64
		want      []string
	}{
		{"linear", model.Regression, model.Identity, nil, []float64{0.5}, []float64{2, 3}, show(0.5 + 2 + 3)},
		{"poisson", model.Regression, model.Exp, nil, []float64{0.5}, []float64{0.25, -1}, show(e(0.5 + 0.25 - 1))},
		{"logistic", model.TwoClass, model.Sigmoid, two, []float64{-1}, []float64{2, 0.5}, append([]string{"yes"}, show(1/(1+e(-1.5)))...)},
		{"margin", model.TwoClass, model.Sigmoid, two, []float64{-4}, []float64{2, 0.5}, append([]string{"no"}, show(1/(1+e(1.5)))...)},
		{
			"multinomial", model.Multiclass, model.Softmax, three,
			[]float64{0, 1, 0},
			[]float64{1, 0, 0, 1, 0, 0},
			append(show(e(1)/(e(1)+e(2)+1), e(2)/(e(1)+e(2)+1), 1/(e(1)+e(2)+1)), "5"),
		},
	} {
		w := &linear.Weights{Features: 2, Outputs: len(c.base), Base: c.base, Coefficients: c.w}
		if err := w.Fold(mean, scale); err != nil {
			t.Fatal(err)
		}
		body, err := w.Encode()
		if err != nil {
			t.Fatal(err)
		}
		artifact, err := model.Encode(model.Header{
			Engine: model.EngineLinear, Learner: c.name, Kind: c.kind, Transform: model.Transform{Name: c.transform},
			Features: features, Label: c.label,
		}, body)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		m, err := model.Open(artifact)
		if err != nil {
			t.Fatal(err)
		}
		layout, err := frame.NewLayout(m.Requires())
		if err != nil {
			t.Fatal(err)
		}
		in, err := frame.CSV{}.Read([]byte("x,kind\n3,b\n,a\n"), layout)
		if err != nil {
			t.Fatal(err)
		}
		scorer, err := m.Bind(in.Schema())
		if err != nil {
			t.Fatal(err)
		}
		answers, err := frame.NewLayout(scorer.Fields())
		if err != nil {
			t.Fatal(err)
		}
		out := answers.New(2)
		if err := scorer.Score(scorer.NewState(), in, out.Cols); err != nil {
			t.Fatal(err)
		}
		for i, want := range c.want {
			if got := string(out.Cols[i].Print(nil, 0)); !near(got, want) {
				t.Errorf("%s: %s is %s, want %s", c.name, out.Cols[i].Field.Name, got, want)
			}
			if !out.Cols[i].IsNull(1) {
				t.Errorf("%s: %s of a row with a missing cell is %s", c.name, out.Cols[i].Field.Name, out.Cols[i].Print(nil, 1))
			}
		}
		explainer, err := scorer.Explainer(artifact)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(explainer.Fields()); n != 3*len(c.base) {
			t.Errorf("%s: %d contributions", c.name, n)
		}
	}
}

func show(values ...float64) (texts []string) {
	for _, v := range values {
		texts = append(texts, string(frame.AppendDouble(nil, v)))
	}
	return texts
}

// near compares texts, as numbers where they are.
func near(got, want string) bool {
	a, errA := strconv.ParseFloat(got, 64)
	b, errB := strconv.ParseFloat(want, 64)
	if errA != nil || errB != nil {
		return got == want
	}
	return math.Abs(a-b) < 1e-12
}
