package trees

import (
	"math/bits"
	"unsafe"
)

// This file is the inner loop. It reads through pointers without bounds
// checks: every slot, node and leaf index was checked or made by compile, and
// a row always has the ensemble's number of slots. So does rank, whose steps
// stay within the cuts it is given.

func bitLen(h uint32) uint { return uint(bits.Len32(h)) }

func at[T any](p *T, i uint) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(p), i*uint(unsafe.Sizeof(*p))))
}

func b2u(b bool) uint {
	if b {
		return 1
	}
	return 0
}

// walker adds trees to rows' sums.
type walker interface {
	describe(*Stats)
	newSums(rows int) sums
}

// sums is the working memory of a walk, in the forest's precision.
type sums interface {
	// add walks rows rows of slots bytes each and writes their sums to out,
	// row by row.
	add(row []byte, slots, rows int, out []float64)
}

func (w *forest[T]) describe(s *Stats) {
	for _, g := range w.groups {
		if g.linked {
			s.Linked += int(g.trees)
		} else {
			s.Perfect += int(g.trees)
		}
	}
	size := int(unsafe.Sizeof(*new(T)))
	s.Bytes += 4*len(w.nodes) + size*(len(w.leaves)+len(w.values)) + 8*len(w.links) + 4*len(w.roots) + len(w.groups)*int(unsafe.Sizeof(group{}))
}

type sumsOf[T number] struct {
	w   *forest[T]
	acc []T // rows × outputs
}

func (w *forest[T]) newSums(rows int) sums {
	return &sumsOf[T]{w, make([]T, rows*len(w.base))}
}

// cacheBlock is how much of an ensemble is walked by all rows of a block
// before the next part is, so that it stays in the first-level cache, beside
// the rows.
const cacheBlock = 24 << 10

func (s *sumsOf[T]) add(row []byte, slots, rows int, out []float64) {
	w := s.w
	k := len(w.base)
	acc := s.acc[:rows*k]
	for i := 0; i < len(acc); i += k {
		copy(acc[i:], w.base)
	}
	for groups := w.groups; len(groups) > 0; {
		n := w.part(groups)
		for r := range rows {
			x := &row[r*slots]
			if k == 1 {
				acc[r] = w.single(groups[:n], x, acc[r])
			} else {
				w.multi(groups[:n], x, acc[r*k:][:k])
			}
		}
		groups = groups[n:]
	}
	for i, v := range acc {
		out[i] = w.total(i%k, v)
	}
}

// part returns how many of groups make up one cache block.
func (w *forest[T]) part(groups []group) int {
	size := 0
	for i := range groups {
		g := &groups[i]
		if g.linked {
			size += 4096 // its hot top levels; the rest does not fit anyway
		} else {
			size += lanes * 8 << g.depth
		}
		if size > cacheBlock {
			return i + 1
		}
	}
	return len(groups)
}

// single adds groups to the sum of a row of an ensemble with one output.
func (w *forest[T]) single(groups []group, x *byte, sum T) T {
	var v [lanes]T
	for i := range groups {
		g := &groups[i]
		if g.trees == lanes && !g.linked {
			// The common case, with the leaves read where they are added.
			i0, i1, i2, i3, i4, i5, i6, i7 := walk8(&w.nodes[g.node], uint(g.depth), x)
			p := &w.leaves[g.node]
			sum += *at(p, i0)
			sum += *at(p, i1)
			sum += *at(p, i2)
			sum += *at(p, i3)
			sum += *at(p, i4)
			sum += *at(p, i5)
			sum += *at(p, i6)
			sum += *at(p, i7)
			continue
		}
		w.leavesOf(g, x, &v)
		for k := range g.trees {
			sum += v[k]
		}
	}
	return sum
}

// multi adds groups to the sums of a row.
func (w *forest[T]) multi(groups []group, x *byte, sum []T) {
	var v [lanes]T
	for i := range groups {
		g := &groups[i]
		w.leavesOf(g, x, &v)
		for k := range uint32(g.trees) {
			sum[w.outputOf[g.first+k]] += v[k]
		}
	}
}

