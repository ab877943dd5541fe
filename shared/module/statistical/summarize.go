package statistical

import (
	"math"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

// summary are the columns of a summary after the counts.
var summary = []struct {
	name string
	of   func(s *sample) float64
}{
	{"Min", (*sample).min},
	{"Max", (*sample).max},
	{"Mean", func(s *sample) float64 { return s.mean }},
	{"Mean Deviation", (*sample).deviation},
	{"1st Quartile", func(s *sample) float64 { return s.quantile(0.25) }},
	{"Median", func(s *sample) float64 { return s.quantile(0.5) }},
	{"3rd Quartile", func(s *sample) float64 { return s.quantile(0.75) }},
	{"Mode", (*sample).mode},
	{"Range", func(s *sample) float64 { return s.max() - s.min() }},
	{"Sample Variance", (*sample).variance},
	{"Sample Standard Deviation", func(s *sample) float64 { return math.Sqrt(s.variance()) }},
	{"Sample Skewness", (*sample).skewness},
	{"Sample Kurtosis", (*sample).kurtosis},
	{"P0.5", func(s *sample) float64 { return s.quantile(0.005) }},
	{"P1", func(s *sample) float64 { return s.quantile(0.01) }},
	{"P5", func(s *sample) float64 { return s.quantile(0.05) }},
	{"P95", func(s *sample) float64 { return s.quantile(0.95) }},
	{"P99.5", func(s *sample) float64 { return s.quantile(0.995) }},
}

// SummarizeData describes every column of a table.
func SummarizeData() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Summarize Data", Aliases: []string{"Descriptive Statistics"}, Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{datasetIn}, Outputs: []module.Port{datasetOut},
			Doc: "Describes each column in a row: its name, the number of rows, of different values and of missing cells; of numbers also minimum, maximum, mean, quartiles, mode, range, variance, skewness, kurtosis and outer percentiles. Missing cells count only as missing.",
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			in := b.Inputs[0].Schema
			schema := frame.Schema{{Name: "Feature"}, {Name: "Count", Type: frame.Int64}, {Name: "Unique Value Count", Type: frame.Int64}, {Name: "Missing Value Count", Type: frame.Int64}}
			for _, c := range summary {
				schema = append(schema, frame.Field{Name: c.name, Type: frame.Double, Nullable: true})
			}
			all := make([]int, len(in))
			for i := range all {
				all[i] = i
			}
			return wholeTable(schema, all, func(t, out *frame.Frame) error {
				for _, c := range t.Cols {
					out.Cols[0].AppendString([]byte(c.Field.Name))
					out.Cols[1].AppendInt(int64(c.Len()))
					out.Cols[2].AppendInt(distinct(c))
					out.Cols[3].AppendInt(int64(c.Nulls()))
					var s *sample
					if c.Field.Type.Numeric() {
						s = newSample(c)
					}
					for k, stat := range summary {
						v := math.NaN()
						if s != nil {
							v = stat.of(s)
						}
						if math.IsInf(v, 0) {
							return module.Errorf(33, "%s of column %q is infinite", stat.name, c.Field.Name).At(c.Field.Name)
						}
						out.Cols[4+k].AppendFloat(v)
					}
				}
				return nil
			})
		},
	}
}

// distinct counts the different values of a column.
func distinct(c *frame.Column) int64 {
	seen := make(map[string]struct{})
	var text []byte
	for r := range c.Len() {
		if c.IsNull(r) {
			continue
		}
		text = c.Print(text[:0], r)
		if _, ok := seen[string(text)]; !ok {
			seen[string(text)] = struct{}{}
		}
	}
	return int64(len(seen))
}
