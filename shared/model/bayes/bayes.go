// Package bayes scores Bayesian linear models: of each row the mean of what is
// predicted and its standard deviation, which grows with the distance from the
// rows that were learned from.
//
// The mean is the base plus the coefficients times the features' differences
// from their centers; the variance is the noise plus the squared length of the
// factor times the same differences. Sums take features in their order, each
// product rounded, so that they do not depend on the rows that come with a row
// or on the CPU.
package bayes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Weights describe a model.
type Weights struct {
	Base  float64
	Noise float64 // the variance at the centers, above 0
	// Center and Coefficients are of each feature.
	Center, Coefficients []float64
	// Factor is lower triangular, packed by rows: row k at [k*(k+1)/2:] has
	// k+1 numbers.
	Factor []float64
}

// MaxFeatures of a model.
const MaxFeatures = 1 << 14

// The canonical bytes, little-endian: version and features as uint32, then
// base, noise, centers, coefficients and factor as float64.
const (
	version    = 1
	headerSize = 8
)

func numbers(features int) int { return 2 + 2*features + features*(features+1)/2 }

// Encode checks w and returns its canonical bytes.
func (w *Weights) Encode() ([]byte, error) {
	n := len(w.Coefficients)
	if n > MaxFeatures || len(w.Center) != n || len(w.Factor) != n*(n+1)/2 {
		return nil, fmt.Errorf("%d coefficients, %d centers and a factor of %d numbers", n, len(w.Center), len(w.Factor))
	}
	b := make([]byte, 0, headerSize+8*numbers(n))
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	for _, list := range [][]float64{{w.Base, w.Noise}, w.Center, w.Coefficients, w.Factor} {
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
var ErrDamaged = errors.New("damaged Bayesian linear model")

// Model is a Bayesian linear model ready to score, immutable.
type Model struct{ w Weights }

// Open reads canonical bytes.
func Open(b []byte) (*Model, error) {
	if len(b) < headerSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrDamaged, len(b))
	}
	v, n := binary.LittleEndian.Uint32(b), int(binary.LittleEndian.Uint32(b[4:]))
	if v != version || n < 0 || n > MaxFeatures || len(b) != headerSize+8*numbers(n) {
		return nil, fmt.Errorf("%w: version %d, %d features, %d bytes", ErrDamaged, v, n, len(b))
	}
	all := make([]float64, numbers(n))
	for i := range all {
		all[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[headerSize+8*i:]))
		if math.IsNaN(all[i]) || math.IsInf(all[i], 0) {
			return nil, fmt.Errorf("%w: a number is %v", ErrDamaged, all[i])
		}
	}
	m := &Model{Weights{Base: all[0], Noise: all[1], Center: all[2:][:n], Coefficients: all[2+n:][:n], Factor: all[2+2*n:]}}
	if !(m.w.Noise > 0) {
		return nil, fmt.Errorf("%w: a noise of %v", ErrDamaged, m.w.Noise)
	}
	return m, nil
}

// Features returns the number of features of a row.
func (m *Model) Features() int { return len(m.w.Coefficients) }

// Outputs returns 2: the mean and the standard deviation.
func (m *Model) Outputs() int { return 2 }

// Size is the memory that m holds, in bytes.
func (m *Model) Size() int64 { return int64(8 * numbers(m.Features())) }

// Session is the working memory of one goroutine's scoring.
type Session struct {
	m *Model
	d []float64 // a row's differences from the centers
}

// NewSession makes working memory.
func (m *Model) NewSession() *Session { return &Session{m, make([]float64, m.Features())} }

// Predict writes mean and standard deviation of n rows to out, one after the
// other. Feature f of row r is x[f*n+r]; a row with a NaN has neither. It does
// not allocate.
func (s *Session) Predict(x []float64, n int, out []float64) {
	w := &s.m.w
	for r := range n {
		mean, variance := w.Base, w.Noise
		for f, c := range w.Center {
			d := x[f*n+r] - c
			s.d[f] = d
			mean += float64(w.Coefficients[f] * d)
		}
		row := w.Factor
		for k := range s.d {
			sum := 0.0
			for f, v := range row[:k+1] {
				sum += float64(v * s.d[f])
			}
			variance += float64(sum * sum)
			row = row[k+1:]
		}
		out[2*r], out[2*r+1] = mean, math.Sqrt(variance)
	}
}

// Contributions writes those of n rows to the mean to out: for each row
// coefficient times difference from the center of each feature, and the base
// behind them. It does not allocate.
func (m *Model) Contributions(x []float64, n int, out []float64) {
	w := &m.w
	width := m.Features() + 1
	for r := range n {
		to := out[r*width:][:width]
		for f, c := range w.Center {
			to[f] = w.Coefficients[f] * (x[f*n+r] - c)
		}
		to[width-1] = w.Base
	}
}
