package palette_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/module/palette"
)

// table reads CSV as a dataset would be: types inferred. A column name may end
// with ":c" for categorical, ":l" for the label, ":d" for Double, ":i64" for
// Int64.
func table(t testing.TB, csv string) *frame.Frame {
	t.Helper()
	csv = strings.TrimSpace(csv) + "\n"
	schema, err := frame.Inference{}.Infer([]byte(csv))
	if err != nil {
		t.Fatal(err)
	}
	for i := range schema {
		name, mark, _ := strings.Cut(schema[i].Name, ":")
		switch mark {
		case "c":
			schema[i].Levels = []string{}
			f, err := read(csv, schema)
			if err != nil {
				t.Fatal(err)
			}
			for r := range f.Rows() {
				if text := string(f.Cols[i].Text(r)); text != "" && !slices.Contains(schema[i].Levels, text) {
					schema[i].Levels = append(schema[i].Levels, text)
				}
			}
			slices.Sort(schema[i].Levels)
		case "l":
			schema[i].Role = frame.Label
		case "d":
			schema[i].Type = frame.Double
		case "i64":
			schema[i].Type = frame.Int64
		}
		defer func() { schema[i].Name = name }()
	}
	f, err := read(csv, schema)
	if err != nil {
		t.Fatal(err)
	}
	out := &frame.Frame{}
	for i, c := range f.Cols {
		field := schema[i]
		field.Name, _, _ = strings.Cut(field.Name, ":")
		out.Cols = append(out.Cols, c.WithField(&field))
	}
	return out
}

func read(csv string, schema frame.Schema) (*frame.Frame, error) {
	l, err := frame.NewLayout(slices.Clone(schema))
	if err != nil {
		return nil, err
	}
	return frame.CSV{}.Read([]byte(csv), l)
}

func text(f *frame.Frame) string { return strings.TrimSpace(string(frame.AppendCSV(nil, f, ','))) }

// describe writes what a schema says beside names.
func describe(s frame.Schema) string {
	var parts []string
	for _, f := range s {
		d := f.Type.String()
		if f.Levels != nil {
			d += fmt.Sprint(f.Levels)
		}
		if f.Role != "" {
			d += "/" + string(f.Role)
		}
		parts = append(parts, d)
	}
	return strings.Join(parts, " ")
}

type p = map[string]string

func resolve(t testing.TB, m *module.Module, params p) module.Values {
	t.Helper()
	v, problems := m.Resolve(params)
	if len(problems) > 0 {
		t.Fatalf("%+v", problems)
	}
	return v
}

