package lbfgs

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
)

func never(func() ([]byte, error)) error { return nil }

// quadratic is Σ a·(x-c)²/2.
func quadratic(a, c []float64) func(context.Context, []float64, []float64) (float64, error) {
	return func(_ context.Context, x, g []float64) (float64, error) {
		f := 0.0
		for i := range x {
			d := x[i] - c[i]
			f += a[i] * d * d / 2
			g[i] = a[i] * d
		}
		return f, nil
	}
}

// rosenbrock, of two variables, is not convex, but has one minimum, at 1.
func rosenbrock(_ context.Context, x, g []float64) (float64, error) {
	f := 0.0
	clear(g)
	for i := range len(x) - 1 {
		u, v := x[i+1]-x[i]*x[i], 1-x[i]
		f += 100*u*u + v*v
		g[i] += -400*x[i]*u - 2*v
		g[i+1] += 200 * u
	}
	return f, nil
}

// steep is Σ e**x - x: infinite a step too far to one side.
func steep(_ context.Context, x, g []float64) (float64, error) {
	f := 0.0
	for i, v := range x {
		f += math.Exp(v) - v
		g[i] = math.Exp(v) - 1
	}
	return f, nil
}

var exact = Options{Memory: 10, Tolerance: 1e-10, MaxIterations: 1000}

func TestMinimize(t *testing.T) {
	a, c := []float64{1, 1e4, 3, 1e-3, 50}, []float64{2, -1, 0.1, 4, 0}
	for _, test := range []struct {
		name string
		p    Problem
		x    []float64
		want []float64
	}{
		{"quadratic", Problem{Value: quadratic(a, c)}, make([]float64, 5), c},
		{"its curvature known", Problem{Value: quadratic(a, c), Curvature: a}, make([]float64, 5), c},
		{"rosenbrock", Problem{Value: rosenbrock}, []float64{-1.2, 1}, []float64{1, 1}},
		{"steep", Problem{Value: steep}, []float64{-500, 20, 3}, []float64{0, 0, 0}},
		{"at the minimum already", Problem{Value: quadratic(a, c)}, c, c},
		// Soft thresholds: c moved towards 0 by l/a, not beyond.
		{"absolute values", Problem{Value: quadratic(a, c), L1: []float64{0.5, 1e5, 1, 0, 3}}, make([]float64, 5), []float64{1.5, 0, 0, 4, 0}},
		{"from the other side", Problem{Value: quadratic(a, c), L1: []float64{0.5, 1e3, 0.15, 0, 3}, Curvature: a}, []float64{-9, 9, -9, 9, 9}, []float64{1.5, -0.9, 0.05, 4, 0}},
	} {
		r, err := Minimize(t.Context(), test.p, test.x, exact, nil, never)
		if err != nil || !r.Converged {
			t.Errorf("%s: converged %v, error %v", test.name, r.Converged, err)
		}
		for i, want := range test.want {
			if math.Abs(r.X[i]-want) > 1e-6 || test.p.L1 != nil && want == 0 && r.X[i] != 0 {
				t.Errorf("%s: %v, want %v", test.name, r.X, test.want)
				break
			}
		}
	}
}

func TestLimits(t *testing.T) {
	o := exact
	o.MaxIterations = 3
	r, err := Minimize(t.Context(), Problem{Value: rosenbrock}, []float64{-1.2, 1}, o, nil, never)
	if err != nil || r.Converged || r.Iterations != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	broken := errors.New("broken")
	if _, err := Minimize(t.Context(), Problem{Value: func(context.Context, []float64, []float64) (float64, error) { return 0, broken }}, []float64{1}, exact, nil, never); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := Minimize(t.Context(), Problem{Value: func(context.Context, []float64, []float64) (float64, error) { return math.NaN(), nil }}, []float64{1}, exact, nil, never); err == nil {
		t.Error("it begins where the function is no number")
	}
}

// TestState goes on from every state, and refuses states that are none.
func TestState(t *testing.T) {
	for name, p := range map[string]Problem{
		"smooth": {Value: rosenbrock}, "absolute values": {Value: rosenbrock, L1: []float64{0.1, 0, 0.3, 0.2}},
	} {
		start := []float64{-1.2, 1, 0, 3}
		var states [][]byte
		whole, err := Minimize(t.Context(), p, start, exact, nil, func(state func() ([]byte, error)) error {
			b, err := state()
			states = append(states, b)
			return err
		})
		if err != nil || len(states) < 10 {
			t.Fatalf("%s: %d states: %v", name, len(states), err)
		}
		for i, b := range states {
			r, err := Minimize(t.Context(), p, start, exact, b, never)
			if err != nil || !slices.Equal(r.X, whole.X) || r.Iterations != whole.Iterations {
				t.Fatalf("%s: from state %d to %v, in one go to %v: %v", name, i, r.X, whole.X, err)
			}
		}
		b := states[len(states)-1]
		for _, bad := range [][]byte{{}, b[:8], b[:len(b)-8], b[:len(b)-1], append(slices.Clone(b), make([]byte, 8)...)} {
			if _, err := Minimize(t.Context(), p, start, exact, bad, never); !errors.Is(err, errState) {
				t.Errorf("%s: a state of %d bytes gives %v", name, len(bad), err)
			}
		}
	}
}
