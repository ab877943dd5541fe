package boost

import (
	"math"
	"math/rand/v2"

	"github.com/portico-ml/portico/shared/learn"
)

// mixed is rows of numbers, categories of few and very many levels, and missing
// cells, with a label of two classes, three, or a number.
func mixed(rows, classes int, seed uint64) *learn.Data {
	r := rand.New(rand.NewPCG(seed, 1))
	levels := []int{0, 0, 4, 40, 600, 0, 0, 0, 0, 3}
	d := &learn.Data{Rows: rows, Levels: levels, Label: make([]float64, rows), Classes: classes}
	for _, n := range levels {
		x := make([]float64, rows)
		for i := range x {
			switch {
			case r.IntN(9) == 0:
				x[i] = math.NaN()
			case n > 0:
				x[i] = float64(int(float64(n-1) * r.Float64() * r.Float64())) // not the unknown level
			default:
				x[i] = r.NormFloat64()
			}
		}
		d.X = append(d.X, x)
	}
	for i := range d.Label {
		v := 0.3 * r.NormFloat64()
		if x := d.X[0][i]; x > 0.3 || x != x {
			v++
		}
		if x := d.X[3][i]; x == x && int(x)%3 == 1 {
			v += 1.5
		}
		if x := d.X[4][i]; x == x && int(x)%7 == 2 {
			v--
		}
		if x := d.X[1][i]; x == x {
			v += 0.5 * math.Sin(2*x)
		}
		switch classes {
		case 0:
			d.Label[i] = v
		case 2:
			if v > 0.5 {
				d.Label[i] = 1
			}
		default:
			d.Label[i] = max(0, min(float64(classes-1), math.Round(v)))
		}
	}
	return d
}
