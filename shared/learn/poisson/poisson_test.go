package poisson_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/learn/poisson"
)

func TestSuite(t *testing.T) {
	o, strict := poisson.Defaults, poisson.Defaults
	strict.UnknownLevels = false
	learntest.Suite{Learner: learntest.Must(poisson.New(o)), Strict: learntest.Must(poisson.New(strict)), Steps: 5, Weights: 1e-6, Error: 1.2}.Run(t)
}
