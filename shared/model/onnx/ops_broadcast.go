package onnx

import "math"

// each2 computes an output from two inputs that are broadcast together.
func each2[A, R element](c *call, f func(a, b A) R) error {
	x, y, out := c.in[0], c.in[1], c.out[0]
	shape, err := broadcast(out.shape, x.shape, y.shape)
	if err != nil {
		return err
	}
	if out, err = c.make(0, typeOf[R](), shape...); err != nil {
		return err
	}
	a, b, to := vec[A](x), vec[A](y), vec[R](out)
	switch {
	case len(to) == len(a) && len(to) == len(b):
		for i := range to {
			to[i] = f(a[i], b[i])
		}
	case len(b) == 1 && len(a) == len(to):
		for i, v := range a {
			to[i] = f(v, b[0])
		}
	case len(a) == 1 && len(b) == len(to):
		for i, v := range b {
			to[i] = f(a[0], v)
		}
	default:
		c.spread(out.shape, func(k int, from, step [3]int, n int) {
			i, j := from[0], from[1]
			for o := k; o < k+n; o++ {
				to[o] = f(a[i], b[j])
				i += step[0]
				j += step[1]
			}
		}, x, y)
	}
	return nil
}

func alike(c *call) error {
	if c.in[0].typ != c.in[1].typ {
		return refuse("its inputs are %s and %s", c.in[0].typ, c.in[1].typ)
	}
	return nil
}

func arithmetic(f32 func(a, b float32) float32, f64 func(a, b float64) float64, i32 func(a, b int32) int32, i64 func(a, b int64) int64) func(*decl) (op, error) {
	return plain(func(c *call) error {
		if err := alike(c); err != nil {
			return err
		}
		switch c.in[0].typ {
		case Float:
			return each2(c, f32)
		case Double:
			return each2(c, f64)
		case Int32:
			return each2(c, i32)
		case Int64:
			return each2(c, i64)
		}
		return wrongType(c.in[0])
	})
}

func comparison(f32 func(a, b float32) bool, f64 func(a, b float64) bool, i32 func(a, b int32) bool, i64 func(a, b int64) bool) func(*decl) (op, error) {
	return plain(func(c *call) error {
		if err := alike(c); err != nil {
			return err
		}
		switch c.in[0].typ {
		case Float:
			return each2(c, f32)
		case Double:
			return each2(c, f64)
		case Int32:
			return each2(c, i32)
		case Int64:
			return each2(c, i64)
		}
		return wrongType(c.in[0])
	})
}

func equal(c *call) error {
	if err := alike(c); err != nil {
		return err
	}
	switch c.in[0].typ {
	case Float:
		return each2(c, same[float32])
	case Double:
		return each2(c, same[float64])
	case Int32:
		return each2(c, same[int32])
	case Int64:
		return each2(c, same[int64])
	case Bool:
		return each2(c, same[bool])
	case String:
		return each2(c, same[string])
	}
	return wrongType(c.in[0])
}

func logic(f func(a, b bool) bool) func(*decl) (op, error) {
	return plain(func(c *call) error {
		if c.in[0].typ != Bool || c.in[1].typ != Bool {
			return wrongType(c.in[0])
		}
		return each2(c, f)
	})
}

// buildDiv divides; integers refuse a zero, which no processor divides by.
func buildDiv(d *decl) (op, error) {
	return always(func(c *call) error {
		if err := alike(c); err != nil {
			return err
		}
		switch c.in[0].typ {
		case Float:
			return each2(c, div[float32])
		case Double:
			return each2(c, div[float64])
		case Int32, Int64:
			if err := nonzero(c.in[1]); err != nil {
				return err
			}
			if c.in[0].typ == Int32 {
				return each2(c, div[int32])
			}
			return each2(c, div[int64])
		}
		return wrongType(c.in[0])
	}), nil
}

func nonzero(t *tensor) error {
	for i := range t.len() {
		if t.at(i) == 0 {
			return refuse("integer division by zero")
		}
	}
	return nil
}

// buildMod takes the sign of the divisor, with fmod that of the dividend.
func buildMod(d *decl) (op, error) {
	fmod := d.int("fmod", 0) != 0
	return always(func(c *call) error {
		if err := alike(c); err != nil {
			return err
		}
		switch typ := c.in[0].typ; {
		case typ == Float && fmod:
			return each2(c, func(a, b float32) float32 { return float32(math.Mod(float64(a), float64(b))) })
		case typ == Double && fmod:
			return each2(c, math.Mod)
		case typ != Int32 && typ != Int64:
			return wrongType(c.in[0])
		}
		if err := nonzero(c.in[1]); err != nil {
			return err
		}
		if c.in[0].typ == Int32 {
			return each2(c, modulo[int32](fmod))
		}
		return each2(c, modulo[int64](fmod))
	}), nil
}

func modulo[T int32 | int64](fmod bool) func(a, b T) T {
	if fmod {
		return func(a, b T) T { return a % b }
	}
	return func(a, b T) T {
		m := a % b
		if m != 0 && (m < 0) != (b < 0) {
			m += b
		}
		return m
	}
}

