package boost_test

import (
	"testing"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/boost"
	"github.com/portico-ml/portico/shared/learn/learntest"
)

// options are the Studio's defaults.
func options() boost.Options {
	return boost.Options{Leaves: 20, MinLeaf: 10, Rate: 0.2, Rounds: 100, UnknownLevels: true}
}

func must(t testing.TB, l *boost.Learner, err error) learn.Learner {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSuites(t *testing.T) {
	for _, kind := range []struct {
		name    string
		learner func(boost.Options) (*boost.Learner, error)
		error   float64
	}{
		{"two classes", boost.TwoClass, 0.06},
		{"many classes", boost.Multiclass, 0.08},
		{"numbers", boost.Regression, 0.35},
	} {
		t.Run(kind.name, func(t *testing.T) {
			o := options()
			o.Rounds = 20
			l, err := kind.learner(o)
			learner := must(t, l, err)
			o.UnknownLevels = false
			l, err = kind.learner(o)
			// Bins count rows, not weights: see TestWeights.
			learntest.Suite{Learner: learner, Strict: must(t, l, err), Steps: 20, Error: kind.error}.Run(t)
		})
	}
}
