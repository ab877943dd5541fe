package logistic_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/learn/logistic"
)

// must returns the learner of options that are known to be good.
func must(t testing.TB, l *logistic.Learner, err error) learn.Learner {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSuite(t *testing.T) {
	small := logistic.Defaults
	small.L1 = 0
	for name, o := range map[string]logistic.Options{"L1 and L2": logistic.Defaults, "L2": small} {
		strict := o
		strict.UnknownLevels = false
		t.Run(name, func(t *testing.T) {
			l, err := logistic.TwoClass(o)
			s, _ := logistic.TwoClass(strict)
			learntest.Suite{Learner: must(t, l, err), Strict: s, Steps: 5, Weights: 1e-6, Error: 0.1}.Run(t)
			l, err = logistic.Multiclass(o)
			s, _ = logistic.Multiclass(strict)
			learntest.Suite{Learner: must(t, l, err), Strict: s, Steps: 5, Weights: 1e-6, Error: 0.15}.Run(t)
		})
	}
}

// BenchmarkTrain learns from 80,000 rows of 100 features.
func BenchmarkTrain(b *testing.B) {
	const rows, features = 80_000, 100
	rng := rand.New(rand.NewPCG(1, 2))
	d := &learn.Data{Rows: rows, Classes: 2, Label: make([]float64, rows), Levels: make([]int, features)}
	s := make([]float64, rows)
	for range features {
		x, w := make([]float64, rows), 0.2*rng.NormFloat64()
		for r := range x {
			x[r] = rng.NormFloat64()
			s[r] += w * x[r]
		}
		d.X = append(d.X, x)
	}
	for r, v := range s {
		if rng.Float64() < 1/(1+math.Exp(-v)) {
			d.Label[r] = 1
		}
	}
	for _, l1 := range []float64{0, 1} {
		b.Run(fmt.Sprintf("L1 %v", l1), func(b *testing.B) {
			o := logistic.Defaults
			o.L1 = l1
			l, err := logistic.TwoClass(o)
			learner := must(b, l, err)
			for b.Loop() {
				if _, err := learner.Train(b.Context(), d, learn.NewSession()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
