package trees

import (
	"math"
	"unsafe"
)

//go:generate go run ./gen

// The wide path scores a block of rows with 64-byte vectors, one byte a row,
// and few rows one by one, a vector for all tests of a tree, on processors that
// have the instructions. Its sums are the scalar path's to the bit, for each row's
// leaves are added in the same order.
//
// An output's trees are laid out in runs of one kind, chosen for eight trees at
// a time. Perfect trees are walked level by level (gen/walk.go); of the others
// every test is asked, however deep and lop-sided they are (gen/ask.go).
// Single rows have kernels where no tree but a perfect one has more than 64 leaves;
// else they take the portable path. A forest with a tree of more than manyNodes
// nodes takes it with all its rows.

// wideDepth is the deepest tree whose leaf numbers fit the perfect kernel's tables;
// a deeper one is cut into parts of that depth.
const wideDepth = 6

// wideFrom is the number of rows from which a vector of 64 rows pays beside the
// kernels for single rows.
const wideFrom = 10

// wideSlots is how many slots the kernels for blocks can address, rowSlots how
// many those for rows can.
const (
	wideSlots = 1 << 16 / 8
	rowSlots  = 256
)

// leafTail is how many dwords past a tree's leaves the kernels may read.
const leafTail = 64

// kind is how a run of trees is laid out.
type kind uint8

const (
	perfect kind = iota // padded, up to perfectDepth; float32 sums alone
	few32               // every test is asked: at most 32 leaves a tree
	few64               // at most 64
	many                // at most manyNodes+1
)

// numbers is how many leaf numbers a byte of its results tells apart.
func (k kind) numbers() int { return [...]int{perfect: 0, few32: 32, few64: 64, many: maxNumbers}[k] }

// perfectTrees is a run of perfect trees of one depth, as the kernels read it; its
// field order is theirs.
type perfectTrees struct {
	slots  *uint16  // 64 a tree or part, by heap index: the slot's offset in a block, in eighths
	ranks  *byte    // 64 a tree or part, by heap index
	leaves *float32 // 1<<depth a tree
	depth  uintptr
	trees  uintptr
	rows   *byte // 64 a tree or part, by heap index: the slot; nil without a kernel for rows
}

// wideRun is a run of trees that add to one output.
type wideRun struct {
	kind    kind
	output  uint32
	perfect perfectTrees
	asked   askedTrees
}

// wide is a forest laid out for the kernels: its trees output by output, each
// output's in their order.
type wide[T number] struct {
	totals[T]
	runs    []wideRun
	single  bool // there is a kernel for single rows
	from    int  // number of rows from which a block pays
	most    int  // nodes of the largest batch of which all tests are asked
	numbers int  // leaf numbers that stand before their results
	stats   Stats
}

// kernels is a wide of either precision.
type kernels interface {
	describe(*Stats)
	singleRows() bool
	blockFrom() int
	newSums(blocks bool) wideSums
}

// wideSums is the working memory of a wide.
type wideSums interface {
	// block writes the sums of n rows, of which 64 stand in block slot by slot.
	block(block *byte, n int, out []float64)
	// row writes the sums of one row, of which rowSlots bytes can be read.
	row(row *byte, slots int, out []float64)
}

func (v *wide[T]) singleRows() bool { return v.single }
func (v *wide[T]) blockFrom() int   { return v.from }

func (v *wide[T]) describe(s *Stats) {
	s.Padded, s.Asked, s.Bytes = s.Padded+v.stats.Padded, s.Asked+v.stats.Asked, s.Bytes+v.stats.Bytes
}

// span is what becomes a run.
type span struct {
	kind   kind
	depth  uint32 // of perfect trees
	output uint32
	trees  []uint32
}

