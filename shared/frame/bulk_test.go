package frame

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// sprinkled is a column of n cells of a kind, some of them missing; none where
// parts is 0.
func sprinkled(r *rand.Rand, kind, n, parts int) *Column {
	k := kinds[kind]
	c := NewColumn(k.f, 0)
	for range n {
		if parts > 0 && r.IntN(parts) == 0 {
			c.AppendNull()
		} else {
			c.AppendText([]byte(k.cells[r.IntN(3)]))
		}
	}
	return c
}

// TestBulk compares what is done to many cells at once with the same cell by
// cell, at all places in a word of validity.
func TestBulk(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 7))
	for kind := range kinds {
		for range 100 {
			src := sprinkled(r, kind, r.IntN(300), []int{0, 2, 100}[r.IntN(3)])
			dst := sprinkled(r, kind, r.IntN(130), []int{0, 2}[r.IntN(2)])
			cells, before := texts(src), texts(dst)
			hi := r.IntN(src.Len() + 1)
			lo := r.IntN(hi + 1)
			dst.AppendRange(src, lo, hi)
			same(t, dst, append(before, cells[lo:hi]...)...)

			var rows []int
			var want []string
			for range min(src.Len(), 1) * r.IntN(200) {
				i := r.IntN(src.Len())
				rows, want = append(rows, i), append(want, cells[i])
			}
			took := src.Take(rows)
			same(t, took, want...)
			took.AppendNull() // what was taken is a column like any other
			took.AppendText([]byte(kinds[kind].cells[1]))
			same(t, took, append(want, "-", kinds[kind].cells[1])...)

			value := NewColumn(kinds[kind].f, 1)
			value.AppendText([]byte(kinds[kind].cells[0]))
			dst = sprinkled(r, kind, r.IntN(130), []int{0, 2}[r.IntN(2)])
			want = texts(dst)
			for _, s := range cells {
				if s == "-" {
					s = kinds[kind].cells[0]
				}
				want = append(want, s)
			}
			dst.AppendFilled(src, value)
			same(t, dst, want...)

			if f := src.Field; f.Type == String || f.Type == DateTime {
				continue
			}
			var floats []float64
			for i := range src.Len() {
				if !src.IsNull(i) {
					floats = append(floats, src.Float(i))
				}
			}
			scratch := make([]float64, 3)
			if got := src.PresentFloats(scratch); !slices.Equal(got, floats) {
				t.Fatalf("present floats of %v are %v", cells, got)
			}
		}
	}
}
