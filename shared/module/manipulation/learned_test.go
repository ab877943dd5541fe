package manipulation

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 1; n < 60; n++ {
		for _, distinct := range []int{1, 2, 5, 1000} {
			values := make([]float64, n)
			for i := range values {
				values[i] = float64(rng.IntN(distinct))
			}
			sorted := slices.Sorted(slices.Values(values))
			want := (sorted[(n-1)/2] + sorted[n/2]) / 2
			if got := median(slices.Clone(values)); got != want {
				t.Fatalf("median of %v is %v, want %v", values, got, want)
			}
			for k := range n {
				some := slices.Clone(values)
				if got := nth(some, k); got != sorted[k] || slices.Max(some[:k+1]) != got || slices.Min(some[k:]) != got {
					t.Fatalf("value %d of %v is %v, want %v; left as %v", k, values, got, sorted[k], some)
				}
			}
		}
	}
}
