package learn

import (
	"math"
	"slices"
	"strconv"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
)

// Limits of training data.
const (
	// MaxLevels of a column that is made features of. More are an identifier
	// or free text.
	MaxLevels = 10_000
	// MaxClasses of a label.
	MaxClasses = 1000
	// MinLabelled rows make a model.
	MinLabelled = 4

	// maxIndicatorCells bounds the cells that one column becomes.
	maxIndicatorCells = 1 << 26
	// manyRows is from how many rows on a String column with another value in
	// each is taken for an identifier, and left out.
	manyRows = 50
)

// Binding remembers how a frame's columns became features and classes.
type Binding struct {
	learner  Learner
	features []model.Feature
	label    *model.Label
	form     Form
	// Kept are the rows that training uses, by their number in the frame; nil
	// where it uses all.
	Kept []int
	// Ignored are columns that are no features, with the reason.
	Ignored []Ignored
}

// Ignored is a column that is no feature.
type Ignored struct{ Column, Reason string }

// Request says what of a frame to learn from.
type Request struct {
	Frame *frame.Frame
	// Label is the column to predict; "" for learners without one.
	Label string
	// Positive is the class whose probability a two-class model answers; "" is
	// the Studio's rule.
	Positive string
	// Columns are the features' columns, by position; nil takes every column
	// whose role is to be a feature.
	Columns []int
}

// Prepare makes training data for l of a frame. Rows without a label, and rows
// of weight zero, are left out. What cannot be learned from is a module error:
// 0058 without the label column, 0134 where too few rows have a label, 0018
// for a weight that is none.
func Prepare(l Learner, r Request) (*Data, *Binding, error) {
	b := &Binding{learner: l, form: l.Form()}
	p := preparation{Binding: b, f: r.Frame, rows: r.Frame.Rows()}
	if err := p.columns(r); err != nil {
		return nil, nil, err
	}
	if err := p.weights(); err != nil {
		return nil, nil, err
	}
	if r.Label != "" {
		if err := p.labels(r.Label, l.Kind()); err != nil {
			return nil, nil, err
		}
	}
	p.complete()
	d := p.data()
	if d.Rows == 0 {
		return nil, nil, Errorf(134, "no row can be learned from: each misses its label, its weight or a feature")
	}
	if r.Label != "" && d.Rows < MinLabelled {
		return nil, nil, Errorf(134, "%d rows with a label %q can be learned from: there must be %d at least", d.Rows, r.Label, MinLabelled).At(r.Label)
	}
	if r.Label != "" {
		if err := p.classes(d, l.Kind(), r.Positive); err != nil {
			return nil, nil, err
		}
	}
	if p.guide != nil {
		levels, codes, err := p.levels(p.guide, MaxClasses)
		if err != nil {
			return nil, nil, err
		}
		d.Guide, d.Guides = codes, len(levels)
	}
	for _, c := range p.picked {
		if err := p.feature(d, c); err != nil {
			return nil, nil, err
		}
	}
	if len(d.X) == 0 {
		return nil, nil, Errorf(20, "the table has no column to learn from: every one is a label, a weight, a score, an id, a date or empty")
	}
	return d, b, nil
}

// Encode makes the artifact of what the learner trained on data of this
// binding.
func (b *Binding) Encode(t *Trained) ([]byte, error) {
	return model.Encode(model.Header{
		Engine: t.Engine, Learner: b.learner.Name(), Kind: b.learner.Kind(), Transform: t.Transform,
		Features: b.features, Label: b.label, CompleteRows: b.form.Complete, Quantiles: t.Quantiles,
	}, t.Body)
}

// Features returns the features, in the order of Data.X.
func (b *Binding) Features() []model.Feature { return b.features }

// Label returns what is predicted; nil for learners without a label.
func (b *Binding) Label() *model.Label { return b.label }

// Errorf returns the classic module error of that number.
func Errorf(number int, format string, args ...any) *fault.Error {
	return fault.Module(number, format, args...)
}

// preparation is a Binding on its way.
type preparation struct {
	*Binding
	f      *frame.Frame
	rows   int
	picked []int // columns of features
	weight *frame.Column
	target *frame.Column
	guide  *frame.Column
	drop   []bool // rows left out; nil where none is
}

func (p *preparation) ignore(c int, reason string) {
	p.Ignored = append(p.Ignored, Ignored{p.f.Cols[c].Field.Name, reason})
}

func (p *preparation) leave(row int) {
	if p.drop == nil {
		p.drop = make([]bool, p.rows)
	}
	p.drop[row] = true
}

