package poisson_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/learn/poisson"
)

func learner(t testing.TB, o poisson.Options) learn.Learner {
	t.Helper()
	l, err := poisson.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// strict is o without unknown levels.
func strict(o poisson.Options) poisson.Options {
	o.UnknownLevels = false
	return o
}

func TestSuite(t *testing.T) {
	o := poisson.Defaults
	learntest.Suite{Learner: learner(t, o), Strict: learner(t, strict(o)), Steps: 5, Weights: 1e-6, Error: 1.2}.Run(t)
}
