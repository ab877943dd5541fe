package trees

import "math"

// The wide path scores a block of rows with 64-byte vectors, one byte a row,
// and few rows one by one, a vector for all tests of a tree. It takes forests that read and sum float32 and are laid out perfect throughout,
// up to perfectDepth deep, on processors that have the instructions; its sums are
// the scalar path's to the bit, for each row's leaves are added in the same
// order.

// wideDepth is the deepest tree whose leaf numbers fit the kernel's tables; a
// deeper one is cut into parts of that depth.
const wideDepth = 6

// wideFrom is the number of rows from which a vector of 64 rows pays.
const wideFrom = 10

// leafTail is how far past a tree's leaves the kernel may read.
const leafTail = 64

// wideTrees is a run of trees of one depth that add to one output, as the
// kernel reads it; its field order is the kernel's.
type wideTrees struct {
	slots  *uint16  // 64 a tree or part, by heap index: the slot's offset in a block, in eighths
	ranks  *byte    // 64 a tree or part, by heap index
	leaves *float32 // 1<<depth a tree
	depth  uintptr
	trees  uintptr
	rows   *byte // 64 a tree or part, by heap index: the slot; nil where it has no byte
}

// wide is a forest laid out for the kernel: its trees output by output, each
// output's in their order.
type wide struct {
	runs []wideRun
	// What the runs point into.
	slots  []uint16
	ranks  []byte
	leaves []float32
	rows   []byte // nil where a row has more than rowSlots slots
}

type wideRun struct {
	wideTrees
	output uint32
}

// wideSlots is how many slots the kernel for blocks can address, rowSlots how
// many that for rows can.
const (
	wideSlots = 1 << 16 / 8
	rowSlots  = 256
)

// widen returns w for the kernel, nil where the kernel cannot take it.
func widen(w *forest[float32], slots int) *wide {
	if slots > wideSlots {
		return nil
	}
	n := 0
	for i := range w.groups {
		if w.groups[i].linked {
			return nil
		}
		n += int(w.groups[i].trees) * parts(w.groups[i].depth)
	}
	v := &wide{slots: make([]uint16, 64*n), ranks: make([]byte, 64*n)}
	if slots <= rowSlots {
		v.rows = make([]byte, 64*n)
	}
	// The trees of one output stand as they are added already; those of several
	// are brought into that order. The kernel reads 64 leaves of any tree.
	if len(w.base) == 1 {
		v.leaves = w.leaves[:len(w.leaves)+leafTail]
	} else {
		v.leaves = make([]float32, 0, len(w.leaves)+leafTail)
	}
	at := 0 // trees and parts laid out so far
	type span struct{ output, first, leaf, depth, trees int }
	var spans []span
	for o := range w.base {
		for i := range w.groups {
			g := &w.groups[i]
			for k := range uint32(g.trees) {
				if w.outputOf[g.first+k] != uint32(o) {
					continue
				}
				if last := len(spans) - 1; last < 0 || spans[last].output != o || spans[last].depth != int(g.depth) {
					spans = append(spans, span{o, at, len(v.leaves), int(g.depth), 0})
					if len(w.base) == 1 {
						spans[last+1].leaf = int(g.node)
					}
				}
				spans[len(spans)-1].trees++
				v.place(at, w.nodes[g.node:][:lanes<<g.depth], k, parts(g.depth))
				if len(w.base) > 1 {
					v.leaves = append(v.leaves, w.leaves[g.node+k<<g.depth:][:1<<g.depth]...)
				}
				at += parts(g.depth)
			}
		}
	}
	v.leaves = v.leaves[:cap(v.leaves)]
	for _, s := range spans {
		run := wideTrees{
			slots: &v.slots[64*s.first], ranks: &v.ranks[64*s.first], leaves: &v.leaves[s.leaf],
			depth: uintptr(s.depth), trees: uintptr(s.trees),
		}
		if v.rows != nil {
			run.rows = &v.rows[64*s.first]
		}
		v.runs = append(v.runs, wideRun{run, uint32(s.output)})
	}
	return v
}

