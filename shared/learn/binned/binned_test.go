package binned_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/binned"
	"github.com/portico-ml/portico/shared/model/trees"
)

var nan = math.NaN()

// data makes Data of columns; those of levels above 0 are codes.
func data(levels []int, x ...[]float64) *learn.Data {
	if levels == nil {
		levels = make([]int, len(x))
	}
	return &learn.Data{Rows: len(x[0]), X: x, Levels: levels}
}

func session(workers int) *learn.Session {
	s := learn.NewSession()
	s.Workers = workers
	return s
}

func TestFewValues(t *testing.T) {
	x := []float64{3, 1, nan, 2, 1, math.Copysign(0, -1), 0}
	m := binned.New(data(nil, x), binned.Options{}, session(1))
	want := binned.Feature{Bins: 4, Missing: true, Cuts: []float64{0.5, 1.5, 2.5}}
	if d := cmp.Diff(want, m.Features[0]); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]uint8{3, 1, binned.Missing, 2, 1, 0, 0}, m.Column(0)); d != "" {
		t.Error(d)
	}
	if m.Input != trees.Float32 {
		t.Error("small integers want float64")
	}
}

func TestOneValueAndNone(t *testing.T) {
	m := binned.New(data(nil, []float64{7, 7, nan}, []float64{nan, nan, nan}), binned.Options{}, session(1))
	if f := m.Features[0]; f.Bins != 1 || len(f.Cuts) != 0 || !f.Missing {
		t.Errorf("a constant: %+v", f)
	}
	if f := m.Features[1]; f.Bins != 0 || !f.Missing {
		t.Errorf("nothing: %+v", f)
	}
}

// TestQuantiles holds bins of many values to about as many rows each.
func TestQuantiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float64, 100_000)
	for i := range x {
		if x[i] = math.Exp(3 * r.NormFloat64()); i%4 == 0 {
			x[i] = 1 // one value that fills many bins
		}
	}
	m := binned.New(data(nil, x), binned.Options{}, session(2))
	if f := m.Features[0]; f.Bins < 250 || f.Bins > binned.MaxBins {
		t.Fatalf("%d bins", f.Bins)
	}
	counts := make([]int, 256)
	for _, b := range m.Column(0) {
		counts[b]++
	}
	large := 0
	for b, n := range counts[:m.Features[0].Bins] {
		switch {
		case n >= 25_000:
			large++
		case n > 500 || n < 50: // 75,000 rows in 254 bins are 295
			t.Errorf("bin %d has %d rows", b, n)
		}
	}
	if large != 1 {
		t.Errorf("%d bins hold the value of a quarter of the rows", large)
	}
}

func TestBinsAreBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, bins := range []int{2, 3, 16, 128, 255} {
		for _, n := range []int{1, 2, 17, 300, 5000} {
			x := make([]float64, n)
			for i := range x {
				// Values of very different frequency.
				x[i] = math.Floor(math.Exp(4 * r.Float64()))
				if i%3 == 0 {
					x[i] = r.Float64()
				}
			}
			f := binned.New(data(nil, x), binned.Options{Bins: bins}, session(1)).Features[0]
			if f.Bins > bins || f.Bins != len(f.Cuts)+1 || !slices.IsSorted(f.Cuts) {
				t.Errorf("%d rows: %d bins of %d", n, f.Bins, bins)
			}
		}
	}
}

// TestRowsGoAsTheirBins sends every row through every test as scoring makes it.
func TestRowsGoAsTheirBins(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const n = 70_000
	cases := map[string]func(i int) float64{
		"normal":     func(int) float64 { return r.NormFloat64() },
		"huge":       func(int) float64 { return math.Exp(300 * r.NormFloat64()) },
		"denormal":   func(int) float64 { return r.Float64() * 1e-310 },
		"timestamps": func(i int) float64 { return 1.7e9 + float64(i%200) },
		"neighbours": func(int) float64 { return math.Float64frombits(math.Float64bits(1) + r.Uint64N(400)) },
		"overflow":   func(i int) float64 { return []float64{1, 1e38, 1e39, -1e308, 1.7e308}[i%5] },
		"rare huge": func(i int) float64 {
			if i == 12_345 {
				return 1e200
			}
			return r.Float64()
		},
		"zeros": func(i int) float64 {
			if i%10 > 0 {
				return math.Copysign(0, -1)
			}
			return r.NormFloat64()
		},
	}
	for name, value := range cases {
		x := make([]float64, n)
		for i := range x {
			if x[i] = value(i); i%100 == 7 {
				x[i] = nan
			}
		}
		m := binned.New(data(nil, x), binned.Options{}, session(2))
		if len(m.Features[0].Cuts) < 4 {
			t.Errorf("%s: %d cuts", name, len(m.Features[0].Cuts))
		}
		for k := 0; k < len(m.Features[0].Cuts); k += 13 {
			goesRight := score(t, m, m.Less(0, k), x)
			for i, b := range m.Column(0) {
				if b != binned.Missing && goesRight[i] != (int(b) > k) {
					t.Fatalf("%s: %v of bin %d goes the wrong way at cut %d, %v", name, x[i], b, k, m.Features[0].Cuts[k])
				}
			}
		}
	}
}

