package filter

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/module"
)

// Kinds of moving averages, and the median.
const (
	simple      = "Simple"
	triangular  = "Triangular"
	weighted    = "Weighted"
	exponential = "Exponential"
	modified    = "Modified"
	cumulative  = "Cumulative"
	medianKind  = "Median"
)

// window is a filter over neighbouring rows.
type window struct {
	Kind   string `json:"kind"`
	Length int    `json:"length,omitempty"`
}

func lengthParam(doc string, when *module.When) module.Param {
	return module.Param{Name: "Length", Type: module.Int, Default: "5", Range: &module.Range{Min: 1, Max: 10_000}, When: when, Doc: doc}
}

// MedianFilter replaces a row by the median of its neighbours.
func MedianFilter() *module.Module {
	return maker("Median Filter",
		"Makes a filter that puts the median of a row and its neighbours in the place of the row. At both ends there are fewer neighbours, and the median is of those.",
		[]module.Param{lengthParam("The number of rows in the window, which has the row in its middle.", nil)},
		func(p module.Values) (*filter, error) {
			return &filter{Window: &window{medianKind, int(p.Int("Length"))}}, nil
		})
}

// MovingAverageFilter replaces a row by an average of it and those before.
func MovingAverageFilter() *module.Module {
	kinds := []string{simple, triangular, weighted, exponential, modified, cumulative}
	return maker("Moving Average Filter",
		"Makes a filter that puts an average of a row and the rows before in the place of the row. At the beginning there are fewer rows, and the average is of those.",
		[]module.Param{
			lengthParam("The number of rows in the window.", &module.When{Param: "Moving average type", Is: kinds[:5]}),
			{
				Name: "Moving average type", Type: module.Enumerated, Default: simple, Options: kinds,
				Doc: "Simple: all rows of the window count the same. Triangular: the simple average of simple averages over half the window. Weighted: the newest row counts most, the oldest once. Exponential: weights fall by the factor 1 - 2/(length+1); Modified: by 1 - 1/length. Cumulative: of all rows so far.",
			},
		},
		func(p module.Values) (*filter, error) {
			kind := p.Text("Moving average type")
			w := &window{Kind: kind}
			if kind != cumulative {
				w.Length = int(p.Int("Length"))
			}
			return &filter{Window: w}, nil
		})
}

func (w *window) apply(x []float64) []float64 {
	switch w.Kind {
	case medianKind:
		return medians(x, w.Length)
	case triangular:
		half := (w.Length + 2) / 2
		return averages(averages(x, half), w.Length+1-half)
	case weighted:
		return weightedAverages(x, w.Length)
	case exponential:
		return smooth(x, 2/float64(w.Length+1))
	case modified:
		return smooth(x, 1/float64(w.Length))
	case cumulative:
		return averages(x, max(len(x), 1))
	}
	return averages(x, w.Length)
}

// averages cuts the column into blocks of n rows: a window is the end of one and
// the beginning of the next, whose sums are made once. So errors do not add up
// along the column.
func averages(x []float64, n int) []float64 {
	y, tail := make([]float64, len(x)), make([]float64, len(x)+1)
	for lo := 0; lo < len(x); lo += n {
		hi := min(lo+n, len(x))
		sum := 0.0
		for i := hi - 1; i >= lo; i-- { // tail[i]: from i to the end of its block
			sum += x[i]
			tail[i] = sum
		}
	}
	for lo := 0; lo < len(x); lo += n {
		sum := 0.0
		for i := lo; i < min(lo+n, len(x)); i++ {
			sum += x[i]
			switch first := i - n + 1; {
			case first < 0:
				y[i] = sum / float64(i+1)
			case first == lo:
				y[i] = sum / float64(n)
			default:
				y[i] = (tail[first] + sum) / float64(n)
			}
		}
	}
	return y
}

func weightedAverages(x []float64, n int) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		sum, weights := 0.0, 0.0
		lo := max(0, i-n+1)
		for k, v := range x[lo : i+1] {
			w := float64(k + 1)
			sum += float64(w * v)
			weights += w
		}
		y[i] = sum / weights
	}
	return y
}

func smooth(x []float64, alpha float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		if i == 0 {
			y[0] = v
			continue
		}
		y[i] = float64(alpha*v) + float64((1-alpha)*y[i-1])
	}
	return y
}

func medians(x []float64, n int) []float64 {
	y := make([]float64, len(x))
	sorted := make([]float64, 0, n)
	before, after := n/2, n-n/2-1
	for i := -after; i < len(x); i++ {
		if in := i + after; in < len(x) {
			at, _ := slices.BinarySearch(sorted, x[in])
			sorted = slices.Insert(sorted, at, x[in])
		}
		if out := i - before - 1; out >= 0 {
			at, _ := slices.BinarySearch(sorted, x[out])
			sorted = slices.Delete(sorted, at, at+1)
		}
		if i < 0 {
			continue
		}
		m := len(sorted) / 2
		if y[i] = sorted[m]; len(sorted)%2 == 0 {
			y[i] = (sorted[m-1] + sorted[m]) / 2
		}
	}
	return y
}

// threshold is a filter of cells by size.
type threshold struct {
	Type  string  `json:"type"`
	Level float64 `json:"level,omitempty"`
	Lower float64 `json:"lower,omitempty"`
	Upper float64 `json:"upper,omitempty"`
	Alpha float64 `json:"alpha,omitempty"`
}