// cases are runs of modules. wants is the output as CSV, types the output's
// types, levels and roles where they matter.
var cases = []struct {
	name, module string
	params       p
	in           string
	want, types  string
	code         string // of the error
}{
	{
		name: "select by name keeps the table's order", module: "Select Columns in Dataset",
		params: p{"Select columns": `{"isFilter":true,"rules":[{"ruleType":"ColumnNames","columns":["c","a"],"exclude":false}]}`},
		in:     "a,b,c\n1,2,3", want: "a,c\n1,3",
	},
	{name: "select by a list keeps its order", module: "Project Columns", params: p{"Select columns": "c,a"}, in: "a,b,c\n1,2,3", want: "c,a\n3,1"},
	{name: "select what is not there", module: "Select Columns in Dataset", params: p{"Select columns": "ab"}, in: "aa,b\n1,2", code: "Error0001"},
	{name: "select nothing", module: "Select Columns in Dataset", params: p{"Select columns": "None"}, in: "a\n1", code: "Error0020"},
	{
		name: "select all but one", module: "Select Columns in Dataset",
		params: p{"Select columns": `{"rules":[{"ruleType":"AllColumns","exclude":false},{"ruleType":"ColumnIndexes","columns":["2"],"exclude":true}]}`},
		in:     "a,b,c\n1,2,3", want: "a,c\n1,3",
	},
	{
		name: "select by type and kind", module: "Select Columns in Dataset",
		params: p{"Select columns": `{"rules":[{"ruleType":"ColumnTypes","columnTypes":["Numeric"],"columnKinds":["All"],"exclude":false},{"ruleType":"ColumnTypes","columnTypes":["All"],"columnKinds":["Label"],"exclude":true}]}`},
		in:     "a,s,y:l\n1,x,3", want: "a\n1",
	},

	{name: "metadata: rename", module: "Metadata Editor", params: p{"Column": "b,a", "New column names": `x,"y,z"`}, in: "a,b\n1,2", want: "x,\"y,z\"\n1,2"},
	{name: "metadata: too few names", module: "Edit Metadata", params: p{"Column": "All", "New column names": "x"}, in: "a,b\n1,2", code: "Error0027"},
	{name: "metadata: rename to one that is there", module: "Edit Metadata", params: p{"Column": "a", "New column names": "b"}, in: "a,b\n1,2", code: "Error0017"},
	{name: "metadata: roles", module: "Edit Metadata", params: p{"Column": "a", "Fields": "Labels"}, in: "a,b\n1,2", want: "a,b\n1,2", types: "Int32/label Int32"},
	{name: "metadata: weights", module: "Edit Metadata", params: p{"Column": "b", "Fields": "Weights"}, in: "a,b\n1,2", want: "a,b\n1,2", types: "Int32 Int32/weight"},
	{name: "metadata: clear label", module: "Edit Metadata", params: p{"Column": "All", "Fields": "Clear labels"}, in: "a,y:l\n1,2", want: "a,y\n1,2", types: "Int32 Int32"},
	{name: "metadata: clear features makes ids", module: "Edit Metadata", params: p{"Column": "a", "Fields": "Clear features"}, in: "a,y:l\n1,2", want: "a,y\n1,2", types: "Int32/id Int32/label"},
	{name: "metadata: features", module: "Edit Metadata", params: p{"Column": "y", "Fields": "Features"}, in: "a,y:l\n1,2", want: "a,y\n1,2", types: "Int32 Int32"},
	{name: "metadata: categories by bytes", module: "Edit Metadata", params: p{"Column": "s", "Categorical": "Make categorical"}, in: "s,n\nb,1\na,2\n,3\nb,4", want: "s,n\nb,1\na,2\n,3\nb,4", types: "String[a b] Int32"},
	{name: "metadata: categories of numbers by size", module: "Edit Metadata", params: p{"Column": "n", "Categorical": "Make categorical"}, in: "n\n10\n9\n-1", want: "n\n10\n9\n-1", types: "String[-1 9 10]"},
	{name: "metadata: plain again", module: "Edit Metadata", params: p{"Column": "s", "Categorical": "Make non-categorical"}, in: "s:c\nb\na", want: "s\nb\na", types: "String"},
	{name: "metadata: text to number", module: "Edit Metadata", params: p{"Column": "s", "Data type": "Floating point"}, in: "s:c,n\n007,1\n01.5,2\n,3", want: "s,n\n7,1\n1.5,2\n,3", types: "Double Int32"},
	{name: "metadata: text that is no number", module: "Edit Metadata", params: p{"Column": "s", "Data type": "Floating point"}, in: "s\n007\nx", code: "Error0042"},
	{name: "metadata: whole numbers", module: "Edit Metadata", params: p{"Column": "d", "Data type": "Integer"}, in: "d\n1.0\n-2.0", want: "d\n1\n-2", types: "Int32"},
	{name: "metadata: whole numbers of 64 bits", module: "Edit Metadata", params: p{"Column": "d", "Data type": "Integer"}, in: "d\n1.0\n3000000000.0", want: "d\n1\n3000000000", types: "Int64"},
	{name: "metadata: not whole", module: "Edit Metadata", params: p{"Column": "d", "Data type": "Integer"}, in: "d\n1.5", code: "Error0042"},
	{name: "metadata: truth", module: "Edit Metadata", params: p{"Column": "n", "Data type": "Boolean"}, in: "n\n1\n0", want: "n\nTrue\nFalse", types: "Boolean"},
	{name: "metadata: truth to text", module: "Edit Metadata", params: p{"Column": "b", "Data type": "String"}, in: "b\ntrue\nfalse", want: "b\nTrue\nFalse", types: "String"},
	{name: "metadata: truth to number", module: "Edit Metadata", params: p{"Column": "b", "Data type": "Integer"}, in: "b\ntrue\nfalse", want: "b\n1\n0", types: "Int32"},
	{name: "metadata: time to ticks", module: "Edit Metadata", params: p{"Column": "t", "Data type": "Integer"}, in: "t\n1970-01-01T00:00:01Z", want: "t\n621355968010000000", types: "Int64"},
	{name: "metadata: time to ticks as a number, rounded once", module: "Edit Metadata", params: p{"Column": "t", "Data type": "Floating point"}, in: "t\n2024-05-17T11:22:33.123457", want: "t\n6.385154175312346E+17", types: "Double"},
	{name: "metadata: ticks to time", module: "Edit Metadata", params: p{"Column": "t", "Data type": "DateTime"}, in: "t:i64\n621355968010000000", want: "t\n1970-01-01T00:00:01", types: "DateTime"},
	{name: "metadata: nothing selected", module: "Edit Metadata", params: p{"Column": "None"}, in: "a\n1", code: "Error0020"},

	{name: "clean: zero everywhere", module: "Clean Missing Data", in: "a,d,s\n1,,x\n,2.5,", want: "a,d,s\n1,0,x\n0,2.5,0"},
	{name: "clean: a value of one column", module: "Missing Values Scrubber", params: p{"Columns to be cleaned": "s", "Replacement value": "none"}, in: "a,s\n,x\n2,", want: "a,s\n,x\n2,none"},
	{name: "clean: a new level", module: "Clean Missing Data", params: p{"Columns to be cleaned": "s", "Replacement value": "?"}, in: "s:c,a\nb,1\n,2\na,3", want: "s,a\nb,1\n?,2\na,3", types: "String[a b ?] Int32"},
	{name: "clean: a value that does not suit", module: "Clean Missing Data", params: p{"Replacement value": "none"}, in: "a,s\n1,x", code: "Error0002"},
	{name: "clean: mean", module: "Clean Missing Data", params: p{"Cleaning mode": "Replace with mean"}, in: "i,d,b\n1,0.5,true\n2,,\n,1.5,true\n2,1,false", want: "i,d,b\n1,0.5,True\n2,1,True\n2,1.5,True\n2,1,False"},
	{name: "clean: mean of text", module: "Clean Missing Data", params: p{"Cleaning mode": "Replace with mean"}, in: "s,n\nx,1\n,2", code: "Error0017"},
	{name: "clean: median", module: "Clean Missing Data", params: p{"Cleaning mode": "Replace with median"}, in: "i,d\n1,1.5\n9,\n2,9.5\n,3.5\n4,4.5", want: "i,d\n1,1.5\n9,4\n2,9.5\n3,3.5\n4,4.5"},
	{name: "clean: median of truth", module: "Clean Missing Data", params: p{"Cleaning mode": "Replace with median"}, in: "b,a\ntrue,1\n,1", code: "Error0017"},
	{name: "clean: mode", module: "Clean Missing Data", params: p{"Cleaning mode": "Replace with mode"}, in: "s,n\nb,10\na,9\nb,\n,9\na,10", want: "s,n\nb,10\na,9\nb,9\na,9\na,10"},
	{name: "clean: rows", module: "Clean Missing Data", params: p{"Cleaning mode": "Remove entire row", "Columns to be cleaned": "a"}, in: "a,b\n1,\n,2\n3,4", want: "a,b\n1,\n3,4"},
	{name: "clean: columns", module: "Clean Missing Data", params: p{"Cleaning mode": "Remove entire column"}, in: "a,b,c\n1,,x\n2,2,y", want: "a,c\n1,x\n2,y"},
	{name: "clean: all columns", module: "Clean Missing Data", params: p{"Cleaning mode": "Remove entire column"}, in: "a,b\n1,\n,2", code: "Error0020"},
	{name: "clean: only above a ratio", module: "Clean Missing Data", params: p{"Minimum missing value ratio": "0.5"}, in: "a,b\n1,\n,\n3,\n4,5", want: "a,b\n1,0\n,0\n3,0\n4,5"},
	{name: "clean: only below a ratio", module: "Clean Missing Data", params: p{"Maximum missing value ratio": "0.5"}, in: "a,b\n1,\n,\n3,\n4,5", want: "a,b\n1,\n0,\n3,\n4,5"},
	{name: "clean: a column without values goes", module: "Clean Missing Data", params: p{"Cleaning mode": "Replace with mean", "Columns to be cleaned": "a,b"}, in: "a:d,b\n,1\n,3", want: "b\n1\n3"},
	{name: "clean: or stays", module: "Clean Missing Data", params: p{"Cleaning mode": "Replace with mean", "Cols with all missing values": "Propagate", "Columns to be cleaned": "a,b"}, in: "a:d,b\n,1\n,", want: "a,b\n,1\n,1"},
	{name: "clean: indicator", module: "Clean Missing Data", params: p{"Generate missing value indicator column": "true", "Columns to be cleaned": "a"}, in: "a,b\n1,2\n,3", want: "a,b,a_IsMissing\n1,2,False\n0,3,True"},
	{name: "clean: ratios the wrong way round", module: "Clean Missing Data", params: p{"Minimum missing value ratio": "0.6", "Maximum missing value ratio": "0.5"}, in: "a\n1", code: "Error0008"},

	{name: "indicators", module: "Indicator Values", params: p{"Categorical columns to convert": "s"}, in: "s:c,a\nx,1\ny,2\nx,3", want: "s,a,s-x,s-y\nx,1,1,0\ny,2,0,1\nx,3,1,0"},
	{name: "indicators: instead", module: "Convert to Indicator Values", params: p{"Categorical columns to convert": "s", "Overwrite categorical columns": "true"}, in: "s:c,a\nx,1\ny,2\n,3", want: "a,s-x,s-y,s-Missing\n1,1,0,0\n2,0,1,0\n3,0,0,1"},
	{name: "indicators: not categorical", module: "Convert to Indicator Values", params: p{"Categorical columns to convert": "s"}, in: "s\nx", code: "Error0056"},
	{name: "indicators: of nothing", module: "Convert to Indicator Values", params: p{"Categorical columns to convert": "CategoricalAll"}, in: "s\nx", code: "Error0020"},

	{name: "math: a constant", module: "Apply Math Operation", params: p{"Category": "Operations", "Arithmetic operation": "Multiply", "Constant operation argument": "0.17", "Column set": "col"}, in: "col,s\n100,x\n,y", want: "col,s,Multiply(col_$0.17)\n100,x,17\n,y,"},
	{name: "math: in place", module: "Apply Math Operation", params: p{"Category": "Operations", "Arithmetic operation": "Subtract", "Constant operation argument": "1", "Output mode": "Inplace"}, in: "a,s,b\n1,x,5.5", want: "a,s,b\n0,x,4.5", types: "Double String Double"},
	{name: "math: result only", module: "Apply Math Operation", params: p{"Category": "Basic", "Basic math function": "Square", "Output mode": "ResultOnly"}, in: "a,s,b\n3,x,5", want: "Square(a),Square(b)\n9,25"},
	{name: "math: column by column", module: "Apply Math Operation", params: p{"Category": "Operations", "Operation argument type": "ColumnSet", "Column set": "a,b", "Operation argument": "c,d", "Output mode": "ResultOnly"}, in: "a,b,c,d\n1,2,10,20", want: "Add(a_c),Add(b_d)\n11,22"},
	{name: "math: columns by one", module: "Apply Math Operation", params: p{"Category": "Operations", "Arithmetic operation": "Divide", "Operation argument type": "ColumnSet", "Column set": "a,b", "Operation argument": "c", "Output mode": "ResultOnly"}, in: "a,b,c\n1,2,4", want: "Divide(a_c),Divide(b_c)\n0.25,0.5"},
	{name: "math: one by columns", module: "Apply Math Operation", params: p{"Category": "Compare", "Comparison function": "LessThan", "Value to compare type": "ColumnSet", "Column set": "a", "Value to compare": "b,c", "Output mode": "ResultOnly"}, in: "a,b,c\n2,1,4", want: "LessThan(a_b),LessThan(a_c)\nFalse,True", types: "Boolean Boolean"},
	{name: "math: three by two", module: "Apply Math Operation", params: p{"Category": "Operations", "Operation argument type": "ColumnSet", "Column set": "a,b,c", "Operation argument": "a,b"}, in: "a,b,c\n1,2,4", code: "Error0022"},
	{name: "math: equals a constant", module: "Apply Math Operation", params: p{"Category": "Compare", "Constant value to compare": "10", "Column set": "a"}, in: "a\n10\n11", want: "a,EqualTo(a_$10)\n10,True\n11,False"},
	{name: "math: a name that is taken", module: "Apply Math Operation", params: p{"Column set": "a"}, in: "a,Abs(a)\n-1,7", want: "a,Abs(a),Abs(a) (2)\n-1,7,1"},
	{name: "math: infinite", module: "Apply Math Operation", params: p{"Category": "Operations", "Arithmetic operation": "Divide", "Constant operation argument": "0", "Column set": "a"}, in: "a\n1", code: "Error0033"},
	{name: "math: outside the domain", module: "Apply Math Operation", params: p{"Basic math function": "Ln", "Output mode": "Inplace"}, in: "a,b\n-1,1", want: "a,b\n,0"},
	{name: "math: text", module: "Apply Math Operation", params: p{"Column set": "s"}, in: "s\nx", code: "Error0017"},
	{name: "math: no numbers at all", module: "Apply Math Operation", in: "s\nx", code: "Error0020"},
	{name: "math: to cents", module: "Apply Math Operation", params: p{"Category": "Rounding", "Rounding operation": "RoundDigits", "Constant precision": "2", "Output mode": "Inplace"}, in: "a\n0.285\n-1.005\n2.344", want: "a\n0.29\n-1.01\n2.34"},
}

