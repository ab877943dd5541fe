// Package kernel scores models that are sums of Gaussian bumps: a base, and for
// each vector a coefficient times e**(-gamma·d²), d being the Euclidean
// distance of the row to it.
//
// Sums take features and vectors in their order, each product rounded, so that
// they do not depend on the rows that come with a row or on the CPU.
package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/portico-ml/portico/shared/model/stablemath"
)

// Weights describe a model of one output.
type Weights struct {
	Gamma, Base float64
	// Offset and Scale are of each feature: what is compared with a vector is
	// (x-Offset)·Scale.
	Offset, Scale []float64
	// Coefficients are of each vector. Vectors has feature f of vector v at
	// [v*len(Scale)+f].
	Coefficients, Vectors []float64
}

// Limits of a model.
const (
	MaxFeatures = 1 << 20
	MaxVectors  = 1 << 24
)

// The canonical bytes, little-endian: version, features and vectors as uint32,
// then as float64 gamma, base, offsets, scales, coefficients and vectors.
const (
	version    = 1
	headerSize = 12
)

// Encode checks w and returns its canonical bytes.
func (w *Weights) Encode() ([]byte, error) {
	n, v := len(w.Scale), len(w.Coefficients)
	if len(w.Offset) != n || len(w.Vectors) != n*v {
		return nil, fmt.Errorf("%d offsets and %d scales, %d coefficients and %d numbers of vectors", len(w.Offset), n, v, len(w.Vectors))
	}
	b := make([]byte, 0, headerSize+8*(2+2*n+v+n*v))
	for _, v := range []int{version, n, v} {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	for _, list := range [][]float64{{w.Gamma, w.Base}, w.Offset, w.Scale, w.Coefficients, w.Vectors} {
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
var ErrDamaged = errors.New("damaged kernel model")

// Model is a model ready to score, immutable.
type Model struct{ w Weights }

// Open reads canonical bytes.
func Open(b []byte) (*Model, error) {
	if len(b) < headerSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrDamaged, len(b))
	}
	word := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(b[4*i:])) }
	n, v := word(1), word(2)
	if word(0) != version || n < 1 || n > MaxFeatures || v > MaxVectors {
		return nil, fmt.Errorf("%w: version %d, %d features, %d vectors", ErrDamaged, word(0), n, v)
	}
	if uint64(len(b)-headerSize) != 8*(2+2*n+v+n*v) {
		return nil, fmt.Errorf("%w: %d bytes for %d vectors of %d features", ErrDamaged, len(b), v, n)
	}
	all := make([]float64, (len(b)-headerSize)/8)
	for i := range all {
		all[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[headerSize+8*i:]))
		if math.IsNaN(all[i]) || math.IsInf(all[i], 0) {
			return nil, fmt.Errorf("%w: a number is %v", ErrDamaged, all[i])
		}
	}
	m := &Model{Weights{
		Gamma: all[0], Base: all[1], Offset: all[2:][:n], Scale: all[2+n:][:n], Coefficients: all[2+2*n:][:v], Vectors: all[2+2*n+v:],
	}}
	if m.w.Gamma < 0 {
		return nil, fmt.Errorf("%w: gamma is %v", ErrDamaged, m.w.Gamma)
	}
	return m, nil
}

// Features returns the number of features of a row.
func (m *Model) Features() int { return len(m.w.Scale) }

// Outputs returns 1.
func (m *Model) Outputs() int { return 1 }

// Vectors returns the number of vectors.
func (m *Model) Vectors() int { return len(m.w.Coefficients) }

// Session is the working memory of one goroutine's scoring.
type Session struct {
	m *Model
	z []float64 // a row
}

// NewSession makes working memory.
func (m *Model) NewSession() *Session { return &Session{m, make([]float64, m.Features())} }

// Predict writes the sums of n rows to out. Feature f of row r is x[f*n+r]; a
// row with a NaN has none. It does not allocate.
func (s *Session) Predict(x []float64, n int, out []float64) {
	w := &s.m.w
	for r := range n {
		missing := false
		for f := range s.z {
			v := x[f*n+r]
			missing = missing || v != v
			s.z[f] = (v - w.Offset[f]) * w.Scale[f]
		}
		if missing {
			out[r] = math.NaN()
			continue
		}
		sum := w.Base
		for v, c := range w.Coefficients {
			sum += float64(c * Gaussian(w.Gamma, s.z, w.Vectors[v*len(s.z):][:len(s.z)]))
		}
		out[r] = sum
	}
}

// Gaussian returns e**(-gamma·d²), d being the distance of a and b.
func Gaussian(gamma float64, a, b []float64) float64 {
	sum := 0.0
	for f, v := range a {
		d := v - b[f]
		sum += float64(d * d)
	}
	return stablemath.Exp(-gamma * sum)
}
