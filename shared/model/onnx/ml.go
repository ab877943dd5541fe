package onnx

import (
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/model/stablemath"
)

// ml is the operators of domain ai.onnx.ml.
var ml map[string]operator

func init() {
	ml = map[string]operator{
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
	return take(c, c.index, func(i int) int { return i/len(at)*n + at[i%len(at)] })
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

// lookUp maps keys to values, and others to a default. Of two values of a key
// the first counts. A NaN in the input is a key like any where the keys have one.
func lookUp[K, V element](keys []K, values []V, otherwise V) (kernel, error) {
	if len(keys) != len(values) {
		return nil, refuse("%d keys and %d values", len(keys), len(values))
	}
	m := make(map[K]V, len(keys))
	ofNaN := otherwise
	for i := len(keys) - 1; i >= 0; i-- {
		if keys[i] != keys[i] {
			ofNaN = values[i]
		}
		m[keys[i]] = values[i]
	}
	typ := typeOf[K]()
	return func(c *call) error {
		if c.in[0].typ != typ {
			return wrongType(c.in[0])
		}
		return each1(c, func(x K) V {
			if v, ok := m[x]; ok {
				return v
			}
			if x != x {
				return ofNaN
			}
			return otherwise
		})
	}, nil
}

// buildLabelEncoder reads keys and values of any pair of types, from lists
// or, since version 4, tensors.
func buildLabelEncoder(d *decl) (op, error) {
	if d.has("classes_strings") { // version 1
		return buildCategories(d, "classes_strings", "")
	}
	key := &tensor{}
	switch {
	case d.has("keys_tensor"):
		key = d.tensor("keys_tensor")
	case d.has("keys_strings"):
		*key = tensor{typ: String, s: d.strings("keys_strings")}
	case d.has("keys_int64s"):
		*key = tensor{typ: Int64, i64: d.ints("keys_int64s")}
	case d.has("keys_floats"):
		*key = tensor{typ: Float, f32: d.floats("keys_floats")}
	}
	value, otherwise := &tensor{}, &tensor{}
	switch {
	case d.has("values_tensor"):
		value = d.tensor("values_tensor")
	case d.has("values_strings"):
		*value = tensor{typ: String, s: d.strings("values_strings")}
	case d.has("values_int64s"):
		*value = tensor{typ: Int64, i64: d.ints("values_int64s")}
	case d.has("values_floats"):
		*value = tensor{typ: Float, f32: d.floats("values_floats")}
	}
	if key == nil || value == nil {
		return nil, refuse("its keys or values are no tensors")
	}
	if d.opset < 4 && key.typ == Float && key.len() == value.len() { // NaN became a key in version 4
		key, value = withoutNaN(key, value)
	}
	defaults := tensor{
		typ: value.typ, s: []string{d.word("default_string", "_Unused")}, i64: []int64{d.int("default_int64", -1)},
		f32: []float32{d.float("default_float", float32(math.Copysign(0, -1)))}, f64: []float64{0},
		i32: []int32{-1}, b: []bool{false},
	}
	if otherwise = d.tensor("default_tensor"); otherwise == nil {
		otherwise = &defaults
	} else if otherwise.typ != value.typ || otherwise.len() != 1 {
		return nil, refuse("its default is %s, its values are %s", otherwise.typ, value.typ)
	}
	k, err := encodeBy(key, value, otherwise)
	if err != nil {
		return nil, err
	}
	return always(k), nil
}

// withoutNaN drops the keys that are NaN, and their values.
func withoutNaN(key, value *tensor) (keys, values *tensor) {
	keys, values = &tensor{typ: Float}, &tensor{typ: value.typ}
	for i, v := range key.f32 {
		if v != v {
			continue
		}
		keys.f32 = append(keys.f32, v)
		switch value.typ {
		case String:
			values.s = append(values.s, value.s[i])
		case Int64:
			values.i64 = append(values.i64, value.i64[i])
		case Float:
			values.f32 = append(values.f32, value.f32[i])
		}
	}
	return keys, values
}

func encodeBy(key, value, otherwise *tensor) (kernel, error) {
	switch key.typ {
	case String:
		return encodeTo(key.s, value, otherwise)
	case Int64:
		return encodeTo(key.i64, value, otherwise)
	case Int32:
		return encodeTo(key.i32, value, otherwise)
	case Float:
		return encodeTo(key.f32, value, otherwise)
	case Double:
		return encodeTo(key.f64, value, otherwise)
	case Bool:
		return encodeTo(key.b, value, otherwise)
	}
	return nil, refuse("keys of type %s are not supported", key.typ)
}

func encodeTo[K element](keys []K, value, otherwise *tensor) (kernel, error) {
	switch value.typ {
	case String:
		return lookUp(keys, value.s, otherwise.s[0])
	case Int64:
		return lookUp(keys, value.i64, otherwise.i64[0])
	case Int32:
		return lookUp(keys, value.i32, otherwise.i32[0])
	case Float:
		return lookUp(keys, value.f32, otherwise.f32[0])
	case Double:
		return lookUp(keys, value.f64, otherwise.f64[0])
	case Bool:
		return lookUp(keys, value.b, otherwise.b[0])
	}
	return nil, refuse("values of type %s are not supported", value.typ)
}

func buildCategoryMapper(d *decl) (op, error) {
	return buildCategories(d, "cats_strings", "cats_int64s")
}

// buildCategories maps texts to integers, or integers to texts: the input
// says which way.
func buildCategories(d *decl, texts, numbers string) (op, error) {
	words := d.strings(texts)
	codes := make([]int64, len(words))
	for i := range codes {
		codes[i] = int64(i)
	}
	if numbers != "" {
		codes = d.ints(numbers)
	}
	toCode, err := lookUp(words, codes, d.int("default_int64", -1))
	if err != nil {
		return nil, err
	}
	toText, err := lookUp(codes, words, d.word("default_string", "_Unused"))
	if err != nil {
		return nil, err
	}
	return always(func(c *call) error {
		if c.in[0].typ == String {
			return toCode(c)
		}
		return toText(c)
	}), nil
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
	to := vec[T](out)
	for i, v := range vec[T](c.in[0]) {
		if v == replaced || v != v && replaced != replaced {
			if len(values) == cols {
				v = values[i%cols]
			} else {
				v = values[0]
			}
		}
		to[i] = v
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

// buildOneHotEncoder makes a column for each category.
func buildOneHotEncoder(d *decl) (op, error) {
	ints, texts, zeros := d.ints("cats_int64s"), d.strings("cats_strings"), d.int("zeros", 1) != 0
	if (len(ints) == 0) == (len(texts) == 0) {
		return nil, refuse("it has %d and %d categories", len(ints), len(texts))
	}
	n := len(ints) + len(texts)
	byInt, byText := map[int64]int{}, map[string]int{}
	for i, v := range ints {
		byInt[v] = i
	}
	for i, v := range texts {
		byText[v] = i
	}
	return always(func(c *call) error {
		x := c.in[0]
		if x.rank() > 2 || (x.typ == String) != (texts != nil) || x.typ == Bool {
			return refuse("%s of rank %d", x.typ, x.rank())
		}
		c.index = append(append(c.index[:0], x.shape...), n)
		out, err := c.make(0, Float, c.index...)
		if err != nil {
			return err
		}
		clear(out.f32)
		for i := range x.len() {
			var k int
			var ok bool
			if texts != nil {
				k, ok = byText[x.s[i]]
			} else if x.typ == Int64 {
				k, ok = byInt[x.i64[i]]
			} else {
				k, ok = byInt[truncate(x.at(i))]
			}
			if ok {
				out.f32[i*n+k] = 1
			} else if !zeros && !c.sample {
				return refuse("a category that it does not know")
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
			for i, v := range x.f32 {
				k := i % cols
				out.f32[i] = (v - offset[k*so]) * scale[k*ss]
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
	w := float32(one/a) * l
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
