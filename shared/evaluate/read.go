package evaluate

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

// Of evaluates a scored table. What keeps it from it is a classic module
// error: 0024 without a label column, 0025 without scores, 0134 where no row
// has both, 0017 for labels and scores that do not go together.
func Of(f *frame.Frame) (*Result, error) {
	if c := f.Col(model.Assignments); c != nil && c.Field.Type.Integer() {
		return clustering(f, c)
	}
	t, err := open(f)
	if err != nil {
		return nil, err
	}
	labels, mean := f.Col(model.ScoredLabels), f.Col(model.ScoredMean)
	classes, probabilities := classColumns(f)
	quantiles, values := quantileColumns(f)
	switch {
	case mean != nil:
		return t.regression(model.Distribution, mean, f.Col(model.ScoredDeviation))
	case len(quantiles) > 0:
		return t.quantiles(quantiles, values)
	case len(probabilities) > 0:
		return t.multiclass(classes, probabilities, labels)
	case f.Col(model.ScoredProbabilities) != nil:
		return t.twoClass(f.Col(model.ScoredProbabilities), labels)
	case labels == nil:
		return nil, fault.Module(25, "the table has no column of scores: connect the output of Score Model")
	case labels.Field.Type == frame.Double && t.label.Field.Type.Numeric():
		return t.regression(model.Regression, labels, nil)
	}
	return t.multiclass(nil, nil, labels)
}

// table is a scored table with its label and weight.
type table struct {
	f      *frame.Frame
	label  *frame.Column
	weight *frame.Column // nil where there is none
}

func open(f *frame.Frame) (*table, error) {
	t := &table{f: f}
	for _, c := range f.Cols {
		switch c.Field.Role {
		case frame.Label:
			if t.label != nil {
				return nil, fault.Module(22, "columns %q and %q both are labels: clear one with Edit Metadata", t.label.Field.Name, c.Field.Name)
			}
			t.label = c
		case frame.Weight:
			if !c.Field.Type.Numeric() {
				return nil, fault.Module(18, "the weights %q are %s: they must be numbers", c.Field.Name, c.Field.Type).At(c.Field.Name)
			}
			t.weight = c
		}
	}
	if t.label == nil {
		return nil, fault.Module(24, "the table has no label column: score with the input's columns appended, or mark the label with Edit Metadata")
	}
	return t, nil
}

// rows are those with a label, a positive weight and cells in all of need, and
// their weights; nil where all are 1.
func (t *table) rows(need ...*frame.Column) (rows []int32, weights []float64, err error) {
	weighted := false
	rows = make([]int32, 0, t.f.Rows())
	for r := range t.f.Rows() {
		weight := 1.0
		if t.weight != nil {
			weight = t.weight.Float(r)
		}
		if t.label.IsNull(r) || !(weight > 0) || math.IsInf(weight, 1) || slices.ContainsFunc(need, func(c *frame.Column) bool { return c.IsNull(r) }) {
			continue
		}
		if rows = append(rows, int32(r)); t.weight != nil {
			weights = append(weights, weight)
			weighted = weighted || weight != 1
		}
	}
	if len(rows) == 0 {
		return nil, nil, fault.Module(134, "no row of the table has both a label %q and a score", t.label.Field.Name).At(t.label.Field.Name)
	}
	if !weighted {
		weights = nil
	}
	return rows, weights, nil
}

func (t *table) result(kind model.Kind, rows int, m Metrics) *Result {
	return &Result{Kind: kind, Label: t.label.Field.Name, Rows: rows, Skipped: t.f.Rows() - rows, Metrics: m}
}

// floats are cells of a numeric column.
func floats(c *frame.Column, rows []int32) []float64 {
	out := make([]float64, len(rows))
	for i, r := range rows {
		out[i] = c.Float(int(r))
	}
	return out
}

func (t *table) numbers(rows []int32) ([]float64, error) {
	if f := t.label.Field; !f.Type.Numeric() {
		return nil, fault.Module(17, "the label %q is %s, the scores are numbers", f.Name, f.Type).At(f.Name)
	}
	return floats(t.label, rows), nil
}

