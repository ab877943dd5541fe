package dag

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/portico-ml/portico/shared/model/trees"
)

// randomGraph makes a graph of levels of up to width nodes, in which nodes
// share children.
func randomGraph(rng *rand.Rand, features, outputs, width, depth int) Graph {
	var g Graph
	level := []int{0}
	g.Nodes = append(g.Nodes, Node{})
	for d := 0; len(level) > 0; d++ {
		var parents []int
		for _, i := range level {
			if d == depth || d > 0 && rng.IntN(5) == 0 {
				for range outputs {
					g.Nodes[i].Value = append(g.Nodes[i].Value, float64(rng.IntN(5))/4)
				}
				continue
			}
			parents = append(parents, i)
		}
		next := min(width, 2*len(parents))
		first := len(g.Nodes)
		for k := range next {
			level = append(level[:k], first+k)
			g.Nodes = append(g.Nodes, Node{})
		}
		level = level[:next]
		for k, i := range parents {
			n := &g.Nodes[i]
			n.Feature, n.MissingRight = int32(rng.IntN(features)), rng.IntN(2) == 0
			// Every child has a parent: the first parents take the children in turn.
			n.Left, n.Right = int32(first+2*k%next), int32(first+(2*k+1)%next)
			if n.Test = Less; rng.IntN(3) == 0 {
				n.Test = In
				for range rng.IntN(5) {
					n.Set = append(n.Set, int32(rng.IntN(6)))
				}
			} else {
				n.Threshold = math.Round(rng.NormFloat64()*100) / 100
			}
		}
	}
	return g
}

func randomJungle(rng *rand.Rand, features, outputs, graphs, width, depth int) *Jungle {
	j := &Jungle{Features: features, Outputs: outputs}
	for range graphs {
		j.Graphs = append(j.Graphs, randomGraph(rng, features, outputs, width, depth))
	}
	return j
}

// answer is what j says of a row, by its own words.
func (j *Jungle) answer(row []float64) []float64 {
	sum := make([]float64, j.Outputs)
	for _, g := range j.Graphs {
		i := int32(0)
		for g.Nodes[i].Test != Leaf {
			n := &g.Nodes[i]
			v := row[n.Feature]
			if j.Single {
				v = float64(float32(v))
			}
			right := v >= n.Threshold
			if n.Test == In {
				right = false
				for _, c := range n.Set {
					right = right || v >= 0 && v < 1<<24 && math.Trunc(v) == float64(c)
				}
			}
			if math.IsNaN(v) {
				right = n.MissingRight
			}
			if i = n.Left; right {
				i = n.Right
			}
		}
		for k, v := range g.Nodes[i].Value {
			sum[k] += v
		}
	}
	for k := range sum {
		sum[k] /= float64(len(j.Graphs))
	}
	return sum
}

