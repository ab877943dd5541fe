package evaluate

import (
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// golden is what testdata/make.py wrote.
type golden struct {
	TwoClass []struct {
		Name      string
		Y         []int
		P, W      []float64
		Metrics   map[string]float64
		Confusion [4]float64
		ROC       struct{ Threshold, FPR, TPR []float64 }
		Precision []float64
	}
	Multiclass []struct {
		Name      string
		Classes   []string
		Y, Said   []int32
		P         [][]float64
		W         []float64
		Metrics   map[string]float64
		Confusion [][]float64
	}
	Regression []struct {
		Name                    string
		Y, Scored, Deviation, W []float64
		Metrics                 map[string]float64
	}
	Quantiles []struct {
		Name    string
		Q, Y, W []float64
		Scored  [][]float64
		Metrics map[string]float64
	}
}

func load(t *testing.T) *golden {
	t.Helper()
	body, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	g := new(golden)
	if err := json.Unmarshal(body, g); err != nil {
		t.Fatal(err)
	}
	return g
}

const tolerance = 1e-10

func near(a, b float64) bool { return math.Abs(a-b) <= tolerance*max(1, math.Abs(b)) }

// compare holds metrics to those of the reference: the same names, the same
// values.
func compare(t *testing.T, got Metrics, want map[string]float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d metrics %v, want %d", len(got), got, len(want))
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if v := got.Get(name); !near(v, want[name]) {
			t.Errorf("%s is %v, want %v", name, v, want[name])
		}
	}
}

func labels(y []int) []bool {
	out := make([]bool, len(y))
	for i, v := range y {
		out[i] = v == 1
	}
	return out
}

func TestTwoClass(t *testing.T) {
	for _, g := range load(t).TwoClass {
		t.Run(g.Name, func(t *testing.T) {
			m, d := TwoClass(labels(g.Y), g.P, g.W)
			compare(t, m, g.Metrics)
			for i, v := range []float64{d.TruePositives, d.FalseNegatives, d.FalsePositives, d.TrueNegatives} {
				if !near(v, g.Confusion[i]) {
					t.Errorf("confusion %d is %v, want %v", i, v, g.Confusion[i])
				}
			}
			checkCurve(t, &d.Curve, g.ROC.Threshold, g.ROC.FPR, g.ROC.TPR, g.Precision)
			checkBins(t, d, g.P)
		})
	}
}

// checkCurve holds every point of the curve to the reference's point of that
// threshold; where the reference's are few, all of them must be there.
func checkCurve(t *testing.T, c *Curve, threshold, fpr, tpr, precision []float64) {
	t.Helper()
	if len(c.Threshold) > MaxCurve || len(c.Threshold) > len(threshold)+1 {
		t.Fatalf("%d points for %d thresholds", len(c.Threshold), len(threshold))
	}
	if len(threshold) < MaxCurve-1 && len(c.Threshold) != len(threshold)+1 {
		t.Errorf("%d points for %d thresholds", len(c.Threshold), len(threshold))
	}
	if !math.IsNaN(float64(c.Threshold[0])) || c.TruePositiveRate[0] != 0 || c.FalsePositiveRate[0] != 0 {
		t.Errorf("the curve begins at %v, %v", c.FalsePositiveRate[0], c.TruePositiveRate[0])
	}
	last := len(c.Threshold) - 1
	if c.TruePositiveRate[last] != 1 || c.FalsePositiveRate[last] != 1 || c.Fraction[last] != 1 || !near(float64(c.Lift[last]), 1) {
		t.Errorf("the curve ends at %v, %v", c.FalsePositiveRate[last], c.TruePositiveRate[last])
	}
	for i := 1; i <= last; i++ {
		k := slices.Index(threshold, float64(c.Threshold[i]))
		if k < 0 {
			t.Fatalf("threshold %v is not the reference's", c.Threshold[i])
		}
		if !near(c.FalsePositiveRate[i], fpr[k]) || !near(c.TruePositiveRate[i], tpr[k]) {
			t.Errorf("at %v the rates are %v, %v, want %v, %v", c.Threshold[i], c.FalsePositiveRate[i], c.TruePositiveRate[i], fpr[k], tpr[k])
		}
		if !near(float64(c.Precision[i]), precision[k]) {
			t.Errorf("at %v the precision is %v, want %v", c.Threshold[i], c.Precision[i], precision[k])
		}
		if want := float64(c.Precision[i]) / float64(c.Precision[last]); !near(float64(c.Lift[i]), want) {
			t.Errorf("at %v the lift is %v, want %v", c.Threshold[i], c.Lift[i], want)
		}
		if gap := c.FalsePositiveRate[i] + c.TruePositiveRate[i] - c.FalsePositiveRate[i-1] - c.TruePositiveRate[i-1]; len(threshold) > MaxCurve && gap > 0.15 {
			t.Errorf("a gap of %v before %v", gap, c.Threshold[i])
		}
	}
}

