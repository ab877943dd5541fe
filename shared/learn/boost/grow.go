package boost

import (
	"github.com/portico-ml/portico/shared/learn"
	"github.com/portico-ml/portico/shared/learn/binned"
)

// grower grows one tree after the other on the same rows.
type grower struct {
	m       *binned.Matrix
	s       *learn.Session
	leaves  int
	minLeaf int
	weights *weights
	lambda  float64
	rank    []int // of features, by the seed

	// The rows of each leaf stand together, in ascending order; values are
	// their gradients as packing has them. Spares are of partition.
	rows, spareRows     []uint32
	values, spareValues []uint64
	gradients           []gradient
	packing             packing

	pool    pool
	scratch []scratch // by worker
}

func newGrower(m *binned.Matrix, s *learn.Session, o Options, w *weights) *grower {
	return &grower{
		m: m, s: s, leaves: o.Leaves, minLeaf: o.MinLeaf, weights: w, lambda: w.penalty(m.Rows), rank: ranks(len(m.Features), o.Seed),
		rows: make([]uint32, m.Rows), spareRows: make([]uint32, m.Rows),
		values: make([]uint64, m.Rows), spareValues: make([]uint64, m.Rows),
		gradients: make([]gradient, m.Rows),
		pool:      pool{octets: m.Octets(), limit: poolBytes},
		scratch:   make([]scratch, s.Width()),
	}
}

// grown is a tree without the values of its leaves, and where their rows are.
type grown struct {
	tree   tree
	leaves []leaf
}

// leaf is a leaf of a growing tree: rows[from:to] of the grower.
type leaf struct {
	node     int32
	from, to int
	hist     *histogram // nil where it was not made, or not kept
	split    split      // the best; gain 0 where there is none
}

func (l *leaf) size() int { return l.to - l.from }

// grow grows a tree on the gradients of output k.
func (g *grower) grow(l loss, k int, sums []float64) grown {
	top, h, alike := l.bound(g.s, k, sums)
	g.packing = newPacking(top, h, alike)
	g.s.Spans(g.m.Rows, func(_, from, to int) {
		grads := g.gradients[from:to]
		l.gradients(k, sums, from, grads)
		g.packing.pack(g.values[from:to], grads)
		for i := range grads {
			g.rows[from+i] = uint32(from + i)
		}
	})
	t := grown{tree: tree{{Feature: none}}, leaves: make([]leaf, 1, g.leaves)}
	t.leaves[0] = leaf{to: g.m.Rows}
	if top > 0 && g.splittable(&t.leaves[0]) {
		g.evaluate(nil, &t.leaves[0], nil)
	}
	for len(t.leaves) < g.leaves {
		best := 0
		for i := range t.leaves {
			if t.leaves[i].split.gain > t.leaves[best].split.gain {
				best = i
			}
		}
		if t.leaves[best].split.gain <= 0 {
			break
		}
		g.divide(&t, best)
	}
	for i := range t.leaves {
		g.pool.put(t.leaves[i].hist)
	}
	return t
}

// divide splits a leaf, and looks for the splits of its parts unless the tree
// is full.
func (g *grower) divide(t *grown, i int) {
	parent := t.leaves[i]
	at := int32(len(t.tree))
	t.tree = append(t.tree, node{Feature: none}, node{Feature: none})
	n := &t.tree[parent.node]
	n.Feature, n.Kids, n.Goes = parent.split.feature, at, parent.split.goes
	middle := parent.from + g.partition(&parent)

	t.leaves = append(t.leaves, leaf{node: at + 1, from: middle, to: parent.to})
	left, right := &t.leaves[i], &t.leaves[len(t.leaves)-1]
	*left = leaf{node: at, from: parent.from, to: middle}
	small, large := left, right
	if small.size() > large.size() {
		small, large = large, small
	}
	switch {
	case len(t.leaves) == g.leaves || !g.splittable(large):
		g.pool.put(parent.hist)
	case parent.hist == nil:
		g.evaluate(nil, large, nil)
		if g.splittable(small) {
			g.evaluate(nil, small, nil)
		}
	default:
		g.evaluate(parent.hist, small, large)
	}
	for _, l := range [2]*leaf{small, large} {
		// The small part's is the cheaper to make again.
		if l.split.gain <= 0 || l == small && g.pool.full() {
			g.pool.put(l.hist)
			l.hist = nil
		}
	}
}

