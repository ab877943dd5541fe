// Package centroids scores clusterings by centers: of each row its distance to
// every center.
//
// A distance is Euclidean, or by the angle: 1 less the cosine, from 0 to 2, and
// 1 where the row or the center is all zeros. Sums take features in their
// order, each product rounded, so that they do not depend on the rows that come
// with a row or on the CPU.
package centroids

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Metric is how far a row is from a center.
type Metric uint32

// The metrics.
const (
	Euclidean Metric = iota
	Cosine
)

// Weights describe a clustering.
type Weights struct {
	Features int
	Metric   Metric
	// Offset and Scale are of each feature, nil where features are taken as
	// they are: what is compared with a center is (x-Offset)·Scale.
	Offset, Scale []float64
	// Centers has feature f of center k at [k*Features+f].
	Centers []float64
}

// Limits of a clustering.
const (
	MaxFeatures = 1 << 20
	MaxCenters  = 1 << 12
)

// The canonical bytes, little-endian: version, metric, whether features are
// scaled, features and centers as uint32, then as float64 the offsets and
// scales, where there are any, and the centers.
const (
	version    = 1
	headerSize = 20
)

// Encode checks w and returns its canonical bytes.
func (w *Weights) Encode() ([]byte, error) {
	if w.Features < 1 || len(w.Centers)%w.Features != 0 {
		return nil, fmt.Errorf("%d numbers of centers of %d features", len(w.Centers), w.Features)
	}
	scaled := uint32(0)
	if w.Offset != nil {
		scaled = 1
	}
	if n := int(scaled) * w.Features; len(w.Offset) != n || len(w.Scale) != n {
		return nil, fmt.Errorf("%d offsets and %d scales of %d features", len(w.Offset), len(w.Scale), w.Features)
	}
	b := make([]byte, 0, headerSize+8*(2*len(w.Offset)+len(w.Centers)))
	for _, v := range []uint32{version, uint32(w.Metric), scaled, uint32(w.Features), uint32(len(w.Centers) / w.Features)} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	for _, list := range [][]float64{w.Offset, w.Scale, w.Centers} {
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
var ErrDamaged = errors.New("damaged clustering")

// Model is a clustering ready to score, immutable.
type Model struct {
	w       Weights
	centers int
	lengths []float64 // of the centers
}

// Open reads canonical bytes.
func Open(b []byte) (*Model, error) {
	if len(b) < headerSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrDamaged, len(b))
	}
	word := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(b[4*i:])) }
	metric, scaled, features, centers := word(1), word(2), word(3), word(4)
	if word(0) != version || metric > uint64(Cosine) || scaled > 1 || features < 1 || features > MaxFeatures || centers < 1 || centers > MaxCenters {
		return nil, fmt.Errorf("%w: version %d, metric %d, scaled %d, %d features, %d centers", ErrDamaged, word(0), metric, scaled, features, centers)
	}
	if uint64(len(b)-headerSize) != 8*features*(2*scaled+centers) {
		return nil, fmt.Errorf("%w: %d bytes for %d centers of %d features", ErrDamaged, len(b), centers, features)
	}
	all := make([]float64, (len(b)-headerSize)/8)
	for i := range all {
		all[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[headerSize+8*i:]))
		if math.IsNaN(all[i]) || math.IsInf(all[i], 0) {
			return nil, fmt.Errorf("%w: a number is %v", ErrDamaged, all[i])
		}
	}
	m := &Model{w: Weights{Features: int(features), Metric: Metric(metric)}, centers: int(centers)}
	if scaled > 0 {
		m.w.Offset, m.w.Scale, all = all[:features], all[features:2*features], all[2*features:]
	}
	m.w.Centers = all
	if m.w.Metric == Cosine {
		for k := range m.centers {
			m.lengths = append(m.lengths, Normalize(m.center(k)))
		}
	}
	return m, nil
}

func (m *Model) center(k int) []float64 { return m.w.Centers[k*m.w.Features:][:m.w.Features] }

// Features returns the number of features of a row.
func (m *Model) Features() int { return m.w.Features }

// Outputs returns the number of centers.
func (m *Model) Outputs() int { return m.centers }

// Size is the memory that m holds, in bytes.
func (m *Model) Size() int64 {
	return int64(8 * (len(m.w.Offset) + len(m.w.Scale) + len(m.w.Centers) + len(m.lengths)))
}

// Session is the working memory of one goroutine's scoring.
type Session struct {
	m *Model
	z []float64 // a row
}

