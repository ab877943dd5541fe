// Package summary shows tables to people: counts, moments, quartiles and a
// histogram of each column, over all rows, and the cells of the first rows.
// What it gives is bounded whatever the table.
package summary

import (
	"cmp"
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
)

// Limits of what is given.
const (
	MaxLevels = 10 // levels of a histogram
	Bins      = 10 // bins of a histogram
	// MaxUnique is how many different texts of a column are told apart.
	MaxUnique = 100_000
)

// Column describes one column.
type Column struct {
	Name    string `json:"name"`
	Count   int    `json:"count"` // cells that are not missing
	Missing int    `json:"missing"`
	Unique  int    `json:"unique"` // different values
	// MoreUnique says that there are more than MaxUnique; Unique is that, and
	// Levels are left out.
	MoreUnique bool `json:"moreUnique,omitempty"`

	// Of numbers, and of dates but for mean and deviation, as cells are printed.
	Min         string   `json:"min,omitempty"`
	Quartile1   string   `json:"quartile1,omitempty"`
	Median      string   `json:"median,omitempty"`
	Quartile3   string   `json:"quartile3,omitempty"`
	Max         string   `json:"max,omitempty"`
	Mean        *float64 `json:"mean,omitempty"`
	Deviation   *float64 `json:"standardDeviation,omitempty"` // of the sample
	Bins        []Bin    `json:"bins,omitempty"`              // of equal width
	Levels      []Level  `json:"levels,omitempty"`            // the most frequent, of texts and truth values; long ones are cut
	OtherLevels int      `json:"otherLevels,omitempty"`       // cells of all other levels
}

// Bin is a bar of a histogram: cells from From to To, which the last includes.
type Bin struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Count int    `json:"count"`
}

// Level is a value with the number of its cells.
type Level struct {
	Value string `json:"value"`
	Count int    `json:"count"`
}

// Describe describes one column.
func Describe(c *frame.Column) Column {
	d := Column{Name: c.Field.Name, Count: c.Len() - c.Nulls(), Missing: c.Nulls()}
	switch t := c.Field.Type; {
	case t == frame.String || t == frame.Boolean:
		d.texts(c)
	case t == frame.Double:
		d.floats(slices.Clone(c.PresentFloats(nil)))
	default:
		values := make([]int64, 0, d.Count)
		for r := range c.Len() {
			if !c.IsNull(r) {
				values = append(values, c.Ints[r])
			}
		}
		d.ints(values, t)
	}
	return d
}

func (d *Column) floats(x []float64) {
	if len(x) == 0 {
		return
	}
	d.moments(x)
	sortFloats(x)
	d.Unique = unique(x)
	show := func(v float64) string { return string(frame.AppendDouble(nil, v)) }
	d.Min, d.Max = show(x[0]), show(x[len(x)-1])
	d.Quartile1, d.Median, d.Quartile3 = show(quantile(x, 0.25)), show(quantile(x, 0.5)), show(quantile(x, 0.75))
	low, high := x[0], x[len(x)-1]
	d.histogram(len(x), func(k int) (string, int) {
		edge := low + (high-low)*(float64(k)/Bins)
		at, _ := slices.BinarySearch(x, edge)
		return show(edge), at
	})
}

// ints are numbers or dates.
func (d *Column) ints(x []int64, t frame.Type) {
	if len(x) == 0 {
		return
	}
	if t != frame.DateTime {
		numbers := make([]float64, len(x))
		for i, v := range x {
			numbers[i] = float64(v)
		}
		d.moments(numbers)
	}
	sortInts(x)
	d.Unique = unique(x)
	cell := func(v int64) string {
		c := frame.NewColumn(frame.Field{Type: t}, 1)
		c.AppendInt(v)
		return string(c.Print(nil, 0))
	}
	low, high := x[0], x[len(x)-1]
	d.Min, d.Max = cell(low), cell(high)
	// Between two integers a quartile or an edge is a number; but of dates it is a
	// date, and of integers that no float64 tells apart an integer.
	whole := t == frame.DateTime || low < -1<<53 || high > 1<<53
	between := func(v float64) string {
		if whole {
			return cell(int64(uint64(low) + uint64(math.Round(v))))
		}
		return string(frame.AppendDouble(nil, float64(low)+v))
	}
	above := make([]float64, len(x)) // exact, as the numbers themselves may not be
	for i, v := range x {
		above[i] = float64(uint64(v) - uint64(low))
	}
	d.Quartile1, d.Median, d.Quartile3 = between(quantile(above, 0.25)), between(quantile(above, 0.5)), between(quantile(above, 0.75))
	span := above[len(above)-1]
	d.histogram(len(x), func(k int) (string, int) {
		edge := span * (float64(k) / Bins)
		at, _ := slices.BinarySearch(above, edge)
		return between(edge), at
	})
}

// histogram makes the bins; edge tells the text of edge k and how many values
// lie below it.
func (d *Column) histogram(n int, edge func(k int) (string, int)) {
	if d.Unique == 1 {
		d.Bins = []Bin{{d.Min, d.Max, n}}
		return
	}
	from, below := d.Min, 0
	for k := 1; k <= Bins; k++ {
		to, at := edge(k)
		if k == Bins {
			to, at = d.Max, n
		}
		d.Bins = append(d.Bins, Bin{from, to, at - below})
		from, below = to, at
	}
}

func (d *Column) moments(x []float64) {
	mean, squares := 0.0, 0.0
	for i, v := range x {
		delta := v - mean
		mean += delta / float64(i+1)
		squares += delta * (v - mean)
	}
	if math.IsNaN(mean) || math.IsInf(mean, 0) {
		return
	}
	d.Mean = &mean
	if deviation := math.Sqrt(squares / float64(len(x)-1)); !math.IsNaN(deviation) && !math.IsInf(deviation, 0) {
		d.Deviation = &deviation
	}
}

func unique[T cmp.Ordered](sorted []T) int {
	n := 0
	for i, v := range sorted {
		if i == 0 || v != sorted[i-1] {
			n++
		}
	}
	return n
}

// quantile interpolates between the two nearest of sorted values.
func quantile(x []float64, q float64) float64 {
	at := q * float64(len(x)-1)
	lo := int(at)
	if lo+1 >= len(x) {
		return x[lo]
	}
	return x[lo] + (x[lo+1]-x[lo])*(at-float64(lo))
}

func (d *Column) texts(c *frame.Column) {
	index := make(map[string]int)
	var levels []Level
	var buf, word []byte
	plain := c.Field.Type == frame.String && !c.Field.Categorical()
	for r := range c.Len() {
		if c.IsNull(r) {
			continue
		}
		if plain {
			word = c.Text(r)
		} else {
			buf = c.Print(buf[:0], r)
			word = buf
		}
		k, ok := index[string(word)]
		if !ok {
			if len(levels) == MaxUnique {
				d.Unique, d.MoreUnique = MaxUnique, true
				return
			}
			k = len(levels)
			text := string(word)
			index[text] = k
			levels = append(levels, Level{Value: text})
		}
		levels[k].Count++
	}
	d.Unique = len(levels)
	slices.SortFunc(levels, func(a, b Level) int {
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.Value, b.Value))
	})
	d.OtherLevels = d.Count
	for i := range levels[:min(len(levels), MaxLevels)] {
		l := &levels[i]
		d.OtherLevels -= l.Count
		l.Value = frame.Clip([]byte(l.Value))
	}
	d.Levels = slices.Clone(levels[:min(len(levels), MaxLevels)])
}