// splittable reports whether a leaf has rows enough for two.
func (g *grower) splittable(l *leaf) bool { return l.size() >= 2*g.minLeaf }

// partition moves the rows of a leaf that go right behind those that go left,
// each in their order, and returns how many go left.
func (g *grower) partition(l *leaf) int {
	var goes [256]uint8
	for b := range goes {
		goes[b] = uint8(l.split.goes.right(uint8(b)))
	}
	column := g.m.Column(int(l.split.feature))
	rows, values := g.rows[l.from:l.to], g.values[l.from:l.to]
	spareRows, spareValues := g.spareRows[l.from:l.to], g.spareValues[l.from:l.to]
	// Each span gathers its left rows from its start on, and its right ones in
	// the spare.
	lefts := make([]int, (len(rows)+learn.SpanRows-1)/learn.SpanRows)
	g.s.Spans(len(rows), func(span, from, to int) {
		lefts[span] = divideRows(&goes, column, rows[from:to], values[from:to], spareRows[from:to], spareValues[from:to])
	})
	if len(lefts) == 1 {
		copy(rows[lefts[0]:], spareRows[:len(rows)-lefts[0]])
		copy(values[lefts[0]:], spareValues[:len(rows)-lefts[0]])
		return lefts[0]
	}
	total := 0
	for span, n := range lefts {
		from := span * learn.SpanRows
		copy(rows[total:], rows[from:from+n]) // never forward
		copy(values[total:], values[from:from+n])
		total += n
	}
	at := total
	for span, n := range lefts {
		from := span * learn.SpanRows
		right := min(learn.SpanRows, len(rows)-from) - n
		copy(rows[at:], spareRows[from:from+right])
		copy(values[at:], spareValues[from:from+right])
		at += right
	}
	return total
}

// divideRows leaves the rows that go left at the start of rows, in place, and
// writes the others to spare.
func divideRows(goes *[256]uint8, column []uint8, rows []uint32, values []uint64, spareRows []uint32, spareValues []uint64) int {
	left, right := 0, 0
	values, spareRows, spareValues = values[:len(rows)], spareRows[:len(rows)], spareValues[:len(rows)]
	for i, r := range rows {
		v := values[i]
		rows[left], values[left] = r, v
		spareRows[right], spareValues[right] = r, v
		b := int(goes[column[r]])
		right += b
		left += 1 - b
	}
	return left
}

// leaf returns the value of a leaf before the learning rate, and the weight of
// its rows.
func (g *grower) leaf(rows []uint32) (value, cover float64) {
	sumG, sumH := 0.0, 0.0
	for _, r := range rows {
		d := g.gradients[r]
		sumG += float64(d.g)
		sumH += float64(d.h)
	}
	return -sumG / (sumH + g.lambda), g.weights.sum(rows)
}

// packing is how a gradient becomes one word: g and h as integers, g above h,
// with room for the sums of a span of rows.
type packing struct {
	scaleG, scaleH float64
	shift          uint    // bits of h
	mostH          float64 // the most that a row's h comes to
}

// spanBits are the bits by which a sum over a span of rows is longer than one
// row's.
const spanBits = 14

const _ = uint(1<<spanBits - learn.SpanRows) // does not compile where they are too few

func newPacking(g, h float64, alike bool) packing {
	bits := 16 // of h; of g they leave 19, or 34
	if alike {
		bits = 1
	}
	p := packing{shift: uint(bits + spanBits)}
	p.mostH = float64(uint64(1)<<bits - 1)
	p.scaleH = p.mostH / h
	if g > 0 {
		// A little less than there is room for: gradients are rounded to float32.
		p.scaleG = float64(uint64(1)<<(63-spanBits-p.shift)) * (1 - 1.0/(1<<16)) / g
	}
	return p
}

// pack rounds gradients.
func (p *packing) pack(dst []uint64, src []gradient) {
	// Adding offset makes truncation round to the nearest.
	const offset = 1<<40 + 0.5
	dst = dst[:len(src)]
	for i, d := range src {
		g := int64(float64(float64(d.g)*p.scaleG)+offset) - 1<<40
		h := int64(float64(float64(d.h)*p.scaleH) + 0.5)
		dst[i] = uint64(g<<p.shift + h)
	}
}

// mask is the bits of h.
func (p *packing) mask() uint64 { return 1<<p.shift - 1 }
