package onnx

import "math"

// listed returns a list of integers that is an attribute in old operator sets
// and an input in new ones; given says whether it is there.
type listed struct {
	attr  []int64
	given bool
	input int
	memo  []int
}

func list(d *decl, name string, input int) listed {
	l := listed{attr: d.ints(name), given: d.has(name), input: input}
	return l
}

func (l *listed) read(c *call) (values []int, given bool, err error) {
	l.memo = l.memo[:0]
	if l.given {
		for _, v := range l.attr {
			l.memo = append(l.memo, int(v))
		}
		return l.memo, true, nil
	}
	if l.input >= len(c.in) || c.in[l.input] == nil {
		return nil, false, nil
	}
	l.memo, err = c.in[l.input].ints(l.memo)
	return l.memo, true, err
}

// axes brings possibly negative axes into range, as a set.
func axes(values []int, rank int) (set uint64, err error) {
	for _, v := range values {
		a, err := axisOf(int64(v), rank)
		if err != nil {
			return 0, err
		}
		set |= 1 << a
	}
	return set, nil
}

// reshape gives the output the input's elements under the shape in c.index.
func reshape(c *call, shape []int) error {
	for _, d := range shape {
		if d < 0 {
			return refuse("a dimension of %d", d)
		}
	}
	if n := elements(shape); n != c.in[0].len() || len(shape) > maxDims {
		return refuse("%d elements do not fill shape %v", c.in[0].len(), append([]int(nil), shape...))
	}
	c.out[0].alias(c.in[0], shape)
	return nil
}

func buildReshape(d *decl) (op, error) {
	allowZero := d.int("allowzero", 0) != 0
	return always(func(c *call) error {
		shape, err := c.in[1].ints(c.index[:0])
		if err != nil {
			return err
		}
		c.index = shape
		free, known := -1, 1
		for i, v := range shape {
			switch {
			case v == 0 && !allowZero:
				if i >= c.in[0].rank() {
					return refuse("shape %v keeps a dimension that is not there", append([]int(nil), shape...))
				}
				shape[i] = c.in[0].shape[i]
			case v == -1 && free < 0:
				free = i
				continue
			case v < 0 || v > math.MaxInt32:
				return refuse("shape %v", append([]int(nil), shape...))
			}
			known *= shape[i]
			if known > math.MaxInt32 {
				return refuse("a shape of more than %d elements", math.MaxInt32)
			}
		}
		if free >= 0 {
			if known == 0 || c.in[0].len()%known != 0 {
				return refuse("%d elements do not divide by %d", c.in[0].len(), known)
			}
			shape[free] = c.in[0].len() / known
		}
		return reshape(c, shape)
	}), nil
}

func buildFlatten(d *decl) (op, error) {
	axis := d.int("axis", 1)
	return always(func(c *call) error {
		a := int(axis)
		if axis < 0 {
			a += c.in[0].rank()
		}
		if a < 0 || a > c.in[0].rank() {
			return refuse("axis %d of a tensor of rank %d", axis, c.in[0].rank())
		}
		shape := c.in[0].shape
		c.index = append(c.index[:0], elements(shape[:a]), elements(shape[a:]))
		return reshape(c, c.index)
	}), nil
}

func buildSqueeze(d *decl) (op, error) {
	which := list(d, "axes", 1)
	return func() kernel {
		which := which
		return func(c *call) error {
			values, given, err := which.read(c)
			if err != nil {
				return err
			}
			set, err := axes(values, c.in[0].rank())
			if err != nil {
				return err
			}
			c.index = c.index[:0]
			for i, v := range c.in[0].shape {
				drop := set>>i&1 != 0
				if drop && v != 1 {
					return refuse("dimension %d is %d, not 1", i, v)
				}
				if !drop && (given || v != 1) {
					c.index = append(c.index, v)
				}
			}
			return reshape(c, c.index)
		}
	}, nil
}

