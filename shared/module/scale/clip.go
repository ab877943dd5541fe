package scale

import (
	"context"
	"encoding/json"
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const (
	clipPeaks    = "ClipPeaks"
	clipSubPeaks = "ClipSubPeaks"
	clipBoth     = "ClipPeaksAndSubPeaks"

	thresholdConstant   = "Constant"
	thresholdPercentile = "Percentile"

	byThreshold = "Threshold"
	byMean      = "Mean"
	byMedian    = "Median"
	byMissing   = "Missing"
)

// The parameters of a threshold: those of a set with one threshold, and those
// of the set with both.
type thresholdParams struct{ mode, constant, percentile, substitute string }

var (
	upperAlone = thresholdParams{"Upper threshold", "Constant value for upper threshold", "Percentile number for upper threshold", "Upper substitute value"}
	lowerAlone = thresholdParams{"Lower threshold", "Constant value for lower threshold", "Percentile number for lower threshold", "Lower substitute value"}
	upperBoth  = thresholdParams{"Threshold", "Constant value of upper threshold", "Percentile number of upper threshold", "Substitute value for peaks"}
	lowerBoth  = thresholdParams{"Threshold", "Constant value of lower threshold", "Percentile number of lower threshold", "Substitute value for subpeaks"}
)

// params returns the parameters that show for one set of thresholds.
func (t thresholdParams) params(set, constant, percentile, side string, withMode bool) []module.Param {
	modes := []string{thresholdConstant, thresholdPercentile}
	when := &module.When{Param: "Set of thresholds", Is: []string{set}}
	var out []module.Param
	if withMode {
		out = append(out, module.Param{
			Name: t.mode, Type: module.Enumerated, Default: thresholdConstant, Options: modes, When: when,
			Doc: "Whether a threshold is a number or a percentile of the column.",
		})
	}
	return append(out,
		module.Param{
			Name: t.constant, Type: module.Float, Default: constant, When: &module.When{Param: t.mode, Is: modes[:1]},
			Doc: "Values " + side + " this number are clipped; for dates, 100 ns ticks since 0001-01-01.",
		},
		module.Param{
			Name: t.percentile, Type: module.Int, Default: percentile, Range: &module.Range{Min: 1, Max: 99}, When: &module.When{Param: t.mode, Is: modes[1:]},
			Doc: "Values " + side + " the smallest one that has this percentage of the values below it are clipped, and so is that one.",
		},
		module.Param{
			Name: t.substitute, Type: module.Enumerated, Default: byThreshold, Options: []string{byThreshold, byMean, byMedian, byMissing}, When: when,
			Doc: "What takes the place of values " + side + " the threshold: the threshold, the column's mean or median before clipping, or nothing.",
		},
	)
}

// ClipValues replaces values beyond thresholds.
func ClipValues() *module.Module {
	params := []module.Param{{
		Name: "Set of thresholds", Type: module.Enumerated, Default: clipPeaks, Options: []string{clipPeaks, clipSubPeaks, clipBoth},
		Doc: "Clip what is too large, too small, or both.",
	}}
	params = slices.Concat(params,
		upperAlone.params(clipPeaks, "1", "99", "above", true),
		lowerAlone.params(clipSubPeaks, "-1", "1", "below", true),
		upperBoth.params(clipBoth, "1", "99", "above", true),
		lowerBoth.params(clipBoth, "-1", "1", "below", false),
		[]module.Param{
			{
				Name: "List of columns", Type: module.ColumnPicker, Default: "NumericAll", Schema: true,
				Doc: "The columns to clip: numbers and dates. Others are skipped.",
			},
			{
				Name: "Add indicator columns", Type: module.Boolean, Default: "false", Schema: true,
				Doc: "Append a Boolean column {column}_IsClipped for each clipped column: which cells were clipped. It is false for missing cells.",
			},
			{
				Name: "Overwrite flag", Type: module.Boolean, Default: "true", Schema: true,
				Doc: "Change the columns in place; otherwise append the clipped ones as {column}_clipped.",
			},
		})
	return &module.Module{
		Spec: module.Spec{
			Name: "Clip Values", Group: group, CodeVersion: 1, Nature: module.Fitted,
			Inputs: []module.Port{datasetIn},
			Outputs: []module.Port{
				{ID: "Results dataset", Kind: service.Dataset, Doc: "The table with the columns clipped."},
				{ID: "Clipping transformation", Kind: service.Transformation, Doc: "The thresholds and substitutes, for Apply Transformation."},
			},
			Params: params,
			Doc:    "Replaces values beyond thresholds. Thresholds and substitutes are learned from the run's data and kept as a transformation. Missing cells stay missing.",
		},
		Fit: fitClipper, Apply: applyClipper,
	}
}

// clipper is the learned state.
type clipper struct {
	Columns   []clipped `json:"columns"`
	Overwrite bool      `json:"overwrite"`
	Indicate  bool      `json:"indicate,omitempty"`
}

type clipped struct {
	Name  string     `json:"name"`
	Type  frame.Type `json:"type"` // of the result
	Upper *threshold `json:"upper,omitempty"`
	Lower *threshold `json:"lower,omitempty"`
}

// threshold is where values begin to be clipped, and what takes their place:
// nil for nothing. Numbers and dates are as their columns hold them.
type threshold struct {
	At         float64  `json:"at"`
	Included   bool     `json:"included,omitempty"`
	Substitute *float64 `json:"substitute"`
}

func fitClipper(_ context.Context, c *module.Call) ([]byte, error) {
	cols, err := selected(c, "List of columns")
	if err != nil {
		return nil, err
	}
	set := c.Params.Text("Set of thresholds")
	st := clipper{Overwrite: c.Params.Bool("Overwrite flag"), Indicate: c.Params.Bool("Add indicator columns")}
	cols = slices.DeleteFunc(cols, func(col *frame.Column) bool {
		f := col.Field
		if f.Type.Numeric() || f.Type == frame.DateTime {
			return false
		}
		c.Log("column %q is left as it is: it is %s", f.Name, f.Type)
		return true
	})
	if len(cols) == 0 {
		return nil, module.Errorf(11, "parameter %q selects no column of numbers or dates", "List of columns")
	}
	st.Columns = make([]clipped, len(cols))
	new(learn.Session).Each(len(cols), func(_, i int) {
		st.Columns[i] = learnClipped(c.Params, set, cols[i])
	})
	for _, out := range st.Columns {
		for _, t := range []*threshold{out.Upper, out.Lower} {
			if t != nil && t.Substitute != nil && math.IsInf(*t.Substitute, 0) {
				return nil, module.Errorf(33, "column %q: the mean of its values is infinite", out.Name).At(out.Name)
			}
		}
		if out.Upper != nil && out.Lower != nil && out.Upper.At < out.Lower.At {
			return nil, module.Errorf(8, "column %q: the lower threshold is above the upper one", out.Name).At(out.Name)
		}
	}
	return json.Marshal(st)
}

func learnClipped(p module.Values, set string, col *frame.Column) clipped {
	f, values := col.Field, &ordered{values: present(col)}
	out := clipped{Name: f.Name, Type: f.Type}
	switch set {
	case clipPeaks:
		out.Upper = upperAlone.learn(p, f.Type, values)
	case clipSubPeaks:
		out.Lower = lowerAlone.learn(p, f.Type, values)
	default:
		out.Upper, out.Lower = upperBoth.learn(p, f.Type, values), lowerBoth.learn(p, f.Type, values)
	}
	if f.Type.Integer() && (!out.Upper.whole() || !out.Lower.whole()) {
		out.Type = frame.Double
	}
	return out
}

// ordered are values that are sorted when their order is asked for.
type ordered struct {
	values []float64
	sorted bool
}

// at is value i in order.
func (o *ordered) at(i int) float64 {
	if !o.sorted {
		slices.Sort(o.values)
		o.sorted = true
	}
	return o.values[i]
}

const (
	ticksPerMicro = 10
	epochTicks    = 621_355_968_000_000_000 // of 1970 in 100 ns since 0001
)

// learn returns the threshold of a column with these values.
func (t thresholdParams) learn(p module.Values, typ frame.Type, of *ordered) *threshold {
	n := len(of.values)
	out := &threshold{At: p.Float(t.constant)}
	if typ == frame.DateTime {
		out.At = (out.At - epochTicks) / ticksPerMicro
	}
	if p.Text(t.mode) == thresholdPercentile && n > 0 {
		// The Studio counts the value at a percentile as beyond it.
		out.At, out.Included = of.at(int(p.Int(t.percentile))*n/100), true
	}
	sub := out.At
	switch p.Text(t.substitute) {
	case byMissing:
		return out
	case byMean:
		if n > 0 {
			sub = mean(of.values)
		}
	case byMedian:
		if n > 0 {
			sub = of.at((n-1)/2)/2 + of.at(n/2)/2
		}
	}
	if typ == frame.DateTime {
		sub = math.RoundToEven(sub)
	}
	out.Substitute = &sub
	return out
}

// whole reports whether a column of whole numbers can hold the substitute.
func (t *threshold) whole() bool {
	return t == nil || t.Substitute == nil || *t.Substitute == math.Trunc(*t.Substitute) && math.Abs(*t.Substitute) < 1<<31
}

// beyond reports whether x lies beyond the threshold, above for sign 1 and
// below for -1.
func (t *threshold) beyond(x, sign float64) bool {
	return t != nil && (x*sign > t.At*sign || t.Included && x == t.At)
}

func applyClipper(state []byte, in frame.Schema) (*module.Bound, error) {
	var st clipper
	if err := decode(state, &st); err != nil {
		return nil, err
	}
	computed := make(map[int]module.Out)
	var flags []module.Out
	for k := range st.Columns {
		c := &st.Columns[k]
		i := in.Index(c.Name)
		switch {
		case i < 0:
			return nil, module.NoColumn(in, c.Name)
		case (in[i].Type == frame.DateTime) != (c.Type == frame.DateTime) || !in[i].Type.Numeric() && in[i].Type != frame.DateTime:
			return nil, module.Errorf(17, "column %q is %s, the transformation was learned on %s", c.Name, in[i].Type, c.Type).At(c.Name)
		}
		computed[i] = c.out(in, i)
		if st.Indicate {
			flags = append(flags, c.flag(i))
		}
	}
	mode := outputInplace
	if !st.Overwrite {
		mode = outputAppend
	}
	m := arrange(in, mode, "_clipped", computed)
	for _, o := range flags {
		o.Field.Name = module.Unique(o.Field.Name, func(name string) bool {
			return slices.ContainsFunc(m.Outs, func(o module.Out) bool { return o.Field.Name == name })
		})
		m.Outs = append(m.Outs, o)
	}
	return m.Bind(in, 0, 1)
}

// clip returns the substitute for a value that is clipped.
func (c *clipped) clip(x float64) (substitute *float64, is bool) {
	switch {
	case c.Upper.beyond(x, 1):
		return c.Upper.Substitute, true
	case c.Lower.beyond(x, -1):
		return c.Lower.Substitute, true
	}
	return nil, false
}

func (c *clipped) out(in frame.Schema, i int) module.Out {
	f := in[i]
	f.Missing, f.Optional = nil, false
	if c.Type == frame.Double {
		f.Type = frame.Double
	}
	f.Nullable = f.Nullable || c.Upper != nil && c.Upper.Substitute == nil || c.Lower != nil && c.Lower.Substitute == nil
	whole := f.Type != frame.Double
	return module.Out{
		Field: f, From: -1, Reads: []int{i},
		Fill: func(dst *frame.Column, in *frame.Frame) error {
			col := in.Cols[i]
			for r := range col.Len() {
				if col.IsNull(r) {
					dst.AppendNull()
					continue
				}
				switch sub, is := c.clip(col.Float(r)); {
				case is && sub == nil:
					dst.AppendNull()
				case is && whole:
					dst.AppendInt(int64(*sub))
				case is:
					dst.AppendFloat(*sub)
				case whole:
					dst.AppendInt(col.Ints[r])
				default:
					dst.AppendFloat(col.Float(r))
				}
			}
			return nil
		},
	}
}

func (c *clipped) flag(i int) module.Out {
	return module.Out{
		Field: frame.Field{Name: c.Name + "_IsClipped", Type: frame.Boolean}, From: -1, Reads: []int{i},
		Fill: func(dst *frame.Column, in *frame.Frame) error {
			col := in.Cols[i]
			for r := range col.Len() {
				is := false
				if !col.IsNull(r) {
					_, is = c.clip(col.Float(r))
				}
				dst.AppendBool(is)
			}
			return nil
		},
	}
}