// leavesOf finds the leaf of each tree of g.
func (w *forest[T]) leavesOf(g *group, x *byte, v *[lanes]T) {
	if g.linked {
		w.linked(g, x, v)
		return
	}
	i0, i1, i2, i3, i4, i5, i6, i7 := walk8(&w.nodes[g.node], uint(g.depth), x)
	p := &w.leaves[g.node]
	v[0], v[1], v[2], v[3] = *at(p, i0), *at(p, i1), *at(p, i2), *at(p, i3)
	v[4], v[5], v[6], v[7] = *at(p, i4), *at(p, i5), *at(p, i6), *at(p, i7)
}

// walk8 walks x down the eight perfect trees of a group and returns the place
// of each one's leaf. Its branches do not depend on x. All trees are in one
// heap, so that one pointer and eight places stay in registers.
func walk8(n *uint32, depth uint, x *byte) (i0, i1, i2, i3, i4, i5, i6, i7 uint) {
	i0, i1, i2, i3, i4, i5, i6, i7 = lanes, lanes+1, lanes+2, lanes+3, lanes+4, lanes+5, lanes+6, lanes+7
	for range depth {
		t := *at(n, i0)
		i0 = 2*i0 + b2u(*at(x, uint(t>>8)) >= uint8(t))
		t = *at(n, i1)
		i1 = 2*i1 + b2u(*at(x, uint(t>>8)) >= uint8(t))
		t = *at(n, i2)
		i2 = 2*i2 + b2u(*at(x, uint(t>>8)) >= uint8(t))
		t = *at(n, i3)
		i3 = 2*i3 + b2u(*at(x, uint(t>>8)) >= uint8(t))
		t = *at(n, i4)
		i4 = 2*i4 + b2u(*at(x, uint(t>>8)) >= uint8(t))
		t = *at(n, i5)
		i5 = 2*i5 + b2u(*at(x, uint(t>>8)) >= uint8(t))
		t = *at(n, i6)
		i6 = 2*i6 + b2u(*at(x, uint(t>>8)) >= uint8(t))
		t = *at(n, i7)
		i7 = 2*i7 + b2u(*at(x, uint(t>>8)) >= uint8(t))
	}
	w := uint(lanes) << depth
	return i0 - w, i1 - w, i2 - w, i3 - w, i4 - w, i5 - w, i6 - w, i7 - w
}

// linked finds the leaves of a group of linked trees, all eight at a time, until
// all have come to a leaf. Each tree is a chain of loads that wait for each
// other: eight chains hide what four do not.
func (w *forest[T]) linked(g *group, x *byte, v *[lanes]T) {
	p := &w.links[0]
	r := (*[lanes]uint32)(w.roots[g.node:])
	a, b, c, d, e, f, h, i := r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]
	for {
		a1, b1, c1, d1 := step(p, a, x), step(p, b, x), step(p, c, x), step(p, d, x)
		e1, f1, h1, i1 := step(p, e, x), step(p, f, x), step(p, h, x), step(p, i, x)
		if (a^a1)|(b^b1)|(c^c1)|(d^d1)|(e^e1)|(f^f1)|(h^h1)|(i^i1) == 0 {
			break
		}
		a, b, c, d, e, f, h, i = a1, b1, c1, d1, e1, f1, h1, i1
	}
	v[0], v[1], v[2], v[3] = w.values[a], w.values[b], w.values[c], w.values[d]
	v[4], v[5], v[6], v[7] = w.values[e], w.values[f], w.values[h], w.values[i]
}

// step is the child of node n to which the row goes.
func step(p *link, n uint32, x *byte) uint32 {
	l := at(p, uint(n))
	return l.left + uint32(b2u(*at(x, uint(l.test>>8)) >= uint8(l.test)))
}
