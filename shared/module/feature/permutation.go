package feature

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/evaluate"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const (
	randomSeed  = "Random seed"
	metricParam = "Metric for measuring performance"

	forClasses = "Classification - "
	forNumbers = "Regression - "
)

// PermutationFeatureImportance measures what a model loses without a feature.
func PermutationFeatureImportance() *module.Module {
	var options []string
	for _, m := range []string{evaluate.Accuracy, evaluate.Precision, evaluate.Recall, evaluate.AverageLogLoss} {
		options = append(options, forClasses+m)
	}
	for _, m := range []string{
		evaluate.MeanAbsoluteError, evaluate.RootMeanSquaredError, evaluate.RelativeAbsoluteError, evaluate.RelativeSquaredError,
		evaluate.CoefficientOfDetermination,
	} {
		options = append(options, forNumbers+m)
	}
	return &module.Module{
		Spec: module.Spec{
			Name: "Permutation Feature Importance", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{
				{ID: "Trained model", Kind: service.TrainedModel, Doc: "A classification or regression model."},
				{ID: "Test data", Kind: service.Dataset, Doc: "Rows with their labels, best some that the model did not learn from."},
			},
			Outputs: []module.Port{{ID: "Feature importance", Kind: service.Dataset, Doc: "The columns that the model reads and how much worse it is without each, the most important first."}},
			Params: []module.Param{
				{
					Name: randomSeed, Type: module.Int, Default: "0",
					Doc: "Decides at random how cells are exchanged.",
				},
				{
					Name: metricParam, Type: module.Enumerated, Default: options[0], Options: options,
					Doc: "What is compared. The importance is how much worse it gets, whether more of it is better or less.",
				},
			},
			Doc: "Exchanges the cells of one column at a time between rows at random, scores the rows again, and tells by how much the model gets worse.",
		},
		Run: permute,
	}
}

func permute(ctx context.Context, c *module.Call) ([]module.Value, error) {
	m, err := model.Open(c.Inputs[0].Artifact)
	if err != nil {
		return nil, module.Errorf(82, "the trained model cannot be read: %s", fault.Of(err).Msg)
	}
	option := c.Params.Text(metricParam)
	metric, classes := strings.CutPrefix(option, forClasses)
	metric = strings.TrimPrefix(metric, forNumbers)
	if fits := m.Kind() == model.Regression || m.Kind() == model.Distribution; classes != (m.Kind().Classes() > 0) || !classes && !fits {
		return nil, module.Errorf(13, "the metric %q does not apply to a %s model", option, m.Kind())
	}
	table := c.Inputs[1].Frame
	label, err := labelOf(m, table)
	if err != nil {
		return nil, err
	}
	measure := func(f *frame.Frame) (float64, error) {
		scored, err := evaluate.Scored(m, f, label)
		if err != nil {
			return 0, unfit(err, f)
		}
		r, err := evaluate.Of(scored)
		if err != nil {
			return 0, err
		}
		return r.Metrics.Get(metric), nil
	}
	whole, err := measure(table)
	if err != nil {
		return nil, err
	}
	fields := m.Requires()
	lost := make([]float64, len(fields))
	for k, f := range fields {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		random := rand.New(rand.NewPCG(uint64(c.Params.Int(randomSeed)), uint64(k)))
		at := table.Schema().Index(f.Name)
		mixed := &frame.Frame{Cols: slices.Clone(table.Cols)}
		mixed.Cols[at] = table.Cols[at].Take(random.Perm(table.Rows()))
		without, err := measure(mixed)
		if err != nil {
			return nil, err
		}
		if lost[k] = without - whole; evaluate.Better(metric, 1, 0) {
			lost[k] = whole - without
		}
	}
	order := make([]int, len(fields))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := lost[a], lost[b]; {
		case x > y || math.IsNaN(y) && !math.IsNaN(x):
			return -1
		case x < y || math.IsNaN(x) && !math.IsNaN(y):
			return 1
		}
		return 0
	})
	feature := frame.NewColumn(frame.Field{Name: "Feature", Type: frame.String}, len(order))
	score := frame.NewColumn(frame.Field{Name: "Score", Type: frame.Double, Nullable: true}, len(order))
	for _, k := range order {
		feature.AppendString([]byte(fields[k].Name))
		score.AppendFloat(lost[k])
	}
	return []module.Value{module.Table(&frame.Frame{Cols: []*frame.Column{feature, score}})}, nil
}

// labelOf is the column that the model predicts, or else the one that is
// marked as the label.
func labelOf(m *model.Model, table *frame.Frame) (string, error) {
	if l := m.Header().Label; l != nil && table.Col(l.Column) != nil {
		return l.Column, nil
	}
	for _, c := range table.Cols {
		if c.Field.Role == frame.Label {
			return c.Field.Name, nil
		}
	}
	return "", module.Errorf(24, "the test data have no label column: mark it with Edit Metadata")
}

// unfit makes a module error of a table that the model cannot score.
func unfit(err error, f *frame.Frame) error {
	e := fault.Of(err)
	if e.Kind == fault.LibraryExecution {
		return err
	}
	number := 17
	if f.Col(e.Target) == nil {
		number = 1
	}
	return module.Errorf(number, "%s", e.Msg).At(e.Target)
}
