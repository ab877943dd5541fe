package bayespoint_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn/bayespoint"
	"github.com/portico-ml/portico/shared/learn/learntest"
)

func TestSuite(t *testing.T) {
	o, strict := bayespoint.Defaults, bayespoint.Defaults
	strict.UnknownLevels = false
	learntest.Suite{Learner: learntest.Must(bayespoint.New(o)), Strict: learntest.Must(bayespoint.New(strict)), Steps: 3, Weights: 1e-6, Error: 0.1}.Run(t)
}
