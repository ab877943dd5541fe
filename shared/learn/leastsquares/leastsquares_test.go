package leastsquares_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/learn/leastsquares"
)

func TestSuite(t *testing.T) {
	o, strict := leastsquares.Defaults, leastsquares.Defaults
	strict.UnknownLevels = false
	learntest.Suite{Learner: learntest.Must(leastsquares.New(o)), Strict: learntest.Must(leastsquares.New(strict)), Steps: 0, Weights: 1e-9, Error: 1.5}.Run(t)
}
