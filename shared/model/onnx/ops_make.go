package onnx

import "math"

func buildShape(d *decl) (op, error) {
	start, end := d.int("start", 0), d.int("end", math.MaxInt64)
	return always(func(c *call) error {
		lo, n, err := bounds(int(start), int(end), 1, c.in[0].rank())
		if err != nil {
			return err
		}
		out, err := c.make(0, Int64, n)
		if err != nil {
			return err
		}
		for i := range n {
			out.i64[i] = int64(c.in[0].shape[lo+i])
		}
		return nil
	}), nil
}

func size(c *call) error {
	out, err := c.make(0, Int64)
	if err != nil {
		return err
	}
	out.i64[0] = int64(c.in[0].len())
	return nil
}

// buildConstant makes the tensor of whichever attribute there is.
func buildConstant(d *decl) (op, error) {
	t := d.tensor("value")
	switch {
	case t != nil:
	case d.has("value_float"):
		t = &tensor{typ: Float, f32: []float32{d.float("value_float", 0)}}
	case d.has("value_floats"):
		v := d.floats("value_floats")
		t = &tensor{typ: Float, f32: v, shape: []int{len(v)}}
	case d.has("value_int"):
		t = &tensor{typ: Int64, i64: []int64{d.int("value_int", 0)}}
	case d.has("value_ints"):
		v := d.ints("value_ints")
		t = &tensor{typ: Int64, i64: v, shape: []int{len(v)}}
	case d.has("value_string"):
		t = &tensor{typ: String, s: []string{d.word("value_string", "")}}
	case d.has("value_strings"):
		v := d.strings("value_strings")
		t = &tensor{typ: String, s: v, shape: []int{len(v)}}
	default:
		return nil, refuse("it has no value")
	}
	if !t.typ.known() {
		return nil, wrongType(t)
	}
	return always(func(c *call) error {
		c.out[0].alias(t, t.shape)
		return nil
	}), nil
}

func buildConstantOfShape(d *decl) (op, error) {
	value := d.tensor("value")
	if value == nil {
		value = &tensor{typ: Float, f32: []float32{0}}
	}
	if value.len() != 1 || !value.typ.known() {
		return nil, refuse("its value is no scalar of a supported type")
	}
	return always(func(c *call) error {
		shape, err := c.in[0].ints(c.index[:0])
		if err != nil {
			return err
		}
		c.index = shape
		if len(shape) > maxDims {
			return refuse("%d dimensions", len(shape))
		}
		out, err := c.make(0, value.typ, shape...)
		if err != nil {
			return err
		}
		for i := range out.len() {
			move(out, i, value, 0, 1)
		}
		return nil
	}), nil
}

func ranged(c *call) error {
	for _, x := range c.in {
		if x.len() != 1 || x.typ != c.in[0].typ || x.typ == String || x.typ == Bool {
			return refuse("its bounds are no scalars of one numeric type")
		}
	}
	start, limit, delta := c.in[0].at(0), c.in[1].at(0), c.in[2].at(0)
	n := math.Ceil((limit - start) / delta)
	if !(math.Abs(n) < 1<<31) {
		return refuse("a range from %v to %v by %v", start, limit, delta)
	}
	out, err := c.make(0, c.in[0].typ, max(0, int(n)))
	if err != nil {
		return err
	}
	for i := range out.len() {
		out.set(i, start+float64(float64(i)*delta))
	}
	return nil
}

func buildEyeLike(d *decl) (op, error) {
	k, given := d.int("k", 0), d.has("dtype")
	typ := Type(min(uint64(d.int("dtype", int64(Float))), 255))
	return always(func(c *call) error {
		x, typ := c.in[0], typ
		if !given {
			typ = x.typ
		}
		if x.rank() != 2 || typ == String {
			return refuse("a tensor of rank %d and type %s", x.rank(), typ)
		}
		out, err := c.make(0, typ, x.shape...)
		if err != nil {
			return err
		}
		for i := range out.len() {
			v := 0.0
			if int64(i%x.shape[1]-i/x.shape[1]) == k {
				v = 1
			}
			out.set(i, v)
		}
		return nil
	}), nil
}

func buildOneHot(d *decl) (op, error) {
	axis := d.int("axis", -1)
	return always(func(c *call) error {
		indices, depth, values := c.in[0], c.in[1], c.in[2]
		if indices.typ == String || indices.typ == Bool || depth.len() != 1 || depth.typ == String || values.len() != 2 {
			return refuse("its inputs are no indices, depth and pair of values")
		}
		n := int(truncate(depth.at(0)))
		a, err := axisOf(axis, indices.rank()+1)
		if err != nil {
			return err
		}
		if n <= 0 || n > math.MaxInt32 || indices.rank() == maxDims {
			return refuse("a depth of %d", n)
		}
		outer, inner := elements(indices.shape[:a]), elements(indices.shape[a:])
		c.index = append(append(append(c.index[:0], indices.shape[:a]...), n), indices.shape[a:]...)
		out, err := c.make(0, values.typ, c.index...)
		if err != nil {
			return err
		}
		for i := range out.len() {
			move(out, i, values, 0, 1)
		}
		for o := range outer {
			for i := range inner {
				at := truncate(indices.at(o*inner + i))
				if at < 0 {
					at += int64(n)
				}
				if at >= 0 && at < int64(n) {
					move(out, (o*n+int(at))*inner+i, values, 1, 1)
				}
			}
		}
		return nil
	}), nil
}