// NewSession makes working memory.
func (m *Model) NewSession() *Session { return &Session{m, make([]float64, m.w.Features)} }

// Predict writes the distances of n rows to out, one of each center a row.
// Feature f of row r is x[f*n+r]; a row with a NaN has none. It does not
// allocate.
func (s *Session) Predict(x []float64, n int, out []float64) {
	m := s.m
	for r := range n {
		s.load(x[r:], n)
		to := out[r*m.centers:][:m.centers]
		if m.w.Metric == Euclidean {
			for k := range to {
				to[k] = distance(s.z, m.center(k))
			}
			continue
		}
		length := Normalize(s.z)
		for k := range to {
			if to[k] = 1; length != 0 && m.lengths[k] != 0 {
				to[k] = Angle(s.z, m.center(k))
			}
		}
	}
}

// load scales a row, whose feature f is x[f*n].
func (s *Session) load(x []float64, n int) {
	w := &s.m.w
	for f := range s.z {
		v := x[f*n]
		if w.Scale != nil {
			v = finite(finite(v-w.Offset[f]) * w.Scale[f])
		}
		s.z[f] = v
	}
}

// finite is v, or where that is past all numbers the largest of its sign: scaled
// rows far from the learned ones would else be no numbers.
func finite(v float64) float64 { return max(-math.MaxFloat64, min(math.MaxFloat64, v)) }

// Contributions writes those of n rows to out: for each row and center one
// number for each feature, and the base behind them. By the Euclidean metric
// they are the parts of the squared distance, and the base is 0; by the cosine
// what the features' products take from 1, which is the base. It does not
// allocate.
func (s *Session) Contributions(x []float64, n int, out []float64) {
	m := s.m
	width := m.w.Features + 1
	for r := range n {
		s.load(x[r:], n)
		length, base := 1.0, 0.0
		if m.w.Metric == Cosine {
			length, base = Normalize(s.z), 1
		}
		for k := range m.centers {
			to := out[(r*m.centers+k)*width:][:width]
			to[width-1] = base
			for f, c := range m.center(k) {
				switch {
				case m.w.Metric == Euclidean:
					d := s.z[f] - c
					to[f] = min(float64(d*d), math.MaxFloat64)
				case length == 0 || m.lengths[k] == 0: // at a right angle to all
					to[f] = 0
				default:
					to[f] = -float64(s.z[f] * c)
				}
			}
		}
	}
}

// Sums of squares outside have lost digits, or overflowed.
const (
	smallSum = 1e-280
	largeSum = math.MaxFloat64
)

// distance is the Euclidean distance of a and b.
func distance(a, b []float64) float64 {
	sum := 0.0
	for f, v := range a {
		d := v - b[f]
		sum += float64(d * d)
	}
	if sum > smallSum && sum <= largeSum || sum != sum {
		return math.Sqrt(sum)
	}
	// Half of both, which no difference overflows, near 1.
	top := 0.0
	for f, v := range a {
		top = max(top, math.Abs(v/2-b[f]/2))
	}
	if top == 0 || math.IsInf(top, 0) {
		return min(top, math.MaxFloat64)
	}
	_, exp := math.Frexp(top)
	sum = 0
	for f, v := range a {
		d := math.Ldexp(v/2-b[f]/2, -exp)
		sum += float64(d * d)
	}
	return min(math.Ldexp(math.Sqrt(sum), exp+1), math.MaxFloat64)
}

// Normalize divides v by its length, in place, and returns what it divided by,
// but for a power of two: 0 where v is all zeros.
func Normalize(v []float64) float64 {
	sum := squares(v)
	if !(sum > smallSum && sum <= largeSum) {
		top := 0.0
		for _, x := range v {
			top = max(top, math.Abs(x))
		}
		if top == 0 || top != top || math.IsInf(top, 0) {
			return top
		}
		_, exp := math.Frexp(top)
		for f := range v {
			v[f] = math.Ldexp(v[f], -exp)
		}
		sum = squares(v)
	}
	length := math.Sqrt(sum)
	for f := range v {
		v[f] /= length
	}
	return length
}

func squares(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x * x)
	}
	return sum
}

// Angle returns 1 less the cosine of two vectors of length 1.
func Angle(a, b []float64) float64 {
	dot := 0.0
	for f, v := range a {
		dot += float64(v * b[f])
	}
	if dot != dot {
		return dot
	}
	return max(0, min(2, 1-dot))
}
