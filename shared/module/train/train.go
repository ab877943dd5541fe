// Package train holds the palette group Machine Learning / Train, and
// Cross-Validate Model: modules that make trained models of untrained ones.
//
// They run in experiments only. Those that train more than once save after
// every training what they have, so that a run that is interrupted goes on with
// the training it was in and gives the same bytes.
package train

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/evaluate"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const group = "Machine Learning / Train"

// Modules returns the group's modules.
func Modules() []*module.Module {
	return []*module.Module{
		SweepClustering(), TrainAnomalyDetectionModel(), TrainClusteringModel(), TrainModel(), TuneModelHyperparameters(),
		CrossValidateModel(),
	}
}

const (
	untrainedPort = iota
	dataPort
	validationPort
)

var (
	untrainedIn = module.Port{ID: "Untrained model", Kind: service.UntrainedModel, Doc: "The learner with its parameters."}
	datasetIn   = module.Port{ID: "Dataset", Kind: service.Dataset, Doc: "The rows to learn from."}
	trainedOut  = module.Port{ID: "Trained model", Kind: service.TrainedModel, Doc: "What was learned."}
)

const labelColumn = "Label column"

func labelParam() module.Param {
	return module.Param{
		Name: labelColumn, Type: module.ColumnPicker, Required: true, Single: true,
		Doc: "The column to predict.",
	}
}

const positiveClass = "Positive class"

func positiveParam() module.Param {
	return module.Param{
		Name: positiveClass, Type: module.String,
		Doc: "The label's value whose probability a two-class model answers. Without it, the value that says true or 1, else the second in sort order.",
	}
}

// supervised are the kinds of learners that predict a label.
var supervised = []model.Kind{model.TwoClass, model.Multiclass, model.Regression, model.Distribution, model.Quantiles}

// TrainModel trains a classifier or a regression.
func TrainModel() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Train Model", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{untrainedIn, datasetIn}, Outputs: []module.Port{trainedOut},
			Params: []module.Param{labelParam(), positiveParam()},
			Doc:    "Trains a classification or regression model. Every column that is a feature is learned from: not labels, weights, scores, ids and dates. A column marked as weights with Edit Metadata counts its row that many times. Rows without a label are left out.",
		},
		Run: func(ctx context.Context, c *module.Call) ([]module.Value, error) {
			l, err := learner(c, supervised...)
			if err != nil {
				return nil, err
			}
			table := c.Inputs[dataPort].Frame
			label, err := labelOf(c.Params, table)
			if err != nil {
				return nil, err
			}
			return fit(ctx, c, l, learn.Request{Frame: table, Label: label, Positive: c.Params.Text(positiveClass)})
		},
	}
}

// TrainAnomalyDetectionModel trains a model of what is usual.
func TrainAnomalyDetectionModel() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Train Anomaly Detection Model", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{untrainedIn, datasetIn}, Outputs: []module.Port{trainedOut},
			Doc: "Trains a model that tells how unusual a row is. It learns from all feature columns and needs no label; one that is marked as such is not learned from.",
		},
		Run: func(ctx context.Context, c *module.Call) ([]module.Value, error) {
			l, err := learner(c, model.Anomaly)
			if err != nil {
				return nil, err
			}
			return fit(ctx, c, l, learn.Request{Frame: c.Inputs[dataPort].Frame})
		},
	}
}

// fit trains l and gives the trained model.
func fit(ctx context.Context, c *module.Call, l learn.Learner, r learn.Request) ([]module.Value, error) {
	artifact, b, err := c.Train(ctx, l, r)
	if err != nil {
		return nil, err
	}
	value, err := trained(artifact, learned(b, r.Frame.Rows()))
	return []module.Value{value}, err
}

// trainers says which module trains a kind of model.
var trainers = map[model.Kind]string{
	model.TwoClass: "Train Model", model.Multiclass: "Train Model", model.Regression: "Train Model",
	model.Distribution: "Train Model", model.Quantiles: "Train Model",
	model.Clustering: "Train Clustering Model", model.Anomaly: "Train Anomaly Detection Model",
}

// learner opens the untrained model of a call, which must be one learner of
// one of kinds.
func learner(c *module.Call, kinds ...model.Kind) (learn.Learner, error) {
	u, err := c.Palette.OpenUntrained(c.Inputs[untrainedPort].Artifact)
	if err != nil {
		return nil, err
	}
	l, err := u.Learner()
	if err != nil {
		return nil, err
	}
	return l, suits(l, kinds)
}

func suits(l learn.Learner, kinds []model.Kind) error {
	if slices.Contains(kinds, l.Kind()) {
		return nil
	}
	return module.Errorf(13, "%q is a learner of %s models, which this module does not train: use %s", l.Name(), l.Kind(), trainers[l.Kind()])
}

// labelOf returns the label column of a call, which must have enough labels.
func labelOf(p module.Values, table *frame.Frame) (string, error) {
	picked, err := p.Columns(labelColumn).Resolve(table.Schema())
	if e := fault.Of(err); err != nil && fault.HasCode(err, module.Code(1)) {
		return "", module.Errorf(58, "the table has no label column: %s", strings.TrimPrefix(e.Msg, "Error 0001: ")).At(e.Target)
	}
	if err != nil {
		return "", err
	}
	switch len(picked) {
	case 0:
		return "", module.Errorf(58, "no label column is selected")
	case 1:
	default:
		return "", module.Errorf(22, "%d columns are selected as the label: select one", len(picked))
	}
	c := table.Cols[picked[0]]
	if n := c.Len() - c.Nulls(); n < learn.MinLabelled {
		return "", module.Errorf(134, "the label column %q has %d labelled rows: at least %d are needed", c.Field.Name, n, learn.MinLabelled).At(c.Field.Name)
	}
	return c.Field.Name, nil
}

// in says in which of several trainings an error came. Its number stays.
func in(err error, format string, args ...any) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind != fault.LibraryExecution {
		return err
	}
	inside := *e
	inside.Msg += " (" + fmt.Sprintf(format, args...) + ")"
	return &inside
}

// scored returns the table with the scores of a trained model behind its
// columns, and its label marked as one.
func scored(artifact []byte, table *frame.Frame, label string) (*frame.Frame, error) {
	m, err := model.Open(artifact)
	if err != nil {
		return nil, err
	}
	return evaluate.Scored(m, table, label)
}
