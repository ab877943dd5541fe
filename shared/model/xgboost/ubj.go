package xgboost

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// ubjReader reads Universal Binary JSON, draft 12, as XGBoost writes it: all
// of it but high-precision numbers, and of the optimised containers those
// whose elements have bytes. Counts are bounded by the bytes that are left.
type ubjReader struct {
	b     []byte
	pos   int
	depth int
}

func (r *ubjReader) fail(reason string) error { return &syntaxError{r.pos, reason} }

// marker consumes the next type marker; no-ops are passed over.
func (r *ubjReader) marker() (byte, error) {
	for r.pos < len(r.b) {
		c := r.b[r.pos]
		r.pos++
		if c != 'N' {
			return c, nil
		}
	}
	return 0, r.fail("the file ends early")
}

// width is the number of bytes of a value of a fixed size; 0 for others.
func width(marker byte) int {
	switch marker {
	case 'i', 'U', 'C':
		return 1
	case 'I':
		return 2
	case 'l', 'd':
		return 4
	case 'L', 'D':
		return 8
	}
	return 0
}

func (r *ubjReader) take(n int) ([]byte, error) {
	if n > len(r.b)-r.pos {
		return nil, r.fail("the file ends early")
	}
	b := r.b[r.pos : r.pos+n]
	r.pos += n
	return b, nil
}

// integer decodes a value of an integer marker.
func integer(marker byte, b []byte) (int64, bool) {
	switch marker {
	case 'i':
		return int64(int8(b[0])), true
	case 'U':
		return int64(b[0]), true
	case 'I':
		return int64(int16(binary.BigEndian.Uint16(b))), true
	case 'l':
		return int64(int32(binary.BigEndian.Uint32(b))), true
	case 'L':
		return int64(binary.BigEndian.Uint64(b)), true
	}
	return 0, false
}

// toFloat decodes a value of any numeric marker.
func toFloat(marker byte, b []byte) (float64, bool) {
	switch marker {
	case 'd':
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b))), true
	case 'D':
		return math.Float64frombits(binary.BigEndian.Uint64(b)), true
	}
	v, ok := integer(marker, b)
	return float64(v), ok
}

// value decodes the rest of a value of the given marker as an integer;
// booleans count as 0 and 1.
func (r *ubjReader) value(marker byte) (int64, error) {
	switch marker {
	case 'T':
		return 1, nil
	case 'F':
		return 0, nil
	}
	n := width(marker)
	if n == 0 {
		return 0, r.fail("expected an integer")
	}
	b, err := r.take(n)
	if err != nil {
		return 0, err
	}
	v, ok := integer(marker, b)
	if !ok {
		return 0, r.fail("expected an integer")
	}
	return v, nil
}

func (r *ubjReader) number() (int64, error) {
	m, err := r.marker()
	if err != nil {
		return 0, err
	}
	return r.value(m)
}

// length reads a count and bounds it by the bytes that are left, of which each
// element takes at least size.
func (r *ubjReader) length(size int) (int, error) {
	n, err := r.number()
	if err != nil {
		return 0, err
	}
	if n < 0 || n > int64((len(r.b)-r.pos)/size) {
		return 0, r.fail("a length exceeds the file")
	}
	return int(n), nil
}

func (r *ubjReader) text() (string, error) {
	m, err := r.marker()
	if err != nil {
		return "", err
	}
	switch m {
	case 'C':
		b, err := r.take(1)
		return string(b), err
	case 'S':
		return r.key()
	}
	return "", r.fail("expected a string")
}

// key reads a string without its marker.
func (r *ubjReader) key() (string, error) {
	n, err := r.length(1)
	if err != nil {
		return "", err
	}
	b, err := r.take(n)
	if err == nil && !utf8.Valid(b) {
		err = r.fail("a string is not UTF-8")
	}
	return string(b), err
}

// container is the head of an array or object.
type container struct {
	elem  byte // marker of all elements; 0 where each has its own
	count int  // -1: up to the end marker
}

// open reads the head of a container whose marker is m.
func (r *ubjReader) open(m byte) (container, error) {
	got, err := r.marker()
	if err != nil {
		return container{}, err
	}
	if got != m {
		return container{}, r.fail("expected " + map[byte]string{'[': "an array", '{': "an object"}[m])
	}
	return r.head()
}

func (r *ubjReader) head() (container, error) {
	c := container{count: -1}
	if r.pos < len(r.b) && r.b[r.pos] == '$' {
		r.pos++
		e, err := r.take(1)
		if err != nil {
			return c, err
		}
		if c.elem = e[0]; width(c.elem) == 0 {
			return c, r.fail("an array's element type is not a number")
		}
		if r.pos == len(r.b) || r.b[r.pos] != '#' {
			return c, r.fail("a typed array has no count")
		}
	}
	if r.pos < len(r.b) && r.b[r.pos] == '#' {
		r.pos++
		n, err := r.length(max(1, width(c.elem)))
		if err != nil {
			return c, err
		}
		c.count = n
	}
	return c, nil
}

