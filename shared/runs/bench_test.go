package runs_test

import (
	"strconv"
	"testing"
)

// BenchmarkChurn scores rows of the churn sample: parsing and printing are not
// in it.
func BenchmarkChurn(b *testing.B) {
	w, id := churnBench(b, "native")
	finished(b, w.run(id))
	d := w.load(w.deployable(id))
	f := rows(b, d, read(b, samples+"/customers_may.csv"))
	for _, n := range []int{1, 1000, 1600} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := d.Session()
				for i, c := range s.Inputs[0].Cols {
					c.AppendRange(f.Cols[i], 0, n)
				}
				if _, err := s.Score(b.Context()); err != nil {
					b.Fatal(err)
				}
				s.Release()
			}
		})
	}
}