func (p *preparation) columns(r Request) error {
	for i, c := range p.f.Cols {
		f := c.Field
		if r.Label != "" && f.Name == r.Label {
			p.target = c
			continue
		}
		if r.Label == "" && p.form.Guide && f.Role == frame.Label {
			if p.guide != nil {
				return Errorf(22, "columns %q and %q both are labels", p.guide.Field.Name, f.Name)
			}
			p.guide = c
			continue
		}
		if r.Columns != nil && !slices.Contains(r.Columns, i) {
			continue
		}
		switch {
		case f.Role == frame.Weight:
			if p.weight != nil {
				return Errorf(22, "columns %q and %q both are weights", p.weight.Field.Name, f.Name)
			}
			p.weight = c
		case f.Role != frame.Feature:
			p.ignore(i, "its role is "+string(f.Role))
		case f.Type == frame.DateTime:
			p.ignore(i, "it is a date")
		case c.Nulls() == c.Len() && p.rows > 0:
			p.ignore(i, "it is empty")
		default:
			p.picked = append(p.picked, i)
		}
	}
	if r.Label != "" && p.target == nil {
		return Errorf(58, "the table has no label column %q", r.Label).At(r.Label)
	}
	return nil
}

func (p *preparation) weights() error {
	if p.weight == nil {
		return nil
	}
	f := p.weight.Field
	if !f.Type.Numeric() {
		return Errorf(18, "the weights %q are %s: they must be numbers", f.Name, f.Type).At(f.Name)
	}
	for r := range p.rows {
		switch w := p.weight.Float(r); {
		case p.weight.IsNull(r) || w == 0:
			p.leave(r)
		case w < 0 || math.IsInf(w, 0):
			return Errorf(18, "the weight %v in row %d of column %q is no weight: it must be 0 or more", w, r+1, f.Name).At(f.Name)
		}
	}
	return nil
}

func (p *preparation) labels(name string, kind model.Kind) error {
	f := p.target.Field
	if kind.Classes() == 0 && !f.Type.Numeric() {
		return Errorf(17, "the label %q is %s: this learner predicts a number", name, f.Type).At(name)
	}
	if f.Type == frame.DateTime {
		return Errorf(17, "the label %q is a date", name).At(name)
	}
	for r := range p.rows {
		if p.target.IsNull(r) || kind.Classes() == 0 && math.IsInf(p.target.Float(r), 0) {
			p.leave(r)
		}
	}
	return nil
}

// complete leaves out rows with a missing feature, where the learner needs all.
func (p *preparation) complete() {
	if !p.form.Complete {
		return
	}
	for _, i := range p.picked {
		c := p.f.Cols[i]
		if c.Nulls() == 0 {
			continue
		}
		for r := range p.rows {
			if c.IsNull(r) {
				p.leave(r)
			}
		}
	}
}

// data makes the Data without its features.
func (p *preparation) data() *Data {
	if p.drop != nil {
		p.Kept = make([]int, 0, p.rows)
		for r, d := range p.drop {
			if !d {
				p.Kept = append(p.Kept, r)
			}
		}
	}
	d := &Data{Rows: p.rows}
	if p.Kept != nil {
		d.Rows = len(p.Kept)
	}
	if p.weight != nil {
		d.Weight = p.numbers(p.weight)
		if !slices.ContainsFunc(d.Weight, func(w float64) bool { return w != 1 }) {
			d.Weight = nil
		}
	}
	return d
}

// each calls do for every row that is kept, with its new and its old number.
func (p *preparation) each(do func(at, row int)) {
	if p.Kept == nil {
		for r := range p.rows {
			do(r, r)
		}
		return
	}
	for at, r := range p.Kept {
		do(at, r)
	}
}

func (p *preparation) kept() int {
	if p.Kept == nil {
		return p.rows
	}
	return len(p.Kept)
}

// numbers are a column's cells as numbers, NaN where missing.
func (p *preparation) numbers(c *frame.Column) []float64 {
	out := make([]float64, p.kept())
	p.each(func(at, row int) {
		if c.IsNull(row) {
			out[at] = math.NaN()
		} else {
			out[at] = c.Float(row)
		}
	})
	return out
}

// classes makes the label: its numbers, or its classes and their indices.
func (p *preparation) classes(d *Data, kind model.Kind, positive string) error {
	f := p.target.Field
	p.label = &model.Label{Column: f.Name, Type: f.Type}
	if kind.Classes() == 0 {
		d.Label = p.numbers(p.target)
		return nil
	}
	classes, codes, err := p.levels(p.target, MaxClasses)
	if err != nil {
		return err
	}
	// A level that no row has is no class.
	seen := make([]int, len(classes))
	for _, code := range codes {
		seen[code]++
	}
	p.label.Classes, p.label.Positive = nil, ""
	for k, c := range classes {
		if seen[k] > 0 {
			p.label.Classes = append(p.label.Classes, c)
		}
	}
	switch n := len(p.label.Classes); {
	case n < 2:
		return Errorf(134, "the label %q has one value only, %q: there is nothing to tell apart", f.Name, p.label.Classes[0]).At(f.Name)
	case kind == model.TwoClass && n > 2:
		return Errorf(17, "the label %q has %d values, %s: a two-class learner tells two apart", f.Name, n, brief(p.label.Classes)).At(f.Name)
	}
	if kind == model.TwoClass {
		if p.label.Positive = positive; positive == "" {
			p.label.Positive = model.PositiveByRule(p.label.Classes)
		} else if !slices.Contains(p.label.Classes, positive) {
			return Errorf(2, "the positive class %q is none of the label's values %s", positive, brief(p.label.Classes)).At("Positive class")
		}
		if p.label.Classes[0] == p.label.Positive {
			slices.Reverse(p.label.Classes)
		}
	}
	index := make([]float64, len(classes))
	for k, c := range classes {
		index[k] = float64(slices.Index(p.label.Classes, c))
	}
	d.Classes, d.Label = len(p.label.Classes), make([]float64, len(codes))
	for i, code := range codes {
		d.Label[i] = index[code]
	}
	return nil
}

