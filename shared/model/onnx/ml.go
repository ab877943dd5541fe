package onnx

import (
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/model/stablemath"
)

// ml is the operators of domain ai.onnx.ml.
var ml = map[string]operator{
	"ArrayFeatureExtractor":  {2, 2, plain(extractFeatures)},
	"Binarizer":              {1, 1, buildBinarizer},
	"CategoryMapper":         {1, 1, buildCategoryMapper},
	"FeatureVectorizer":      {1, variadic, buildFeatureVectorizer},
	"Imputer":                {1, 1, buildImputer},
	"LabelEncoder":           {1, 1, buildLabelEncoder},
	"LinearClassifier":       {1, 1, buildLinearClassifier},
	"LinearRegressor":        {1, 1, buildLinearRegressor},
	"Normalizer":             {1, 1, buildNormalizer},
	"OneHotEncoder":          {1, 1, buildOneHotEncoder},
	"SVMClassifier":          {1, 1, buildSVMClassifier},
	"SVMRegressor":           {1, 1, buildSVMRegressor},
	"Scaler":                 {1, 1, buildScaler},
	"TreeEnsemble":           {1, 1, buildTreeEnsemble},
	"TreeEnsembleClassifier": {1, 1, buildTreeClassifier},
	"TreeEnsembleRegressor":  {1, 1, buildTreeRegressor},
}

// table returns the rows and columns of a numeric tensor; one of rank 1 is a
// single row.
func table(x *tensor) (rows, cols int, err error) {
	if x.typ == String || x.typ == Bool {
		return 0, 0, wrongType(x)
	}
	switch x.rank() {
	case 1:
		return 1, x.shape[0], nil
	case 2:
		return x.shape[0], x.shape[1], nil
	}
	return 0, 0, refuse("a tensor of rank %d", x.rank())
}

// extractFeatures picks elements of the last dimension.
func extractFeatures(c *call) error {
	x := c.in[0]
	at, err := c.in[1].ints(c.first[:0])
	if err != nil {
		return err
	}
	c.first = at
	if x.rank() == 0 || len(at) == 0 {
		return refuse("nothing to extract")
	}
	n := x.shape[x.rank()-1]
	for _, i := range at {
		if i < 0 || i >= n {
			return refuse("index %d of %d", i, n)
		}
	}
	c.index = append(c.index[:0], x.shape...)
	if x.rank() == 1 {
		c.index = append(c.index[:0], 1, 0)
	}
	c.index[len(c.index)-1] = len(at)
	out, err := c.make(0, x.typ, c.index...)
	if err != nil {
		return err
	}
	pick(out, x, x.len()/n, n, 1, at)
	return nil
}

func buildBinarizer(d *decl) (op, error) {
	threshold := d.float("threshold", 0)
	limit := float64(threshold)
	return always(func(c *call) error {
		switch c.in[0].typ {
		case Float:
			return each1(c, func(x float32) float32 { return b2f[float32](x > threshold) })
		case Double:
			return each1(c, func(x float64) float64 { return b2f[float64](x > limit) })
		case Int32:
			return each1(c, func(x int32) int32 { return b2f[int32](float64(x) > limit) })
		case Int64:
			return each1(c, func(x int64) int64 { return b2f[int64](float64(x) > limit) })
		}
		return wrongType(c.in[0])
	}), nil
}

func b2f[T number](b bool) T {
	if b {
		return 1
	}
	return 0
}

// buildFeatureVectorizer puts columns side by side as floats.
func buildFeatureVectorizer(d *decl) (op, error) {
	widths := d.ints("inputdimensions")
	if len(widths) != len(d.inputs) {
		return nil, refuse("%d widths for %d inputs", len(widths), len(d.inputs))
	}
	total := 0
	for _, w := range widths {
		if w < 0 || w > 1<<24 || total > 1<<24 {
			return nil, refuse("a width of %d", w)
		}
		total += int(w)
	}
	return always(func(c *call) error {
		rows := 0
		for i, x := range c.in {
			if x == nil || x.typ == String {
				return refuse("input %d is no number", i)
			}
			n := 1
			if x.rank() > 0 {
				n = x.shape[0]
			}
			if i > 0 && n != rows {
				return refuse("its inputs have %d and %d rows", rows, n)
			}
			rows = n
		}
		out, err := c.make(0, Float, rows, total)
		if err != nil {
			return err
		}
		clear(out.f32)
		at := 0
		for i, x := range c.in {
			width := 0
			if rows > 0 {
				width = x.len() / rows
			}
			for r := range rows {
				for k := range min(width, int(widths[i])) {
					out.f32[r*total+at+k] = float32(x.at(r*width + k))
				}
			}
			at += int(widths[i])
		}
		return nil
	}), nil
}

// buildImputer replaces one value, NaN or another.
func buildImputer(d *decl) (op, error) {
	floats, ints := d.floats("imputed_value_floats"), d.ints("imputed_value_int64s")
	from, fromInt := d.float("replaced_value_float", 0), d.int("replaced_value_int64", 0)
	if (len(floats) == 0) == (len(ints) == 0) {
		return nil, refuse("it has %d and %d imputed values", len(floats), len(ints))
	}
	return always(func(c *call) error {
		x := c.in[0]
		_, cols, err := table(x)
		if err != nil {
			return err
		}
		switch {
		case x.typ == Float && floats != nil:
			return impute(c, floats, cols, from)
		case x.typ == Double && floats != nil:
			wide := make([]float64, len(floats))
			for i, v := range floats {
				wide[i] = float64(v)
			}
			return impute(c, wide, cols, float64(from))
		case x.typ == Int64 && ints != nil:
			return impute(c, ints, cols, fromInt)
		}
		return wrongType(x)
	}), nil
}

