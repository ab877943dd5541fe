package onnx

import (
	"math"
	"slices"
)

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
	if words, ok := any(m).(map[string]V); ok {
		learnMissing(words)
	}
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

// learnMissing gives the text of a missing cell, which is empty, the place of
// the category that it was in training: converters write a missing cell that an
// encoder learnt as Python prints it, and ONNX Runtime's Python reads it so.
func learnMissing[V any](words map[string]V) {
	if _, ok := words[""]; ok {
		return
	}
	for _, w := range []string{"nan", "None"} {
		if v, ok := words[w]; ok {
			words[""] = v
			return
		}
	}
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

// codes finds the places of integers in a list: by a table where they lie
// close together, as category codes do. Of a number that is there twice the
// last place counts.
type codes struct {
	first int64
	table []int32 // place + 1 of first, first+1, …
	rest  map[int64]int32
}

func newCodes(list []int64) *codes {
	c := &codes{}
	if len(list) == 0 {
		return c
	}
	lo, hi := slices.Min(list), slices.Max(list)
	if span := uint64(hi) - uint64(lo); span < 4*uint64(len(list))+64 {
		c.first, c.table = lo, make([]int32, span+1)
		for i, v := range list {
			c.table[v-lo] = int32(i + 1)
		}
		return c
	}
	c.rest = make(map[int64]int32, len(list))
	for i, v := range list {
		c.rest[v] = int32(i + 1)
	}
	return c
}

// of returns the place of v, -1 where it is not in the list.
func (c *codes) of(v int64) int {
	if c.table == nil {
		return int(c.rest[v]) - 1
	}
	if k := uint64(v) - uint64(c.first); k < uint64(len(c.table)) {
		return int(c.table[k]) - 1
	}
	return -1
}

// buildOneHotEncoder makes a column for each category.
func buildOneHotEncoder(d *decl) (op, error) {
	ints, texts, zeros := d.ints("cats_int64s"), d.strings("cats_strings"), d.int("zeros", 1) != 0
	if (len(ints) == 0) == (len(texts) == 0) {
		return nil, refuse("it has %d and %d categories", len(ints), len(texts))
	}
	n := len(ints) + len(texts)
	numbers, words := newCodes(ints), make(map[string]int, len(texts))
	for i, v := range texts {
		words[v] = i
	}
	learnMissing(words)
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
		known := true
		set := func(i, k int) {
			if k < 0 {
				known = false
			} else {
				out.f32[i*n+k] = 1
			}
		}
		switch {
		case texts != nil:
			for i, v := range x.s {
				k, ok := words[v]
				if !ok {
					k = -1
				}
				set(i, k)
			}
		case x.typ == Int64:
			for i, v := range x.i64 {
				set(i, numbers.of(v))
			}
		default:
			for i := range x.len() {
				set(i, numbers.of(truncate(x.at(i))))
			}
		}
		if !known && !zeros && !c.sample {
			return refuse("a category that it does not know")
		}
		return nil
	}), nil
}
