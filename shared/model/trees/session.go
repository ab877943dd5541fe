package trees

import "math"

// BlockRows is the most rows that one Predict takes.
const BlockRows = 64

// Session is the working memory of one caller. Not for concurrent use.
type Session struct {
	e    *Ensemble
	rows []byte    // row r's slots at [r*slots:]; in a block slot s's rows at [s*BlockRows:]
	sums sums      // nil where vectors score all rows
	wide wideSums  // nil where they score none
	from int       // number of rows from which they score a block
	row  []float64 // a row of features
}

// NewSession makes a session. It allocates all that Predict will need for
// blocks of up to rows rows.
func (e *Ensemble) NewSession(rows int) *Session {
	s := &Session{e: e, from: rows + 1, row: make([]float64, e.features)}
	if e.wide != nil {
		blocks := rows >= e.wide.blockFrom()
		if blocks {
			rows, s.from = BlockRows, e.wide.blockFrom()
		}
		if blocks || e.wide.singleRows() {
			s.wide = e.wide.newSums(blocks)
		}
	}
	if e.walk != nil {
		s.sums = e.walk.newSums(min(rows, s.from-1))
	}
	s.rows = aligned(rows*e.slots + rowSlots)
	return s
}

// Predict writes the sums of n rows to out, Outputs per row. Feature f of row
// r is x[f*n+r]; NaN is missing. It does not allocate.
func (s *Session) Predict(x []float64, n int, out []float64) {
	e := s.e
	switch {
	case n >= s.from:
		s.fillBlock(x, n)
		s.wide.block(&s.rows[0], n, out)
	case s.sums != nil:
		s.sums.add(s.fill(x, n), e.slots, n, out)
	default:
		s.fill(x, n)
		for r := range n {
			s.wide.row(&s.rows[r*e.slots], e.slots, out[r*e.outputs:])
		}
	}
}

// fillBlock turns n rows of features into slots, slot by slot, 64 rows each.
func (s *Session) fillBlock(x []float64, n int) {
	e := s.e
	for i := range e.numeric {
		f := &e.numeric[i]
		values := x[f.feature*n:][:n]
		switch t := &e.tables[i]; {
		case t.pivots != nil:
			f.fillBlockTable(t, e.input, values, s.rows)
		case e.input == Float32:
			fillBlock(f, e.cuts32[f.start:f.end], values, s.rows)
		default:
			fillBlock(f, e.cuts64[f.start:f.end], values, s.rows)
		}
	}
	for i := range e.sets {
		f := &e.sets[i]
		clear(s.rows[f.base*BlockRows : (f.base+f.size)*BlockRows])
		for r, v := range x[f.feature*n:][:n] {
			if e.input == Float32 {
				v = float64(float32(v))
			}
			for _, slot := range f.in(v) {
				s.rows[slot*BlockRows+uint32(r)] = 1
			}
		}
	}
}

// fill turns n rows of features into slots, row by row.
func (s *Session) fill(x []float64, n int) []byte {
	e := s.e
	rows := s.rows[:n*e.slots]
	switch {
	case len(e.ranked) > 0:
		for r := range n {
			values := x
			if n > 1 {
				values = s.row
				for f := range values {
					values[f] = x[f*n+r]
				}
			}
			if e.input == Float32 {
				rankRow32(&e.ranked[0], len(e.ranked), &values[0], &rows[r*e.slots])
			} else {
				rankRow64(&e.ranked[0], len(e.ranked), &values[0], &rows[r*e.slots])
			}
		}
	case e.input == Float32:
		fillPlain(e.plain, e.cuts32, x, n, rows, e.slots)
	default:
		fillPlain(e.plain, e.cuts64, x, n, rows, e.slots)
	}
	for _, i := range e.others {
		f := &e.numeric[i]
		values := x[f.feature*n:][:n]
		if e.input == Float32 {
			fillNumeric(f, e.cuts32[f.start:f.end], values, rows, e.slots)
		} else {
			fillNumeric(f, e.cuts64[f.start:f.end], values, rows, e.slots)
		}
	}
	for i := range e.sets {
		f := &e.sets[i]
		f.fill(x[f.feature*n:][:n], rows, e.slots, e.input)
	}
	return rows
}

// fillPlain writes the ranks of plain features into their slots.
func fillPlain[T number](plain []plainFeature, cuts []T, x []float64, n int, rows []byte, slots int) {
	for i := range plain {
		f := &plain[i]
		own := cuts[f.start:f.end]
		for r, v := range x[int(f.feature)*n:][:n] {
			x := T(v)
			q := byte(rank(own, x))
			left, right := q, q
			if x != x {
				left, right = 0, 255
			}
			row := rows[r*slots:][:slots]
			row[f.left] = left
			row[f.right] = right
		}
	}
}

// fillNumeric writes the ranks of a feature's values into its slots.
func fillNumeric[T number](f *numericFeature, cuts []T, values []float64, rows []byte, slots int) {
	for r, v := range values {
		x := T(v)
		row := rows[r*slots:][:slots]
		q := -1 // rank of a missing value: none
		if x == x {
			q = rank(cuts, x)
		}
		for _, w := range f.views {
			q := q
			switch w.mode {
			case AsZero:
				if q < 0 {
					q = rank(cuts, 0)
				}
			case ZeroLeft, ZeroRight:
				if math.Abs(v) <= zeroBound {
					q = -1
				}
			}
			dst := row[w.base:][:w.chunks]
			switch {
			case q < 0 && (w.mode == Left || w.mode == ZeroLeft):
				clear(dst)
			case q < 0:
				for i := range dst {
					dst[i] = 255
				}
			case len(dst) == 1:
				dst[0] = byte(q)
			default:
				for i := range dst {
					dst[i] = byte(max(0, min(chunk, q-chunk*i)))
				}
			}
		}
	}
}

// rank returns how many of cuts, ascending, are at most x. Its branches do not
// depend on x, so that the ranks of several features overlap.
func rank[T number](cuts []T, x T) int {
	if len(cuts) == 0 {
		return 0
	}
	p, lo, n := &cuts[0], uint(0), uint(len(cuts))
	for n > 1 {
		half := n / 2
		lo += half & -b2u(*at(p, lo+half-1) <= x)
		n -= half
	}
	return int(lo + b2u(*at(p, lo) <= x))
}

// fill marks the sets that hold a feature's values.
func (f *setFeature) fill(values []float64, rows []byte, slots int, input Precision) {
	for r, v := range values {
		row := rows[r*slots:][:slots]
		clear(row[f.base : f.base+f.size])
		if input == Float32 {
			v = float64(float32(v))
		}
		for _, slot := range f.in(v) {
			row[slot] = 1
		}
	}
}

// in returns the slots of the sets that hold v.
func (f *setFeature) in(v float64) []uint32 {
	if v != v {
		return f.missing
	}
	if !(v >= 0 && v < MaxCategory+1) {
		return nil
	}
	i := f.find(uint32(v)) // truncated
	if i < 0 {
		return nil
	}
	lo := uint32(0)
	if i > 0 {
		lo = f.ends[i-1]
	}
	return f.members[lo:f.ends[i]]
}