// parts is how many parts the kernel cuts a tree into.
func parts(depth uint8) int { return 1 << max(0, int(depth)-wideDepth) }

// place lays out the nodes of tree k of a group's heap as parts from number at
// on. The tests above the parts stand at index 0, which no heap uses: of part i
// the test with heap index i+1.
func (v *wide) place(at int, heap []uint32, k uint32, parts int) {
	set := func(part, i, h int) {
		test := heap[heapPlace(k, uint32(h))]
		i += 64 * (at + part)
		v.slots[i], v.ranks[i] = uint16(test>>8*(BlockRows/8)), byte(test)
		if v.rows != nil {
			v.rows[i] = byte(test >> 8)
		}
	}
	for part := range parts - 1 {
		set(part, 0, part+1)
	}
	for part := range parts {
		for h := 1; h < len(heap)/lanes/parts; h++ {
			level := int(bitLen(uint32(h))) - 1
			set(part, h, (parts+part)<<level+h-1<<level)
		}
	}
}

// bytes is the memory of the layout beside w's.
func (v *wide) bytes(w *forest[float32]) int {
	n := 2*len(v.slots) + len(v.ranks) + len(v.rows)
	if len(w.base) > 1 {
		n += 4 * len(v.leaves)
	}
	return n
}

// predictRows scores few rows, each by itself.
func (s *Session) predictRows(x []float64, n int, out []float64) {
	e := s.e
	w := e.walk.(*forest[float32])
	s.fill(x, n)
	for r := range n {
		copy(s.one, w.base)
		for i := range e.wide.runs {
			run := &e.wide.runs[i]
			s.one[run.output] = walkRow(&run.wideTrees, &s.rows[r*e.slots], e.slots, s.one[run.output])
		}
		for o, sum := range s.one {
			if w.divide != nil {
				sum /= max(1, w.divide[o])
			}
			out[r*len(s.one)+o] = float64(sum)
		}
	}
}

// predictWide scores n rows whose slots stand in s.rows slot by slot, 64 rows each.
func (s *Session) predictWide(x []float64, n int, out []float64) {
	e := s.e
	w := e.walk.(*forest[float32])
	for i := range e.numeric {
		f := &e.numeric[i]
		if t := &e.tables[i]; t.pivots != nil {
			f.fillBlockTable(t, x[f.feature*n:][:n], s.rows)
		} else {
			f.fillBlock(e.cuts32[f.start:f.end], x[f.feature*n:][:n], s.rows)
		}
	}
	for i := range e.sets {
		f := &e.sets[i]
		clear(s.rows[f.base*BlockRows : (f.base+f.size)*BlockRows])
		for r, v := range x[f.feature*n:][:n] {
			for _, slot := range f.in(float64(float32(v))) {
				s.rows[slot*BlockRows+uint32(r)] = 1
			}
		}
	}
	for o, b := range w.base {
		acc := &s.wide[o]
		for r := range acc {
			acc[r] = b
		}
	}
	for i := range e.wide.runs {
		run := &e.wide.runs[i]
		if run.depth > wideDepth {
			walkDeep(&run.wideTrees, &s.rows[0], &s.wide[run.output])
		} else {
			walkWide(&run.wideTrees, &s.rows[0], &s.wide[run.output])
		}
	}
	k := len(w.base)
	for o := range k {
		acc := &s.wide[o]
		if w.divide != nil {
			d := max(1, w.divide[o])
			for r := range n {
				out[r*k+o] = float64(acc[r] / d)
			}
			continue
		}
		for r := range n {
			out[r*k+o] = float64(acc[r])
		}
	}
}

// fillBlock writes the ranks of a feature's values into its slots, 64 rows a
// slot.
func (f *numericFeature) fillBlock(cuts []float32, values []float64, block []byte) {
	var ranks [BlockRows]int32 // -1 where missing
	for r, v := range values {
		x := float32(v)
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
