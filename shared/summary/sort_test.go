package summary

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSort(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, 1, radixRows - 1, radixRows, 20_000} {
		for name, draw := range map[string]func() float64{
			"any":  func() float64 { return r.NormFloat64() * math.Pow(10, float64(r.IntN(600)-300)) },
			"few":  func() float64 { return float64(r.IntN(7)) - 3 },
			"same": func() float64 { return -1.5 },
			"edges": func() float64 {
				return []float64{math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 0, -1}[r.IntN(5)]
			},
		} {
			floats, ints := make([]float64, n), make([]int64, n)
			for i := range floats {
				floats[i] = draw()
				ints[i] = int64(math.Float64bits(draw())) // from end to end
			}
			wantFloats, wantInts := slices.Sorted(slices.Values(floats)), slices.Sorted(slices.Values(ints))
			sortFloats(floats)
			sortInts(ints)
			if !slices.Equal(floats, wantFloats) || !slices.Equal(ints, wantInts) {
				t.Errorf("%d values, %s: not in order", n, name)
			}
		}
	}
}
