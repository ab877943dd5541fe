package manipulation

import (
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

// maxImputed bounds the numbers that imputation works on: one for each column,
// and one for each level of a categorical one. The models have the square of it.
const maxImputed = 512

// imputation fills in missing cells from the other cells of their row. It sees
// a row as numbers, dimensions, each scaled to mean 0 and deviation 1 over the
// cells that were there when it was learned. A categorical column has one for
// each level: 1 in its own, 0 in the others.
type imputation struct {
	Columns []imputed `json:"columns"`
	Means   []float64 `json:"means"` // by dimension
	Scales  []float64 `json:"scales"`
	Chain   *chain    `json:"chain,omitempty"`  // one of both
	Latent  *latent   `json:"latent,omitempty"` // is set
}

// imputed is a column of an imputation.
type imputed struct {
	Name   string     `json:"name"`
	Type   frame.Type `json:"type"`
	Levels []string   `json:"levels,omitempty"` // of a categorical column
}

// filler is the memory of a model at work: it sets the missing dimensions of a
// row from the others.
type filler interface {
	fill(row []float64, missing []bool)
}

// width is the number of the column's dimensions.
func (c *imputed) width() int {
	if c.Levels != nil {
		return len(c.Levels)
	}
	return 1
}

// newImputation prepares an imputation of columns with at least one value each.
func newImputation(mode string, cols []*frame.Column) (*imputation, error) {
	im := &imputation{}
	dims := 0
	for _, c := range cols {
		if c.Field.Type == frame.String && len(c.Field.Levels) == 0 {
			return nil, module.Errorf(17, "column %q is text without categories: %q does not apply to it", c.Field.Name, mode).At(c.Field.Name)
		}
		im.Columns = append(im.Columns, imputed{c.Field.Name, c.Field.Type, c.Field.Levels})
		dims += im.Columns[len(im.Columns)-1].width()
	}
	if dims > maxImputed {
		return nil, module.Errorf(7, "the selected columns have %d numbers and levels together: %q takes at most %d", dims, mode, maxImputed)
	}
	return im, nil
}

// learn scales the columns' cells and returns them by row, 0 where missing, and
// which are missing.
func (im *imputation) learn(cols []*frame.Column) (rows []float64, missing []bool) {
	n, p := cols[0].Len(), 0
	for i := range im.Columns {
		p += im.Columns[i].width()
	}
	rows, missing = make([]float64, n*p), make([]bool, n*p)
	for r := range n {
		im.read(cols, r, rows[r*p:(r+1)*p], missing[r*p:(r+1)*p])
	}
	im.Means, im.Scales = make([]float64, p), make([]float64, p)
	for d := range p {
		im.Means[d], im.Scales[d] = scaling(rows, missing, d, p)
		for i := d; i < len(rows); i += p {
			rows[i] = im.scaled(rows[i], missing[i], d)
		}
	}
	return rows, missing
}

// scaling returns mean and population deviation of the present values of
// dimension d of p; a deviation of 0 becomes 1.
func scaling(rows []float64, missing []bool, d, p int) (m, sd float64) {
	n, first := 0, 0.0 // about the first value, which keeps dates exact
	for i := d; i < len(rows); i += p {
		if !missing[i] {
			if n == 0 {
				first = rows[i]
			}
			m += rows[i] - first
			n++
		}
	}
	m = first + m/float64(max(n, 1))
	for i := d; i < len(rows); i += p {
		if !missing[i] {
			sd += float64((rows[i] - m) * (rows[i] - m))
		}
	}
	if sd = math.Sqrt(sd / float64(max(n, 1))); sd == 0 {
		sd = 1
	}
	return m, sd
}

func (im *imputation) scaled(x float64, missing bool, d int) float64 {
	if missing {
		return 0
	}
	return (x - im.Means[d]) / im.Scales[d]
}

// read sets row to the cells of row r, unscaled, and reports whether one is
// missing.
func (im *imputation) read(cols []*frame.Column, r int, row []float64, missing []bool) (some bool) {
	d := 0
	for i, c := range cols {
		w, null := im.Columns[i].width(), c.IsNull(r)
		some = some || null
		level := ""
		if im.Columns[i].Levels != nil && !null {
			level = c.Level(r)
		}
		for k := range w {
			row[d+k], missing[d+k] = 0, null
			if im.Columns[i].Levels != nil && !null && im.Columns[i].Levels[k] == level {
				row[d+k] = 1
			}
		}
		if im.Columns[i].Levels == nil && !null {
			row[d] = c.Float(r)
		}
		d += w
	}
	return some
}

func (im *imputation) filler() filler {
	if im.Chain != nil {
		return im.Chain
	}
	return im.Latent.filler()
}

// bind makes the op of an imputation, with the columns that are dropped and
// with or without indicators.
func (im *imputation) bind(in frame.Schema, drop func(name string) bool, indicate bool) (*module.Bound, error) {
	op := &imputing{im: im}
	place := make(map[string]int)
	for k := range im.Columns {
		c := &im.Columns[k]
		at := in.Index(c.Name)
		switch {
		case at < 0:
			return nil, module.NoColumn(in, c.Name)
		case in[at].Type != c.Type || in[at].Categorical() != (c.Levels != nil):
			return nil, module.Errorf(17, "column %q is %s, the transformation was learned on %s", c.Name, in[at].Type, c.Type).At(c.Name)
		}
		op.at = append(op.at, at)
		place[c.Name] = k
	}
	var out frame.Schema
	var from []module.Source
	for i, f := range in {
		k, ok := place[f.Name]
		switch {
		case ok:
			f.Nullable, f.Optional = false, false
			for _, level := range im.Columns[k].Levels {
				if !slices.Contains(f.Levels, level) {
					f.Levels = append(slices.Clip(f.Levels), level)
				}
			}
			op.outs = append(op.outs, imputedOut{kind: filled, of: k})
			from = append(from, module.Computed)
		case drop(f.Name):
			continue
		default:
			op.outs = append(op.outs, imputedOut{kind: passed, of: i})
			from = append(from, module.Source{Port: 0, Col: i})
		}
		out = append(out, f)
	}
	if indicate {
		for i := range in {
			if k, ok := place[in[i].Name]; ok {
				out = append(out, wasMissing(in, i).Field)
				from = append(from, module.Computed)
				op.outs = append(op.outs, imputedOut{kind: flagged, of: k})
			}
		}
	}
	var err error
	if op.layout, err = frame.NewLayout(out); err != nil {
		return nil, module.Errorf(17, "the output would have an invalid schema: %v", err)
	}
	return &module.Bound{Op: op, Outputs: []frame.Schema{out}, From: [][]module.Source{from}, Reads: [][]int{op.at}}, nil
}

// imputing is the bound op.
type imputing struct {
	im     *imputation
	at     []int // input column of each column of the imputation
	outs   []imputedOut
	layout *frame.Layout
}

// imputedOut is one output column: input column of passed through, or column
// of of the imputation filled in, or where its cells were missing.
type imputedOut struct {
	kind outKind
	of   int
}

type outKind byte

const (
	passed outKind = iota
	filled
	flagged
)

func (op *imputing) NewState() module.State {
	p := len(op.im.Means)
	st := &imputingState{
		op: op, filler: op.im.filler(), row: make([]float64, p), missing: make([]bool, p),
		cols: make([]*frame.Column, len(op.at)), own: make([]*frame.Column, len(op.outs)), filled: make([]*frame.Column, len(op.at)),
	}
	for i, o := range op.outs {
		if o.kind != passed {
			st.own[i] = op.layout.Column(i, 0)
		}
		if o.kind == filled {
			st.filled[o.of] = st.own[i]
		}
	}
	return st
}

type imputingState struct {
	op      *imputing
	filler  filler
	row     []float64
	missing []bool
	cols    []*frame.Column // input columns, by column of the imputation
	filled  []*frame.Column // output columns, likewise
	own     []*frame.Column // by output column
}

func (st *imputingState) Apply(in, out []*frame.Frame) error {
	op, src := st.op, in[0]
	nulls := 0
	for k, i := range op.at {
		st.cols[k] = src.Cols[i]
		nulls += src.Cols[i].Nulls()
	}
	for i, o := range op.outs {
		if o.kind == passed {
			out[0].Cols[i] = src.Cols[o.of]
			continue
		}
		c := st.own[i]
		c.Reset()
		out[0].Cols[i] = c
		switch {
		case o.kind == flagged:
			for r := range src.Rows() {
				c.AppendBool(st.cols[o.of].IsNull(r))
			}
		case nulls == 0:
			c.AppendRange(st.cols[o.of], 0, src.Rows())
		}
	}
	if nulls == 0 {
		return nil
	}
	for r := range src.Rows() {
		st.fill(r)
	}
	return nil
}

// fill appends row r to the filled columns.
func (st *imputingState) fill(r int) {
	im := st.op.im
	some := im.read(st.cols, r, st.row, st.missing)
	if some {
		for d, x := range st.row {
			st.row[d] = im.scaled(x, st.missing[d], d)
		}
		st.filler.fill(st.row, st.missing)
	}
	d := 0
	for k, c := range st.cols {
		w := im.Columns[k].width()
		if !c.IsNull(r) {
			st.filled[k].AppendFrom(c, r)
		} else {
			im.append(st.filled[k], k, d, st.row)
		}
		d += w
	}
}

// append appends the imputed cell of column k, whose dimensions begin at d.
func (im *imputation) append(dst *frame.Column, k, d int, row []float64) {
	value := func(d int) float64 { return im.Means[d] + float64(row[d]*im.Scales[d]) }
	c := &im.Columns[k]
	if c.Levels != nil {
		best := 0
		for l := range c.Levels {
			if value(d+l) > value(d+best) {
				best = l
			}
		}
		if best < len(dst.Field.Levels) && dst.Field.Levels[best] == c.Levels[best] {
			dst.AppendCode(int32(best))
		} else {
			dst.AppendString([]byte(c.Levels[best]))
		}
		return
	}
	switch x := value(d); c.Type {
	case frame.Double:
		dst.AppendFloat(min(max(x, -math.MaxFloat64), math.MaxFloat64))
	case frame.Boolean:
		dst.AppendBool(x >= 0.5)
	case frame.Int32:
		dst.AppendInt(int64(math.RoundToEven(min(max(x, math.MinInt32), math.MaxInt32))))
	default:
		dst.AppendInt(int64(math.RoundToEven(min(max(x, -1<<62), 1<<62))))
	}
}
