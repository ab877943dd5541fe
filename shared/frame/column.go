package frame

import (
	"math"
	"strconv"
)

// Column is a typed vector with missing cells. Exactly one of the vectors
// below holds its cells, by Field.Type and Field.Levels:
//
//	Double            Floats
//	Int32, Int64      Ints
//	Boolean           Bools
//	DateTime          Ints: microseconds since 1970-01-01T00:00:00 UTC
//	String, levels    Codes: index into Field.Levels; a text outside them is
//	                  len(Levels)+k with its text in extra[k]
//	String            text in one byte arena
//
// The vector of a missing cell holds a zero value (NaN in Floats), so that all
// vectors have Len() entries. A column is append-only, then read-only.
type Column struct {
	Field  *Field
	Floats []float64
	Ints   []int64
	Bools  []bool
	Codes  []int32

	ends   []uint32 // String without levels: cell i is bytes[ends[i-1]:ends[i]]
	bytes  []byte
	n      int
	nulls  int
	valid  []uint64 // bit i set = cell i present; nil while no cell is missing
	levels map[string]int32
	extra  []string
	extras map[string]int32 // index of extra, made when it grows past a few
}

// Len returns the number of cells.
func (c *Column) Len() int { return c.n }

// Nulls returns the number of missing cells.
func (c *Column) Nulls() int { return c.nulls }

// IsNull reports whether cell i is missing.
func (c *Column) IsNull(i int) bool {
	return c.nulls > 0 && c.valid[i>>6]&(1<<(i&63)) == 0
}

// Missing returns which of the n cells from lo on are missing, bit k for cell
// lo+k; n is at most 64.
func (c *Column) Missing(lo, n int) uint64 {
	if c.nulls == 0 || n == 0 {
		return 0
	}
	word, shift := lo>>6, lo&63
	missing := ^c.valid[word] >> shift
	if shift+n > 64 {
		missing |= ^c.valid[word+1] << (64 - shift)
	}
	return missing & (^uint64(0) >> (64 - n))
}

// Reset empties the column and keeps its memory.
func (c *Column) Reset() {
	c.Floats, c.Ints, c.Bools, c.Codes = c.Floats[:0], c.Ints[:0], c.Bools[:0], c.Codes[:0]
	c.ends, c.bytes, c.n, c.nulls = c.ends[:0], c.bytes[:0], 0, 0
	c.valid = c.valid[:0]
	if len(c.extra) > 0 {
		clear(c.extra)
		c.extra = c.extra[:0]
		clear(c.extras)
	}
}

// Empty returns an empty column of the same field with room for rows rows.
func (c *Column) Empty(rows int) *Column {
	d := &Column{Field: c.Field, levels: c.levels}
	d.Grow(rows)
	return d
}

// Grow makes room for rows more cells.
func (c *Column) Grow(rows int) {
	switch {
	case c.Field.Type == Double:
		c.Floats = grow(c.Floats, rows)
	case c.Field.Type == Boolean:
		c.Bools = grow(c.Bools, rows)
	case c.Field.Type != String:
		c.Ints = grow(c.Ints, rows)
	case c.Field.Levels != nil:
		c.Codes = grow(c.Codes, rows)
	default:
		c.ends = grow(c.ends, rows)
	}
}

func grow[T any](s []T, n int) []T {
	if cap(s)-len(s) >= n {
		return s
	}
	t := make([]T, len(s), max(len(s)+n, 2*len(s)))
	copy(t, s)
	return t
}

// AppendNull appends a missing cell.
func (c *Column) AppendNull() {
	switch {
	case c.Field.Type == Double:
		c.Floats = append(c.Floats, nan)
	case c.Field.Type == Boolean:
		c.Bools = append(c.Bools, false)
	case c.Field.Type != String:
		c.Ints = append(c.Ints, 0)
	case c.Field.Levels != nil:
		c.Codes = append(c.Codes, 0)
	default:
		c.ends = append(c.ends, uint32(len(c.bytes)))
	}
	if c.nulls == 0 {
		c.fillValid()
	}
	c.mark(false)
	c.nulls++
}

// fillValid marks all cells so far present.
func (c *Column) fillValid() {
	c.valid = c.valid[:0]
	for range (c.n + 63) / 64 {
		c.valid = append(c.valid, ^uint64(0))
	}
}

func (c *Column) mark(present bool) {
	if c.n>>6 == len(c.valid) {
		c.valid = append(c.valid, 0)
	}
	if present {
		c.valid[c.n>>6] |= 1 << (c.n & 63)
	} else {
		c.valid[c.n>>6] &^= 1 << (c.n & 63)
	}
	c.n++
}

func (c *Column) present() {
	if c.nulls > 0 {
		c.mark(true)
	} else {
		c.n++
	}
}

// AppendFloat appends to a Double column; NaN is a missing cell.
func (c *Column) AppendFloat(v float64) {
	if v != v {
		c.AppendNull()
		return
	}
	c.Floats = append(c.Floats, v)
	c.present()
}

// AppendInt appends to an integer or DateTime column.
func (c *Column) AppendInt(v int64) {
	c.Ints = append(c.Ints, v)
	c.present()
}

// AppendBool appends to a Boolean column.
func (c *Column) AppendBool(v bool) {
	c.Bools = append(c.Bools, v)
	c.present()
}

