package onnx

import (
	"fmt"
	"slices"
)

// Type is the type of a tensor's elements, by its number in onnx.proto.
type Type uint8

// The types that graphs compute in.
const (
	Float  Type = 1
	Int32  Type = 6
	Int64  Type = 7
	String Type = 8
	Bool   Type = 9
	Double Type = 11

	uint8Type Type = 2 // only within attributes
)

func (t Type) String() string {
	names := []string{
		"undefined", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool",
		"float16", "double", "uint32", "uint64", "complex64", "complex128", "bfloat16",
	}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// known reports whether graphs compute in t.
func (t Type) known() bool {
	switch t {
	case Float, Double, Int32, Int64, Bool, String:
		return true
	}
	return false
}

// tensor is an array of one type, row by row. The vector of its type holds
// its elements; the others keep memory from other uses.
type tensor struct {
	typ   Type
	shape []int
	f32   []float32
	f64   []float64
	i32   []int32 // of uint8 too
	i64   []int64
	b     []bool
	s     []string
}

// element is a Go type that holds elements.
type element interface {
	float32 | float64 | int32 | int64 | bool | string
}

// number is an element that can be calculated with.
type number interface {
	float32 | float64 | int32 | int64
}

// typeOf returns the Type that T holds.
func typeOf[T element]() Type {
	var v T
	switch any(v).(type) {
	case float32:
		return Float
	case float64:
		return Double
	case int32:
		return Int32
	case int64:
		return Int64
	case bool:
		return Bool
	}
	return String
}

// vec returns the elements of t, which must be of T.
func vec[T element](t *tensor) []T { return *vector[T](t) }

func vector[T element](t *tensor) *[]T {
	var v T
	var p any
	switch any(v).(type) {
	case float32:
		p = &t.f32
	case float64:
		p = &t.f64
	case int32:
		p = &t.i32
	case int64:
		p = &t.i64
	case bool:
		p = &t.b
	default:
		p = &t.s
	}
	return p.(*[]T)
}

// len returns how many elements t holds.
func (t *tensor) len() int {
	switch t.typ {
	case Float:
		return len(t.f32)
	case Double:
		return len(t.f64)
	case Int32, uint8Type:
		return len(t.i32)
	case Int64:
		return len(t.i64)
	case Bool:
		return len(t.b)
	case String:
		return len(t.s)
	}
	return 0
}

// rank returns the number of dimensions.
func (t *tensor) rank() int { return len(t.shape) }

// elements returns how many elements a shape has.
func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// alias makes t the elements of x under another shape.
func (t *tensor) alias(x *tensor, shape []int) {
	own := append(t.shape[:0], shape...)
	*t = *x
	t.shape = own
}

// at returns element i of a numeric or Boolean tensor.
func (t *tensor) at(i int) float64 {
	switch t.typ {
	case Float:
		return float64(t.f32[i])
	case Double:
		return t.f64[i]
	case Int32, uint8Type:
		return float64(t.i32[i])
	case Int64:
		return float64(t.i64[i])
	case Bool:
		if t.b[i] {
			return 1
		}
	}
	return 0
}

// ints appends the elements of an integer tensor to dst.
func (t *tensor) ints(dst []int) ([]int, error) {
	switch t.typ {
	case Int64:
		for _, v := range t.i64 {
			dst = append(dst, int(v))
		}
	case Int32:
		for _, v := range t.i32 {
			dst = append(dst, int(v))
		}
	default:
		return nil, refuse("a %s tensor where integers belong", t.typ)
	}
	return dst, nil
}

// split returns a shape as rows of columns around an axis: the elements of
// one index of the axis lie inner apart, and outer such blocks follow.
func split(shape []int, axis int) (outer, size, inner int) {
	return elements(shape[:axis]), shape[axis], elements(shape[axis+1:])
}

// axisOf brings a possibly negative axis into 0 to rank-1.
func axisOf(axis int64, rank int) (int, error) {
	if axis < -int64(rank) || axis >= int64(rank) {
		return 0, refuse("axis %d of a tensor of rank %d", axis, rank)
	}
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), nil
}

// broadcast returns the shape that a and b have together, in dst.
func broadcast(dst, a, b []int) ([]int, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	dst = append(dst[:0], a...)
	for i, d := range b {
		k := len(a) - len(b) + i
		switch {
		case dst[k] == d || d == 1:
		case dst[k] == 1:
			dst[k] = d
		default:
			return nil, refuse("shapes %v and %v do not go together", slices.Clone(a), slices.Clone(b))
		}
	}
	return dst, nil
}

// strides appends to dst, for each dimension of shape, how far apart in x its
// elements lie: 0 where x is repeated.
func strides(dst []int, x, shape []int) []int {
	dst = append(dst[:0], shape...)
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		k := i - (len(shape) - len(x))
		dst[i] = 0
		if k >= 0 {
			if x[k] != 1 {
				dst[i] = step
			}
			step *= x[k]
		}
	}
	return dst
}
