package manipulation

import (
	"encoding/csv"
	"math"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

const unchanged = "Unchanged"

var dataTypes = map[string]frame.Type{
	"String": frame.String, "Floating point": frame.Double, "Boolean": frame.Boolean, "DateTime": frame.DateTime,
}

// EditMetadata changes what is known of columns: type, categorical or not,
// role, name.
func EditMetadata() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Edit Metadata", Aliases: []string{"Metadata Editor"},
			Group: group, CodeVersion: 1, Nature: module.RowWise,
			Inputs: []module.Port{datasetIn}, Outputs: []module.Port{datasetOut},
			Params: []module.Param{
				{
					Name: "Column", Type: module.ColumnPicker, Required: true, Schema: true,
					Doc: "The columns to change; every change applies to all of them.",
				},
				{
					Name: "Data type", Type: module.Enumerated, Default: unchanged, Schema: true,
					Options: []string{unchanged, "String", "Integer", "Floating point", "Boolean", "DateTime"},
					Doc:     "The new type. Cells are converted by their text; one that cannot be is module error 0042. Numbers and dates convert as 100 ns ticks since 0001-01-01.",
				},
				{
					Name: "Categorical", Type: module.Enumerated, Default: unchanged, Schema: true,
					Options: []string{unchanged, "Make categorical", "Make non-categorical"},
					Doc:     "Mark the columns as categorical, with the values of the run as their levels, in order; or as plain text. A categorical column is a String column.",
				},
				{
					Name: "Fields", Type: module.Enumerated, Default: unchanged, Schema: true,
					Options: []string{unchanged, "Features", "Labels", "Weights", "Clear features", "Clear labels", "Clear scores", "Clear weights"},
					Doc:     "The new role. A column whose feature flag is cleared is an id: echoed as it came and never a feature.",
				},
				{
					Name: "New column names", Type: module.String, Schema: true,
					Doc: "New names for all selected columns, separated by commas, in the table's order.",
				},
			},
			Doc: "Changes type, category, role and name of columns without changing what they say.",
		},
		// The levels of a column made categorical, and whether integers need 64
		// bits, are learned from the run's data.
		Pin: func(c *module.Call) ([]frame.Schema, error) {
			table := c.Inputs[0].Frame
			edits, err := edited(c.Params, table.Schema())
			if err != nil {
				return nil, err
			}
			s := make(frame.Schema, len(edits))
			for i := range edits {
				if err := edits[i].learn(table.Cols[i]); err != nil {
					return nil, err
				}
				s[i] = edits[i].to
			}
			return []frame.Schema{s}, nil
		},
		Bind: func(b *module.Binding) (*module.Bound, error) {
			in := b.Inputs[0].Schema
			edits, err := edited(b.Params, in)
			if err != nil {
				return nil, err
			}
			var m module.RowMap
			for i := range edits {
				e := &edits[i]
				if b.Pinned != nil {
					if p := b.Pinned[0].Index(e.to.Name); p >= 0 {
						e.to.Type, e.to.Levels = b.Pinned[0][p].Type, b.Pinned[0][p].Levels
					}
				}
				m.Outs = append(m.Outs, e.out(i))
			}
			return m.Bind(in, 0, 1)
		},
	}
}

// edit is what becomes of one column.
type edit struct {
	from, to frame.Field
	integer  bool // of the size the data need
	levels   bool // from the data
}

func edited(p module.Values, in frame.Schema) ([]edit, error) {
	picked, err := p.Columns("Column").Resolve(in)
	if err != nil {
		return nil, err
	}
	if len(picked) == 0 {
		return nil, module.Errorf(20, "no column is selected")
	}
	slices.Sort(picked)
	edits := make([]edit, len(in))
	for i := range in {
		edits[i] = edit{from: in[i], to: in[i]}
	}
	names, err := newNames(p.Text("New column names"), len(picked))
	if err != nil {
		return nil, err
	}
	for k, i := range picked {
		e := &edits[i]
		e.retype(p.Text("Data type"))
		e.categorize(p.Text("Categorical"))
		e.to.Role = role(p.Text("Fields"), e.to.Role)
		if names != nil {
			e.to.Name = names[k]
		}
	}
	return edits, nil
}

func newNames(text string, n int) ([]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	r := csv.NewReader(strings.NewReader(text))
	r.TrimLeadingSpace = true
	names, err := r.Read()
	if err != nil {
		return nil, module.Errorf(2, "parameter %q: %v", "New column names", err)
	}
	if len(names) != n {
		return nil, module.Errorf(27, "%d new column names for %d selected columns", len(names), n)
	}
	for i, name := range names {
		if strings.TrimSpace(name) == "" {
			return nil, module.Errorf(2, "new column name %d is empty", i+1)
		}
	}
	return names, nil
}

func (e *edit) retype(to string) {
	switch {
	case to == unchanged:
		return
	case to == "Integer":
		if e.from.Type.Integer() {
			return
		}
		e.to.Type, e.integer = frame.Int32, true
		if e.from.Type == frame.DateTime {
			e.to.Type, e.integer = frame.Int64, false
		}
	default:
		e.to.Type = dataTypes[to]
	}
	if e.to.Type != frame.String {
		e.to.Levels = nil
	}
	if e.to.Type != e.from.Type {
		e.to.Missing = nil
	}
}

