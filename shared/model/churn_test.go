package model_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/importer"
	"github.com/portico-ml/portico/shared/model/linear"
	"github.com/portico-ml/portico/shared/model/trees"
)

const churnFolder = "../../infra/samples/churn/"

// churn imports a model of the sample, and reads all customers of its check
// for it: 5,000 complete, 500 with missing cells.
func churn(t testing.TB, file, policy string) (*model.Model, *frame.Frame) {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(churnFolder + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	stem, _, _ := strings.Cut(file, ".")
	binding := strings.Replace(string(read(stem+".binding.json")), "{", `{"unknownLevel": "`+policy+`", `, 1)
	r, err := importer.Import(importer.Request{Name: file, File: read(file), Binding: []byte(binding)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := frame.NewLayout(r.Model.Requires())
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.CSV{}.Read(read(stem+".expected.csv"), l)
	if err != nil {
		t.Fatal(err)
	}
	artifacts[r.Model] = r.Artifact
	return r.Model, f
}

// artifacts are the bytes of the models that tests have made.
var artifacts = map[*model.Model][]byte{}

var churnFiles = []string{"churn_native.json", "churn_onehot.ubj"}

// texts scores f in parts of the given size and prints every row's scores.
func texts(t testing.TB, m *model.Model, f *frame.Frame, size int) []string {
	t.Helper()
	s, err := m.Bind(f.Schema())
	if err != nil {
		t.Fatal(err)
	}
	l, err := frame.NewLayout(s.Fields())
	if err != nil {
		t.Fatal(err)
	}
	st, out := s.NewState(), l.New(f.Rows())
	for lo := 0; lo < f.Rows(); lo += size {
		if err := s.Score(st, f.Slice(lo, min(lo+size, f.Rows())), out.Cols); err != nil {
			t.Fatal(err)
		}
	}
	if st.Rows != f.Rows() || out.Rows() != f.Rows() {
		t.Fatalf("%d rows scored to %d, of %d", st.Rows, out.Rows(), f.Rows())
	}
	rows := make([]string, f.Rows())
	for i := range rows {
		rows[i] = strings.Join(cells(out, i), ",")
	}
	return rows
}

// TestBatchesAgree scores the customers one by one, as RRS does, which covers
// all 51 states, and in batches of several sizes: the text is the same.
func TestBatchesAgree(t *testing.T) {
	for _, file := range churnFiles {
		m, f := churn(t, file, "missing")
		want := texts(t, m, f, 1)
		states := map[string]bool{}
		for i := range f.Rows() {
			states[f.Col("state").Level(i)] = true
		}
		if len(states) != 52 { // and missing
			t.Errorf("%d states", len(states)-1)
		}
		for _, size := range []int{7, 64, 65, 5000} {
			for i, got := range texts(t, m, f, size) {
				if got != want[i] {
					t.Fatalf("%s, batches of %d, row %d: %s, alone it is %s", file, size, i+1, got, want[i])
				}
			}
		}
	}
}

// TestRetentionList counts who left among the 200 customers of May with the
// highest scores: what the sample's README says.
func TestRetentionList(t *testing.T) {
	b, err := os.ReadFile(churnFolder + "churned_in_may.csv")
	if err != nil {
		t.Fatal(err)
	}
	left := strings.Split(strings.TrimSpace(string(b)), "\n")[1:]
	for file, want := range map[string]int{"churn_native.json": 176, "churn_onehot.ubj": 177} {
		m, f := churn(t, file, "missing")
		out, _, err := score(t, m, f.Slice(3333, 5000))
		if err != nil {
			t.Fatal(err)
		}
		rank := make([]int, out.Rows())
		for i := range rank {
			rank[i] = i
		}
		p := out.Col(model.ScoredProbabilities).Floats
		slices.SortStableFunc(rank, func(a, b int) int { return cmp.Compare(p[b], p[a]) })
		got := 0
		for _, i := range rank[:200] {
			if strings.HasSuffix(left[i], ",yes") {
				got++
			}
		}
		if got != want {
			t.Errorf("%s: %d of the 200 highest scores left, want %d", file, got, want)
		}
	}
}

// TestUnknownState sends state ZZ under both policies: it scores as a missing
// state does and is counted, or is refused.
func TestUnknownState(t *testing.T) {
	for _, file := range churnFiles {
		m, f := churn(t, file, "missing")
		schema := f.Schema()
		schema[schema.Index("state")].Levels = nil
		row := func(state string) *frame.Frame {
			g := f.Slice(0, 1)
			c := frame.NewColumn(schema[schema.Index("state")], 1)
			if err := c.AppendText([]byte(state)); err != nil {
				t.Fatal(err)
			}
			g.Cols[schema.Index("state")] = c
			return g
		}
		unknown, n, err := score(t, m, row("ZZ"))
		if err != nil || n.UnknownLevels != 1 || n.Missing != 0 {
			t.Fatalf("%s: %v, %+v", file, err, n)
		}
		missing, n, err := score(t, m, row(""))
		if err != nil || n.UnknownLevels != 0 || n.Missing != 1 {
			t.Fatalf("%s: %v, %+v", file, err, n)
		}
		if a, b := cells(unknown, 0), cells(missing, 0); fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%s: ZZ scores %q, a missing state %q", file, a, b)
		}
		strict, _ := churn(t, file, "error")
		if _, _, err := score(t, strict, row("ZZ")); !fault.Is(err, fault.BadUserArgument) || !strings.Contains(err.Error(), `column "state": "ZZ" is none`) {
			t.Errorf("%s: %v", file, err)
		}
		if _, n, err := score(t, strict, row("")); err != nil || n.Missing != 1 {
			t.Errorf("%s: a missing state under policy error: %v", file, err)
		}
	}
}

func TestScoreDoesNotAllocate(t *testing.T) {
	for _, file := range churnFiles {
		m, f := churn(t, file, "missing")
		s, err := m.Bind(f.Schema())
		if err != nil {
			t.Fatal(err)
		}
		l, err := frame.NewLayout(s.Fields())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 300} {
			st, in, out := s.NewState(), f.Slice(0, n), l.New(n)
			got := testing.AllocsPerRun(50, func() {
				out.Reset()
				if err := s.Score(st, in, out.Cols); err != nil {
					t.Fatal(err)
				}
			})
			if got != 0 {
				t.Errorf("%s, %d rows: %v allocations", file, n, got)
			}
		}
	}
}

// FuzzOpen opens anything as an artifact. What opens must bind to what it says
// it requires and score a row of missing cells.
func FuzzOpen(f *testing.F) {
	for _, h := range []model.Header{
		{Engine: model.EngineTrees, Kind: model.Regression, Transform: model.Transform{Name: model.Identity}, Features: []model.Feature{{Name: "f", Column: "x", Type: frame.Double, Encoding: model.Number}}},
		{
			Engine: model.EngineTrees, Kind: model.TwoClass, Transform: model.Transform{Name: model.Sigmoid}, Label: &model.Label{Classes: []string{"a", "b"}, Positive: "b"},
			Features: []model.Feature{{Name: "f", Column: "s", Encoding: model.Codes, Levels: []string{"p", "q"}}},
		},
	} {
		b, err := model.Encode(h, sums(f, 1))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(model.Join(b, []byte("{}")))
	}
	body, err := (&linear.Weights{Features: 1, Outputs: 2, Base: []float64{0, 1}, Coefficients: []float64{1, 2}}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	b, err := model.Encode(model.Header{
		Engine: model.EngineLinear, Kind: model.Multiclass, Transform: model.Transform{Name: model.Softmax}, Label: &model.Label{Classes: []string{"a", "b"}},
		Features: []model.Feature{{Name: "f", Column: "s", Encoding: model.Indicator, Level: "q", Levels: []string{"p", "q"}}},
	}, body)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, file []byte) {
		scoring, _, err := model.Split(file)
		if err != nil {
			if !fault.Is(err, fault.Package) {
				t.Fatalf("kind %s: %v", fault.KindOf(err), err)
			}
			return
		}
		m, err := model.Open(scoring)
		if err != nil {
			if !fault.Is(err, fault.Package) {
				t.Fatalf("kind %s: %v", fault.KindOf(err), err)
			}
			return
		}
		if len(m.Requires()) > 100 || len(m.Fields()) > 100 {
			return // sound, but slow to score
		}
		l, err := frame.NewLayout(m.Requires())
		if err != nil {
			t.Fatalf("it opens, but requires what is no schema: %v", err)
		}
		in := l.New(1)
		for _, c := range in.Cols {
			c.AppendNull()
		}
		if len(in.Cols) == 0 {
			return
		}
		if out, _, err := score(t, m, in); err != nil || out.Check() != nil || out.Rows() != 1 {
			t.Fatalf("it opens, but does not score: %v", err)
		}
		s, err := m.Bind(in.Schema())
		if err != nil {
			t.Fatal(err)
		}
		x, err := s.Explainer(scoring)
		if err != nil {
			if !fault.Is(err, fault.BadUserArgument) {
				t.Fatalf("it opens, but not for contributions: %v", err)
			}
			return
		}
		l, err = frame.NewLayout(x.Fields())
		if err != nil {
			return // two features of one name
		}
		out := l.New(1)
		if err := x.Explain(x.NewState(), in, out.Cols); err != nil || out.Check() != nil {
			t.Fatalf("it does not explain: %v", err)
		}
	})
}