// levels are the values of a column in order (as its field pins them, else
// sorted), and the position of each kept row's, -1 where missing.
func (p *preparation) levels(c *frame.Column, limit int) ([]string, []int32, error) {
	f := c.Field
	var levels []string
	index := make(map[string]int32)
	if f.Categorical() {
		for i, l := range f.Levels {
			levels, index[l] = append(levels, l), int32(i)
		}
	}
	pinned := len(levels)
	var buf []byte
	p.each(func(_, row int) {
		if c.IsNull(row) {
			return
		}
		buf = spell(buf[:0], c, row)
		if _, ok := index[string(buf)]; !ok && len(levels) <= limit {
			index[string(buf)] = int32(len(levels))
			levels = append(levels, string(buf))
		}
	})
	if len(levels) > limit {
		return nil, nil, Errorf(14, "column %q has more than %d different values: it is an identifier or free text; drop it, or make features of it first", f.Name, limit).At(f.Name)
	}
	sortLevels(f.Type, levels[pinned:])
	for i, l := range levels {
		index[l] = int32(i)
	}
	codes := make([]int32, p.kept())
	p.each(func(at, row int) {
		if c.IsNull(row) {
			codes[at] = -1
			return
		}
		buf = spell(buf[:0], c, row)
		codes[at] = index[string(buf)]
	})
	return levels, codes, nil
}

// spell is a cell as a level or class has it.
func spell(dst []byte, c *frame.Column, row int) []byte {
	if c.Field.Type == frame.String {
		return append(dst, c.Text(row)...)
	}
	return c.Print(dst, row)
}

func sortLevels(t frame.Type, levels []string) {
	if !t.Numeric() {
		slices.Sort(levels)
		return
	}
	slices.SortFunc(levels, func(a, b string) int {
		x, _ := strconv.ParseFloat(a, 64)
		y, _ := strconv.ParseFloat(b, 64)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
}

// feature adds the features of column i.
func (p *preparation) feature(d *Data, i int) error {
	c := p.f.Cols[i]
	f := c.Field
	base := model.Feature{Name: f.Name, Column: f.Name, Type: f.Type, Encoding: model.Number}
	if f.Type != frame.String {
		x := p.numbers(c)
		for r, v := range x {
			if math.IsInf(v, 0) {
				return Errorf(33, "row %d of column %q is infinite", p.row(r)+1, f.Name).At(f.Name)
			}
		}
		p.add(d, base, x, 0)
		return nil
	}
	levels, codes, err := p.levels(c, MaxLevels)
	if err != nil {
		return err
	}
	if len(levels) == 0 {
		p.ignore(i, "it is empty")
		return nil
	}
	if len(levels) == p.kept() && len(levels) >= manyRows {
		p.ignore(i, "it has another value in every row: it is an identifier")
		return nil
	}
	if !p.form.Codes && len(levels)*p.kept() > maxIndicatorCells {
		return Errorf(14, "column %q has %d different values in %d rows: too many to make a feature of each; mark it as an id, group its values, or hash them", f.Name, len(levels), p.kept()).At(f.Name)
	}
	if p.form.Codes {
		base.Encoding, base.Levels = model.Codes, levels
		n := len(levels)
		if p.form.UnknownLevels {
			u := float64(n)
			base.Unknown = &u
			n++
		}
		x := make([]float64, len(codes))
		for r, code := range codes {
			if x[r] = float64(code); code < 0 {
				x[r] = math.NaN()
			}
		}
		p.add(d, base, x, n)
		return nil
	}
	var unknown *float64
	if p.form.UnknownLevels {
		unknown = new(float64) // none of the levels, and an answer all the same
	}
	for k, l := range levels {
		one := base
		one.Name, one.Encoding, one.Level, one.Unknown = f.Name+"-"+l, model.Indicator, l, unknown
		if k == 0 {
			one.Levels = levels // of all features of the column
		}
		x := make([]float64, len(codes))
		for r, code := range codes {
			if int(code) == k {
				x[r] = 1
			}
		}
		p.add(d, one, x, 0)
	}
	return nil
}

func (p *preparation) row(at int) int {
	if p.Kept == nil {
		return at
	}
	return p.Kept[at]
}

func (p *preparation) add(d *Data, f model.Feature, x []float64, levels int) {
	p.features = append(p.features, f)
	d.X = append(d.X, x)
	d.Levels = append(d.Levels, levels)
}

func brief(values []string) string {
	s := ""
	for i, v := range values {
		if i == 5 {
			return s + " …"
		}
		if i > 0 {
			s += ", "
		}
		s += strconv.Quote(v)
	}
	return s
}
