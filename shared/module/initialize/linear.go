package initialize

import (
	"math"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/bayeslinear"
	"github.com/portico-ml/portico/shared/learn/bayespoint"
	"github.com/portico-ml/portico/shared/learn/descent"
	"github.com/portico-ml/portico/shared/learn/glm"
	"github.com/portico-ml/portico/shared/learn/leastsquares"
	"github.com/portico-ml/portico/shared/learn/logistic"
	"github.com/portico-ml/portico/shared/learn/perceptron"
	"github.com/portico-ml/portico/shared/learn/poisson"
	"github.com/portico-ml/portico/shared/learn/svm"
	"github.com/portico-ml/portico/shared/module"
)

// linear returns the modules of linear models.
func linear() []*module.Module {
	return []*module.Module{
		twoClassLogisticRegression(), multiclassLogisticRegression(),
		twoClassAveragedPerceptron(), twoClassSupportVectorMachine(), twoClassBayesPointMachine(),
		linearRegression(), bayesianLinearRegression(), poissonRegression(),
	}
}

// Names of parameters that several linear models have.
const (
	tolerance    = "Optimization tolerance"
	l1Weight     = "L1 regularization weight"
	l2Weight     = "L2 regularization weight"
	memorySize   = "Memory size for L-BFGS"
	learningRate = "Learning rate"
	normalize    = "Normalize features"
)

// Ranges of numbers.
var (
	positive    = &module.Range{Min: math.SmallestNonzeroFloat64, Max: math.MaxFloat64}
	nonNegative = &module.Range{Min: 0, Max: math.MaxFloat64}
	count       = &module.Range{Min: 1, Max: math.MaxInt32}
)

// linearSpec is the specification of a module of this file.
func linearSpec(name, group, doc string, params ...module.Param) module.Spec {
	return module.Spec{
		Name: name, Group: group, CodeVersion: 1, Nature: module.WholeTable,
		Outputs: []module.Port{untrainedOut},
		Params:  append(append([]module.Param{module.TrainerModeParam()}, params...), unknownLevelsParam()),
		Doc:     doc,
	}
}

func glmParams() []module.Param {
	return []module.Param{
		{Name: tolerance, Type: module.Float, Default: "1e-07", Range: positive, Sweep: true, Doc: "Training ends where the objective's gradient is not longer than this times the length of the weights, or than this. Smaller is more exact, and takes longer."},
		{Name: l1Weight, Type: module.Float, Default: "1", Range: nonNegative, Sweep: true, Doc: "Weight of the sum of the weights' magnitudes in the objective. It makes weights of features that say little exactly 0."},
		{Name: l2Weight, Type: module.Float, Default: "1", Range: nonNegative, Sweep: true, Doc: "Weight of half the sum of the weights' squares in the objective. It makes weights smaller."},
		{Name: memorySize, Type: module.Int, Default: "20", Range: &module.Range{Min: 1, Max: 1000}, Sweep: true, Doc: "How many steps the optimizer remembers. More save steps, and take memory."},
	}
}

func glmOptions(v module.Values) glm.Options {
	return glm.Options{L1: v.Float(l1Weight), L2: v.Float(l2Weight), Tolerance: v.Float(tolerance), Memory: int(v.Int(memorySize))}
}

func twoClassLogisticRegression() *module.Module {
	return &module.Module{
		Spec: linearSpec("Two-Class Logistic Regression", classification,
			"Names logistic regression for two classes: a linear model of the log odds, with penalties on its weights. Rows with a missing feature are not learned from and get no score.",
			glmParams()...),
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			return logistic.TwoClass(logistic.Options{Options: glmOptions(v), UnknownLevels: v.Bool(unknownLevels)})
		},
	}
}

func multiclassLogisticRegression() *module.Module {
	return &module.Module{
		Spec: linearSpec("Multiclass Logistic Regression", classification,
			"Names logistic regression for any number of classes: a linear score for each class, their softmax the probabilities, with penalties on the weights. Rows with a missing feature are not learned from and get no score.",
			glmParams()...),
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			return logistic.Multiclass(logistic.Options{Options: glmOptions(v), UnknownLevels: v.Bool(unknownLevels)})
		},
	}
}

func poissonRegression() *module.Module {
	return &module.Module{
		Spec: linearSpec("Poisson Regression", regression,
			"Names Poisson regression: a linear model of the logarithm of a count's mean, with penalties on its weights. The label is a number of 0 or more. Rows with a missing feature are not learned from and get no score.",
			glmParams()...),
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			return poisson.New(poisson.Options{Options: glmOptions(v), UnknownLevels: v.Bool(unknownLevels)})
		},
	}
}

func twoClassAveragedPerceptron() *module.Module {
	const iterations = "Maximum number of iterations"
	m := &module.Module{
		Spec: linearSpec("Two-Class Averaged Perceptron", classification,
			"Names the averaged perceptron for two classes: a linear model that moves towards each row it gets wrong, averaged over its way. Rows with a missing feature are not learned from and get no score.",
			module.Param{Name: learningRate, Type: module.Float, Default: "1", Range: positive, Sweep: true, Doc: "How far one row moves the weights at most."},
			module.Param{Name: iterations, Type: module.Int, Default: "10", Range: count, Sweep: true, Doc: "How many times training goes through the rows."},
			seedParam("the order of the rows")),
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			return perceptron.New(perceptron.Options{
				Rate: v.Float(learningRate), Iterations: int(v.Int(iterations)),
				Seed: uint64(v.Int(randomSeed)), UnknownLevels: v.Bool(unknownLevels),
			})
		},
	}
	m.Revision = 1
	return m
}