func (t *table) regression(kind model.Kind, scored, deviation *frame.Column) (*Result, error) {
	need := []*frame.Column{scored}
	if deviation != nil {
		need = append(need, deviation)
	}
	rows, w, err := t.rows(need...)
	if err != nil {
		return nil, err
	}
	y, err := t.numbers(rows)
	if err != nil {
		return nil, err
	}
	var deviations []float64
	if deviation != nil {
		deviations = floats(deviation, rows)
	}
	m, detail := Regression(y, floats(scored, rows), deviations, w)
	r := t.result(kind, len(rows), m)
	r.Errors = detail
	return r, nil
}

func (t *table) quantiles(q []float64, columns []*frame.Column) (*Result, error) {
	rows, w, err := t.rows(columns...)
	if err != nil {
		return nil, err
	}
	y, err := t.numbers(rows)
	if err != nil {
		return nil, err
	}
	scored := make([][]float64, len(columns))
	for k, c := range columns {
		scored[k] = floats(c, rows)
	}
	return t.result(model.Quantiles, len(rows), Quantiles(q, y, scored, w)), nil
}

func (t *table) twoClass(p, said *frame.Column) (*Result, error) {
	rows, w, err := t.rows(p)
	if err != nil {
		return nil, err
	}
	var v vocabulary
	codes := v.codes(t.label, rows)
	if len(v.words) > 2 {
		return nil, fault.Module(17, "the label %q has %d values, the scores are of two classes", t.label.Field.Name, len(v.words)).At(t.label.Field.Name)
	}
	positive, negative := sides(v.words, p, said, rows)
	yes := int32(slices.Index(v.words, positive))
	y := make([]bool, len(rows))
	for i, code := range codes {
		y[i] = code == yes
	}
	m, detail := TwoClass(y, floats(p, rows), w)
	detail.Positive, detail.Negative = positive, negative
	r := t.result(model.TwoClass, len(rows), m)
	r.TwoClass = detail
	return r, nil
}

