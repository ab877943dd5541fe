package model

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"unsafe"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

var nan = math.NaN()

// BlockRows is how many rows are scored together.
const BlockRows = 64

// State is the working memory of one goroutine's scoring, and what it met.
type State struct {
	Counts
	rows      int // that the memory below is for
	predictor predictor
	x         []float64 // feature f of row r at [f*n+r]
	text      []string  // of features that are text, likewise
	out       []float64 // sum k of row r at [r*outputs+k]
	codes     [BlockRows]int32
	holes     uint64 // rows of the block with a missing feature
}

// Counts are facts about the rows scored since they were last set to zero.
type Counts struct {
	Rows          int
	Missing       int // missing cells in columns that the model reads
	UnknownLevels int // cells outside the model's levels
}

// NewState makes working memory: for single rows at first, growing at the
// first larger frame.
func (s *Scorer) NewState() *State {
	st := new(State)
	s.grow(st, 1)
	return st
}

func (s *Scorer) grow(st *State, rows int) {
	st.rows = rows
	st.predictor = s.m.engine.predictor(rows)
	st.x = make([]float64, rows*s.m.engine.Features())
	st.out = make([]float64, rows*s.m.engine.Outputs())
	if s.m.text {
		st.text = make([]string, rows*s.m.engine.Features())
	}
}

// RowError is a row that the model refuses.
type RowError struct {
	Row   int // in the frame, from 0
	Fault *fault.Error
}

func (e *RowError) Error() string { return fmt.Sprintf("row %d: %s", e.Row+1, e.Fault.Msg) }
func (e *RowError) Unwrap() error { return e.Fault }

// Score appends the scores of all rows of in, a frame of the schema bound, to
// dst: columns of Fields, in order. It allocates nothing in the steady state.
// A row that the model refuses is a *RowError; what dst then holds of in's
// rows is not defined.
func (s *Scorer) Score(st *State, in *frame.Frame, dst []*frame.Column) error {
	return s.score(st, in, 0, in.Rows(), dst)
}

// score is Score of the rows from from to to.
func (s *Scorer) score(st *State, in *frame.Frame, from, to int, dst []*frame.Column) error {
	if to-from > st.rows && st.rows < BlockRows {
		s.grow(st, BlockRows)
	}
	outputs := s.m.engine.Outputs()
	for lo := from; lo < to; lo += BlockRows {
		n := min(BlockRows, to-lo)
		st.holes = 0
		x := st.x[:n*s.m.engine.Features()]
		if err := s.encode(st, in, lo, n, x); err != nil {
			return err
		}
		out := st.out[:n*outputs]
		if err := st.predictor.Predict(x, st.text, n, out); err != nil {
			return s.refused(st, in, lo, n, err)
		}
		for r := range n {
			if s.m.header.CompleteRows && st.holes>>r&1 != 0 || unanswered(out[r*outputs:][:outputs]) {
				for _, c := range dst {
					c.AppendNull()
				}
				continue
			}
			s.answer.append(out[r*outputs:][:outputs], dst)
		}
	}
	st.Rows += to - from
	return nil
}

// unanswered reports sums that are no numbers.
func unanswered(sums []float64) bool {
	for _, v := range sums {
		if v != v {
			return true
		}
	}
	return false
}

// refused finds the row of a block that the engine refused for err.
func (s *Scorer) refused(st *State, in *frame.Frame, lo, n int, err error) error {
	row := lo
	for ; n > 1 && row < lo+n; row++ {
		if err := s.encode(st, in, row, 1, st.x); err != nil {
			return err
		}
		if e := st.predictor.Predict(st.x, st.text, 1, st.out[:s.m.engine.Outputs()]); e != nil {
			err = e
			break
		}
	}
	return &RowError{min(row, lo+n-1), fault.New(fault.BadUserArgument, "", "the model has no answer for the row: %v", err)}
}

// plain is a Double column that is one feature, its cells taken as they are:
// most columns of most models. It is kept apart, and small, because a row's
// time is otherwise spent on finding out what each of its columns is.
type plain struct {
	pos, feature int
	missing      float64
}

// encode fills all features for rows lo to lo+n.
func (s *Scorer) encode(st *State, in *frame.Frame, lo, n int, x []float64) error {
	for i := range s.plain {
		p := &s.plain[i]
		c := in.Cols[p.pos]
		dst := x[p.feature*n:][:n]
		if n == 1 {
			dst[0] = c.Floats[lo]
		} else {
			copy(dst, c.Floats[lo:])
		}
		missing := c.Missing(lo, n)
		st.holes |= missing
		st.Missing += bits.OnesCount64(missing)
		for ; missing != 0; missing &= missing - 1 {
			dst[bits.TrailingZeros64(missing)] = p.missing
		}
	}
	for i := range s.sources {
		if err := s.sources[i].encode(s.m, st, in, lo, n, x); err != nil {
			return err
		}
	}
	return nil
}

