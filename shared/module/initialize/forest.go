package initialize

import (
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/forest"
	"github.com/portico-ml/portico/shared/learn/jungle"
	"github.com/portico-ml/portico/shared/module"
)

// forests returns the modules of trees and graphs that are grown apart from one
// another.
func forests() []*module.Module {
	return []*module.Module{
		decisionForest("Two-Class Decision Forest", classification, forest.TwoClass,
			"Names a decision forest for two classes: trees that each choose among random splits, whose leaves' shares of the classes are averaged."),
		decisionForest("Multiclass Decision Forest", classification, forest.Multiclass,
			"Names a decision forest for several classes: trees that each choose among random splits, whose leaves' shares of the classes are averaged."),
		decisionForest("Decision Forest Regression", regression, forest.Regression,
			"Names a decision forest for values. Each leaf is a Gaussian; the model answers the mean and standard deviation of their mixture."),
		decisionJungle("Two-Class Decision Jungle", jungle.TwoClass,
			"Names a decision jungle for two classes: graphs of bounded width, in which branches that have come to hold alike classes are merged."),
		decisionJungle("Multiclass Decision Jungle", jungle.Multiclass,
			"Names a decision jungle for several classes: graphs of bounded width, in which branches that have come to hold alike classes are merged."),
		quantileForest(),
	}
}

// Names of parameters of forests and jungles.
const (
	resampling     = "Resampling method"
	bagging        = "Bagging"
	replicate      = "Replicate"
	decisionTrees  = "Number of decision trees"
	treeDepth      = "Maximum depth of the decision trees"
	randomSplits   = "Number of random splits per node"
	leafSamples    = "Minimum number of samples per leaf node"
	graphs         = "Number of decision DAGs"
	graphDepth     = "Maximum depth of the decision DAGs"
	graphWidth     = "Maximum width of the decision DAGs"
	steps          = "Number of optimization steps per decision DAG layer"
	unknownValues  = "Allow unknown values for categorical features"
	quantileTrees  = "Number of Trees"
	quantileLeaves = "Number of Leaves"
	leafInstances  = "Minimum number of training instances required to form a leaf"
	baggingShare   = "Bagging fraction"
	featureShare   = "Feature fraction"
	splitShare     = "Split fraction"
	quantileCount  = "Quantile sample count"
	quantiles      = "Quantiles to be estimated"
)

var atMostOne = &module.Range{Min: 1e-6, Max: 1}

func resamplingParam(what string) module.Param {
	return module.Param{
		Name: resampling, Type: module.Enumerated, Default: bagging, Options: []string{bagging, replicate},
		Doc: "Bagging grows each " + what + " on as many rows as there are, drawn with replacement. Replicate grows each on all rows; they differ by their random splits.",
	}
}

// unknownValuesParam is unknownLevelsParam by the name that forests and jungles
// have for it.
func unknownValuesParam() module.Param {
	p := unknownLevelsParam()
	p.Name = unknownValues
	return p
}

// sized is a whole number that can be swept, from least up.
func sized(name, otherwise string, least float64, doc string) module.Param {
	return module.Param{
		Name: name, Type: module.Int, Default: otherwise, Range: &module.Range{Min: least, Max: count.Max}, Sweep: true, Doc: doc,
	}
}

func fraction(name, doc string) module.Param {
	return module.Param{Name: name, Type: module.Float, Default: "0.7", Range: atMostOne, Sweep: true, Doc: doc}
}

func decisionForest(name, group string, learner func(forest.Options) (*forest.Forest, error), doc string) *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: name, Group: group, CodeVersion: 1, Revision: 2, Nature: module.WholeTable, Outputs: []module.Port{untrainedOut},
			Params: []module.Param{
				module.TrainerModeParam(), resamplingParam("tree"),
				sized(decisionTrees, "8", 1, "How many trees the forest has. More are more exact, and take longer."),
				sized(treeDepth, "32", 1, "The most tests on the way from a tree's root to a leaf."),
				sized(randomSplits, "128", 1, "The most random splits that a node chooses the best of: several of each of some features, of half of them at most."),
				sized(leafSamples, "1", 1, "The fewest rows that make a leaf. More rows smooth the answers."),
				seedParam("the rows and splits of each tree"), unknownValuesParam(),
			},
			Doc: doc,
		},
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			return learner(forest.Options{
				Trees: int(v.Int(decisionTrees)), Depth: int(v.Int(treeDepth)), Splits: int(v.Int(randomSplits)), LeafRows: int(v.Int(leafSamples)),
				Replicate: v.Text(resampling) == replicate, UnknownLevels: v.Bool(unknownValues), Seed: uint64(v.Int(randomSeed)),
			})
		},
	}
}

