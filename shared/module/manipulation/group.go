package manipulation

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

// maxGroups is the number of new levels, the default included.
const maxGroups = 20

// The output modes of modules that compute columns from columns.
const (
	outputAppend  = "Append"
	outputInplace = "Inplace"
	outputOnly    = "ResultOnly"
)

// GroupCategoricalValues maps levels to fewer levels.
func GroupCategoricalValues() *module.Module {
	params := []module.Param{
		{
			Name: "Selected columns", Type: module.ColumnPicker, Default: "CategoricalAll", Schema: true,
			Doc: "The categorical columns to group; the same levels are grouped in all of them.",
		},
		{
			Name: "Output mode", Type: module.Enumerated, Default: outputOnly, Options: []string{outputAppend, outputInplace, outputOnly}, Schema: true,
			Doc: "Give the grouped columns alone, in the place of the selected ones, or behind all columns under a name with the suffix (2).",
		},
		{
			Name: "Default level name", Type: module.String, Schema: true,
			Doc: "The level of all values that are mapped to no other; without a name they become missing.",
		},
		{
			Name: "New number of levels", Type: module.Int, Default: "2", Range: &module.Range{Min: 1, Max: maxGroups}, Schema: true,
			Doc: "How many levels there will be, the default level included.",
		},
	}
	for i := 1; i < maxGroups; i++ {
		var from []string // the numbers of levels with which there is a level i
		for n := i + 1; n <= maxGroups; n++ {
			from = append(from, strconv.Itoa(n))
		}
		when := &module.When{Param: "New number of levels", Is: from}
		params = append(params,
			module.Param{Name: newLevel(i), Type: module.String, Required: true, Schema: true, When: when, Doc: fmt.Sprintf("The name of new level %d.", i)},
			module.Param{Name: oldLevels(i), Type: module.String, When: when, Doc: fmt.Sprintf("The values that become new level %d, separated by commas; quoted as in CSV where they have commas.", i)},
		)
	}
	return &module.Module{
		Spec: module.Spec{
			Name: "Group Categorical Values", Group: group, CodeVersion: 1, Nature: module.RowWise,
			Inputs: []module.Port{datasetIn}, Outputs: []module.Port{datasetOut}, Params: params,
			Doc: "Merges the values of categorical columns into fewer. Missing cells stay missing.",
		},
		Bind: bindGroup,
	}
}

func newLevel(i int) string { return fmt.Sprintf("Name of new level %d", i) }

func oldLevels(i int) string {
	return fmt.Sprintf("Comma-separated list of old levels to map to new level %d", i)
}

// grouping says which level a value gets.
type grouping struct {
	levels []string
	code   map[string]int32
	other  int32 // of values that are not in code; -1 for missing
}

func newGrouping(p module.Values) (*grouping, error) {
	g := &grouping{code: make(map[string]int32), other: -1}
	level := func(name string) int32 {
		i := slices.Index(g.levels, name)
		if i < 0 {
			i = len(g.levels)
			g.levels = append(g.levels, name)
		}
		return int32(i)
	}
	for i := 1; i < int(p.Int("New number of levels")); i++ {
		name := p.Text(newLevel(i))
		if name == "" {
			return nil, module.Errorf(3, "parameter %q is empty", newLevel(i))
		}
		r := csv.NewReader(strings.NewReader(p.Text(oldLevels(i))))
		r.TrimLeadingSpace = true
		values, err := r.Read()
		if err != nil {
			return nil, module.Errorf(2, "parameter %q: %v", oldLevels(i), err)
		}
		code := level(name)
		for _, v := range values {
			v = strings.TrimRight(v, " ")
			if other, ok := g.code[v]; ok && other != code {
				return nil, module.Errorf(2, "value %q is mapped to level %q and to level %q", v, g.levels[other], name)
			}
			g.code[v] = code
		}
	}
	if name := p.Text("Default level name"); name != "" {
		g.other = level(name)
	}
	if len(g.levels) == 0 {
		return nil, module.Errorf(3, "there is no new level: give the default level a name or add levels")
	}
	return g, nil
}

func bindGroup(b *module.Binding) (*module.Bound, error) {
	in := b.Inputs[0].Schema
	picked, err := b.Params.Columns("Selected columns").Resolve(in)
	if err != nil {
		return nil, err
	}
	if len(picked) == 0 {
		return nil, module.Errorf(20, "no column is selected: select at least one categorical column")
	}
	g, err := newGrouping(b.Params)
	if err != nil {
		return nil, err
	}
	mode := b.Params.Text("Output mode")
	var m module.RowMap
	var grouped []module.Out
	taken := in.Names()
	for i := range in {
		if !slices.Contains(picked, i) {
			if mode != outputOnly {
				m.Outs = append(m.Outs, module.Pass(in, i))
			}
			continue
		}
		if !in[i].Categorical() {
			return nil, module.Errorf(56, "column %q is not categorical: mark it with Edit Metadata", in[i].Name).At(in[i].Name)
		}
		f := in[i]
		f.Levels, f.Missing, f.Optional = g.levels, nil, false
		f.Nullable = f.Nullable || g.other < 0
		if mode == outputAppend {
			m.Outs = append(m.Outs, module.Pass(in, i))
			f.Name = module.Unique(f.Name, func(name string) bool { return slices.Contains(taken, name) })
			taken = append(taken, f.Name)
			grouped = append(grouped, g.out(in, i, f))
			continue
		}
		m.Outs = append(m.Outs, g.out(in, i, f))
	}
	m.Outs = append(m.Outs, grouped...)
	return m.Bind(in, 0, 1)
}

// out is column i of in, grouped.
func (g *grouping) out(in frame.Schema, i int, f frame.Field) module.Out {
	codes := make([]int32, len(in[i].Levels)) // old code -> new
	for k, level := range in[i].Levels {
		codes[k] = g.of(level)
	}
	return module.Out{
		Field: f, From: -1, Reads: []int{i},
		Fill: func(dst *frame.Column, in *frame.Frame) error {
			c := in.Cols[i]
			for r := range c.Len() {
				code := int32(-1)
				switch {
				case c.IsNull(r):
				case c.Unknown(r):
					code = g.of(c.Level(r))
				default:
					code = codes[c.Codes[r]]
				}
				if code < 0 {
					dst.AppendNull()
				} else {
					dst.AppendCode(code)
				}
			}
			return nil
		},
	}
}

func (g *grouping) of(value string) int32 {
	if code, ok := g.code[value]; ok {
		return code
	}
	return g.other
}