func twoClassSupportVectorMachine() *module.Module {
	const (
		iterations = "Number of iterations"
		lambda     = "Lambda"
		unitSphere = "Project to the unit-sphere"
	)
	m := &module.Module{
		Spec: linearSpec("Two-Class Support Vector Machine", classification,
			"Names the linear support vector machine for two classes: the linear score that keeps the classes apart by the widest margin. Rows with a missing feature are not learned from and get no score.",
			module.Param{Name: iterations, Type: module.Int, Default: "1", Range: count, Sweep: true, Doc: "How many times training goes through the rows."},
			module.Param{Name: lambda, Type: module.Float, Default: "0.001", Range: positive, Sweep: true, Doc: "Weight of the penalty on large weights. Smaller follows the rows more closely."},
			module.Param{Name: normalize, Type: module.Boolean, Default: "true", Doc: "Scale each feature by its smallest and largest value before training."},
			module.Param{Name: unitSphere, Type: module.Boolean, Default: "false", Doc: "After each row, bring the weights back to the unit sphere where they left it."},
			seedParam("the order of the rows")),
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			return svm.New(svm.Options{
				Iterations: int(v.Int(iterations)), Lambda: v.Float(lambda), Normalize: v.Bool(normalize), Project: v.Bool(unitSphere),
				Seed: uint64(v.Int(randomSeed)), UnknownLevels: v.Bool(unknownLevels),
			})
		},
	}
	m.Aliases, m.Revision = []string{"Two-Class SVM"}, 1
	return m
}

func twoClassBayesPointMachine() *module.Module {
	const (
		iterations = "Number of training iterations"
		bias       = "Include bias"
	)
	return &module.Module{
		Spec: linearSpec("Two-Class Bayes Point Machine", classification,
			"Names the Bayes point machine for two classes: the average of all linear classifiers, each by how well it agrees with the rows. Rows with a missing feature are not learned from and get no score.",
			module.Param{Name: iterations, Type: module.Int, Default: "30", Range: count, Sweep: true, Doc: "The most rounds of message passing. Training ends before where nothing changes any more."},
			module.Param{Name: bias, Type: module.Boolean, Default: "true", Doc: "Let the classifiers miss the origin."}),
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			return bayespoint.New(bayespoint.Options{Iterations: int(v.Int(iterations)), Bias: v.Bool(bias), UnknownLevels: v.Bool(unknownLevels)})
		},
	}
}

func bayesianLinearRegression() *module.Module {
	const weight = "Regularization weight"
	return &module.Module{
		Spec: linearSpec("Bayesian Linear Regression", regression,
			"Names Bayesian linear regression: of each row the mean of what is predicted, and its standard deviation. Rows with a missing feature are not learned from and get no score.",
			module.Param{Name: weight, Type: module.Float, Default: "1", Range: positive, Sweep: true, Doc: "How sure it is, before any row, that the weights are near 0: the precision of a weight over that of the noise."}),
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			return bayeslinear.New(bayeslinear.Options{Regularization: v.Float(weight), UnknownLevels: v.Bool(unknownLevels)})
		},
	}
}

func linearRegression() *module.Module {
	const (
		method    = "Solution method"
		squares   = "Ordinary Least Squares"
		gradient  = "Online Gradient Descent"
		intercept = "Include intercept term"
		epochs    = "Number of training epochs"
		average   = "Average final hypothesis"
		decrease  = "Decrease learning rate"
	)
	bySquares, byGradient := &module.When{Param: method, Is: []string{squares}}, &module.When{Param: method, Is: []string{gradient}}
	seed := seedParam("the order of the rows")
	seed.When = byGradient
	return &module.Module{
		Spec: linearSpec("Linear Regression", regression,
			"Names linear regression: a line through the rows, exactly by least squares or step by step. Rows with a missing feature are not learned from and get no score.",
			module.Param{Name: method, Type: module.Enumerated, Default: squares, Options: []string{squares, gradient}, Doc: "Solve the least squares exactly, or go towards them row by row."},
			module.Param{Name: l2Weight, Type: module.Float, Default: "0.001", Range: nonNegative, Sweep: true, Doc: "Weight of the sum of the weights' squares in the objective; by gradient descent, of half the sum beside half a row's squared error."},
			module.Param{Name: intercept, Type: module.Boolean, Default: "true", When: bySquares, Doc: "Let the line miss the origin."},
			module.Param{Name: learningRate, Type: module.Float, Default: "0.1", Range: positive, Sweep: true, When: byGradient, Doc: "How far one row moves the weights."},
			module.Param{Name: epochs, Type: module.Int, Default: "10", Range: count, Sweep: true, When: byGradient, Doc: "How many times training goes through the rows."},
			module.Param{Name: normalize, Type: module.Boolean, Default: "true", When: byGradient, Doc: "Center each feature and divide it by its standard deviation before training."},
			module.Param{Name: average, Type: module.Boolean, Default: "true", When: byGradient, Doc: "Take the mean of the weights over the second half of the steps, not the last."},
			module.Param{Name: decrease, Type: module.Boolean, Default: "true", When: byGradient, Doc: "Divide the learning rate by the root of the number of steps."},
			seed),
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			if v.Text(method) == squares {
				return leastsquares.New(leastsquares.Options{L2: v.Float(l2Weight), Intercept: v.Bool(intercept), UnknownLevels: v.Bool(unknownLevels)})
			}
			return descent.New(descent.Options{
				Rate: v.Float(learningRate), Epochs: int(v.Int(epochs)), L2: v.Float(l2Weight),
				Normalize: v.Bool(normalize), Average: v.Bool(average), Decrease: v.Bool(decrease),
				Seed: uint64(v.Int(randomSeed)), UnknownLevels: v.Bool(unknownLevels),
			})
		},
	}
}
