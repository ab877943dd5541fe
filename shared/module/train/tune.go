package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/evaluate"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const (
	sweepingMode = "Specify parameter sweeping mode"
	entireGrid   = "Entire grid"
	randomGrid   = "Random grid"
	randomSweep  = "Random sweep"
	sweepRuns    = "Maximum number of runs on random sweep"
	gridRuns     = "Maximum number of runs on random grid"

	classificationMetric = "Metric for measuring performance for classification"
	regressionMetric     = "Metric for measuring performance for regression"
)

// tuningFolds is how often Tune Model Hyperparameters trains each candidate
// where it has neither a validation set nor assigned folds.
const tuningFolds = 5

// ranking says by which metric an option of a metric parameter ranks.
var ranking = map[string]string{
	"Accuracy": evaluate.Accuracy, "Precision": evaluate.Precision, "Recall": evaluate.Recall, "F-score": evaluate.FScore,
	"AUC": evaluate.AUC, "Average Log Loss": evaluate.AverageLogLoss, "Train Log Loss": evaluate.TrainingLogLoss,
	"Mean absolute error": evaluate.MeanAbsoluteError, "Root of mean squared error": evaluate.RootMeanSquaredError,
	"Relative absolute error": evaluate.RelativeAbsoluteError, "Relative squared error": evaluate.RelativeSquaredError,
	"Coefficient of determination": evaluate.CoefficientOfDetermination,
}

func sweepParams(modes ...string) []module.Param {
	return []module.Param{
		{
			Name: sweepingMode, Type: module.Enumerated, Default: randomSweep, Options: modes,
			Doc: "Try every combination of the learner's ranges of parameters, or some: of a random sweep every run draws each parameter anew, so that a combination may come up again and is then tried once; a random grid draws among the combinations not tried yet.",
		},
		{
			Name: sweepRuns, Type: module.Int, Default: "5", Range: &module.Range{Min: 1, Max: 10000},
			When: &module.When{Param: sweepingMode, Is: []string{randomSweep}},
			Doc:  "How many combinations a random sweep draws.",
		},
	}
}

// TuneModelHyperparameters finds the best of a learner's ranges of parameters.
func TuneModelHyperparameters() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Tune Model Hyperparameters", Aliases: []string{"Sweep Parameters"}, Group: group,
			CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{
				untrainedIn,
				{ID: "Training dataset", Kind: service.Dataset, Doc: "The rows to learn from."},
				{ID: "Optional validation dataset", Kind: service.Dataset, Optional: true, Doc: "The rows to test candidates on. Without them each is cross-validated on the training rows."},
			},
			Outputs: []module.Port{
				{ID: "Sweep results", Kind: service.Dataset, Doc: "The parameters and metrics of every candidate, the best first."},
				{ID: "Trained best model", Kind: service.TrainedModel, Doc: "The best candidate, trained on all training rows."},
			},
			Params: append(sweepParams(entireGrid, randomSweep, randomGrid),
				module.Param{
					Name: gridRuns, Type: module.Int, Default: "5", Range: &module.Range{Min: 1, Max: 10000},
					When: &module.When{Param: sweepingMode, Is: []string{randomGrid}},
					Doc:  "How many combinations of the grid are tried.",
				},
				module.Param{
					Name: randomSeed, Type: module.Int, Default: "0",
					Doc: "Decides at random which combinations are drawn, and the folds.",
				},
				labelParam(),
				positiveParam(),
				module.Param{
					Name: classificationMetric, Type: module.Enumerated, Default: "Accuracy",
					Options: []string{"Accuracy", "Precision", "Recall", "F-score", "AUC", "Average Log Loss", "Train Log Loss"},
					Doc:     "By what candidates are ranked, for classification models and, by a label of 0 and 1 that they do not see, for anomaly detection. All metrics are reported.",
				},
				module.Param{
					Name: regressionMetric, Type: module.Enumerated, Default: "Mean absolute error",
					Options: []string{"Mean absolute error", "Root of mean squared error", "Relative absolute error", "Relative squared error", "Coefficient of determination"},
					Doc:     "By what candidates are ranked, for regression models. Models of quantiles are ranked by their average quantile loss.",
				},
			),
			Doc: "Trains a model for combinations of the learner's ranges of parameters, tests each on the validation dataset, and trains the best. Without a validation dataset each candidate is cross-validated, on the folds that Partition and Sample has assigned or else on 5, and ranked by the mean over the folds.",
		},
		Run: tune,
	}
}

