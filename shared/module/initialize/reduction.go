package initialize

import (
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/reduction"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// reductions returns the modules that wrap an untrained two-class model.
func reductions() []*module.Module {
	in := []module.Port{{ID: "Untrained binary classification model", Kind: service.UntrainedModel, Doc: "The two-class learner to wrap."}}
	return []*module.Module{
		{
			Spec: module.Spec{
				Name: "One-vs-All Multiclass", Group: classification, CodeVersion: 1, Nature: module.WholeTable, Inputs: in, Outputs: []module.Port{untrainedOut},
				Doc: "Makes a learner of any number of classes of a two-class learner: a model for each class against all others, their probabilities divided by their sum.",
			},
			Learner: func(_ module.Values, base learn.Learner) (learn.Learner, error) { return reduction.OneVsAll(base) },
		},
		{
			Spec: module.Spec{
				Name: "Ordinal Regression", Group: regression, CodeVersion: 1, Revision: 1, Nature: module.WholeTable, Inputs: in, Outputs: []module.Port{untrainedOut},
				Doc: "Makes a learner of classes in an order of a two-class learner: one model of whether a row is above a class, learned from every row with each class but the last. The order is that of the label column's levels, else that of its values.",
			},
			Learner: func(_ module.Values, base learn.Learner) (learn.Learner, error) { return reduction.Ordinal(base) },
		},
	}
}
