package trees

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
)

// randomTree grows a tree of the given depth; short branches with probability
// short.
func randomTree(rng *rand.Rand, features, depth int, short float64, tests []Test) Tree {
	t := Tree{}
	var grow func(depth int) int32
	grow = func(depth int) int32 {
		i := int32(len(t.Nodes))
		t.Nodes = append(t.Nodes, Node{})
		if depth == 0 || rng.Float64() < short {
			t.Nodes[i] = Node{Test: Leaf, Value: rng.NormFloat64()}
			return i
		}
		n := Node{Test: tests[rng.IntN(len(tests))], Feature: int32(rng.IntN(features))}
		if n.Test == In {
			n.Missing = Missing(rng.IntN(2))
			for range 1 + rng.IntN(5) {
				n.Set = append(n.Set, int32(rng.IntN(20)))
			}
		} else {
			n.Missing = Missing(rng.IntN(int(missings)))
			n.Threshold = math.Round(rng.NormFloat64()*200) / 100
		}
		n.Left, n.Right = grow(depth-1), grow(depth-1)
		t.Nodes[i] = n
		return i
	}
	grow(depth)
	return t
}

func randomForest(rng *rand.Rand, features, outputs, trees, depth int, short float64, tests ...Test) *Forest {
	f := &Forest{Features: features, Outputs: outputs, Base: make([]float64, outputs)}
	for k := range f.Base {
		f.Base[k] = rng.NormFloat64()
	}
	for i := range trees {
		t := randomTree(rng, features, depth, short, tests)
		t.Output = i % outputs
		f.Trees = append(f.Trees, t)
	}
	return f
}

func open(t testing.TB, f *Forest) *Ensemble { return openFor(t, f, hasWide) }

// openFor lays f out for vectors or for the portable path alone.
func openFor(t testing.TB, f *Forest, vectors bool) *Ensemble {
	t.Helper()
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	p, err := parse(b)
	if err != nil {
		t.Fatal(err)
	}
	e, err := compile(p, vectors)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// randomRows makes n rows, feature by feature, with values that sit on
// thresholds, missing ones, zeros, infinities and category codes.
func randomRows(rng *rand.Rand, features, n int) []float64 {
	x := make([]float64, features*n)
	for i := range x {
		switch rng.IntN(12) {
		case 0:
			x[i] = math.NaN()
		case 1:
			x[i] = 0
		case 2:
			x[i] = math.Inf(1 - 2*rng.IntN(2))
		case 3, 4, 5:
			x[i] = float64(rng.IntN(24) - 2)
		default:
			x[i] = math.Round(rng.NormFloat64()*200) / 100
		}
	}
	return x
}

// TestBatch scores rows in batches of several sizes, with and without the
// vector path, and asks for the same bits as one row at a time.
func TestBatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	tests := []struct {
		name string
		f    *Forest
		wide bool // the vector path must take it where there is one
	}{
		{"depth 6", randomForest(rng, 12, 1, 100, 6, 0.05, Less), true},
		{"depth 6, categories", randomForest(rng, 12, 1, 50, 6, 0.05, Less, LessEqual, In), true},
		{"depth 6, categories far apart", farApart(randomForest(rng, 12, 1, 50, 6, 0.05, Less, In)), true},
		{"depth 1", randomForest(rng, 5, 1, 33, 1, 0, Less), true},
		{"one leaf", randomForest(rng, 3, 1, 3, 0, 0, Less), true},
		{"many cuts", randomForest(rng, 1, 1, 200, 6, 0, Less), true},
		{"three outputs", randomForest(rng, 9, 3, 60, 5, 0.1, Less), true},
		{"mixed depths", mixed(rng), true},
		{"average", average(randomForest(rng, 9, 3, 60, 5, 0.1, Less)), true},
		{"depth 7", randomForest(rng, 9, 1, 21, 7, 0.05, Less, In), true},
		{"depth 8", randomForest(rng, 9, 1, 20, 8, 0.05, Less), true},
		{"depth 8, five outputs", randomForest(rng, 9, 5, 50, 8, 0.03, Less, LessEqual, In), true},
		{"depth 8, average", average(randomForest(rng, 9, 2, 16, 8, 0.05, Less)), true},
		{"depths 1 to 8", depths(rng, 7), true},
		{"130 slots", randomForest(rng, 30, 1, 60, 6, 0.05, Less), true},
		{"130 slots, depth 8", randomForest(rng, 30, 1, 60, 8, 0.05, Less), true},
		{"225 slots", randomForest(rng, 45, 2, 80, 5, 0.05, Less), true},
		{"225 slots, depths 1 to 8", depths(rng, 45), true},
		{"300 slots", randomForest(rng, 60, 1, 80, 6, 0.05, Less), true},
		{"253 cuts", cuts(253), true},
		{"254 cuts", cuts(254), true},
		{"255 cuts", cuts(255), true},
		{"depth 9", randomForest(rng, 9, 1, 20, 9, 0.1, Less), true},
		{"depth 14", randomForest(rng, 9, 2, 6, 14, 0.2, Less), true},
		{"float64", double(randomForest(rng, 9, 1, 40, 6, 0.1, LessEqual)), true},
		{"float64 in, float32 sums", exact(randomForest(rng, 9, 1, 40, 6, 0.1, LessEqual)), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := open(t, tt.f)
			if got := e.wide != nil; got != (tt.wide && hasWide) {
				t.Fatalf("vector path: %v", got)
			}
			scalar := openFor(t, tt.f, false)
			const n = 500
			x := randomRows(rng, tt.f.Features, n)
			want := batches(scalar, x, n, 1)
			for _, size := range []int{1, 2, 7, 9, 10, 63, 64} {
				for name, e := range map[string]*Ensemble{"vector": e, "scalar": scalar} {
					got := batches(e, x, n, size)
					for i := range want {
						if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
							t.Fatalf("%s path, batches of %d: score %d is %v, alone it is %v", name, size, i, got[i], want[i])
						}
					}
				}
			}
		})
	}
}

