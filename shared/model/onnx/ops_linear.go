package onnx

import (
	"math"
	"strings"
)

// Sums of products go in the order of the inner dimension, whatever the number
// of rows. Products of float32 are exact in float64 and each sum is rounded to
// float32, as the fused additions of ONNX Runtime's kernels are; products of
// float64 are rounded before they are added, so that no compiler fuses the two.

// multiplyFloats sets to, m rows of n, to a (m rows of k) times b (k rows of n).
func multiplyFloats(to, a, b []float32, m, k, n int) {
	for i := range m {
		row := to[i*n : i*n+n]
		clear(row)
		for p, v := range a[i*k : i*k+k] {
			x := float64(v)
			for j, w := range b[p*n : p*n+n] {
				row[j] = float32(float64(row[j]) + x*float64(w))
			}
		}
	}
}

// multiply is multiplyFloats of other numbers; integers wrap.
func multiply[T float64 | int32 | int64](to, a, b []T, m, k, n int) {
	for i := range m {
		row := to[i*n : i*n+n]
		clear(row)
		for p, v := range a[i*k : i*k+k] {
			for j, w := range b[p*n : p*n+n] {
				row[j] += T(v * w)
			}
		}
	}
}

// work counts multiplications against the budget: a few elements can ask for
// very many.
func (c *call) work(m, k, n int) error {
	if m == 0 || k == 0 || n == 0 {
		return nil
	}
	if k > 1<<31/m || n > 1<<40/(m*k) || m*k*n/64 > int(c.left) {
		return refuse("the graph needs more work than a model of its size may have")
	}
	return c.left.take(m * k * n / 64)
}

func matMul(c *call) error { return product(c, c.in[0], c.in[1]) }

// product multiplies the last two dimensions and broadcasts the others.
func product(c *call, x, y *tensor) error {
	if x.typ != y.typ {
		return refuse("its inputs are %s and %s", x.typ, y.typ)
	}
	if x.rank() == 0 || y.rank() == 0 {
		return refuse("a scalar")
	}
	m, k := 1, x.shape[x.rank()-1]
	xs := x.shape[:x.rank()-1]
	var ys []int
	if len(xs) > 0 {
		m, xs = xs[len(xs)-1], xs[:len(xs)-1]
	}
	n := 1
	if y.rank() > 1 {
		n, ys = y.shape[y.rank()-1], y.shape[:y.rank()-2]
	}
	if inner := y.shape[max(0, y.rank()-2)]; inner != k {
		return refuse("shapes %v and %v do not go together", x.shape, y.shape)
	}
	shape, err := broadcast(c.index, xs, ys)
	if err != nil {
		return err
	}
	batches := elements(shape)
	c.second = strides(c.second, xs, shape)
	c.third = strides(c.third, ys, shape)
	batch := append(c.first[:0], shape...)
	c.first = batch
	if x.rank() > 1 {
		shape = append(shape, m)
	}
	if y.rank() > 1 {
		shape = append(shape, n)
	}
	c.index = shape
	if err := c.work(batches*m, k, n); err != nil {
		return err
	}
	out, err := c.make(0, x.typ, shape...)
	if err != nil {
		return err
	}
	for e := range batches {
		i, j, rest := 0, 0, e
		for d := len(batch) - 1; d >= 0; d-- {
			i += rest % batch[d] * c.second[d]
			j += rest % batch[d] * c.third[d]
			rest /= batch[d]
		}
		i, j = i*m*k, j*k*n
		switch x.typ {
		case Float:
			multiplyFloats(out.f32[e*m*n:], x.f32[i:], y.f32[j:], m, k, n)
		case Double:
			multiply(out.f64[e*m*n:], x.f64[i:], y.f64[j:], m, k, n)
		case Int32:
			multiply(out.i32[e*m*n:], x.i32[i:], y.i32[j:], m, k, n)
		case Int64:
			multiply(out.i64[e*m*n:], x.i64[i:], y.i64[j:], m, k, n)
		default:
			return wrongType(x)
		}
	}
	return nil
}

// buildGemm computes alpha·A·B + beta·C, A and B transposed where asked.
func buildGemm(d *decl) (op, error) {
	alpha, beta := float64(d.float("alpha", 1)), float64(d.float("beta", 1))
	transA, transB := d.int("transA", 0) != 0, d.int("transB", 0) != 0
	return always(func(c *call) error {
		a, b := c.in[0], c.in[1]
		if a.typ != b.typ || a.rank() != 2 || b.rank() != 2 || a.typ == String || a.typ == Bool {
			return refuse("its inputs are %s of shape %v and %s of shape %v", a.typ, a.shape, b.typ, b.shape)
		}
		m, k, n := a.shape[0], a.shape[1], b.shape[1]
		stepA, stepAk, stepBk, stepB := k, 1, n, 1
		if transA {
			m, k = k, m
			stepA, stepAk = 1, m
		}
		inner := b.shape[0]
		if transB {
			n, inner = inner, n
			stepBk, stepB = 1, inner
		}
		if inner != k {
			return refuse("shapes %v and %v do not go together", a.shape, b.shape)
		}
		var bias *tensor
		if len(c.in) > 2 && c.in[2] != nil {
			bias = c.in[2]
			if bias.typ != a.typ || bias.rank() > 2 {
				return refuse("C is %s of shape %v", bias.typ, bias.shape)
			}
		}
		if err := c.work(m, k, n); err != nil {
			return err
		}
		out, err := c.make(0, a.typ, m, n)
		if err != nil {
			return err
		}
		row, col := 0, 0
		if bias != nil {
			merged, err := broadcast(c.first, bias.shape, out.shape)
			if err != nil {
				return err
			}
			c.first = merged
			if merged[0] != m || merged[1] != n || len(merged) != 2 {
				return refuse("C of shape %v for %v", bias.shape, out.shape)
			}
			c.second = strides(c.second, bias.shape, out.shape)
			row, col = c.second[0], c.second[1]
		}
		// The usual layer: a row's inputs times a column-major matrix.
		fast := a.typ == Float && stepAk == 1
		for i := range m {
			for j := range n {
				sum := 0.0
				if fast {
					at := j * stepB
					for _, v := range a.f32[i*stepA : i*stepA+k] {
						sum = float64(float32(sum + float64(v)*float64(b.f32[at])))
						at += stepBk
					}
				} else {
					for p := range k {
						sum += float64(a.at(i*stepA+p*stepAk) * b.at(p*stepBk+j*stepB))
					}
				}
				sum = float64(sum * alpha)
				if bias != nil {
					sum += float64(beta * bias.at(i*row+j*col))
				}
				out.set(i*n+j, sum)
			}
		}
		return nil
	}), nil
}

