// Package linear scores linear models: for each output a base and a sum of
// coefficients times features. What makes a logistic, multinomial, Poisson or
// margin model of it is the transform in a model's header; standardisation is
// folded into the coefficients before they are encoded.
//
// A row's sum begins with the base and takes the features in their order, with
// each product rounded, so it does not depend on the rows that come with it or
// on the CPU.
package linear

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Weights describe a linear model.
type Weights struct {
	Features, Outputs int
	// Single makes sums in float32, as XGBoost's gblinear does.
	Single bool
	// SkipMissing leaves a missing feature out of the sum; otherwise the sum
	// of a row with one is missing.
	SkipMissing  bool
	Base         []float64 // of each output
	Coefficients []float64 // of output k at [k*Features:]
}

// Limits of a model.
const (
	MaxFeatures = 1 << 20
	MaxOutputs  = 1 << 12
)

// Fold makes w, which was trained on (x-mean)/scale, take x itself. A scale of
// zero is 1, as in scikit-learn.
func (w *Weights) Fold(mean, scale []float64) error {
	if len(mean) != w.Features || len(scale) != w.Features {
		return fmt.Errorf("%d means and %d scales for %d features", len(mean), len(scale), w.Features)
	}
	for k := range w.Base {
		row := w.Coefficients[k*w.Features:][:w.Features]
		for f := range row {
			if scale[f] != 0 {
				row[f] /= scale[f]
			}
			w.Base[k] -= float64(row[f] * mean[f])
		}
	}
	return nil
}

// The canonical bytes, little-endian: version, flags, features and outputs as
// uint32, then the base and the coefficients as float64.
const (
	version    = 1
	headerSize = 16

	flagSingle = 1 << 0
	flagSkip   = 1 << 1
)

// Encode checks w and returns its canonical bytes.
func (w *Weights) Encode() ([]byte, error) {
	if w.Features < 0 || w.Features > MaxFeatures || w.Outputs < 1 || w.Outputs > MaxOutputs {
		return nil, fmt.Errorf("%d features and %d outputs", w.Features, w.Outputs)
	}
	if len(w.Base) != w.Outputs || len(w.Coefficients) != w.Outputs*w.Features {
		return nil, fmt.Errorf("%d bases and %d coefficients for %d outputs of %d features", len(w.Base), len(w.Coefficients), w.Outputs, w.Features)
	}
	var flags uint32
	if w.Single {
		flags |= flagSingle
	}
	if w.SkipMissing {
		flags |= flagSkip
	}
	b := make([]byte, 0, headerSize+8*(len(w.Base)+len(w.Coefficients)))
	for _, v := range []uint32{version, flags, uint32(w.Features), uint32(w.Outputs)} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	for _, list := range [][]float64{w.Base, w.Coefficients} {
		for _, v := range list {
			if w.Single {
				v = float64(float32(v))
			}
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("a coefficient is %v", v)
			}
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v+0)) // -0 is 0
		}
	}
	return b, nil
}

// ErrDamaged is the cause of every error of Open.
var ErrDamaged = errors.New("damaged linear model")

// Model is a linear model ready to score, immutable.
type Model struct{ w Weights }

// Open reads canonical bytes.
func Open(b []byte) (*Model, error) {
	if len(b) < headerSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrDamaged, len(b))
	}
	word := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(b[4*i:])) }
	flags, features, outputs := word(1), word(2), word(3)
	if word(0) != version || flags > flagSingle|flagSkip || features > MaxFeatures || outputs < 1 || outputs > MaxOutputs {
		return nil, fmt.Errorf("%w: version %d, flags %#x, %d features, %d outputs", ErrDamaged, word(0), flags, features, outputs)
	}
	if uint64(len(b)-headerSize) != 8*outputs*(features+1) {
		return nil, fmt.Errorf("%w: %d bytes for %d outputs of %d features", ErrDamaged, len(b), outputs, features)
	}
	all := make([]float64, outputs*(features+1))
	for i := range all {
		v := math.Float64frombits(binary.LittleEndian.Uint64(b[headerSize+8*i:]))
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%w: a coefficient is %v", ErrDamaged, v)
		}
		all[i] = v
	}
	return &Model{Weights{
		Features: int(features), Outputs: int(outputs), Single: flags&flagSingle != 0, SkipMissing: flags&flagSkip != 0,
		Base: all[:outputs], Coefficients: all[outputs:],
	}}, nil
}

// Features returns the number of features of a row.
func (m *Model) Features() int { return m.w.Features }

// Outputs returns the number of sums per row.
func (m *Model) Outputs() int { return m.w.Outputs }

// Size is the memory that m holds, in bytes.
func (m *Model) Size() int64 { return int64(8 * (len(m.w.Base) + len(m.w.Coefficients))) }

// Predict writes the sums of n rows to out, Outputs per row. Feature f of row
// r is x[f*n+r]; NaN is missing. It does not allocate.
func (m *Model) Predict(x []float64, n int, out []float64) {
	w := &m.w
	for r := range n {
		for k := range w.Outputs {
			row := w.Coefficients[k*w.Features:][:w.Features]
			if w.Single {
				out[r*w.Outputs+k] = m.single(x, n, r, row, float32(w.Base[k]))
				continue
			}
			sum := w.Base[k]
			for f, c := range row {
				v := x[f*n+r]
				if v != v && w.SkipMissing {
					continue
				}
				sum += float64(v * c)
			}
			out[r*w.Outputs+k] = sum
		}
	}
}

func (m *Model) single(x []float64, n, r int, row []float64, sum float32) float64 {
	for f, c := range row {
		v := float32(x[f*n+r])
		if v != v && m.w.SkipMissing {
			continue
		}
		sum += float32(v * float32(c))
	}
	return float64(sum)
}

// Contributions writes coefficient times value of n rows to out: for each row
// and output one number for each feature and the base behind them. It does not
// allocate.
func (m *Model) Contributions(x []float64, n int, out []float64) {
	w := &m.w
	for r := range n {
		for k := range w.Outputs {
			to := out[(r*w.Outputs+k)*(w.Features+1):][:w.Features+1]
			for f, c := range w.Coefficients[k*w.Features:][:w.Features] {
				v := x[f*n+r]
				if v != v && w.SkipMissing {
					v = 0
				}
				to[f] = float64(v * c)
			}
			to[w.Features] = w.Base[k]
		}
	}
}

// Coefficient is that of feature f in the sum of output k.
func (m *Model) Coefficient(k, f int) float64 { return m.w.Coefficients[k*m.w.Features+f] }