// lopSided grows a tree of so many leaves as leaf-wise learners do: one leaf after
// the other is split, whichever.
func lopSided(rng *rand.Rand, features, leaves int) Tree {
	t := Tree{Nodes: []Node{{Value: rng.NormFloat64()}}}
	last := 0 // where the tree grows deep
	for range leaves - 1 {
		at := last
		for t.Nodes[at].Test != Leaf || rng.IntN(3) == 0 && len(t.Nodes) > 1 {
			if at = rng.IntN(len(t.Nodes)); t.Nodes[at].Test == Leaf {
				break
			}
		}
		n := randomTree(rng, features, 1, 0, []Test{Less, LessEqual}).Nodes[0]
		if n.Feature == 0 { // a category
			n.Test, n.Missing, n.Set = In, n.Missing&1, []int32{int32(rng.IntN(20))}
		}
		n.Left, n.Right = int32(len(t.Nodes)), int32(len(t.Nodes)+1)
		t.Nodes[at] = n
		t.Nodes = append(t.Nodes, Node{Value: rng.NormFloat64()}, Node{Value: rng.NormFloat64()})
		last = len(t.Nodes) - 1 - rng.IntN(2)
	}
	return t
}

// lopSidedForest has three trees of each number of leaves for each output.
func lopSidedForest(rng *rand.Rand, features, outputs int, leaves ...int) *Forest {
	f := randomForest(rng, features, outputs, 0, 0, 0)
	for _, n := range leaves {
		for i := range 3 * outputs {
			t := lopSided(rng, features, n)
			t.Output = i % outputs
			f.Trees = append(f.Trees, t)
		}
	}
	return f
}

