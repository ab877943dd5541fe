package frame

import "fmt"

// Frame is a table: columns of one length.
type Frame struct {
	Cols []*Column
}

// Rows returns the number of rows; 0 for a frame without columns.
func (f *Frame) Rows() int {
	if len(f.Cols) == 0 {
		return 0
	}
	return f.Cols[0].Len()
}

// Schema returns the fields of the columns, in order.
func (f *Frame) Schema() Schema {
	s := make(Schema, len(f.Cols))
	for i, c := range f.Cols {
		s[i] = *c.Field
	}
	return s
}

// Col returns the column called name, or nil.
func (f *Frame) Col(name string) *Column {
	for _, c := range f.Cols {
		if c.Field.Name == name {
			return c
		}
	}
	return nil
}

// Reset empties every column and keeps its memory. Only the owner of all the
// columns may call it.
func (f *Frame) Reset() {
	for _, c := range f.Cols {
		c.Reset()
	}
}

// Check reports columns of unequal length.
func (f *Frame) Check() error {
	for _, c := range f.Cols {
		if c.Len() != f.Rows() {
			return fmt.Errorf("column %q has %d rows, %q has %d", f.Cols[0].Field.Name, f.Rows(), c.Field.Name, c.Len())
		}
	}
	return nil
}

// Slice returns the rows from lo to hi (exclusive) as a frame of new columns.
func (f *Frame) Slice(lo, hi int) *Frame {
	g := &Frame{Cols: make([]*Column, len(f.Cols))}
	for i, c := range f.Cols {
		d := c.Empty(hi - lo)
		d.AppendRange(c, lo, hi)
		g.Cols[i] = d
	}
	return g
}
