package module_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

var schema = frame.Schema{
	{Name: "id", Type: frame.Int64, Role: frame.ID},
	{Name: "age", Type: frame.Int32},
	{Name: "pay", Type: frame.Double},
	{Name: "state", Type: frame.String, Levels: []string{"KS", "OH"}},
	{Name: "note, long", Type: frame.String},
	{Name: "left", Type: frame.Boolean, Role: frame.Label},
	{Name: "since", Type: frame.DateTime},
}

func TestSelection(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"All", "id age pay state note, long left since"},
		{"None", ""},
		{"NumericAll", "id age pay"},
		{"StringAll", "state note, long"},
		{"CategoricalAll", "state"},
		{"BooleanAll", "left"},
		{"AllLabels", "left"},
		{"AllFeatures", "age pay state note, long since"},
		{`pay, age,"note, long"`, "pay age note, long"},
		{`{"rules":[{"ruleType":"ColumnNames","columns":["pay","age"]}]}`, "age pay"},
		{`{"isFilter":false,"rules":[{"ruleType":"ColumnNames","columns":["pay","age","pay"]}]}`, "pay age"},
		{`{"rules":[{"ruleType":"ColumnIndexes","columns":["1-2","7"]}]}`, "id age since"},
		{`{"rules":[{"ruleType":"ColumnNames","columns":["id"],"exclude":true}]}`, "age pay state note, long left since"},
		{`{"rules":[{"ruleType":"AllColumns"},{"ruleType":"ColumnTypes","columnTypes":["Numeric","DateTime"],"columnKinds":["All"],"exclude":true}],"ui":{"withRules":true}}`, "state note, long left"},
		{`{"rules":[{"ruleType":"ColumnTypes","columnTypes":["Integer"],"columnKinds":["Feature"]}]}`, "age"},
		{`{"rules":[{"ruleType":"ColumnTypes","columnTypes":["NonCategorical"],"columnKinds":["Id","Label"]}]}`, "id left"},
	} {
		s, err := module.ParseSelection(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		picked, err := s.Resolve(schema)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		var names []string
		for _, i := range picked {
			names = append(names, schema[i].Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s selects %q, want %q", c.text, got, c.want)
		}
		again, err := module.ParseSelection(s.String())
		if err != nil || again.String() != s.String() {
			t.Errorf("%s is written as %s, which reads as %s, %v", c.text, s, again, err)
		}
	}
}

func TestSelectionRefuses(t *testing.T) {
	for _, text := range []string{
		`{"rules":[{"ruleType":"Columns"}]}`, `{"rules":[{"ruleType":"ColumnNames"}]}`, `{"rules":[{"ruleType":"ColumnNames","columns":[""]}]}`,
		`{"rules":[{"ruleType":"ColumnIndexes","columns":["0"]}]}`, `{"rules":[{"ruleType":"ColumnIndexes","columns":["3-1"]}]}`,
		`{"rules":[{"ruleType":"ColumnTypes","columnTypes":["Number"]}]}`, `{"rules":[{"ruleType":"ColumnTypes","columnKinds":["Target"]}]}`,
		`{"rules":[{"ruleType":"ColumnTypes"}]}`, `{"rule":[]}`, `{"rules":[]} x`, `{`, "a\nb", `a,"b`,
	} {
		if s, err := module.ParseSelection(text); err == nil {
			t.Errorf("%s is read as %s", text, s)
		}
	}
	for text, code := range map[string]string{`agee`: "Error0001", `{"rules":[{"ruleType":"ColumnIndexes","columns":["8"]}]}`: "Error0001"} {
		s, err := module.ParseSelection(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = s.Resolve(schema); !fault.HasCode(err, code) {
			t.Errorf("%s: %v", text, err)
		}
	}
	s, _ := module.ParseSelection("agee")
	if _, err := s.Resolve(schema); !strings.Contains(err.Error(), `"age"`) {
		t.Errorf("the nearest name is not told: %v", err)
	}
}

func FuzzSelection(f *testing.F) {
	for _, s := range []string{
		"", "All", "a,b", `"a ""b""",c`, `{"isFilter":true,"rules":[{"ruleType":"AllColumns","exclude":false},{"ruleType":"ColumnNames","columns":["age"],"exclude":true}]}`,
		`{"rules":[{"ruleType":"ColumnIndexes","columns":["1-3"]},{"ruleType":"ColumnTypes","columnTypes":["Numeric"],"columnKinds":["All"]}]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := module.ParseSelection(text)
		if err != nil {
			return
		}
		again, err := module.ParseSelection(s.String())
		if err != nil {
			t.Fatalf("%q is written as %q, which does not read: %v", text, s, err)
		}
		a, err1 := s.Resolve(schema)
		b, err2 := again.Resolve(schema)
		if (err1 == nil) != (err2 == nil) || !slices.Equal(a, b) {
			t.Fatalf("%q selects %v, %v; written and read again %v, %v", text, a, err1, b, err2)
		}
	})
}

func TestResolve(t *testing.T) {
	spec := &module.Spec{Name: "M", Params: []module.Param{
		{Name: "n", Type: module.Int, Default: "5", Range: &module.Range{Min: 1, Max: 10}},
		{Name: "x", Type: module.Float, Default: "0.50"},
		{Name: "b", Type: module.Boolean, Default: "false"},
		{Name: "mode", Type: module.Enumerated, Options: []string{"One", "Two"}, Default: "One"},
		{Name: "need", Type: module.String, Required: true},
		{Name: "key", Type: module.Credential},
	}}
	v, problems := spec.Resolve(map[string]string{"need": "it", "n": " 7 ", "b": "True", "mode": "two", "x": "5e-1", "key": "hush"})
	if len(problems) > 0 {
		t.Fatalf("%+v", problems)
	}
	if v.Int("n") != 7 || !v.Bool("b") || v.Text("mode") != "Two" || v.Float("x") != 0.5 || v.Text("key") != "hush" {
		t.Errorf("%+v", v)
	}
	got := v.NotDefault()
	if len(got) != 4 || got["n"] != "7" || got["b"] != "true" || got["mode"] != "Two" {
		t.Errorf("not default: %v: x is the default in another spelling, key is secret", got)
	}
	_, problems = spec.Resolve(map[string]string{"n": "11", "x": "NaN", "b": "maybe", "mode": "Three", "N": "1", "key": "a"})
	var rules []string
	for _, p := range problems {
		rules = append(rules, p.Param+" "+p.Rule)
	}
	want := []string{"n bad-parameter", "x bad-parameter", "b bad-parameter", "mode bad-parameter", "need missing-parameter", "N unknown-parameter"}
	if !slices.Equal(rules, want) {
		t.Errorf("got %q, want %q", rules, want)
	}
	if _, problems = spec.Resolve(nil, "need"); len(problems) > 0 {
		t.Errorf("a parameter that comes with the call is missed: %+v", problems)
	}
}

func TestRange(t *testing.T) {
	for _, c := range []struct {
		r    module.Range
		want string
	}{
		{module.Range{Min: 1, Max: math.MaxInt32}, "from 1 to 2147483647"},
		{module.Range{Min: 0.5, Max: 0.999999}, "from 0.5 to 0.999999"},
		{module.Range{Min: 0, Max: math.MaxFloat64}, "0 or more"},
		{module.Range{Min: math.SmallestNonzeroFloat64, Max: math.MaxFloat64}, "above 0"},
		{module.Range{Min: math.SmallestNonzeroFloat64, Max: 1}, "above 0 and at most 1"},
	} {
		p := module.Param{Type: module.Float, Range: &c.r}
		if _, err := p.Parse("-7"); err == nil || err.Error() != "-7 is not "+c.want {
			t.Errorf("%v, want -7 is not %s", err, c.want)
		}
	}
}

// A parameter that does not count is neither required nor judged.
func TestResolveWhen(t *testing.T) {
	when := func(param string, is ...string) *module.When { return &module.When{Param: param, Is: is} }
	spec := &module.Spec{Name: "M", Params: []module.Param{
		{Name: "list", Type: module.String, Required: true, When: when("by", "List"), Check: func(text string) error {
			if text == "1,x" {
				return module.Errorf(19, "x does not come behind 1")
			}
			return nil
		}},
		{Name: "mode", Type: module.Enumerated, Options: []string{"Split", "Head"}, Default: "Split"},
		{Name: "by", Type: module.Enumerated, Options: []string{"Half", "List"}, Default: "Half", When: when("mode", "Split")},
	}}
	for _, c := range []struct {
		given map[string]string
		want  []module.Problem
	}{
		{nil, nil},
		{map[string]string{"list": "1,x"}, nil},
		{map[string]string{"by": "List", "mode": "Head"}, nil},
		{map[string]string{"by": "List", "mode": "Head", "list": "1,x"}, nil},
		{map[string]string{"by": "list", "list": "1,2"}, nil},
		{map[string]string{"by": "list", "list": "1,x"}, []module.Problem{{"list", "bad-parameter", 19, "x does not come behind 1"}}},
		{map[string]string{"by": "list", "list": ""}, []module.Problem{{"list", "missing-parameter", 3, `parameter "list" is required where "by" is List`}}},
		{map[string]string{"by": "List"}, []module.Problem{{"list", "missing-parameter", 3, `parameter "list" is required where "by" is List`}}},
	} {
		if _, got := spec.Resolve(c.given); !slices.Equal(got, c.want) {
			t.Errorf("%v: %+v, want %+v", c.given, got, c.want)
		}
	}
	if _, got := spec.Resolve(map[string]string{"by": "List"}, "list"); len(got) > 0 {
		t.Errorf("a parameter that comes with the call is missed: %+v", got)
	}
}