// TestLeaves scores trees of every number of leaves to 66 and around the bounds of
// the layouts, in blocks of several sizes, with and without vectors, in all precisions,
// and asks for what the forests mean, to the bit.
func TestLeaves(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 64))
	var every []int
	for n := range 67 {
		every = append(every, 1+n)
	}
	tests := []struct {
		name   string
		f      *Forest
		asked  bool // the vector path asks all tests of some trees
		single bool // and scores single rows too
	}{
		{"1 to 32", lopSidedForest(rng, 9, 1, every[:32]...), true, true},
		{"33 to 64", lopSidedForest(rng, 9, 2, every[32:64]...), true, true},
		{"64 to 1", lopSidedForest(rng, 20, 1, 64, 50, 33, 32, 20, 7, 1), true, true},
		{"65 to 67", lopSidedForest(rng, 9, 1, every[64:]...), true, false},
		{"around 256", lopSidedForest(rng, 9, 1, 255, 256, 257, 258), true, false},
		{"511 to 1025", lopSidedForest(rng, 30, 1, 511, 512, 513, 700, 1024, 1025), true, false},
		{"the largest", lopSidedForest(rng, 9, 1, manyNodes, manyNodes+1), true, false},
		{"too large", lopSidedForest(rng, 9, 1, 5, manyNodes+2), false, false},
		{"as large as can be of one side", spine(2 * manyNodes), false, false},
		{"of one side", spine(manyNodes), true, false},
		{"large and perfect", joined(lopSidedForest(rng, 9, 1, 100, 100), randomForest(rng, 9, 1, 16, 6, 0, Less)), true, false},
		{"few and perfect", joined(lopSidedForest(rng, 9, 1, 20, 20, 40, 20), randomForest(rng, 9, 1, 11, 6, 0, Less)), true, true},
		{"300 slots", lopSidedForest(rng, 80, 1, every[:64]...), true, false},
		{"average", average(lopSidedForest(rng, 9, 4, 31, 20)), true, true},
	}
	for _, tt := range tests {
		for k, precisions := range [][2]Precision{{Float32, Float32}, {Float64, Float64}, {Float32, Float64}, {Float64, Float32}} {
			tt.f.Input, tt.f.Sum = precisions[0], precisions[1]
			t.Run(fmt.Sprintf("%s/%d", tt.name, k), func(t *testing.T) {
				e, portable := open(t, tt.f), openFor(t, tt.f, false)
				if portable.wide != nil || portable.tables != nil || portable.walk == nil {
					t.Fatal("the portable layout has one for vectors")
				}
				if hasWide {
					if got := e.wide != nil && e.stats.Asked > 0; got != tt.asked {
						t.Fatalf("all tests are asked: %v", got)
					}
					if got := e.walk == nil; got != tt.single {
						t.Fatalf("single rows by vectors: %v", got)
					}
				}
				const n = 64
				x := randomRows(rng, tt.f.Features, n)
				var want []float64
				row := make([]float64, tt.f.Features)
				for r := range n {
					for c := range row {
						row[c] = x[c*n+r]
					}
					if tt.f.Sum == Float32 {
						want = append(want, predict[float32](tt.f, row)...)
					} else {
						want = append(want, predict[float64](tt.f, row)...)
					}
				}
				for _, size := range []int{1, 2, 9, 10, 11, 31, 32, 33, 57, 63, 64} {
					for name, e := range map[string]*Ensemble{"vector": e, "portable": portable} {
						for i, got := range batches(e, x, n, size) {
							if math.Float64bits(got) != math.Float64bits(want[i]) {
								t.Fatalf("%s path, batches of %d: score %d is %v, want %v", name, size, i, got, want[i])
							}
						}
					}
				}
			})
		}
	}
}

// spine is a tree of n tests on one path.
func spine(n int) *Forest {
	f := &Forest{Features: 1, Outputs: 1, Base: []float64{0}}
	t := Tree{}
	for i := range n {
		t.Nodes = append(t.Nodes, Node{Test: Less, Threshold: float64(i) / 100, Missing: Left, Left: int32(2*i + 1), Right: int32(2*i + 2)}, Node{Value: float64(i)})
	}
	f.Trees = []Tree{{Nodes: append(t.Nodes, Node{Value: -1})}}
	return f
}

func joined(f *Forest, others ...*Forest) *Forest {
	for _, o := range others {
		f.Trees = append(f.Trees, o.Trees...)
	}
	return f
}

// depths is a forest whose groups of eight trees have depths 1 to 8.
func depths(rng *rand.Rand, features int) *Forest {
	f := randomForest(rng, features, 1, 0, 1, 0, Less)
	for depth := 1; depth <= 8; depth++ {
		f.Trees = append(f.Trees, randomForest(rng, features, 1, lanes, depth, 0, Less, In).Trees...)
	}
	return f
}

