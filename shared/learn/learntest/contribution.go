package learntest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

// Explain returns the contributions of a table's cells by an artifact, or why
// there are none.
func Explain(t testing.TB, artifact []byte, f *frame.Frame) (*frame.Frame, error) {
	t.Helper()
	m, err := model.Open(artifact)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Bind(f.Schema())
	if err != nil {
		t.Fatal(err)
	}
	x, err := s.Explainer(artifact)
	if err != nil {
		return nil, err
	}
	layout, err := frame.NewLayout(x.Fields())
	if err != nil {
		t.Fatal(err)
	}
	out := layout.New(f.Rows())
	if err := x.Explain(x.NewState(), f, out.Cols); err != nil {
		t.Fatal(err)
	}
	return out, nil
}

// contributions holds contributions to the scores: they add up to what the scores
// are made of, a row's are the same alone, and a row without a score has none.
func (s Suite) contributions(t *testing.T) {
	f := s.table(t, s.toy(150, 5)+s.row(",3,q")+s.row("1,2,zzz"))
	artifact := Train(t, s.Learner, s.table(t, s.toy(300, 4)), s.target())
	m, err := model.Open(artifact)
	if err != nil {
		t.Fatal(err)
	}
	out, err := Explain(t, artifact, f)
	if err != nil {
		if !fault.Is(err, fault.BadUserArgument) || !strings.Contains(err.Error(), "the model has no contributions: ") {
			t.Errorf("it has no contributions, for %v", err)
		}
		return
	}
	again, err := Explain(t, artifact, f.Slice(f.Rows()/2, f.Rows()))
	if err != nil {
		t.Fatal(err)
	}
	scored := Score(t, artifact, f)
	moved := 0
	for r := range f.Rows() {
		null := scored.Cols[0].IsNull(r)
		var raw, bases []float64
		sum := 0.0
		for _, c := range out.Cols {
			if c.IsNull(r) != null {
				t.Fatalf("row %d: the score is null: %v, %s is: %v", r, null, c.Field.Name, c.IsNull(r))
			}
			if k := r - f.Rows()/2; k >= 0 && !null && math.Float64bits(c.Floats[r]) != math.Float64bits(again.Col(c.Field.Name).Floats[k]) {
				t.Fatalf("row %d: %s is %v, with other rows %v", r, c.Field.Name, c.Floats[r], again.Col(c.Field.Name).Floats[k])
			}
			sum += c.Floats[r]
			if strings.HasPrefix(c.Field.Name, "Contribution base") {
				raw, bases, sum = append(raw, sum), append(bases, c.Floats[r]), 0
			} else if c.Floats[r] != 0 {
				moved++
			}
		}
		if null {
			continue
		}
		for _, p := range answers(m.Header(), raw, bases) {
			if got := scored.Col(p.column).Floats[r]; !(math.Abs(got-p.want) <= 1e-5*max(1, math.Abs(got))) {
				t.Fatalf("row %d: %s is %v, by contributions %v", r, p.column, got, p.want)
			}
		}
	}
	if moved == 0 {
		t.Error("all contributions are 0")
	}
}

// row is a row of the toy with some label.
func (s Suite) row(cells string) string {
	return fmt.Sprintf("%s,%s\n", cells, map[model.Kind]string{model.TwoClass: "yes", model.Multiclass: "b-mid"}[s.Learner.Kind()])
}

// answer is a score that raw scores make.
type answer struct {
	column string
	want   float64
}

// answers are those that raw scores make by a model's transform; of the two
// reductions, by those of a two-class model with a sigmoid. A cluster's distance
// is by the angle where its base is not 0.
func answers(h *model.Header, raw, bases []float64) (out []answer) {
	link := func(x float64) float64 {
		switch scale := h.Transform.Scale; {
		case h.Transform.Name == model.Sigmoid && scale != 0:
			return 1 / (1 + math.Exp(-scale*x))
		case h.Transform.Name == model.Sigmoid, h.Engine == model.EngineSeveral:
			return 1 / (1 + math.Exp(-x))
		case h.Transform.Name == model.Probit:
			return math.Erfc(-x/math.Sqrt2) / 2
		case h.Transform.Name == model.Exp, h.Transform.Name == model.Softmax:
			return math.Exp(x)
		}
		return x
	}
	p := make([]float64, len(raw))
	total := 0.0
	for k, x := range raw {
		p[k] = link(x)
		total += p[k]
	}
	switch h.Kind {
	case model.TwoClass:
		return []answer{{model.ScoredProbabilities, p[0]}}
	case model.Distribution:
		return []answer{{model.ScoredMean, p[0]}}
	case model.Anomaly:
		return []answer{{model.ScoredProbabilities, math.Sqrt(p[0])}}
	case model.Clustering:
		for k, distance := range p {
			if bases[k] == 0 {
				distance = math.Sqrt(distance)
			}
			out = append(out, answer{model.ClusterDistance(k), distance})
		}
		return out
	case model.Multiclass:
		if len(raw) < len(h.Label.Classes) { // of being above the classes
			slices.SortFunc(p, func(a, b float64) int { return cmp.Compare(b, a) })
			p = append(p, 0)
			for k, before := 0, 1.0; k < len(p); k++ {
				p[k], before = before-p[k], p[k]
			}
			total = 1
		}
		for k, c := range h.Label.Classes {
			out = append(out, answer{model.ScoredProbability(c), p[k] / total})
		}
		return out
	}
	return []answer{{model.ScoredLabels, p[0]}}
}
