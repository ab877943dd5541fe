package dag

import (
	"encoding/binary"
	"math"
	"slices"
)

// The canonical bytes of a jungle, little-endian: a header of ten uint32, then
// the arrays below. Thresholds, sets and leaves are listed once each, in
// ascending order, and nodes name them by position.
//
//	cuts     [cuts]float64
//	leaves   [leaves*outputs]float64
//	nodesOf  [graphs]uint32   nodes of the graph
//	setEnds  [sets]uint32
//	setItems [items]uint32    categories of a set, ascending
//	nodes    [nodes][4]uint32 test and feature, see word; what it names; left; right
//	shares   [nodes]float32   where they are kept; 0 of a leaf
type header struct {
	Version, Flags, Features, Outputs, Graphs, Nodes, Cuts, Leaves, Sets, SetItems uint32
}

const (
	version    = 1
	headerSize = 40
	nodeSize   = 16

	shareSize = 4

	flagSingle = 1 << 0
	flagShares = 1 << 1
)

// A node's first word: the feature in bits 0-23, where a missing value goes in
// bit 24 (set: right), the test in bits 25 and 26.
func word(n *Node) uint32 {
	w := uint32(n.Test) << 25
	if n.Test != Leaf {
		w |= uint32(n.Feature)
		if n.MissingRight {
			w |= 1 << 24
		}
	}
	return w
}

// Encode checks j and returns its canonical bytes.
func (j *Jungle) Encode() ([]byte, error) {
	if err := j.validate(); err != nil {
		return nil, err
	}
	e := encoder{j: j}
	e.collect()
	return e.bytes(), nil
}

// encoder lists what nodes name.
type encoder struct {
	j      *Jungle
	cuts   []float64
	leaves [][]float64
	sets   [][]int32
	nodes  int
}

func (e *encoder) collect() {
	for g := range e.j.Graphs {
		nodes := e.j.Graphs[g].Nodes
		e.nodes += len(nodes)
		for i := range nodes {
			switch n := &nodes[i]; n.Test {
			case Leaf:
				e.leaves = append(e.leaves, n.Value)
			case Less:
				e.cuts = append(e.cuts, n.Threshold+0) // -0 becomes 0: they compare alike
			case In:
				e.sets = append(e.sets, canonicalSet(n.Set))
			}
		}
	}
	slices.Sort(e.cuts)
	e.cuts = slices.Compact(e.cuts)
	slices.SortFunc(e.leaves, slices.Compare[[]float64])
	e.leaves = slices.CompactFunc(e.leaves, slices.Equal[[]float64])
	slices.SortFunc(e.sets, slices.Compare[[]int32])
	e.sets = slices.CompactFunc(e.sets, slices.Equal[[]int32])
}

func canonicalSet(set []int32) []int32 {
	s := slices.Clone(set)
	slices.Sort(s)
	return slices.Compact(s)
}

func (e *encoder) bytes() []byte {
	j := e.j
	items := 0
	for _, s := range e.sets {
		items += len(s)
	}
	size := headerSize + 8*len(e.cuts) + 8*len(e.leaves)*j.Outputs + 4*(len(j.Graphs)+len(e.sets)+items) + nodeSize*e.nodes
	if j.Shares {
		size += shareSize * e.nodes
	}
	b := make([]byte, 0, size)
	u32 := func(v ...int) {
		for _, v := range v {
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		}
	}
	f64 := func(v float64) { b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v+0)) }
	flags := 0
	if j.Single {
		flags = flagSingle
	}
	if j.Shares {
		flags |= flagShares
	}
	u32(version, flags, j.Features, j.Outputs, len(j.Graphs), e.nodes, len(e.cuts), len(e.leaves), len(e.sets), items)
	for _, c := range e.cuts {
		f64(c)
	}
	for _, leaf := range e.leaves {
		for _, v := range leaf {
			f64(v)
		}
	}
	for g := range j.Graphs {
		u32(len(j.Graphs[g].Nodes))
	}
	end := 0
	for _, s := range e.sets {
		end += len(s)
		u32(end)
	}
	for _, s := range e.sets {
		for _, c := range s {
			u32(int(c))
		}
	}
	for g := range j.Graphs {
		nodes := j.Graphs[g].Nodes
		for i := range nodes {
			n := &nodes[i]
			u32(int(word(n)), e.named(n))
			if n.Test == Leaf {
				u32(0, 0)
			} else {
				u32(int(n.Left), int(n.Right))
			}
		}
	}
	if !j.Shares {
		return b
	}
	for g := range j.Graphs {
		nodes := j.Graphs[g].Nodes
		for i := range nodes {
			share := float32(0)
			if nodes[i].Test != Leaf {
				share = float32(nodes[i].Share)
			}
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(share+0))
		}
	}
	return b
}

// named is the position of the threshold, set or leaf that n names.
func (e *encoder) named(n *Node) (at int) {
	switch n.Test {
	case Less:
		at, _ = slices.BinarySearch(e.cuts, n.Threshold)
	case In:
		at, _ = slices.BinarySearchFunc(e.sets, canonicalSet(n.Set), slices.Compare[[]int32])
	default:
		at, _ = slices.BinarySearchFunc(e.leaves, n.Value, slices.Compare[[]float64])
	}
	return at
}
