package onnx

import (
	"math"

	"github.com/portico-ml/portico/shared/model/stablemath"
)

func abs[T number](x T) T {
	if x < 0 || x == 0 { // -0 too
		return -x + 0
	}
	return x
}

func neg[T number](x T) T { return -x }

func relu[T number](x T) T {
	if x < 0 {
		return 0
	}
	return x
}

func sign[T number](x T) T {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x
}

func exp(x float64) float64        { return stablemath.Exp(x) }
func log(x float64) float64        { return stablemath.Log(x) }
func sqrt(x float64) float64       { return math.Sqrt(x) }
func sigmoid(x float64) float64    { return stablemath.Sigmoid(x) }
func tanh(x float64) float64       { return stablemath.Tanh(x) }
func reciprocal(x float64) float64 { return 1 / x }
func floor(x float64) float64      { return math.Floor(x) }
func ceil(x float64) float64       { return math.Ceil(x) }
func round(x float64) float64      { return math.RoundToEven(x) }
func softsign(x float64) float64   { return x / (1 + math.Abs(x)) }

func softplus(x float64) float64 {
	if x > 36 { // above, ln(1+e**x) is x
		return x
	}
	return stablemath.Log(1 + stablemath.Exp(x))
}

// erf sums 2/√π · e**-x² · Σ 2ⁿ x²ⁿ⁺¹ / (2n+1)!!, whose terms have one sign.
func erf(x float64) float64 {
	switch {
	case x != x:
		return x
	case x > 6:
		return 1
	case x < -6:
		return -1
	}
	square := float64(x * x)
	term, sum := x, x
	for n := 1; math.Abs(term) > 1e-17*math.Abs(sum); n++ {
		term = float64(term * (2 * square / float64(2*n+1)))
		sum += term
	}
	return 2 / math.SqrtPi * stablemath.Exp(-square) * sum
}

// pow is x to the y without the functions that choose by CPU.
func pow(x, y float64) float64 {
	if n := int(y); float64(n) == y && n > -64 && n < 64 {
		p, base := 1.0, x
		for k := max(n, -n); k > 0; k >>= 1 {
			if k&1 != 0 {
				p *= base
			}
			base *= base
		}
		if n < 0 {
			return 1 / p
		}
		return p
	}
	if y == 0.5 && x >= 0 {
		return math.Sqrt(x)
	}
	if x > 0 && !math.IsInf(x, 0) && !math.IsInf(y, 0) && y == y {
		return stablemath.Exp(y * stablemath.Log(x))
	}
	return math.Pow(x, y) // zero, negative, infinite: exact or not a number
}

func add[T number](a, b T) T { return a + b }
func sub[T number](a, b T) T { return a - b }
func mul[T number](a, b T) T { return a * b }
func div[T number](a, b T) T { return a / b }

func prelu[T number](a, b T) T {
	if a < 0 {
		return a * b
	}
	return a
}

func larger[T number](a, b T) T {
	if a > b || a != a {
		return a
	}
	return b
}

func smaller[T number](a, b T) T {
	if a < b || a != a {
		return a
	}
	return b
}

func less[T number](a, b T) bool         { return a < b }
func lessEqual[T number](a, b T) bool    { return a <= b }
func greater[T number](a, b T) bool      { return a > b }
func greaterEqual[T number](a, b T) bool { return a >= b }
func same[T element](a, b T) bool        { return a == b }

// each1 computes an output from the input, element by element.
func each1[A, R element](c *call, f func(A) R) error {
	x := c.in[0]
	out, err := c.make(0, typeOf[R](), x.shape...)
	if err != nil {
		return err
	}
	from, to := vec[A](x), vec[R](out)
	for i, v := range from {
		to[i] = f(v)
	}
	return nil
}

func wrongType(t *tensor) error { return refuse("elements of type %s are not supported", t.typ) }

func unary(f32 func(float32) float32, f64 func(float64) float64, i32 func(int32) int32, i64 func(int64) int64) func(*decl) (op, error) {
	return plain(func(c *call) error {
		switch c.in[0].typ {
		case Float:
			return each1(c, f32)
		case Double:
			return each1(c, f64)
		case Int32:
			return each1(c, i32)
		case Int64:
			return each1(c, i64)
		}
		return wrongType(c.in[0])
	})
}

// inFloat applies f, calculating in float64.
func inFloat(f func(float64) float64) kernel {
	narrow := func(x float32) float32 { return float32(f(float64(x))) }
	return func(c *call) error {
		switch c.in[0].typ {
		case Float:
			return each1(c, narrow)
		case Double:
			return each1(c, f)
		}
		return wrongType(c.in[0])
	}
}

