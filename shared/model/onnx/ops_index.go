package onnx

import "math"

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
			pick(out, x, outer, size, inner, at)
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