// encode fills the features of one column for rows lo to lo+n.
func (s *source) encode(m *Model, st *State, in *frame.Frame, lo, n int, x []float64) error {
	c := in.Cols[s.pos]
	for i := range s.numbers {
		s.number(c, &s.numbers[i], st, lo, x[s.numbers[i].feature*n:][:n])
	}
	for _, f := range s.column.texts {
		readText(c, lo, st.text[f*n:][:n])
	}
	if s.levels == nil {
		if c.Nulls() > 0 {
			for r := range n {
				if c.IsNull(lo + r) {
					st.Missing++
				}
			}
		}
		return nil
	}
	codes := st.codes[:n]
	s.look(c, lo, codes)
	for r, code := range codes {
		switch code {
		case missing:
			st.Missing++
		case unknown:
			st.UnknownLevels++
			if m.header.UnknownLevel == UnknownError {
				return &RowError{lo + r, fault.New(fault.BadUserArgument, "", "column %q: %q is none of the levels that the model knows", s.name, cell(c, lo+r)).At(s.name)}
			}
		}
	}
	for i := range s.column.codes {
		t := &s.column.codes[i]
		fill(st, codes, t, x[t.feature*n:][:n], nil)
	}
	for i := range s.maps {
		t := &s.maps[i]
		fill(st, codes, t, x[t.feature*n:][:n], t.values)
	}
	for _, t := range s.indicators {
		dst := x[t.feature*n:][:n]
		for r, code := range codes {
			switch {
			case code == t.level:
				dst[r] = 1
			case code >= 0:
				dst[r] = 0
			case code == unknown && t.known:
				dst[r] = t.unknown
			default:
				dst[r] = t.missing
				st.holes |= 1 << r
			}
		}
	}
	return nil
}

// number fills a feature with the cells' own values.
func (s *source) number(c *frame.Column, t *target, st *State, lo int, dst []float64) {
	switch {
	case s.typ == frame.Double:
		copy(dst, c.Floats[lo:]) // a missing cell holds NaN
	case s.typ == frame.Boolean:
		for r := range dst {
			dst[r] = c.Float(lo + r)
		}
	default:
		for r := range dst {
			dst[r] = float64(c.Ints[lo+r])
		}
	}
	if c.Nulls() == 0 {
		return
	}
	for r := range dst {
		if c.IsNull(lo + r) {
			dst[r] = t.missing
			st.holes |= 1 << r
		}
	}
}

// readText fills a feature with the cells' texts. They are the column's own
// memory: an engine reads them before the frame is reset.
func readText(c *frame.Column, lo int, dst []string) {
	for r := range dst {
		if c.Field.Levels != nil {
			dst[r] = c.Level(lo + r)
			continue
		}
		b := c.Text(lo + r)
		dst[r] = unsafe.String(unsafe.SliceData(b), len(b))
	}
}

// look finds the level of each cell.
func (s *source) look(c *frame.Column, lo int, codes []int32) {
	for r := range codes {
		i := lo + r
		if c.IsNull(i) {
			codes[r] = missing
			continue
		}
		var code int32
		ok := true
		switch {
		case s.typ == frame.String && c.Field.Levels == nil:
			code, ok = s.texts[string(c.Text(i))]
		case s.typ == frame.String && int(c.Codes[i]) < len(s.codes):
			code = s.codes[c.Codes[i]]
		case s.typ == frame.String:
			code, ok = s.texts[c.Level(i)]
		case s.typ == frame.Boolean:
			code = s.bools[0]
			if c.Bools[i] {
				code = s.bools[1]
			}
		case s.typ == frame.Double:
			code, ok = s.reals[c.Floats[i]]
		default:
			code, ok = s.ints[c.Ints[i]]
		}
		if !ok {
			code = unknown
		}
		codes[r] = code
	}
}

// fill writes codes, or the values beside them, to a feature.
func fill(st *State, codes []int32, t *target, dst, values []float64) {
	for r, code := range codes {
		switch {
		case code >= 0 && values != nil:
			dst[r] = values[code]
		case code >= 0:
			dst[r] = float64(code)
		case code == unknown && t.known:
			dst[r] = t.unknown
		default:
			dst[r] = t.missing
			st.holes |= 1 << r
		}
	}
}

// cell is the text of a cell, for the fault that names it.
func cell(c *frame.Column, i int) string {
	switch {
	case c.Field.Type == frame.String:
		return string(c.Text(i))
	case c.Field.Type == frame.Double:
		return strconv.FormatFloat(c.Floats[i], 'g', -1, 64)
	case c.Field.Type == frame.Boolean:
		return strconv.FormatBool(c.Bools[i])
	}
	return strconv.FormatInt(c.Ints[i], 10)
}
