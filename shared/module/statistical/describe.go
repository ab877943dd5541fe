package statistical

import (
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
)

// sample are the present cells of a numeric column, in order of the rows and
// sorted. Its statistics are NaN where they are not defined.
type sample struct {
	values []float64
	sorted []float64
	mean   float64
}

func newSample(c *frame.Column) *sample {
	s := &sample{}
	for r := range c.Len() {
		if !c.IsNull(r) {
			s.values = append(s.values, c.Float(r))
		}
	}
	s.sorted = slices.Clone(s.values)
	slices.Sort(s.sorted)
	s.mean = average(s.values)
	return s
}

func (s *sample) n() float64 { return float64(len(s.values)) }

// average sums about the first value, which keeps large numbers exact.
func average(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, v := range values {
		sum += v - values[0]
	}
	return values[0] + sum/float64(len(values))
}

func (s *sample) sum() float64 {
	if len(s.values) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, v := range s.values {
		sum += v
	}
	return sum
}

// central is Σ (x − mean)ᵏ.
func (s *sample) central(k int) float64 {
	sum := 0.0
	for _, v := range s.values {
		d, p := v-s.mean, 1.0
		for range k {
			p *= d
		}
		sum += p
	}
	if len(s.values) == 0 {
		return math.NaN()
	}
	return sum
}

func (s *sample) variance() float64 {
	if len(s.values) < 2 {
		return math.NaN()
	}
	return s.central(2) / (s.n() - 1)
}

// skewness is the adjusted Fisher–Pearson coefficient G₁.
func (s *sample) skewness() float64 {
	n := s.n()
	if n < 3 {
		return math.NaN()
	}
	m2, m3 := s.central(2)/n, s.central(3)/n
	if m2 == 0 {
		return 0
	}
	return math.Sqrt(n*(n-1)) / (n - 2) * m3 / (m2 * math.Sqrt(m2))
}

// kurtosis is the excess kurtosis G₂, unbiased for a normal sample.
func (s *sample) kurtosis() float64 {
	n := s.n()
	if n < 4 {
		return math.NaN()
	}
	m2, m4 := s.central(2)/n, s.central(4)/n
	if m2 == 0 {
		return 0
	}
	g := m4/(m2*m2) - 3
	return (n - 1) / ((n - 2) * (n - 3)) * (float64((n+1)*g) + 6)
}

// quantile interpolates between the two nearest values (Hyndman and Fan's
// definition 7, as pandas and R do).
func (s *sample) quantile(p float64) float64 { return quantile(s.sorted, p) }

func quantile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + float64((at-float64(i))*(sorted[i+1]-sorted[i]))
}

// mode is the most frequent value; of several the smallest.
func (s *sample) mode() float64 {
	best, most, run := math.NaN(), 0, 0
	for i, v := range s.sorted {
		if run++; i > 0 && v != s.sorted[i-1] {
			run = 1
		}
		if run > most {
			best, most = v, run
		}
	}
	return best
}

// deviation is the mean distance to the mean.
func (s *sample) deviation() float64 {
	sum := 0.0
	for _, v := range s.values {
		sum += math.Abs(v - s.mean)
	}
	return sum / s.n()
}

// medianDeviation is the median distance to the median.
func (s *sample) medianDeviation() float64 {
	m := s.quantile(0.5)
	distances := make([]float64, len(s.values))
	for i, v := range s.values {
		distances[i] = math.Abs(v - m)
	}
	slices.Sort(distances)
	return quantile(distances, 0.5)
}

func (s *sample) min() float64 { return s.quantile(0) }
func (s *sample) max() float64 { return s.quantile(1) }
