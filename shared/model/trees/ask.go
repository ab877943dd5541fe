package trees

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// This file lays out trees of which every test is asked. Neither depth nor balance
// matters to them: a tree costs a block what it has nodes. A child stands before
// its parent, and a leaf is known by its number from left to right. Of a tree of
// more than 256 leaves the upper byte of the number is found as the lower one is,
// from those nodes again whose leaves differ in it.

// manyNodes is the largest tree laid out so. A block takes some 1.1 ns for each of
// its nodes; to walk 64 rows down a tree takes 55 ns each.
const manyNodes = 2048

// batchNodes is how many nodes are asked before their trees' leaves are added: so
// many that their results stay in the first-level cache. A larger tree is a batch of
// its own.
const batchNodes = 192

// maxNumbers is how many leaf numbers a byte holds.
const maxNumbers = 256

// askUnroll is how many nodes the kernel asks at a time.
const askUnroll = 4

// ask is a node as the kernel reads it. Its offsets are in eighths. The results of
// nodes stand one after the other, for each row the number of the leaf below; before
// those of a batch's stand leaf numbers, 64 times each: the results of leaves.
type ask struct {
	slot        uint16  // of its rows in a block
	left, right uint16  // of its children's results
	rank        [4]byte // four times the same
}

// asked is a tree as the kernels read it that add its leaves.
type asked struct {
	low, high uint32 // where its results are: lower and upper bytes of leaf numbers
	leaf      uint32 // first of its leaves, in dwords
	count     uint32 // of its leaves
}

// askedTrees is a run of trees of which every test is asked.
type askedTrees struct {
	batches []askBatch
	leaves  []uint32 // floats; of few64's and few32's float64 a tree's lower halves, then the upper ones
	few     fewTrees
}

// askBatch is some consecutive trees and their nodes, a multiple of askUnroll.
type askBatch struct {
	asks  []ask
	trees []asked
}

// fewTrees is a run of trees of few leaves for the row kernels; its field order is
// theirs.
type fewTrees struct {
	trees  *asked
	tests  *byte // of each tree, see asker.tests
	leaves *uint32
	n      uintptr
}

// add adds the leaves of a block's rows to their sums.
func (t *askedTrees) add(k kind, float bool, block *byte, results []byte, numbers int, sums unsafe.Pointer) {
	all := &results[0]
	for i := range t.batches {
		b := &t.batches[i]
		if len(b.asks) > 0 {
			askTests(&b.asks[0], len(b.asks), block, all, &results[BlockRows*numbers])
		}
		trees, n, leaves := &b.trees[0], len(b.trees), &t.leaves[0]
		switch {
		case k == many && float:
			addMany32(trees, n, leaves, all, (*[BlockRows]float32)(sums))
		case k == many:
			addMany64(trees, n, leaves, all, (*[BlockRows]float64)(sums))
		case float:
			addFew32(trees, n, leaves, all, (*[BlockRows]float32)(sums))
		default:
			addFew64(trees, n, leaves, all, (*[BlockRows]float64)(sums))
		}
	}
}

// newResults makes so many leaf numbers and room for the results of n nodes.
func newResults(numbers, n int) []byte {
	results := aligned(BlockRows * (numbers + n))
	for i := range numbers {
		number := results[BlockRows*i:][:BlockRows]
		for r := range number {
			number[r] = byte(i)
		}
	}
	return results
}

// aligned makes n bytes that begin with a line of the cache: a vector register's 64
// then never lie in two.
func aligned(n int) []byte {
	b := make([]byte, n+63)
	return b[-uintptr(unsafe.Pointer(&b[0]))%64:][:n:n]
}

// layAsked lays out a run.
func (b *builder[T]) layAsked(s span) {
	nodes := 0
	for _, t := range s.trees {
		nodes += int(b.f.nodesOf[t])
	}
	var tests []byte
	size := testBytes(s.kind)
	if b.single {
		tests = aligned(size * len(s.trees))
	}
	trees := make([]asked, 0, len(s.trees))
	leaves := make([]uint32, 0, int(unsafe.Sizeof(*new(T)))/4*(nodes+len(s.trees))+leafTail)
	type end struct{ ask, tree int }
	var ends []end // of batches
	a := asker{m: b.m, numbers: b.numbers, asks: make([]ask, 0, nodes+nodes/16+askUnroll)}
	flush := func() {
		for len(a.asks)%askUnroll != 0 {
			a.asks = append(a.asks, ask{})
		}
		b.most = max(b.most, len(a.asks)-a.from)
		ends = append(ends, end{len(a.asks), len(trees)})
		a.from = len(a.asks)
	}
	for i, t := range s.trees {
		nodes, own := b.tree(t)
		if waiting := len(a.asks) - a.from; waiting > 0 && waiting+len(nodes) > batchNodes {
			flush()
		}
		tree := a.tree(nodes)
		tree.leaf, tree.count = uint32(len(leaves)), uint32(len(own))
		trees = append(trees, tree)
		leaves = appendLeaves(leaves, own, a.order, s.kind)
		if b.single {
			a.tests(tests[i*size:], s.kind)
		}
	}
	flush()
	run := wideRun{kind: s.kind, output: s.output}
	run.asked.leaves = leaves[:len(leaves)+leafTail]
	var last end
	for _, e := range ends {
		run.asked.batches = append(run.asked.batches, askBatch{a.asks[last.ask:e.ask], trees[last.tree:e.tree]})
		last = e
	}
	if b.single {
		run.asked.few = fewTrees{&trees[0], &tests[0], &leaves[0], uintptr(len(trees))}
	}
	b.runs = append(b.runs, run)
	b.stats.Asked += len(trees)
	b.stats.Bytes += len(a.asks)*int(unsafe.Sizeof(ask{})) + len(trees)*int(unsafe.Sizeof(asked{})) + 4*len(run.asked.leaves) + len(tests)
}