func checkBins(t *testing.T, d *TwoClassDetail, p []float64) {
	t.Helper()
	if len(d.Bins) != 10 {
		t.Fatalf("%d bins", len(d.Bins))
	}
	half := d.Bins[4] // from 0.5 on
	if half.From != 0.5 || !near(half.Accuracy, d.accuracy()) || !near(half.Precision, d.precision()) || !near(half.Recall, d.recall()) || !near(half.FScore, d.fscore()) {
		t.Errorf("the bin at 0.5 is %+v, the confusion %+v", half, d.Confusion)
	}
	if want := ratio(d.TrueNegatives, d.TrueNegatives+d.FalseNegatives); !near(half.NegativePrecision, want) {
		t.Errorf("negative precision %v, want %v", half.NegativePrecision, want)
	}
	if want := ratio(d.TrueNegatives, d.TrueNegatives+d.FalsePositives); !near(half.NegativeRecall, want) {
		t.Errorf("negative recall %v, want %v", half.NegativeRecall, want)
	}
	last := d.Bins[9]
	if last.FractionAbove != 1 || last.Recall != 1 || last.From != 0 {
		t.Errorf("the last bin is %+v", last)
	}
	sum := 0.0
	for _, b := range d.Bins {
		sum += b.Positives + b.Negatives
	}
	if !near(sum, d.total()) || len(p) == 0 {
		t.Errorf("the bins hold %v of %v", sum, d.total())
	}
}

func TestMulticlass(t *testing.T) {
	for _, g := range load(t).Multiclass {
		t.Run(g.Name, func(t *testing.T) {
			m, d := Multiclass(g.Classes, g.Y, g.Said, g.P, g.W)
			compare(t, m, g.Metrics)
			for a, row := range g.Confusion {
				for b, want := range row {
					if !near(d.Confusion[a][b], want) {
						t.Errorf("confusion %d,%d is %v, want %v", a, b, d.Confusion[a][b], want)
					}
				}
			}
			without, _ := Multiclass(g.Classes, g.Y, g.Said, nil, g.W)
			if v := without.Get(AUC); !math.IsNaN(v) || !math.IsNaN(without.Get(AverageLogLoss)) || !math.IsNaN(without.Get(TrainingLogLoss)) {
				t.Errorf("without probabilities the AUC is %v", v)
			}
			if v := without.Get(Accuracy); !near(v, g.Metrics[Accuracy]) {
				t.Errorf("without probabilities the accuracy is %v", v)
			}
		})
	}
}

func TestRegression(t *testing.T) {
	for _, g := range load(t).Regression {
		t.Run(g.Name, func(t *testing.T) {
			m, d := Regression(g.Y, g.Scored, g.Deviation, g.W)
			compare(t, m, g.Metrics)
			sum, total := 0.0, 0.0
			for i := range g.Y {
				total += weightOf(g.W, i)
			}
			for _, c := range d.Counts {
				sum += c
			}
			if !near(sum, total) || d.Edges[0] != 0 || d.Edges[len(d.Edges)-1] < max(-float64(d.Min), float64(d.Max))-1e-9 {
				t.Errorf("the histogram %+v holds %v of %v", d, sum, total)
			}
		})
	}
}

func TestQuantiles(t *testing.T) {
	for _, g := range load(t).Quantiles {
		t.Run(g.Name, func(t *testing.T) {
			compare(t, Quantiles(g.Q, g.Y, g.Scored, g.W), g.Metrics)
		})
	}
}

// TestWeightIsCount: weight 2 is the row twice.
func TestWeightIsCount(t *testing.T) {
	y, p := []bool{true, false, true, false, true}, []float64{0.9, 0.4, 0.4, 0.1, 0.7}
	w := []float64{1, 2, 3, 1, 1}
	var yy []bool
	var pp []float64
	for i, n := range w {
		for range int(n) {
			yy, pp = append(yy, y[i]), append(pp, p[i])
		}
	}
	a, _ := TwoClass(y, p, w)
	b, _ := TwoClass(yy, pp, nil)
	for i := range a {
		if !near(float64(a[i].Value), float64(b[i].Value)) {
			t.Errorf("%s: %v by weights, %v by rows", a[i].Name, a[i].Value, b[i].Value)
		}
	}
}

