package connect

import (
	"context"
	"io"
	"strconv"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// Shape is a set of forms that the cells of a column have, in a source that
// types each value and no column.
type Shape uint8

// The forms.
const (
	WholeShape  Shape = 1 << iota // fits an Int32
	LongShape                     // fits an Int64
	DoubleShape                   // a number
	BoolShape
	TimeShape // a date and time in ISO 8601
	TextShape
)

// Number is the shape of a number in decimal.
func Number(text string) Shape {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return DoubleShape
	case int64(int32(n)) == n:
		return WholeShape
	}
	return LongShape
}

// Type is the type of a column whose cells have these forms.
func (s Shape) Type() frame.Type {
	switch {
	case s == WholeShape:
		return frame.Int32
	case s != 0 && s&^(WholeShape|LongShape) == 0:
		return frame.Int64
	case s != 0 && s&^(WholeShape|LongShape|DoubleShape) == 0:
		return frame.Double
	case s == BoolShape:
		return frame.Boolean
	case s == TimeShape:
		return frame.DateTime
	}
	return frame.String
}

// Columns are the columns of records that come as names and values, in the
// order in which the names are first seen.
type Columns struct {
	names  []string
	shapes []Shape
	index  map[string]int
}

// maxColumns bounds what a source can make of its names.
const maxColumns = 4096

// See notes a value, or with shape 0 a missing one, and returns its column.
func (c *Columns) See(name string, s Shape) (int, error) {
	i, ok := c.index[name]
	if !ok {
		if len(c.names) == maxColumns {
			return 0, fault.Module(22, "the source has more than %d columns", maxColumns)
		}
		if c.index == nil {
			c.index = make(map[string]int)
		}
		i = len(c.names)
		c.index[name] = i
		c.names, c.shapes = append(c.names, name), append(c.shapes, 0)
	}
	c.shapes[i] |= s
	return i, nil
}

// Find returns the column called name, or -1.
func (c *Columns) Find(name string) int {
	if i, ok := c.index[name]; ok {
		return i
	}
	return -1
}

// Schema returns the schema of what was seen.
func (c *Columns) Schema() frame.Schema {
	s := make(frame.Schema, len(c.names))
	for i, n := range c.names {
		s[i] = frame.Field{Name: n, Type: c.shapes[i].Type(), Nullable: true}
	}
	return s
}

// Gather makes rows of records of which neither columns nor types are known
// before the last has come. It holds them all, up to Limit bytes.
type Gather struct {
	Columns
	Limit int64

	texts []*frame.Column // a text of each cell
	rows  int
	size  int64
}

// Row begins the next record.
func (g *Gather) Row() { g.rows++ }

// Set is a value of the record that was begun.
func (g *Gather) Set(name string, s Shape, text string) error {
	i, err := g.See(name, s)
	if err != nil {
		return err
	}
	if i == len(g.texts) {
		g.texts = append(g.texts, frame.NewColumn(frame.Field{Name: name}, 0))
	}
	c := g.texts[i]
	if c.Len() == g.rows {
		return fault.Module(49, "record %d has %q twice", g.rows, name)
	}
	for c.Len() < g.rows-1 {
		c.AppendNull()
	}
	if s == 0 {
		c.AppendNull()
	} else {
		c.AppendString([]byte(text))
	}
	// Cells that are not there take their place, too.
	if g.size += int64(len(text)); g.size+8*int64(g.rows)*int64(len(g.texts)) > g.Limit {
		return tooLarge(g.Limit)
	}
	return nil
}

// Records returns all rows as records of a source.
func (g *Gather) Records() (*Records, error) {
	l, err := frame.NewLayout(g.Schema())
	if err != nil {
		return nil, fault.Module(17, "%v", err)
	}
	f := l.New(g.rows)
	for i, c := range g.texts {
		for r := range g.rows {
			switch {
			case r >= c.Len() || c.IsNull(r):
				f.Cols[i].AppendNull()
			case f.Cols[i].Field.Type == frame.String:
				f.Cols[i].AppendString(c.Text(r))
			default:
				if err := f.Cols[i].AppendText(c.Text(r)); err != nil {
					return nil, fault.Module(49, "record %d: %v", r+1, err)
				}
			}
		}
		g.texts[i] = nil
	}
	given := false
	return &Records{
		Schema: l.Schema,
		Next: func(context.Context) (*frame.Frame, error) {
			if given || f.Rows() == 0 {
				return nil, io.EOF
			}
			given = true
			return f, nil
		},
	}, nil
}