// appendLeaves appends a tree's leaves in the order of their numbers.
func appendLeaves[T number](dst []uint32, leaves []T, order []uint32, k kind) []uint32 {
	if isFloat32[T]() {
		for _, i := range order {
			dst = append(dst, math.Float32bits(float32(leaves[i])))
		}
		return dst
	}
	if k == many {
		for _, i := range order {
			v := math.Float64bits(float64(leaves[i]))
			dst = append(dst, uint32(v), uint32(v>>32))
		}
		return dst
	}
	for shift := 0; shift < 64; shift += 32 {
		for _, i := range order {
			dst = append(dst, uint32(math.Float64bits(float64(leaves[i]))>>shift))
		}
	}
	return dst
}

// asker lays out one tree after the other.
type asker struct {
	m       *slotMap
	numbers int
	asks    []ask
	from    int // where the batch begins in asks
	nodes   []askNode
	order   []uint32 // of the tree's leaves: their places in the file, by number
}

// askNode is a node of a tree: its children are nodes, or leaves where below 0
// (then ^child is the leaf's place in the file).
type askNode struct {
	test          uint32
	left, right   int
	first, middle int // numbers of the first leaf of its left child, and of its right one
}

// tree lays out the nodes of a tree and says where its results will be.
func (a *asker) tree(nodes []uint64) asked {
	a.nodes, a.order = a.nodes[:0], a.order[:0]
	inner, leaf := 1, 0
	child := func(isLeaf bool) int {
		if isLeaf {
			leaf++
			return ^(leaf - 1)
		}
		inner++
		return inner - 1
	}
	for _, v := range nodes {
		n := packed(v)
		left := child(n.leftLeaf())
		a.nodes = append(a.nodes, askNode{test: a.m.test(n), left: left, right: child(n.rightLeaf())})
	}
	root := 0
	if len(nodes) == 0 {
		root = ^0
	}
	low := a.low(root)
	return asked{low: 8 * uint32(low), high: 8 * uint32(a.high(root, 0, len(a.order)-1))}
}

// low lays out node i and those below it, which number its leaves, and returns the
// offset of its results.
func (a *asker) low(i int) uint16 {
	if i < 0 {
		a.order = append(a.order, uint32(^i))
		return number8(len(a.order) - 1)
	}
	n := &a.nodes[i]
	n.first = len(a.order)
	left := a.low(n.left)
	n.middle = len(a.order)
	return a.ask(n.test, left, a.low(n.right))
}

// high does the same for the upper bytes of the numbers of the leaves below node i,
// first to last.
func (a *asker) high(i, first, last int) uint16 {
	if first>>8 == last>>8 {
		return number8(first >> 8)
	}
	n := a.nodes[i]
	left := a.high(n.left, first, n.middle-1)
	return a.ask(n.test, left, a.high(n.right, n.middle, last))
}

// number8 is the offset of the lower byte of a leaf's number.
func number8(n int) uint16 { return uint16(BlockRows / 8 * (n % maxNumbers)) }

func (a *asker) ask(test uint32, left, right uint16) uint16 {
	at := a.numbers + len(a.asks) - a.from
	rank := byte(test)
	a.asks = append(a.asks, ask{uint16(test >> 8 * (BlockRows / 8)), left, right, [4]byte{rank, rank, rank, rank}})
	return uint16(BlockRows / 8 * at)
}

// testBytes is the size of a tree's tests for the row kernels.
func testBytes(k kind) int {
	if k == few32 {
		return 32 + 32 + 4*32
	}
	return 64 + 64 + 8*64
}

// tests writes the last tree's tests for a row kernel: the slots of 32 or 64 nodes,
// their ranks, and for each leaf the word of those nodes whose left children it
// lies below; of 64-bit words all lower halves come first. The row's leaf is the first
// that lies left of no node that goes right.
func (a *asker) tests(dst []byte, k kind) {
	width := 32
	if k == few64 {
		width = 64
	}
	words := dst[2*width:]
	for i, n := range a.nodes {
		dst[i], dst[width+i] = byte(n.test>>8), byte(n.test)
		for leaf := n.first; leaf < n.middle; leaf++ {
			word := words[4*(leaf+i/32*width):]
			binary.LittleEndian.PutUint32(word, binary.LittleEndian.Uint32(word)|1<<(i%32))
		}
	}
}