// more reports whether an element is left, and consumes the end marker.
func (r *ubjReader) more(c *container, end byte) (bool, error) {
	if c.count >= 0 {
		c.count--
		return c.count >= 0, nil
	}
	for r.pos < len(r.b) && r.b[r.pos] == 'N' {
		r.pos++
	}
	if r.pos == len(r.b) {
		return false, r.fail("the file ends early")
	}
	if r.b[r.pos] == end {
		r.pos++
		return false, nil
	}
	return true, nil
}

func (r *ubjReader) nest() (func(), error) {
	if r.depth++; r.depth > maxDepth {
		return nil, r.fail("nesting is too deep")
	}
	return func() { r.depth-- }, nil
}

func (r *ubjReader) object(member func(string) error) error {
	c, err := r.open('{')
	if err != nil {
		return err
	}
	if c.elem != 0 {
		return r.fail("expected members of any type")
	}
	leave, err := r.nest()
	if err != nil {
		return err
	}
	defer leave()
	for {
		if ok, err := r.more(&c, '}'); !ok {
			return err
		}
		key, err := r.key()
		if err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
	}
}

func (r *ubjReader) array(item func() error) error {
	c, err := r.open('[')
	if err != nil {
		return err
	}
	if c.elem != 0 && c.count > 0 {
		return r.fail("expected elements of any type")
	}
	leave, err := r.nest()
	if err != nil {
		return err
	}
	defer leave()
	for {
		if ok, err := r.more(&c, ']'); !ok {
			return err
		}
		if err := item(); err != nil {
			return err
		}
	}
}

// numbers reads an array of numbers, typed or not.
func numbers[T float32 | float64 | int32](r *ubjReader, element func(marker byte, b []byte) (T, bool)) ([]T, error) {
	c, err := r.open('[')
	if err != nil {
		return nil, err
	}
	if c.elem != 0 {
		w := width(c.elem)
		b, err := r.take(c.count * w) // bounded by head
		if err != nil {
			return nil, err
		}
		s := make([]T, c.count)
		for i := range s {
			v, ok := element(c.elem, b[i*w:][:w])
			if !ok {
				return nil, r.fail("an array has an element of the wrong type")
			}
			s[i] = v
		}
		return s, nil
	}
	var s []T
	for {
		if ok, err := r.more(&c, ']'); !ok {
			return s, err
		}
		m, err := r.marker()
		if err != nil {
			return nil, err
		}
		b, err := r.take(width(m))
		if err != nil {
			return nil, err
		}
		v, ok := element(m, b)
		if !ok {
			return nil, r.fail("an array has an element of the wrong type")
		}
		s = append(s, v)
	}
}

func (r *ubjReader) floats() ([]float32, error) {
	return numbers(r, func(m byte, b []byte) (float32, bool) {
		if m == 'd' {
			return math.Float32frombits(binary.BigEndian.Uint32(b)), true
		}
		v, ok := toFloat(m, b)
		return float32(v), ok
	})
}

func (r *ubjReader) doubles() ([]float64, error) { return numbers(r, toFloat) }

func (r *ubjReader) ints() ([]int32, error) {
	return numbers(r, func(m byte, b []byte) (int32, bool) {
		switch m {
		case 'T':
			return 1, true
		case 'F':
			return 0, true
		}
		v, ok := integer(m, b)
		return int32(v), ok && v >= math.MinInt32 && v <= math.MaxInt32
	})
}

func (r *ubjReader) skip() error {
	m, err := r.marker()
	if err != nil {
		return err
	}
	return r.pass(m)
}

// pass skips the rest of a value of the given marker.
func (r *ubjReader) pass(m byte) error {
	switch m {
	case 'Z', 'T', 'F':
		return nil
	case 'S', 'H':
		n, err := r.length(1)
		r.pos += n
		return err
	case '[', '{':
	default:
		n := width(m)
		if n == 0 {
			return r.fail("unknown type marker")
		}
		_, err := r.take(n)
		return err
	}
	c, err := r.head()
	if err != nil {
		return err
	}
	if c.elem != 0 && m == '[' {
		_, err := r.take(c.count * width(c.elem))
		return err
	}
	leave, err := r.nest()
	if err != nil {
		return err
	}
	defer leave()
	for {
		if ok, err := r.more(&c, m+2); !ok { // ']' and '}' are two after '[' and '{'
			return err
		}
		if m == '{' {
			n, err := r.length(1)
			if err != nil {
				return err
			}
			r.pos += n
		}
		next := c.elem
		if next == 0 {
			if next, err = r.marker(); err != nil {
				return err
			}
		}
		if err := r.pass(next); err != nil {
			return err
		}
	}
}

func (r *ubjReader) end() error {
	if r.pos != len(r.b) {
		return r.fail("bytes follow the document")
	}
	return nil
}
