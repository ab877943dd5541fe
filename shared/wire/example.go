package wire

import (
	"encoding/json"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
)

// exampleRows is how many sample rows an example shows.
const exampleRows = 2

// Example returns the body of an execute request that the service would take:
// of up to two of its sample rows where sampleData says so and there are any,
// else of one made-up row. The label is left out: a caller need not know it.
func Example(m *service.Manifest, form Form, sampleData bool) []byte {
	frames := sampleFrames(m, sampleData)
	if frames == nil {
		frames = madeUp(m)
	}
	inputs := object{}
	for i, in := range m.Inputs {
		if form == Rows {
			inputs = append(inputs, member{in.Name, rowObjects(frames[i])})
		} else {
			inputs = append(inputs, member{in.Name, table(frames[i])})
		}
	}
	params := object{}
	for _, p := range m.Parameters {
		if p.Default == nil {
			params = append(params, member{p.Name, madeUpParameter(p)})
		}
	}
	return appendJSON(nil, object{{"Inputs", inputs}, {"GlobalParameters", params}})
}

// sampleFrames reads the inputs of the deployment's first sample.
func sampleFrames(m *service.Manifest, wanted bool) []*frame.Frame {
	if !wanted || len(m.Samples) == 0 {
		return nil
	}
	frames, ok := emptyFrames(m)
	var d Decoder
	if !ok || d.Execute(NewPorts(m), m.Samples[0].Request, frames) != nil {
		return nil
	}
	for i, f := range frames {
		if f.Rows() > exampleRows {
			frames[i] = f.Slice(0, exampleRows)
		}
	}
	return frames
}

// emptyFrames makes a frame per input. ok is false where a schema is none; its
// frame then has no columns.
func emptyFrames(m *service.Manifest) (frames []*frame.Frame, ok bool) {
	ok = true
	for _, in := range m.Inputs {
		f := &frame.Frame{}
		if l, err := frame.NewLayout(in.Schema); err != nil {
			ok = false
		} else {
			f = l.New(1)
		}
		frames = append(frames, f)
	}
	return frames, ok
}

// madeUp makes a row of each input out of the schema alone.
func madeUp(m *service.Manifest) []*frame.Frame {
	frames, _ := emptyFrames(m)
	for _, f := range frames {
		for _, c := range f.Cols {
			switch c.Field.Type {
			case frame.Double:
				c.AppendFloat(1)
			case frame.Int32, frame.Int64:
				c.AppendInt(1)
			case frame.Boolean:
				c.AppendBool(true)
			case frame.DateTime:
				c.AppendInt(946_684_800_000_000) // 2000-01-01
			default:
				if n := len(c.Field.Levels); n > 0 && n <= maxEnum {
					c.AppendCode(0)
				} else {
					c.AppendString([]byte("value"))
				}
			}
		}
	}
	return frames
}

func madeUpParameter(p service.Parameter) any {
	switch p.Type {
	case service.ParamInt, service.ParamFloat, service.ParamDouble:
		return 1
	case service.ParamBoolean:
		return true
	}
	if len(p.Options) > 0 {
		return p.Options[0]
	}
	return ""
}

// left reports whether an example leaves the column out.
func left(f *frame.Field) bool { return f.Role == frame.Label && f.Optional }

// rowObjects is a frame as row objects, with cells of their own JSON type.
func rowObjects(f *frame.Frame) list {
	rows := list{}
	for r := range f.Rows() {
		row := object{}
		for _, c := range f.Cols {
			if !left(c.Field) {
				row = append(row, member{c.Field.Name, typed(c, r)})
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func typed(c *frame.Column, row int) any {
	switch {
	case c.IsNull(row):
		return nil
	case c.Field.Type == frame.Boolean:
		return c.Bools[row]
	case c.Field.Type.Numeric():
		return json.RawMessage(c.Print(nil, row))
	}
	return string(c.Print(nil, row))
}

// table is a frame in the table form.
func table(f *frame.Frame) object {
	names, values := list{}, list{}
	for _, c := range f.Cols {
		if !left(c.Field) {
			names = append(names, c.Field.Name)
		}
	}
	for r := range f.Rows() {
		row := list{}
		for _, c := range f.Cols {
			if !left(c.Field) {
				row = append(row, json.RawMessage(appendCell(nil, c, r)))
			}
		}
		values = append(values, row)
	}
	return object{{"ColumnNames", names}, {"Values", values}}
}
