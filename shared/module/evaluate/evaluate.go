// Package evaluate holds the palette group Machine Learning / Evaluate.
package evaluate

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/portico-ml/portico/shared/evaluate"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const group = "Machine Learning / Evaluate"

// Modules returns the group's modules, without Cross-Validate Model, which
// package train has.
func Modules() []*module.Module { return []*module.Module{EvaluateModel()} }

// EvaluateModel measures one or two scored tables.
func EvaluateModel() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Evaluate Model", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{
				{ID: "Scored dataset", Kind: service.Dataset, Doc: "Rows with their label and their scores."},
				{ID: "Scored dataset to compare", Kind: service.Dataset, Optional: true, Doc: "The scores of another model, to compare."},
			},
			Outputs: []module.Port{{ID: "Evaluation results", Kind: service.Dataset, Doc: "The metrics, a line for each scored dataset."}},
			Doc:     "Measures how good scores are, by the metrics of the kind of model that made them: two-class and anomaly, multiclass, regression, distributions, quantiles or clusters. A column marked as weights counts its row that many times.",
		},
		Run: run,
	}
}

// Document is what an evaluation shows beside its metrics: one result for each
// scored dataset.
type Document struct {
	Evaluation []*evaluate.Result `json:"evaluation"`
}

func run(_ context.Context, c *module.Call) ([]module.Value, error) {
	var d Document
	for i, in := range c.Inputs {
		if in.Frame == nil {
			continue
		}
		r, err := evaluate.Of(in.Frame)
		if err != nil {
			return nil, err
		}
		if r.Skipped > 0 {
			c.Log("%d of %d rows of dataset %d are left out: they miss the label, a score or a positive weight", r.Skipped, r.Rows+r.Skipped, i+1)
		}
		d.Evaluation = append(d.Evaluation, r)
	}
	if len(d.Evaluation) == 2 && family(d.Evaluation[0].Kind) != family(d.Evaluation[1].Kind) {
		return nil, module.Errorf(62, "the datasets are scored by models of different kinds, %s and %s: they cannot be compared", d.Evaluation[0].Kind, d.Evaluation[1].Kind)
	}
	view, err := json.Marshal(d)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "encode the evaluation")
	}
	v := module.Table(table(d.Evaluation))
	v.View = view
	return []module.Value{v}, nil
}

// family is a kind with those that have its metrics too.
func family(k model.Kind) model.Kind {
	if k == model.Distribution {
		return model.Regression
	}
	return k
}

// table is the classic table of metrics.
func table(results []*evaluate.Result) *frame.Frame {
	if results[0].Kind == model.Clustering {
		return clusters(results)
	}
	var names []string
	for _, r := range results {
		for i, m := range r.Metrics {
			if !slices.Contains(names, m.Name) {
				names = slices.Insert(names, min(i, len(names)), m.Name)
			}
		}
	}
	out := &frame.Frame{}
	for _, name := range names {
		c := number(name)
		for _, r := range results {
			c.AppendFloat(r.Metrics.Get(name))
		}
		out.Cols = append(out.Cols, c)
	}
	return out
}

func clusters(results []*evaluate.Result) *frame.Frame {
	description := frame.NewColumn(frame.Field{Name: "Result Description", Type: frame.String}, 0)
	own, other, most := number(evaluate.DistanceToCenter), number(evaluate.DistanceToOtherCenter), number(evaluate.MaximalDistance)
	points := frame.NewColumn(frame.Field{Name: evaluate.NumberOfPoints, Type: frame.Int64}, 0)
	for _, r := range results {
		for _, c := range r.Clusters {
			description.AppendString([]byte(c.Description))
			own.AppendFloat(float64(c.ToCenter))
			other.AppendFloat(float64(c.ToOther))
			points.AppendInt(int64(c.Points))
			most.AppendFloat(float64(c.Maximal))
		}
	}
	return &frame.Frame{Cols: []*frame.Column{description, own, other, points, most}}
}

func number(name string) *frame.Column {
	return frame.NewColumn(frame.Field{Name: name, Type: frame.Double, Nullable: true}, 0)
}