// candidates are the candidates that a call tries, in the order of trial.
func candidates(c *module.Call, kinds ...model.Kind) ([]module.Candidate, error) {
	u, err := c.Palette.OpenUntrained(c.Inputs[untrainedPort].Artifact)
	if err != nil {
		return nil, err
	}
	all, err := u.Learners()
	if err != nil {
		return nil, err
	}
	if err := suits(all[0].Learner, kinds); err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(uint64(c.Params.Int(randomSeed)), 1))
	var picked []int
	switch c.Params.Text(sweepingMode) {
	case entireGrid:
		return all, nil
	case randomGrid:
		picked = random.Perm(len(all))[:min(int(c.Params.Int(gridRuns)), len(all))]
	default:
		for range c.Params.Int(sweepRuns) {
			if k := random.IntN(len(all)); !slices.Contains(picked, k) {
				picked = append(picked, k)
			}
		}
	}
	out := make([]module.Candidate, len(picked))
	for i, k := range picked {
		out[i] = all[k]
	}
	return out, nil
}

func tune(ctx context.Context, c *module.Call) ([]module.Value, error) {
	tries, err := candidates(c, append(slices.Clone(supervised), model.Anomaly)...)
	if err != nil {
		return nil, err
	}
	kind := tries[0].Learner.Kind()
	table := c.Inputs[dataPort].Frame
	label, err := labelOf(c.Params, table)
	if err != nil {
		return nil, err
	}
	p, err := validation(c, table, label, kind)
	if err != nil {
		return nil, err
	}
	metric := ranking[c.Params.Text(regressionMetric)]
	switch {
	case kind.Classes() > 0 || kind == model.Anomaly:
		metric = ranking[c.Params.Text(classificationMetric)]
	case kind == model.Quantiles:
		metric = evaluate.AverageQuantileLoss
	}
	s, err := newSteps(c)
	if err != nil {
		return nil, err
	}
	runs := make([]run, len(tries))
	for i, t := range tries {
		if runs[i], err = try(ctx, s, t, label, p); err != nil {
			return nil, err
		}
		c.Log("run %d of %d: %s %v%s", i+1, len(tries), metric, runs[i].metrics.Get(metric), describe(t.Swept, " with "))
	}
	slices.SortStableFunc(runs, func(a, b run) int {
		x, y := rounded(a.metrics.Get(metric)), rounded(b.metrics.Get(metric))
		switch {
		case evaluate.Better(metric, x, y):
			return -1
		case evaluate.Better(metric, y, x):
			return 1
		}
		return 0
	})
	best, err := s.do(ctx, runs[0].Learner, requestFor(kind, table, label, c.Params.Text(positiveClass)), itself)
	if err != nil {
		return nil, err
	}
	value, err := trained(best, view{Tuning: &tuning{Runs: len(runs), Metric: metric, Settings: settingsOf(runs[0].Swept), Metrics: runs[0].metrics}})
	return []module.Value{module.Table(sweepResults(runs)), value}, err
}

// requestFor is what a candidate learns from. Learners of anomalies do not see
// the label, by which they are measured.
func requestFor(kind model.Kind, table *frame.Frame, label, positive string) learn.Request {
	if kind != model.Anomaly {
		return learn.Request{Frame: table, Label: label, Positive: positive}
	}
	r := learn.Request{Frame: table, Columns: []int{}}
	for i, c := range table.Cols {
		if c.Field.Name != label {
			r.Columns = append(r.Columns, i)
		}
	}
	return r
}

// rounded is x to 12 digits, so that what rounding does to a mean decides no
// rank.
func rounded(x float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 11, 64), 64)
	return r
}

