package model

import (
	"runtime"
	"sync"

	"github.com/portico-ml/portico/shared/frame"
)

// partRows is how many rows of a table a goroutine scores at once.
const partRows = 1 << 14

// ScoreTable scores a whole table, on all CPUs, and returns the columns of
// Fields. A row that the model refuses is a *RowError.
func (m *Model) ScoreTable(in *frame.Frame) ([]*frame.Column, error) {
	s, err := m.Bind(in.Schema())
	if err != nil {
		return nil, err
	}
	rows := in.Rows()
	if rows <= partRows {
		return s.part(in)
	}
	parts := make([][]*frame.Column, (rows+partRows-1)/partRows)
	errs := make([]error, len(parts))
	next := make(chan int)
	var all sync.WaitGroup
	for range min(len(parts), runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for i := range next {
				lo := i * partRows
				parts[i], errs[i] = s.part(in.Slice(lo, min(lo+partRows, rows)))
				if row, ok := errs[i].(*RowError); ok {
					row.Row += lo
				}
			}
		})
	}
	for i := range parts {
		next <- i
	}
	close(next)
	all.Wait()
	out := s.columns(rows)
	for i, part := range parts {
		if errs[i] != nil {
			return nil, errs[i]
		}
		for k, c := range part {
			out[k].AppendRange(c, 0, c.Len())
		}
	}
	return out, nil
}

func (s *Scorer) part(in *frame.Frame) ([]*frame.Column, error) {
	out := s.columns(in.Rows())
	return out, s.Score(s.NewState(), in, out)
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
