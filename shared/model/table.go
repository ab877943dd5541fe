package model

import (
	"runtime"
	"sync"

	"github.com/portico-ml/portico/shared/frame"
)

// ManyRows is from how many rows on a table is worth more than one CPU.
const ManyRows = 1 << 16

// partRows is how many rows of a table a goroutine scores at once.
const partRows = 1 << 14

// ScoreTable scores a whole table, on all CPUs, and returns the columns of
// Fields. A row that the model refuses is a *RowError.
func (m *Model) ScoreTable(in *frame.Frame) ([]*frame.Column, error) {
	s, err := m.Bind(in.Schema())
	if err != nil {
		return nil, err
	}
	out := s.columns(in.Rows())
	return out, s.ScoreMany(s.NewState(), in, out)
}

// ScoreMany is Score on all CPUs, for tables of ManyRows and more. It allocates
// working memory for each.
func (s *Scorer) ScoreMany(st *State, in *frame.Frame, dst []*frame.Column) error {
	rows := in.Rows()
	parts := make([][]*frame.Column, (rows+partRows-1)/partRows)
	width := min(len(parts), runtime.GOMAXPROCS(0))
	if width < 2 {
		return s.Score(st, in, dst)
	}
	errs := make([]error, len(parts))
	counts := make([]Counts, width)
	next := make(chan int)
	var all sync.WaitGroup
	for w := range width {
		all.Go(func() {
			own := s.NewState()
			for i := range next {
				lo := i * partRows
				hi := min(lo+partRows, rows)
				parts[i] = s.columns(hi - lo)
				errs[i] = s.score(own, in, lo, hi, parts[i])
			}
			counts[w] = own.Counts
		})
	}
	for i := range parts {
		next <- i
	}
	close(next)
	all.Wait()
	for i, part := range parts {
		if errs[i] != nil {
			return errs[i] // of the first row that is refused
		}
		for k, c := range part {
			dst[k].AppendRange(c, 0, c.Len())
		}
	}
	for _, c := range counts {
		st.Rows += c.Rows
		st.Missing += c.Missing
		st.UnknownLevels += c.UnknownLevels
	}
	return nil
}

func (s *Scorer) columns(rows int) []*frame.Column {
	out := make([]*frame.Column, len(s.m.fields))
	for k, f := range s.m.fields {
		out[k] = frame.NewColumn(f, rows)
	}
	return out
}

// Answers returns what the model makes of features as numbers, in the order of
// its header: the transformed sums of its engine, of row r at [r*outputs:].
// It is for models that read no text; a row that the model refuses is NaN.
func (m *Model) Answers(rows [][]float64) []float64 {
	n := m.engine.Outputs()
	out := make([]float64, len(rows)*n)
	p := m.engine.predictor(1)
	for r, x := range rows {
		at := out[r*n:][:n]
		if err := p.Predict(x, nil, 1, at); err != nil {
			for k := range at {
				at[k] = nan
			}
			continue
		}
		m.header.Transform.apply(at)
	}
	return out
}
