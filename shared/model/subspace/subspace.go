// Package subspace scores how far a row is from a subspace: the length of what
// its projection leaves, over the row's own length. It is 0 in the subspace, 1
// at a right angle to it, and 0 of a row of no length.
//
// Sums take features in their order, each product rounded, so that they do not
// depend on the rows that come with a row or on the CPU.
package subspace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Weights describe a model of one output.
type Weights struct {
	// Center is taken from a row first; of each feature.
	Center []float64
	// Axes are of length 1 and at right angles: feature f of axis a is at
	// [a*len(Center)+f].
	Axes []float64
}

// Limits of a model.
const (
	MaxFeatures = 1 << 20
	MaxAxes     = 1 << 14
)

// The canonical bytes, little-endian: version, features and axes as uint32,
// then center and axes as float64.
const (
	version    = 1
	headerSize = 12
)

// Encode checks w and returns its canonical bytes.
func (w *Weights) Encode() ([]byte, error) {
	n := len(w.Center)
	if n < 1 || len(w.Axes)%n != 0 {
		return nil, fmt.Errorf("%d numbers of axes of %d features", len(w.Axes), n)
	}
	b := make([]byte, 0, headerSize+8*(n+len(w.Axes)))
	for _, v := range []int{version, n, len(w.Axes) / n} {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	for _, list := range [][]float64{w.Center, w.Axes} {
		for _, v := range list {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v+0)) // -0 is 0
		}
	}
	if _, err := Open(b); err != nil {
		return nil, err
	}
	return b, nil
}

// ErrDamaged is the cause of every error of Open.
var ErrDamaged = errors.New("damaged subspace model")

// Model is a model ready to score, immutable.
type Model struct{ w Weights }

// Open reads canonical bytes.
func Open(b []byte) (*Model, error) {
	if len(b) < headerSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrDamaged, len(b))
	}
	word := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(b[4*i:])) }
	n, axes := word(1), word(2)
	if word(0) != version || n < 1 || n > MaxFeatures || axes > MaxAxes {
		return nil, fmt.Errorf("%w: version %d, %d features, %d axes", ErrDamaged, word(0), n, axes)
	}
	if uint64(len(b)-headerSize) != 8*n*(1+axes) {
		return nil, fmt.Errorf("%w: %d bytes for %d axes of %d features", ErrDamaged, len(b), axes, n)
	}
	all := make([]float64, n*(1+axes))
	for i := range all {
		all[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[headerSize+8*i:]))
		if math.IsNaN(all[i]) || math.IsInf(all[i], 0) || i >= int(n) && math.Abs(all[i]) > 1+1e-9 {
			return nil, fmt.Errorf("%w: a number is %v", ErrDamaged, all[i])
		}
	}
	return &Model{Weights{Center: all[:n], Axes: all[n:]}}, nil
}

// Features returns the number of features of a row.
func (m *Model) Features() int { return len(m.w.Center) }

// Outputs returns 1.
func (m *Model) Outputs() int { return 1 }

// Size is the memory that m holds, in bytes.
func (m *Model) Size() int64 { return int64(8 * (len(m.w.Center) + len(m.w.Axes))) }

// Session is the working memory of one goroutine's scoring.
type Session struct {
	m       *Model
	z, rest []float64 // a row, and what projections leave of it
}

// NewSession makes working memory.
func (m *Model) NewSession() *Session {
	return &Session{m, make([]float64, m.Features()), make([]float64, m.Features())}
}

// Sums of squares outside have lost digits, or overflowed.
const (
	smallSum = 1e-280
	largeSum = math.MaxFloat64
)

// Predict writes the shares of n rows to out. Feature f of row r is x[f*n+r]; a
// row with a NaN has none. It does not allocate.
func (s *Session) Predict(x []float64, n int, out []float64) {
	for r := range n {
		sum := s.project(x[r:], n)
		if sum == 0 || sum != sum {
			out[r] = sum
			continue
		}
		out[r] = min(1, math.Sqrt(squares(s.rest)/sum))
	}
}

// Contributions writes those of n rows to the square of the share to out: for
// each row the square of what projections leave of each feature, over the square
// of the row's length, and the base behind them, which is 0. It does not
// allocate.
func (s *Session) Contributions(x []float64, n int, out []float64) {
	width := len(s.z) + 1
	for r := range n {
		sum := s.project(x[r:], n)
		to := out[r*width:][:width]
		to[width-1] = 0
		for f := range s.rest {
			if to[f] = sum; sum != 0 && sum == sum {
				to[f] = float64(s.rest[f]*s.rest[f]) / sum
			}
		}
	}
}

// project makes a row, whose feature f is x[f*n], and what projections leave of
// it, both times the same power of two, and returns the square of its length: 0
// of a row at the center, NaN of one with a NaN.
func (s *Session) project(x []float64, n int) float64 {
	w := &s.m.w
	for f, c := range w.Center {
		s.z[f] = x[f*n]/2 - c/2 // a half, which does not overflow
	}
	sum := squares(s.z)
	if !(sum > smallSum && sum <= largeSum) {
		top := 0.0
		for _, v := range s.z {
			top = max(top, math.Abs(v))
		}
		if top == 0 || top != top {
			return top
		}
		_, exp := math.Frexp(top)
		for f := range s.z {
			s.z[f] = math.Ldexp(s.z[f], -exp)
		}
		sum = squares(s.z)
	}
	copy(s.rest, s.z)
	for a := w.Axes; len(a) > 0; a = a[len(s.z):] {
		axis, along := a[:len(s.z)], 0.0
		for f, v := range axis {
			along += float64(v * s.z[f])
		}
		for f, v := range axis {
			s.rest[f] -= float64(along * v)
		}
	}
	return sum
}

func squares(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x * x)
	}
	return sum
}
