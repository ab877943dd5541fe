package logistic_test

import (
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
