package initialize

import (
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/neural"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
)

// networks returns the modules of neural networks.
func networks() []*module.Module {
	const incomplete = " Rows with a missing feature are not learned from and get no score."
	return []*module.Module{
		network("Two-Class Neural Network", model.TwoClass, classification, "0.1",
			"Names a neural network for two classes: fully connected layers, learned by gradient descent."+incomplete),
		network("Multiclass Neural Network", model.Multiclass, classification, "0.1",
			"Names a neural network for any number of classes: fully connected layers, learned by gradient descent."+incomplete),
		network("Neural Network Regression", model.Regression, regression, "0.005",
			"Names a neural network that predicts a number: fully connected layers, learned by gradient descent."+incomplete),
	}
}

func checkScript(text string) error {
	_, err := neural.Script(text)
	return err
}

func network(name string, kind model.Kind, group, rate, doc string) *module.Module {
	const (
		layers     = "Hidden layer specification"
		connected  = "Fully-connected case"
		custom     = "Custom definition script"
		script     = "Neural network definition"
		nodes      = "Number of hidden nodes"
		iterations = "Number of learning iterations"
		diameter   = "The initial learning weights diameter"
		momentum   = "The momentum"
		normalizer = "The type of normalizer"
		shuffle    = "Shuffle examples"
	)
	normalizers := []string{"Min-Max normalizer", "Binning normalizer", "Gaussian normalizer", "Do not normalize"} // in the order of neural.Normalizer
	seed := seedParam("the first weights, and the order of the rows")
	return &module.Module{
		Spec: module.Spec{
			Name: name, Group: group, CodeVersion: 1, Nature: module.WholeTable, Outputs: []module.Port{untrainedOut},
			Params: []module.Param{
				module.TrainerModeParam(),
				{Name: layers, Type: module.Enumerated, Default: connected, Options: []string{connected, custom}, Doc: "Sigmoid layers of given sizes, or a network written in Net#."},
				{Name: script, Type: module.String, Required: true, When: &module.When{Param: layers, Is: []string{custom}}, Check: checkScript, Doc: "The network in Net#: the part of it that declares fully connected layers, as in: input Data auto; hidden H [100] sigmoid from Data all; output Result auto from H all;"},
				{Name: nodes, Type: module.String, Default: "100", Sweep: true, When: &module.When{Param: layers, Is: []string{connected}}, Doc: "The number of nodes of the hidden layer, or of several, separated by commas."},
				{Name: learningRate, Type: module.Float, Default: rate, Range: positive, Sweep: true, Doc: "How far one row moves the weights."},
				{Name: iterations, Type: module.Int, Default: "100", Range: count, Sweep: true, Doc: "How many times training goes through the rows."},
				{Name: diameter, Type: module.Float, Default: "0.1", Range: positive, Sweep: true, Doc: "The range of the first weights: they are drawn between half of it below and above 0."},
				{Name: momentum, Type: module.Float, Default: "0", Range: &module.Range{Min: 0, Max: 0.999999}, Sweep: true, Doc: "The share of a move of the weights that the next one repeats."},
				{Name: normalizer, Type: module.Enumerated, Default: normalizers[0], Options: normalizers, Doc: "What is done to each feature first: the range from 0 to 1; bins of as many rows each; mean 0 and deviation 1; nothing."},
				{Name: shuffle, Type: module.Boolean, Default: "true", Doc: "Take the rows in another order in each iteration."},
				seed,
				unknownLevelsParam(),
			},
			Doc: doc,
		},
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			o := neural.Options{
				Rate: v.Float(learningRate), Iterations: int(v.Int(iterations)), Diameter: v.Float(diameter), Momentum: v.Float(momentum),
				Normalizer: neural.Normalizer(position(normalizers, v.Text(normalizer))), Shuffle: v.Bool(shuffle),
				Seed: uint64(v.Int(randomSeed)), UnknownLevels: v.Bool(unknownLevels),
			}
			var err error
			if v.Text(layers) == custom {
				o.Net, err = neural.Script(v.Text(script))
			} else {
				o.Net, err = neural.Connected(v.Text(nodes))
			}
			if err != nil {
				return nil, err
			}
			return neural.New(kind, o)
		},
	}
}
