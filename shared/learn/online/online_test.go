package online

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/portico-ml/portico/shared/learn"
)

// TestRun visits every row once in a pass, in another order each, and by the
// seed.
func TestRun(t *testing.T) {
	visits := func(seed uint64) (rows []int) {
		p := Passes{Rows: 50, Passes: 3, Seed: seed}
		if err := p.Run(t.Context(), learn.NewSession(), nil, func(row, n int) {
			if n != len(rows) {
				t.Errorf("visit %d says it is the %dth", len(rows), n)
			}
			rows = append(rows, row)
		}); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	a, b, c := visits(1), visits(1), visits(2)
	if !slices.Equal(a, b) || slices.Equal(a, c) || slices.Equal(a[:50], a[50:100]) {
		t.Error("the order does not depend on seed and pass alone")
	}
	for pass := range 3 {
		rows := slices.Sorted(slices.Values(a[pass*50:][:50]))
		for i, r := range rows {
			if r != i {
				t.Fatalf("pass %d visits %v", pass, rows)
			}
		}
	}
}

func TestRunFails(t *testing.T) {
	p := Passes{Rows: 50, Passes: 3}
	visit := func(int, int) {}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(ctx, learn.NewSession(), nil, visit); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled it gives %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	seen := 0
	wide := Passes{Rows: 5000, Passes: 1} // a visit of a large network takes a while
	err := wide.Run(ctx, learn.NewSession(), nil, func(int, int) {
		seen++
		cancel()
	})
	if !errors.Is(err, context.Canceled) || seen > 100 {
		t.Errorf("cancelled in the first visit it makes %d and gives %v", seen, err)
	}
	s := learn.NewSession()
	for _, s.Saved = range [][]byte{{}, make([]byte, 8), make([]byte, 23), slices.Repeat([]byte{255}, 24)} {
		if err := p.Run(t.Context(), s, make([]float64, 2), visit); err == nil {
			t.Errorf("a state of %d bytes is taken", len(s.Saved))
		}
	}
}
