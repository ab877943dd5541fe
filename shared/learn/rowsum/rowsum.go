// Package rowsum adds up vectors over the rows of training data on a session's
// workers, in an order that depends on the number of rows alone: the same rows
// give the same bits whatever the number of workers.
package rowsum

import (
	"context"

	"github.com/portico-ml/portico/shared/learn"
)

// BlockRows is the most rows that a function adds up at once: few enough that
// a block of a hundred columns stays in a core's cache from one pass over it
// to the next.
const BlockRows = 512

// parts is how many partial sums there are at most: enough to keep any number
// of cores busy, few enough that the sums of many columns fit into memory.
const parts = 64

// Sums adds up vectors over rows. It is for one goroutine at a time.
type Sums struct {
	s           *learn.Session
	rows, width int
	part        int       // rows of a partial sum, a multiple of BlockRows
	partial     []float64 // part p at [p*width:]
	total       []float64
}

// New makes sums of the given width, at least 1, over rows.
func New(s *learn.Session, rows, width int) *Sums {
	part := (rows + parts - 1) / parts
	part = max(1, (part+BlockRows-1)/BlockRows) * BlockRows
	n := (rows + part - 1) / part
	return &Sums{s: s, rows: rows, width: width, part: part, partial: make([]float64, n*width), total: make([]float64, width)}
}

// Over calls add for every block of rows, from lo to hi (exclusive), and
// returns the sum of what it added to its slice: valid until the next call.
// The worker is one of s.Width(). It returns ctx's error soon after ctx ends.
func (s *Sums) Over(ctx context.Context, add func(worker, lo, hi int, into []float64)) ([]float64, error) {
	clear(s.partial)
	n := len(s.partial) / s.width
	s.s.Each(n, func(worker, p int) {
		into := s.partial[p*s.width:][:s.width]
		for lo, end := p*s.part, min((p+1)*s.part, s.rows); lo < end && ctx.Err() == nil; lo += BlockRows {
			add(worker, lo, min(lo+BlockRows, end), into)
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	clear(s.total)
	for p := range n {
		for i, v := range s.partial[p*s.width:][:s.width] {
			s.total[i] += v
		}
	}
	return s.total, nil
}
