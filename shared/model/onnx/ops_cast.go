package onnx

import (
	"math"
	"strconv"
)

func buildCast(d *decl) (op, error) {
	to := Type(min(uint64(d.int("to", 0)), 255))
	d.int("saturate", 1) // of float8, which is not supported
	d.word("round_mode", "")
	if !to.known() {
		return nil, refuse("a cast to %s is not supported", to)
	}
	return always(func(c *call) error { return cast(c, to) }), nil
}

func castLike(c *call) error { return cast(c, c.in[1].typ) }

func cast(c *call, to Type) error {
	x := c.in[0]
	switch {
	case x.typ == to:
		return identity(c)
	case x.typ == Float && to == Int64:
		return each1(c, func(v float32) int64 { return truncate(float64(v)) })
	case x.typ == Int64 && to == Float:
		return each1(c, func(v int64) float32 { return float32(float64(v)) })
	case x.typ == Float && to == Double:
		return each1(c, func(v float32) float64 { return float64(v) })
	case x.typ == Double && to == Float:
		return each1(c, func(v float64) float32 { return float32(v) })
	}
	out, err := c.make(0, to, x.shape...)
	if err != nil {
		return err
	}
	switch {
	case x.typ == String:
		for i, s := range x.s {
			v, err := strconv.ParseFloat(s, 64)
			if err != nil && !c.sample {
				return refuse("%s is no number", strconv.Quote(s))
			}
			switch to {
			case Int64, Int32:
				n, err := strconv.ParseInt(s, 10, 64)
				if err != nil && !c.sample {
					return refuse("%s is no integer", strconv.Quote(s))
				}
				out.setInt(i, n)
			default:
				out.set(i, v)
			}
		}
	case to == String:
		for i := range out.s {
			out.s[i] = x.text(i)
		}
	case x.typ == Int64 && to == Int32:
		for i, v := range x.i64 {
			out.i32[i] = int32(v)
		}
	case x.typ == Int32 && to == Int64:
		for i, v := range x.i32 {
			out.i64[i] = int64(v)
		}
	default:
		for i := range x.len() {
			out.set(i, x.at(i))
		}
	}
	return nil
}

// set stores v as an element of a numeric or Boolean tensor.
func (t *tensor) set(i int, v float64) {
	switch t.typ {
	case Float:
		t.f32[i] = float32(v)
	case Double:
		t.f64[i] = v
	case Int32:
		t.i32[i] = int32(truncate(v))
	case Int64:
		t.i64[i] = truncate(v)
	case Bool:
		t.b[i] = v != 0
	}
}

func (t *tensor) setInt(i int, v int64) {
	if t.typ == Int64 {
		t.i64[i] = v
	} else {
		t.i32[i] = int32(v)
	}
}

// truncate makes an integer of v as x86 does, on every CPU: what does not fit
// is the smallest integer.
func truncate(v float64) int64 {
	if v >= -(1<<63) && v < 1<<63 {
		return int64(v)
	}
	return math.MinInt64
}

// text prints an element as ONNX Runtime casts it to a string.
func (t *tensor) text(i int) string {
	switch t.typ {
	case Int64:
		return strconv.FormatInt(t.i64[i], 10)
	case Int32:
		return strconv.FormatInt(int64(t.i32[i]), 10)
	case Bool:
		if t.b[i] {
			return "1"
		}
		return "0"
	case Float:
		return general(float64(t.f32[i]))
	case Double:
		return general(t.f64[i])
	}
	return t.s[i]
}

// general prints v as ONNX Runtime does, by C's %.8g whatever the type.
func general(v float64) string {
	switch {
	case v != v:
		return "NaN"
	case math.IsInf(v, 1):
		return "INF"
	case math.IsInf(v, -1):
		return "-INF"
	}
	return strconv.FormatFloat(v, 'g', 8, 64)
}
