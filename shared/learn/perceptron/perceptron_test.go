package perceptron_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/learn/perceptron"
)

func TestSuite(t *testing.T) {
	o, strict := perceptron.Defaults, perceptron.Defaults
	strict.UnknownLevels = false
	learntest.Suite{Learner: learntest.Must(perceptron.New(o)), Strict: learntest.Must(perceptron.New(strict)), Steps: 10, Weights: 0, Error: 0.1}.Run(t)
}
