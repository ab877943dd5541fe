package scale

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

const (
	binQuantiles   = "Quantiles"
	binEqualWidth  = "Equal Width"
	binEntropy     = "Entropy MDL"
	binCustom      = "Custom Edges"
	binCustomWidth = "Equal Width with Custom Start and Stop"

	quantilePercent = "Percent"
	quantileP       = "PQuantile"
	quantileIndex   = "QuantileIndex"
)

// maxBins bounds the bins of a column.
const maxBins = 10_000

// GroupDataIntoBins puts numbers into bins.
func GroupDataIntoBins() *module.Module {
	in := func(modes ...string) *module.When { return &module.When{Param: "Binning mode", Is: modes} }
	return &module.Module{
		Spec: module.Spec{
			Name: "Group Data into Bins", Aliases: []string{"Quantize"},
			Group: group, CodeVersion: 1, Nature: module.Fitted,
			Inputs: []module.Port{datasetIn},
			Outputs: []module.Port{
				{ID: "Quantized dataset", Kind: service.Dataset, Doc: "The table with the bins."},
				{ID: "Binning transformation", Kind: service.Transformation, Doc: "The edges, for Apply Transformation."},
			},
			Params: []module.Param{
				{
					Name: "Binning mode", Type: module.Enumerated, Default: binQuantiles, Schema: true,
					Options: []string{binQuantiles, binEqualWidth, binEntropy, binCustom, binCustomWidth},
					Doc:     "Where the edges are: at quantiles (interpolated), at equal distances between the column's least and largest value, where they tell the label best (Fayyad and Irani 1993), or where you say.",
				},
				{
					Name: "Columns to bin", Type: module.ColumnPicker, Default: "NumericAll", Schema: true,
					Doc: "The columns to bin, all of numbers.",
				},
				{
					Name: "Output mode", Type: module.Enumerated, Default: outputAppend, Options: []string{outputAppend, outputInplace, outputOnly}, Schema: true,
					Doc: "Append the bins as columns {column}quantized, put them in the place of the values, or give the bins alone.",
				},
				{
					Name: "Tag columns as categorical", Type: module.Boolean, Default: "true", Schema: true,
					Doc: "Make the bins categories, in the order of the bins; otherwise they are numbers.",
				},
				{
					Name: "Number of bins", Type: module.Int, Default: "10", Range: &module.Range{Min: 1, Max: maxBins}, Schema: true, When: in(binQuantiles, binEqualWidth, binEntropy),
					Doc: "How many bins to make, at most: equal quantiles make one edge, and Entropy MDL stops where no edge is worth it.",
				},
				{
					Name: "Quantile normalization", Type: module.Enumerated, Default: quantilePercent, Options: []string{quantilePercent, quantileP, quantileIndex}, Schema: true, When: in(binQuantiles),
					Doc: "What stands for bin i of n: 100 i / (n + 1), i / (n + 1), or i.",
				},
				{
					Name: "First edge position", Type: module.Float, Default: "0", Schema: true, When: in(binCustomWidth),
					Doc: "The first edge.",
				},
				{
					Name: "Bin width", Type: module.Float, Default: "0.5", Schema: true, When: in(binCustomWidth),
					Doc: "The distance of the edges.",
				},
				{
					Name: "Last edge position", Type: module.Float, Default: "1", Schema: true, When: in(binCustomWidth),
					Doc: "No edge is behind this one.",
				},
				{
					Name: "Comma-separated list of bin edges", Type: module.String, Required: true, Schema: true, When: in(binCustom), Check: checkEdges,
					Doc: "The edges, from lowest to highest.",
				},
			},
			Doc: "Puts numbers into bins: bin 1 has the values up to the first edge, it included, bin 2 those up to the second, and so on. The edges are kept as a transformation. Missing cells stay missing.",
		},
		Fit: fitBins, Apply: applyBins,
	}
}

// binning is the learned state.
type binning struct {
	Mode        string   `json:"mode"` // of output
	Values      string   `json:"values"`
	Categorical bool     `json:"categorical"`
	Columns     []binned `json:"columns"`
}

// binned is one column; n edges make n+1 bins.
type binned struct {
	Name  string    `json:"name"`
	Edges []float64 `json:"edges"`
}