// BenchmarkScore times scoring from a parsed frame to score cells, a different
// row or block each call.
func BenchmarkScore(b *testing.B) {
	for _, file := range churnFiles {
		m, f := churn(b, file, "missing")
		for _, n := range []int{1, 100, 10_000} {
			b.Run(fmt.Sprintf("%s/rows=%d", file, n), func(b *testing.B) { benchmarkScore(b, m, f, n) })
		}
	}
	m, f := synthetic(b)
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("500x6x100/rows=%d", n), func(b *testing.B) { benchmarkScore(b, m, f, n) })
	}
}

// synthetic is 500 trees of depth 6 over 100 features of 254 thresholds each,
// as a histogram learner makes them, and 10,000 rows.
func synthetic(b *testing.B) (*model.Model, *frame.Frame) {
	b.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	forest := &trees.Forest{Features: 100, Outputs: 1, Base: []float64{0}}
	var grow func(t *trees.Tree, depth int) int32
	grow = func(t *trees.Tree, depth int) int32 {
		i := int32(len(t.Nodes))
		t.Nodes = append(t.Nodes, trees.Node{Value: rng.NormFloat64() / 100})
		if depth > 0 {
			n := trees.Node{
				Test: trees.Less, Missing: trees.Missing(rng.IntN(2)), Feature: int32(rng.IntN(100)),
				Threshold: math.Erfinv(2*float64(1+rng.IntN(254))/255-1) * math.Sqrt2,
			}
			n.Left = grow(t, depth-1)
			n.Right = grow(t, depth-1)
			t.Nodes[i] = n
		}
		return i
	}
	for range 500 {
		var t trees.Tree
		grow(&t, 6)
		forest.Trees = append(forest.Trees, t)
	}
	body, err := forest.Encode()
	if err != nil {
		b.Fatal(err)
	}
	h := model.Header{Engine: model.EngineTrees, Kind: model.TwoClass, Transform: model.Transform{Name: model.Sigmoid}, Label: &model.Label{Classes: []string{"0", "1"}, Positive: "1"}}
	f := new(frame.Frame)
	for k := range 100 {
		name := fmt.Sprintf("f%d", k)
		h.Features = append(h.Features, model.Feature{Name: name, Column: name, Type: frame.Double, Encoding: model.Number})
		c := frame.NewColumn(frame.Field{Name: name, Type: frame.Double}, 10_000)
		for range 10_000 {
			c.AppendFloat(rng.NormFloat64())
		}
		f.Cols = append(f.Cols, c)
	}
	artifact, err := model.Encode(h, body)
	if err != nil {
		b.Fatal(err)
	}
	m, err := model.Open(artifact)
	if err != nil {
		b.Fatal(err)
	}
	artifacts[m] = artifact
	return m, f
}

