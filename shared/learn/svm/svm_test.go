package svm_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/learn/svm"
)

func TestSuite(t *testing.T) {
	o, strict := svm.Defaults, svm.Defaults
	strict.UnknownLevels = false
	learntest.Suite{Learner: learntest.Must(svm.New(o)), Strict: learntest.Must(svm.New(strict)), Steps: 1, Weights: 0, Error: 0.1}.Run(t)
}