func (e *edit) categorize(how string) {
	switch how {
	case "Make categorical":
		if e.to.Type != frame.String || e.to.Levels == nil {
			e.to.Type, e.integer, e.levels = frame.String, false, true
			e.to.Levels = []string{}
		}
	case "Make non-categorical":
		e.to.Levels = nil
	}
}

func role(how string, was frame.Role) frame.Role {
	switch how {
	case "Features":
		return frame.Feature
	case "Labels":
		return frame.Label
	case "Weights":
		return frame.Weight
	case "Clear features":
		if was == frame.Feature {
			return frame.ID
		}
	case "Clear labels", "Clear scores", "Clear weights":
		cleared := map[string]frame.Role{"Clear labels": frame.Label, "Clear scores": frame.Score, "Clear weights": frame.Weight}
		if was == cleared[how] {
			return frame.Feature
		}
	}
	return was
}

// learn completes e from the data: levels in order, size of integers.
func (e *edit) learn(c *frame.Column) error {
	switch {
	case e.levels:
		e.to.Levels = levels(c)
	case e.integer:
		for r := range c.Len() {
			var one frame.Column
			one.Field = &frame.Field{Name: e.to.Name, Type: frame.Int64}
			if err := convert(&one, c, r); err != nil {
				return err
			}
			if v := one.Ints[0]; v != int64(int32(v)) {
				e.to.Type = frame.Int64
				return nil
			}
		}
	}
	return nil
}

// levels returns the distinct values of c in order: numbers and dates by size,
// False before True, texts by their bytes.
func levels(c *frame.Column) []string {
	seen := make(map[string]int) // text -> first row
	var buf []byte
	for r := range c.Len() {
		if c.IsNull(r) {
			continue
		}
		buf = c.Print(buf[:0], r)
		if _, ok := seen[string(buf)]; !ok {
			seen[string(buf)] = r
		}
	}
	out := make([]string, 0, len(seen))
	for text := range seen {
		out = append(out, text)
	}
	slices.SortFunc(out, func(a, b string) int {
		if c.Field.Type.Numeric() || c.Field.Type == frame.DateTime {
			x, y := c.Float(seen[a]), c.Float(seen[b])
			if x < y {
				return -1
			} else if x > y {
				return 1
			}
		}
		return strings.Compare(a, b)
	})
	return out
}

// out makes the output column of input column i.
func (e *edit) out(i int) module.Out {
	if e.from.Type == e.to.Type && slices.Equal(e.from.Levels, e.to.Levels) && (e.from.Levels == nil) == (e.to.Levels == nil) {
		return module.Out{Field: e.to, From: i}
	}
	return module.Out{
		Field: e.to, From: -1, Reads: []int{i},
		Fill: func(dst *frame.Column, in *frame.Frame) error {
			c := in.Cols[i]
			for r := range c.Len() {
				if err := convert(dst, c, r); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// Ticks of the .NET DateTime: 100 ns since 0001-01-01.
const (
	ticksPerMicro = 10
	epochTicks    = 621_355_968_000_000_000
)

// convert appends cell r of c to dst, a column of another type.
func convert(dst, c *frame.Column, r int) error {
	from, to := c.Field.Type, dst.Field.Type
	switch {
	case c.IsNull(r):
		dst.AppendNull()
	case to == frame.Double && from != frame.String && from != frame.DateTime:
		dst.AppendFloat(c.Float(r))
	case to == frame.Double && from == frame.DateTime:
		dst.AppendFloat(float64(c.Ints[r]*ticksPerMicro + epochTicks))
	case to.Integer() && from == frame.DateTime:
		dst.AppendInt(c.Ints[r]*ticksPerMicro + epochTicks)
	case to.Integer() && from == frame.Boolean:
		dst.AppendInt(int64(c.Float(r)))
	case to == frame.DateTime && from.Numeric():
		ticks := c.Float(r)
		if from.Integer() {
			dst.AppendInt((c.Ints[r] - epochTicks) / ticksPerMicro)
		} else if math.Abs(ticks) < 1<<62 {
			dst.AppendInt((int64(ticks) - epochTicks) / ticksPerMicro)
		} else {
			return cannot(c, r, to)
		}
	case to == frame.String && from == frame.String && c.Field.Levels == nil:
		dst.AppendString(c.Text(r))
	case to == frame.String && from == frame.String:
		dst.AppendFrom(c, r)
	default:
		var small [64]byte
		text := c.Print(small[:0], r)
		if to == frame.String {
			dst.AppendString(text)
		} else if err := dst.AppendText(text); err != nil {
			return cannot(c, r, to)
		}
	}
	return nil
}

func cannot(c *frame.Column, r int, to frame.Type) error {
	e := module.Errorf(42, "column %q: value %q cannot be converted from %s to %s", c.Field.Name, frame.Clip(c.Print(nil, r)), c.Field.Type, to)
	return &module.RowError{Row: r, Fault: e.At(c.Field.Name)}
}
