package lbfgs

import (
	"encoding/binary"
	"errors"
	"math"
)

// A saved state, little-endian: iteration, stalled, variables and remembered
// steps as uint64; best, x; then for each step s and y.
const stateWords = 4

var errState = errors.New("the saved state is not of this search")

func (s *search) save() []byte {
	n := len(s.x)
	b := make([]byte, 0, 8*(stateWords+1+n*(1+2*len(s.s))))
	for _, v := range []int{s.iteration, s.stalled, n, len(s.s)} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(s.best))
	put := func(list []float64) {
		for _, v := range list {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
	}
	put(s.x)
	for k := range s.s {
		put(s.s[k])
		put(s.y[k])
	}
	return b
}

func (s *search) restore(b []byte) error {
	n := uint64(len(s.x))
	if len(b) < 8*(stateWords+1) || len(b)%8 != 0 {
		return errState
	}
	word := func(i uint64) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	k := word(3)
	if word(0) > math.MaxInt32 || word(1) > maxStalled || word(2) != n || k > uint64(s.o.Memory) ||
		uint64(len(b))/8 != stateWords+1+n*(1+2*k) {
		return errState
	}
	s.iteration, s.stalled = int(word(0)), int(word(1))
	at := uint64(stateWords)
	next := func(list []float64) {
		for i := range list {
			list[i] = math.Float64frombits(word(at))
			at++
		}
	}
	best := make([]float64, 1)
	next(best)
	s.best = best[0]
	next(s.x)
	for range k {
		step, change := make([]float64, n), make([]float64, n)
		next(step)
		next(change)
		s.s, s.y, s.rho = append(s.s, step), append(s.y, change), append(s.rho, 1/dot(step, change))
	}
	return nil
}
