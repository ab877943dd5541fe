package trees

import (
	"math"
	"slices"
)

// BlockRows is the most rows that one Predict takes.
const BlockRows = 64

// Session is the working memory of one caller. Not for concurrent use.
type Session struct {
	e    *Ensemble
	rows []byte // row r's slots at [r*slots:]; in the wide path slot s's rows at [s*BlockRows:]
	sums sums
	wide [][BlockRows]float32 // of the wide path: sums by output
	// Of rankRow: a row of features, and a rank for each of numeric.
	row   []float64
	ranks []byte
}

// NewSession makes a session. It allocates all that Predict will need for
// blocks of up to rows rows.
func (e *Ensemble) NewSession(rows int) *Session {
	s := &Session{e: e, sums: e.walk.newSums(rows)}
	if e.wide != nil && rows >= wideFrom {
		rows = BlockRows
		s.wide = make([][BlockRows]float32, e.outputs)
	}
	s.rows = make([]byte, rows*e.slots)
	s.row, s.ranks = make([]float64, e.features), make([]byte, len(e.tables))
	return s
}

// Predict writes the sums of n rows to out, Outputs per row. Feature f of row
// r is x[f*n+r]; NaN is missing. It does not allocate.
func (s *Session) Predict(x []float64, n int, out []float64) {
	if n >= wideFrom && s.wide != nil {
		s.predictWide(x, n, out)
		return
	}
	s.sums.add(s.fill(x, n), s.e.slots, n, out)
}

// fill turns n rows of features into slots, row by row.
func (s *Session) fill(x []float64, n int) []byte {
	e := s.e
	rows := s.rows[:n*e.slots]
	if len(e.tables) > 0 {
		s.fillTables(x, n, rows)
	}
	for i := range e.numeric {
		f := &e.numeric[i]
		values := x[f.feature*n:][:n]
		if e.tables != nil && e.tables[i].pivots != nil {
			continue
		}
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

// fillTables fills the slots of the features that have tables.
func (s *Session) fillTables(x []float64, n int, rows []byte) {
	e := s.e
	for r := range n {
		values := x
		if n > 1 {
			values = s.row
			for f := range values {
				values[f] = x[f*n+r]
			}
		}
		rankRow(&e.tables[0], len(e.tables), &values[0], &s.ranks[0])
		row := rows[r*e.slots:][:e.slots]
		for i := range e.tables {
			if t := &e.tables[i]; t.pivots != nil {
				e.numeric[i].fillRow(t, s.ranks[i], values[t.feature], row)
			}
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
// depend on x.
func rank[T number](cuts []T, x T) int {
	lo, n := 0, len(cuts)
	for n > 1 {
		half := n / 2
		if cuts[lo+half-1] <= x {
			lo += half
		}
		n -= half
	}
	if n == 1 && cuts[lo] <= x {
		lo++
	}
	return lo
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
	i, ok := slices.BinarySearch(f.categories, uint32(v)) // truncated
	if !ok {
		return nil
	}
	lo := uint32(0)
	if i > 0 {
		lo = f.ends[i-1]
	}
	return f.members[lo:f.ends[i]]
}