func buildUnsqueeze(d *decl) (op, error) {
	which := list(d, "axes", 1)
	return func() kernel {
		which := which
		return func(c *call) error {
			values, given, err := which.read(c)
			if err != nil {
				return err
			}
			rank := c.in[0].rank() + len(values)
			if !given || rank > maxDims {
				return refuse("it has no axes, or too many")
			}
			set, err := axes(values, rank)
			if err != nil {
				return err
			}
			c.index = c.index[:0]
			rest := c.in[0].shape
			for i := range rank {
				switch {
				case set>>i&1 != 0:
					c.index = append(c.index, 1)
				case len(rest) == 0:
					return refuse("its axes are there twice")
				default:
					c.index = append(c.index, rest[0])
					rest = rest[1:]
				}
			}
			return reshape(c, c.index)
		}
	}, nil
}

// take fills output 0, of the given shape, with elements of input 0: element
// i is element from(i).
func take(c *call, shape []int, from func(i int) int) error {
	x := c.in[0]
	out, err := c.make(0, x.typ, shape...)
	if err != nil {
		return err
	}
	switch x.typ {
	case Float:
		takeOf(x.f32, out.f32, from)
	case Double:
		takeOf(x.f64, out.f64, from)
	case Int32:
		takeOf(x.i32, out.i32, from)
	case Int64:
		takeOf(x.i64, out.i64, from)
	case Bool:
		takeOf(x.b, out.b, from)
	case String:
		takeOf(x.s, out.s, from)
	}
	return nil
}

func takeOf[T any](x, to []T, from func(int) int) {
	for i := range to {
		to[i] = x[from(i)]
	}
}

// pick copies, for each of outer blocks of size runs of inner elements, the runs
// of the given numbers.
func pick(to, x *tensor, outer, size, inner int, at []int) {
	switch x.typ {
	case Float:
		pickOf(to.f32, x.f32, outer, size, inner, at)
	case Double:
		pickOf(to.f64, x.f64, outer, size, inner, at)
	case Int32:
		pickOf(to.i32, x.i32, outer, size, inner, at)
	case Int64:
		pickOf(to.i64, x.i64, outer, size, inner, at)
	case Bool:
		pickOf(to.b, x.b, outer, size, inner, at)
	case String:
		pickOf(to.s, x.s, outer, size, inner, at)
	}
}

func pickOf[T any](to, x []T, outer, size, inner int, at []int) {
	for ; outer > 0; outer-- {
		for k, i := range at {
			if inner == 1 { // a column of a table, mostly
				to[k] = x[i]
			} else {
				copy(to[k*inner:][:inner], x[i*inner:])
			}
		}
		to, x = to[len(at)*inner:], x[size*inner:]
	}
}

// spaced copies count runs of n elements to places that lie stride apart, the
// first at to.
func spaced(out *tensor, to, stride int, x *tensor, n, count int) {
	switch x.typ {
	case Float:
		spacedOf(out.f32, to, stride, x.f32, n, count)
	case Double:
		spacedOf(out.f64, to, stride, x.f64, n, count)
	case Int32:
		spacedOf(out.i32, to, stride, x.i32, n, count)
	case Int64:
		spacedOf(out.i64, to, stride, x.i64, n, count)
	case Bool:
		spacedOf(out.b, to, stride, x.b, n, count)
	case String:
		spacedOf(out.s, to, stride, x.s, n, count)
	}
}

func spacedOf[T any](out []T, to, stride int, x []T, n, count int) {
	for i := range count {
		copy(out[to+i*stride:][:n], x[i*n:][:n])
	}
}

// move copies n elements.
func move(to *tensor, at int, x *tensor, from, n int) {
	switch x.typ {
	case Float:
		copy(to.f32[at:at+n], x.f32[from:])
	case Double:
		copy(to.f64[at:at+n], x.f64[from:])
	case Int32:
		copy(to.i32[at:at+n], x.i32[from:])
	case Int64:
		copy(to.i64[at:at+n], x.i64[from:])
	case Bool:
		copy(to.b[at:at+n], x.b[from:])
	case String:
		copy(to.s[at:at+n], x.s[from:])
	}
}

