// Package timeseries holds the palette group Time Series: anomalies in the order
// of time.
//
// The method tests whether values are exchangeable (Vovk, Nouretdinov and
// Gammerman, Testing exchangeability on-line, ICML 2003; as used for streams by
// Fedorova and others, Plug-in martingales for testing exchangeability on-line,
// ICML 2012): each value gets a strangeness by those before it, its rank among
// the last of them a p-value, and p-values that stay small let a martingale grow.
package timeseries

import (
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model/stablemath"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const group = "Time Series"

// Modules returns the group's modules.
func Modules() []*module.Module { return []*module.Module{TimeSeriesAnomalyDetection()} }

const (
	powerAvg = "PowerAvg"
	power    = "Power"

	rangePercentile = "RangePercentile"
	slowPosTrend    = "SlowPosTrend"
	slowNegTrend    = "SlowNegTrend"
)

// TimeSeriesAnomalyDetection scores how much a series changes.
func TimeSeriesAnomalyDetection() *module.Module {
	history := &module.Range{Min: 10, Max: 10_000}
	return &module.Module{
		Spec: module.Spec{
			Name: "Time Series Anomaly Detection", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs:  []module.Port{{ID: "Dataset", Kind: service.Dataset, Doc: "The series, in order of time."}},
			Outputs: []module.Port{{ID: "Results dataset", Kind: service.Dataset, Doc: "The table with Anomaly Score and Alert, 1 where the score is above the threshold."}},
			Params: []module.Param{
				{Name: "Data Column", Type: module.ColumnPicker, Required: true, Single: true, Doc: "The column with the values: numbers."},
				{Name: "Time Column", Type: module.ColumnPicker, Required: true, Single: true, Doc: "The column with the times, which must not go back."},
				{
					Name: "Martingale Type", Type: module.Enumerated, Default: powerAvg, Options: []string{powerAvg, power},
					Doc: "How p-values are bet on: the power martingale of one epsilon, or the mean over all epsilons, which needs none.",
				},
				{
					Name: "Epsilon", Type: module.Float, Default: "0.1", Range: &module.Range{Min: 0.001, Max: 0.999}, When: &module.When{Param: "Martingale Type", Is: []string{power}},
					Doc: "The smaller, the more is bet on small p-values.",
				},
				{
					Name: "Strangeness Function Type", Type: module.Enumerated, Default: rangePercentile, Options: []string{rangePercentile, slowPosTrend, slowNegTrend},
					Doc: "What is strange: values far from the median of the history, in widths of its middle 80 percent; or a history that rises, or falls, as a line fitted to it does.",
				},
				{Name: "Length of martingale values", Type: module.Int, Default: "50", Range: history, Doc: "Over how many values the martingale is followed: what is older is forgotten."},
				{Name: "Length of strangeness values", Type: module.Int, Default: "50", Range: history, Doc: "The length of the history that a value, and its strangeness, are compared to."},
				{Name: "Alert Threshold", Type: module.Float, Default: "3.25", Range: &module.Range{Min: 0, Max: 1e6}, Doc: "The anomaly score above which there is an alert."},
			},
			Doc: "Finds changes in a series: spikes and shifts of level, or slow trends. The anomaly score is the natural logarithm of a martingale, 0 or more: it is seldom large while nothing changes. A missing value has no score, and no alert.",
		},
		Bind: bind,
	}
}

func bind(b *module.Binding) (*module.Bound, error) {
	in, p := b.Inputs[0].Schema, b.Params
	data, err := column(p, "Data Column", in)
	if err != nil {
		return nil, err
	}
	times, err := column(p, "Time Column", in)
	switch {
	case err != nil:
		return nil, err
	case !in[data].Type.Numeric():
		return nil, module.Errorf(17, "data column %q is %s, not numbers", in[data].Name, in[data].Type).At(in[data].Name)
	case in[times].Type != frame.DateTime && !in[times].Type.Numeric():
		return nil, module.Errorf(17, "time column %q is %s, neither times nor numbers", in[times].Name, in[times].Type).At(in[times].Name)
	}
	d := detector{
		power: p.Text("Martingale Type") == power, epsilon: p.Float("Epsilon"), strangeness: p.Text("Strangeness Function Type"),
		betting: int(p.Int("Length of martingale values")), history: int(p.Int("Length of strangeness values")),
	}
	threshold := p.Float("Alert Threshold")
	taken := func(name string) bool { return in.Index(name) >= 0 }
	schema := append(append(frame.Schema(nil), in...),
		frame.Field{Name: module.Unique("Anomaly Score", taken), Type: frame.Double, Role: frame.Score, Nullable: true},
		frame.Field{Name: module.Unique("Alert", taken), Type: frame.Int32, Role: frame.Score})
	from := make([]module.Source, 0, len(schema))
	for i := range in {
		from = append(from, module.Source{Port: 0, Col: i})
	}
	from = append(from, module.Computed, module.Computed)
	layout, err := frame.NewLayout(schema)
	if err != nil {
		return nil, module.Errorf(17, "%v", err)
	}
	op := module.OpFunc(func(tables, out []*frame.Frame) error {
		table := tables[0]
		if err := ordered(table.Cols[times]); err != nil {
			return err
		}
		score, alert := layout.Column(len(in), table.Rows()), layout.Column(len(in)+1, table.Rows())
		var values []float64
		c := table.Cols[data]
		for r := range c.Len() {
			if !c.IsNull(r) {
				values = append(values, c.Float(r))
			}
		}
		scores := d.scores(values)
		for r := range c.Len() {
			if c.IsNull(r) {
				score.AppendNull()
				alert.AppendInt(0)
				continue
			}
			score.AppendFloat(scores[0])
			if scores[0] > threshold {
				alert.AppendInt(1)
			} else {
				alert.AppendInt(0)
			}
			scores = scores[1:]
		}
		copy(out[0].Cols, table.Cols)
		out[0].Cols[len(in)], out[0].Cols[len(in)+1] = score, alert
		return nil
	})
	return &module.Bound{Op: op, Outputs: []frame.Schema{schema}, Reads: [][]int{{data, times}}, From: [][]module.Source{from}}, nil
}

func column(p module.Values, param string, in frame.Schema) (int, error) {
	picked, err := p.Columns(param).Resolve(in)
	if err == nil && len(picked) != 1 {
		err = module.Errorf(22, "parameter %q selects %d columns, one is needed", param, len(picked)).At(param)
	}
	if err != nil {
		return 0, err
	}
	return picked[0], nil
}

// ordered reports a time that is missing, or earlier than the one before.
func ordered(c *frame.Column) error {
	for r := range c.Len() {
		switch {
		case c.IsNull(r):
			return &module.RowError{Row: r, Fault: module.Errorf(18, "time column %q has a missing cell", c.Field.Name).At(c.Field.Name)}
		case r > 0 && (c.Field.Type == frame.Double && c.Floats[r] < c.Floats[r-1] || c.Field.Type != frame.Double && c.Ints[r] < c.Ints[r-1]):
			return &module.RowError{Row: r, Fault: module.Errorf(18, "time column %q goes back: the rows must be in order of time", c.Field.Name).At(c.Field.Name)}
		}
	}
	return nil
}

// detector is the method with its parameters.
type detector struct {
	power            bool
	epsilon          float64
	strangeness      string
	betting, history int
}

// settle is the number of values before which nothing is strange.
const settle = 10

// scores returns the anomaly score of every value.
func (d *detector) scores(x []float64) []float64 {
	strange, bets, out := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
	var sorted []float64
	for i := range x {
		lo := max(0, i-d.history)
		if i < settle {
			continue
		}
		strange[i] = d.strange(x[lo:i], x[i], &sorted)
		from := max(settle, i-d.history)
		if i-from < settle {
			continue
		}
		above, equal := 0.0, 1.0 // the value itself
		for _, s := range strange[from:i] {
			if s > strange[i] {
				above++
			} else if s == strange[i] {
				equal++
			}
		}
		p := (above + equal/2) / float64(i-from+1)
		bets[i] = d.bet(p)
		// The martingale that began where it has grown most since.
		best, sum := 0.0, 0.0
		for k := i; k >= max(0, i-d.betting+1); k-- {
			sum += bets[k]
			best = max(best, sum)
		}
		out[i] = best
	}
	return out
}

// bet is the logarithm of the factor that a p-value multiplies the martingale by.
func (d *detector) bet(p float64) float64 {
	log := stablemath.Log(p)
	if d.power { // ε·p^(ε−1)
		return stablemath.Log(d.epsilon) + float64((d.epsilon-1)*log)
	}
	if 1-p < 1e-9 { // the integral of ε·p^(ε−1) over ε, and its limit
		return stablemath.Log(0.5)
	}
	return stablemath.Log((1 - p + float64(p*log)) / (p * float64(log*log)))
}

// strange is the strangeness of a value after a history of at least settle.
func (d *detector) strange(history []float64, v float64, scratch *[]float64) float64 {
	if d.strangeness == rangePercentile {
		s := append((*scratch)[:0], history...)
		slices.Sort(s)
		*scratch = s
		width := quantile(s, 0.9) - quantile(s, 0.1)
		away := math.Abs(v - quantile(s, 0.5))
		if width == 0 {
			width = 1
		}
		return away / width
	}
	// The slope of the line through the history and the value.
	n := float64(len(history) + 1)
	middle, mean := (n-1)/2, v/n
	for _, y := range history {
		mean += y / n
	}
	up, across := (middle * (v - mean)), float64(middle*middle)
	for k, y := range history {
		t := float64(k) - middle
		up += float64(t * (y - mean))
		across += float64(t * t)
	}
	slope := up / across
	if d.strangeness == slowNegTrend {
		slope = -slope
	}
	return max(slope, 0)
}

func quantile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + float64((at-float64(i))*(sorted[i+1]-sorted[i]))
}
