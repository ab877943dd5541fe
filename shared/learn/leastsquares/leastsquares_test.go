package leastsquares_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/learn/leastsquares"
)

func learner(t testing.TB, o leastsquares.Options) learn.Learner {
	t.Helper()
	l, err := leastsquares.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// strict is o without unknown levels.
func strict(o leastsquares.Options) leastsquares.Options {
	o.UnknownLevels = false
	return o
}

func TestSuite(t *testing.T) {
	o := leastsquares.Defaults
	learntest.Suite{Learner: learner(t, o), Strict: learner(t, strict(o)), Steps: 0, Weights: 1e-9, Error: 1.5}.Run(t)
}