// widen lays out f for the kernels, nil where they cannot take it.
func widen[T number](f *file, m *slotMap, leaves []T, depths []uint32, slots int) *wide[T] {
	if slots > wideSlots {
		return nil
	}
	byOutput := make([][]uint32, f.Outputs)
	for t, o := range f.outputOf {
		byOutput[o] = append(byOutput[o], uint32(t))
	}
	v := &wide[T]{totals: totalsOf[T](f), single: slots <= rowSlots, from: wideFrom}
	var spans []span
	for o, trees := range byOutput {
		for lo := 0; lo < len(trees); lo += lanes {
			some := trees[lo:min(lo+lanes, len(trees))]
			kind, depth, ok := choose[T](f, some, depths)
			if !ok {
				return nil
			}
			v.single = v.single && kind != many
			v.numbers = max(v.numbers, kind.numbers())
			last := len(spans) - 1
			if last >= 0 && spans[last].output == uint32(o) && (spans[last].kind == kind && spans[last].depth == depth || spans[last].kind == few64 && kind == few32) {
				spans[last].trees = append(spans[last].trees, some...)
			} else {
				spans = append(spans, span{kind, depth, uint32(o), append([]uint32(nil), some...)})
			}
		}
	}
	if !v.single && f.Trees > 0 {
		// The portable path takes some 55 ns for each row and tree, a block 1.1 for
		// each node.
		v.from = max(wideFrom, min(int(f.Nodes/f.Trees/50), BlockRows))
	}
	b := builder[T]{wide: v, f: f, m: m, leaves: leaves}
	b.firstNodes()
	for _, s := range spans {
		if s.kind == perfect {
			b.layPerfect(s)
		} else {
			b.layAsked(s)
		}
	}
	return v
}

// choose returns the kind for some consecutive trees, and the depth of a perfect
// one; not ok where there is none. To ask a node takes about 1.05 ns for 64 rows, to
// walk a perfect tree 0.7 for each node that it might have, and about 8 to add a
// leaf.
func choose[T number](f *file, trees, depths []uint32) (k kind, depth uint32, ok bool) {
	all, most := uint32(0), uint32(0)
	for _, t := range trees {
		depth = max(depth, depths[t])
		most = max(most, f.nodesOf[t])
		all += min(f.nodesOf[t], manyNodes+1)
	}
	n := uint32(len(trees))
	padded := isFloat32[T]() && 0 < depth && depth <= perfectDepth
	switch {
	case padded && 2*(n<<depth) <= 3*(all+8*n):
		return perfect, depth, true
	case most < 32:
		return few32, 0, true
	case most < 64:
		return few64, 0, true
	case padded && n<<depth <= 8*(all+n):
		return perfect, depth, true // dearer than to ask, but it has a kernel for single rows
	}
	return many, 0, most <= manyNodes
}

func isFloat32[T number]() bool { return unsafe.Sizeof(*new(T)) == 4 }

// builder lays out the trees of a file.
type builder[T number] struct {
	*wide[T]
	f      *file
	m      *slotMap
	leaves []T
	first  []uint32 // each tree's first node; its first leaf is at that plus its number
}

func (b *builder[T]) firstNodes() {
	b.first = make([]uint32, len(b.f.nodesOf))
	at := uint32(0)
	for t, n := range b.f.nodesOf {
		b.first[t] = at
		at += n
	}
}

// tree returns tree t's nodes and leaves.
func (b *builder[T]) tree(t uint32) ([]uint64, []T) {
	at, n := b.first[t], b.f.nodesOf[t]
	return b.f.nodes[at:][:n], b.leaves[at+t:][:n+1]
}

// parts is how many parts the kernel cuts a perfect tree into.
func parts(depth uint32) int { return 1 << max(0, int(depth)-wideDepth) }

func (b *builder[T]) layPerfect(s span) {
	cut := parts(s.depth)
	n := 64 * cut * len(s.trees)
	slots, ranks := make([]uint16, n), make([]byte, n)
	var rows []byte
	if b.single {
		rows = make([]byte, n)
	}
	leaves := make([]float32, len(s.trees)<<s.depth+leafTail)
	padded, heap := make([]T, 1<<s.depth), make([]uint32, lanes<<s.depth)
	var at scratch
	for i, t := range s.trees {
		nodes, own := b.tree(t)
		clear(heap)
		at.perfect(heap, 0, b.m, nodes)
		padLeaves(padded, own, &at, nodes, uint(s.depth))
		for k, v := range padded {
			leaves[i<<s.depth+k] = float32(v)
		}
		place(heap, cut, func(part, at int, test uint32) {
			at += 64 * (i*cut + part)
			slots[at], ranks[at] = uint16(test>>8*(BlockRows/8)), byte(test)
			if rows != nil {
				rows[at] = byte(test >> 8)
			}
		})
	}
	run := wideRun{output: s.output, perfect: perfectTrees{
		slots: &slots[0], ranks: &ranks[0], leaves: &leaves[0], depth: uintptr(s.depth), trees: uintptr(len(s.trees)),
	}}
	if rows != nil {
		run.perfect.rows = &rows[0]
	}
	b.runs = append(b.runs, run)
	b.stats.Padded += len(s.trees)
	b.stats.Bytes += 2*len(slots) + len(ranks) + len(rows) + 4*len(leaves)
}