func TestDegenerate(t *testing.T) {
	m, d := TwoClass([]bool{false, false}, []float64{0.2, 0.7}, nil)
	if !math.IsNaN(m.Get(AUC)) || !math.IsNaN(m.Get(TrainingLogLoss)) || m.Get(Accuracy) != 0.5 || m.Get(Recall) != 0 || m.Get(Precision) != 0 {
		t.Errorf("of one class: %v", m)
	}
	if _, err := json.Marshal(d); err != nil {
		t.Error(err)
	}
	m, _ = TwoClass([]bool{true}, []float64{0}, nil)
	if v := m.Get(AverageLogLoss); !near(v, -math.Log(0x1p-52)) {
		t.Errorf("a certain error costs %v", v)
	}
	m, e := Regression([]float64{3, 3}, []float64{3, 4}, nil, nil)
	if !math.IsNaN(m.Get(RelativeAbsoluteError)) || !math.IsNaN(m.Get(CoefficientOfDetermination)) || m.Get(MeanAbsoluteError) != 0.5 {
		t.Errorf("of one value: %v", m)
	}
	if e.Counts[0] != 1 || e.Counts[9] != 1 {
		t.Errorf("errors %+v", e)
	}
	c := Clustering([]int32{0, 0}, [][]float64{{1, 3}})
	if c[0].ToCenter != 2 || !math.IsNaN(float64(c[0].ToOther)) || c[0].Maximal != 3 || c[1].Points != 2 {
		t.Errorf("of one cluster: %+v", c)
	}
	body, err := json.Marshal(c)
	if err != nil || !json.Valid(body) {
		t.Errorf("%s %v", body, err)
	}
}

func TestClustering(t *testing.T) {
	// Three rows of two clusters; cluster 2 is empty.
	got := Clustering([]int32{0, 0, 1}, [][]float64{{1, 2, 9}, {5, 8, 3}, {7, 4, 5}})
	want := []Cluster{
		{"Combined Evaluation", 2, (6 + 6 + 7) / 3.0, 3, 3},
		{"Evaluation For Cluster No.0", 1.5, 6, 2, 2},
		{"Evaluation For Cluster No.1", 3, 7, 1, 3},
	}
	for i, w := range want {
		if g := got[i]; g.Description != w.Description || !near(float64(g.ToCenter), float64(w.ToCenter)) || !near(float64(g.ToOther), float64(w.ToOther)) || g.Points != w.Points || g.Maximal != w.Maximal {
			t.Errorf("line %d is %+v, want %+v", i, g, w)
		}
	}
	if e := got[3]; e.Points != 0 || !math.IsNaN(float64(e.ToCenter)) || !math.IsNaN(float64(e.Maximal)) {
		t.Errorf("the empty cluster is %+v", e)
	}
}

func TestBetter(t *testing.T) {
	for _, m := range []string{Accuracy, Precision, Recall, FScore, AUC, TrainingLogLoss, CoefficientOfDetermination} {
		if !Better(m, 2, 1) || Better(m, 1, 2) || Better(m, 1, 1) {
			t.Errorf("%s: more is better", m)
		}
	}
	for _, m := range []string{AverageLogLoss, MeanAbsoluteError, RootMeanSquaredError, RelativeAbsoluteError, RelativeSquaredError, AverageQuantileLoss} {
		if Better(m, 2, 1) || !Better(m, 1, 2) {
			t.Errorf("%s: less is better", m)
		}
	}
	if Better(AUC, math.NaN(), 0) || !Better(AUC, 0, math.NaN()) || Better(AUC, math.NaN(), math.NaN()) {
		t.Error("NaN is the worst")
	}
}

func TestMetricsInJSON(t *testing.T) {
	in := Metrics{{AUC, Number(math.NaN())}, {Accuracy, 0.25}, {Recall, Number(math.Inf(1))}}
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out Metrics
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(out.Get(AUC)) || out.Get(Accuracy) != 0.25 || !math.IsNaN(out.Get(Recall)) || len(out) != 3 {
		t.Errorf("%s", body)
	}
}

func BenchmarkTwoClass(b *testing.B) {
	const n = 1_000_000
	rng := rand.New(rand.NewPCG(1, 2))
	y, p := make([]bool, n), make([]float64, n)
	for i := range p {
		p[i] = rng.Float64()
		y[i] = rng.Float64() < p[i]
	}
	for b.Loop() {
		TwoClass(y, p, nil)
	}
}