// parts are divisions of the data into rows to train on and rows to test on.
// They are made when they are needed: together they are many times the data.
type parts struct {
	count int
	at    func(k int) (train, test *frame.Frame)
}

// validation are the parts that candidates are tried on: training and
// validation dataset, or the folds of the former.
func validation(c *module.Call, table *frame.Frame, label string, kind model.Kind) (*parts, error) {
	if given := c.Inputs[validationPort].Frame; given != nil {
		if given.Col(label) == nil {
			return nil, module.Errorf(58, "the validation dataset has no label column %q", label).At(label)
		}
		return &parts{1, func(int) (train, test *frame.Frame) { return table, given }}, nil
	}
	folds, err := foldsOf(table, label, kind, tuningFolds, c.Params.Int(randomSeed))
	if err != nil {
		return nil, err
	}
	return &parts{folds.count, func(k int) (train, test *frame.Frame) {
		in, out := folds.split(k)
		return table.Take(in), table.Take(out)
	}}, nil
}

// run is a candidate with its metrics, the means over the parts.
type run struct {
	module.Candidate
	metrics evaluate.Metrics
}

func try(ctx context.Context, s *steps, t module.Candidate, label string, p *parts) (run, error) {
	var all []evaluate.Metrics
	for k := range p.count {
		train, test := p.at(k)
		made, err := s.do(ctx, t.Learner, requestFor(t.Learner.Kind(), train, label, s.call.Params.Text(positiveClass)), func(artifact []byte) ([]byte, error) {
			f, err := scored(artifact, test, label)
			if err != nil {
				return nil, err
			}
			r, err := evaluate.Of(f)
			if err != nil {
				return nil, err
			}
			return json.Marshal(r.Metrics)
		})
		if err != nil {
			return run{}, in(err, "in part %d of %d%s", k+1, p.count, describe(t.Swept, ", with "))
		}
		var m evaluate.Metrics
		if err := json.Unmarshal(made, &m); err != nil {
			return run{}, err
		}
		all = append(all, m)
	}
	out := run{Candidate: t}
	for _, m := range all[0] {
		var values []float64
		for _, one := range all {
			if v := one.Get(m.Name); v == v {
				values = append(values, v)
			}
		}
		mean, _ := moments(values)
		out.metrics = append(out.metrics, evaluate.Metric{Name: m.Name, Value: evaluate.Number(mean)})
	}
	return out, nil
}

func describe(swept []module.Setting, prefix string) string {
	var parts []string
	for _, s := range swept {
		parts = append(parts, fmt.Sprintf("%s %s", s.Name, s.Value))
	}
	if len(parts) == 0 {
		return ""
	}
	return prefix + strings.Join(parts, ", ")
}

// sweepResults is a line for every run: its parameters, then its metrics.
func sweepResults(runs []run) *frame.Frame {
	out := &frame.Frame{Cols: settings(len(runs), func(i int) []module.Setting { return runs[i].Swept })}
	for _, m := range runs[0].metrics {
		c := frame.NewColumn(frame.Field{Name: m.Name, Type: frame.Double, Nullable: true}, len(runs))
		for _, r := range runs {
			c.AppendFloat(r.metrics.Get(m.Name))
		}
		out.Cols = append(out.Cols, c)
	}
	return out
}

// settings are columns of the parameters that differ between runs.
func settings(runs int, of func(i int) []module.Setting) []*frame.Column {
	var out []*frame.Column
	for k, s := range of(0) {
		name := module.Unique(s.Name, func(n string) bool {
			return slices.ContainsFunc(out, func(c *frame.Column) bool { return c.Field.Name == n })
		})
		for _, t := range []frame.Type{frame.Int64, frame.Double, frame.Boolean, frame.String} { // the first that all values are
			c := frame.NewColumn(frame.Field{Name: name, Type: t}, runs)
			var err error
			for i := 0; i < runs && err == nil; i++ {
				err = c.AppendText([]byte(of(i)[k].Value))
			}
			if err == nil {
				out = append(out, c)
				break
			}
		}
	}
	return out
}
