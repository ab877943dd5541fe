package oneclass_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/learn/oneclass"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/kernel"
)

func learner(t testing.TB, edit func(*oneclass.Options)) learn.Learner {
	t.Helper()
	o := oneclass.Defaults
	edit(&o)
	l, err := oneclass.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSuite(t *testing.T) {
	exact := func(o *oneclass.Options) { o.Nu, o.Epsilon = 0.3, 1e-9 }
	learntest.Suite{
		Learner: learner(t, exact), Strict: learner(t, func(o *oneclass.Options) { exact(o); o.UnknownLevels = false }),
		Steps: 1, Weights: 1e-5,
	}.Run(t)
}

// TestGolden compares decisions with those of scikit-learn.
func TestGolden(t *testing.T) {
	var goldens []struct {
		Table            string
		Nu, Epsilon, Rho float64
		Decisions        []float64
	}
	b, err := os.ReadFile("testdata/goldens.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &goldens); err != nil {
		t.Fatal(err)
	}
	for _, g := range goldens {
		t.Run(fmt.Sprint(g.Table, g.Nu, g.Epsilon), func(t *testing.T) {
			f := learntest.File(t, "../testdata/linear/"+g.Table+".csv")
			f.Cols = f.Cols[:len(f.Cols)-1]
			l := learner(t, func(o *oneclass.Options) { o.Nu, o.Epsilon = g.Nu, g.Epsilon })
			d, b, err := learn.Prepare(l, learn.Request{Frame: f})
			if err != nil {
				t.Fatal(err)
			}
			trained, err := l.Train(t.Context(), d, learn.NewSession())
			if err != nil {
				t.Fatal(err)
			}
			m, err := kernel.Open(trained.Body)
			if err != nil {
				t.Fatal(err)
			}
			artifact, err := b.Encode(trained)
			if err != nil {
				t.Fatal(err)
			}
			odd := learntest.Numbers(t, learntest.Score(t, artifact, f), model.ScoredProbabilities)
			tolerance := max(1e-6, 2*g.Epsilon) // libsvm's kernel is of float32
			s, out, row, outside := m.NewSession(), make([]float64, 1), make([]float64, len(d.X)), 0
			for r, want := range g.Decisions {
				for k, x := range d.X {
					row[k] = x[r]
				}
				if s.Predict(row, 1, out); math.Abs(out[0]-want) > tolerance*max(1, math.Abs(want)) {
					t.Fatalf("row %d: %v, scikit-learn says %v", r, out[0], want)
				}
				if p := 1 / (1 + math.Exp(5*want/g.Rho)); math.Abs(odd[r]-p) > 5*tolerance {
					t.Fatalf("row %d: probability %v, want %v", r, odd[r], p)
				}
				if odd[r] > 0.5+1e-3 {
					outside++
				}
			}
			if share := float64(outside) / float64(d.Rows); share > g.Nu {
				t.Errorf("%v of the rows are outside, nu is %v", share, g.Nu)
			}
		})
	}
}

// TestFindsOutliers is a ring with rows in its middle and far off.
func TestFindsOutliers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	b.WriteString("a,b\n")
	for range 300 {
		angle := 2 * math.Pi * rng.Float64()
		fmt.Fprintf(&b, "%.4f,%.4f\n", 10*math.Cos(angle)+0.2*rng.NormFloat64(), 10*math.Sin(angle)+0.2*rng.NormFloat64())
	}
	artifact := learntest.Train(t, learner(t, func(*oneclass.Options) {}), learntest.Table(t, b.String()), "")
	test := learntest.Table(t, "a,b\n10,0\n0,-10\n7,7\n40,0\n-1000,1000\n1e300,0\n")
	p := learntest.Numbers(t, learntest.Score(t, artifact, test), model.ScoredProbabilities)
	for r, v := range p {
		if far := r > 2; far != (v > 0.9) {
			t.Errorf("row %d has probability %v", r, v)
		}
	}
	if want := 1 / (1 + math.Exp(-5)); math.Abs(p[5]-want) > 1e-12 {
		t.Errorf("infinitely far: %v, want %v", p[5], want)
	}
}

// TestEqualRows is a table without any difference.
func TestEqualRows(t *testing.T) {
	f := learntest.Table(t, "a,b\n1,2\n1,2\n1,2\n1,2\n1,2\n")
	for _, nu := range []float64{0.01, 0.5, 1} {
		scored := learntest.Score(t, learntest.Train(t, learner(t, func(o *oneclass.Options) { o.Nu = nu }), f, ""), f)
		for r, p := range learntest.Numbers(t, scored, model.ScoredProbabilities) {
			if math.Abs(p-0.5) > 1e-9 {
				t.Errorf("nu %v: row %d has probability %v", nu, r, p)
			}
		}
	}
	if c := scoredLabelType(t); c != frame.Int32 {
		t.Errorf("the label is %s", c)
	}
}

func scoredLabelType(t *testing.T) frame.Type {
	f := learntest.Table(t, "a\n1\n2\n4\n")
	return learntest.Score(t, learntest.Train(t, learner(t, func(*oneclass.Options) {}), f, ""), f).Col(model.ScoredLabels).Field.Type
}

func TestRefusals(t *testing.T) {
	for name, edit := range map[string]func(*oneclass.Options){
		"nu 0": func(o *oneclass.Options) { o.Nu = 0 }, "nu 2": func(o *oneclass.Options) { o.Nu = 2 },
		"nu NaN": func(o *oneclass.Options) { o.Nu = math.NaN() }, "epsilon": func(o *oneclass.Options) { o.Epsilon = 0 },
	} {
		o := oneclass.Defaults
		edit(&o)
		if _, err := oneclass.New(o); err == nil || !strings.Contains(err.Error(), "Error 0008") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
