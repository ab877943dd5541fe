package counts

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

var (
	transformIn = module.Port{ID: "Counting transform", Kind: service.Transformation, Doc: "The counting transform."}
	metadata    = module.Port{ID: "Count metadata", Kind: service.Dataset, Doc: "A table of one cell, Metadata: how the counts were made, as JSON."}
	countTable  = module.Port{ID: "Count table", Kind: service.Dataset, Doc: "The counts: column, number of the hash function, hash, and a count for each class."}
)

// ExportCountTable makes tables of a counting transform.
func ExportCountTable() *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Export Count Table", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{transformIn}, Outputs: []module.Port{metadata, countTable},
			Doc: "Makes two tables of a counting transform, which can be saved and read again by Import Count Table.",
		},
		Run: func(_ context.Context, c *module.Call) ([]module.Value, error) {
			t, err := open(c.Palette, c.Inputs[0])
			if err != nil {
				return nil, err
			}
			schema := frame.Schema{{Name: "Column"}, {Name: "Table", Type: frame.Int32}, {Name: "Hash", Type: frame.Int64}}
			for i := range t.Classes {
				schema = append(schema, frame.Field{Name: fmt.Sprintf("Class%d", i), Type: frame.Double})
			}
			l, err := frame.NewLayout(schema)
			if err != nil {
				return nil, err
			}
			f := l.New(0)
			var names []string
			for _, col := range t.Columns {
				names = append(names, col.Name)
				for d, table := range col.Tables {
					for _, k := range slices.Sorted(maps.Keys(table)) {
						f.Cols[0].AppendString([]byte(col.Name))
						f.Cols[1].AppendInt(int64(d))
						f.Cols[2].AppendInt(int64(k))
						for i, v := range table[k] {
							f.Cols[3+i].AppendFloat(v)
						}
					}
				}
			}
			head := described{*t, names}
			head.Columns = nil
			text, err := json.Marshal(head)
			if err != nil {
				return nil, err
			}
			meta := frame.NewColumn(frame.Field{Name: "Metadata"}, 1)
			meta.AppendString(text)
			return []module.Value{module.Table(&frame.Frame{Cols: []*frame.Column{meta}}), module.Table(f)}, nil
		},
	}
}

// described is a transform without its counts, and the names of its columns.
type described struct {
	transform
	Names []string `json:"names"`
}

// ImportCountTable makes a counting transform of tables.
func ImportCountTable(build *module.Spec) *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Import Count Table", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{metadata, countTable}, Outputs: []module.Port{transformOut},
			Doc: "Makes a counting transform of the two tables that Export Count Table gave.",
		},
		Run: func(_ context.Context, c *module.Call) ([]module.Value, error) {
			meta, counts := c.Inputs[0].Frame, c.Inputs[1].Frame
			cell := meta.Col("Metadata")
			var head described
			if cell == nil || cell.Field.Type != frame.String || cell.Len() != 1 || json.Unmarshal(cell.Text(0), &head) != nil || head.check() != nil {
				return nil, module.Errorf(18, "the count metadata are not those that Export Count Table gave")
			}
			t := &head.transform
			t.Columns = make([]column, len(head.Names))
			for i, name := range head.Names {
				t.Columns[i] = column{Name: name, Tables: make([]map[uint32][]float64, t.depth())}
				for d := range t.Columns[i].Tables {
					t.Columns[i].Tables[d] = make(map[uint32][]float64)
				}
			}
			if err := t.load(counts); err != nil {
				return nil, err
			}
			if err := t.check(); err != nil {
				return nil, err
			}
			v, err := t.encode(build)
			return []module.Value{v}, err
		},
	}
}

// load reads the rows of a count table.
func (t *transform) load(f *frame.Frame) error {
	get := func(name string, numeric bool) (*frame.Column, error) {
		c := f.Col(name)
		if c == nil {
			return nil, module.NoColumn(f.Schema(), name)
		}
		if c.Field.Type.Numeric() != numeric || !numeric && c.Field.Type != frame.String {
			return nil, module.Errorf(17, "column %q of the count table is %s", name, c.Field.Type).At(name)
		}
		return c, nil
	}
	names, err := get("Column", false)
	if err != nil {
		return err
	}
	cols := make([]*frame.Column, 2+len(t.Classes))
	for i := range cols {
		name := []string{"Table", "Hash"}[min(i, 1)]
		if i > 1 {
			name = fmt.Sprintf("Class%d", i-2)
		}
		if cols[i], err = get(name, true); err != nil {
			return err
		}
	}
	for r := range f.Rows() {
		at := slices.IndexFunc(t.Columns, func(c column) bool { return c.Name == string(names.Print(nil, r)) })
		d, hash := cols[0].Float(r), cols[1].Float(r)
		if at < 0 || d != math.Trunc(d) || d < 0 || d >= float64(t.depth()) || hash != math.Trunc(hash) || hash < 0 || hash >= float64(uint64(1)<<t.Bits) {
			return module.Errorf(18, "row %d of the count table: no such column, table or hash in the metadata", r+1)
		}
		row := make([]float64, len(t.Classes))
		for i := range row {
			row[i] = cols[2+i].Float(r)
		}
		t.Columns[at].Tables[int(d)][uint32(hash)] = row
	}
	return nil
}

