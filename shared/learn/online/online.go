// Package online goes through the rows of training data one at a time, for
// learners that move after each: perceptron, SVM, gradient descent and neural
// networks.
//
// A pass takes the rows in a random order of its own, which depends on the
// seed and the pass alone, so that a training that was stopped between two
// passes goes on as if it had not been.
package online

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"

	"github.com/portico-ml/portico/shared/learn"
)

// Passes are the passes of one training.
type Passes struct {
	Rows, Passes int
	Seed         uint64
	// InOrder takes the rows as they come in every pass.
	InOrder bool
}

// every is how many rows are visited between two looks at the context.
const every = 1 << 6

// Run calls visit for every row of every pass: t is the number of rows visited
// before, in all passes. The state is all that visits change; it is saved
// after each pass, and brought back where an earlier execution saved it.
func (p Passes) Run(ctx context.Context, s *learn.Session, state []float64, visit func(row, t int)) error {
	pass := 0
	if s.Saved != nil {
		var err error
		if pass, err = restore(s.Saved, state); err != nil {
			return err
		}
	}
	order := make([]int, p.Rows)
	for ; pass < p.Passes; pass++ {
		for i := range order {
			order[i] = i
		}
		if !p.InOrder {
			rng := rand.New(rand.NewPCG(p.Seed, uint64(pass)))
			rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		for i, row := range order {
			if i%every == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			visit(row, pass*p.Rows+i)
		}
		s.Progress(pass, pass+1, p.Passes, "passes")
		if err := s.Checkpoint(func() ([]byte, error) { return save(pass+1, state), nil }); err != nil {
			return err
		}
	}
	return nil
}

// save writes the number of passes done and the state, little-endian.
func save(pass int, state []float64) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+8*len(state)), uint64(pass))
	for _, v := range state {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

func restore(b []byte, state []float64) (pass int, err error) {
	if len(b) != 8+8*len(state) || binary.LittleEndian.Uint64(b) > math.MaxInt32 {
		return 0, errors.New("the saved state is not of this training")
	}
	for i := range state {
		state[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8+8*i:]))
	}
	return int(binary.LittleEndian.Uint64(b)), nil
}

// Unit returns what brings the mean weight of some of the rows to 1.
func Unit(d *learn.Data, rows []int) float64 {
	sum := 0.0
	for _, r := range rows {
		sum += d.WeightOf(r)
	}
	return float64(len(rows)) / sum
}

// Dot returns the sum of the products of a and b.
func Dot(a, b []float64) float64 {
	var s, t float64
	i := 0
	for ; i+2 <= len(a); i += 2 {
		s += float64(a[i] * b[i])
		t += float64(a[i+1] * b[i+1])
	}
	if i < len(a) {
		s += float64(a[i] * b[i])
	}
	return s + t
}

// Add adds c times v to a.
func Add(a []float64, c float64, v []float64) {
	for i, x := range v {
		a[i] += float64(c * x)
	}
}
