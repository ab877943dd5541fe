package counts

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model/stablemath"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/murmur"
	"github.com/portico-ml/portico/shared/service"
)

// BuildCountingTransform counts the values of columns by class.
func BuildCountingTransform() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Build Counting Transform", Group: group, CodeVersion: 1, Nature: module.Fitted,
			Inputs:  []module.Port{{ID: "Dataset", Kind: service.Dataset, Doc: "The labelled rows to count."}},
			Outputs: []module.Port{transformOut},
			Params: []module.Param{
				{Name: "Number of classes", Type: module.Int, Default: "2", Range: &module.Range{Min: 2, Max: maxClasses}, Doc: "The number of classes that the label may have."},
				{Name: "The bits of hash function", Type: module.Int, Default: "20", Range: &module.Range{Min: 12, Max: 31}, Doc: "Values are counted by their hash of so many bits; values of the same hash are counted together."},
				{Name: "The seed of hash function", Type: module.Int, Default: "1", Range: &module.Range{Min: 0, Max: math.MaxInt32}, Doc: "The seed of the hash: tables can be merged if it is the same."},
				{
					Name: "Count table type", Type: module.Enumerated, Default: dictionary, Options: []string{dictionary, sketch},
					Doc: "Dictionary counts by one hash. CMSketch takes the least count of four, which needs fewer bits for as few collisions.",
				},
				{Name: "Label column", Type: module.ColumnPicker, Required: true, Single: true, Doc: "The column with the class."},
				{Name: "Select columns to count", Type: module.ColumnPicker, Required: true, Schema: true, Doc: "The columns whose values are counted: those with many different ones."},
			},
			Doc: "Counts how often each value of a column comes with each class. Applied, it adds the counts and the logarithm of the odds, smoothed towards the odds of all rows, and says which values are too rare and took the counts of all rare values (back-off). Rows without a label are not counted; a missing value is rare.",
		},
		Fit:   fit,
		Apply: apply,
	}
}

func fit(_ context.Context, c *module.Call) ([]byte, error) {
	p, table := c.Params, c.Inputs[0].Frame
	schema := table.Schema()
	labels, err := p.Columns("Label column").Resolve(schema)
	if err != nil {
		return nil, err
	}
	if len(labels) != 1 {
		return nil, module.Errorf(22, "parameter %q selects %d columns, one is needed", "Label column", len(labels)).At("Label column")
	}
	picked, err := p.Columns("Select columns to count").Resolve(schema)
	if err != nil {
		return nil, err
	}
	picked = slices.DeleteFunc(picked, func(i int) bool { return i == labels[0] })
	if len(picked) == 0 {
		return nil, module.Errorf(20, "parameter %q selects no column but the label", "Select columns to count")
	}
	label := table.Cols[labels[0]]
	t := &transform{
		Type: p.Text("Count table type"), Bits: int(p.Int("The bits of hash function")), Seed: p.Int("The seed of hash function"),
		Classes: classesOf(label), Features: defaultFeatures,
	}
	if n := p.Int("Number of classes"); int64(len(t.Classes)) > n {
		return nil, module.Errorf(8, "label column %q has %d classes, parameter %q allows %d", label.Field.Name, len(t.Classes), "Number of classes", n).At(label.Field.Name)
	}
	if len(t.Classes) == 0 || label.Nulls() == label.Len() {
		return nil, module.Errorf(134, "label column %q has no value", label.Field.Name).At(label.Field.Name)
	}
	classes := make(map[string]int, len(t.Classes))
	for i, v := range t.Classes {
		classes[v] = i
	}
	var text []byte
	ofRow := make([]int, label.Len()) // class, -1 = missing
	for r := range ofRow {
		ofRow[r] = -1
		if !label.IsNull(r) {
			text = label.Print(text[:0], r)
			class, ok := classes[string(text)]
			if !ok {
				return nil, module.Errorf(134, "row %d, label column %q: the value is not one of its levels", r+1, label.Field.Name).At(label.Field.Name)
			}
			ofRow[r] = class
		}
	}
	for _, i := range picked {
		col := column{Name: schema[i].Name, Tables: make([]map[uint32][]float64, t.depth())}
		for d := range col.Tables {
			col.Tables[d] = make(map[uint32][]float64)
		}
		for r, class := range ofRow {
			if class >= 0 && !table.Cols[i].IsNull(r) {
				text = table.Cols[i].Print(text[:0], r)
				t.count(&col, text, class)
			}
		}
		t.Columns = append(t.Columns, col)
	}
	return json.Marshal(t)
}

