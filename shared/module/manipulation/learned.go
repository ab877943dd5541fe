package manipulation

import (
	"cmp"
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/module"
)

// learned is what a mode that learns one value learns of a column.
type learned struct {
	text string
	err  error
}

// learnValues learns of each picked column that has values, side by side.
func learnValues(mode string, table *frame.Frame, picked []int) []learned {
	out := make([]learned, len(picked))
	if mode != modeMean && mode != modeMedian && mode != modeMode {
		return out
	}
	new(learn.Session).Each(len(picked), func(_, k int) {
		if c := table.Cols[picked[k]]; c.Nulls() < c.Len() {
			out[k].text, out[k].err = learnedValue(mode, c)
		}
	})
	return out
}

// learnedValue returns the mean, median or mode of a column with at least one
// value, as text.
func learnedValue(mode string, c *frame.Column) (string, error) {
	f := c.Field
	if mode == modeMode {
		return mostFrequent(c), nil
	}
	if f.Type == frame.String || mode == modeMedian && (f.Type == frame.Boolean || f.Type == frame.DateTime) {
		return "", module.Errorf(17, "column %q is %s: %q does not apply to it", f.Name, f.Type, mode).At(f.Name)
	}
	values := c.PresentFloats(nil)
	var x float64
	if mode == modeMean {
		x = mean(values)
	} else {
		x = median(slices.Clone(values))
	}
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return "", module.Errorf(33, "column %q: %q would be infinite: its values are too large", f.Name, mode).At(f.Name)
	}
	out := frame.NewColumn(frame.Field{Name: f.Name, Type: f.Type}, 1)
	switch {
	case f.Type == frame.Double:
		out.AppendFloat(x)
	case f.Type == frame.Boolean:
		out.AppendBool(math.RoundToEven(x) != 0)
	default:
		out.AppendInt(int64(math.RoundToEven(x)))
	}
	return string(out.Print(nil, 0)), nil
}

// mean is computed about the first value, which keeps dates and other large
// numbers exact.
func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v - values[0]
	}
	return values[0] + sum/float64(len(values))
}

// median reorders values.
func median(values []float64) float64 {
	n := len(values)
	hi := nth(values, n/2)
	if n%2 == 1 {
		return hi
	}
	lo := slices.Max(values[:n/2]) // nth leaves the smaller ones in front
	return lo + (hi-lo)/2
}

// nth returns the value that would be at k were the values sorted, and puts
// none that is larger in front of it, none that is smaller behind (Hoare 1961).
func nth(values []float64, k int) float64 {
	lo, hi := 0, len(values)-1
	for lo < hi {
		a, b, c := values[lo], values[lo+(hi-lo)/2], values[hi]
		pivot := max(min(a, b), min(max(a, b), c))
		i, j := lo, hi
		for i <= j {
			for values[i] < pivot {
				i++
			}
			for values[j] > pivot {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			hi = j
		case k >= i:
			lo = i
		default:
			return values[k]
		}
	}
	return values[k]
}

// mostFrequent returns the mode; of several, the one that comes first in order.
func mostFrequent(c *frame.Column) string {
	best := 0 // the row of a cell
	switch {
	case c.Field.Type == frame.Double:
		best = longestRun(c, c.Floats)
	case c.Field.Type.Integer() || c.Field.Type == frame.DateTime:
		best = longestRun(c, c.Ints)
	default:
		counts, first := make(map[string]int), make(map[string]int)
		var buf []byte
		for r := range c.Len() {
			if !c.IsNull(r) {
				buf = c.Print(buf[:0], r)
				if counts[string(buf)]++; counts[string(buf)] == 1 {
					first[string(buf)] = r
				}
			}
		}
		most := 0
		for _, text := range levels(c) {
			if counts[text] > most {
				best, most = first[text], counts[text]
			}
		}
	}
	return string(c.Print(nil, best))
}

// longestRun returns the row of a value that most cells of c have, the least of
// several.
func longestRun[T int64 | float64](c *frame.Column, cells []T) int {
	rows := make([]int, 0, c.Len()-c.Nulls())
	for r := range c.Len() {
		if !c.IsNull(r) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b int) int { return cmp.Compare(cells[a], cells[b]) })
	best, most, run := rows[0], 0, 0
	for i, r := range rows {
		if run++; i > 0 && cells[r] != cells[rows[i-1]] {
			run = 1
		}
		if run > most {
			best, most = r, run
		}
	}
	return best
}
