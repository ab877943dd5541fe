package onnx

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// The canonical file is an ONNX model too, of what decides the answer alone:
// the nodes that it needs in the order in which they run, one output, inputs
// of a fixed width, tensors as raw bytes, attributes by name. Two files that
// differ in names, documentation or dead parts only have nearly always the
// same canonical file.

// writer writes a protobuf message. Messages within it are written in place:
// begin, then its fields, then end with what begin returned.
type writer []byte

func (w *writer) varint(num protowire.Number, v int64) {
	*w = protowire.AppendVarint(protowire.AppendTag(*w, num, protowire.VarintType), uint64(v))
}

func (w *writer) text(num protowire.Number, s string) {
	*w = protowire.AppendString(protowire.AppendTag(*w, num, protowire.BytesType), s)
}

func (w *writer) begin(num protowire.Number) int {
	*w = protowire.AppendTag(*w, num, protowire.BytesType)
	return len(*w)
}

// end puts the length in front of what was written from start on.
func (w *writer) end(start int) {
	size := uint64(len(*w) - start)
	n := protowire.SizeVarint(size)
	*w = append(*w, make([]byte, n)...)
	copy((*w)[start+n:], (*w)[start:])
	protowire.AppendVarint((*w)[:start], size)
}

func (w *writer) varints(num protowire.Number, list []int64) {
	if len(list) == 0 {
		return
	}
	at := w.begin(num)
	for _, v := range list {
		*w = protowire.AppendVarint(*w, uint64(v))
	}
	w.end(at)
}

// encode writes g, of about size bytes.
func (g *graph) encode(size int) []byte {
	w := make(writer, 0, size+size/8+256)
	w.varint(1, 8) // of the intermediate representation; nothing here depends on it
	at := w.begin(7)
	for i := range g.nodes {
		w.node(&g.nodes[i])
	}
	for i := range g.initializers {
		w.tensor(5, g.initializers[i].name, g.initializers[i].tensor)
	}
	for i := range g.inputs {
		w.port(11, &g.inputs[i])
	}
	for i := range g.outputs {
		w.port(12, &g.outputs[i])
	}
	w.end(at)
	for _, domain := range sorted(g.opsets) {
		at := w.begin(8)
		w.text(1, domain)
		w.varint(2, g.opsets[domain])
		w.end(at)
	}
	return w
}

func (w *writer) node(n *node) {
	at := w.begin(1)
	for _, s := range n.inputs {
		w.text(1, s)
	}
	for _, s := range n.outputs {
		w.text(2, s)
	}
	if n.name != "" {
		w.text(3, n.name)
	}
	w.text(4, n.op)
	order := make([]*attr, len(n.attrs))
	for i := range order {
		order[i] = &n.attrs[i]
	}
	slices.SortStableFunc(order, func(a, b *attr) int { return cmp.Compare(a.name, b.name) })
	for _, a := range order {
		w.attr(a)
	}
	if n.domain != "" {
		w.text(7, n.domain)
	}
	w.end(at)
}

// attr writes the values that a has. A zero number or an empty text is what a
// reader sees where none is written.
func (w *writer) attr(a *attr) {
	const kindFloat, kindInt, kindText, kindTensor, kindFloats, kindInts, kindStrings = 1, 2, 3, 4, 6, 7, 8
	at := w.begin(5)
	w.text(1, a.name)
	kind := int64(kindInt)
	switch {
	case a.tensor != nil:
		kind = kindTensor
		w.tensor(5, "", a.tensor)
	case a.floats != nil:
		kind = kindFloats
		list := w.begin(7)
		for _, v := range a.floats {
			*w = binary.LittleEndian.AppendUint32(*w, math.Float32bits(v))
		}
		w.end(list)
	case a.ints != nil:
		kind = kindInts
		w.varints(8, a.ints)
	case a.strings != nil:
		kind = kindStrings
		for _, s := range a.strings {
			w.text(9, s)
		}
	case a.text != "":
		kind = kindText
		w.text(4, a.text)
	case a.float != 0 || math.Signbit(float64(a.float)):
		kind = kindFloat
		*w = protowire.AppendFixed32(protowire.AppendTag(*w, 2, protowire.Fixed32Type), math.Float32bits(a.float))
	default:
		w.varint(3, a.int)
	}
	w.varint(20, kind)
	w.end(at)
}

func (w *writer) tensor(num protowire.Number, name string, t *tensor) {
	at := w.begin(num)
	if len(t.shape) > 0 {
		dims := w.begin(1)
		for _, d := range t.shape {
			*w = protowire.AppendVarint(*w, uint64(d))
		}
		w.end(dims)
	}
	w.varint(2, int64(t.typ))
	if t.typ == String {
		for _, s := range t.s {
			w.text(6, s)
		}
	}
	if name != "" {
		w.text(8, name)
	}
	if t.typ != String {
		raw := w.begin(9)
		w.raw(t)
		w.end(raw)
	}
	w.end(at)
}

// raw writes the elements of t as little-endian bytes.
func (w *writer) raw(t *tensor) {
	b := *w
	for i := range t.len() {
		switch t.typ {
		case Float:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(t.f32[i]))
		case Double:
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(t.f64[i]))
		case Int32:
			b = binary.LittleEndian.AppendUint32(b, uint32(t.i32[i]))
		case Int64:
			b = binary.LittleEndian.AppendUint64(b, uint64(t.i64[i]))
		case Bool:
			b = append(b, byte(b2f[int32](t.b[i])))
		case uint8Type:
			b = append(b, byte(t.i32[i]))
		}
	}
	*w = b
}

func (w *writer) port(num protowire.Number, p *port) {
	at := w.begin(num)
	w.text(1, p.name)
	typ := w.begin(2)
	tensor := w.begin(1)
	w.varint(1, int64(p.typ))
	if p.dims != nil {
		shape := w.begin(2)
		for _, d := range p.dims {
			dim := w.begin(1)
			if d > 0 {
				w.varint(1, d)
			}
			w.end(dim)
		}
		w.end(shape)
	}
	w.end(tensor)
	w.end(typ)
	w.end(at)
}
