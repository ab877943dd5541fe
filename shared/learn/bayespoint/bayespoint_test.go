package bayespoint_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/bayespoint"
	"github.com/portico-ml/portico/shared/learn/learntest"
)

func learner(t testing.TB, o bayespoint.Options) learn.Learner {
	t.Helper()
	l, err := bayespoint.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// strict is o without unknown levels.
func strict(o bayespoint.Options) bayespoint.Options {
	o.UnknownLevels = false
	return o
}

func TestSuite(t *testing.T) {
	o := bayespoint.Defaults
	learntest.Suite{Learner: learner(t, o), Strict: learner(t, strict(o)), Steps: 3, Weights: 1e-6, Error: 0.1}.Run(t)
}
