package statistical

import (
	"math"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// The kinds and sides of a t-test.
const (
	oneSample = "Single sample"
	paired    = "Paired samples"
	unpaired  = "Unpaired samples"

	twoTailed = "Two-tailed"
	greater   = "One-tailed greater than"
	less      = "One-tailed less than"
)

// TestHypothesisUsingTTest is Student's and Welch's test of means.
func TestHypothesisUsingTTest() *module.Module {
	two := &module.When{Param: "Type of test", Is: []string{paired, unpaired}}
	return &module.Module{
		Spec: module.Spec{
			Name: "Test Hypothesis Using t-Test", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{datasetIn},
			Outputs: []module.Port{
				{ID: "P-score", Kind: service.Dataset, Doc: "A row with the probability P-score and what it comes from: t, degrees of freedom, the mean or difference of means, and the bounds of its confidence interval."},
				{ID: "Reject H0 hypothesis", Kind: service.Dataset, Doc: "Whether the null hypothesis is to be rejected."},
			},
			Params: []module.Param{
				{
					Name: "Type of test", Type: module.Enumerated, Default: oneSample, Options: []string{oneSample, paired, unpaired},
					Doc: "One column against the hypothesized mean, or two columns against each other: row by row (paired), or as independent samples.",
				},
				{Name: "Target column", Type: module.ColumnPicker, Required: true, Single: true, Doc: "The column of the sample."},
				{Name: "Second target column", Type: module.ColumnPicker, Required: true, Single: true, When: two, Doc: "The column of the second sample."},
				{
					Name: "Hypothesized mean", Type: module.Float, Default: "0",
					Doc: "The mean, or difference of means, under the null hypothesis.",
				},
				{
					Name: "Assume equal variances", Type: module.Boolean, Default: "false", When: &module.When{Param: "Type of test", Is: []string{unpaired}},
					Doc: "Use the pooled variance of Student's test, not Welch's.",
				},
				{
					Name: "Type of hypothesis", Type: module.Enumerated, Default: twoTailed, Options: []string{twoTailed, greater, less},
					Doc: "The alternative: the mean differs from, is greater than, or is less than the hypothesized one.",
				},
				{
					Name: "Confidence", Type: module.Float, Default: "0.95", Range: &module.Range{Min: 0.5, Max: 0.999999},
					Doc: "The confidence with which the null hypothesis is rejected: where P-score is below 1 - confidence.",
				},
			},
			Doc: "Tests whether a mean is the hypothesized one, or whether two means differ by it. Missing cells do not count; a paired test takes the rows that have both. Too few values are module error 0021.",
		},
		Bind: bindTTest,
	}
}

func bindTTest(b *module.Binding) (*module.Bound, error) {
	in, p := b.Inputs[0].Schema, b.Params
	kind := p.Text("Type of test")
	names := []string{"Target column"}
	if kind != oneSample {
		names = append(names, "Second target column")
	}
	var reads []int
	for _, name := range names {
		picked, err := numeric(p, name, in)
		if err != nil {
			return nil, err
		}
		if len(picked) != 1 {
			return nil, module.Errorf(22, "parameter %q selects %d columns, one is needed", name, len(picked)).At(name)
		}
		reads = append(reads, picked[0])
	}
	schema := frame.Schema{{Name: "P-score", Type: frame.Double}}
	for _, name := range []string{"t", "Degrees of freedom", "Mean difference", "Lower bound", "Upper bound"} {
		schema = append(schema, frame.Field{Name: name, Type: frame.Double, Nullable: true})
	}
	bound, err := wholeTable(schema, reads, nil)
	if err != nil {
		return nil, err
	}
	reject := frame.Schema{{Name: "Reject H0", Type: frame.Boolean}}
	bound.Outputs = append(bound.Outputs, reject)
	bound.From = append(bound.From, []module.Source{module.Computed})
	layout, err := frame.NewLayout(schema)
	if err != nil {
		return nil, err
	}
	confidence := p.Float("Confidence")
	bound.Op = module.OpFunc(func(tables, out []*frame.Frame) error {
		t, err := newTTest(kind, tables[0], reads, p.Float("Hypothesized mean"), p.Bool("Assume equal variances"))
		if err != nil {
			return err
		}
		score, lower, upper := t.outcome(p.Text("Type of hypothesis"), confidence)
		row := layout.New(1)
		for i, v := range []float64{score, t.t, t.df, t.mean, lower, upper} {
			if math.IsInf(v, 0) {
				v = math.NaN() // the open end of a one-tailed interval
			}
			row.Cols[i].AppendFloat(v)
		}
		copy(out[0].Cols, row.Cols)
		c := frame.NewColumn(reject[0], 1)
		c.AppendBool(score < 1-confidence)
		out[1].Cols[0] = c
		return nil
	})
	return bound, nil
}

// tTest is a mean with its standard error, and the statistic of a hypothesis.
type tTest struct{ mean, stderr, df, t float64 }

func newTTest(kind string, table *frame.Frame, cols []int, mu float64, equal bool) (*tTest, error) {
	a := newSample(table.Cols[cols[0]])
	t := &tTest{}
	if kind == unpaired {
		b := newSample(table.Cols[cols[1]])
		if len(a.values) < 2 || len(b.values) < 2 {
			return nil, module.Errorf(21, "the samples have %d and %d values: a t-test needs 2 of each", len(a.values), len(b.values))
		}
		va, vb := a.variance()/a.n(), b.variance()/b.n()
		t.mean = a.mean - b.mean
		if equal {
			t.df = a.n() + b.n() - 2
			t.stderr = math.Sqrt((a.central(2) + b.central(2)) / t.df * (1/a.n() + 1/b.n()))
		} else { // Welch's approximation
			t.stderr = math.Sqrt(va + vb)
			t.df = (va + vb) * (va + vb) / (float64(va*va)/(a.n()-1) + float64(vb*vb)/(b.n()-1))
		}
	} else {
		if kind == paired {
			x, y := table.Cols[cols[0]], table.Cols[cols[1]]
			differences := frame.NewColumn(frame.Field{Type: frame.Double}, x.Len())
			for r := range x.Len() {
				differences.AppendFloat(x.Float(r) - y.Float(r)) // NaN is missing
			}
			a = newSample(differences)
		}
		if len(a.values) < 2 {
			return nil, module.Errorf(21, "the sample has %d values: a t-test needs 2", len(a.values))
		}
		t.mean, t.df = a.mean, a.n()-1
		t.stderr = math.Sqrt(a.variance() / a.n())
	}
	if t.stderr == 0 {
		return nil, module.Errorf(21, "the values do not vary: a t-test needs some variance")
	}
	t.t = (t.mean - mu) / t.stderr
	return t, nil
}

// outcome returns the probability of a mean as extreme under the null
// hypothesis, and the confidence interval of the mean.
func (t *tTest) outcome(sides string, confidence float64) (score, lower, upper float64) {
	lower, upper = math.Inf(-1), math.Inf(1)
	switch sides {
	case greater:
		return studentCDF(-t.t, t.df), t.mean - float64(t.stderr*studentInverse(confidence, t.df)), upper
	case less:
		return studentCDF(t.t, t.df), lower, t.mean + float64(t.stderr*studentInverse(confidence, t.df))
	}
	half := float64(t.stderr * studentInverse((1+confidence)/2, t.df))
	return 2 * studentCDF(-math.Abs(t.t), t.df), t.mean - half, t.mean + half
}
