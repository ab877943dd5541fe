package shap

import (
	"math"
	"testing"
)

// TestOneTest is a tree of one test: its feature's contribution is all that it
// did, whichever way the row goes.
func TestOneTest(t *testing.T) {
	const share = 0.25 // goes to the row's side
	for _, c := range []struct {
		zero, one, want float64
	}{{share, 1, 1 - share}, {1 - share, 0, -(1 - share)}} {
		path := make(Path, Room(1, 1))
		path.Extend(0, 1, 1, -1)
		path.Extend(1, c.zero, c.one, 0)
		if got := path.Weight(1, 1); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("zero %v, one %v: weight %v, want %v", c.zero, c.one, got, c.want)
		}
	}
}

// TestTake takes out what Extend added: the others weigh what they did before.
func TestTake(t *testing.T) {
	elements := []Element{{Feature: 4, Zero: 0.5, One: 1}, {Feature: 2, Zero: 0.25, One: 0}, {Feature: 7, Zero: 0.75, One: 1}, {Feature: 1, Zero: 0, One: 1}}
	for gone := range elements {
		with, without := make(Path, 6), make(Path, 6)
		with.Extend(0, 1, 1, -1)
		without.Extend(0, 1, 1, -1)
		depth := 0
		for i, e := range elements {
			with.Extend(i+1, e.Zero, e.One, e.Feature)
			if i != gone {
				depth++
				without.Extend(depth, e.Zero, e.One, e.Feature)
			}
		}
		last, zero, one := with.Take(len(elements), elements[gone].Feature)
		if last != depth || zero != elements[gone].Zero || one != elements[gone].One {
			t.Fatalf("element %d: %d are left, of shares %v and %v", gone, last, zero, one)
		}
		for i := 1; i <= depth; i++ {
			if a, b := with.Weight(depth, i), without.Weight(depth, i); with[i].Feature != without[i].Feature || math.Abs(a-b) > 1e-14 {
				t.Errorf("without %d, element %d: feature %d weighs %v, want %d and %v", gone, i, with[i].Feature, a, without[i].Feature, b)
			}
		}
		if last, zero, one := with.Take(depth, 99); last != depth || zero != 1 || one != 1 {
			t.Errorf("a feature that is not there: %d, %v, %v", last, zero, one)
		}
	}
}

func TestRoom(t *testing.T) {
	for _, c := range []struct{ tests, features, want int }{
		{0, 0, 4}, {1, 1, 9}, {3, 100, 30}, {100, 3, 102 * 5}, {5000, 5000, 0}, {1 << 30, 1 << 20, 0},
	} {
		if got := Room(c.tests, c.features); got != c.want {
			t.Errorf("%d tests of %d features: room for %d, want %d", c.tests, c.features, got, c.want)
		}
	}
}