// place calls set with the tests of the first tree of a group's heap, as parts.
// The tests above the parts stand at index 0, which no heap uses: of part i the
// test with heap index i+1.
func place(heap []uint32, parts int, set func(part, at int, test uint32)) {
	for part := range parts - 1 {
		set(part, 0, heap[heapPlace(0, uint32(part+1))])
	}
	for part := range parts {
		for h := 1; h < len(heap)/lanes/parts; h++ {
			level := int(bitLen(uint32(h))) - 1
			set(part, h, heap[heapPlace(0, uint32((parts+part)<<level+h-1<<level))])
		}
	}
}

// wideSumsOf is the wideSums of a precision.
type wideSumsOf[T number] struct {
	w       *wide[T]
	blocks  [][BlockRows]T // by output; nil where only single rows are scored
	results []byte
	one     []T // of a single row
}

func (v *wide[T]) newSums(blocks bool) wideSums {
	s := &wideSumsOf[T]{w: v, one: make([]T, len(v.base))}
	if blocks {
		s.blocks = make([][BlockRows]T, len(v.base))
		s.results = newResults(v.numbers, v.most)
	}
	return s
}

func (s *wideSumsOf[T]) block(block *byte, n int, out []float64) {
	w := s.w
	for o, b := range w.base {
		fill(s.blocks[o][:], b)
	}
	for i := range w.runs {
		run := &w.runs[i]
		sums := unsafe.Pointer(&s.blocks[run.output])
		switch {
		case run.kind != perfect:
			run.asked.add(run.kind, isFloat32[T](), block, s.results, w.numbers, sums)
		case run.perfect.depth > wideDepth:
			walkDeep(&run.perfect, block, (*[BlockRows]float32)(sums))
		default:
			walkWide(&run.perfect, block, (*[BlockRows]float32)(sums))
		}
	}
	k := len(w.base)
	for o := range w.base {
		for r, v := range s.blocks[o][:n] {
			out[r*k+o] = w.total(o, v)
		}
	}
}

func (s *wideSumsOf[T]) row(row *byte, slots int, out []float64) {
	w := s.w
	copy(s.one, w.base)
	for i := range w.runs {
		run := &w.runs[i]
		sum := &s.one[run.output]
		switch few := &run.asked.few; {
		case run.kind == perfect:
			*sum = T(walkRow(&run.perfect, row, slots, float32(*sum)))
		case run.kind == few32 && isFloat32[T]():
			*sum = T(row32of32(few, row, slots, float32(*sum)))
		case run.kind == few32:
			*sum = T(row64of32(few, row, slots, float64(*sum)))
		case isFloat32[T]():
			*sum = T(row32of64(few, row, slots, float32(*sum)))
		default:
			*sum = T(row64of64(few, row, slots, float64(*sum)))
		}
	}
	for o, v := range s.one {
		out[o] = w.total(o, v)
	}
}

// fillBlock writes the ranks of a feature's values into its slots, 64 rows a
// slot.
func fillBlock[T number](f *numericFeature, cuts []T, values []float64, block []byte) {
	var ranks [BlockRows]int32 // -1 where missing
	for r, v := range values {
		x := T(v)
		ranks[r] = -1
		if x == x {
			ranks[r] = int32(rank(cuts, x))
		}
	}
	for _, w := range f.views {
		q := ranks
		switch w.mode {
		case AsZero:
			zero := int32(rank(cuts, 0))
			for r := range q {
				if q[r] < 0 {
					q[r] = zero
				}
			}
		case ZeroLeft, ZeroRight:
			for r, v := range values {
				if math.Abs(v) <= zeroBound {
					q[r] = -1
				}
			}
		}
		missing := w.mode.absent()
		for c := range int32(w.chunks) {
			dst := (*[BlockRows]byte)(block[(w.base+uint32(c))*BlockRows:])
			for r, v := range q {
				b := byte(max(0, min(chunk, v-chunk*c)))
				if v < 0 {
					b = missing
				}
				dst[r] = b
			}
		}
	}
}
