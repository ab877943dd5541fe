package onnx

import (
	"encoding/binary"
	"math"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// The parts of onnx.proto that decide what a graph answers. Documentation,
// shapes of intermediate values and the like are skipped. Messages do not
// nest without end here: a graph within a graph belongs to an operator that
// the executor does not have.

// graph is a GraphProto and the operator sets it is written in.
type graph struct {
	producer     string // name and version of the program that wrote the file
	opsets       map[string]int64
	nodes        []node
	initializers []initializer
	inputs       []port
	outputs      []port
}

type node struct {
	op, domain      string
	name            string
	inputs, outputs []string
	attrs           []attr
}

type initializer struct {
	name string
	*tensor
}

// port is a ValueInfoProto. Its type is 0 where it is no tensor.
type port struct {
	name string
	typ  Type
	dims []int64 // -1 where it is not fixed; nil where the rank is not said
}

// attr is an AttributeProto: of its values the ones that were there.
type attr struct {
	name    string
	float   float32
	int     int64
	text    string
	tensor  *tensor
	floats  []float32
	ints    []int64
	strings []string
	nested  bool // a graph, a type or a sparse tensor
}

// limits of a file, far above what converters write.
const (
	maxNodes   = 1 << 16
	maxDims    = 16
	maxOutputs = 1 << 8
)

// fields walks the fields of a message.
type fields struct {
	b   []byte
	err error

	num   protowire.Number
	typ   protowire.Type
	value uint64 // of a varint, or the bits of a fixed32 or fixed64
	bytes []byte // of a length-delimited field
}

func (f *fields) next() bool {
	if len(f.b) == 0 || f.err != nil {
		return false
	}
	num, typ, n := protowire.ConsumeTag(f.b)
	if n < 0 {
		f.err = protowire.ParseError(n)
		return false
	}
	f.num, f.typ, f.b = num, typ, f.b[n:]
	switch typ {
	case protowire.VarintType:
		f.value, n = protowire.ConsumeVarint(f.b)
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(f.b)
		f.value = uint64(v)
	case protowire.Fixed64Type:
		f.value, n = protowire.ConsumeFixed64(f.b)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(f.b)
	default:
		f.err = refuse("the file is damaged: it has a field of wire type %d", typ)
		return false
	}
	if n < 0 {
		f.err = protowire.ParseError(n)
		return false
	}
	f.b = f.b[n:]
	return true
}

// each calls visit for every field of message b.
func each(b []byte, visit func(f *fields) error) error {
	f := fields{b: b}
	for f.next() {
		if err := visit(&f); err != nil {
			return err
		}
	}
	if f.err != nil {
		return refuse("the file is damaged: %v", f.err)
	}
	return nil
}

// count returns how often field num is in message b; a damaged message is
// found when its fields are read.
func count(b []byte, num protowire.Number) int {
	n := 0
	for f := (fields{b: b}); f.next(); {
		if f.num == num {
			n++
		}
	}
	return n
}

// message reports whether the field can hold a message or text.
func (f *fields) message() error {
	if f.typ != protowire.BytesType {
		return refuse("the file is damaged: field %d has wire type %d", f.num, f.typ)
	}
	return nil
}

// text is a field's bytes as a string without a copy: the file is not changed
// while its graph lives.
func (f *fields) text() string { return unsafe.String(unsafe.SliceData(f.bytes), len(f.bytes)) }

// parse reads a ModelProto. What it returns keeps parts of b.
func parse(b []byte) (*graph, error) {
	g := &graph{opsets: map[string]int64{}}
	var version string
	seen := false
	err := each(b, func(f *fields) error {
		switch f.num {
		case 2, 3, 7, 8, 25:
			if err := f.message(); err != nil {
				return err
			}
		}
		switch f.num {
		case 2:
			g.producer = f.text()
		case 3:
			version = f.text()
		case 7:
			if seen {
				return refuse("the file is damaged: it has two graphs")
			}
			seen = true
			return g.parse(f.bytes)
		case 8:
			return g.opset(f.bytes)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !seen {
		return nil, refuse("the file has no graph")
	}
	if g.producer != "" && version != "" {
		g.producer += " " + version
	}
	return g, nil
}

func (g *graph) opset(b []byte) error {
	var domain string
	var version int64
	err := each(b, func(f *fields) error {
		switch f.num {
		case 1:
			domain = f.text()
		case 2:
			version = int64(f.value)
		}
		return nil
	})
	if len(g.opsets) > 64 {
		return refuse("the file imports too many operator sets")
	}
	g.opsets[canonicalDomain(domain)] = version
	return err
}

// canonicalDomain writes the two names of the core domain as one.
func canonicalDomain(s string) string {
	if s == "ai.onnx" {
		return ""
	}
	return s
}

func (g *graph) parse(b []byte) error {
	n := count(b, 1)
	if n > maxNodes {
		return refuse("the graph has %d nodes: the limit is %d", n, maxNodes)
	}
	// What counts as many and takes few bytes is found as it is read.
	g.nodes = make([]node, 0, min(n, len(b)/24))
	g.initializers = make([]initializer, 0, min(count(b, 5), len(b)/8))
	return each(b, func(f *fields) error {
		switch f.num {
		case 1, 5, 11, 12:
			if err := f.message(); err != nil {
				return err
			}
		}
		switch f.num {
		case 1:
			n, err := parseNode(f.bytes)
			if err != nil {
				return err
			}
			g.nodes = append(g.nodes, n)
		case 5:
			t, name, err := parseTensor(f.bytes)
			if err != nil {
				return refuse("initializer %q: %v", name, err)
			}
			g.initializers = append(g.initializers, initializer{name, t})
		case 11:
			p, err := parsePort(f.bytes)
			g.inputs = append(g.inputs, p)
			return err
		case 12:
			p, err := parsePort(f.bytes)
			if g.outputs = append(g.outputs, p); len(g.outputs) > maxOutputs {
				return refuse("the graph has more than %d outputs, which is the limit", maxOutputs)
			}
			return err
		case 15:
			return refuse("the graph has sparse initializers, which are not supported")
		}
		return nil
	})
}

func parseNode(b []byte) (node, error) {
	var n node
	if k := count(b, 1); k > 0 {
		n.inputs = make([]string, 0, k)
	}
	if k := count(b, 2); k > 0 {
		n.outputs = make([]string, 0, k)
	}
	if k := count(b, 5); k > 0 {
		n.attrs = make([]attr, 0, k)
	}
	err := each(b, func(f *fields) error {
		if f.num > 8 {
			return nil
		}
		if err := f.message(); err != nil {
			return err
		}
		switch f.num {
		case 1:
			n.inputs = append(n.inputs, f.text())
		case 2:
			n.outputs = append(n.outputs, f.text())
		case 3:
			n.name = f.text()
		case 4:
			n.op = f.text()
		case 5:
			a, err := parseAttr(f.bytes)
			if err != nil {
				return err
			}
			n.attrs = append(n.attrs, a)
		case 7:
			n.domain = canonicalDomain(f.text())
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	if n.op == "" {
		return n, refuse("a node names no operator")
	}
	return n, nil
}

func parseAttr(b []byte) (attr, error) {
	var a attr
	if n := count(b, 9); n > 0 {
		a.strings = make([]string, 0, n)
	}
	err := each(b, func(f *fields) (err error) {
		switch f.num {
		case 1, 4, 5, 9:
			if err := f.message(); err != nil {
				return err
			}
		}
		switch f.num {
		case 1:
			a.name = f.text()
		case 2:
			a.float = math.Float32frombits(uint32(f.value))
		case 3:
			a.int = int64(f.value)
		case 4:
			a.text = f.text()
		case 5:
			a.tensor, _, err = parseTensor(f.bytes)
		case 7:
			if a.floats == nil && f.typ != protowire.BytesType {
				a.floats = make([]float32, 0, count(b, 7))
			}
			a.floats, err = appendFixed32(a.floats, f)
		case 8:
			if a.ints == nil && f.typ != protowire.BytesType {
				a.ints = make([]int64, 0, count(b, 8))
			}
			a.ints, err = appendVarints(a.ints, f)
		case 9:
			a.strings = append(a.strings, f.text())
		case 6, 10, 11, 14, 15, 21, 22, 23:
			a.nested = true
		}
		return err
	})
	if err != nil {
		return a, refuse("attribute %q: %v", a.name, err)
	}
	return a, nil
}

// appendFixed32 appends a packed or single float field.
func appendFixed32(dst []float32, f *fields) ([]float32, error) {
	if f.typ != protowire.BytesType {
		return append(dst, math.Float32frombits(uint32(f.value))), nil
	}
	if len(f.bytes)%4 != 0 {
		return nil, refuse("the file is damaged: %d bytes of floats", len(f.bytes))
	}
	dst = reserve(dst, len(f.bytes)/4)
	for b := f.bytes; len(b) > 0; b = b[4:] {
		dst = append(dst, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return dst, nil
}

func appendFixed64(dst []float64, f *fields) ([]float64, error) {
	if f.typ != protowire.BytesType {
		return append(dst, math.Float64frombits(f.value)), nil
	}
	if len(f.bytes)%8 != 0 {
		return nil, refuse("the file is damaged: %d bytes of doubles", len(f.bytes))
	}
	dst = reserve(dst, len(f.bytes)/8)
	for b := f.bytes; len(b) > 0; b = b[8:] {
		dst = append(dst, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	return dst, nil
}

func appendVarints(dst []int64, f *fields) ([]int64, error) {
	if f.typ != protowire.BytesType {
		return append(dst, int64(f.value)), nil
	}
	n := 0
	for _, c := range f.bytes {
		if c < 0x80 {
			n++
		}
	}
	dst = reserve(dst, n)
	for b := f.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		dst, b = append(dst, int64(v)), b[n:]
	}
	return dst, nil
}

// reserve makes room for exactly n more values.
func reserve[T any](s []T, n int) []T {
	if cap(s)-len(s) >= n {
		return s
	}
	t := make([]T, len(s), len(s)+n)
	copy(t, s)
	return t
}

func parsePort(b []byte) (port, error) {
	var p port
	err := each(b, func(f *fields) error {
		switch f.num {
		case 1:
			p.name = f.text()
		case 2:
			return each(f.bytes, func(f *fields) error {
				if f.num == 1 {
					return p.parseTensorType(f.bytes)
				}
				return nil
			})
		}
		return nil
	})
	return p, err
}

func (p *port) parseTensorType(b []byte) error {
	return each(b, func(f *fields) error {
		switch f.num {
		case 1:
			p.typ = Type(min(f.value, 255))
		case 2:
			n := count(f.bytes, 1)
			if n > maxDims {
				return refuse("value %q has %d dimensions: the limit is %d", p.name, n, maxDims)
			}
			p.dims = make([]int64, 0, n)
			return each(f.bytes, func(f *fields) error {
				if f.num != 1 {
					return nil
				}
				size := int64(-1)
				err := each(f.bytes, func(f *fields) error {
					if f.num == 1 && int64(f.value) > 0 {
						size = int64(f.value)
					}
					return nil
				})
				p.dims = append(p.dims, size)
				return err
			})
		}
		return nil
	})
}
