package neural

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The canonical bytes, little-endian: version, features, scaling and layers as
// uint32; of each layer nodes and activation as uint32; for Quantum the number
// of cuts of each feature as uint32; then as float64 the offsets and scales, or
// the cuts, and of each layer biases and weights.
const (
	version    = 1
	headerSize = 16
)

// Encode checks n and returns its canonical bytes.
func (n *Network) Encode() ([]byte, error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	var b []byte
	for _, v := range []int{version, n.Features, int(n.Scaling), len(n.Layers)} {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	for i := range n.Layers {
		b = binary.LittleEndian.AppendUint32(b, uint32(n.Layers[i].Nodes))
		b = binary.LittleEndian.AppendUint32(b, uint32(n.Layers[i].Activation))
	}
	for _, c := range n.Cuts {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(c)))
	}
	lists := append([][]float64{n.Offset, n.Scale}, n.Cuts...)
	for i := range n.Layers {
		lists = append(lists, n.Layers[i].Bias, n.Layers[i].Weights)
	}
	for _, list := range lists {
		for _, v := range list {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v+0)) // -0 is 0
		}
	}
	return b, nil
}

// reader takes bytes apart. After the first failure it gives zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) cut(n int) []byte {
	if r.err == nil && n > len(r.b) {
		r.err = fmt.Errorf("%w: it is cut short", ErrDamaged)
	}
	if r.err != nil {
		return nil
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

// word reads a number that must not be above most.
func (r *reader) word(most int) int {
	b := r.cut(4)
	if b == nil {
		return 0
	}
	v := binary.LittleEndian.Uint32(b)
	if uint64(v) > uint64(most) {
		r.err = fmt.Errorf("%w: a number of %d, at most %d can be", ErrDamaged, v, most)
		return 0
	}
	return int(v)
}

func (r *reader) numbers(n int) []float64 {
	b := r.cut(8 * n)
	if b == nil {
		return nil
	}
	list := make([]float64, n)
	for i := range list {
		list[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return list
}

// Open reads canonical bytes.
func Open(b []byte) (*Model, error) {
	r := &reader{b: b}
	if len(b) < headerSize || r.word(version) != version {
		return nil, fmt.Errorf("%w: it does not begin as one of version %d", ErrDamaged, version)
	}
	m := new(Model)
	n := &m.n
	n.Features = r.word(MaxFeatures)
	n.Scaling = Scaling(r.word(int(Quantum)))
	layers := r.word(MaxLayers)
	for range layers {
		n.Layers = append(n.Layers, Layer{Nodes: r.word(MaxNodes), Activation: Activation(r.word(int(Absolute)))})
	}
	switch n.Scaling {
	case Affine:
		n.Offset, n.Scale = r.numbers(n.Features), r.numbers(n.Features)
	case Quantum:
		sizes := r.cut(4 * n.Features)
		for i := range len(sizes) / 4 {
			n.Cuts = append(n.Cuts, r.numbers(int(binary.LittleEndian.Uint32(sizes[4*i:]))))
		}
	}
	inputs := n.Features
	for i := range n.Layers {
		l := &n.Layers[i]
		l.Bias, l.Weights = r.numbers(l.Nodes), r.numbers(inputs*l.Nodes)
		inputs = l.Nodes
	}
	if r.err != nil {
		return nil, r.err
	}
	if len(r.b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes follow it", ErrDamaged, len(r.b))
	}
	if err := n.check(); err != nil {
		return nil, err
	}
	return m, nil
}