func impute[T number](c *call, values []T, cols int, replaced T) error {
	out, err := c.make(0, c.in[0].typ, c.in[0].shape...)
	if err != nil {
		return err
	}
	step := 0
	if len(values) == cols {
		step = 1
	}
	to, from := vec[T](out), vec[T](c.in[0])
	for ; len(from) > 0; to, from = to[cols:], from[cols:] {
		for k, v := range from[:cols] {
			if v == replaced || v != v && replaced != replaced {
				v = values[k*step]
			}
			to[k] = v
		}
	}
	return nil
}

// buildNormalizer scales each row by its largest element, sum or length.
func buildNormalizer(d *decl) (op, error) {
	norm, err := d.oneOf("norm", "MAX", "L1", "L2")
	if err != nil {
		return nil, err
	}
	return always(func(c *call) error {
		x := c.in[0]
		rows, cols, err := table(x)
		if err != nil {
			return err
		}
		out, err := c.make(0, Float, x.shape...)
		if err != nil {
			return err
		}
		for r := range rows {
			scale := 0.0
			if norm == "MAX" {
				scale = math.Inf(-1)
			}
			for k := range cols {
				v := x.at(r*cols + k)
				switch norm {
				case "MAX":
					scale = max(scale, v)
				case "L1":
					scale += math.Abs(v)
				default:
					scale += float64(v * v)
				}
			}
			if norm == "L2" {
				scale = math.Sqrt(scale)
			}
			for k := range cols {
				v := x.at(r*cols + k)
				if scale != 0 {
					v /= scale
				}
				out.f32[r*cols+k] = float32(v)
			}
		}
		return nil
	}), nil
}

// buildScaler computes (x - offset) · scale.
func buildScaler(d *decl) (op, error) {
	offset, scale := d.floats("offset"), d.floats("scale")
	if len(offset) == 0 || len(scale) == 0 {
		return nil, refuse("%d offsets and %d scales", len(offset), len(scale))
	}
	return always(func(c *call) error {
		x := c.in[0]
		_, cols, err := table(x)
		if err != nil {
			return err
		}
		if len(offset) != 1 && len(offset) != cols || len(scale) != 1 && len(scale) != cols {
			return refuse("%d offsets and %d scales for %d columns", len(offset), len(scale), cols)
		}
		out, err := c.make(0, Float, x.shape...)
		if err != nil {
			return err
		}
		so, ss := min(1, len(offset)-1), min(1, len(scale)-1)
		if x.typ == Float {
			for to, from := out.f32, x.f32; len(from) > 0; to, from = to[cols:], from[cols:] {
				for k, v := range from[:cols] {
					to[k] = (v - offset[k*so]) * scale[k*ss]
				}
			}
			return nil
		}
		for i := range x.len() {
			k := i % cols
			out.f32[i] = float32((x.at(i) - float64(offset[k*so])) * float64(scale[k*ss]))
		}
		return nil
	}), nil
}

// transform is a post_transform of scores.
type transform string

var transforms = []string{"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"}

func (d *decl) transform() (transform, error) {
	w, err := d.oneOf("post_transform", transforms...)
	return transform(w), err
}

// apply transforms a row's scores in place.
func (t transform) apply(s []float64) {
	switch t {
	case "LOGISTIC":
		for i, v := range s {
			s[i] = stablemath.Sigmoid(v)
		}
	case "PROBIT":
		for i, v := range s {
			s[i] = probit(v)
		}
	case "SOFTMAX", "SOFTMAX_ZERO":
		top := slices.Max(s)
		sum := 0.0
		for i, v := range s {
			if t == "SOFTMAX_ZERO" && math.Abs(v) <= 1e-7 {
				s[i] = v * stablemath.Exp(-top)
				continue
			}
			s[i] = stablemath.Exp(v - top)
			sum += s[i]
		}
		for i := range s {
			s[i] /= sum
		}
	}
}

// probit is ONNX Runtime's approximation, in its precision.
func probit(p float64) float64 {
	var pi, a, one float32 = math.Pi, 0.147, 1 // variables, for constants are exact
	x := 2*float32(p) - 1
	l := float32(stablemath.Log(float64((1 - x) * (1 + x))))
	v := 2/float32(pi*a) + float32(0.5*l)
	w := float32(float32(one/a) * l)
	root := math.Sqrt(float64(float32(math.Sqrt(float64(float32(v*v)-w))) - v))
	return float64(float32(math.Copysign(1, float64(x))) * float32(1.41421356) * float32(root))
}

// labels are the classes of a classifier.
type labels struct {
	ints  []int64
	texts []string
}

func (d *decl) labels(ints, texts string) (labels, error) {
	l := labels{d.ints(ints), d.strings(texts)}
	if (len(l.ints) == 0) == (len(l.texts) == 0) {
		return l, refuse("it has %d and %d class labels", len(l.ints), len(l.texts))
	}
	return l, nil
}

func (l labels) count() int { return len(l.ints) + len(l.texts) }

// make allocates output 0.
func (l labels) make(c *call, rows int) error {
	typ := Int64
	if l.texts != nil {
		typ = String
	}
	_, err := c.make(0, typ, rows)
	return err
}

// set stores class k as the label of row r.
func (l labels) set(c *call, r, k int) {
	if l.texts != nil {
		c.out[0].s[r] = l.texts[k]
	} else {
		c.out[0].i64[r] = l.ints[k]
	}
}

// best returns the index of the largest score, the first of equals.
func best(s []float64) int {
	k := 0
	for i, v := range s {
		if v > s[k] {
			k = i
		}
	}
	return k
}