// sides tells which of the labels' values is positive: the one that the model
// said where the probability is at least the threshold. Where it said other
// words than the labels', as a model without a label does, the Studio's rule
// decides.
func sides(labels []string, p, said *frame.Column, rows []int32) (positive, negative string) {
	byRule := func() (string, string) {
		positive := model.PositiveByRule(labels)
		for _, l := range labels {
			if l != positive {
				return positive, l
			}
		}
		return positive, ""
	}
	if said == nil {
		return byRule()
	}
	high, low := rows[0], rows[0]
	for _, r := range rows {
		if p.Float(int(r)) > p.Float(int(high)) {
			high = r
		}
		if p.Float(int(r)) < p.Float(int(low)) {
			low = r
		}
	}
	words := slices.Clone(labels)
	add := func(word string) {
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	for _, l := range said.Field.Levels {
		add(l)
	}
	top, bottom := string(said.Print(nil, int(high))), string(said.Print(nil, int(low)))
	add(top)
	add(bottom)
	if len(words) > 2 {
		return byRule()
	}
	other := func(word string) string {
		for _, o := range words {
			if o != word {
				return o
			}
		}
		return ""
	}
	if p.Float(int(high)) >= Threshold {
		return top, other(top)
	}
	return other(bottom), bottom
}

func (t *table) multiclass(classes []string, columns []*frame.Column, said *frame.Column) (*Result, error) {
	need := columns
	if said != nil {
		need = append(slices.Clone(columns), said)
	}
	rows, w, err := t.rows(need...)
	if err != nil {
		return nil, err
	}
	v := vocabulary{words: slices.Clone(classes)}
	y := v.codes(t.label, rows)
	if len(v.words) > maxClasses {
		return nil, fault.Module(17, "the label %q has %d values, more than %d classes", t.label.Field.Name, len(v.words), maxClasses).At(t.label.Field.Name)
	}
	var p [][]float64
	for _, c := range columns {
		p = append(p, floats(c, rows))
	}
	for p != nil && len(p) < len(v.words) {
		p = append(p, make([]float64, len(rows))) // a class that the model does not know
	}
	picked := make([]int32, len(rows))
	if said != nil {
		known := v
		known.fixed = true
		picked = known.codes(said, rows)
	} else {
		for i := range picked {
			for k := range p {
				if p[k][i] > p[picked[i]][i] {
					picked[i] = int32(k)
				}
			}
		}
	}
	m, detail := Multiclass(v.words, y, picked, p, w)
	r := t.result(model.Multiclass, len(rows), m)
	r.Multiclass = detail
	return r, nil
}

// maxClasses bounds the classes of a label.
const maxClasses = 1000

// classColumns finds the columns of the classes' probabilities.
func classColumns(f *frame.Frame) (classes []string, columns []*frame.Column) {
	prefix, suffix, _ := strings.Cut(model.ScoredProbability("\x00"), "\x00")
	for _, c := range f.Cols {
		name, ok := strings.CutPrefix(c.Field.Name, prefix)
		if !ok {
			continue
		}
		if name, ok = strings.CutSuffix(name, suffix); ok && c.Field.Type.Numeric() {
			classes, columns = append(classes, name), append(columns, c)
		}
	}
	return classes, columns
}

// quantileColumns finds the columns of quantiles.
func quantileColumns(f *frame.Frame) (q []float64, columns []*frame.Column) {
	prefix := strings.TrimSuffix(model.ScoredQuantile(0), "0")
	for _, c := range f.Cols {
		if text, ok := strings.CutPrefix(c.Field.Name, prefix); ok && c.Field.Type.Numeric() {
			if level, err := strconv.ParseFloat(text, 64); err == nil && level >= 0 && level <= 1 {
				q, columns = append(q, level), append(columns, c)
			}
		}
	}
	return q, columns
}

// vocabulary numbers the spellings of cells as they come.
type vocabulary struct {
	words []string
	fixed bool // other words are -1
	index map[string]int32
}

func (v *vocabulary) code(word []byte) int32 {
	if code, ok := v.index[string(word)]; ok {
		return code
	}
	if v.fixed {
		return -1
	}
	v.words = append(v.words, string(word))
	v.index[string(word)] = int32(len(v.words) - 1)
	return int32(len(v.words) - 1)
}

// codes are the words of a column's cells, none of which is missing.
func (v *vocabulary) codes(c *frame.Column, rows []int32) []int32 {
	v.index = make(map[string]int32, len(v.words))
	for i, w := range v.words {
		v.index[w] = int32(i)
	}
	out := make([]int32, len(rows))
	var buf []byte
	for i, r := range rows {
		if c.Field.Type == frame.String && !c.Field.Categorical() {
			out[i] = v.code(c.Text(int(r)))
			continue
		}
		buf = c.Print(buf[:0], int(r))
		out[i] = v.code(buf)
	}
	return out
}

// clustering reads assignments and distances; it needs no label.
func clustering(f *frame.Frame, assigned *frame.Column) (*Result, error) {
	var columns []*frame.Column
	for k := 0; ; k++ {
		c := f.Col(model.ClusterDistance(k))
		if c == nil || !c.Field.Type.Numeric() {
			break
		}
		columns = append(columns, c)
	}
	if len(columns) == 0 {
		return nil, fault.Module(25, "the table has assignments to clusters but no column %q", model.ClusterDistance(0))
	}
	var rows []int32
	var clusters []int32
	for r := range f.Rows() {
		if assigned.IsNull(r) || slices.ContainsFunc(columns, func(c *frame.Column) bool { return c.IsNull(r) }) {
			continue
		}
		c := assigned.Ints[r]
		if c < 0 || c >= int64(len(columns)) {
			return nil, fault.Module(25, "row %d is assigned to cluster %d, the distances are to %d clusters", r+1, c, len(columns))
		}
		rows, clusters = append(rows, int32(r)), append(clusters, int32(c))
	}
	if len(rows) == 0 {
		return nil, fault.Module(21, "no row of the table is assigned to a cluster")
	}
	distances := make([][]float64, len(columns))
	for k, c := range columns {
		distances[k] = floats(c, rows)
	}
	r := &Result{Kind: model.Clustering, Rows: len(rows), Skipped: f.Rows() - len(rows), Clusters: Clustering(clusters, distances)}
	all := r.Clusters[0]
	r.Metrics = Metrics{{DistanceToCenter, all.ToCenter}, {DistanceToOtherCenter, all.ToOther}, {NumberOfPoints, Number(all.Points)}, {MaximalDistance, all.Maximal}}
	return r, nil
}
