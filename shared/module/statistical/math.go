package statistical

import (
	"fmt"
	"math"
	"strconv"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/service"
)

// category is one of the module's categories, with the names that its
// parameters have in the Studio.
type category struct {
	name      string
	param     string // which function
	functions []function
	// The second argument: its type, the constant, the columns. Empty where
	// all functions take one argument.
	argType, constant, columns string
}

// Second arguments by constant or column.
const (
	byConstant = "Constant"
	byColumns  = "ColumnSet"
)

// Output modes.
const (
	appendMode = "Append"
	inPlace    = "Inplace"
	resultOnly = "ResultOnly"
)

var categories = []category{
	{"Basic", "Basic math function", basic, "Second argument type", "Constant second argument", "Second argument"},
	{"Compare", "Comparison function", compare, "Value to compare type", "Constant value to compare", "Value to compare"},
	{"Operations", "Arithmetic operation", operations, "Operation argument type", "Constant operation argument", "Operation argument"},
	{"Rounding", "Rounding operation", rounding, "Precision type", "Constant precision", "Precision"},
	{"Special", "Special function", special, "Special second argument type", "Constant special second argument", "Special second argument"},
	{"Trigonometric", "Trigonometric function", trigonometric, "", "", ""},
}

// ApplyMathOperation computes a function of columns.
func ApplyMathOperation() *module.Module {
	params := []module.Param{{Name: "Category", Type: module.Enumerated, Default: "Basic", Schema: true, Doc: "The kind of operation."}}
	for i := range categories {
		c := &categories[i]
		params[0].Options = append(params[0].Options, c.name)
		params = append(params, c.params()...)
	}
	params = append(params,
		module.Param{Name: "Column set", Type: module.ColumnPicker, Default: "NumericAll", Schema: true, Doc: "The columns to compute with: numbers or truth values."},
		module.Param{
			Name: "Output mode", Type: module.Enumerated, Default: appendMode, Options: []string{appendMode, inPlace, resultOnly}, Schema: true,
			Doc: "Append the results as new columns, put them in the place of the columns, or give the results only.",
		})
	return &module.Module{
		Spec: module.Spec{
			Name: "Apply Math Operation", Group: group, CodeVersion: 1, Nature: module.RowWise,
			Inputs:  []module.Port{{ID: "Dataset", Kind: service.Dataset, Doc: "The table to compute on."}},
			Outputs: []module.Port{{ID: "Results dataset", Kind: service.Dataset, Doc: "The table with the results."}},
			Params:  params,
			Doc:     "Applies a function to the cells of columns, with a constant or the cells of other columns as its second argument. New columns are named like Multiply(minutes_$0.17) or Subtract(a_b). A missing cell gives a missing result, and so does an argument outside the function's domain; an infinite result is module error 0033.",
		},
		Bind: bindMath,
	}
}

func (c *category) params() []module.Param {
	here := &module.When{Param: "Category", Is: []string{c.name}}
	// A new column's name says function and constant; Inplace keeps the name.
	named := &module.When{Param: "Output mode", Is: []string{appendMode, resultOnly}}
	fn := module.Param{Name: c.param, Type: module.Enumerated, Default: c.functions[0].name, When: here, Schema: true, Doc: "The function to apply."}
	for i := range c.functions {
		fn.Options = append(fn.Options, c.functions[i].name)
	}
	if c.argType == "" {
		return []module.Param{fn}
	}
	return []module.Param{
		fn,
		{
			Name: c.argType, Type: module.Enumerated, Default: byConstant, Options: []string{byConstant, byColumns}, When: here, Schema: true,
			Doc: "Whether the second argument is a constant or comes from columns. Functions of one argument ignore it.",
		},
		{
			Name: c.constant, Type: module.Float, Default: "0", When: &module.When{Param: c.argType, Is: []string{byConstant}}, Schema: true, SchemaWhen: named,
			Doc: "The second argument.",
		},
		{
			Name: c.columns, Type: module.ColumnPicker, Default: "NumericAll", When: &module.When{Param: c.argType, Is: []string{byColumns}}, Schema: true,
			Doc: "The columns of the second argument: as many as in the column set, or one for all of them.",
		},
	}
}

// pair is one computation: column x, and column y where y is not negative.
type pair struct{ x, y int }

