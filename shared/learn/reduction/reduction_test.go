package reduction_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn"
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
