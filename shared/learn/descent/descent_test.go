package descent_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/descent"
	"github.com/portico-ml/portico/shared/learn/learntest"
)

func learner(t testing.TB, o descent.Options) learn.Learner {
	t.Helper()
	l, err := descent.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// strict is o without unknown levels.
func strict(o descent.Options) descent.Options {
	o.UnknownLevels = false
	return o
}

func TestSuite(t *testing.T) {
	o := descent.Defaults
	learntest.Suite{Learner: learner(t, o), Strict: learner(t, strict(o)), Steps: 10, Weights: 0, Error: 1.5}.Run(t)
}
