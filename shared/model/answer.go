package model

import (
	"strconv"

	"github.com/portico-ml/portico/shared/frame"
)

// The names of the Studio's score columns.
const (
	ScoredLabels        = "Scored Labels"
	ScoredProbabilities = "Scored Probabilities"
	ScoredMean          = "Scored Label Mean"
	ScoredDeviation     = "Scored Label Standard Deviation"
	Assignments         = "Assignments"
)

// ScoredProbability names the probability column of one class of a multiclass
// model. The quotes are part of the name.
func ScoredProbability(class string) string {
	return ScoredProbabilities + ` for Class "` + class + `"`
}

// ScoredQuantile names the column of quantile q.
func ScoredQuantile(q float64) string {
	return "Scored Quantile " + strconv.FormatFloat(q, 'g', -1, 64)
}

// ClusterDistance names the column of the distance to cluster k, from 0.
func ClusterDistance(k int) string { return "DistancesToClusterCenter no." + strconv.Itoa(k) }

func (h *Header) scoreFields() []frame.Field {
	number := func(name string) frame.Field {
		return frame.Field{Name: name, Type: frame.Double, Role: frame.Score, Nullable: true}
	}
	label := number(ScoredLabels)
	if h.Kind.Classes() > 0 {
		label.Type = h.Label.Type
		if label.Type == frame.String {
			label.Levels = h.Label.Classes
		}
	}
	var fields []frame.Field
	switch h.Kind {
	case TwoClass:
		return []frame.Field{label, number(ScoredProbabilities)}
	case Multiclass:
		for _, c := range h.Label.Classes {
			fields = append(fields, number(ScoredProbability(c)))
		}
		return append(fields, label)
	case Distribution:
		return []frame.Field{number(ScoredMean), number(ScoredDeviation)}
	case Quantiles:
		for _, q := range h.Quantiles {
			fields = append(fields, number(ScoredQuantile(q)))
		}
		return fields
	case Clustering:
		fields = append(fields, number(Assignments))
		fields[0].Type = frame.Int32
		for k := range h.outputs {
			fields = append(fields, number(ClusterDistance(k)))
		}
		return fields
	case Anomaly:
		label.Type = frame.Int32
		return []frame.Field{label, number(ScoredProbabilities)}
	}
	return []frame.Field{label}
}

// checkAnswer verifies that kind, transform and label fit an engine of the
// given number of outputs.
func (h *Header) checkAnswer(outputs int) error {
	want, known := h.Transform.outputs()
	if !known {
		return broken("unknown transform %q", h.Transform.Name)
	}
	if want != 0 && want != outputs {
		return broken("transform %q takes %d output, the engine has %d", h.Transform.Name, want, outputs)
	}
	if u := h.UnknownLevel; u != "" && u != UnknownMissing && u != UnknownError {
		return broken("unknownLevel is %q: one of %q, %q", u, UnknownMissing, UnknownError)
	}
	switch h.Kind {
	case Regression, Anomaly:
		if outputs != 1 {
			return broken("a model of kind %q has one output, this one %d", h.Kind, outputs)
		}
		return nil
	case Distribution:
		if outputs != 2 {
			return broken("a distribution has two outputs, mean and deviation; this one has %d", outputs)
		}
		return nil
	case Quantiles:
		return h.checkQuantiles(outputs)
	case Clustering:
		h.outputs = outputs
		return nil
	}
	if h.Label == nil {
		return broken("a %s model needs a label", h.Kind)
	}
	n := len(h.Label.Classes)
	switch h.Kind {
	case TwoClass:
		if n != 2 || outputs > 2 {
			return broken("a two-class model has two classes and one or two outputs; this one has %d and %d", n, outputs)
		}
		if outputs == 2 && h.Transform.Name == Identity {
			return broken("a two-class model of two outputs needs a transform")
		}
		if h.Label.index(h.Label.Positive) < 0 {
			return broken("the positive class %q is none of the classes %q", h.Label.Positive, h.Label.Classes)
		}
	case Multiclass:
		if n < 2 || n != outputs {
			return broken("%d classes for %d outputs", n, outputs)
		}
	default:
		return broken("unknown kind %q", h.Kind)
	}
	seen := map[string]bool{}
	for _, c := range h.Label.Classes {
		if seen[c] {
			return broken("class %q is there twice", c)
		}
		seen[c] = true
		if err := checkSpelling(h.Label.Type, c); err != nil {
			return broken("class %q of the label: %v", c, err)
		}
	}
	return nil
}

