package onnx

import (
	"cmp"
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/model/stablemath"
)

// reducer folds elements in their order: into state from first, then last is
// taken of it. Floats fold in float64.
type reducer struct {
	first float64
	step  func(sum, x float64) float64
	last  func(sum float64, n int) float64
	top   bool // step gets x less the largest element, which last adds again
}

func plainly(sum float64, _ int) float64 { return sum }

var (
	reduceSum       = reducer{0, func(s, x float64) float64 { return s + x }, plainly, false}
	reduceMean      = reducer{0, func(s, x float64) float64 { return s + x }, func(s float64, n int) float64 { return s / float64(n) }, false}
	reduceMax       = reducer{math.Inf(-1), larger[float64], plainly, false}
	reduceMin       = reducer{math.Inf(1), smaller[float64], plainly, false}
	reduceProd      = reducer{1, func(s, x float64) float64 { return s * x }, plainly, false}
	reduceSumSquare = reducer{0, func(s, x float64) float64 { return s + float64(x*x) }, plainly, false}
	reduceL1        = reducer{0, func(s, x float64) float64 { return s + math.Abs(x) }, plainly, false}
	reduceL2        = reducer{0, func(s, x float64) float64 { return s + float64(x*x) }, func(s float64, _ int) float64 { return math.Sqrt(s) }, false}
	reduceLogSum    = reducer{0, func(s, x float64) float64 { return s + x }, func(s float64, _ int) float64 { return stablemath.Log(s) }, false}
	reduceLogSumExp = reducer{0, func(s, x float64) float64 { return s + stablemath.Exp(x) }, func(s float64, _ int) float64 { return stablemath.Log(s) }, true}
)

func reduction(r reducer) func(*decl) (op, error) {
	return func(d *decl) (op, error) {
		which := list(d, "axes", 1)
		keep, noop := d.int("keepdims", 1) != 0, d.int("noop_with_empty_axes", 0) != 0
		return func() kernel {
			which := which
			var sums, tops []float64
			return func(c *call) error {
				x := c.in[0]
				if x.typ == String || x.typ == Bool {
					return wrongType(x)
				}
				values, _, err := which.read(c)
				if err != nil {
					return err
				}
				if len(values) == 0 && noop {
					return identity(c)
				}
				set, err := axes(values, x.rank())
				if err != nil {
					return err
				}
				if len(values) == 0 {
					set = 1<<x.rank() - 1
				}
				// c.first has, for each dimension of x, how far apart its
				// elements' sums lie.
				c.first = append(c.first[:0], x.shape...)
				c.index = c.index[:0]
				groups := 1
				for i := x.rank() - 1; i >= 0; i-- {
					c.first[i] = 0
					if set>>i&1 == 0 {
						c.first[i] = groups
						groups *= x.shape[i]
					}
				}
				for i, v := range x.shape {
					if set>>i&1 == 0 {
						c.index = append(c.index, v)
					} else if keep {
						c.index = append(c.index, 1)
					}
				}
				out, err := c.make(0, x.typ, c.index...)
				if err != nil {
					return err
				}
				sums = room(sums, groups)
				if r.top {
					tops = room(tops, groups)
					for i := range tops {
						tops[i] = math.Inf(-1)
					}
					c.groups(x, func(i, g int) { tops[g] = max(tops[g], x.at(i)) })
					for i, v := range tops {
						if math.IsInf(v, 0) || v != v {
							tops[i] = 0
						}
					}
				}
				for i := range sums {
					sums[i] = r.first
				}
				c.groups(x, func(i, g int) {
					v := x.at(i)
					if r.top {
						v -= tops[g]
					}
					sums[g] = r.step(sums[g], v)
				})
				n := 0
				if groups > 0 {
					n = x.len() / groups
				}
				for i, v := range sums {
					v = r.last(v, n)
					if r.top {
						v += tops[i]
					}
					out.set(i, v)
				}
				return nil
			}
		}, nil
	}
}

// groups visits the elements of x in order with the group that c.first
// counts them to.
func (c *call) groups(x *tensor, visit func(i, group int)) {
	c.second = append(c.second[:0], x.shape...)
	clear(c.second)
	g := 0
	for i := range x.len() {
		visit(i, g)
		for d := len(x.shape) - 1; d >= 0; d-- {
			c.second[d]++
			g += c.first[d]
			if c.second[d] < x.shape[d] {
				break
			}
			g -= c.first[d] * x.shape[d]
			c.second[d] = 0
		}
	}
}

func buildArg(largest bool) func(*decl) (op, error) {
	return func(d *decl) (op, error) {
		axis, keep, latest := d.int("axis", 0), d.int("keepdims", 1) != 0, d.int("select_last_index", 0) != 0
		return always(func(c *call) error {
			x := c.in[0]
			if x.typ == String || x.typ == Bool {
				return wrongType(x)
			}
			a, err := axisOf(axis, x.rank())
			if err != nil {
				return err
			}
			outer, n, inner := split(x.shape, a)
			if n == 0 {
				return refuse("no elements to choose from")
			}
			c.index = append(c.index[:0], x.shape[:a]...)
			if keep {
				c.index = append(c.index, 1)
			}
			c.index = append(c.index, x.shape[a+1:]...)
			out, err := c.make(0, Int64, c.index...)
			if err != nil {
				return err
			}
			for o := range outer {
				for i := range inner {
					best := 0
					top := x.at(o*n*inner + i)
					for k := 1; k < n; k++ {
						v := x.at((o*n+k)*inner + i)
						if largest && v > top || !largest && v < top || latest && v == top {
							best, top = k, v
						}
					}
					out.i64[o*inner+i] = int64(best)
				}
			}
			return nil
		}), nil
	}
}