// power takes exponents of any numeric type; the answer has the base's.
func power(c *call) error {
	x, y, out := c.in[0], c.in[1], c.out[0]
	if x.typ == Bool || x.typ == String || y.typ == Bool || y.typ == String {
		return wrongType(x)
	}
	shape, err := broadcast(out.shape, x.shape, y.shape)
	if err != nil {
		return err
	}
	if out, err = c.make(0, x.typ, shape...); err != nil {
		return err
	}
	c.spread(out.shape, func(k int, from, step [3]int, n int) {
		i, j := from[0], from[1]
		for o := k; o < k+n; o++ {
			out.set(o, pow(x.at(i), y.at(j)))
			i += step[0]
			j += step[1]
		}
	}, x, y)
	return nil
}

func where(c *call) error {
	x := c.in[1]
	if c.in[0].typ != Bool || x.typ != c.in[2].typ {
		return refuse("its inputs are %s, %s and %s", c.in[0].typ, x.typ, c.in[2].typ)
	}
	switch x.typ {
	case Float:
		return choose[float32](c)
	case Double:
		return choose[float64](c)
	case Int32:
		return choose[int32](c)
	case Int64:
		return choose[int64](c)
	case Bool:
		return choose[bool](c)
	case String:
		return choose[string](c)
	}
	return wrongType(x)
}

func choose[T element](c *call) error {
	out := c.out[0]
	shape, err := broadcast(c.index, c.in[0].shape, c.in[1].shape)
	if err != nil {
		return err
	}
	c.index = shape
	if shape, err = broadcast(out.shape, shape, c.in[2].shape); err != nil {
		return err
	}
	if out, err = c.make(0, typeOf[T](), shape...); err != nil {
		return err
	}
	cond, a, b, to := c.in[0].b, vec[T](c.in[1]), vec[T](c.in[2]), vec[T](out)
	c.spread(out.shape, func(k int, from, step [3]int, n int) {
		for o := range n {
			if cond[from[0]+o*step[0]] {
				to[k+o] = a[from[1]+o*step[1]]
			} else {
				to[k+o] = b[from[2]+o*step[2]]
			}
		}
	}, c.in...)
	return nil
}

// several folds any number of inputs, left to right.
func several(f32 func(a, b float32) float32, f64 func(a, b float64) float64, i32 func(a, b int32) int32, i64 func(a, b int64) int64, mean bool) func(*decl) (op, error) {
	return plain(func(c *call) error {
		for _, x := range c.in {
			if x == nil || x.typ != c.in[0].typ {
				return refuse("its inputs are not of one type")
			}
		}
		switch c.in[0].typ {
		case Float:
			return fold(c, f32, mean)
		case Double:
			return fold(c, f64, mean)
		case Int32:
			return fold(c, i32, mean)
		case Int64:
			return fold(c, i64, mean)
		}
		return wrongType(c.in[0])
	})
}

func fold[T number](c *call, f func(a, b T) T, mean bool) error {
	out := c.out[0]
	shape := append(out.shape[:0], c.in[0].shape...)
	for _, x := range c.in[1:] {
		merged, err := broadcast(c.index, shape, x.shape)
		if err != nil {
			return err
		}
		c.index = merged
		shape = append(shape[:0], merged...)
	}
	out, err := c.make(0, typeOf[T](), shape...)
	if err != nil {
		return err
	}
	to := vec[T](out)
	for k, x := range c.in {
		from := vec[T](x)
		c.spread(out.shape, func(o int, at, step [3]int, n int) {
			i := at[0]
			for e := o; e < o+n; e++ {
				if k == 0 {
					to[e] = from[i]
				} else {
					to[e] = f(to[e], from[i])
				}
				i += step[0]
			}
		}, x)
	}
	if mean {
		for i := range to {
			to[i] /= T(len(c.in))
		}
	}
	return nil
}

// buildBatchNormalization scales by statistics that training left.
func buildBatchNormalization(d *decl) (op, error) {
	epsilon := float64(d.float("epsilon", 1e-5))
	d.float("momentum", 0)
	if d.int("training_mode", 0) != 0 || len(d.outputs) > 1 {
		return nil, refuse("training mode is not supported")
	}
	return always(func(c *call) error {
		x := c.in[0]
		if x.typ != Float && x.typ != Double || x.rank() < 2 {
			return wrongType(x)
		}
		for _, p := range c.in[1:] {
			if p.typ == String || p.len() != x.shape[1] {
				return refuse("%d statistics for %d channels", p.len(), x.shape[1])
			}
		}
		out, err := c.make(0, x.typ, x.shape...)
		if err != nil {
			return err
		}
		outer, channels, inner := split(x.shape, 1)
		for o := range outer {
			for k := range channels {
				factor := c.in[1].at(k) / math.Sqrt(c.in[4].at(k)+epsilon)
				for i := range inner {
					e := (o*channels+k)*inner + i
					out.set(e, float64((x.at(e)-c.in[3].at(k))*factor)+c.in[2].at(k))
				}
			}
		}
		return nil
	}), nil
}
