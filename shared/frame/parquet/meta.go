package parquet

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/frame"
)

// Physical types, as the format numbers them.
const (
	boolean int32 = iota
	int32s
	int64s
	int96s
	floats
	doubles
	byteArrays
	fixedArrays
)

// Compressions, as the format numbers them.
const (
	uncompressed int32 = 0
	snappyCodec  int32 = 1
	gzipCodec    int32 = 2
	zstdCodec    int32 = 6
)

var codecNames = map[int32]string{3: "LZO", 4: "Brotli", 5: "LZ4", 7: "LZ4"}

// Encodings, as the format numbers them.
const (
	plain           int32 = 0
	plainDictionary int32 = 2
	rle             int32 = 3
	bitPacked       int32 = 4
	deltaBinary     int32 = 5
	deltaLength     int32 = 6
	deltaBytes      int32 = 7
	rleDictionary   int32 = 8
	byteStreamSplit int32 = 9
)

// element is a SchemaElement of the file.
type element struct {
	physical   int32
	length     int32 // of fixedArrays
	repetition int32 // 0 required, 1 optional, 2 repeated
	name       string
	children   int32
	converted  int32 // -1 = none
	scale      int32
	logical    int  // field of the LogicalType union; 0 = none
	unit       int  // of a time or timestamp: 1 ms, 2 µs, 3 ns
	bits       int8 // of an integer
	unsigned   bool
}

type chunk struct {
	physical   int32
	codec      int32
	values     int64
	compressed int64
	data, dict int64 // offsets; dict 0 = none
	elsewhere  bool  // in another file, or encrypted
}

type group struct {
	rows   int64
	chunks []chunk
}

type metadata struct {
	elements  []element
	groups    []group
	keys      map[string]string
	encrypted bool
}

func readMetadata(b []byte) (*metadata, error) {
	r := &thriftReader{b: b}
	m := &metadata{keys: map[string]string{}}
	// What is made of an entry takes more than its bytes, of which it has eight
	// at least where it says anything.
	entries := len(b)/8 + 16
	one := func() {
		if entries--; entries < 0 {
			r.fail()
		}
	}
	r.structure(func(id int, kind byte) {
		switch {
		case id == 2 && kind == tList:
			r.list(func(byte) {
				one()
				m.elements = append(m.elements, readElement(r))
			})
		case id == 4 && kind == tList:
			r.list(func(byte) {
				one()
				m.groups = append(m.groups, readGroup(r, one))
			})
		case id == 5 && kind == tList:
			r.list(func(byte) {
				one()
				var key, value string
				r.structure(func(id int, kind byte) {
					switch {
					case id == 1 && kind == tBinary:
						key = string(r.bytes())
					case id == 2 && kind == tBinary:
						value = string(r.bytes())
					default:
						r.skip(kind)
					}
				})
				m.keys[key] = value
			})
		default:
			m.encrypted = m.encrypted || id == 8 && kind == tStruct
			r.skip(kind)
		}
	})
	if r.bad || len(m.elements) == 0 {
		return nil, bad("the metadata at the end of the file cannot be read")
	}
	return m, nil
}

func readElement(r *thriftReader) element {
	e := element{physical: -1, converted: -1}
	r.structure(func(id int, kind byte) {
		switch {
		case id == 4 && kind == tBinary:
			e.name = string(r.bytes())
		case id == 10 && kind == tStruct:
			r.structure(func(id int, kind byte) {
				if kind != tStruct {
					r.skip(kind)
					return
				}
				e.logical = id
				readLogical(r, &e)
			})
		case kind != tI32:
			r.skip(kind)
		default:
			v := r.int32()
			switch id {
			case 1:
				e.physical = v
			case 2:
				e.length = v
			case 3:
				e.repetition = v
			case 5:
				e.children = v
			case 6:
				e.converted = v
			case 7:
				e.scale = v
			}
		}
	})
	return e
}

// readLogical reads a member of the LogicalType union, whose id e.logical is.
func readLogical(r *thriftReader, e *element) {
	r.structure(func(id int, kind byte) {
		switch {
		case e.logical == logicalDecimal && kind == tI32 && id == 1:
			e.scale = r.int32()
		case (e.logical == logicalTime || e.logical == logicalTimestamp) && id == 2 && kind == tStruct:
			r.structure(func(id int, kind byte) {
				e.unit = id
				r.skip(kind)
			})
		case e.logical == logicalInteger && id == 1 && kind == tByte:
			e.bits = int8(r.byte())
		case e.logical == logicalInteger && id == 2:
			e.unsigned = kind == tFalse
		default:
			r.skip(kind)
		}
	})
}

func readGroup(r *thriftReader, one func()) group {
	var g group
	r.structure(func(id int, kind byte) {
		switch {
		case id == 1 && kind == tList:
			r.list(func(byte) {
				one()
				g.chunks = append(g.chunks, readChunk(r))
			})
		case id == 3 && kind == tI64:
			g.rows = r.int()
		default:
			r.skip(kind)
		}
	})
	return g
}

