package scale

import (
	"context"
	"encoding/json"
	"math"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model/stablemath"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const (
	methodZScore    = "ZScore"
	methodMinMax    = "MinMax"
	methodLogistic  = "Logistic"
	methodLogNormal = "LogNormal"
	methodTanH      = "TanH"
)

// NormalizeData brings columns to a common scale.
func NormalizeData() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Normalize Data", Aliases: []string{"Transform Data By Scaling"},
			Group: group, CodeVersion: 1, Nature: module.Fitted,
			Inputs: []module.Port{datasetIn},
			Outputs: []module.Port{
				{ID: "Transformed dataset", Kind: service.Dataset, Doc: "The table with the columns normalised."},
				{ID: "Transformation function", Kind: service.Transformation, Doc: "What was learned, for Apply Transformation."},
			},
			Params: []module.Param{
				{
					Name: "Transformation method", Type: module.Enumerated, Default: methodZScore,
					Options: []string{methodZScore, methodMinMax, methodLogistic, methodLogNormal, methodTanH},
					Doc:     "ZScore: (x - mean) / population standard deviation. MinMax: (x - min) / (max - min). Logistic: 1 / (1 + exp(-x)). LogNormal: the log-normal distribution function fitted to the column, 0 for x <= 0. TanH: tanh(x).",
				},
				{
					Name: "Use 0 for constant columns when checked", Type: module.Boolean, Default: "true",
					Doc: "Make a column with one value only 0. Otherwise its cells are missing where the method divides by its spread, and transformed where it does not.",
				},
				{
					Name: "Columns to transform", Type: module.ColumnPicker, Default: "NumericAll", Schema: true,
					Doc: "The columns to normalise, all of numbers.",
				},
			},
			Doc: "Brings columns of numbers to a common scale, in place. What it learned of each column is kept as a transformation. Missing cells stay missing.",
		},
		Fit: fitNormalizer,
		Apply: func(state []byte, in frame.Schema) (*module.Bound, error) {
			var st normalizer
			if err := decode(state, &st); err != nil {
				return nil, err
			}
			computed := make(map[int]module.Out, len(st.Columns))
			for k := range st.Columns {
				c := &st.Columns[k]
				i, err := number(in, c.Name)
				if err != nil {
					return nil, err
				}
				computed[i] = st.out(in, i, c)
			}
			return arrange(in, outputInplace, "", computed).Bind(in, 0, 1)
		},
	}
}

// normalizer is the learned state.
type normalizer struct {
	Method  string       `json:"method"`
	Columns []normalized `json:"columns"`
}

// normalized is one column: (x - Shift) / Scale goes into the method's function.
type normalized struct {
	Name  string  `json:"name"`
	Shift float64 `json:"shift"`
	Scale float64 `json:"scale"`
	Zero  bool    `json:"zero,omitempty"` // every cell becomes 0
}

func fitNormalizer(_ context.Context, c *module.Call) ([]byte, error) {
	cols, err := numeric(c, "Columns to transform")
	if err != nil {
		return nil, err
	}
	st := normalizer{Method: c.Params.Text("Transformation method"), Columns: make([]normalized, len(cols))}
	zero := c.Params.Bool("Use 0 for constant columns when checked")
	new(learn.Session).Each(len(cols), func(_, i int) {
		st.Columns[i] = st.learn(cols[i], zero)
	})
	for _, n := range st.Columns {
		if math.IsInf(n.Scale, 0) || math.IsInf(n.Shift, 0) {
			return nil, module.Errorf(33, "column %q: the spread of its values is infinite", n.Name).At(n.Name)
		}
	}
	return json.Marshal(st)
}

// learn learns from one column; with zero, one that has one value only becomes 0.
func (st *normalizer) learn(col *frame.Column, zero bool) normalized {
	n := normalized{Name: col.Field.Name, Scale: 1}
	values := col.PresentFloats(nil)
	lo, hi := extremes(values)
	switch {
	case lo == hi && zero:
		n.Zero = true
	case st.Method == methodZScore:
		n.Shift, n.Scale = moments(values)
	case st.Method == methodMinMax:
		n.Shift, n.Scale = lo, hi-lo
	case st.Method == methodLogNormal:
		var logs []float64
		for _, v := range values {
			if v > 0 {
				logs = append(logs, stablemath.Log(v))
			}
		}
		n.Shift, n.Scale = moments(logs)
	}
	return n
}

// extremes returns the least and the largest value, 0 for none.
func extremes(values []float64) (lo, hi float64) {
	if len(values) > 0 {
		lo, hi = values[0], values[0]
	}
	for _, v := range values {
		if v < lo {
			lo = v
		} else if v > hi {
			hi = v
		}
	}
	return lo, hi
}

// moments returns mean and population standard deviation, 0 for one value and
// for none.
func moments(values []float64) (m, sd float64) {
	if lo, hi := extremes(values); lo == hi {
		return lo, 0
	}
	m = mean(values)
	sum := 0.0
	for _, v := range values {
		sum += float64((v - m) * (v - m))
	}
	return m, math.Sqrt(sum / float64(len(values)))
}

func (st *normalizer) out(in frame.Schema, i int, n *normalized) module.Out {
	f := in[i]
	f.Type, f.Missing, f.Optional = frame.Double, nil, false
	f.Nullable = f.Nullable || !n.Zero && n.Scale == 0
	of := st.function(n)
	return module.Out{
		Field: f, From: -1, Reads: []int{i},
		Fill: func(dst *frame.Column, in *frame.Frame) error {
			c := in.Cols[i]
			if c.Field.Type == frame.Double && c.Nulls() == 0 {
				for r, x := range c.Floats {
					if err := finite(dst, r, of(x)); err != nil {
						return err
					}
				}
				return nil
			}
			for r := range c.Len() {
				if c.IsNull(r) {
					dst.AppendNull()
				} else if err := finite(dst, r, of(c.Float(r))); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// function returns the method's function for a column; NaN is missing.
func (st *normalizer) function(n *normalized) func(x float64) float64 {
	switch {
	case n.Zero:
		return func(float64) float64 { return 0 }
	case n.Scale == 0:
		return func(float64) float64 { return math.NaN() }
	case st.Method == methodLogistic:
		return stablemath.Sigmoid
	case st.Method == methodTanH:
		return stablemath.Tanh
	case st.Method == methodLogNormal:
		return func(x float64) float64 {
			if x <= 0 {
				return 0
			}
			return stablemath.Normal((stablemath.Log(x) - n.Shift) / n.Scale)
		}
	}
	return func(x float64) float64 { return (x - n.Shift) / n.Scale }
}