func open(t testing.TB, j *Jungle) *Model {
	t.Helper()
	b, err := j.Encode()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// randomRows makes rows with values on thresholds, missing ones and codes.
func randomRows(rng *rand.Rand, features, n int) [][]float64 {
	rows := make([][]float64, n)
	for r := range rows {
		rows[r] = make([]float64, features)
		for f := range rows[r] {
			switch rng.IntN(8) {
			case 0:
				rows[r][f] = math.NaN()
			case 1:
				rows[r][f] = math.Inf(1 - 2*rng.IntN(2))
			case 2, 3:
				rows[r][f] = float64(rng.IntN(8)-1) + 0.5*float64(rng.IntN(2))
			default:
				rows[r][f] = math.Round(rng.NormFloat64()*100) / 100
			}
		}
	}
	return rows
}

func predict(m *Model, rows [][]float64) []float64 {
	n := len(rows)
	x := make([]float64, m.Features()*n)
	for r, row := range rows {
		for f, v := range row {
			x[f*n+r] = v
		}
	}
	out := make([]float64, n*m.Outputs())
	m.Predict(x, n, out)
	return out
}

func TestPredict(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	single := randomJungle(rng, 5, 2, 4, 6, 8)
	single.Single = true
	tests := map[string]*Jungle{
		"narrow":     randomJungle(rng, 4, 3, 7, 4, 12),
		"wide":       randomJungle(rng, 6, 1, 3, 64, 9),
		"one leaf":   randomJungle(rng, 2, 2, 2, 2, 0),
		"in float32": single,
	}
	for name, j := range tests {
		t.Run(name, func(t *testing.T) {
			m := open(t, j)
			rows := randomRows(rng, j.Features, 300)
			if j.Single { // beside a threshold, and on it in float32
				for i := range j.Graphs[0].Nodes {
					if n := &j.Graphs[0].Nodes[i]; n.Test == Less {
						n.Threshold = float64(float32(n.Threshold))
						rows = append(rows, []float64{n.Threshold - 1e-12, n.Threshold - 1e-12, n.Threshold - 1e-12, n.Threshold - 1e-12, n.Threshold - 1e-12})
					}
				}
				m = open(t, j)
			}
			together := predict(m, rows)
			for r, row := range rows {
				want := j.answer(row)
				alone := predict(m, rows[r:r+1])
				if diff := cmp.Diff(want, alone); diff != "" {
					t.Fatalf("row %v (-want +got):\n%s", row, diff)
				}
				if diff := cmp.Diff(alone, together[r*j.Outputs:][:j.Outputs]); diff != "" {
					t.Fatalf("row %d alone and together:\n%s", r, diff)
				}
			}
		})
	}
}

func TestPredictAllocatesNothing(t *testing.T) {
	m := open(t, randomJungle(rand.New(rand.NewPCG(2, 1)), 5, 3, 8, 16, 10))
	x, out := make([]float64, 5*64), make([]float64, 3*64)
	if n := testing.AllocsPerRun(100, func() { m.Predict(x, 64, out) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestCanonical asks for the same bytes of jungles that are the same.
func TestCanonical(t *testing.T) {
	make := func(set []int32, zero float64) *Jungle {
		return &Jungle{Features: 2, Outputs: 1, Graphs: []Graph{{[]Node{
			{Test: In, Set: set, Left: 1, Right: 2},
			{Test: Less, Feature: 1, Threshold: zero, Left: 2, Right: 3},
			{Value: []float64{0.25}},
			{Value: []float64{zero}},
		}}}}
	}
	a, err := make([]int32{3, 1, 3}, 0).Encode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := make([]int32{1, 3}, math.Copysign(0, -1)).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("a set in another order, or -0, gives other bytes")
	}
	c, err := make([]int32{1, 2}, 0).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a, c) {
		t.Error("another set gives the same bytes")
	}
}

func TestStats(t *testing.T) {
	j := &Jungle{Features: 1, Outputs: 1, Graphs: []Graph{{[]Node{
		{Test: Less, Left: 1, Right: 2},
		{Test: Less, Left: 3, Right: 4},
		{Test: Less, Left: 4, Right: 5},
		{Value: []float64{0}},
		{Value: []float64{1}},
		{Value: []float64{2}},
	}}}}
	want := Stats{Graphs: 1, Nodes: 6, Deepest: 2, Widest: 3, Shared: 1}
	if diff := cmp.Diff(want, open(t, j).Stats()); diff != "" {
		t.Error(diff)
	}
}

func TestFromTree(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		node trees.Node
		want Node
	}{
		{trees.Node{Test: trees.Less, Feature: 3, Threshold: 2, Left: 1, Right: 2}, Node{Test: Less, Feature: 3, Threshold: 2, MissingRight: true, Left: 1, Right: 2}},
		{trees.Node{Test: trees.LessEqual, Threshold: 2, Missing: trees.Left}, Node{Test: Less, Threshold: math.Nextafter(2, inf)}},
		{trees.Node{Test: trees.LessEqual, Threshold: inf}, Node{Test: Less, Threshold: inf, MissingRight: true}},
		{trees.Node{Test: trees.In, Set: []int32{4}, Missing: trees.Left}, Node{Test: In, Set: []int32{4}}},
		{trees.Node{Value: 7}, Node{Value: []float64{7}}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, FromTree(&tt.node)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.node, diff)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	leaf := Node{Value: []float64{1}}
	tests := []struct {
		name string
		j    Jungle
		want string
	}{
		{"no graphs", Jungle{Outputs: 1}, "0 graphs"},
		{"no outputs", Jungle{Graphs: []Graph{{[]Node{leaf}}}}, "0 outputs"},
		{"features", Jungle{Features: MaxFeatures + 1, Outputs: 1}, "features"},
		{"no nodes", Jungle{Outputs: 1, Graphs: []Graph{{}}}, "no nodes"},
		{"backwards", Jungle{Features: 1, Outputs: 1, Graphs: []Graph{{[]Node{{Test: Less, Left: 1, Right: 0}, leaf}}}}, "behind their parents"},
		{"outside", Jungle{Features: 1, Outputs: 1, Graphs: []Graph{{[]Node{{Test: Less, Left: 1, Right: 2}, leaf}}}}, "child 2 of 2"},
		{"unreached", Jungle{Features: 1, Outputs: 1, Graphs: []Graph{{[]Node{leaf, leaf}}}}, "no node's child"},
		{"feature", Jungle{Features: 1, Outputs: 1, Graphs: []Graph{{[]Node{{Test: Less, Feature: 1, Left: 1, Right: 1}, leaf}}}}, "feature 1 of 1"},
		{"threshold", Jungle{Features: 1, Outputs: 1, Graphs: []Graph{{[]Node{{Test: Less, Threshold: math.NaN(), Left: 1, Right: 1}, leaf}}}}, "not a number"},
		{"category", Jungle{Features: 1, Outputs: 1, Graphs: []Graph{{[]Node{{Test: In, Set: []int32{-1}, Left: 1, Right: 1}, leaf}}}}, "category -1"},
		{"leaf", Jungle{Outputs: 2, Graphs: []Graph{{[]Node{leaf}}}}, "1 numbers for 2 outputs"},
		{"infinite", Jungle{Outputs: 1, Graphs: []Graph{{[]Node{{Value: []float64{math.Inf(1)}}}}}}, "+Inf"},
		{"test", Jungle{Features: 1, Outputs: 1, Graphs: []Graph{{[]Node{{Test: 3, Left: 1, Right: 1}, leaf}}}}, "unknown test"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.j.Encode(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestOpenDamaged changes every byte of a model: it must be refused, or score.
func TestOpenDamaged(t *testing.T) {
	b, err := randomJungle(rand.New(rand.NewPCG(4, 1)), 3, 2, 2, 3, 4).Encode()
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range b {
		for _, v := range []byte{0, 1, 0x80, 0xff} {
			c := bytes.Clone(b)
			c[i] ^= v
			if !opens(t, c) {
				refused++
			}
		}
	}
	for _, n := range []int{0, headerSize - 1, headerSize, len(b) - 1} {
		if opens(t, b[:n]) {
			t.Errorf("%d of %d bytes open", n, len(b))
		}
	}
	if opens(t, append(bytes.Clone(b), 0)) {
		t.Error("a byte too many opens")
	}
	if refused < len(b)/2 {
		t.Errorf("%d of %d damaged models are refused", refused, 4*len(b))
	}
}

// opens opens b and scores a few rows.
func opens(t *testing.T, b []byte) bool {
	t.Helper()
	m, err := Open(b)
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			t.Fatalf("error %v is not ErrDamaged", err)
		}
		return false
	}
	if m.Features() > 1<<10 || m.Outputs() > 1<<8 {
		return true // opens, but rows of it are large
	}
	row := make([]float64, m.Features())
	for _, v := range []float64{0, 1e9, -1, math.NaN(), math.Inf(1)} {
		for f := range row {
			row[f] = v
		}
		for _, p := range predict(m, [][]float64{row}) {
			if math.IsNaN(p) {
				t.Fatal("scores NaN")
			}
		}
	}
	m.Stats()
	return true
}

// explains splits a row, where the model can.
func explains(t *testing.T, b []byte) {
	x, err := OpenExplainer(b)
	if errors.Is(err, ErrNoShares) || errors.Is(err, ErrTooLarge) {
		return
	}
	if err != nil {
		t.Fatalf("opens, but not for contributions: %v", err)
	}
	features, outputs := x.m.features, x.m.outputs
	if features > 1<<10 || outputs > 1<<8 || x.Shapley() && len(x.m.nodes) > 1<<9 {
		return
	}
	x.NewSession().Contributions(make([]float64, features), 1, make([]float64, outputs*(features+1)))
}

// FuzzOpen opens anything. What opens must score, and explain.
func FuzzOpen(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 1))
	for _, j := range []*Jungle{randomJungle(rng, 3, 2, 2, 3, 4), randomJungle(rng, 1, 1, 1, 2, 0), randomJungle(rng, 2, 1, 3, 8, 3)} {
		b, err := j.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, j := range []*Jungle{randomTrees(rng, 3, 2, 2, 3), shared(rng, randomJungle(rng, 3, 2, 2, 3, 4))} {
		b, err := j.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if opens(t, b) {
			explains(t, b)
		}
	})
}

func BenchmarkPredict(b *testing.B) {
	rng := rand.New(rand.NewPCG(6, 1))
	m := open(b, randomJungle(rng, 20, 2, 8, 128, 32))
	const n = 64
	x, out := make([]float64, 20*n), make([]float64, 2*n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	for b.Loop() {
		m.Predict(x, n, out)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
}
