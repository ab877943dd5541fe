// Package forest trains forests of decision trees that are grown apart from
// one another: decision forests for classes and for values, and forests that
// answer quantiles.
//
// A decision forest (Criminisi and Shotton, Decision Forests for Computer
// Vision and Medical Image Analysis, Springer 2013) measures at every node some
// splits that it draws at random and takes the best; its trees differ by those
// draws and by the rows that each is grown on. Trees are grown in parallel,
// each from random numbers of its own, so that a forest does not depend on the
// number of workers.
package forest

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/binned"
	"github.com/portico-ml/portico/shared/learn/grow"
	"github.com/portico-ml/portico/shared/model"
)

// Options of decision forests. The zero value of a number is the Studio's
// default.
type Options struct {
	// Trees is the number of trees, 8 by default.
	Trees int
	// Depth is the most tests on a way from a root to a leaf, 32 by default.
	Depth int
	// Splits is the number of random splits that are measured per node, 128 by
	// default.
	Splits int
	// LeafRows is the fewest samples in a leaf, 1 by default.
	LeafRows int
	// Replicate grows every tree on all rows; otherwise each is grown on as
	// many rows as there are, drawn with replacement.
	Replicate bool
	// UnknownLevels scores levels that training did not see like those of the
	// larger side of each split; otherwise they are missing.
	UnknownLevels bool
	Seed          uint64
}

// number is an option that is at least 1.
type number struct {
	name      string
	value     *int
	otherwise int // what 0 means
}

func atLeastOne(numbers ...number) error {
	for _, n := range numbers {
		if *n.value == 0 {
			*n.value = n.otherwise
		}
		if *n.value < 1 {
			return learn.Errorf(8, "%d %s: at least 1 is needed", *n.value, n.name)
		}
	}
	return nil
}

// check completes o.
func (o Options) check() (Options, error) {
	err := atLeastOne(
		number{"trees", &o.Trees, 8}, number{"tests on a way", &o.Depth, 32}, number{"splits per node", &o.Splits, 128},
		number{"samples per leaf", &o.LeafRows, 1},
	)
	if err == nil && o.Trees > maxTrees {
		err = learn.Errorf(8, "%d trees: the most is %d", o.Trees, maxTrees)
	}
	return o, err
}

const maxTrees = 1 << 14

// Forest is a learner of decision forests.
type Forest struct {
	name string
	kind model.Kind
	o    Options
}

// TwoClass returns the learner of forests for two classes. Each leaf has the
// share of the positive class, and the answer is the mean over the trees.
func TwoClass(o Options) (*Forest, error) {
	return newForest("Two-Class Decision Forest", model.TwoClass, o)
}

// Multiclass returns the learner of forests for several classes. Each leaf has
// the shares of the classes, and the answer is their mean over the trees.
func Multiclass(o Options) (*Forest, error) {
	return newForest("Multiclass Decision Forest", model.Multiclass, o)
}

// Regression returns the learner of forests for values. Each leaf is a
// Gaussian, and the answer the Gaussian that has the first two moments of the
// mixture of the trees'.
func Regression(o Options) (*Forest, error) {
	return newForest("Decision Forest Regression", model.Distribution, o)
}

func newForest(name string, kind model.Kind, o Options) (*Forest, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	return &Forest{name, kind, o}, nil
}

// Name returns the learner's name.
func (f *Forest) Name() string { return f.name }

// Kind returns what the trained model answers.
func (f *Forest) Kind() model.Kind { return f.kind }

// Form returns how the learner wants columns.
func (f *Forest) Form() learn.Form {
	return learn.Form{Codes: true, UnknownLevels: f.o.UnknownLevels}
}

// Train grows a forest.
func (f *Forest) Train(ctx context.Context, d *learn.Data, s *learn.Session) (*learn.Trained, error) {
	draws := grow.Rows(d)
	var scale valueScale
	if d.Classes == 0 {
		var err error
		if scale, err = rescale(d, draws); err != nil {
			return nil, err
		}
	}
	m := binned.New(d, binned.Options{Seed: f.o.Seed}, s)
	logs := grow.NewLogs(d.Rows)
	grown, err := grow.Ensemble(ctx, s, f.o.Trees, f.o.Seed, func() func(*rand.Rand) *tree {
		g := &grower{ctx: ctx, m: m, depth: f.o.Depth, pick: &randomSplits{splits: f.o.Splits, order: make([]int, len(m.Features))}}
		if d.Classes == 0 {
			g.search, g.leaf = grow.ByValue(m, f.o.LeafRows), momentLeaf
		} else {
			g.search, g.leaf = grow.ByClass(m, d.Classes, f.o.LeafRows, logs), classLeaf(d.Classes)
		}
		return func(random *rand.Rand) *tree { return g.grow(f.resample(draws, random), random) }
	})
	if err != nil {
		return nil, err
	}
	switch f.kind {
	case model.TwoClass:
		return encodeTwoClass(grown, m, grow.NewShares(d.Classes, draws))
	case model.Multiclass:
		return encodeMulticlass(grown, m, d.Classes, grow.NewShares(d.Classes, draws))
	}
	return encodeRegression(grown, m, scale)
}

// resample is the rows that one tree is grown on.
func (f *Forest) resample(draws []grow.Draw, random *rand.Rand) []grow.Draw {
	if f.o.Replicate {
		return slices.Clone(draws)
	}
	return grow.Bootstrap(draws, len(draws), random)
}
