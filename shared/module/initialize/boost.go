package initialize

import (
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/boost"
	"github.com/portico-ml/portico/shared/module"
)

// boosted returns the modules of boosted decision trees.
func boosted() []*module.Module {
	return []*module.Module{
		boostedTrees("Two-Class Boosted Decision Tree", classification, boost.TwoClass,
			"Gradient boosted decision trees for two classes: each tree corrects what the ones before it got wrong."),
		boostedTrees("Multiclass Boosted Decision Tree", classification, boost.Multiclass,
			"Gradient boosted decision trees for two classes or more: a tree for each class and round."),
		boostedTrees("Boosted Decision Tree Regression", regression, boost.Regression,
			"Gradient boosted decision trees for numbers: each tree is fitted to what the ones before it leave over."),
	}
}

// Names of parameters of tree learners.
const (
	maximumLeaves = "Maximum number of leaves per tree"
	minimumLeaf   = "Minimum number of training instances required to form a leaf"
	numberOfTrees = "Number of trees constructed"
)

func boostedTrees[L learn.Learner](name, group string, learner func(boost.Options) (L, error), doc string) *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: name, Group: group, CodeVersion: 1, Revision: 1, Nature: module.WholeTable,
			Outputs: []module.Port{untrainedOut},
			Params: []module.Param{
				module.TrainerModeParam(),
				{Name: maximumLeaves, Type: module.Int, Default: "20", Range: &module.Range{Min: 2, Max: 1 << 16}, Sweep: true, Doc: "More leaves fit more detail, and noise."},
				{Name: minimumLeaf, Type: module.Int, Default: "10", Range: count, Sweep: true, Doc: "A rule that fewer rows follow is not made. Rows count as one each, whatever their weight."},
				{Name: learningRate, Type: module.Float, Default: "0.2", Range: &module.Range{Min: math.SmallestNonzeroFloat64, Max: 1}, Sweep: true, Doc: "How much of its correction a tree makes. Smaller steps need more trees."},
				{Name: numberOfTrees, Type: module.Int, Default: "100", Range: &module.Range{Min: 1, Max: 1 << 16}, Sweep: true, Doc: "Trees that are built one after the other; for many classes, as many for each."},
				seedParam("between splits that gain the same, and the rows that numbers are binned by where there are more than 65,536"),
				unknownLevelsParam(),
			},
			Doc: doc,
		},
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			return learner(boost.Options{
				Leaves: int(v.Int(maximumLeaves)), MinLeaf: int(v.Int(minimumLeaf)), Rate: v.Float(learningRate),
				Rounds: int(v.Int(numberOfTrees)), Seed: uint64(v.Int(randomSeed)), UnknownLevels: v.Bool(unknownLevels),
			})
		},
	}
}
