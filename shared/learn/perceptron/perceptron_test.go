package perceptron_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/learntest"
	"github.com/portico-ml/portico/shared/learn/perceptron"
)

func learner(t testing.TB, o perceptron.Options) learn.Learner {
	t.Helper()
	l, err := perceptron.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// strict is o without unknown levels.
func strict(o perceptron.Options) perceptron.Options {
	o.UnknownLevels = false
	return o
}

func TestSuite(t *testing.T) {
	o := perceptron.Defaults
	learntest.Suite{Learner: learner(t, o), Strict: learner(t, strict(o)), Steps: 10, Weights: 0, Error: 0.1}.Run(t)
}
