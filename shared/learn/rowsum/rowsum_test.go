package rowsum

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/portico-ml/portico/shared/learn"
)

// TestOver adds up numbers whose sum depends on the order.
func TestOver(t *testing.T) {
	for _, rows := range []int{1, BlockRows, BlockRows + 1, 64*BlockRows + 3, 100_000} {
		var first []float64
		for _, workers := range []int{1, 2, 7} {
			s := learn.NewSession()
			s.Workers = workers
			sums := New(s, rows, 2)
			for range 2 { // the second forgets the first
				total, err := sums.Over(t.Context(), func(worker, lo, hi int, into []float64) {
					if worker >= s.Width() || hi-lo > BlockRows || lo >= hi {
						t.Errorf("rows %d to %d of %d by worker %d", lo, hi, rows, worker)
					}
					for r := lo; r < hi; r++ {
						into[0] += 1 / float64(r+1)
						into[1]++
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = slices.Clone(total)
				}
				if !slices.Equal(total, first) {
					t.Errorf("%d rows: %d workers add up to %v, others to %v", rows, workers, total, first)
				}
			}
		}
		want := math.Log(float64(rows)) + 0.57721566 + 1/(2*float64(rows))
		if math.Abs(first[0]-want) > 0.1/float64(rows) || first[1] != float64(rows) {
			t.Errorf("%d rows: %v, want %v and the rows", rows, first, want)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(learn.NewSession(), 10, 1).Over(ctx, func(int, int, int, []float64) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
