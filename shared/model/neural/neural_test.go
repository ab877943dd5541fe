package neural

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/portico-ml/portico/shared/model/modeltest"
)

// random makes a network, and rows with one missing cell in forty.
func random(rng *rand.Rand, scaling Scaling, rows int) (n *Network, x []float64) {
	numbers := func(k int) []float64 {
		list := make([]float64, k)
		for i := range list {
			list[i] = rng.NormFloat64()
		}
		return list
	}
	n = &Network{Features: 7, Scaling: scaling}
	switch scaling {
	case Affine:
		n.Offset, n.Scale = numbers(7), numbers(7)
	case Quantum:
		for f := range 7 {
			c := numbers(f)
			slices.Sort(c)
			n.Cuts = append(n.Cuts, c)
		}
	}
	inputs := 7
	for i, nodes := range []int{6, 5, 9, 8, 7, 6, 5, 3} {
		n.Layers = append(n.Layers, Layer{nodes, Activation(7 - i), numbers(nodes), numbers(inputs * nodes)})
		inputs = nodes
	}
	x = numbers(7 * rows)
	for i := range x {
		switch rng.IntN(40) {
		case 0:
			x[i] = math.NaN()
		case 1, 2, 3, 4, 5, 6, 7, 8, 9:
			x[i] = 0
		}
	}
	return n, x
}

// definition computes a row's sums as textbooks have them.
func definition(n *Network, row []float64) []float64 {
	in := make([]float64, n.Features)
	for f, v := range row {
		switch n.Scaling {
		case Affine:
			v = (v - n.Offset[f]) * n.Scale[f]
		case Quantum:
			not := 0.0
			for _, c := range n.Cuts[f] {
				if v >= c {
					not++
				}
			}
			if v = v * 0; len(n.Cuts[f]) > 0 {
				v += not / float64(len(n.Cuts[f]))
			}
		}
		in[f] = v
	}
	for _, l := range n.Layers {
		out := slices.Clone(l.Bias)
		for j := range out {
			for i, v := range in {
				out[j] += v * l.Weights[i*l.Nodes+j]
			}
			x := out[j]
			out[j] = map[Activation]float64{
				Linear: x, Sigmoid: 1 / (1 + math.Exp(-x)), Tanh: math.Tanh(x), Rectify: math.Max(0, x), Soft: math.Log1p(math.Exp(x)),
				Bounded: math.Min(1, math.Max(0, x)), Square: x * x, Absolute: math.Abs(x),
			}[l.Activation]
		}
		in = out
	}
	return in
}

// TestSums compares with the definition, alone and together.
func TestSums(t *testing.T) {
	const rows = 70
	for scaling := Raw; scaling <= Quantum; scaling++ {
		n, x := random(rand.New(rand.NewPCG(1, uint64(scaling))), scaling, rows)
		missing := 0
		modeltest.Rows(t, modeltest.Reopen(t, n, Open).NewSession(), x, 7, 3, func(r int, row, scored []float64) {
			hole := slices.ContainsFunc(row, math.IsNaN)
			if hole {
				missing++
			}
			for k, want := range definition(n, row) {
				got := scored[k]
				if hole {
					if !math.IsNaN(got) {
						t.Fatalf("row %d misses a cell and has %v", r, got)
					}
					continue
				}
				if !(math.Abs(got-want) <= 1e-11*max(1, math.Abs(want))) {
					t.Fatalf("scaling %d, row %d, output %d: %v, want %v", scaling, r, k, got, want)
				}
			}
		})
		if missing == 0 || missing == rows {
			t.Fatalf("%d of %d rows miss a cell", missing, rows)
		}
	}
}

// TestSlopes compares with differences.
func TestSlopes(t *testing.T) {
	for a := Linear; a <= Absolute; a++ {
		for _, x := range []float64{-40, -2.5, -0.3, 0.4, 0.9, 3, 40} {
			const h = 1e-6
			v := []float64{x - h, x, x + h}
			a.Apply(v)
			want := (v[2] - v[0]) / (2 * h)
			if got := a.Slope(x, v[1]); math.Abs(got-want) > 1e-6 {
				t.Errorf("activation %d at %v: slope %v, want %v", a, x, got, want)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, edit := range map[string]func(*Network){
		"NaN": func(n *Network) { n.Layers[0].Weights[3] = math.NaN() }, "an infinite bias": func(n *Network) { n.Layers[1].Bias[0] = math.Inf(1) },
		"no layers": func(n *Network) { n.Layers = nil }, "a weight": func(n *Network) { n.Layers[2].Weights = n.Layers[2].Weights[1:] },
		"an activation": func(n *Network) { n.Layers[2].Activation = 8 }, "a scaling": func(n *Network) { n.Scaling = 3 },
		"offsets": func(n *Network) { n.Offset = nil }, "nodes": func(n *Network) { n.Layers[0].Nodes = 0 },
		"cuts": func(n *Network) {
			n.Scaling, n.Offset, n.Scale, n.Cuts = Quantum, nil, nil, [][]float64{{1, 1}, 6: nil}
		},
	} {
		n, _ := random(rand.New(rand.NewPCG(2, 2)), Affine, 0)
		edit(n)
		if _, err := n.Encode(); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	n, _ := random(rand.New(rand.NewPCG(2, 2)), Quantum, 0)
	modeltest.Damaged(t, modeltest.Encode(t, n), Open, ErrDamaged, modeltest.Damage{
		"version": {0, 9}, "features": {4, 1 << 31},
		"scaling": {8, 3}, "layers": {12, 1 << 20}, "no layers": {12, 0}, "nodes": {16, 1 << 16}, "activation": {20, 9},
		"cuts": {headerSize + 8*8 + 4, 1 << 31}, "NaN": {-4, 0x7ff80000},
	})
}

func FuzzOpen(f *testing.F) {
	var seeds []modeltest.Encoder
	for scaling := Raw; scaling <= Quantum; scaling++ {
		n, _ := random(rand.New(rand.NewPCG(3, uint64(scaling))), scaling, 0)
		seeds = append(seeds, n)
	}
	modeltest.FuzzOpen(f, Open, ErrDamaged, func(t *testing.T, m *Model) {
		m.NewSession().Predict(make([]float64, m.Features()), 1, make([]float64, m.Outputs()))
	}, seeds...)
}

func BenchmarkPredict(b *testing.B) {
	rng := rand.New(rand.NewPCG(4, 4))
	n := &Network{Features: 30, Layers: []Layer{{Nodes: 100, Activation: Sigmoid, Bias: make([]float64, 100)}, {Nodes: 1, Bias: make([]float64, 1), Weights: make([]float64, 100)}}}
	for range 3000 {
		n.Layers[0].Weights = append(n.Layers[0].Weights, rng.NormFloat64())
	}
	x := make([]float64, 64*30)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	s, out := modeltest.Reopen(b, n, Open).NewSession(), make([]float64, 64)
	for b.Loop() {
		s.Predict(x, 64, out)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(64*b.N), "ns/row")
}
