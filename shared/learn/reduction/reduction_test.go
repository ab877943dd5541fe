package reduction_test

import (
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/boost"
	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/learn/logistic"
	"github.com/portico-ml/portico/shared/learn/reduction"
)

func base(t testing.TB, unknown bool) learn.Learner {
	t.Helper()
	o := logistic.Defaults
	o.UnknownLevels = unknown
	l, err := logistic.TwoClass(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSuite(t *testing.T) {
	for _, wrap := range []func(learn.Learner) (*reduction.Learner, error){reduction.OneVsAll, reduction.Ordinal} {
		l, err := wrap(base(t, true))
		if err != nil {
			t.Fatal(err)
		}
		strict, err := wrap(base(t, false))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(l.Name(), func(t *testing.T) {
			learntest.Suite{Learner: l, Strict: strict, Steps: 12, Weights: 1e-6, Error: 0.15}.Run(t)
		})
	}
}

// TestOrdinalOfTrees is a base that has no weights for thresholds: it reads
// their number.
func TestOrdinalOfTrees(t *testing.T) {
	trees := func(unknown bool) learn.Learner {
		base, err := boost.TwoClass(boost.Options{Leaves: 20, MinLeaf: 10, Rate: 0.2, Rounds: 20, UnknownLevels: unknown})
		if err != nil {
			t.Fatal(err)
		}
		l, err := reduction.Ordinal(base)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	learntest.Suite{Learner: trees(true), Strict: trees(false), Steps: 20, Weights: 0, Error: 0.15}.Run(t)
}

// TestOrdinalMemory refuses what would not fit.
func TestOrdinalMemory(t *testing.T) {
	l, err := reduction.Ordinal(base(t, true))
	if err != nil {
		t.Fatal(err)
	}
	const rows = 20_000
	d := &learn.Data{Rows: rows, Classes: rows, X: [][]float64{make([]float64, rows)}, Levels: []int{0}, Label: make([]float64, rows)}
	if _, err := l.Train(t.Context(), d, learn.NewSession()); err == nil || !strings.Contains(err.Error(), "Error 0138: 20000 rows") {
		t.Error(err)
	}
}
