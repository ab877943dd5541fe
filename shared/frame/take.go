package frame

import (
	"math/bits"
	"slices"
)

// Take returns a new column of the cells of c at the given rows, in that order;
// a negative row gives a missing cell.
func (c *Column) Take(rows []int) *Column { return c.take(rows, !hasNegative(rows)) }

func hasNegative(rows []int) bool {
	return slices.ContainsFunc(rows, func(r int) bool { return r < 0 })
}

// take is Take; all says that no row is negative.
func (c *Column) take(rows []int, all bool) *Column {
	d := c.Empty(len(rows))
	if !all || len(c.extra) > 0 || !d.gather(c, rows) {
		for _, r := range rows {
			if r < 0 {
				d.AppendNull()
			} else {
				d.AppendFrom(c, r)
			}
		}
	}
	return d
}

// gather fills the empty column d with cells of c. It reports false, and leaves
// d empty, where the cells are texts.
func (d *Column) gather(c *Column, rows []int) bool {
	switch {
	case c.Field.Type == Double:
		d.Floats = gather(d.Floats, c.Floats, rows)
	case c.Field.Type == Boolean:
		d.Bools = gather(d.Bools, c.Bools, rows)
	case c.Field.Type != String:
		d.Ints = gather(d.Ints, c.Ints, rows)
	case c.Field.Levels != nil:
		d.Codes = gather(d.Codes, c.Codes, rows)
	default:
		return false
	}
	if c.nulls == 0 {
		d.n = len(rows)
		return true
	}
	d.valid = make([]uint64, (len(rows)+63)/64)
	for i, r := range rows {
		d.valid[i>>6] |= c.valid[r>>6] >> (r & 63) & 1 << (i & 63)
	}
	d.n = len(rows)
	d.nulls = d.n - ones(d.valid)
	return true
}

func ones(words []uint64) (n int) {
	for _, w := range words {
		n += bits.OnesCount64(w)
	}
	return n
}

func gather[T any](dst, src []T, rows []int) []T {
	dst = dst[:len(rows)]
	for i, r := range rows {
		dst[i] = src[r]
	}
	return dst
}

// Take returns the given rows, in that order, as a frame of new columns; a
// negative row gives missing cells.
func (f *Frame) Take(rows []int) *Frame {
	g := &Frame{Cols: make([]*Column, len(f.Cols))}
	all := !hasNegative(rows)
	for i, c := range f.Cols {
		g.Cols[i] = c.take(rows, all)
	}
	return g
}
