package manipulation

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

func TestMedian(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 1; n < 60; n++ {
		for _, distinct := range []int{1, 2, 5, 1000} {
			values := make([]float64, n)
			for i := range values {
				values[i] = float64(rng.IntN(distinct))
			}
			sorted := slices.Sorted(slices.Values(values))
			want := (sorted[(n-1)/2] + sorted[n/2]) / 2
			if got := median(slices.Clone(values)); got != want {
				t.Fatalf("median of %v is %v, want %v", values, got, want)
			}
			for k := range n {
				some := slices.Clone(values)
				if got := nth(some, k); got != sorted[k] || slices.Max(some[:k+1]) != got || slices.Min(some[k:]) != got {
					t.Fatalf("value %d of %v is %v, want %v; left as %v", k, values, got, sorted[k], some)
				}
			}
		}
	}
}

// TestCleanNewRows: rows to predict have no label yet; a missing label removes
// rows of the table that is cleaned, not of those that its transformation is
// applied to.
func TestCleanNewRows(t *testing.T) {
	p := module.NewPalette(CleanMissingData())
	mod := p.Lookup("Clean Missing Data")
	l, err := frame.NewLayout(frame.Schema{{Name: "x", Type: frame.String}, {Name: "y", Type: frame.String, Role: frame.Label}})
	if err != nil {
		t.Fatal(err)
	}
	in, err := frame.CSV{}.Read([]byte("x,y\na,yes\nb,\n,no\n"), l)
	if err != nil {
		t.Fatal(err)
	}
	v, problems := mod.Resolve(map[string]string{"Cleaning mode": modeRow})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	out, err := mod.Execute(t.Context(), &module.Call{Params: v, Inputs: []module.Value{module.Table(in)}, Palette: p})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(frame.AppendCSV(nil, out[0].Frame, ',')); got != "x,y\na,yes\n" {
		t.Errorf("cleaned: %q", got)
	}
	tr, err := p.OpenTransformation(out[1].Artifact)
	if err != nil {
		t.Fatal(err)
	}
	b, err := tr.Bind(in.Schema())
	if err != nil {
		t.Fatal(err)
	}
	to := []*frame.Frame{{Cols: make([]*frame.Column, 2)}}
	if err := b.Op.NewState().Apply([]*frame.Frame{in}, to); err != nil {
		t.Fatal(err)
	}
	if got := string(frame.AppendCSV(nil, to[0], ',')); got != "x,y\na,yes\nb,\n" {
		t.Errorf("new rows: %q", got)
	}
}
