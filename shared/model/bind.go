package model

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// column is a request column and the features made from it.
type column struct {
	name       string
	typ        frame.Type
	levels     []string // nil where only its number is read
	numbers    []target
	codes      []target
	maps       []target
	indicators []indicator
	texts      []int // features that are the cell's text
}

// target is a feature: what it holds for a missing and for an unknown cell.
type target struct {
	feature          int
	missing, unknown float64 // NaN: missing to the model
	known            bool    // that unknown is given: such a cell is not missing
	values           []float64
}

type indicator struct {
	feature          int
	level            int32
	missing, unknown float64
	known            bool
}

// groupColumns gathers features by the column they read and checks them.
func groupColumns(features []Feature) ([]column, error) {
	var columns []column
	byName := map[string]int{}
	for i := range features {
		f := &features[i]
		if f.Column == "" {
			return nil, broken("feature %q has no column", f.Name)
		}
		k, ok := byName[f.Column]
		if !ok {
			k = len(columns)
			byName[f.Column] = k
			columns = append(columns, column{name: f.Column, typ: f.Type})
		}
		c := &columns[k]
		if c.typ != f.Type {
			return nil, broken("column %q is read as %s and as %s", f.Column, c.typ, f.Type)
		}
		switch {
		case c.levels == nil:
			c.levels = f.Levels
		case f.Levels != nil && !slices.Equal(f.Levels, c.levels):
			return nil, broken("column %q has levels %s for feature %q, and others for another", f.Column, brief(f.Levels), f.Name)
		}
	}
	places, err := collectLevels(features, columns, byName)
	if err != nil {
		return nil, err
	}
	for i := range features {
		k := byName[features[i].Column]
		if err := columns[k].add(i, &features[i], places[k]); err != nil {
			return nil, broken("feature %q: %v", features[i].Name, err)
		}
	}
	return columns, nil
}

// brief prints the first few of a list.
func brief(levels []string) string {
	if len(levels) > 5 {
		return fmt.Sprintf("%q and %d more", levels[:5], len(levels)-5)
	}
	return fmt.Sprintf("%q", levels)
}

// collectLevels takes the levels of columns that list none from their
// indicators, checks all, and returns where each stands in its column's.
func collectLevels(features []Feature, columns []column, byName map[string]int) ([]map[string]int32, error) {
	places := make([]map[string]int32, len(columns))
	listed := make([]bool, len(columns))
	for k := range columns {
		listed[k] = columns[k].levels != nil
		places[k] = map[string]int32{}
		for i, l := range columns[k].levels {
			if _, twice := places[k][l]; twice {
				return nil, broken("column %q has level %q twice", columns[k].name, l)
			}
			places[k][l] = int32(i)
		}
	}
	for i := range features {
		f, k := &features[i], byName[features[i].Column]
		if _, known := places[k][f.Level]; f.Encoding == Indicator && !known {
			if listed[k] {
				return nil, broken("feature %q indicates level %q, which is none of the levels of column %q", f.Name, f.Level, f.Column)
			}
			places[k][f.Level] = int32(len(columns[k].levels))
			columns[k].levels = append(columns[k].levels, f.Level)
		}
	}
	for k := range columns {
		for _, l := range columns[k].levels {
			if err := checkSpelling(columns[k].typ, l); err != nil {
				return nil, broken("level %q of column %q: %v", l, columns[k].name, err)
			}
		}
	}
	return places, nil
}

// add adds feature i, of a column whose levels stand at places.
func (c *column) add(i int, f *Feature, places map[string]int32) error {
	t := target{feature: i, missing: nan}
	if f.Missing != nil {
		t.missing = *f.Missing
	}
	if f.Unknown != nil {
		t.unknown, t.known = *f.Unknown, true
	}
	switch f.Encoding {
	case Number:
		if c.typ == frame.String || c.typ == frame.DateTime {
			return fault.New(fault.Package, "", "a %s column has no number: use codes, indicator or map", c.typ)
		}
		c.numbers = append(c.numbers, t)
		return nil
	case Codes:
		c.codes = append(c.codes, t)
	case Map:
		if len(f.Values) != len(c.levels) {
			return fault.New(fault.Package, "", "%d values for %d levels", len(f.Values), len(c.levels))
		}
		t.values = f.Values
		c.maps = append(c.maps, t)
	case Indicator:
		missing := 0.0
		if f.Missing != nil {
			missing = *f.Missing
		}
		c.indicators = append(c.indicators, indicator{i, places[f.Level], missing, t.unknown, t.known})
	case Text:
		if c.typ != frame.String {
			return fault.New(fault.Package, "", "a %s column has no text", c.typ)
		}
		c.texts = append(c.texts, i)
		return nil
	default:
		return fault.New(fault.Package, "", "unknown encoding %q", f.Encoding)
	}
	if len(c.levels) == 0 {
		return fault.New(fault.Package, "", "encoding %q needs levels", f.Encoding)
	}
	return nil
}

