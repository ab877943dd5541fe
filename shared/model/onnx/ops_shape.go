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

// byType calls the function for x's type.
func byType(x *tensor, f32, f64, i32, i64, b, s func() error) error {
	switch x.typ {
	case Float:
		return f32()
	case Double:
		return f64()
	case Int32:
		return i32()
	case Int64:
		return i64()
	case Bool:
		return b()
	case String:
		return s()
	}
	return wrongType(x)
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
		to := 0
		for o := range outer {
			for _, x := range c.in {
				n := x.shape[a] * inner
				move(out, to, x, o*n, n)
				to += n
			}
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

func buildSlice(d *decl) (op, error) {
	if d.opset < 10 && len(d.inputs) > 1 || d.opset >= 10 && len(d.inputs) < 3 {
		return nil, refuse("%d inputs in operator set %d", len(d.inputs), d.opset)
	}
	lists := [4]listed{list(d, "starts", 1), list(d, "ends", 2), list(d, "axes", 3), {input: 4}}
	return func() kernel {
		lists := lists
		return func(c *call) error {
			x := c.in[0]
			var values [4][]int
			for i := range lists {
				var err error
				if values[i], _, err = lists[i].read(c); err != nil {
					return err
				}
			}
			starts, ends, on, steps := values[0], values[1], values[2], values[3]
			if len(starts) != len(ends) || on != nil && len(on) != len(starts) || steps != nil && len(steps) != len(starts) || on == nil && len(starts) > x.rank() {
				return refuse("its starts, ends, axes and steps differ in length")
			}
			c.first = strides(c.first, x.shape, x.shape)
			c.index = append(c.index[:0], x.shape...)
			offset, seen := 0, uint64(0)
			for i := range starts {
				a, step := i, 1
				if on != nil {
					var err error
					if a, err = axisOf(int64(on[i]), x.rank()); err != nil {
						return err
					}
				}
				if seen>>a&1 != 0 {
					return refuse("it slices axis %d twice", a)
				}
				seen |= 1 << a
				if steps != nil {
					step = steps[i]
				}
				first, n, err := bounds(starts[i], ends[i], step, x.shape[a])
				if err != nil {
					return err
				}
				offset += first * c.first[a]
				c.first[a] *= step
				c.index[a] = n
			}
			return walk(c, c.index, c.first, offset)
		}
	}, nil
}

// bounds returns the first index and the number of indices of a slice of size
// elements.
func bounds(start, end, step, size int) (first, n int, err error) {
	clamp := func(v, lo, hi int) int {
		if v < 0 && v > math.MinInt64/2 {
			v += size
		}
		return max(lo, min(hi, v))
	}
	switch {
	case step == 0 || step == math.MinInt64:
		return 0, 0, refuse("a step of %d", step)
	case step > 0:
		lo, hi := clamp(start, 0, size), clamp(end, 0, size)
		if hi > lo {
			return lo, (hi-lo-1)/step + 1, nil
		}
	default:
		lo, hi := clamp(start, -1, size-1), clamp(end, -1, size-1)
		if lo > hi {
			return lo, (lo-hi-1)/-step + 1, nil
		}
	}
	return 0, 0, nil
}

// position brings an index, which may count from the end, into range.
func position(i, size int) (int, error) {
	if i < -size || i >= size {
		return 0, refuse("index %d of %d", i, size)
	}
	if i < 0 {
		i += size
	}
	return i, nil
}

func buildGather(d *decl) (op, error) {
	axis := d.int("axis", 0)
	return func() kernel {
		var at []int
		return func(c *call) error {
			x := c.in[0]
			a, err := axisOf(axis, x.rank())
			if err != nil {
				return err
			}
			if at, err = c.in[1].ints(at[:0]); err != nil {
				return err
			}
			outer, size, inner := split(x.shape, a)
			for i, v := range at {
				if at[i], err = position(v, size); err != nil {
					return err
				}
			}
			c.index = append(append(append(c.index[:0], x.shape[:a]...), c.in[1].shape...), x.shape[a+1:]...)
			out, err := c.make(0, x.typ, c.index...)
			if err != nil {
				return err
			}
			to := 0
			for o := range outer {
				for _, i := range at {
					move(out, to, x, (o*size+i)*inner, inner)
					to += inner
				}
			}
			return nil
		}
	}, nil
}

func buildGatherElements(d *decl) (op, error) {
	axis := d.int("axis", 0)
	return func() kernel {
		var at []int
		return func(c *call) error {
			x, by := c.in[0], c.in[1]
			a, err := axisOf(axis, x.rank())
			if err != nil {
				return err
			}
			if by.rank() != x.rank() {
				return refuse("indices of rank %d for a tensor of rank %d", by.rank(), x.rank())
			}
			for i := range x.shape {
				if i != a && by.shape[i] > x.shape[i] {
					return refuse("indices of shape %v for a tensor of shape %v", by.shape, x.shape)
				}
			}
			if at, err = by.ints(at[:0]); err != nil {
				return err
			}
			for i, v := range at {
				if at[i], err = position(v, x.shape[a]); err != nil {
					return err
				}
			}
			c.first = strides(c.first, x.shape, x.shape)
			return take(c, by.shape, func(i int) int {
				from, rest := 0, i
				for d := by.rank() - 1; d >= 0; d-- {
					k := rest % by.shape[d]
					rest /= by.shape[d]
					if d == a {
						k = at[i]
					}
					from += k * c.first[d]
				}
				return from
			})
		}
	}, nil
}

func buildGatherND(d *decl) (op, error) {
	if d.int("batch_dims", 0) != 0 {
		return nil, refuse("batch_dims is not supported")
	}
	return func() kernel {
		var at []int
		return func(c *call) error {
			x, by := c.in[0], c.in[1]
			if by.rank() < 1 || by.shape[by.rank()-1] > x.rank() {
				return refuse("indices of shape %v for a tensor of shape %v", by.shape, x.shape)
			}
			depth := by.shape[by.rank()-1]
			var err error
			if at, err = by.ints(at[:0]); err != nil {
				return err
			}
			c.index = append(append(c.index[:0], by.shape[:by.rank()-1]...), x.shape[depth:]...)
			out, err := c.make(0, x.typ, c.index...)
			if err != nil {
				return err
			}
			inner := elements(x.shape[depth:])
			for k := range elements(by.shape[:by.rank()-1]) {
				from := 0
				for d := range depth {
					i, err := position(at[k*depth+d], x.shape[d])
					if err != nil {
						return err
					}
					from = from*x.shape[d] + i
				}
				move(out, k*inner, x, from*inner, inner)
			}
			return nil
		}
	}, nil
}

func tile(c *call) error {
	x := c.in[0]
	by, err := c.in[1].ints(c.index[:0])
	if err != nil {
		return err
	}
	c.index = by
	if len(by) != x.rank() {
		return refuse("%d repeats for a tensor of rank %d", len(by), x.rank())
	}
	c.second = append(c.second[:0], by...)
	for i, v := range by {
		if v < 0 || v > math.MaxInt32 {
			return refuse("%d repeats", v)
		}
		c.second[i] = v * x.shape[i]
	}
	c.first = strides(c.first, x.shape, x.shape)
	shape := c.second
	return take(c, shape, func(i int) int {
		from := 0
		for d := len(shape) - 1; d >= 0; d-- {
			from += i % shape[d] % x.shape[d] * c.first[d]
			i /= shape[d]
		}
		return from
	})
}

func expand(c *call) error {
	x := c.in[0]
	to, err := c.in[1].ints(c.index[:0])
	if err != nil {
		return err
	}
	c.index = to
	if len(to) > maxDims {
		return refuse("%d dimensions", len(to))
	}
	shape, err := broadcast(c.second, x.shape, to)
	if err != nil {
		return err
	}
	c.second = shape
	c.first = strides(c.first, x.shape, shape)
	return walk(c, shape, c.first, 0)
}

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