func decisionJungle(name string, learner func(jungle.Options) (*jungle.Jungle, error), doc string) *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: name, Group: classification, CodeVersion: 1, Revision: 1, Nature: module.WholeTable, Outputs: []module.Port{untrainedOut},
			Params: []module.Param{
				module.TrainerModeParam(), resamplingParam("graph"),
				sized(graphs, "8", 1, "How many graphs the jungle has. More are more exact, and take longer."),
				sized(graphDepth, "32", 1, "The most tests on a way through a graph."),
				sized(graphWidth, "128", 8, "The most nodes of a graph's level. Narrower graphs are smaller, and generalise more."),
				sized(steps, "2048", 1000, "How many times a level that has reached the width is improved: by another test of a node, or other children."),
				seedParam("the rows, splits and steps of each graph"), unknownValuesParam(),
			},
			Doc: doc,
		},
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			return learner(jungle.Options{
				Graphs: int(v.Int(graphs)), Depth: int(v.Int(graphDepth)), Width: int(v.Int(graphWidth)), Steps: int(v.Int(steps)),
				Replicate: v.Text(resampling) == replicate, UnknownLevels: v.Bool(unknownValues), Seed: uint64(v.Int(randomSeed)),
			})
		},
	}
}

func quantileForest() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Fast Forest Quantile Regression", Group: regression, CodeVersion: 1, Nature: module.WholeTable,
			Outputs: []module.Port{untrainedOut},
			Params: []module.Param{
				module.TrainerModeParam(),
				sized(quantileTrees, "100", 1, "How many trees the forest has."),
				sized(quantileLeaves, "20", 1, "The most leaves of a tree."),
				sized(leafInstances, "10", 1, "The fewest rows that make a leaf."),
				fraction(baggingShare, "How many rows each tree is grown on, as a share of all; they are drawn with replacement."),
				fraction(featureShare, "The share of the features that each tree uses, chosen at random."),
				fraction(splitShare, "The share of its tree's features that each split chooses from, drawn at random."),
				sized(quantileCount, "100", 1, "The most labels that a leaf keeps to estimate the quantiles from."),
				{
					Name: quantiles, Type: module.String, Default: "0.25;0.5;0.75", Check: checkQuantiles,
					Doc: "The quantiles to estimate, numbers between 0 and 1 separated by semicolons or commas. Each makes a score column.",
				},
				seedParam("the rows, features and samples of each tree"), unknownLevelsParam(),
			},
			Doc: "Names a quantile regression forest: trees whose leaves keep labels, which are pooled to estimate quantiles of the label.",
		},
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			list, err := parseQuantiles(v.Text(quantiles))
			if err != nil {
				return nil, err
			}
			return forest.NewQuantile(forest.QuantileOptions{
				Trees: int(v.Int(quantileTrees)), Leaves: int(v.Int(quantileLeaves)), LeafRows: int(v.Int(leafInstances)),
				Bagging: v.Float(baggingShare), Features: v.Float(featureShare), SplitFeatures: v.Float(splitShare),
				Samples: int(v.Int(quantileCount)), Quantiles: list, UnknownLevels: v.Bool(unknownLevels), Seed: uint64(v.Int(randomSeed)),
			})
		},
	}
}

func checkQuantiles(text string) error {
	_, err := parseQuantiles(text)
	return err
}

// parseQuantiles reads numbers between semicolons or commas.
func parseQuantiles(text string) ([]float64, error) {
	var list []float64
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ';' || r == ',' }) {
		q, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil {
			return nil, module.Errorf(2, "parameter %q: %q is not a number", quantiles, part).At(quantiles)
		}
		list = append(list, q)
	}
	if len(list) == 0 {
		return nil, module.Errorf(3, "parameter %q names no quantile", quantiles).At(quantiles)
	}
	return list, nil
}
