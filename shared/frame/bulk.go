package frame

import (
	"math"
	"math/bits"
	"slices"
)

// growLike makes room for the cells of d, times over.
func (c *Column) growLike(d *Column, times float64) {
	c.Grow(int(times * float64(d.n)))
	if c.Field.Type == String && c.Field.Levels == nil {
		c.bytes = grow(c.bytes, int(times*float64(len(d.bytes))))
	}
}

// AppendRange appends the cells of d from lo to hi (exclusive), as AppendFrom
// would one by one.
func (c *Column) AppendRange(d *Column, lo, hi int) {
	if hi <= lo {
		return
	}
	switch {
	case c.Field.Type == Double:
		c.Floats = append(c.Floats, d.Floats[lo:hi]...)
	case c.Field.Type == Boolean:
		c.Bools = append(c.Bools, d.Bools[lo:hi]...)
	case c.Field.Type != String:
		c.Ints = append(c.Ints, d.Ints[lo:hi]...)
	case c.Field.Levels == nil && d.Field.Levels == nil:
		from := d.textStart(lo)
		shift := uint32(len(c.bytes)) - from // wraps: the sum below does too
		c.bytes = append(c.bytes, d.bytes[from:d.ends[hi-1]]...)
		if uint64(len(c.bytes)) > math.MaxUint32 {
			c.endText() // panics
		}
		for _, e := range d.ends[lo:hi] {
			c.ends = append(c.ends, e+shift)
		}
	case len(d.extra) == 0 && c.sameLevels(d):
		c.Codes = append(c.Codes, d.Codes[lo:hi]...)
	default:
		for i := lo; i < hi; i++ {
			c.AppendFrom(d, i)
		}
		return
	}
	if d.nulls == 0 && c.nulls == 0 {
		c.n += hi - lo
		return
	}
	if c.nulls == 0 {
		c.fillValid()
	}
	for ; lo < hi; lo += 64 {
		n := min(64, hi-lo)
		missing := d.Missing(lo, n)
		c.markMany(^missing, n)
		c.nulls += bits.OnesCount64(missing)
	}
}

// markMany marks n cells at once, at most 64; bit k of present is for the k-th.
func (c *Column) markMany(present uint64, n int) {
	word, shift := c.n>>6, c.n&63
	if word == len(c.valid) {
		c.valid = append(c.valid, 0)
	}
	c.valid[word] = c.valid[word]&(1<<shift-1) | present<<shift
	if shift+n > 64 {
		if word+1 == len(c.valid) {
			c.valid = append(c.valid, 0)
		}
		c.valid[word+1] = present >> (64 - shift)
	}
	c.n += n
}

// AppendFilled appends the cells of d, with the one cell of value in the place
// of missing ones. All three columns are of the same type.
func (c *Column) AppendFilled(d, value *Column) {
	from := c.n
	plain := d.Field.Type != String || d.Field.Levels != nil && len(d.extra) == 0 && c.sameLevels(d) && c.sameLevels(value)
	if !plain || c.nulls > 0 {
		for i := range d.n {
			if d.IsNull(i) {
				c.AppendFrom(value, 0)
			} else {
				c.AppendFrom(d, i)
			}
		}
		return
	}
	switch {
	case c.Field.Type == Double:
		c.Floats = fill(append(c.Floats, d.Floats...), from, d, value.Floats[0])
	case c.Field.Type == Boolean:
		c.Bools = fill(append(c.Bools, d.Bools...), from, d, value.Bools[0])
	case c.Field.Type != String:
		c.Ints = fill(append(c.Ints, d.Ints...), from, d, value.Ints[0])
	default:
		c.Codes = fill(append(c.Codes, d.Codes...), from, d, value.Codes[0])
	}
	c.n += d.n
}

// fill puts v into the cells from on that are missing in d.
func fill[T any](cells []T, from int, d *Column, v T) []T {
	for lo := 0; d.nulls > 0 && lo < d.n; lo += 64 {
		for w := d.Missing(lo, min(64, d.n-lo)); w != 0; w &= w - 1 {
			cells[from+lo+bits.TrailingZeros64(w)] = v
		}
	}
	return cells
}

// PresentFloats returns the cells of a numeric or Boolean column that are not
// missing, as Float would: the column's own vector where it is just that, else
// in scratch. They are not to be changed.
func (c *Column) PresentFloats(scratch []float64) []float64 {
	if c.Field.Type == Double && c.nulls == 0 {
		return c.Floats
	}
	scratch = slices.Grow(scratch[:0], c.n-c.nulls)
	for lo := 0; lo < c.n; lo += 64 {
		hi := min(c.n, lo+64)
		missing := c.Missing(lo, hi-lo)
		for i := lo; i < hi; i, missing = i+1, missing>>1 {
			if missing&1 == 0 {
				scratch = append(scratch, c.number(i))
			}
		}
	}
	return scratch
}