func fitBins(_ context.Context, c *module.Call) ([]byte, error) {
	cols, err := numeric(c, "Columns to bin")
	if err != nil {
		return nil, err
	}
	p := c.Params
	mode, n := p.Text("Binning mode"), int(p.Int("Number of bins"))
	st := binning{Mode: p.Text("Output mode"), Values: quantileIndex, Categorical: p.Bool("Tag columns as categorical")}
	if mode == binQuantiles {
		st.Values = p.Text("Quantile normalization")
	}
	var fixed []float64
	switch mode {
	case binCustom:
		fixed, err = customEdges(p.Text("Comma-separated list of bin edges"))
	case binCustomWidth:
		fixed, err = customWidth(p.Float("First edge position"), p.Float("Bin width"), p.Float("Last edge position"))
	}
	if err != nil {
		return nil, err
	}
	var label *frame.Column
	if mode == binEntropy {
		if label, err = labelOf(c.Inputs[0].Frame); err != nil {
			return nil, err
		}
	}
	cols = slices.DeleteFunc(cols, func(col *frame.Column) bool { return col == label })
	if len(cols) == 0 {
		return nil, module.Errorf(20, "parameter %q selects the label only", "Columns to bin")
	}
	st.Columns = make([]binned, len(cols))
	errs := make([]error, len(cols))
	new(learn.Session).Each(len(cols), func(_, i int) {
		b := binned{Name: cols[i].Field.Name, Edges: fixed}
		if fixed == nil {
			b.Edges, errs[i] = learnEdges(mode, cols[i], label, n)
		}
		st.Columns[i] = b
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return json.Marshal(st)
}

// learnEdges returns the edges of a column; none where it has no values.
func learnEdges(mode string, col, label *frame.Column, n int) ([]float64, error) {
	if mode == binEntropy {
		return entropyEdges(col, label, n)
	}
	values := present(col)
	switch {
	case len(values) == 0:
		return []float64{}, nil
	case mode == binEqualWidth:
		return equalWidth(slices.Min(values), slices.Max(values), n), nil
	}
	slices.Sort(values)
	return quantileEdges(values, n), nil
}

func labelOf(f *frame.Frame) (*frame.Column, error) {
	var label *frame.Column
	for _, c := range f.Cols {
		if c.Field.Role != frame.Label {
			continue
		}
		if label != nil {
			return nil, module.Errorf(37, "columns %q and %q are both labels: one is allowed", label.Field.Name, c.Field.Name).At(c.Field.Name)
		}
		label = c
	}
	if label == nil {
		return nil, module.Errorf(24, "no column is marked as label, which %s bins by: mark it with Edit Metadata", binEntropy)
	}
	return label, nil
}

func checkEdges(text string) error {
	_, err := customEdges(text)
	return err
}

func customEdges(text string) ([]float64, error) {
	const name = "Comma-separated list of bin edges"
	var edges []float64
	for _, s := range strings.Split(text, ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, module.Errorf(2, "parameter %q: %q is not a number", name, s)
		}
		if n := len(edges); n > 0 && x <= edges[n-1] {
			return nil, module.Errorf(19, "parameter %q: %v does not come behind %v: edges go from lowest to highest", name, x, edges[n-1])
		}
		edges = append(edges, x)
	}
	return edges, nil
}

func customWidth(first, width, last float64) ([]float64, error) {
	switch {
	case width <= 0:
		return nil, module.Errorf(4, "the bin width %v is not above 0", width)
	case last < first:
		return nil, module.Errorf(5, "the last edge %v is below the first, %v", last, first)
	case (last-first)/width > maxBins:
		return nil, module.Errorf(7, "edges from %v to %v at a distance of %v make more than %d bins", first, last, width, maxBins)
	}
	var edges []float64
	for i := 0; ; i++ {
		x := first + float64(float64(i)*width)
		if x > last+width*1e-9 {
			return edges, nil
		}
		edges = append(edges, x)
	}
}

func equalWidth(lo, hi float64, n int) []float64 {
	edges := []float64{}
	for i := 1; i < n; i++ {
		x := lo + float64((hi-lo)*float64(i)/float64(n))
		if math.IsInf(hi-lo, 0) {
			part := float64(i) / float64(n)
			x = float64(lo*(1-part)) + float64(hi*part)
		}
		if k := len(edges); x < hi && (k == 0 || x > edges[k-1]) {
			edges = append(edges, x)
		}
	}
	return edges
}

// quantileEdges returns the quantiles i/n of sorted values, interpolated
// between neighbours.
func quantileEdges(sorted []float64, n int) []float64 {
	edges := []float64{}
	last := len(sorted) - 1
	for i := 1; i < n; i++ {
		at := float64(i) / float64(n) * float64(last)
		k := min(int(at), last)
		x := sorted[k]
		if k < last {
			x += float64((at - float64(k)) * (sorted[k+1] - sorted[k]))
		}
		if m := len(edges); x < sorted[last] && (m == 0 || x > edges[m-1]) {
			edges = append(edges, x)
		}
	}
	return edges
}

func applyBins(state []byte, in frame.Schema) (*module.Bound, error) {
	var st binning
	if err := decode(state, &st); err != nil {
		return nil, err
	}
	computed := make(map[int]module.Out, len(st.Columns))
	for k := range st.Columns {
		i, err := number(in, st.Columns[k].Name)
		if err != nil {
			return nil, err
		}
		computed[i] = st.out(in, i, st.Columns[k].Edges)
	}
	return arrange(in, st.Mode, "quantized", computed).Bind(in, 0, 1)
}

func (st *binning) out(in frame.Schema, i int, edges []float64) module.Out {
	values := make([]float64, len(edges)+1) // of the bins
	f := in[i]
	f.Type, f.Missing, f.Optional = frame.Double, nil, false
	for k := range values {
		switch values[k] = float64(k + 1); st.Values {
		case quantilePercent:
			values[k] = 100 * float64(k+1) / float64(len(edges)+2)
		case quantileP:
			values[k] = float64(k+1) / float64(len(edges)+2)
		default:
			f.Type = frame.Int32
		}
	}
	if st.Categorical {
		f.Type, f.Levels = frame.String, make([]string, len(values))
		for k, v := range values {
			f.Levels[k] = string(frame.AppendDouble(nil, v))
		}
	}
	return module.Out{
		Field: f, From: -1, Reads: []int{i},
		Fill: func(dst *frame.Column, in *frame.Frame) error {
			c := in.Cols[i]
			for r := range c.Len() {
				if c.IsNull(r) {
					dst.AppendNull()
					continue
				}
				k, _ := slices.BinarySearch(edges, c.Float(r))
				switch {
				case f.Levels != nil:
					dst.AppendCode(int32(k))
				case f.Type == frame.Int32:
					dst.AppendInt(int64(k) + 1)
				default:
					dst.AppendFloat(values[k])
				}
			}
			return nil
		},
	}
}
