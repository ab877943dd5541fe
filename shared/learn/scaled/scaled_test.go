package scaled

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model/linear"
)

// table makes rows of features of several sizes, the last a constant.
func table(rows, features int, weighted bool) *learn.Data {
	rng := rand.New(rand.NewPCG(uint64(rows), uint64(features)))
	d := &learn.Data{Rows: rows}
	for f := range features {
		x := make([]float64, rows)
		for r := range x {
			if x[r] = 7; f < features-1 {
				x[r] = math.Pow(10, float64(f%5-2)) * (rng.NormFloat64() + float64(f))
			}
		}
		d.X = append(d.X, x)
	}
	if weighted {
		for range rows {
			d.Weight = append(d.Weight, 3*rng.Float64())
		}
	}
	return d
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-11*max(1, math.Abs(b)) }

// TestScales checks what the features are after scaling.
func TestScales(t *testing.T) {
	d := table(200, 6, true)
	total := 0.0
	for _, w := range d.Weight {
		total += w
	}
	for _, by := range []By{Raw, Magnitude, Center, Range, Deviation} {
		m := New(d, by)
		rows := m.ByRow()
		for f := range d.X {
			lo, hi, mean, square := math.Inf(1), math.Inf(-1), 0.0, 0.0
			for r := range d.Rows {
				z := m.At(f, r)
				if rows[r*m.Features+f] != z {
					t.Fatalf("by %d: by row it is %v, alone %v", by, rows[r*m.Features+f], z)
				}
				lo, hi = min(lo, z), max(hi, z)
				mean += d.Weight[r] * z / total
				square += d.Weight[r] * z * z
			}
			if !near(m.Square(f), square) {
				t.Errorf("by %d: feature %d has the sum of squares %v, want %v", by, f, m.Square(f), square)
			}
			constant := f == len(d.X)-1
			ok := near(mean, 0)
			switch by {
			case Raw:
				ok = m.At(f, 3) == d.X[f][3]
			case Magnitude:
				ok = near(max(-lo, hi), 1)
			case Range:
				ok = ok && (constant || near(hi-lo, 1))
			case Deviation:
				ok = ok && (constant || near(square/total, 1))
			}
			if !ok || constant && by >= Center && (lo != 0 || hi != 0) {
				t.Errorf("by %d: feature %d from %v to %v, mean %v, square %v", by, f, lo, hi, mean, square/total)
			}
		}
	}
}

// TestFold compares scores of scaled features with those of the folded model.
func TestFold(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, by := range []By{Raw, Magnitude, Center, Range, Deviation} {
		for _, features := range []int{1, 3, 4, 5, 9} {
			d := table(50, features, false)
			for r := range d.X[0] {
				d.X[0][r] *= 1e200 // to be brought near 1 first
			}
			m := New(d, by)
			w, base := make([]float64, 2*features), []float64{1, -2}
			for i := range w {
				w[i] = rng.NormFloat64()
				if by == Raw || by == Center {
					w[i] *= 1e-3
				}
			}
			body, err := m.Fold(w, base).Encode()
			if err != nil {
				t.Fatal(err)
			}
			model, err := linear.Open(body)
			if err != nil {
				t.Fatal(err)
			}
			x, out := make([]float64, features), make([]float64, 2)
			for r := range d.Rows {
				for f := range x {
					x[f] = d.X[f][r]
				}
				model.Predict(x, 1, out)
				for k := range out {
					s := []float64{base[k]}
					m.Dot(r, w[k*features:][:features], s)
					if math.Abs(out[k]-s[0]) > 1e-9*max(1, math.Abs(s[0])) {
						t.Fatalf("by %d, %d features: folded %v, scaled %v", by, features, out[k], s[0])
					}
				}
			}
		}
	}
}

// TestSums compares products and sums with their definition.
func TestSums(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, shape := range [][2]int{{1, 1}, {2, 3}, {513, 7}, {1100, 33}, {700, 66}} {
		t.Run(fmt.Sprint(shape), func(t *testing.T) {
			d := table(shape[0], shape[1], false)
			m := New(d, Range)
			n, lo := m.Features, shape[0]/3
			weight, g := make([]float64, d.Rows), make([]float64, d.Rows-lo)
			for r := range weight {
				weight[r] = rng.Float64()
			}
			for i := range g {
				g[i] = rng.NormFloat64()
			}
			sum := make([]float64, n)
			m.Sum(lo, g, sum)
			s := learn.NewSession()
			s.Workers = 3
			plain, err := m.Gram(t.Context(), s, nil)
			if err != nil {
				t.Fatal(err)
			}
			gram, err := m.Gram(t.Context(), s, weight)
			if err != nil {
				t.Fatal(err)
			}
			for f := range n {
				want := 0.0
				for i, v := range g {
					want += v * m.At(f, lo+i)
				}
				if !near(sum[f], want) {
					t.Errorf("feature %d: the sum is %v, want %v", f, sum[f], want)
				}
				for h := range n {
					want, one := 0.0, 0.0
					for r, w := range weight {
						want += w * m.At(f, r) * m.At(h, r)
						one += m.At(f, r) * m.At(h, r)
					}
					if !near(gram[f*n+h], want) || !near(plain[f*n+h], one) {
						t.Fatalf("features %d and %d: %v and %v, want %v and %v", f, h, gram[f*n+h], plain[f*n+h], want, one)
					}
				}
			}
		})
	}
}

func TestGramRefuses(t *testing.T) {
	m := New(table(3, 2, false), Range)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Gram(ctx, learn.NewSession(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled it gives %v", err)
	}
	m.Features = MaxGram + 1
	if _, err := m.Gram(t.Context(), learn.NewSession(), nil); !fault.Is(err, fault.LibraryExecution) {
		t.Errorf("with too many features it gives %v", err)
	}
}
