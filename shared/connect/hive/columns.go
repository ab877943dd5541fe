package hive

import (
	"fmt"
	"math"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// Types of Hive, by their numbers in TTypeId.
const (
	typeBoolean   = 0
	typeTinyint   = 1
	typeInt       = 3
	typeBigint    = 4
	typeFloat     = 5
	typeDouble    = 6
	typeTimestamp = 8
	typeBinary    = 9
	typeDecimal   = 15
	typeDate      = 17
)

// schemaOf maps the columns of a result. Lists, maps and structs are text, as
// the server prints them.
func schemaOf(table fields) (frame.Schema, error) {
	var s frame.Schema
	for i, c := range table.children(1) {
		f := frame.Field{Name: c.text(1), Nullable: true}
		if f.Name == "" {
			f.Name = fmt.Sprintf("Col%d", i+1)
		}
		base := f.Name
		for n := 2; s.Index(f.Name) >= 0; n++ {
			f.Name = fmt.Sprintf("%s (%d)", base, n)
		}
		kind := int64(-1)
		if entries := c.child(2).children(1); len(entries) > 0 {
			if primitive := entries[0].child(1); primitive != nil {
				kind = primitive.num(1)
			}
		}
		switch {
		case kind == typeBoolean:
			f.Type = frame.Boolean
		case kind >= typeTinyint && kind <= typeInt:
			f.Type = frame.Int32
		case kind == typeBigint:
			f.Type = frame.Int64
		case kind == typeFloat, kind == typeDouble, kind == typeDecimal:
			f.Type = frame.Double
		case kind == typeTimestamp, kind == typeDate:
			f.Type = frame.DateTime
		case kind == typeBinary:
			return nil, fault.Module(17, "column %q is binary, which is no cell of a table: cast it in the query, or leave it out", f.Name).At(f.Name)
		}
		s = append(s, f)
	}
	return s, nil
}

// column appends a column of an answer: a union of lists by type, with a bit
// for each cell that is missing.
func (r *rows) column(to *frame.Column, union fields) error {
	for id, v := range union {
		list, ok := v.(fields)
		if !ok {
			continue
		}
		nulls := list.bytes(2)
		null := func(i int) bool { return i/8 < len(nulls) && nulls[i/8]&(1<<(i%8)) != 0 }
		var cell func(i int) error
		n := 0
		switch values := list[1].(type) {
		case []bool:
			n, cell = len(values), func(i int) error { return r.bool(to, values[i]) }
		case []int64:
			n, cell = len(values), func(i int) error { return r.int(to, values[i]) }
		case []float64:
			n, cell = len(values), func(i int) error { return r.float(to, values[i], i) }
		case [][]byte:
			n, cell = len(values), func(i int) error { return r.text(to, values[i], i) }
		default:
			return fault.Module(68, "column %q comes as type %d, which is not known", to.Field.Name, id)
		}
		for i := range n {
			if null(i) {
				to.AppendNull()
			} else if err := cell(i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rows) bool(to *frame.Column, v bool) error {
	if to.Field.Type != frame.Boolean {
		return mistyped(to)
	}
	to.AppendBool(v)
	return nil
}

func (r *rows) int(to *frame.Column, v int64) error {
	switch {
	case to.Field.Type == frame.Double:
		to.AppendFloat(float64(v))
	case to.Field.Type.Integer():
		to.AppendInt(v)
	default:
		return mistyped(to)
	}
	return nil
}

func (r *rows) float(to *frame.Column, v float64, i int) error {
	switch {
	case to.Field.Type != frame.Double:
		return mistyped(to)
	case math.IsNaN(v):
		to.AppendNull()
	case math.IsInf(v, 0):
		return fault.Module(33, "row %d of the query: column %q is infinite", r.row+int64(i)+1, to.Field.Name).At(to.Field.Name)
	default:
		to.AppendFloat(v)
	}
	return nil
}

func (r *rows) text(to *frame.Column, v []byte, i int) error {
	if to.Field.Type == frame.String {
		to.AppendString(v)
		return nil
	}
	if err := to.AppendText(v); err != nil { // decimals and times come as text
		return fault.Module(33, "row %d of the query: column %q has a value that no cell of it can have", r.row+int64(i)+1, to.Field.Name).At(to.Field.Name)
	}
	return nil
}

func mistyped(to *frame.Column) error {
	return fault.Module(68, "column %q does not come as the type that the server said", to.Field.Name).At(to.Field.Name)
}