// MergeCountTransform adds the counts of two transforms.
func MergeCountTransform(build *module.Spec) *module.Module {
	return &module.Module{
		Spec: module.Spec{
			Name: "Merge Count Transform", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{
				{ID: "Previous counting transform", Kind: service.Transformation, Doc: "The counts so far."},
				{ID: "New counting transform", Kind: service.Transformation, Doc: "The counts to add."},
			},
			Outputs: []module.Port{transformOut},
			Params: []module.Param{{
				Name: "Decay factor", Type: module.Float, Default: "1", Range: &module.Range{Min: 0, Max: 1},
				Doc: "The factor by which the counts so far are multiplied: below 1, what is old counts less.",
			}},
			Doc: "Adds the counts of two transforms of the same columns, classes and hash. How counts become features is taken from the previous one.",
		},
		Run: func(_ context.Context, c *module.Call) ([]module.Value, error) {
			old, err := open(c.Palette, c.Inputs[0])
			if err != nil {
				return nil, err
			}
			added, err := open(c.Palette, c.Inputs[1])
			if err != nil {
				return nil, err
			}
			if old.Type != added.Type || old.Bits != added.Bits || old.Seed != added.Seed || !slices.Equal(old.Classes, added.Classes) ||
				!slices.EqualFunc(old.Columns, added.Columns, func(a, b column) bool { return a.Name == b.Name }) {
				return nil, module.Errorf(10, "the transforms differ in their columns, classes or hash: they cannot be merged")
			}
			decay := c.Params.Float("Decay factor")
			for i := range old.Columns {
				for d, table := range old.Columns[i].Tables {
					for k, row := range table {
						for j := range row {
							table[k][j] = decay * row[j]
						}
					}
					for k, row := range added.Columns[i].Tables[d] {
						if table[k] == nil {
							table[k] = make([]float64, len(row))
						}
						for j, v := range row {
							table[k][j] += v
						}
					}
				}
			}
			v, err := old.encode(build)
			return []module.Value{v}, err
		},
	}
}

// ModifyCountTableParameters changes how counts become features.
func ModifyCountTableParameters(build *module.Spec) *module.Module {
	count := &module.Range{Min: 0, Max: 1e9}
	return &module.Module{
		Spec: module.Spec{
			Name: "Modify Count Table Parameters", Group: group, CodeVersion: 1, Nature: module.WholeTable,
			Inputs: []module.Port{transformIn}, Outputs: []module.Port{{ID: "Modified transform", Kind: service.Transformation, Doc: "The same counts, to other features."}},
			Params: []module.Param{
				{Name: "Garbage bin threshold", Type: module.Float, Default: "10", Range: count, Doc: "A value that was counted less often is rare: it takes the counts of all rare values together."},
				{Name: "Additional prior pseudo examples", Type: module.Float, Default: "42", Range: count, Doc: "So many rows with the odds of all rows are added to each value's counts before the odds are taken."},
				{Name: "Laplacian noise scale", Type: module.Float, Default: "0", Range: count, Doc: "The scale of the noise that is added to counts, so that no single row can be told from them. A value's noise is always the same."},
				{
					Name: "Random seed", Type: module.Int, Default: "0", Range: &module.Range{Min: 0, Max: math.MaxInt32},
					Doc: "The seed of the noise.",
				},
				{Name: "Output features include", Type: module.Enumerated, Default: both, Options: []string{countsOnly, logOddsOnly, both}, Doc: "Which features to give."},
				{Name: "Ignore back off column", Type: module.Boolean, Default: "false", Doc: "Leave out the column that says which values were rare."},
			},
			Doc: "Changes how the counts of a counting transform become features.",
		},
		Run: func(_ context.Context, c *module.Call) ([]module.Value, error) {
			t, err := open(c.Palette, c.Inputs[0])
			if err != nil {
				return nil, err
			}
			p := c.Params
			t.Features = features{
				Garbage: p.Float("Garbage bin threshold"), Prior: p.Float("Additional prior pseudo examples"), Noise: p.Float("Laplacian noise scale"),
				Output: p.Text("Output features include"), NoBackOff: p.Bool("Ignore back off column"), NoiseStart: p.Int("Random seed"),
			}
			v, err := t.encode(build)
			return []module.Value{v}, err
		},
	}
}