// score reports which rows go right at a test, by the engine itself.
func score(t *testing.T, m *binned.Matrix, n trees.Node, x []float64) []bool {
	t.Helper()
	n.Left, n.Right = 1, 2
	f := trees.Forest{Features: 1, Outputs: 1, Input: m.Input, Sum: m.Input, Base: []float64{0}, Trees: []trees.Tree{{Nodes: []trees.Node{n, {Value: 0}, {Value: 1}}}}}
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	e, err := trees.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	s := e.NewSession(trees.BlockRows)
	out := make([]float64, len(x))
	for i := 0; i < len(x); i += trees.BlockRows {
		to := min(len(x), i+trees.BlockRows)
		s.Predict(x[i:to], to-i, out[i:to])
	}
	right := make([]bool, len(x))
	for i, v := range out {
		right[i] = v == 1
	}
	return right
}

func TestCategories(t *testing.T) {
	// Five levels and the unknown one; level 3 is in no row.
	x := []float64{4, 0, nan, 1, 1, 2, 4}
	m := binned.New(data([]int{6}, x), binned.Options{}, session(1))
	want := binned.Feature{Levels: 6, Bins: 4, Missing: true, Codes: []int32{0, 1, 2, 4}}
	if d := cmp.Diff(want, m.Features[0]); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]uint8{3, 0, binned.Missing, 1, 1, 2, 3}, m.Column(0)); d != "" {
		t.Error(d)
	}
	n := m.In(0, func(bin int) bool { return bin >= 2 })
	if d := cmp.Diff([]int32{2, 4}, n.Set); d != "" {
		t.Error(d)
	}
}

// TestManyLevels puts the rarest levels together.
func TestManyLevels(t *testing.T) {
	var x []float64
	for code := range 1000 {
		for range 1 + code/100 {
			x = append(x, float64(code))
		}
	}
	m := binned.New(data([]int{1001}, x), binned.Options{}, session(1))
	f := m.Features[0]
	if !f.Rest || f.Bins != binned.MaxBins || len(f.Codes) != binned.MaxBins-1 {
		t.Fatalf("%d bins for %d levels, rest %v", f.Bins, len(f.Codes), f.Rest)
	}
	for _, code := range f.Codes {
		if code < 700 {
			t.Errorf("level %d is rarer than others", code)
		}
	}
	for r, b := range m.Column(0) {
		if b == 254 != !slices.Contains(f.Codes, int32(x[r])) {
			t.Fatalf("level %v is in bin %d", x[r], b)
		}
	}
}

func TestOctets(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var x [][]float64
	for range 11 {
		c := make([]float64, 5000)
		for i := range c {
			c[i] = math.Floor(20 * r.Float64())
		}
		x = append(x, c)
	}
	m := binned.New(data(nil, x...), binned.Options{}, session(3))
	if m.Octets() != 2 {
		t.Fatalf("%d octets", m.Octets())
	}
	rows, values := []uint32{}, []uint64{}
	for i := range 5000 {
		if i%3 > 0 {
			rows, values = append(rows, uint32(i)), append(values, uint64(i)<<20|1)
		}
	}
	for first := range m.Octets() { // of the last one, half is there
		got := make([]binned.Sums, m.Octets()-first)
		m.Add(got, first, rows, values)
		for g := range got {
			for f := 8 * (first + g); f < min(8*(first+g+1), len(x)); f++ {
				var want [256]uint64
				for i, row := range rows {
					want[m.Column(f)[row]] += values[i]
				}
				if got[g][f%8] != want {
					t.Errorf("feature %d adds up to something else", f)
				}
			}
		}
	}
}

func TestWorkersDoNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	var x [][]float64
	levels := make([]int, 12)
	for k := range levels {
		c := make([]float64, 70_000)
		for i := range c {
			if c[i] = r.NormFloat64(); k == 5 {
				c[i] = math.Floor(300 * r.Float64())
			}
		}
		x = append(x, c)
	}
	levels[5] = 300
	d := data(levels, x...)
	one := binned.New(d, binned.Options{Seed: 3}, session(1))
	for _, workers := range []int{2, 7} {
		m := binned.New(d, binned.Options{Seed: 3}, session(workers))
		if diff := cmp.Diff(one.Features, m.Features); diff != "" {
			t.Fatal(diff)
		}
		for f := range x {
			if !slices.Equal(one.Column(f), m.Column(f)) {
				t.Fatalf("feature %d differs for %d workers", f, workers)
			}
		}
	}
	// The seed draws the rows that cut points are chosen from.
	if cmp.Equal(one.Features[0], binned.New(d, binned.Options{Seed: 4}, session(1)).Features[0]) {
		t.Error("the seed does not matter")
	}
}

func BenchmarkNew(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	x := make([][]float64, 100)
	for k := range x {
		x[k] = make([]float64, 80_000)
		for i := range x[k] {
			x[k][i] = r.NormFloat64()
		}
	}
	d := data(nil, x...)
	for b.Loop() {
		binned.New(d, binned.Options{}, session(2))
	}
}

func BenchmarkAdd(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	const rows, columns = 80_000, 104
	x := make([][]float64, columns)
	for k := range x {
		x[k] = make([]float64, rows)
		for i := range x[k] {
			x[k][i] = r.Float64()
		}
	}
	m := binned.New(data(nil, x...), binned.Options{}, session(2))
	for _, part := range []int{1, 4, 16, 64} {
		var picked []uint32
		var values []uint64
		for i := range rows {
			if r.IntN(part) == 0 {
				picked, values = append(picked, uint32(i)), append(values, r.Uint64())
			}
		}
		b.Run(fmt.Sprintf("one row of %d", part), func(b *testing.B) {
			sums := make([]binned.Sums, m.Octets())
			for b.Loop() {
				m.Add(sums, 0, picked, values)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(picked)*columns), "ns/cell")
		})
	}
}
