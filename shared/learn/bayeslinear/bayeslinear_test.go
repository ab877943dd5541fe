package bayeslinear_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn/bayeslinear"
	"github.com/portico-ml/portico/shared/learn/learntest"
)

func TestSuite(t *testing.T) {
	o, strict := bayeslinear.Defaults, bayeslinear.Defaults
	strict.UnknownLevels = false
	learntest.Suite{Learner: learntest.Must(bayeslinear.New(o)), Strict: learntest.Must(bayeslinear.New(strict)), Steps: 0, Weights: 1e-9, Error: 1.5}.Run(t)
}
