package forest

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/model"
)

// TestPinball compares quantiles with those of scikit-learn, on ten folds: the
// mean loss must not be more than 1 % higher, or within one standard error of
// the folds' differences.
func TestPinball(t *testing.T) {
	b, err := os.ReadFile("testdata/quantiles.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Quantiles []float64
		Losses    map[string][][]float64 // by fold and quantile
	}
	if err := json.Unmarshal(b, &golden); err != nil {
		t.Fatal(err)
	}
	f := learntest.File(t, "testdata/diabetes.csv")
	fold := f.Col("fold")
	f = &frame.Frame{Cols: f.Cols[1:]}
	l := learntest.Must(NewQuantile(QuantileOptions{Quantiles: golden.Quantiles}))
	var ours [][]float64
	for k := range int64(10) {
		var train, test []int
		for r := range f.Rows() {
			if int64(fold.Float(r)) == k {
				test = append(test, r)
			} else {
				train = append(train, r)
			}
		}
		held := f.Take(test)
		scored, y := learntest.Score(t, learntest.Train(t, l, f.Take(train), "target"), held), held.Col("target")
		losses := make([]float64, len(golden.Quantiles))
		for i, q := range golden.Quantiles {
			for r, v := range learntest.Numbers(t, scored, model.ScoredQuantile(q)) {
				e := y.Float(r) - v
				losses[i] += max(q*e, (q-1)*e) / float64(len(test))
			}
		}
		ours = append(ours, losses)
	}
	for name, theirs := range golden.Losses {
		for i, q := range golden.Quantiles {
			mean, reference := 0.0, 0.0
			for k := range ours {
				mean += ours[k][i] / 10
				reference += theirs[k][i] / 10
			}
			variance := 0.0
			for k := range ours {
				d := ours[k][i] - theirs[k][i] - (mean - reference)
				variance += d * d / 9
			}
			t.Logf("quantile %v: %.4g, scikit-learn's %s %.4g", q, mean, name, reference)
			if mean-reference > max(0.01*reference, math.Sqrt(variance/10)) {
				t.Errorf("quantile %v: a loss of %v, scikit-learn's %s has %v", q, mean, name, reference)
			}
		}
	}
}