// AppendString appends a present text, even the empty one, to a String column,
// categorical or not. A column that is not holds 4 GiB of text at most.
func (c *Column) AppendString(v []byte) {
	if c.Field.Levels == nil {
		c.bytes = append(c.bytes, v...)
		c.endText()
	} else if code, ok := c.levels[string(v)]; ok {
		c.Codes = append(c.Codes, code)
	} else {
		c.Codes = append(c.Codes, c.unknown(v))
	}
	c.present()
}

// appendLevel is AppendString of a text that is a string already.
func (c *Column) appendLevel(v string) {
	if c.Field.Levels == nil {
		c.bytes = append(c.bytes, v...)
		c.endText()
	} else if code, ok := c.levels[v]; ok {
		c.Codes = append(c.Codes, code)
	} else {
		c.Codes = append(c.Codes, c.unknown([]byte(v)))
	}
	c.present()
}

func (c *Column) endText() {
	if uint64(len(c.bytes)) > math.MaxUint32 {
		panic("frame: column " + strconv.Quote(c.Field.Name) + " holds more than 4 GiB of text")
	}
	c.ends = append(c.ends, uint32(len(c.bytes)))
}

// AppendCode appends level code of a categorical column.
func (c *Column) AppendCode(code int32) {
	c.Codes = append(c.Codes, code)
	c.present()
}

// unknown returns the code of a text outside the levels.
func (c *Column) unknown(v []byte) int32 {
	base := int32(len(c.Field.Levels))
	if len(c.extra) < 8 {
		for i, x := range c.extra {
			if x == string(v) {
				return base + int32(i)
			}
		}
	} else if len(c.extras) == 0 {
		c.extras = make(map[string]int32)
		for i, x := range c.extra {
			c.extras[x] = int32(i)
		}
	}
	if i, ok := c.extras[string(v)]; ok {
		return base + i
	}
	c.extra = append(c.extra, string(v))
	i := int32(len(c.extra) - 1)
	if len(c.extras) > 0 {
		c.extras[c.extra[i]] = i
	}
	return base + i
}

// Unknown reports whether cell i of a categorical column is present and
// outside its levels.
func (c *Column) Unknown(i int) bool {
	return int(c.Codes[i]) >= len(c.Field.Levels) && !c.IsNull(i)
}

// Text returns the text of cell i of a String column; nil where missing. The
// bytes are the column's own: read them before it is reset. For a categorical
// column it makes a copy; Level does not.
func (c *Column) Text(i int) []byte {
	if c.IsNull(i) {
		return nil
	}
	if c.Field.Levels == nil {
		return c.bytes[c.textStart(i):c.ends[i]:c.ends[i]]
	}
	return []byte(c.Level(i))
}

// textStart returns where the text of cell i begins.
func (c *Column) textStart(i int) uint32 {
	if i == 0 {
		return 0
	}
	return c.ends[i-1]
}

// Level returns the text of cell i of a categorical column, "" where missing.
// It does not allocate.
func (c *Column) Level(i int) string {
	if c.IsNull(i) {
		return ""
	}
	code := int(c.Codes[i])
	if code < len(c.Field.Levels) {
		return c.Field.Levels[code]
	}
	return c.extra[code-len(c.Field.Levels)]
}

// Float returns cell i of a numeric or Boolean column as a float64, NaN where
// missing.
func (c *Column) Float(i int) float64 {
	if c.IsNull(i) {
		return nan
	}
	return c.number(i)
}

// number is Float of a present cell.
func (c *Column) number(i int) float64 {
	switch {
	case c.Field.Type == Double:
		return c.Floats[i]
	case c.Field.Type == Boolean:
		if c.Bools[i] {
			return 1
		}
		return 0
	}
	return float64(c.Ints[i])
}

// AppendFrom appends cell i of d, a column of the same type. Levels may
// differ: a text goes by its spelling.
func (c *Column) AppendFrom(d *Column, i int) {
	switch {
	case d.IsNull(i):
		c.AppendNull()
	case c.Field.Type == Double:
		c.AppendFloat(d.Floats[i])
	case c.Field.Type == Boolean:
		c.AppendBool(d.Bools[i])
	case c.Field.Type != String:
		c.AppendInt(d.Ints[i])
	case d.Field.Levels == nil:
		c.AppendString(d.Text(i))
	case c.sameLevels(d) && int(d.Codes[i]) < len(d.Field.Levels):
		c.AppendCode(d.Codes[i])
	default:
		c.appendLevel(d.Level(i))
	}
}

// sameLevels reports, cheaply, whether codes of d mean the same in c. It may
// miss equal levels of separate origin.
func (c *Column) sameLevels(d *Column) bool {
	a, b := c.Field.Levels, d.Field.Levels
	return a != nil && b != nil && len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// truncate drops the cells from n on.
func (c *Column) truncate(n int) {
	if n >= c.n {
		return
	}
	for i := n; c.nulls > 0 && i < c.n; i++ {
		if c.IsNull(i) {
			c.nulls--
		}
	}
	switch {
	case c.Field.Type == Double:
		c.Floats = c.Floats[:n]
	case c.Field.Type == Boolean:
		c.Bools = c.Bools[:n]
	case c.Field.Type != String:
		c.Ints = c.Ints[:n]
	case c.Field.Levels != nil:
		c.Codes = c.Codes[:n]
	default:
		c.bytes = c.bytes[:c.textStart(n)]
		c.ends = c.ends[:n]
	}
	c.valid = c.valid[:min(len(c.valid), (n+63)/64)]
	c.n = n
}

// WithField returns a column with the same cells under another field of the
// same type and levels, sharing memory with c.
func (c *Column) WithField(f *Field) *Column {
	d := *c
	d.Field = f
	return &d
}
