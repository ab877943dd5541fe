package neural_test

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
	"github.com/portico-ml/portico/shared/learn/logistic"
	"github.com/portico-ml/portico/shared/learn/neural"
	"github.com/portico-ml/portico/shared/model"
	engine "github.com/portico-ml/portico/shared/model/neural"
)

func learner(t testing.TB, kind model.Kind, edit func(*neural.Options)) learn.Learner {
	t.Helper()
	o := neural.Defaults
	edit(&o)
	l, err := neural.New(kind, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSuite(t *testing.T) {
	for kind, bar := range map[model.Kind]float64{model.TwoClass: 0.1, model.Multiclass: 0.15, model.Regression: 1} {
		for name, edit := range map[string]func(*neural.Options){
			"min-max":  func(o *neural.Options) {},
			"gaussian": func(o *neural.Options) { o.Normalizer, o.Momentum, o.Rate = neural.Gaussian, 0.5, 0.02 },
			"binning": func(o *neural.Options) {
				o.Normalizer, o.Shuffle = neural.Binning, false
				o.Net.Hidden = []neural.Hidden{{8, engine.Tanh}, {6, engine.Soft}}
			},
		} {
			if kind != model.TwoClass && name == "gaussian" || kind == model.Multiclass && name == "binning" {
				continue // takes its time
			}
			t.Run(string(kind)+" "+name, func(t *testing.T) {
				small := func(o *neural.Options) {
					o.Net, o.Iterations = neural.Net{Hidden: []neural.Hidden{{10, engine.Sigmoid}}}, 60
					edit(o)
				}
				learntest.Suite{
					Learner: learner(t, kind, small), Strict: learner(t, kind, func(o *neural.Options) { small(o); o.UnknownLevels = false }),
					Steps: 60, Error: bar,
				}.Run(t)
			})
		}
	}
}

// TestLabelUnits learns labels of any size as those near 1.
func TestLabelUnits(t *testing.T) {
	l := learner(t, model.Regression, func(o *neural.Options) {
		o.Net, o.Iterations = neural.Net{Hidden: []neural.Hidden{{4, engine.Sigmoid}}}, 20
	})
	score := func(exponent int) []float64 {
		var b strings.Builder
		b.WriteString("x,y\n")
		for i := range 30 {
			fmt.Fprintf(&b, "%d,%v\n", i, math.Ldexp(float64(i*i%17), exponent))
		}
		f := learntest.Table(t, b.String())
		return learntest.Numbers(t, learntest.Score(t, learntest.Train(t, l, f, "y"), f), model.ScoredLabels)
	}
	want := score(0)
	for _, exponent := range []int{-900, 900} {
		for r, v := range score(exponent) {
			if math.Ldexp(v, -exponent) != want[r] {
				t.Fatalf("row %d of labels times 2**%d: %v, without %v", r, exponent, v, want[r])
			}
		}
	}
}

// moons are two half circles that no line parts, or the corners of a square,
// opposite ones alike.
func moons(rows int, corners bool) string {
	rng := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	b.WriteString("a,b,y\n")
	for i := range rows {
		side := i % 2
		angle := math.Pi * rng.Float64()
		x, y := math.Cos(angle), math.Sin(angle)
		if side == 1 {
			x, y = 1-x, 0.5-y
		}
		if corners {
			c := rng.IntN(2)
			x, y = float64(c), float64(c^side)
		}
		fmt.Fprintf(&b, "%.5f,%.5f,%d\n", x+0.15*rng.NormFloat64(), y+0.15*rng.NormFloat64(), side)
	}
	return b.String()
}

// TestNotLinear learns what logistic regression cannot.
func TestNotLinear(t *testing.T) {
	line, err := logistic.TwoClass(logistic.Defaults)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		corners    bool
		line, best float64
	}{{"moons", false, 0.96, 0.99}, {"corners", true, 0.6, 0.98}} {
		t.Run(c.name, func(t *testing.T) {
			f := learntest.Table(t, moons(400, c.corners))
			net := learner(t, model.TwoClass, func(o *neural.Options) {
				o.Net, o.Rate, o.Iterations, o.Diameter = neural.Net{Hidden: []neural.Hidden{{16, engine.Sigmoid}}}, 0.5, 200, 2
			})
			if got := auc(t, line, f, f, "y", "1"); got > c.line {
				t.Errorf("a line has AUC %v: the data is too easy", got)
			}
			if got := auc(t, net, f, f, "y", "1"); got < c.best {
				t.Errorf("AUC %v, want %v", got, c.best)
			}
		})
	}
}

// auc trains on a table, and measures on another.
func auc(t *testing.T, l learn.Learner, train, test *frame.Frame, label, positive string) float64 {
	t.Helper()
	scored := learntest.Score(t, learntest.Train(t, l, train, label), test)
	is := make([]bool, test.Rows())
	for r := range is {
		is[r] = string(test.Col(label).Print(nil, r)) == positive
	}
	return learntest.AUC(learntest.Numbers(t, scored, model.ScoredProbabilities), is)
}

// TestReference compares AUC, accuracy and error on held-out rows with those of
// scikit-learn's networks of the same parameters.
func TestReference(t *testing.T) {
	b, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Mean   float64
		StdErr float64 `json:"standard error"` // over first weights
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	net := neural.Net{Hidden: []neural.Hidden{{20, engine.Sigmoid}}}
	const glorot = 0.5 // about the range that scikit-learn draws first weights from
	halves := func(name string) (train, test *frame.Frame) {
		f := learntest.File(t, "../testdata/linear/"+name+".csv")
		var a, b []int
		for r := range f.Rows() {
			if r%2 == 0 {
				a = append(a, r)
			} else {
				b = append(b, r)
			}
		}
		return f.Take(a), f.Take(b)
	}
	train, test := halves("breast_cancer")
	label := train.Cols[len(train.Cols)-1].Field.Name
	l := learner(t, model.TwoClass, func(o *neural.Options) { o.Net, o.Iterations, o.Diameter = net, 50, glorot })
	m, err := model.Open(learntest.Train(t, l, train, label))
	if err != nil {
		t.Fatal(err)
	}
	if got, w := auc(t, l, train, test, label, m.Header().Label.Positive), want["breast_cancer"]; got < w.Mean-max(0.005, w.StdErr) {
		t.Errorf("breast_cancer: AUC %v, scikit-learn's %v", got, w.Mean)
	}

	train, test = halves("wine")
	label = train.Cols[len(train.Cols)-1].Field.Name
	l = learner(t, model.Multiclass, func(o *neural.Options) { o.Net, o.Iterations, o.Diameter = net, 50, glorot })
	scored, right := learntest.Score(t, learntest.Train(t, l, train, label), test), 0.0
	for r := range test.Rows() {
		if string(scored.Col(model.ScoredLabels).Print(nil, r)) == string(test.Col(label).Print(nil, r)) {
			right++
		}
	}
	if got, w := right/float64(test.Rows()), want["wine"]; got < w.Mean-max(0.005, w.StdErr) {
		t.Errorf("wine: accuracy %v, scikit-learn's %v", got, w.Mean)
	}

	train, test = halves("diabetes")
	label = train.Cols[len(train.Cols)-1].Field.Name
	l = learner(t, model.Regression, func(o *neural.Options) { o.Net, o.Iterations, o.Rate, o.Diameter = net, 50, 0.005, glorot })
	scored = learntest.Score(t, learntest.Train(t, l, train, label), test)
	sum := 0.0
	for r, v := range learntest.Numbers(t, scored, model.ScoredLabels) {
		e := v - test.Col(label).Float(r)
		sum += e * e
	}
	if got, w := math.Sqrt(sum/float64(test.Rows())), want["diabetes"]; got > w.Mean+max(0.01*w.Mean, w.StdErr) {
		t.Errorf("diabetes: RMSE %v, scikit-learn's %v", got, w.Mean)
	}
}

// TestOutputs are networks whose script names the output.
func TestOutputs(t *testing.T) {
	f := learntest.Table(t, moons(300, false))
	for _, c := range []struct {
		kind      model.Kind
		output    string
		transform string
	}{
		{model.TwoClass, "[1] sigmoid", model.Sigmoid},
		{model.TwoClass, "auto softmax", model.Softmax},
		{model.TwoClass, "[2] sigmoid", model.Sigmoids},
		{model.TwoClass, "[2]", model.Softmax},
		{model.Multiclass, "[2] softmax", model.Softmax},
		{model.Multiclass, "auto sigmoid", model.Sigmoids},
		{model.Regression, "[1] linear", model.Identity},
	} {
		net, err := neural.Script("input In [2]; hidden H [12] tanh from In all; output Out " + c.output + " from H all;")
		if err != nil {
			t.Fatal(err)
		}
		l := learner(t, c.kind, func(o *neural.Options) { o.Net, o.Iterations, o.Diameter = net, 150, 2 })
		artifact := learntest.Train(t, l, f, "y")
		m, err := model.Open(artifact)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Header().Transform.Name; got != c.transform {
			t.Errorf("%s %s: transform %s", c.kind, c.output, got)
		}
		if c.kind == model.Regression {
			continue
		}
		scored, wrong := learntest.Score(t, artifact, f), 0
		for r := range f.Rows() {
			if scored.Col(model.ScoredLabels).Float(r) != f.Col("y").Float(r) {
				wrong++
			}
		}
		if wrong > 60 { // half of them would be chance
			t.Errorf("%s %s: %d of 300 wrong", c.kind, c.output, wrong)
		}
	}
	for _, c := range []struct {
		kind          model.Kind
		script, error string
	}{
		{model.TwoClass, "input In [3]; output Out [1] from In all;", "3 input nodes"},
		{model.Multiclass, "input In auto; output Out [5] from In all;", "5 output nodes"},
	} {
		net, err := neural.Script(c.script)
		if err != nil {
			t.Fatal(err)
		}
		if err := learntest.Fails(t, learner(t, c.kind, func(o *neural.Options) { o.Net = net }), f, "y"); !strings.Contains(err.Error(), c.error) {
			t.Error(err)
		}
	}
}

// TestDiverges is a rate that no network stands.
func TestDiverges(t *testing.T) {
	l := learner(t, model.Regression, func(o *neural.Options) {
		o.Net, o.Rate = neural.Net{Hidden: []neural.Hidden{{5, engine.Linear}}}, 1e6
	})
	if err := learntest.Fails(t, l, learntest.Table(t, moons(50, false)), "y"); !strings.Contains(err.Error(), "Error 0033") || !strings.Contains(err.Error(), "learning rate") {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	for name, edit := range map[string]func(*neural.Options){
		"rate": func(o *neural.Options) { o.Rate = 0 }, "iterations": func(o *neural.Options) { o.Iterations = 0 },
		"diameter": func(o *neural.Options) { o.Diameter = math.NaN() }, "momentum": func(o *neural.Options) { o.Momentum = 1 },
		"normalizer": func(o *neural.Options) { o.Normalizer = 9 }, "nodes": func(o *neural.Options) { o.Net.Hidden = []neural.Hidden{{0, 0}} },
		"layers": func(o *neural.Options) { o.Net.Hidden = make([]neural.Hidden, 100) },
	} {
		o := neural.Defaults
		edit(&o)
		if _, err := neural.New(model.TwoClass, o); err == nil || !strings.Contains(err.Error(), "Error 0008") {
			t.Errorf("%s: %v", name, err)
		}
	}
	o := neural.Defaults
	if _, err := neural.New(model.Anomaly, o); err == nil {
		t.Error("a network of anomalies")
	}
	o.Net.Output = neural.Softmax
	if _, err := neural.New(model.Regression, o); err == nil {
		t.Error("a regression of softmax")
	}
	o.Net.Output = neural.Linear
	if _, err := neural.New(model.TwoClass, o); err == nil {
		t.Error("a linear classifier")
	}
}
