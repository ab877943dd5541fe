package descent_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn/descent"
	"github.com/portico-ml/portico/shared/learn/learntest"
)

func TestSuite(t *testing.T) {
	o, strict := descent.Defaults, descent.Defaults
	strict.UnknownLevels = false
	learntest.Suite{Learner: learntest.Must(descent.New(o)), Strict: learntest.Must(descent.New(strict)), Steps: 10, Weights: 0, Error: 1.5}.Run(t)
}
