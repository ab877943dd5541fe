package statistical

import (
	"fmt"
	"math"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model/stablemath"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const kthMoment = "Kth Central Moment"

// statistic is one method of Compute Elementary Statistics.
type statistic struct {
	name string
	of   func(s *sample, order int) float64
}

func plainly(f func(*sample) float64) func(*sample, int) float64 {
	return func(s *sample, _ int) float64 { return f(s) }
}

var statistics = []statistic{
	{"Deviation Squared", plainly(func(s *sample) float64 { return s.central(2) })},
	{"Geometric Mean", plainly(geometricMean)},
	{"Harmonic Mean", plainly(harmonicMean)},
	{"Interquartile Distance", plainly(func(s *sample) float64 { return s.quantile(0.75) - s.quantile(0.25) })},
	{kthMoment, func(s *sample, order int) float64 { return s.central(order) / s.n() }},
	{"Maximum", plainly((*sample).max)},
	{"Mean", plainly(func(s *sample) float64 { return s.mean })},
	{"Mean Deviation", plainly((*sample).deviation)},
	{"Median", plainly(func(s *sample) float64 { return s.quantile(0.5) })},
	{"Median Deviation", plainly((*sample).medianDeviation)},
	{"Minimum", plainly((*sample).min)},
	{"Mode", plainly((*sample).mode)},
	{"Population Standard Deviation", plainly(func(s *sample) float64 { return math.Sqrt(s.central(2) / s.n()) })},
	{"Population Variance", plainly(func(s *sample) float64 { return s.central(2) / s.n() })},
	{"Product", plainly(product)},
	{"Range", plainly(func(s *sample) float64 { return s.max() - s.min() })},
	{"Sample Kurtosis", plainly((*sample).kurtosis)},
	{"Sample Skewness", plainly((*sample).skewness)},
	{"Sample Standard Deviation", plainly(func(s *sample) float64 { return math.Sqrt(s.variance()) })},
	{"Sample Variance", plainly((*sample).variance)},
	{"Sum", plainly((*sample).sum)},
}

// geometricMean is not defined where a value is negative.
func geometricMean(s *sample) float64 {
	sum := 0.0
	for _, v := range s.values {
		switch {
		case v < 0:
			return math.NaN()
		case v == 0:
			return 0
		}
		sum += stablemath.Log(v)
	}
	return stablemath.Exp(sum / s.n())
}

// harmonicMean is not defined where a value is zero or negative.
func harmonicMean(s *sample) float64 {
	sum := 0.0
	for _, v := range s.values {
		if v <= 0 {
			return math.NaN()
		}
		sum += 1 / v
	}
	return s.n() / sum
}

func product(s *sample) float64 {
	if len(s.values) == 0 {
		return math.NaN()
	}
	p := 1.0
	for _, v := range s.values {
		p *= v
	}
	return p
}

var (
	datasetIn  = module.Port{ID: "Dataset", Kind: service.Dataset, Doc: "The table to work on."}
	datasetOut = module.Port{ID: "Results dataset", Kind: service.Dataset, Doc: "The results."}
)

// ComputeElementaryStatistics computes one number for each column.
func ComputeElementaryStatistics() *module.Module {
	method := module.Param{Name: "Method", Type: module.Enumerated, Default: "Mean", Schema: true, Doc: "The statistic to compute."}
	for _, s := range statistics {
		method.Options = append(method.Options, s.name)
	}
	return &module.Module{
		Spec: module.Spec{
			Name: "Compute Elementary Statistics", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{datasetIn}, Outputs: []module.Port{datasetOut},
			Params: []module.Param{
				method,
				{Name: "Column set", Type: module.ColumnPicker, Default: "NumericAll", Schema: true, Doc: "The columns to compute it for: numbers or truth values."},
				{
					Name: "Order", Type: module.Int, Default: "3", Range: &module.Range{Min: 1, Max: 64}, When: &module.When{Param: "Method", Is: []string{kthMoment}},
					Doc: "The order of the central moment.",
				},
			},
			Doc: "Computes a statistic of each selected column: a table of one row, with columns named like Mean(age). Missing cells do not count. A statistic that is not defined for the values is missing; one that is infinite is module error 0033.",
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			in := b.Inputs[0].Schema
			picked, err := numeric(b.Params, "Column set", in)
			if err != nil {
				return nil, err
			}
			name, order := b.Params.Text("Method"), int(b.Params.Int("Order"))
			var st *statistic
			for i := range statistics {
				if statistics[i].name == name {
					st = &statistics[i]
				}
			}
			schema := make(frame.Schema, len(picked))
			for k, i := range picked {
				schema[k] = frame.Field{Name: fmt.Sprintf("%s(%s)", name, in[i].Name), Type: frame.Double, Nullable: true}
			}
			return wholeTable(schema, picked, func(t *frame.Frame, out *frame.Frame) error {
				for k, i := range picked {
					v := st.of(newSample(t.Cols[i]), order)
					if math.IsInf(v, 0) {
						return module.Errorf(33, "the %s of column %q is infinite", name, in[i].Name).At(in[i].Name)
					}
					out.Cols[k].AppendFloat(v)
				}
				return nil
			})
		},
	}
}

// wholeTable binds a function of one table that makes a table of schema out,
// all of it computed; it reads the columns given.
func wholeTable(out frame.Schema, reads []int, f func(in, out *frame.Frame) error) (*module.Bound, error) {
	layout, err := frame.NewLayout(out)
	if err != nil {
		return nil, module.Errorf(17, "the result would have an invalid schema: %v", err)
	}
	from := make([]module.Source, len(out))
	for i := range from {
		from[i] = module.Computed
	}
	return &module.Bound{
		Op: module.OpFunc(func(in, o []*frame.Frame) error {
			made := layout.New(0)
			if err := f(in[0], made); err != nil {
				return err
			}
			copy(o[0].Cols, made.Cols)
			return nil
		}),
		Outputs: []frame.Schema{out}, Reads: [][]int{reads}, From: [][]module.Source{from},
	}, nil
}