func benchmarkScore(b *testing.B, m *model.Model, f *frame.Frame, n int) {
	s, err := m.Bind(f.Schema())
	if err != nil {
		b.Fatal(err)
	}
	l, err := frame.NewLayout(s.Fields())
	if err != nil {
		b.Fatal(err)
	}
	var blocks []*frame.Frame
	for lo := 0; lo+n <= f.Rows() && len(blocks) < 1024; lo += n {
		blocks = append(blocks, f.Slice(lo, lo+n))
	}
	if len(blocks) == 0 { // more rows than there are: all of them, again and again
		big := f.Slice(0, f.Rows())
		for i := f.Rows(); i < n; i++ {
			for k, c := range big.Cols {
				c.AppendFrom(f.Cols[k], i%f.Rows())
			}
		}
		blocks = append(blocks, big)
	}
	st, out := s.NewState(), l.New(n)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		out.Reset()
		if err := s.Score(st, blocks[i], out.Cols); err != nil {
			b.Fatal(err)
		}
		i = (i + 1) % len(blocks)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
}

// BenchmarkOpen times opening an artifact of the sample and a large one.
func BenchmarkOpen(b *testing.B) {
	native, _ := churn(b, "churn_native.json", "missing")
	large, _ := synthetic(b)
	for name, m := range map[string]*model.Model{"churn_native": native, "500x6x100": large} {
		artifact := artifacts[m]
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := model.Open(artifact); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(artifact)), "bytes")
		})
	}
}