func floatFunc(f func(float64) float64) func(*decl) (op, error) { return plain(inFloat(f)) }

func buildLeakyRelu(d *decl) (op, error) {
	alpha := float64(d.float("alpha", 0.01))
	return always(inFloat(func(x float64) float64 {
		if x < 0 {
			return alpha * x
		}
		return x
	})), nil
}

func buildElu(d *decl) (op, error) {
	alpha := float64(d.float("alpha", 1))
	return always(inFloat(func(x float64) float64 {
		if x < 0 {
			return alpha * (stablemath.Exp(x) - 1)
		}
		return x
	})), nil
}

func buildSelu(d *decl) (op, error) {
	alpha, gamma := float64(d.float("alpha", 1.67326319217681884765625)), float64(d.float("gamma", 1.05070102214813232421875))
	return always(inFloat(func(x float64) float64 {
		if x <= 0 {
			return gamma * (alpha * (stablemath.Exp(x) - 1))
		}
		return gamma * x
	})), nil
}

func buildHardSigmoid(d *decl) (op, error) {
	alpha, beta := float64(d.float("alpha", 0.2)), float64(d.float("beta", 0.5))
	return always(inFloat(func(x float64) float64 { return max(0, min(1, float64(alpha*x)+beta)) })), nil
}

func isNaN(c *call) error {
	switch c.in[0].typ {
	case Float:
		return each1(c, func(x float32) bool { return x != x })
	case Double:
		return each1(c, func(x float64) bool { return x != x })
	}
	return wrongType(c.in[0])
}

func buildIsInf(d *decl) (op, error) {
	negative, positive := d.int("detect_negative", 1) != 0, d.int("detect_positive", 1) != 0
	is := func(x float64) bool { return negative && math.IsInf(x, -1) || positive && math.IsInf(x, 1) }
	return always(func(c *call) error {
		switch c.in[0].typ {
		case Float:
			return each1(c, func(x float32) bool { return is(float64(x)) })
		case Double:
			return each1(c, is)
		}
		return wrongType(c.in[0])
	}), nil
}

func not(c *call) error {
	if c.in[0].typ != Bool {
		return wrongType(c.in[0])
	}
	return each1(c, func(x bool) bool { return !x })
}

func identity(c *call) error {
	c.out[0].alias(c.in[0], c.in[0].shape)
	return nil
}

// buildDropout is the identity: graphs are scored, not trained.
func buildDropout(d *decl) (op, error) {
	d.float("ratio", 0)
	d.int("seed", 0)
	if len(d.inputs) == 3 && d.inputs[2] != "" {
		t := d.consts[2]
		if t == nil || t.typ != Bool || t.len() != 1 || t.b[0] {
			return nil, refuse("training mode is not supported")
		}
	}
	return always(func(c *call) error {
		if err := identity(c); err != nil || len(c.out) == 1 {
			return err
		}
		mask, err := c.make(1, Bool, c.in[0].shape...)
		if err != nil {
			return err
		}
		for i := range mask.b {
			mask.b[i] = true
		}
		return nil
	}), nil
}

// buildClip takes the bounds from attributes up to operator set 10, then from
// inputs.
func buildClip(d *decl) (op, error) {
	if d.opset < 11 {
		lo, hi := float64(d.float("min", -math.MaxFloat32)), float64(d.float("max", math.MaxFloat32))
		return always(inFloat(func(x float64) float64 { return min(hi, max(lo, x)) })), nil
	}
	return always(func(c *call) error {
		x := c.in[0]
		for _, bound := range c.in[1:] {
			if bound != nil && (bound.len() != 1 || bound.typ != x.typ) {
				return refuse("its bounds are no scalars of type %s", x.typ)
			}
		}
		switch x.typ {
		case Float:
			return clip[float32](c)
		case Double:
			return clip[float64](c)
		case Int32:
			return clip[int32](c)
		case Int64:
			return clip[int64](c)
		}
		return wrongType(x)
	}), nil
}

func clip[T number](c *call) error {
	out, err := c.make(0, c.in[0].typ, c.in[0].shape...)
	if err != nil {
		return err
	}
	to := vec[T](out)
	copy(to, vec[T](c.in[0]))
	if len(c.in) > 1 && c.in[1] != nil {
		lo := vec[T](c.in[1])[0]
		for i, v := range to {
			if v < lo {
				to[i] = lo
			}
		}
	}
	if len(c.in) > 2 && c.in[2] != nil {
		hi := vec[T](c.in[2])[0]
		for i, v := range to {
			if v > hi {
				to[i] = hi
			}
		}
	}
	return nil
}