func TestModules(t *testing.T) {
	all := palette.New()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := all.Lookup(c.module)
			if m == nil {
				t.Fatalf("no module %q", c.module)
			}
			in := table(t, c.in)
			call := &module.Call{Params: resolve(t, m, c.params), Inputs: []module.Value{module.Table(in)}, Palette: all, Log: t.Logf}
			out, err := m.Execute(t.Context(), call)
			if c.code != "" {
				if !fault.HasCode(err, c.code) {
					t.Fatalf("got %v, want %s", err, c.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := out[0].Frame
			if text(got) != c.want {
				t.Errorf("got\n%s\nwant\n%s", text(got), c.want)
			}
			if c.types != "" && describe(got.Schema()) != c.types {
				t.Errorf("types %s, want %s", describe(got.Schema()), c.types)
			}
			alone(t, all, m, call, out)
		})
	}
}

// alone binds the module as a deployment would, to the schemas of the run, and
// applies it to each row by itself: the results must be the run's.
func alone(t *testing.T, all *module.Palette, m *module.Module, call *module.Call, ran []module.Value) {
	t.Helper()
	in, want := call.Inputs[0].Frame, ran[0].Frame
	var bound *module.Bound
	var err error
	if m.Fit != nil {
		var tr *module.Transformation
		if tr, err = all.OpenTransformation(ran[1].Artifact); err == nil {
			bound, err = tr.Bind(in.Schema())
		}
	} else {
		bound, err = m.Bind(&module.Binding{
			Params: call.Params, Palette: all, Inputs: []module.Input{{Schema: in.Schema(), Connected: true}}, Pinned: []frame.Schema{want.Schema()},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	state := bound.Op.NewState()
	var lines []string
	for r := range in.Rows() {
		out := []*frame.Frame{{Cols: make([]*frame.Column, len(bound.Outputs[0]))}}
		if err := state.Apply([]*frame.Frame{in.Slice(r, r+1)}, out); err != nil {
			t.Fatal(err)
		}
		if out[0].Rows() > 0 {
			lines = append(lines, strings.TrimSuffix(string(frame.AppendCSVRows(nil, out[0], 0, out[0].Rows(), ',')), "\n"))
		}
	}
	together := strings.Split(strings.TrimSuffix(string(frame.AppendCSVRows(nil, want, 0, want.Rows(), ',')), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	for i := range together {
		together[i] = strings.TrimSuffix(together[i], "\r")
	}
	if !slices.Equal(lines, together) {
		t.Errorf("row by row\n%q\nin the run\n%q", lines, together)
	}
	if !slices.Equal(bound.Outputs[0].Names(), want.Schema().Names()) {
		t.Errorf("bound to %v, ran to %v", bound.Outputs[0].Names(), want.Schema().Names())
	}
	for i, f := range bound.From[0] {
		if f != module.Computed && want.Cols[i].Field.Type != in.Cols[f.Col].Field.Type {
			t.Errorf("column %q is said to be input column %q", want.Cols[i].Field.Name, in.Cols[f.Col].Field.Name)
		}
	}
}

func TestEnterDataManually(t *testing.T) {
	m := palette.New().Lookup("Enter Data Manually")
	for _, c := range []struct {
		params     p
		want, code string
	}{
		{p{"Data": "a,b\n1,x\n2,"}, "a,b\n1,x\n2,", ""},
		{p{"Data": "1\tx\n2\ty\n", "HasHeader": "false", "DataFormat": "TSV"}, "Col1,Col2\n1,x\n2,y", ""},
		{p{"Data": "a,b\n1"}, "", "Error0049"},
		{p{"Data": "a,a\n1,2"}, "", "Error0049"},
	} {
		out, err := m.Execute(t.Context(), &module.Call{Params: resolve(t, m, c.params), Log: t.Logf})
		switch {
		case c.code != "":
			if !fault.HasCode(err, c.code) {
				t.Errorf("%v: got %v, want %s", c.params, err, c.code)
			}
		case err != nil:
			t.Errorf("%v: %v", c.params, err)
		case text(out[0].Frame) != c.want:
			t.Errorf("%v: got\n%s", c.params, text(out[0].Frame))
		}
	}
}

// TestTransformationElsewhere applies what was learned on one table to others.
func TestTransformationElsewhere(t *testing.T) {
	all := palette.New()
	clean, apply := all.Lookup("Clean Missing Data"), all.Lookup("Apply Transformation")
	learned, err := clean.Execute(t.Context(), &module.Call{
		Params: resolve(t, clean, p{"Cleaning mode": "Replace with mean", "Columns to be cleaned": "a"}),
		Inputs: []module.Value{module.Table(table(t, "a,b\n1,2\n5,3"))}, Palette: all, Log: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, want, code string }{
		{"b,a\n9,\n8,4\n7,", "b,a\n9,3\n8,4\n7,3", ""},
		{"b\n1", "", "Error0001"},
		{"a,b\nx,1", "", "Error0017"},
	} {
		out, err := apply.Execute(t.Context(), &module.Call{Inputs: []module.Value{learned[1], module.Table(table(t, c.in))}, Palette: all, Log: t.Logf})
		switch {
		case c.code != "":
			if !fault.HasCode(err, c.code) {
				t.Errorf("%q: got %v, want %s", c.in, err, c.code)
			}
		case err != nil:
			t.Errorf("%q: %v", c.in, err)
		case text(out[0].Frame) != c.want:
			t.Errorf("%q: got\n%s", c.in, text(out[0].Frame))
		}
	}
	if _, err := all.OpenTransformation(slices.Replace(slices.Clone(learned[1].Artifact), 0, 1)); !fault.HasCode(err, "Error0082") {
		t.Errorf("a damaged transformation: %v", err)
	}
	other := strings.Replace(string(learned[1].Artifact), `"codeVersion":1`, `"codeVersion":99`, 1)
	if _, err := all.OpenTransformation([]byte(other)); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "publish again") {
		t.Errorf("an unknown code version: %v", err)
	}
}

func TestRefused(t *testing.T) {
	all := palette.New()
	for _, name := range []string{"Execute R Script", "execute python script", "Train Matchbox Recommender", "Evaluate Recommender", "Import Images", "Detect Languages", "Train Vowpal Wabbit Version 8 Model"} {
		if module.Refused(name) == "" || all.Lookup(name) != nil {
			t.Errorf("%q is not refused by name", name)
		}
	}
	for m := range all.All() {
		if module.Refused(m.Name) != "" {
			t.Errorf("%q is there and refused", m.Name)
		}
	}
}