// Kinds of thresholds.
const (
	lessThan    = "LessThan"
	greaterThan = "GreaterThan"
	inRange     = "InRange"
	outOfRange  = "OutOfRange"
	hysteresis  = "Hysteresis"
)

// ThresholdFilter lets values pass by size.
func ThresholdFilter() *module.Module {
	bounds := &module.When{Param: "Filter type", Is: []string{inRange, outOfRange, hysteresis}}
	return maker("Threshold Filter",
		"Makes a filter that lets values pass by their size. What does not pass is damped, to 0 unless Alpha says otherwise.",
		[]module.Param{
			{
				Name: "Filter type", Type: module.Enumerated, Default: lessThan, Options: []string{lessThan, greaterThan, inRange, outOfRange, hysteresis},
				Doc: "What passes: values below the level, above it, between the bounds, or outside of them. Hysteresis: values from the first one above the upper bound on, up to the next one below the lower bound.",
			},
			{Name: "Level", Type: module.Float, Default: "0", When: &module.When{Param: "Filter type", Is: []string{lessThan, greaterThan}}, Doc: "The level; a value that equals it does not pass."},
			{Name: "Lower bound", Type: module.Float, Default: "0", When: bounds, Doc: "The lower bound, which is itself in the range."},
			{Name: "Upper bound", Type: module.Float, Default: "1", When: bounds, Doc: "The upper bound, which is itself in the range."},
			{Name: "Alpha", Type: module.Float, Default: "0", Doc: "The factor by which a value that does not pass is multiplied."},
		},
		func(p module.Values) (*filter, error) {
			t := &threshold{Type: p.Text("Filter type"), Alpha: p.Float("Alpha")}
			if t.Type == lessThan || t.Type == greaterThan {
				t.Level = p.Float("Level")
			} else if t.Lower, t.Upper = p.Float("Lower bound"), p.Float("Upper bound"); t.Lower > t.Upper {
				return nil, module.Errorf(8, "the lower bound %v is above the upper bound %v", t.Lower, t.Upper)
			}
			return &filter{Threshold: t}, nil
		})
}

func (t *threshold) apply(x []float64) []float64 {
	y := make([]float64, len(x))
	open := false
	for i, v := range x {
		var pass bool
		switch t.Type {
		case lessThan:
			pass = v < t.Level
		case greaterThan:
			pass = v > t.Level
		case inRange:
			pass = t.Lower <= v && v <= t.Upper
		case outOfRange:
			pass = v < t.Lower || v > t.Upper
		default:
			if v > t.Upper {
				open = true
			} else if v < t.Lower {
				open = false
			}
			pass = open
		}
		if y[i] = v; !pass {
			y[i] = t.Alpha * v
		}
	}
	return y
}

// UserDefinedFilter takes the coefficients as they are.
func UserDefinedFilter() *module.Module {
	m := maker("User Defined Filter",
		"Makes a filter of coefficients that somebody else has designed.",
		[]module.Param{
			{
				Name: "Filter type", Type: module.Enumerated, Default: "FIR", Options: []string{"FIR", "IIR"},
				Doc: "Whether the results of the rows before count (IIR) or only the rows (FIR).",
			},
			{Name: "Forward", Type: module.String, Default: "1.0", Check: checkCoefficients("Forward"), Doc: "The coefficients of the row and the rows before, separated by commas or blanks."},
			{
				Name: "Backward", Type: module.String, Default: "1.0", When: &module.When{Param: "Filter type", Is: []string{"IIR"}}, Check: checkCoefficients("Backward"),
				Doc: "The coefficients of the row's result and the results before; all are divided by the first.",
			},
		},
		designUser)
	m.Aliases = []string{"User-Defined Filter"}
	return m
}

func designUser(p module.Values) (*filter, error) {
	b, err := coefficients(p.Text("Forward"), "Forward")
	if err != nil || p.Text("Filter type") == "FIR" {
		return &filter{Linear: &linear{Forward: b}}, err
	}
	a, err := coefficients(p.Text("Backward"), "Backward")
	if err != nil {
		return nil, err
	}
	if a[0] == 0 {
		return nil, module.Errorf(8, "parameter %q: the first coefficient must not be 0", "Backward").At("Backward")
	}
	for _, s := range [][]float64{b, a[1:]} {
		for i := range s {
			s[i] /= a[0]
		}
	}
	return &filter{Linear: &linear{Forward: b, Backward: a[1:]}}, nil
}

const maxCoefficients = 10_000

func checkCoefficients(param string) func(text string) error {
	return func(text string) error {
		_, err := coefficients(text, param)
		return err
	}
}

// coefficients reads the numbers that a parameter holds.
func coefficients(text, param string) ([]float64, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\t' || r == '\n' || r == '\r' })
	if len(words) == 0 || len(words) > maxCoefficients {
		return nil, module.Errorf(2, "parameter %q: %d coefficients: from 1 to %d are needed", param, len(words), maxCoefficients).At(param)
	}
	out := make([]float64, len(words))
	for i, w := range words {
		v, err := strconv.ParseFloat(w, 64)
		if err != nil || math.IsInf(v, 0) || v != v {
			return nil, module.Errorf(2, "parameter %q: %.40q is not a finite number", param, w).At(param)
		}
		out[i] = v
	}
	return out, nil
}