// cuts is a forest of n stumps with a threshold each, and of one that no number
// passes and a missing value does.
func cuts(n int) *Forest {
	f := &Forest{Features: 1, Outputs: 1, Base: []float64{0}}
	for i := range n + 1 {
		root := Node{Test: LessEqual, Left: 1, Right: 2, Threshold: float64(i-n/2) / 50}
		if i == n {
			root.Threshold = math.Inf(1)
		}
		f.Trees = append(f.Trees, Tree{Nodes: []Node{root, {Value: float64(i)}, {Value: math.Sqrt(float64(i + 1))}}})
	}
	return f
}

func mixed(rng *rand.Rand) *Forest {
	f := randomForest(rng, 9, 2, 16, 6, 0.1, Less)
	f.Trees = append(f.Trees, randomForest(rng, 9, 2, 24, 2, 0.1, Less).Trees...)
	f.Trees = append(f.Trees, randomForest(rng, 9, 2, 5, 4, 0.1, Less).Trees...)
	return f
}

// farApart puts a large category into every set.
func farApart(f *Forest) *Forest {
	for _, t := range f.Trees {
		for i := range t.Nodes {
			if n := &t.Nodes[i]; n.Test == In {
				n.Set = append(n.Set, 1<<20)
			}
		}
	}
	return f
}

func average(f *Forest) *Forest { f.Average = true; return f }

func exact(f *Forest) *Forest { f.Input = Float64; return f }

func double(f *Forest) *Forest { f.Input, f.Sum = Float64, Float64; return f }

// batches scores n rows, size at a time.
func batches(e *Ensemble, x []float64, n, size int) []float64 {
	s := e.NewSession(size)
	out := make([]float64, 0, n*e.Outputs())
	part := make([]float64, e.Features()*size)
	sums := make([]float64, size*e.Outputs())
	for lo := 0; lo < n; lo += size {
		m := min(size, n-lo)
		for f := range e.Features() {
			copy(part[f*m:][:m], x[f*n+lo:])
		}
		s.Predict(part, m, sums)
		out = append(out, sums[:m*e.Outputs()]...)
	}
	return out
}

// learned is a forest of 500 trees of depth 6 over 100 features, as a histogram
// learner makes them: 254 cuts a feature, missing left or right.
func learned(rng *rand.Rand) *Forest {
	f := randomForest(rng, 100, 1, 500, 6, 0, Less)
	for i := range f.Trees {
		for j := range f.Trees[i].Nodes {
			n := &f.Trees[i].Nodes[j]
			n.Threshold = math.Erfinv(2*float64(1+rng.IntN(254))/255-1) * math.Sqrt2
			n.Missing %= AsZero
		}
	}
	return f
}

// TestMemory opens an ensemble and lets its file go: what stays is at most
// twice the file.
func TestMemory(t *testing.T) {
	b, err := learned(rand.New(rand.NewPCG(3, 4))).Encode()
	if err != nil {
		t.Fatal(err)
	}
	size := uint64(len(b))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	e, err := Open(bytes.Clone(b))
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	// What tests before have left may go in between, too.
	if got := int64(after.HeapAlloc) - int64(before.HeapAlloc); got > int64(2*size) {
		t.Errorf("%d bytes stay of a file of %d", got, size)
	}
	runtime.KeepAlive(b)
	runtime.KeepAlive(e)
}

// BenchmarkPredict times it, a different row or block each call.
func BenchmarkPredict(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	f := learned(rng)
	e, scalar := open(b, f), openFor(b, f, false)
	const n = 4096
	x := make([]float64, 100*n) // row blocks are consecutive: block i is x[i*100*size:]
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	out := make([]float64, BlockRows)
	for _, size := range []int{1, BlockRows} {
		for name, e := range map[string]*Ensemble{"best": e, "scalar": scalar} {
			b.Run(fmt.Sprintf("rows=%d/%s", size, name), func(b *testing.B) {
				s := e.NewSession(size)
				i := 0
				for b.Loop() {
					s.Predict(x[i*100*size:][:100*size], size, out)
					if i++; (i+1)*size > n {
						i = 0
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/row")
			})
		}
	}
}
