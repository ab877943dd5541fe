package onnx

import (
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

// message writes a protobuf message.
type message []byte

func (m *message) varint(num protowire.Number, v int64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, num, protowire.VarintType), uint64(v))
}

func (m *message) bytes(num protowire.Number, b []byte) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, num, protowire.BytesType), b)
}

func (m *message) text(num protowire.Number, s string) {
	*m = protowire.AppendString(protowire.AppendTag(*m, num, protowire.BytesType), s)
}

func (m *message) varints(num protowire.Number, list []int64) {
	if len(list) == 0 {
		return
	}
	var b []byte
	for _, v := range list {
		b = protowire.AppendVarint(b, uint64(v))
	}
	m.bytes(num, b)
}

// encode writes g.
func (g *graph) encode() []byte {
	var body message
	for i := range g.nodes {
		body.bytes(1, g.nodes[i].encode())
	}
	for i := range g.initializers {
		body.bytes(5, g.initializers[i].encode(g.initializers[i].name))
	}
	for i := range g.inputs {
		body.bytes(11, g.inputs[i].encode())
	}
	for i := range g.outputs {
		body.bytes(12, g.outputs[i].encode())
	}
	var m message
	m.varint(1, 8) // of the intermediate representation; nothing here depends on it
	m.bytes(7, body)
	for _, domain := range sorted(g.opsets) {
		var o message
		o.text(1, domain)
		o.varint(2, g.opsets[domain])
		m.bytes(8, o)
	}
	return m
}

func (n *node) encode() []byte {
	var m message
	for _, s := range n.inputs {
		m.text(1, s)
	}
	for _, s := range n.outputs {
		m.text(2, s)
	}
	if n.name != "" {
		m.text(3, n.name)
	}
	m.text(4, n.op)
	attrs := slices.Clone(n.attrs)
	slices.SortStableFunc(attrs, func(a, b attr) int { return compareText(a.name, b.name) })
	for i := range attrs {
		m.bytes(5, attrs[i].encode())
	}
	if n.domain != "" {
		m.text(7, n.domain)
	}
	return m
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// encode writes the values that a has. A zero number or an empty text is what
// a reader sees where none is written.
func (a *attr) encode() []byte {
	const kindFloat, kindInt, kindText, kindTensor, kindFloats, kindInts, kindStrings = 1, 2, 3, 4, 6, 7, 8
	var m message
	m.text(1, a.name)
	kind := int64(kindInt)
	switch {
	case a.tensor != nil:
		kind = kindTensor
		m.bytes(5, a.tensor.encode(""))
	case a.floats != nil:
		kind = kindFloats
		b := make([]byte, 0, 4*len(a.floats))
		for _, v := range a.floats {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		m.bytes(7, b)
	case a.ints != nil:
		kind = kindInts
		m.varints(8, a.ints)
	case a.strings != nil:
		kind = kindStrings
		for _, s := range a.strings {
			m.text(9, s)
		}
	case a.text != "":
		kind = kindText
		m.text(4, a.text)
	case a.float != 0 || math.Signbit(float64(a.float)):
		kind = kindFloat
		m = protowire.AppendTag(m, 2, protowire.Fixed32Type)
		m = protowire.AppendFixed32(m, math.Float32bits(a.float))
	default:
		m.varint(3, a.int)
	}
	m.varint(20, kind)
	return m
}

func (t *tensor) encode(name string) []byte {
	var m message
	dims := make([]int64, len(t.shape))
	for i, d := range t.shape {
		dims[i] = int64(d)
	}
	m.varints(1, dims)
	m.varint(2, int64(t.typ))
	if t.typ == String {
		for _, s := range t.s {
			m.text(6, s)
		}
	}
	if name != "" {
		m.text(8, name)
	}
	if t.typ != String {
		m.bytes(9, t.raw())
	}
	return m
}

// raw returns the elements of t as little-endian bytes.
func (t *tensor) raw() []byte {
	var b []byte
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
	return b
}

func (p *port) encode() []byte {
	var shape message
	for _, d := range p.dims {
		var dim message
		if d > 0 {
			dim.varint(1, d)
		}
		shape.bytes(1, dim)
	}
	var tensorType, typ, m message
	tensorType.varint(1, int64(p.typ))
	if p.dims != nil {
		tensorType.bytes(2, shape)
	}
	typ.bytes(1, tensorType)
	m.text(1, p.name)
	m.bytes(2, typ)
	return m
}