func apply(state []byte, in frame.Schema) (*module.Bound, error) {
	t, err := decode(state)
	if err != nil {
		return nil, err
	}
	var m module.RowMap
	taken := func(name string) bool {
		return slices.ContainsFunc(m.Outs, func(o module.Out) bool { return o.Field.Name == name })
	}
	for i := range in {
		m.Outs = append(m.Outs, module.Pass(in, i))
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		at := in.Index(c.Name)
		if at < 0 {
			return nil, module.NoColumn(in, c.Name)
		}
		counted := t.prepare(c)
		add := func(name string, typ frame.Type, fill func(dst *frame.Column, e *entry)) {
			m.Outs = append(m.Outs, module.Out{
				Field: frame.Field{Name: module.Unique(name, taken), Type: typ}, From: -1, Reads: []int{at},
				Fill: func(dst *frame.Column, in *frame.Frame) error {
					var scratch [64]byte
					src := in.Cols[at]
					for r := range src.Len() {
						e := &counted.garbage
						if !src.IsNull(r) {
							e = counted.find(src.Print(scratch[:0], r))
						}
						fill(dst, e)
					}
					return nil
				},
			})
		}
		if t.Features.Output != logOddsOnly {
			for k, class := range t.Classes {
				add(fmt.Sprintf("%s Count of %s", c.Name, class), frame.Double, func(dst *frame.Column, e *entry) { dst.AppendFloat(e.counts[k]) })
			}
		}
		if t.Features.Output != countsOnly {
			first := 0
			if len(t.Classes) == 2 {
				first = 1 // the odds of the other class are the same, turned over
			}
			for k := first; k < len(t.Classes); k++ {
				add(fmt.Sprintf("%s Log Odds of %s", c.Name, t.Classes[k]), frame.Double, func(dst *frame.Column, e *entry) { dst.AppendFloat(e.odds[k]) })
			}
		}
		if !t.Features.NoBackOff {
			add(c.Name+" IsBackOff", frame.Boolean, func(dst *frame.Column, e *entry) { dst.AppendBool(e.backOff) })
		}
	}
	return m.Bind(in, 0, 1)
}

// entry is what a value's features are.
type entry struct {
	counts, odds []float64
	backOff      bool
}

// counted is a column's count table made ready for scoring.
type counted struct {
	t       *transform
	entries []map[uint32]*entry // by table; of a sketch the least count decides
	totals  []map[uint32]float64
	garbage entry
}

// prepare works out the features of every hash, so that scoring looks them up.
func (t *transform) prepare(c *column) *counted {
	out := &counted{t: t}
	classes := len(t.Classes)
	all, garbage := make([]float64, classes), make([]float64, classes)
	for d, table := range c.Tables {
		totals := make(map[uint32]float64, len(table))
		for _, k := range slices.Sorted(maps.Keys(table)) { // in one order: sums
			row := table[k]
			total := 0.0
			for i, v := range row {
				total += v
				if d == 0 {
					all[i] += v
				}
			}
			totals[k] = total
			if d == 0 && total < t.Features.Garbage {
				for i, v := range row {
					garbage[i] += v
				}
			}
		}
		out.totals = append(out.totals, totals)
	}
	prior := make([]float64, classes)
	sum := 0.0
	for _, v := range all {
		sum += v
	}
	for i := range prior {
		prior[i] = 1 / float64(classes)
		if sum > 0 {
			prior[i] = all[i] / sum
		}
	}
	out.garbage = t.entry(c.Name, math.MaxUint32, garbage, prior)
	out.garbage.backOff = true
	for d, table := range c.Tables {
		entries := make(map[uint32]*entry, len(table))
		for k, row := range table {
			if out.totals[d][k] >= t.Features.Garbage {
				e := t.entry(c.Name, k, row, prior)
				entries[k] = &e
			}
		}
		out.entries = append(out.entries, entries)
	}
	return out
}

// entry works out the features of one row of counts.
func (t *transform) entry(column string, key uint32, row, prior []float64) entry {
	e := entry{counts: slices.Clone(row), odds: make([]float64, len(row))}
	if scale := t.Features.Noise; scale > 0 {
		// The noise of a value depends on nothing but the value.
		rng := rand.New(rand.NewPCG(uint64(murmur.Sum32([]byte(column), uint32(t.Features.NoiseStart)))<<32|uint64(key), uint64(t.Features.NoiseStart)))
		for i := range e.counts {
			u := rng.Float64() - 0.5
			e.counts[i] = max(0, e.counts[i]-math.Copysign(scale, u)*stablemath.Log(1-2*math.Abs(u)))
		}
	}
	total := 0.0
	for _, v := range e.counts {
		total += v
	}
	m := t.Features.Prior
	for i, v := range e.counts {
		e.odds[i] = stablemath.Log((v + float64(m*prior[i]) + tiny) / (total - v + float64(m*(1-prior[i])) + tiny))
	}
	return e
}

// tiny keeps the odds of what never came finite where there is no prior.
const tiny = 1e-6

// find returns the features of a text: of a sketch those of the table that
// counts least.
func (c *counted) find(text []byte) *entry {
	best, least := &c.garbage, math.Inf(1)
	for d := range c.entries {
		k := c.t.key(text, d)
		if total := c.totals[d][k]; total < least {
			least = total
			if e := c.entries[d][k]; e != nil {
				best = e
			} else {
				best = &c.garbage
			}
		}
	}
	return best
}
