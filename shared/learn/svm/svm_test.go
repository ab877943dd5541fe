package svm_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/learn/svm"
)

func learner(t testing.TB, o svm.Options) learn.Learner {
	t.Helper()
	l, err := svm.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// strict is o without unknown levels.
func strict(o svm.Options) svm.Options {
	o.UnknownLevels = false
	return o
}

func TestSuite(t *testing.T) {
	o := svm.Defaults
	learntest.Suite{Learner: learner(t, o), Strict: learner(t, strict(o)), Steps: 1, Weights: 0, Error: 0.1}.Run(t)
}
