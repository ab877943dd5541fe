package frame

// Take returns a new column of the cells of c at the given rows, in that order;
// a negative row gives a missing cell.
func (c *Column) Take(rows []int) *Column {
	d := c.Empty(len(rows))
	if c.nulls > 0 || len(c.extra) > 0 || !d.takePlain(c, rows) {
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

// takePlain fills the empty column d from a column without missing cells. It
// reports false, and leaves d empty, where rows has a negative one or the cells
// are texts.
func (d *Column) takePlain(c *Column, rows []int) bool {
	for _, r := range rows {
		if r < 0 {
			return false
		}
	}
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
	d.n = len(rows)
	return true
}

func gather[T any](dst, src []T, rows []int) []T {
	for _, r := range rows {
		dst = append(dst, src[r])
	}
	return dst
}

// Take returns the given rows, in that order, as a frame of new columns; a
// negative row gives missing cells.
func (f *Frame) Take(rows []int) *Frame {
	g := &Frame{Cols: make([]*Column, len(f.Cols))}
	for i, c := range f.Cols {
		g.Cols[i] = c.Take(rows)
	}
	return g
}