func readChunk(r *thriftReader) chunk {
	c := chunk{physical: -1}
	r.structure(func(id int, kind byte) {
		switch {
		case id == 3 && kind == tStruct:
			r.structure(func(id int, kind byte) {
				if kind != tI32 && kind != tI64 {
					r.skip(kind)
					return
				}
				v := r.int()
				switch id {
				case 1:
					c.physical = int32(v)
				case 4:
					c.codec = int32(v)
				case 5:
					c.values = v
				case 7:
					c.compressed = v
				case 9:
					c.data = v
				case 11:
					c.dict = v
				}
			})
		default:
			c.elsewhere = c.elsewhere || id == 1 || id == 8
			r.skip(kind)
		}
	})
	return c
}

// The members of the LogicalType union that change how values read.
const (
	logicalString    = 1
	logicalDecimal   = 5
	logicalDate      = 6
	logicalTime      = 7
	logicalTimestamp = 8
	logicalInteger   = 10
	logicalUUID      = 14
	logicalFloat16   = 15
)

// modern gives an element that has only a converted type, the annotation of old
// files, the logical type that means the same.
func (e *element) modern() {
	if e.logical != 0 {
		return
	}
	switch c := e.converted; {
	case c == 5:
		e.logical = logicalDecimal
	case c == 6:
		e.logical = logicalDate
	case c == 7 || c == 8: // milliseconds, microseconds
		e.logical, e.unit = logicalTime, int(c-6)
	case c == 9 || c == 10:
		e.logical, e.unit = logicalTimestamp, int(c-8)
	case c >= 11 && c <= 18:
		e.logical, e.unsigned, e.bits = logicalInteger, c < 15, int8(8<<((c-11)&3))
	}
}

// field returns the column that an element is, or why it is none.
func (e *element) field() (frame.Field, error) {
	f := frame.Field{Name: e.name, Nullable: e.repetition == 1}
	if !utf8.ValidString(e.name) {
		return f, bad("a column's name is not UTF-8: %q", frame.Clip([]byte(e.name)))
	}
	if e.children > 0 || e.repetition == 2 {
		return f, bad("column %q is nested: a table has plain columns only", e.name)
	}
	e.modern()
	switch e.physical {
	case boolean:
		f.Type = frame.Boolean
	case int32s, int64s:
		switch {
		case e.logical == logicalDate || e.logical == logicalTimestamp:
			f.Type = frame.DateTime
		case e.logical == logicalDecimal && e.scale != 0:
			f.Type = frame.Double
		case e.logical == logicalTime:
			f.Type = frame.String
		case e.physical == int32s && !(e.unsigned && e.bits == 32):
			f.Type = frame.Int32
		default:
			f.Type = frame.Int64
		}
	case int96s:
		f.Type = frame.DateTime
	case floats, doubles:
		f.Type = frame.Double
	case byteArrays:
		if e.logical == logicalDecimal {
			f.Type = frame.Double
		}
	case fixedArrays:
		switch {
		case e.length < 1 || e.length > 1<<20:
			return f, bad("column %q has values of %d bytes", e.name, e.length)
		case e.logical == logicalDecimal && e.length <= 16, e.logical == logicalFloat16 && e.length == 2:
			f.Type = frame.Double
		case e.logical == logicalUUID && e.length == 16:
		default:
			return f, bad("column %q holds bytes of fixed length that are neither a decimal nor a UUID", e.name)
		}
	default:
		return f, bad("column %q has physical type %d, which the format does not know", e.name, e.physical)
	}
	if e.logical == logicalDecimal && (e.scale < 0 || e.scale > 100) {
		return f, bad("column %q: decimals of scale %d", e.name, e.scale)
	}
	return f, nil
}

// schemaKey is where the writer keeps what the format cannot say: roles, and
// levels with their order.
const schemaKey = "portico.schema"

// schema returns the columns of the file.
func (m *metadata) schema() (frame.Schema, error) {
	root := &m.elements[0]
	if int(root.children) != len(m.elements)-1 {
		for i := range m.elements[1:] {
			if e := &m.elements[i+1]; e.children > 0 {
				_, err := e.field()
				return nil, err
			}
		}
		return nil, bad("the schema says %d columns and lists %d", root.children, len(m.elements)-1)
	}
	s := make(frame.Schema, len(m.elements)-1)
	for i := range s {
		var err error
		if s[i], err = m.elements[i+1].field(); err != nil {
			return nil, err
		}
		if s[:i].Index(s[i].Name) >= 0 {
			return nil, bad("the file has column %q twice", s[i].Name)
		}
	}
	var kept frame.Schema
	if text, ok := m.keys[schemaKey]; ok && json.Unmarshal([]byte(text), &kept) == nil && len(kept) == len(s) {
		if _, err := frame.NewLayout(kept); err != nil {
			return s, nil
		}
		for i := range s {
			if kept[i].Name == s[i].Name && kept[i].Type == s[i].Type {
				s[i].Role, s[i].Levels = kept[i].Role, kept[i].Levels
			}
		}
	}
	return s, nil
}

func bad(format string, args ...any) error {
	return refuse(fmt.Sprintf(format, args...))
}
