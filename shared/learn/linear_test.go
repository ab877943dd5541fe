package learn_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/bayeslinear"
	"github.com/portico-ml/portico/shared/learn/bayespoint"
	"github.com/portico-ml/portico/shared/learn/descent"
	"github.com/portico-ml/portico/shared/learn/glm"
	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/learn/leastsquares"
	"github.com/portico-ml/portico/shared/learn/logistic"
	"github.com/portico-ml/portico/shared/learn/perceptron"
	"github.com/portico-ml/portico/shared/learn/platt"
	"github.com/portico-ml/portico/shared/learn/poisson"
	"github.com/portico-ml/portico/shared/learn/reduction"
	"github.com/portico-ml/portico/shared/learn/svm"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/linear"
)

// golden is a case of testdata/linear/goldens.json.
type golden struct {
	Name, Learner, Table, Label string
	Drop                        []string
	Options                     struct {
		L1, L2, Lambda, Slope, Offset float64
		Intercept                     bool
	}
	Predictions []json.RawMessage
	Features    []string
	Weights     [][]float64
	Bases       []float64
}

func (g *golden) glm() glm.Options {
	o := glm.Defaults
	o.L1, o.L2 = g.Options.L1, g.Options.L2
	return o
}

// learner is the case's, with the loss that the objective adds up and the
// scale of the penalized weights: by each feature's range, or their own.
func (g *golden) learner(t *testing.T) (l learn.Learner, loss func(y float64, s []float64) float64, ranges bool) {
	t.Helper()
	var err error
	two := func() learn.Learner {
		l, err := logistic.TwoClass(logistic.Options{Options: g.glm()})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	switch g.Learner {
	case "logistic":
		return two(), func(y float64, s []float64) float64 { return math.Log1p(math.Exp((1 - 2*y) * s[0])) }, true
	case "multinomial":
		l, err = logistic.Multiclass(logistic.Options{Options: g.glm()})
		loss = func(y float64, s []float64) float64 {
			top, sum := slices.Max(s), 0.0
			for _, v := range s {
				sum += math.Exp(v - top)
			}
			return math.Log(sum) + top - s[int(y)]
		}
		ranges = true
	case "poisson":
		l, err = poisson.New(poisson.Options{Options: g.glm()})
		loss, ranges = func(y float64, s []float64) float64 { return math.Exp(s[0]) - y*s[0] }, true
	case "squares":
		l, err = leastsquares.New(leastsquares.Options{L2: g.Options.L2, Intercept: g.Options.Intercept})
		// Half of what it says, so that the penalty is half of the squares.
		loss = func(y float64, s []float64) float64 { return (y - s[0]) * (y - s[0]) / 2 }
	case "bayes":
		l, err = bayeslinear.New(bayeslinear.Options{Regularization: g.Options.L2})
	case "one-vs-all":
		l, err = reduction.OneVsAll(two())
	case "ordinal":
		l, err = reduction.Ordinal(two())
	case "bayes-point":
		l, err = bayespoint.New(bayespoint.Options{Iterations: 100, Bias: true})
	default:
		t.Fatalf("no learner %q", g.Learner)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l, loss, ranges
}

func (g *golden) table(t *testing.T) *frame.Frame {
	t.Helper()
	f := learntest.File(t, filepath.Join("testdata/linear", g.Table))
	for _, name := range g.Drop {
		f.Col(name).Field.Role = frame.ID
	}
	return f
}

func goldens(t *testing.T) []golden {
	t.Helper()
	data, err := os.ReadFile("testdata/linear/goldens.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAgainstReferences holds the exact learners to scikit-learn's and to
// closed forms: the same predictions, and the same value of the objective.
func TestAgainstReferences(t *testing.T) {
	for _, g := range goldens(t) {
		if g.Learner == "svm" || g.Learner == "platt" {
			continue
		}
		t.Run(g.Learner+" "+g.Name, func(t *testing.T) {
			l, loss, ranges := g.learner(t)
			f := g.table(t)
			d, b, err := learn.Prepare(l, learn.Request{Frame: f, Label: g.Label})
			if err != nil {
				t.Fatal(err)
			}
			trained, err := l.Train(t.Context(), d, learn.NewSession())
			if err != nil {
				t.Fatal(err)
			}
			artifact, err := b.Encode(trained)
			if err != nil {
				t.Fatal(err)
			}
			g.predictions(t, learntest.Score(t, artifact, f), b)
			if g.Weights != nil {
				g.objective(t, d, b, trained, loss, ranges)
			}
		})
	}
}

// predictions compares those of the rows that were learned from.
func (g *golden) predictions(t *testing.T, scored *frame.Frame, b *learn.Binding) {
	t.Helper()
	columns := scored.Cols
	if b.Label().Classes != nil { // the label is not compared
		columns = slices.DeleteFunc(slices.Clone(columns), func(c *frame.Column) bool { return c.Field.Name == model.ScoredLabels })
	}
	worst := 0.0
	for i, raw := range g.Predictions {
		row := i
		if b.Kept != nil {
			row = b.Kept[i]
		}
		var want []float64
		if raw[0] != '[' {
			raw = json.RawMessage("[" + string(raw) + "]")
		}
		if err := json.Unmarshal(raw, &want); err != nil || len(want) != len(columns) {
			t.Fatalf("%d predictions of row %d for %d columns: %v", len(want), row, len(columns), err)
		}
		for k, c := range columns {
			worst = max(worst, math.Abs(c.Float(row)-want[k])/max(1, math.Abs(want[k])))
		}
	}
	if !(worst <= 1e-5) {
		t.Errorf("predictions differ by %v", worst)
	}
}

// objective compares its values at the two solutions.
func (g *golden) objective(t *testing.T, d *learn.Data, b *learn.Binding, trained *learn.Trained, loss func(float64, []float64) float64, ranges bool) {
	t.Helper()
	if len(b.Features()) != len(g.Features) {
		t.Fatalf("%d features, the reference has %d", len(b.Features()), len(g.Features))
	}
	order := make([]int, len(g.Features)) // of the reference's features
	for i, f := range b.Features() {
		if order[i] = slices.Index(g.Features, f.Name); order[i] < 0 {
			t.Fatalf("the reference has no feature %q", f.Name)
		}
	}
	m, err := linear.Open(trained.Body)
	if err != nil {
		t.Fatal(err)
	}
	n, outputs := m.Features(), m.Outputs()
	ones := make([]float64, n)
	for i := range ones {
		ones[i] = 1
	}
	own := make([]float64, outputs*(n+1)) // weights and base of each output
	m.Contributions(ones, 1, own)
	theirs := make([]float64, 0, len(own))
	for k := range outputs {
		for i := range n {
			theirs = append(theirs, g.Weights[k][order[i]])
		}
		theirs = append(theirs, g.Bases[k])
	}
	at := func(w []float64) float64 {
		total, s := 0.0, make([]float64, outputs)
		for r := range d.Rows {
			for k := range s {
				s[k] = w[k*(n+1)+n]
				for f := range n {
					s[k] += w[k*(n+1)+f] * d.X[f][r]
				}
			}
			total += loss(d.Label[r], s)
		}
		for k := range outputs {
			for f := range n {
				v := w[k*(n+1)+f]
				if ranges {
					v *= slices.Max(d.X[f]) - slices.Min(d.X[f])
				}
				total += g.Options.L1*math.Abs(v) + g.Options.L2/2*v*v
			}
		}
		return total
	}
	a, c := at(own), at(theirs)
	if !(math.Abs(a-c) <= 1e-8*math.Abs(c)) {
		t.Errorf("the objective is %.12g, at the reference's solution %.12g", a, c)
	}
}

// TestSVMNearsTheOptimum goes through the rows many times.
func TestSVMNearsTheOptimum(t *testing.T) {
	for _, g := range goldens(t) {
		if g.Learner != "svm" {
			continue
		}
		l, err := svm.New(svm.Options{Iterations: 2000, Lambda: g.Options.Lambda, Normalize: true})
		if err != nil {
			t.Fatal(err)
		}
		d, _, err := learn.Prepare(l, learn.Request{Frame: g.table(t), Label: g.Label})
		if err != nil {
			t.Fatal(err)
		}
		trained, err := l.Train(t.Context(), d, learn.NewSession())
		if err != nil {
			t.Fatal(err)
		}
		m, err := linear.Open(trained.Body)
		if err != nil {
			t.Fatal(err)
		}
		var want float64
		if err := json.Unmarshal(g.Predictions[0], &want); err != nil {
			t.Fatal(err)
		}
		if got := hinge(d, m, g.Options.Lambda); got > want*1.01 || got < want*(1-1e-9) {
			t.Errorf("%s: the objective is %v, the best %v", g.Name, got, want)
		}
	}
}

// hinge is the SVM's objective of a model whose sigmoid's slope and offset are
// folded into its weights: of the best such slope and offset, by a search.
func hinge(d *learn.Data, m *linear.Model, lambda float64) float64 {
	n := m.Features()
	x := make([]float64, n*d.Rows)
	for f := range n {
		copy(x[f*d.Rows:], d.X[f])
	}
	s := make([]float64, d.Rows)
	m.Predict(x, d.Rows, s)
	ones, w := make([]float64, n), make([]float64, n+1)
	for f := range ones {
		ones[f] = slices.Max(d.X[f]) - slices.Min(d.X[f])
	}
	m.Contributions(ones, 1, w)
	square := 0.0
	for _, v := range w[:n] {
		square += v * v
	}
	at := func(slope, offset float64) float64 {
		sum := 0.0
		for r, y := range d.Label {
			if short := 1 - (2*y-1)*(slope*s[r]+offset); short > 0 {
				sum += short * short / 2
			}
		}
		return lambda/2*slope*slope*square + sum/float64(d.Rows)
	}
	best, slope, offset := math.Inf(1), 0.0, 0.0
	for step := 1.0; step > 1e-7; step /= 2 {
		for range 20 {
			for _, move := range [][2]float64{{step, 0}, {-step, 0}, {0, step}, {0, -step}} {
				if v := at(slope+move[0], offset+move[1]); v < best {
					best, slope, offset = v, slope+move[0], offset+move[1]
				}
			}
		}
	}
	return best
}

// TestPlatt compares the sigmoid with scikit-learn's.
func TestPlatt(t *testing.T) {
	for _, g := range goldens(t) {
		if g.Learner != "platt" {
			continue
		}
		f := g.table(t)
		x, label := f.Cols[0], f.Col(g.Label)
		s, y := make([]float64, f.Rows()), make([]float64, f.Rows())
		for r := range s {
			s[r] = g.Options.Slope*x.Float(r) + g.Options.Offset
			if string(label.Print(nil, r)) == "malignant" {
				y[r] = 1
			}
		}
		slope, offset := platt.Fit(s, y, nil)
		for r, raw := range g.Predictions {
			var want float64
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			if got := 1 / (1 + math.Exp(-slope*s[r]-offset)); math.Abs(got-want) > 1e-6 {
				t.Fatalf("row %d has probability %v, want %v", r, got, want)
			}
		}
	}
}

// TestNearLogistic holds the two-class learners without an exact reference to
// logistic regression on rows they have not seen.
func TestNearLogistic(t *testing.T) {
	must := func(l learn.Learner, err error) learn.Learner {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	reference := must(logistic.TwoClass(logistic.Defaults))
	others := []learn.Learner{must(perceptron.New(perceptron.Defaults)), must(svm.New(svm.Defaults)), must(bayespoint.New(bayespoint.Defaults))}
	for _, g := range []golden{
		{Table: "../../../../infra/samples/churn/customers_train.csv", Label: "churn", Drop: []string{"customer_id"}},
		{Table: "breast_cancer.csv", Label: "label"},
	} {
		f := g.table(t)
		var odd, even []int
		for r := range f.Rows() {
			if r%3 == 0 {
				even = append(even, r)
			} else {
				odd = append(odd, r)
			}
		}
		train, test := f.Take(odd), f.Take(even)
		auc := func(l learn.Learner) float64 {
			artifact := learntest.Train(t, l, train, g.Label)
			m, err := model.Open(artifact)
			if err != nil {
				t.Fatal(err)
			}
			positive := make([]bool, test.Rows())
			for r := range positive {
				positive[r] = string(test.Col(g.Label).Print(nil, r)) == m.Header().Label.Positive
			}
			return learntest.AUC(learntest.Numbers(t, learntest.Score(t, artifact, test), model.ScoredProbabilities), positive)
		}
		want := auc(reference)
		for _, l := range others {
			if got := auc(l); got < want-0.02 {
				t.Errorf("%s on %s has an AUC of %.4f, logistic regression %.4f", l.Name(), g.Table, got, want)
			}
		}
	}
}

// TestRefusals are options and tables that cannot be learned with.
func TestRefusals(t *testing.T) {
	fails := func(want string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for want, o := range map[string]glm.Options{
		"Error 0008: the regularization weights L1 -1": {L1: -1, Tolerance: 1, Memory: 1},
		"L2 NaN": {L2: math.NaN(), Tolerance: 1, Memory: 1},
		"Error 0008: the optimization tolerance 0": {Memory: 1},
		"Error 0008: the memory size 0":            {Tolerance: 1},
		"Error 0008: the memory size 1001":         {Tolerance: 1, Memory: 1001},
	} {
		_, err := logistic.TwoClass(logistic.Options{Options: o})
		fails(want, err)
		_, err = logistic.Multiclass(logistic.Options{Options: o})
		fails(want, err)
		_, err = poisson.New(poisson.Options{Options: o})
		fails(want, err)
	}
	_, err := perceptron.New(perceptron.Options{Iterations: 1})
	fails("Error 0008: the learning rate 0", err)
	_, err = perceptron.New(perceptron.Options{Rate: 1})
	fails("Error 0008: 0 iterations", err)
	_, err = svm.New(svm.Options{Iterations: 1})
	fails("Error 0008: lambda 0", err)
	_, err = svm.New(svm.Options{Lambda: 1})
	fails("Error 0008: 0 iterations", err)
	_, err = bayespoint.New(bayespoint.Options{})
	fails("Error 0008: 0 training iterations", err)
	_, err = descent.New(descent.Options{Epochs: 1})
	fails("Error 0008: the learning rate 0", err)
	_, err = descent.New(descent.Options{Rate: 1})
	fails("Error 0008: 0 training epochs", err)
	_, err = descent.New(descent.Options{Rate: 1, Epochs: 1, L2: -2})
	fails("Error 0008: the regularization weight -2", err)
	_, err = leastsquares.New(leastsquares.Options{L2: math.Inf(1)})
	fails("Error 0008: the regularization weight +Inf", err)
	_, err = bayeslinear.New(bayeslinear.Options{})
	fails("Error 0008: the regularization weight 0", err)

	counts, err := poisson.New(poisson.Defaults)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrap := range []func(learn.Learner) (*reduction.Learner, error){reduction.OneVsAll, reduction.Ordinal} {
		_, err = wrap(counts)
		fails(`Error 0013: `, err)
	}
	table := func(labels string) *frame.Frame { return learntest.Table(t, "x,y\n"+labels) }
	fails("Error 0018: the label -1", learntest.Fails(t, counts, table("1,2\n2,0\n3,4\n4,-1\n5,1\n"), "y"))
	fails("Error 0134: the label is 0 in every row", learntest.Fails(t, counts, table("1,0\n2,0\n3,0\n4,0\n5,0\n"), "y"))
	bayesian, err := bayeslinear.New(bayeslinear.Defaults)
	if err != nil {
		t.Fatal(err)
	}
	light := learntest.Table(t, "x,y,weight\n1,2,0.2\n2,1,0.2\n3,4,0.2\n4,3,0.2\n5,5,0.2\n6,4,0.2\n")
	fails("Error 0134: 1.2 rows", learntest.Fails(t, bayesian, light, "y"))
}
