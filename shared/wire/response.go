package wire

import (
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
)

// output is an output port with the constant parts of its answers.
type output struct {
	table [2][]byte // before the rows: without and with ColumnTypes
	rows  []byte    // before the rows, as objects
	keys  [][]byte  // before each cell of a row object
}

func newOutput(p service.Port) output {
	var o output
	name := appendString([]byte(nil), p.Name)
	o.rows = append(append(o.rows, name...), ":["...)
	table := append(append([]byte(nil), name...), `:{"type":"table","value":{"ColumnNames":[`...)
	types := []byte(`,"ColumnTypes":[`)
	for i := range p.Schema {
		f := &p.Schema[i]
		key := []byte{','}
		if i == 0 {
			key = []byte{'{'}
		} else {
			table = append(table, ',')
			types = append(types, ',')
		}
		table = appendString(table, f.Name)
		types = appendString(types, f.Type.String())
		o.keys = append(o.keys, append(appendString(key, f.Name), ':'))
	}
	table = append(table, ']')
	types = append(types, ']')
	const values = `,"Values":[`
	o.table[0] = append(append([]byte(nil), table...), values...)
	o.table[1] = append(append(table, types...), values...)
	return o
}

// AppendAnswer appends the answer to an execute call: one frame per output, in
// the order and with the schemas of p. Details adds the types of columns to
// the table form.
func (p *Ports) AppendAnswer(dst []byte, frames []*frame.Frame, form Form, details bool) []byte {
	dst = append(dst, `{"Results":{`...)
	for i := range p.outputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		if form == Rows {
			dst = p.outputs[i].appendRows(dst, frames[i])
		} else {
			dst = p.outputs[i].appendTable(dst, frames[i], details)
		}
	}
	return append(dst, "}}"...)
}

func (o *output) appendTable(dst []byte, f *frame.Frame, details bool) []byte {
	if details {
		dst = append(dst, o.table[1]...)
	} else {
		dst = append(dst, o.table[0]...)
	}
	for r := range f.Rows() {
		if r > 0 {
			dst = append(dst, ',')
		}
		dst = appendCells(dst, f, r)
	}
	return append(dst, "]}}"...)
}

func (o *output) appendRows(dst []byte, f *frame.Frame) []byte {
	dst = append(dst, o.rows...)
	for r := range f.Rows() {
		if r > 0 {
			dst = append(dst, ',')
		}
		for i, c := range f.Cols {
			dst = append(dst, o.keys[i]...)
			dst = appendCell(dst, c, r)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// AppendVector appends the answer to a 2014 score call: the cells of the
// output's one row.
func (p *Ports) AppendVector(dst []byte, f *frame.Frame) []byte {
	if f.Rows() == 0 {
		return append(dst, "[]"...)
	}
	return appendCells(dst, f, 0)
}

func appendCells(dst []byte, f *frame.Frame, row int) []byte {
	dst = append(dst, '[')
	for i, c := range f.Cols {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCell(dst, c, row)
	}
	return append(dst, ']')
}

// appendCell appends a cell as every answer has it: a string, or null.
func appendCell(dst []byte, c *frame.Column, row int) []byte {
	switch {
	case c.IsNull(row):
		return append(dst, "null"...)
	case c.Field.Type != frame.String: // nothing to escape
		return append(c.Print(append(dst, '"'), row), '"')
	case c.Field.Levels != nil:
		return appendString(dst, c.Level(row))
	}
	return appendString(dst, c.Text(row))
}