func bindMath(b *module.Binding) (*module.Bound, error) {
	in, p := b.Inputs[0].Schema, b.Params
	c, f := chosen(p)
	picked, err := numeric(p, "Column set", in)
	if err != nil {
		return nil, err
	}
	constant, pairs := 0.0, make([]pair, len(picked))
	for i, x := range picked {
		pairs[i] = pair{x, -1}
	}
	suffix := ""
	if !f.unary() {
		if p.Text(c.argType) == byColumns {
			if pairs, err = pairUp(p, c, in, picked); err != nil {
				return nil, err
			}
		} else {
			constant = p.Float(c.constant)
			suffix = "_$" + strconv.FormatFloat(constant, 'g', -1, 64)
		}
	}
	mode := p.Text("Output mode")
	var m module.RowMap
	if mode != resultOnly {
		for i := range in {
			m.Outs = append(m.Outs, module.Pass(in, i))
		}
	}
	taken := make(map[string]bool)
	for i := range m.Outs {
		taken[m.Outs[i].Field.Name] = true
	}
	for _, pr := range pairs {
		name := in[pr.x].Name
		if mode != inPlace {
			arg := suffix
			if pr.y >= 0 {
				arg = "_" + in[pr.y].Name
			}
			name = module.Unique(fmt.Sprintf("%s(%s%s)", f.name, name, arg), func(name string) bool { return taken[name] })
			taken[name] = true
		}
		out := compute(f, pr, constant, name)
		if mode == inPlace {
			out.Field.Role = in[pr.x].Role
			m.Outs[pr.x] = out
		} else {
			m.Outs = append(m.Outs, out)
		}
	}
	return m.Bind(in, 0, 1)
}

func chosen(p module.Values) (*category, *function) {
	for i := range categories {
		c := &categories[i]
		if c.name != p.Text("Category") {
			continue
		}
		for k := range c.functions {
			if c.functions[k].name == p.Text(c.param) {
				return c, &c.functions[k]
			}
		}
	}
	panic("statistical: parameters were resolved against another specification")
}

func numeric(p module.Values, param string, in frame.Schema) ([]int, error) {
	picked, err := p.Columns(param).Resolve(in)
	if err != nil {
		return nil, err
	}
	if len(picked) == 0 {
		return nil, module.Errorf(20, "parameter %q selects no column", param)
	}
	for _, i := range picked {
		if !in[i].Type.Numeric() && in[i].Type != frame.Boolean {
			return nil, module.Errorf(17, "column %q is %s: a math operation needs numbers", in[i].Name, in[i].Type).At(in[i].Name)
		}
	}
	return picked, nil
}

func pairUp(p module.Values, c *category, in frame.Schema, xs []int) ([]pair, error) {
	ys, err := numeric(p, c.columns, in)
	if err != nil {
		return nil, err
	}
	if len(xs) == 1 && len(ys) > 1 && p.Text("Output mode") == inPlace {
		return nil, module.Errorf(22, "one column cannot hold the %d results of as many second arguments: use output mode Append", len(ys))
	}
	if len(xs) != len(ys) && len(xs) != 1 && len(ys) != 1 {
		return nil, module.Errorf(22, "parameter %q selects %d columns and %q %d: select as many, or one", "Column set", len(xs), c.columns, len(ys))
	}
	pairs := make([]pair, max(len(xs), len(ys)))
	for i := range pairs {
		pairs[i] = pair{xs[min(i, len(xs)-1)], ys[min(i, len(ys)-1)]}
	}
	return pairs, nil
}

// compute makes the output column of one pair.
func compute(f *function, p pair, constant float64, name string) module.Out {
	out := module.Out{Field: frame.Field{Name: name, Type: frame.Double, Nullable: true}, From: -1, Reads: []int{p.x}}
	if p.y >= 0 {
		out.Reads = append(out.Reads, p.y)
	}
	if f.test != nil {
		out.Field.Type = frame.Boolean
	}
	out.Fill = func(dst *frame.Column, in *frame.Frame) error {
		x := in.Cols[p.x]
		var y *frame.Column
		if p.y >= 0 {
			y = in.Cols[p.y]
		}
		for r := range x.Len() {
			a, b := x.Float(r), constant
			if y != nil {
				b = y.Float(r)
			}
			switch {
			case a != a || b != b:
				dst.AppendNull()
			case f.test != nil:
				dst.AppendBool(f.test(a, b))
			default:
				var v float64
				if f.unary() {
					v = f.f1(a)
				} else {
					v = f.f2(a, b)
				}
				if math.IsInf(v, 0) {
					return infinite(f, name, r)
				}
				dst.AppendFloat(v)
			}
		}
		return nil
	}
	return out
}

func infinite(f *function, column string, row int) error {
	return &module.RowError{Row: row, Fault: module.Errorf(33, "column %q: the result of %s is infinite", column, f.name).At(column)}
}