func buildCumSum(d *decl) (op, error) {
	exclusive, reverse := d.int("exclusive", 0) != 0, d.int("reverse", 0) != 0
	return always(func(c *call) error {
		x := c.in[0]
		if x.typ == String || x.typ == Bool || c.in[1].len() != 1 {
			return wrongType(x)
		}
		a, err := axisOf(truncate(c.in[1].at(0)), x.rank())
		if err != nil {
			return err
		}
		out, err := c.make(0, x.typ, x.shape...)
		if err != nil {
			return err
		}
		outer, n, inner := split(x.shape, a)
		for o := range outer {
			for i := range inner {
				sum := 0.0
				for k := range n {
					if reverse {
						k = n - 1 - k
					}
					e := (o*n+k)*inner + i
					if exclusive {
						out.set(e, sum)
						sum += x.at(e)
					} else {
						sum += x.at(e)
						out.set(e, sum)
					}
				}
			}
		}
		return nil
	}), nil
}

func buildTopK(d *decl) (op, error) {
	axis, largest := d.int("axis", -1), d.int("largest", 1) != 0
	d.int("sorted", 1) // sorted is an order too where none is asked for
	return func() kernel {
		var order []int
		return func(c *call) error {
			x := c.in[0]
			if x.typ == String || x.typ == Bool || c.in[1].typ != Int64 || c.in[1].len() != 1 {
				return wrongType(x)
			}
			a, err := axisOf(axis, x.rank())
			if err != nil {
				return err
			}
			outer, n, inner := split(x.shape, a)
			k := int(c.in[1].i64[0])
			if k < 0 || k > n {
				return refuse("the top %d of %d", k, n)
			}
			c.index = append(c.index[:0], x.shape...)
			c.index[a] = k
			values, err := c.make(0, x.typ, c.index...)
			if err != nil {
				return err
			}
			var places *tensor
			if len(c.out) > 1 {
				if places, err = c.make(1, Int64, c.index...); err != nil {
					return err
				}
			}
			order = room(order, n)
			for o := range outer {
				for i := range inner {
					for j := range order {
						order[j] = j
					}
					slices.SortStableFunc(order, func(p, q int) int {
						v, w := x.at((o*n+p)*inner+i), x.at((o*n+q)*inner+i)
						if largest {
							return cmp.Compare(w, v)
						}
						return cmp.Compare(v, w)
					})
					for j := range k {
						e := (o*k+j)*inner + i
						move(values, e, x, (o*n+order[j])*inner+i, 1)
						if places != nil {
							places.i64[e] = int64(order[j])
						}
					}
				}
			}
			return nil
		}
	}, nil
}

// buildSoftmax normalises along one axis; up to operator set 12 along all
// from the axis on.
func buildSoftmax(inLog bool) func(*decl) (op, error) {
	return func(d *decl) (op, error) {
		flat := d.opset < 13
		axis := d.int("axis", map[bool]int64{true: 1, false: -1}[flat])
		return func() kernel {
			var e []float64
			return func(c *call) error {
				x := c.in[0]
				if x.typ != Float && x.typ != Double {
					return wrongType(x)
				}
				a, err := axisOf(axis, x.rank())
				if err != nil {
					return err
				}
				outer, n, inner := split(x.shape, a)
				if flat {
					n, inner = n*inner, 1
				}
				out, err := c.make(0, x.typ, x.shape...)
				if err != nil {
					return err
				}
				e = room(e, n)
				for o := range outer {
					for i := range inner {
						top := math.Inf(-1)
						for k := range n {
							top = max(top, x.at((o*n+k)*inner+i))
						}
						sum := 0.0
						for k := range n {
							e[k] = x.at((o*n+k)*inner+i) - top
							sum += stablemath.Exp(e[k])
						}
						for k := range n {
							v := stablemath.Exp(e[k]) / sum
							if inLog {
								v = e[k] - stablemath.Log(sum)
							}
							out.set((o*n+k)*inner+i, v)
						}
					}
				}
				return nil
			}
		}, nil
	}
}

func buildLpNormalization(d *decl) (op, error) {
	axis, p := d.int("axis", -1), d.int("p", 2)
	if p != 1 && p != 2 {
		return nil, refuse("p is %d: 1 or 2", p)
	}
	return always(func(c *call) error {
		x := c.in[0]
		if x.typ != Float && x.typ != Double {
			return wrongType(x)
		}
		a, err := axisOf(axis, x.rank())
		if err != nil {
			return err
		}
		out, err := c.make(0, x.typ, x.shape...)
		if err != nil {
			return err
		}
		outer, n, inner := split(x.shape, a)
		for o := range outer {
			for i := range inner {
				norm := 0.0
				for k := range n {
					v := x.at((o*n+k)*inner + i)
					if p == 1 {
						norm += math.Abs(v)
					} else {
						norm += float64(v * v)
					}
				}
				if p == 2 {
					norm = math.Sqrt(norm)
				}
				for k := range n {
					v := x.at((o*n+k)*inner + i)
					if norm != 0 {
						v /= norm
					}
					out.set((o*n+k)*inner+i, v)
				}
			}
		}
		return nil
	}), nil
}
