package boost_test

import (
	"math/rand/v2"
	"testing"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/boost"
)

func BenchmarkTrain(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	const rows, columns = 80_000, 100
	d := &learn.Data{Rows: rows, Levels: make([]int, columns), Label: make([]float64, rows), Classes: 2}
	for range columns {
		x := make([]float64, rows)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		d.X = append(d.X, x)
	}
	for i := range d.Label {
		if d.X[0][i]*d.X[1][i]+d.X[2][i]+r.NormFloat64() > 0 {
			d.Label[i] = 1
		}
	}
	s := learn.NewSession()
	l, err := boost.TwoClass(boost.Options{Leaves: 64, MinLeaf: 1, Rate: 0.1, Rounds: 20})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := l.Train(b.Context(), d, s); err != nil {
			b.Fatal(err)
		}
	}
}