func (h *Header) checkQuantiles(outputs int) error {
	if len(h.Quantiles) == 0 || len(h.Quantiles) != outputs {
		return broken("%d quantiles for %d outputs", len(h.Quantiles), outputs)
	}
	for i, q := range h.Quantiles {
		if !(q >= 0 && q <= 1) || i > 0 && q <= h.Quantiles[i-1] {
			return broken("the quantiles %v are not between 0 and 1 in rising order", h.Quantiles)
		}
	}
	return nil
}

func (l *Label) index(class string) int {
	for i, c := range l.Classes {
		if c == class {
			return i
		}
	}
	return -1
}

// answer turns transformed sums into score cells.
type answer struct {
	kind      Kind
	transform Transform
	positive  int // index of the positive class
	labels    []labelCell
	labelType frame.Type
}

// labelCell is a class in the vector of its column's type.
type labelCell struct {
	code int32
	real float64
	int  int64
	bool bool
}

func newAnswer(h *Header) answer {
	a := answer{kind: h.Kind, transform: h.Transform}
	if h.Kind.Classes() == 0 {
		return a
	}
	a.labelType = h.Label.Type
	a.positive = h.Label.index(h.Label.Positive)
	for i, c := range h.Label.Classes {
		l := labelCell{code: int32(i)}
		// Spellings were checked by Open.
		l.real, _ = strconv.ParseFloat(c, 64)
		l.int, _ = strconv.ParseInt(c, 10, 64)
		l.bool, _ = parseBool(c)
		a.labels = append(a.labels, l)
	}
	return a
}

func (a *answer) append(sums []float64, dst []*frame.Column) {
	raw := sums[0]
	a.transform.apply(sums)
	switch a.kind {
	case Regression, Distribution, Quantiles:
		for k, v := range sums {
			dst[k].AppendFloat(v)
		}
	case Clustering:
		nearest := 0
		for k, d := range sums {
			dst[k+1].AppendFloat(d)
			if d < sums[nearest] {
				nearest = k
			}
		}
		dst[0].AppendInt(int64(nearest))
	case Anomaly:
		odd := int64(0)
		if sums[0] >= 0.5 {
			odd = 1
		}
		dst[0].AppendInt(odd)
		dst[1].AppendFloat(sums[0])
	case TwoClass:
		p := sums[len(sums)-1] // of class 1, by one output or two
		if a.positive == 0 {
			if len(sums) == 2 {
				p = sums[0]
			} else {
				p = a.transform.complement(raw, p)
			}
		}
		class := a.positive
		if p < 0.5 {
			class = 1 - a.positive
		}
		a.label(dst[0], class)
		dst[1].AppendFloat(p)
	case Multiclass:
		best := 0
		for k, p := range sums {
			dst[k].AppendFloat(p)
			if p > sums[best] {
				best = k
			}
		}
		a.label(dst[len(sums)], best)
	}
}

func (a *answer) label(c *frame.Column, class int) {
	l := &a.labels[class]
	switch {
	case a.labelType == frame.String:
		c.AppendCode(l.code)
	case a.labelType == frame.Double:
		c.AppendFloat(l.real)
	case a.labelType == frame.Boolean:
		c.AppendBool(l.bool)
	default:
		c.AppendInt(l.int)
	}
}
