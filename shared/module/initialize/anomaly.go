package initialize

import (
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/oneclass"
	"github.com/portico-ml/portico/shared/learn/pcaanomaly"
	"github.com/portico-ml/portico/shared/model/subspace"
	"github.com/portico-ml/portico/shared/module"
)

// anomalies returns the modules of learners that find unusual rows.
func anomalies() []*module.Module { return []*module.Module{oneClass(), pcaAnomaly()} }

func oneClass() *module.Module {
	const (
		nu      = "nu"
		epsilon = "epsilon"
	)
	return &module.Module{
		Spec: module.Spec{
			Name: "One-Class Support Vector Machine", Aliases: []string{"One-Class SVM"}, Group: anomaly, CodeVersion: 1, Nature: module.WholeTable,
			Outputs: []module.Port{untrainedOut},
			Params: []module.Param{
				module.TrainerModeParam(),
				{Name: nu, Type: module.Float, Default: "0.1", Range: &module.Range{Min: 1e-9, Max: 1}, Sweep: true, Doc: "About the share of the rows that are taken for unusual."},
				{Name: epsilon, Type: module.Float, Default: "0.001", Range: positive, Sweep: true, Doc: "How exactly the region of the usual rows is found. Smaller is more exact, and takes longer."},
				unknownLevelsParam(),
			},
			Doc: "Names the one-class support vector machine: the region where most rows are. Rows with a missing feature are not learned from and get no score.",
		},
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			return oneclass.New(oneclass.Options{Nu: v.Float(nu), Epsilon: v.Float(epsilon), UnknownLevels: v.Bool(unknownLevels)})
		},
	}
}

func pcaAnomaly() *module.Module {
	const (
		components   = "Number of components to use in PCA"
		oversampling = "Oversampling parameter for randomized PCA"
		center       = "Enable input feature mean normalization"
	)
	return &module.Module{
		Spec: module.Spec{
			Name: "PCA-Based Anomaly Detection", Group: anomaly, CodeVersion: 1, Nature: module.WholeTable, Outputs: []module.Port{untrainedOut},
			Params: []module.Param{
				module.TrainerModeParam(),
				{Name: components, Type: module.Int, Default: "2", Range: &module.Range{Min: 1, Max: subspace.MaxAxes}, Sweep: true, Doc: "How many principal components usual rows are near to."},
				{Name: oversampling, Type: module.Int, Default: "2", Range: &module.Range{Min: 0, Max: subspace.MaxAxes}, Sweep: true, Doc: "How many more random columns the components are looked for with. More come nearer to the exact components."},
				{Name: center, Type: module.Boolean, Default: "false", Doc: "Take the mean from each feature first."},
				unknownLevelsParam(),
			},
			Doc: "Names anomaly detection by principal components: a row is the more unusual the less of it they make up. Rows with a missing feature are not learned from and get no score.",
		},
		Learner: func(v module.Values, _ learn.Learner) (learn.Learner, error) {
			return pcaanomaly.New(pcaanomaly.Options{
				Components: int(v.Int(components)), Oversampling: int(v.Int(oversampling)), Center: v.Bool(center), UnknownLevels: v.Bool(unknownLevels),
			})
		},
	}
}
