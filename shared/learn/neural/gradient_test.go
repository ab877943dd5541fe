package neural

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/neural"
)

// TestGradient compares the moves of one row with differences of its loss.
func TestGradient(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	d := &learn.Data{Rows: 6, Label: []float64{0, 1, 2, 1, 0, 2}, Classes: 3, Weight: []float64{1, 2, 1, 0.5, 1, 0.5}}
	for range 4 {
		x := make([]float64, 6)
		for r := range x {
			x[r] = rng.NormFloat64()
		}
		d.X = append(d.X, x)
	}
	loss := func(tr *training, row int) float64 {
		in := tr.x[row*4:][:4]
		for i := range tr.net.Layers {
			l := &tr.net.Layers[i]
			out := make([]float64, l.Nodes)
			l.Sum(in, out)
			l.Activation.Apply(out)
			in = out
		}
		y := int(d.Label[row])
		switch tr.transform {
		case model.Identity:
			e := in[0] - (d.Label[row]-tr.mean)/tr.deviation
			return e * e / 2
		case model.Softmax:
			sum := 0.0
			for _, v := range in {
				sum += math.Exp(v)
			}
			return math.Log(sum) - in[y]
		}
		sum := 0.0 // of sigmoids
		for k, v := range in {
			if k == y {
				v = -v
			}
			sum += math.Log1p(math.Exp(v))
		}
		return sum
	}
	for activation := neural.Linear; activation <= neural.Absolute; activation++ {
		for _, output := range []Output{Usual, Sigmoid, Linear} {
			kind := model.Multiclass
			if output == Linear {
				kind = model.Regression
			}
			for _, momentum := range []float64{0, 0.5} {
				o := Defaults
				o.Net = Net{Hidden: []Hidden{{5, activation}, {4, activation}}, Output: output}
				o.Diameter, o.Normalizer, o.Momentum = 1, None, momentum
				o.Rate = 1e-3
				l, err := New(kind, o)
				if err != nil {
					t.Fatal(err)
				}
				outputs, transform, err := l.output(d)
				if err != nil {
					t.Fatal(err)
				}
				tr, err := l.start(d, outputs, transform)
				if err != nil {
					t.Fatal(err)
				}
				for row := range d.Rows {
					before := append([]float64(nil), tr.weights...)
					old := append([]float64(nil), tr.moves...)
					want := make([]float64, len(before))
					for i := range before {
						const h = 1e-6
						tr.weights[i] = before[i] + h
						up := loss(tr, row)
						tr.weights[i] = before[i] - h
						want[i] = -o.Rate * d.Weight[row] * (up - loss(tr, row)) / (2 * h)
						tr.weights[i] = before[i]
						if momentum > 0 {
							want[i] += momentum * old[i]
						}
					}
					tr.step(row)
					for i := range before {
						if got := tr.weights[i] - before[i]; math.Abs(got-want[i]) > 1e-5*math.Abs(want[i])+1e-6*o.Rate {
							t.Fatalf("activation %d, output %d, momentum %v, row %d: weight %d moves by %v, want %v", activation, output, momentum, row, i, got, want[i])
						}
					}
				}
			}
		}
	}
}
