package platt

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/scaled"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/linear"
)

// byHeart is data whose every row has a feature of its own, 1 in that row. A
// third of the rows, those whose number is a multiple of 3, have label 1.
func byHeart(rows int) *learn.Data {
	d := &learn.Data{Rows: rows, Classes: 2, Label: make([]float64, rows), Levels: make([]int, rows)}
	for r := range rows {
		x := make([]float64, rows)
		x[r] = 1
		d.X = append(d.X, x)
		if r%3 == 0 {
			d.Label[r] = 1
		}
	}
	return d
}

// probabilities trains and scores the rows of d.
func probabilities(t *testing.T, d *learn.Data, by Learn) []float64 {
	t.Helper()
	m := scaled.New(d, scaled.Raw)
	trained, err := Train(t.Context(), d, m, m.ByRow(), learn.NewSession(), 1, by)
	if err != nil {
		t.Fatal(err)
	}
	if trained.Engine != model.EngineLinear || trained.Transform.Name != model.Sigmoid {
		t.Fatalf("engine %q, transform %q", trained.Engine, trained.Transform.Name)
	}
	l, err := linear.Open(trained.Body)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]float64, d.Rows)
	l.Predict(slices.Concat(d.X...), d.Rows, p)
	for i, s := range p {
		p[i] = 1 / (1 + math.Exp(-s))
	}
	return p
}

// memory learns each row's label by its feature times sign.
func memory(d *learn.Data, sign float64) Learn {
	return func(_ context.Context, _ *learn.Session, rows []int) (Linear, error) {
		l := Linear{Weights: make([]float64, len(d.X))}
		for _, r := range rows {
			l.Weights[r] = sign * (2*d.Label[r] - 1)
		}
		return l, nil
	}
}

// TestHeldOut is scores that know each row that was learned from and no other:
// fitted to rows held out, the sigmoid gives all the share of label 1.
func TestHeldOut(t *testing.T) {
	d := byHeart(60)
	for r, p := range probabilities(t, d, memory(d, 1)) {
		if math.Abs(p-20.0/60) > 0.02 { // the targets are a little short of 0 and 1
			t.Fatalf("row %d has probability %v", r, p)
		}
	}
}

// TestFewRows is too few rows of a class to hold any out: the sigmoid is
// fitted to the rows that were learned from.
func TestFewRows(t *testing.T) {
	d := byHeart(3*FewRows - 3)
	calls := 0
	p := probabilities(t, d, func(ctx context.Context, s *learn.Session, rows []int) (Linear, error) {
		if calls++; len(rows) != d.Rows {
			t.Errorf("learned from %d rows of %d", len(rows), d.Rows)
		}
		return memory(d, 1)(ctx, s, rows)
	})
	if calls != 1 {
		t.Errorf("learned %d times", calls)
	}
	for r := range p {
		if (p[r] > 0.5) != (d.Label[r] > 0) || math.Abs(p[r]-d.Label[r]) > 0.2 {
			t.Fatalf("row %d of label %v has probability %v", r, d.Label[r], p[r])
		}
	}
}

// TestBackwards is scores that fall with the label in rows held out.
func TestBackwards(t *testing.T) {
	d := byHeart(60)
	p := probabilities(t, d, func(_ context.Context, _ *learn.Session, rows []int) (Linear, error) {
		l := Linear{Weights: make([]float64, len(d.X))}
		for r := range d.Rows {
			l.Weights[r] = 1 - 2*d.Label[r]
		}
		return l, nil
	})
	if slices.Min(p) != slices.Max(p) || math.Abs(p[0]-20.0/60) > 0.02 {
		t.Errorf("probabilities from %v to %v", slices.Min(p), slices.Max(p))
	}
}

// TestFolds holds every row that has a weight out once, as many of each class
// in every fold, and then learns from all.
func TestFolds(t *testing.T) {
	d := byHeart(90)
	d.Weight = slices.Repeat([]float64{2}, d.Rows)
	d.Weight[7], d.Weight[9] = 0, 0
	held, calls := make([]int, d.Rows), 0
	probabilities(t, d, func(ctx context.Context, s *learn.Session, rows []int) (Linear, error) {
		calls++
		var out [2]int
		for r := range d.Rows {
			if !slices.Contains(rows, r) {
				held[r]++
				out[int(d.Label[r])]++
			}
		}
		if want := [2]int{60 / Folds, 30 / Folds}; calls <= Folds && (out[0] < want[0]-1 || out[0] > want[0] || out[1] < want[1]-1 || out[1] > want[1]) {
			t.Errorf("fold %d holds %v rows out", calls, out)
		}
		return memory(d, 1)(ctx, s, rows)
	})
	for r, n := range held {
		if want := min(1, int(d.Weight[r])); n != want {
			t.Errorf("row %d is held out %d times, want %d", r, n, want)
		}
	}
	if calls != Folds+1 {
		t.Errorf("learned %d times", calls)
	}
}

func TestRestore(t *testing.T) {
	p := &progress{done: []Linear{{[]float64{1, -2}, 3}, {[]float64{math.Inf(1), 5}, 6}}}
	b, err := p.save([]byte("next"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := restore(b, 2)
	if err != nil || len(got.done) != 2 || got.done[1].Base != 6 || !slices.Equal(got.done[1].Weights, p.done[1].Weights) || string(got.next) != "next" {
		t.Errorf("%v, %v", got, err)
	}
	for name, b := range map[string][]byte{"empty": {}, "short": b[:3], "cut": b[:30], "many": slices.Repeat([]byte{255}, 400)} {
		if _, err := restore(b, 2); err == nil {
			t.Errorf("a state that is %s is taken", name)
		}
	}
}
