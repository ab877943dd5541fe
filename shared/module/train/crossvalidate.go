package train

import (
	"context"
	"math"
	"slices"
	"strconv"

	"github.com/portico-ml/portico/shared/evaluate"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// The folds of Cross-Validate Model where the data are not divided yet.
const defaultFolds = 10

const (
	randomSeed   = "Random seed"
	foldNumber   = "Fold Number"
	foldExamples = "Number of examples in fold"
	foldModel    = "Model"
	meanRow      = "Mean"
	deviationRow = "Standard Deviation"
)

// CrossValidateModel trains and tests a learner on the folds of a table.
func CrossValidateModel() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Cross-Validate Model", Aliases: []string{"Cross Validate Model"}, Group: "Machine Learning / Evaluate",
			CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{untrainedIn, datasetIn},
			Outputs: []module.Port{
				{ID: "Scored results", Kind: service.Dataset, Doc: "Every row with its fold and the scores of the model that did not learn from it."},
				{ID: "Evaluation results by fold", Kind: service.Dataset, Doc: "The metrics of each fold, their mean and their standard deviation."},
			},
			Params: []module.Param{labelParam(), positiveParam(), {
				Name: randomSeed, Type: module.Int, Default: "0",
				Doc: "Decides at random which rows go to which fold.",
			}},
			Doc: "Trains a model on all folds of the table but one and tests it on that one, for every fold. The folds are those that Partition and Sample has assigned; otherwise 10 of even size at random, and for classifiers with even shares of every class.",
		},
		Run: crossValidate,
	}
}

func crossValidate(ctx context.Context, c *module.Call) ([]module.Value, error) {
	l, err := learner(c, supervised...)
	if err != nil {
		return nil, err
	}
	table := c.Inputs[dataPort].Frame
	label, err := labelOf(c.Params, table)
	if err != nil {
		return nil, err
	}
	folds, err := foldsOf(table, label, l.Kind(), defaultFolds, c.Params.Int(randomSeed))
	if err != nil {
		return nil, err
	}
	s, err := newSteps(c)
	if err != nil {
		return nil, err
	}
	var tested []*frame.Frame
	var results []*evaluate.Result
	for k := range folds.count {
		train, test := folds.split(k)
		artifact, err := s.do(ctx, l, learn.Request{Frame: table.Take(train), Label: label, Positive: c.Params.Text(positiveClass)}, itself)
		if err != nil {
			return nil, in(err, "while training for fold %d", folds.names[k])
		}
		f, err := scored(artifact, table.Take(test), label)
		if err != nil {
			return nil, err
		}
		r, err := evaluate.Of(f)
		if err != nil {
			return nil, in(err, "in fold %d", folds.names[k])
		}
		tested, results = append(tested, f), append(results, r)
	}
	return []module.Value{module.Table(folds.together(l.Kind(), len(table.Cols), tested)), module.Table(folds.report(l.Name(), results))}, nil
}

// together puts the scored folds together in the order of the rows.
func (f *folding) together(kind model.Kind, inputs int, tested []*frame.Frame) *frame.Frame {
	schema := common(kind, inputs, tested)
	from := make([][]*frame.Column, f.count) // column of each fold, nil where its model does not know the class
	for k, t := range tested {
		from[k] = append(from[k], t.Cols[:inputs]...)
		for _, field := range schema[inputs:] {
			i := slices.IndexFunc(t.Cols[inputs:], func(c *frame.Column) bool { return c.Field.Name == field.Name })
			if i < 0 {
				from[k] = append(from[k], nil)
				continue
			}
			from[k] = append(from[k], t.Cols[inputs+i])
		}
	}
	columns := make([]*frame.Column, len(schema))
	for i := range schema {
		columns[i] = frame.NewColumn(schema[i], len(f.of))
	}
	fold := frame.NewColumn(frame.Field{
		Name: module.Unique(module.FoldColumn, func(n string) bool { return schema.Index(n) >= 0 }), Type: frame.Int32, Role: frame.ID,
	}, len(f.of))
	next := make([]int, f.count) // the next row of each fold
	for _, k := range f.of {
		for i, c := range columns {
			if src := from[k][i]; src != nil {
				c.AppendFrom(src, next[k])
			} else {
				c.AppendFloat(0)
			}
		}
		next[k]++
		fold.AppendInt(f.names[k])
	}
	if !f.given {
		columns = slices.Insert(columns, inputs, fold)
	}
	return &frame.Frame{Cols: columns}
}

// common is the schema that holds the rows of all folds. The models of folds
// that miss a rare class do not know it: its probability is 0 there.
func common(kind model.Kind, inputs int, tested []*frame.Frame) frame.Schema {
	schema := tested[0].Schema()
	for _, t := range tested[1:] {
		for _, c := range t.Cols[inputs:] {
			at := schema.Index(c.Field.Name)
			if at < 0 {
				schema = append(schema, *c.Field)
				continue
			}
			for _, l := range c.Field.Levels {
				if !slices.Contains(schema[at].Levels, l) {
					schema[at].Levels = append(slices.Clip(schema[at].Levels), l)
				}
			}
		}
	}
	if at := schema.Index(model.ScoredLabels); kind == model.Multiclass {
		labels := schema[at]
		schema = append(slices.Delete(schema, at, at+1), labels) // behind all classes
	}
	return schema
}

// report is the table of metrics by fold.
func (f *folding) report(learner string, results []*evaluate.Result) *frame.Frame {
	column := func(name string, t frame.Type) *frame.Column {
		return frame.NewColumn(frame.Field{Name: name, Type: t, Nullable: true}, len(results)+2)
	}
	number, examples, name := column(foldNumber, frame.String), column(foldExamples, frame.Int32), column(foldModel, frame.String)
	total := 0
	for k := range results {
		train, _ := f.split(k)
		n := len(f.of) - len(train)
		total += n
		number.AppendString(strconv.AppendInt(nil, f.names[k], 10))
		examples.AppendInt(int64(n))
		name.AppendString([]byte(learner))
	}
	for _, row := range []string{meanRow, deviationRow} {
		number.AppendString([]byte(row))
		examples.AppendInt(int64(total))
		name.AppendString([]byte(learner))
	}
	out := &frame.Frame{Cols: []*frame.Column{number, examples, name}}
	for _, m := range results[0].Metrics {
		c := column(m.Name, frame.Double)
		var values []float64
		for _, r := range results {
			v := r.Metrics.Get(m.Name)
			if c.AppendFloat(v); !math.IsNaN(v) {
				values = append(values, v)
			}
		}
		mean, deviation := moments(values)
		c.AppendFloat(mean)
		c.AppendFloat(deviation)
		out.Cols = append(out.Cols, c)
	}
	return out
}

// moments are the mean and the sample standard deviation; NaN of too few.
func moments(values []float64) (mean, deviation float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v
	}
	mean /= n
	for _, v := range values {
		deviation += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(deviation / (n - 1))
}
