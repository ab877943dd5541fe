package onnx

import (
	"math"
	"strconv"

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
		term *= 2 * square / float64(2*n+1)
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
	if x.typ == to {
		return identity(c)
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