// Scorer is a model bound to a schema: immutable, for any number of States.
type Scorer struct {
	m       *Model
	plain   []plain
	sources []source // the others
	reads   []int    // positions of the columns, in the order of Model.Requires
	answer  answer
}

// source reads one column of the frame; plain is the common case by itself.
type source struct {
	*column
	pos   int
	typ   frame.Type // of the frame's column
	codes []int32    // code of each level that the schema pins; -1 where the model has none
	texts map[string]int32
	ints  map[int64]int32
	reals map[float64]int32
	bools [2]int32
}

// Bind fits m to frames of schema in. A column that the model reads and in
// lacks, or has in a type that cannot serve, is a fault that names it.
func (m *Model) Bind(in frame.Schema) (*Scorer, error) {
	s := &Scorer{m: m, answer: newAnswer(&m.header)}
	places := make(map[string]int, len(in)) // a model may read a great many columns
	for i := range in {
		if _, twice := places[in[i].Name]; !twice {
			places[in[i].Name] = i
		}
	}
	for i := range m.columns {
		c := &m.columns[i]
		pos, ok := places[c.name]
		if !ok {
			return nil, missingColumn(in, c.name)
		}
		s.reads = append(s.reads, pos)
		src := source{column: c, pos: pos, typ: in[pos].Type}
		if err := src.bind(&in[pos]); err != nil {
			return nil, err
		}
		if src.typ == frame.Double && src.levels == nil && len(src.numbers) == 1 && len(src.column.texts) == 0 {
			t := src.numbers[0]
			s.plain = append(s.plain, plain{pos, t.feature, t.missing})
			continue
		}
		s.sources = append(s.sources, src)
	}
	return s, nil
}

func (s *source) bind(f *frame.Field) error {
	if len(s.numbers) > 0 && !f.Type.Numeric() && f.Type != frame.Boolean {
		return fault.New(fault.BadUserArgument, "", "column %q is %s: the model reads its number", f.Name, f.Type).At(f.Name)
	}
	if len(s.column.texts) > 0 && f.Type != frame.String {
		return fault.New(fault.BadUserArgument, "", "column %q is %s: the model reads its text", f.Name, f.Type).At(f.Name)
	}
	if s.levels == nil {
		return nil
	}
	cannot := func(level string) error {
		return fault.New(fault.BadUserArgument, "", "column %q is %s: the model's level %q is none of its values", f.Name, f.Type, level).At(f.Name)
	}
	switch {
	case f.Type == frame.String:
		s.texts = make(map[string]int32, len(s.levels))
		for i, l := range s.levels {
			s.texts[l] = int32(i)
		}
		for _, l := range f.Levels {
			s.codes = append(s.codes, s.code(l))
		}
	case f.Type.Integer():
		s.ints = make(map[int64]int32, len(s.levels))
		for i, l := range s.levels {
			v, err := strconv.ParseInt(l, 10, 64)
			if err != nil {
				return cannot(l)
			}
			s.ints[v] = int32(i)
		}
	case f.Type == frame.Double:
		s.reals = make(map[float64]int32, len(s.levels))
		for i, l := range s.levels {
			v, err := strconv.ParseFloat(l, 64)
			if err != nil {
				return cannot(l)
			}
			s.reals[v] = int32(i)
		}
	case f.Type == frame.Boolean:
		s.bools = [2]int32{unknown, unknown}
		for i, l := range s.levels {
			v, err := parseBool(l)
			if err != nil {
				return cannot(l)
			}
			if v {
				s.bools[1] = int32(i)
			} else {
				s.bools[0] = int32(i)
			}
		}
	default:
		return fault.New(fault.BadUserArgument, "", "column %q is %s: the model reads levels", f.Name, f.Type).At(f.Name)
	}
	return nil
}

// Codes of cells that have no level.
const (
	missing int32 = -1
	unknown int32 = -2
)

func (s *source) code(text string) int32 {
	if code, ok := s.texts[text]; ok {
		return code
	}
	return unknown
}

// Model returns the model that s scores by.
func (s *Scorer) Model() *Model { return s.m }

// Fields returns the score columns, in order.
func (s *Scorer) Fields() []frame.Field { return s.m.fields }

// Reads returns where in the schema the columns are that the model requires, in
// their order. Read only.
func (s *Scorer) Reads() []int { return s.reads }