// buildEinsum sums products over the letters that the answer lacks.
func buildEinsum(d *decl) (op, error) {
	terms, answer, explicit := strings.Cut(strings.ReplaceAll(d.word("equation", ""), " ", ""), "->")
	inputs := strings.Split(terms, ",")
	if !explicit { // the letters that are there once, in order
		for l := 'A'; l <= 'z'; l++ {
			if strings.Count(terms, string(l)) == 1 && l != ',' {
				answer += string(l)
			}
		}
	}
	if len(inputs) != len(d.inputs) {
		return nil, refuse("equation %q is not supported", d.word("equation", ""))
	}
	for _, l := range terms + answer {
		if l != ',' && !(l >= 'a' && l <= 'z' || l >= 'A' && l <= 'Z') {
			return nil, refuse("equation %q is not supported", d.word("equation", ""))
		}
	}
	letters := answer // the letters, those of the answer first
	for _, l := range strings.ReplaceAll(terms, ",", "") {
		if !strings.ContainsRune(letters, l) {
			letters += string(l)
		}
	}
	for i, l := range answer {
		if !strings.ContainsRune(terms, l) || strings.ContainsRune(answer[:i], l) {
			return nil, refuse("equation %q is not supported", d.word("equation", ""))
		}
	}
	if len(letters) > maxDims {
		return nil, refuse("equation %q has too many letters", terms)
	}
	return always(func(c *call) error {
		var sizes [maxDims]int
		var step [2][maxDims]int
		for k, x := range c.in {
			if x.rank() != len(inputs[k]) || x.typ != c.in[0].typ || x.typ == String || x.typ == Bool {
				return refuse("input %d is %s of shape %v for %q", k, x.typ, x.shape, inputs[k])
			}
			at := 1
			for i := x.rank() - 1; i >= 0; i-- {
				l := strings.IndexByte(letters, inputs[k][i])
				if sizes[l] != 0 && sizes[l] != x.shape[i] || x.shape[i] == 0 {
					return refuse("letter %c is %d and %d", inputs[k][i], sizes[l], x.shape[i])
				}
				sizes[l] = x.shape[i]
				step[k][l] += at
				at *= x.shape[i]
			}
		}
		outer, inner := elements(sizes[:len(answer)]), elements(sizes[len(answer):len(letters)])
		if outer > math.MaxInt32 || inner > math.MaxInt32 {
			return refuse("it has too many elements")
		}
		if err := c.work(outer, inner, 16); err != nil {
			return err
		}
		out, err := c.make(0, c.in[0].typ, sizes[:len(answer)]...)
		if err != nil {
			return err
		}
		for o := range outer {
			sum := 0.0
			for i := range inner {
				v := 1.0
				for k, x := range c.in {
					at, rest := 0, i
					for l := len(letters) - 1; l >= 0; l-- {
						if l == len(answer)-1 {
							rest = o
						}
						at += rest % sizes[l] * step[k][l]
						rest /= sizes[l]
					}
					v *= x.at(at)
				}
				sum += float64(v)
			}
			out.set(o, sum)
		}
		return nil
	}), nil
}

// buildCDist computes the distances of rows of A and rows of B.
func buildCDist(d *decl) (op, error) {
	metric, err := d.oneOf("metric", "sqeuclidean", "euclidean")
	if err != nil {
		return nil, err
	}
	return always(func(c *call) error {
		a, b := c.in[0], c.in[1]
		if a.typ != b.typ || a.typ != Float && a.typ != Double || a.rank() != 2 || b.rank() != 2 || a.shape[1] != b.shape[1] {
			return refuse("its inputs are %s of shape %v and %s of shape %v", a.typ, a.shape, b.typ, b.shape)
		}
		m, n, k := a.shape[0], b.shape[0], a.shape[1]
		if err := c.work(m, k, n); err != nil {
			return err
		}
		out, err := c.make(0, a.typ, m, n)
		if err != nil {
			return err
		}
		for i := range m {
			for j := range n {
				sum := 0.0
				for p := range k {
					v := a.at(i*k+p) - b.at(j*k+p)
					sum += float64(v * v)
				}
				if metric == "euclidean" {
					sum = math.Sqrt(sum)
				}
				out.set(i*n+j, sum)
			}
		}
		return nil
	}), nil
}