// walk fills the output of a shape by strides into the input: element
// (i, j, …) is from offset + i·step[0] + j·step[1] + …
func walk(c *call, shape, step []int, offset int) error {
	rank := len(shape)
	c.third = append(c.third[:0], shape...)
	clear(c.third)
	at, index := offset, c.third
	return take(c, shape, func(int) int {
		now := at
		for d := rank - 1; d >= 0; d-- {
			index[d]++
			at += step[d]
			if index[d] < shape[d] {
				break
			}
			at -= step[d] * shape[d]
			index[d] = 0
		}
		return now
	})
}

func buildTranspose(d *decl) (op, error) {
	perm := d.ints("perm")
	return always(func(c *call) error {
		x := c.in[0]
		rank := x.rank()
		c.first = strides(c.first, x.shape, x.shape)
		for i, v := range x.shape { // a dimension of 1 has a stride like any
			if v == 1 {
				c.first[i] = 0
			}
		}
		c.second, c.index = c.second[:0], c.index[:0]
		if perm != nil && len(perm) != rank {
			return refuse("perm %v for a tensor of rank %d", perm, rank)
		}
		seen := uint64(0)
		for i := range rank {
			a := rank - 1 - i
			if perm != nil {
				var err error
				if a, err = axisOf(perm[i], rank); err != nil {
					return err
				}
			}
			if seen>>a&1 != 0 {
				return refuse("perm %v has an axis twice", perm)
			}
			seen |= 1 << a
			c.index = append(c.index, x.shape[a])
			c.second = append(c.second, c.first[a])
		}
		return walk(c, c.index, c.second, 0)
	}), nil
}

func buildConcat(d *decl) (op, error) {
	if !d.has("axis") {
		return nil, refuse("it names no axis")
	}
	axis := d.int("axis", 0)
	return always(func(c *call) error {
		first := c.in[0]
		a, err := axisOf(axis, first.rank())
		if err != nil {
			return err
		}
		c.index = append(c.index[:0], first.shape...)
		for _, x := range c.in[1:] {
			if x == nil || x.typ != first.typ || x.rank() != first.rank() {
				return refuse("its inputs differ in type or rank")
			}
			for i, v := range x.shape {
				if i == a {
					c.index[a] += v
				} else if v != c.index[i] {
					return refuse("its inputs differ in dimension %d: %d and %d", i, c.index[i], v)
				}
			}
		}
		out, err := c.make(0, first.typ, c.index...)
		if err != nil {
			return err
		}
		outer, _, inner := split(out.shape, a)
		stride, to := c.index[a]*inner, 0
		for _, x := range c.in {
			n := x.shape[a] * inner
			spaced(out, to, stride, x, n, outer)
			to += n
		}
		return nil
	}), nil
}

func buildSplit(d *decl) (op, error) {
	axis := d.int("axis", 0)
	sizes := list(d, "split", 1)
	parts := len(d.outputs)
	if n := d.int("num_outputs", int64(parts)); n != int64(parts) {
		return nil, refuse("num_outputs is %d for %d outputs", n, parts)
	}
	return func() kernel {
		sizes := sizes
		return func(c *call) error {
			x := c.in[0]
			a, err := axisOf(axis, x.rank())
			if err != nil {
				return err
			}
			by, given, err := sizes.read(c)
			if err != nil {
				return err
			}
			outer, total, inner := split(x.shape, a)
			if !given {
				each := (total + parts - 1) / parts
				for i := range parts {
					by = append(by, max(0, min(each, total-i*each)))
				}
			}
			if len(by) != parts {
				return refuse("%d sizes for %d outputs", len(by), parts)
			}
			at := 0
			for k, size := range by {
				if size < 0 || at+size > total {
					return refuse("its sizes do not add up to %d", total)
				}
				c.index = append(c.index[:0], x.shape...)
				c.index[a] = size
				out, err := c.make(k, x.typ, c.index...)
				if err != nil {
					return err
				}
				for o := range outer {
					move(out, o*size*inner, x, (o*total+at)*inner, size*inner)
				}
				at += size
			}
			if at != total {
				return refuse("its sizes do not add up to %d", total)
			}
			return nil
		}
	}, nil
}
