package wire

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
)

var people = service.Port{Name: "input1", Schema: frame.Schema{
	{Name: "id", Type: frame.String, Role: frame.ID, Optional: true},
	{Name: "age", Type: frame.Int32},
	{Name: "pay", Type: frame.Double},
	{Name: "state", Type: frame.String, Levels: []string{"KS", "OH"}},
	{Name: "member", Type: frame.Boolean, Optional: true},
}}

var extra = service.Port{Name: "input2", Schema: frame.Schema{{Name: "n", Type: frame.Int64}}}

// newFrames makes an empty frame per input.
func newFrames(t testing.TB, ports ...service.Port) []*frame.Frame {
	t.Helper()
	fs := make([]*frame.Frame, len(ports))
	for i, p := range ports {
		l, err := frame.NewLayout(p.Schema)
		if err != nil {
			t.Fatal(err)
		}
		fs[i] = l.New(0)
	}
	return fs
}

// show prints frames and parameters, cells by | and rows by newlines.
func show(fs []*frame.Frame, params map[string]string) string {
	var b strings.Builder
	for _, f := range fs {
		if err := f.Check(); err != nil {
			return err.Error()
		}
		for r := range f.Rows() {
			for i, c := range f.Cols {
				if i > 0 {
					b.WriteByte('|')
				}
				if c.IsNull(r) {
					b.WriteByte('-')
				}
				b.Write(c.Print(nil, r))
			}
			b.WriteByte('\n')
		}
		b.WriteByte('\n')
	}
	for _, k := range slices.Sorted(maps.Keys(params)) {
		fmt.Fprintf(&b, "%s=%s\n", k, params[k])
	}
	return strings.TrimRight(b.String(), "\n")
}

func TestExecute(t *testing.T) {
	const a = `"Inputs":{"input1":{"ColumnNames":["id","age","pay","state"],"Values":[["C1","25","1.5","KS"]]}}`
	tests := []struct {
		name, body, want string
	}{
		{"table", `{` + a + `,"GlobalParameters":{}}`, "C1|25|1.5|KS|-"},
		{"byte order mark", "\ufeff{" + a + `}`, "C1|25|1.5|KS|-"},
		{"no parameters", `{` + a + `}`, "C1|25|1.5|KS|-"},
		{"null parameters", `{` + a + `,"GlobalParameters":null}`, "C1|25|1.5|KS|-"},
		{"parameters first", `{"GlobalParameters":{"a":"b"},` + a + `}`, "C1|25|1.5|KS|-\n\na=b"},
		{"blanks", strings.NewReplacer(",", " ,\n\t ", ":", " : ", "[", "[ ", "{", "{\r\n", "]", " ]").Replace(`{`+a+`}`) + "\n", "C1|25|1.5|KS|-"},
		{
			"no quotes", `{"Inputs":{"input1":{"ColumnNames":["age","pay","state","member"],"Values":[[25,1.5e0,"KS",true],[-0,-1E-2,"",false]]}}}`,
			"-|25|1.5|KS|True\n-|0|-0.01|-|False",
		},
		{"any order", `{"Inputs":{"input1":{"Values":[["KS","C1","1.5","25"]],"ColumnTypes":["String"],"ColumnNames":["state","id","pay","age"]}}}`, "C1|25|1.5|KS|-"},
		{
			"missing in all ways", `{"Inputs":{"input1":{"ColumnNames":["age","pay","state"],"Values":[[null,null,null],["","",""],[NaN,NaN,""],["NaN","NaN",null]]}}}`,
			"-|-|-|-|-\n-|-|-|-|-\n-|-|-|-|-\n-|-|-|-|-",
		},
		{"NaN is a text in text", `{"Inputs":{"input1":{"ColumnNames":["age","pay","state"],"Values":[[1,2,"NaN"],[1,2,NaN]]}}}`, "-|1|2|NaN|-\n-|1|2|NaN|-"},
		{"whole numbers", `{"Inputs":{"input1":{"ColumnNames":["age","pay","state"],"Values":[["25.0","1",""],[2.5E1,1,""]]}}}`, "-|25|1|-|-\n-|25|1|-|-"},
		{
			"escapes", `{"Inputs":{"\u0069nput1":{"ColumnNames":["i\u0064","age","pay","state"],"Values":[["a\"\\\/\b\f\n\r\té\u00e9\ud83d\ude00\ud800x",1,2,"\u004bS"]]}}}`,
			"a\"\\/\b\f\n\r\téé😀\uFFFDx|1|2|KS|-",
		},
		{"no rows", `{"Inputs":{"input1":{"ColumnNames":["age","pay","state"],"Values":[]}}}`, ""},
		{"other case of the envelope", `{"inputs":{"input1":{"columnNames":["age","pay","state"],"values":[[1,2,"KS"]]}},"globalparameters":{}}`, "-|1|2|KS|-"},
		{"unknown members", `{"Id":"x","more":{"a":[1,{"b":[]},[[]],{}],"c":null},` + a + `}`, "C1|25|1.5|KS|-"},

		{"rows", `{"Inputs":{"input1":[{"id":"C1","age":25,"pay":"1.5","state":"KS","member":"true"},{"age":null}]}}`, "C1|25|1.5|KS|True\n-|-|-|-|-"},
		{"rows in any order", `{"Inputs":{"input1":[{"state":"KS","age":25},{"age":26,"state":"OH"},{"pay":1,"state":"ZZ"}]}}`, "-|25|-|KS|-\n-|26|-|OH|-\n-|-|1|ZZ|-"},
		{"an empty row", `{"Inputs":{"input1":[{}]}}`, "-|-|-|-|-"},
		{"no row objects", `{"Inputs":{"input1":[]}}`, ""},

		{
			"parameters of every type", `{` + a + `,"GlobalParameters":{"s":"te\"xt","i":5,"f":-1.50,"b":true,"n":null,"l":[1, {"a":"b"}],"o":{"x":1},"e":"","N":NaN}}`,
			"C1|25|1.5|KS|-\n\nN=NaN\nb=true\ne=\nf=-1.50\ni=5\nl=[1, {\"a\":\"b\"}]\no={\"x\":1}\ns=te\"xt",
		},
	}
	p := NewPorts(&service.Manifest{Inputs: []service.Port{people}})
	var d Decoder // one for all, as in service
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fs := newFrames(t, people)
			if err := d.Execute(p, []byte(tt.body), fs); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, show(fs, d.Parameters())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExecuteSeveralInputs(t *testing.T) {
	p := NewPorts(&service.Manifest{Inputs: []service.Port{people, extra}})
	fs := newFrames(t, people, extra)
	var d Decoder
	err := d.Execute(p, []byte(`{"Inputs":{"input2":[{"n":7},{"n":8}],"input1":{"ColumnNames":["age","pay","state"],"Values":[[1,2,"KS"]]}}}`), fs)
	if err != nil || show(fs, nil) != "-|1|2|KS|-\n\n7\n8" {
		t.Errorf("%v\n%s", err, show(fs, nil))
	}
}

// TestExecuteNamesAgain: a decoder that knows the names of the call before
// reads what one does that knows none.
func TestExecuteNamesAgain(t *testing.T) {
	p := NewPorts(&service.Manifest{Inputs: []service.Port{people, extra}})
	const ageState, stateAge = `["age","pay","state"]`, `["state","pay","age"]`
	const rows = `[{"n":1}]`
	table := func(names, values, other string) string {
		return `{"Inputs":{"input1":{"ColumnNames":` + names + `,"Values":` + values + `},"input2":` + other + `}}`
	}
	var used Decoder
	read := 0
	for _, body := range []string{
		table(ageState, `[["25","1","KS"]]`, rows),
		table(ageState, `[["26","1","MO"],["27","1",null]]`, rows),
		table("  "+ageState, `[["28","1","MO"]]`, rows),
		table(stateAge, `[["MO","1","29"]]`, rows),
		table(stateAge, `[["MO"]]`, rows),
		table(stateAge, `[["MO","1","30"]]`, rows),
		table(`["state","pay","age","age"]`, `[["MO","1","30","31"]]`, rows),
		table(`["state","pay","nobody"]`, `[["MO","1","30"]]`, rows),
		table(ageState, `[["31","1","KS"]]`, `{"ColumnNames":`+ageState+`,"Values":[]}`),
		table(`["n"]`, `[["32"]]`, rows),
		`{"Inputs":{"input2":` + rows + `,"input1":{"Values":[["33","1","KS"]],"ColumnNames":` + ageState + `}}}`,
		`{"Inputs":{"input2":` + rows + `,"input1":{"Values":[["34","1","KS"]],"ColumnNames":` + ageState + `}}}`,
		`{"Inputs":{"input2":` + rows + `,"input1":{"Values":[["35","1","KS"]],"ColumnNames":` + ageState,
		`{"Inputs":{"input2":` + rows + `,"input1":{"Values":[["36","1","KS"]],"ColumnNames":` + ageState[:8],
	} {
		var shown, errs [2]string
		for i, d := range []*Decoder{&used, new(Decoder)} {
			fs := newFrames(t, people, extra)
			errs[i] = fmt.Sprint(d.Execute(p, []byte(body), fs))
			shown[i] = fmt.Sprint(show(fs, d.Parameters()))
		}
		if errs[0] != errs[1] || errs[0] == "<nil>" && shown[0] != shown[1] {
			t.Errorf("%s: %s, %s; anew: %s, %s", body, errs[0], shown[0], errs[1], shown[1])
		}
		if errs[1] == "<nil>" {
			read++
		}
	}
	if read != 7 {
		t.Errorf("%d of the requests were read, want 7", read)
	}
}

func TestExecuteWithoutInputs(t *testing.T) {
	p := NewPorts(&service.Manifest{})
	var d Decoder
	for _, body := range []string{`{}`, `{"Inputs":{}}`, `{"Inputs":null,"GlobalParameters":{"a":1}}`, `{"GlobalParameters":{"a":1}}`} {
		if err := d.Execute(p, []byte(body), nil); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	err := d.Execute(p, []byte(`{"Inputs":{"input1":[]}}`), nil)
	if e := fault.Of(err); err == nil || e.Code != codeInputNames || !strings.HasSuffix(e.Msg, "The service has no inputs.") {
		t.Error(err)
	}
}

func TestExecuteRefuses(t *testing.T) {
	table := func(names, values string) string {
		return `{"Inputs":{"input1":{"ColumnNames":[` + names + `],"Values":[` + values + `]}},"GlobalParameters":{}}`
	}
	const three = `"age","pay","state"`
	tests := []struct {
		name, body string
		kind       fault.Kind
		code, want string
	}{
		{"no body", "", fault.BadArgument, codeBody, "the request has no body"},
		{"blanks", " \n", fault.BadArgument, codeBody, "the request has no body"},
		{"no JSON", "age=5", fault.BadArgument, codeBody, "the request body is not valid JSON: expected a value at line 1, column 1"},
		{"cut off", "{\"Inputs\":\n{\"input1\"", fault.BadArgument, codeBody, "the request body is not valid JSON: expected a colon at line 2, column 10"},
		{"an array", "[]", fault.BadArgument, codeBody, "the request body must be a JSON object"},
		{"two values", "{\"Inputs\":{\"input1\":[]}}{}", fault.BadArgument, codeBody, "the request body is not valid JSON: something after the value at line 1, column 25"},
		{"not UTF-8", "{\"Inputs\":\"\xE4\"}", fault.BadArgument, codeBody, "the request body is not UTF-8: byte 0xE4 at offset 11"},
		{"deep", `{"x":` + strings.Repeat("[", 100_000), fault.BadArgument, codeBody, "the request body nests deeper than the limit of 64 levels"},
		{"no inputs", `{"GlobalParameters":{}}`, fault.BadArgument, codeMissingInput, `the request has no data for input "input1"; the service needs: input1`},
		{"empty inputs", `{"Inputs":{}}`, fault.BadArgument, codeMissingInput, `the request has no data for input "input1"; the service needs: input1`},
		{"null input", `{"Inputs":{"input1":null}}`, fault.BadArgument, codeMissingInput, `the request has no data for input "input1"; the service needs: input1`},
		{"inputs is a list", `{"Inputs":[]}`, fault.BadArgument, codeBody, "Inputs must be a JSON object"},
		{"input is a text", `{"Inputs":{"input1":"x"}}`, fault.BadArgument, codeBody, `input "input1" must be an object with ColumnNames and Values, or an array of row objects`},
		{"other input", `{"Inputs":{"Input1":[]}}`, fault.BadArgument, codeInputNames, `Invalid service input name(s) specified in the request: Input1. Please map the input data to the correct service inputs and try again. The service has: input1.`},
		{"input twice", `{"Inputs":{"input1":[],"input1":[]}}`, fault.BadArgument, codeBody, `input "input1" is given twice`},
		{"parameters is a list", `{"Inputs":{"input1":[]},"GlobalParameters":[]}`, fault.BadArgument, codeBody, "GlobalParameters must be a JSON object"},
		{"parameter twice", `{"Inputs":{"input1":[]},"GlobalParameters":{"a":1,"a":2}}`, fault.BadArgument, codeBody, `global parameter "a" is given twice`},

		{"no names", `{"Inputs":{"input1":{"Values":[]}}}`, fault.BadArgument, codeBody, `input "input1" needs ColumnNames and Values, or to be an array of row objects`},
		{"no values", `{"Inputs":{"input1":{"ColumnNames":["age","pay","state"]}}}`, fault.BadArgument, codeBody, `input "input1" needs ColumnNames and Values, or to be an array of row objects`},
		{"names is a text", `{"Inputs":{"input1":{"ColumnNames":"age","Values":[]}}}`, fault.BadArgument, codeBody, `input "input1": ColumnNames must be an array of names`},
		{"a name is a number", table(`"age",5`, ""), fault.BadArgument, codeBody, `input "input1": ColumnNames must be an array of names`},
		{"values is null", `{"Inputs":{"input1":{"ColumnNames":["age","pay","state"],"Values":null}}}`, fault.BadArgument, codeBody, `input "input1": Values must be an array of rows`},
		{"a row is null", table(three, `[1,2,"KS"],null`), fault.BadArgument, codeBody, `input "input1", row 2 (rows count from 1) must be an array of cells`},
		{"names twice", `{"Inputs":{"input1":{"ColumnNames":["age","pay","state"],"ColumnNames":[],"Values":[]}}}`, fault.BadArgument, codeBody, `input "input1" has ColumnNames twice`},
		{"values twice", `{"Inputs":{"input1":{"Values":[],"ColumnNames":["age","pay","state"],"Values":[]}}}`, fault.BadArgument, codeBody, `input "input1" has Values twice`},

		{"unknown column", table(`"Age","pay","state"`, `[1,2,"KS"]`), fault.BadUserArgument, codeMismatch, `input "input1" has no column "Age"; did you mean "age"?`},
		{"unknown column, none near", table(`"churn","age","pay","state"`, ``), fault.BadUserArgument, codeMismatch, `input "input1" has no column "churn"`},
		{"column twice", table(`"age","pay","state","age"`, ``), fault.BadUserArgument, codeMismatch, `input "input1" has column "age" twice`},
		{"missing column", table(`"age","state"`, `[1,"KS"]`), fault.BadUserArgument, codeMismatch, `input "input1" lacks column "pay", which the service needs`},
		{"missing columns", table(`"id"`, ``), fault.BadUserArgument, codeMismatch, `input "input1" lacks columns "age", "pay", "state", which the service needs`},
		{"short row", table(three, `[1,2,"KS"],[1,2]`), fault.BadUserArgument, codeParse, `input "input1", row 2 (rows count from 1) has 2 cells, ColumnNames has 3 names`},
		{"long row", table(three, `[1,2,"KS",[]]`), fault.BadUserArgument, codeParse, `input "input1", row 1 (rows count from 1) has 4 cells, ColumnNames has 3 names`},
		{"wrong type in row 3", table(three, `[1,2,"KS"],[1,2,"KS"],[1,"12O","KS"]`), fault.BadUserArgument, codeParse, `input "input1", row 3 (rows count from 1): column "pay" (Double): value "12O" is not a number`},
		{"fraction", table(three, `[25.5,2,"KS"]`), fault.BadUserArgument, codeParse, `input "input1", row 1 (rows count from 1): column "age" (Int32): value "25.5" is not a whole number`},
		{"true for a number", table(three, `[true,2,"KS"]`), fault.BadUserArgument, codeParse, `input "input1", row 1 (rows count from 1): column "age" (Int32): value "true" is not a number`},
		{"overflow", table(three, `[1,1e999,"KS"]`), fault.BadUserArgument, codeParse, `input "input1", row 1 (rows count from 1): Error 0033: column "pay" (Double): value "1e999" is infinite or too large for the column`},
		{"Infinity", table(three, `[1,-Infinity,"KS"]`), fault.BadUserArgument, codeParse, `input "input1", row 1 (rows count from 1): Error 0033: column "pay" (Double): value "-Infinity" is infinite or too large for the column`},
		{"a cell is a list", table(three, `[1,[2],"KS"]`), fault.BadUserArgument, codeParse, `input "input1", row 1 (rows count from 1): column "pay" must be a string, a number, true, false or null, not an array or object`},

		{"row is an array", `{"Inputs":{"input1":[[1]]}}`, fault.BadArgument, codeBody, `input "input1", row 1 (rows count from 1) must be an object of column names and cells`},
		{"unknown column in row 2", `{"Inputs":{"input1":[{"age":1},{"aged":1}]}}`, fault.BadUserArgument, codeMismatch, `input "input1" has no column "aged"; did you mean "age"?`},
		{"column twice in a row", `{"Inputs":{"input1":[{"age":1},{"age":1,"pay":2,"age":1}]}}`, fault.BadUserArgument, codeMismatch, `input "input1" has column "age" twice`},
		{"wrong type in a row object", `{"Inputs":{"input1":[{"age":1},{"age":"x"}]}}`, fault.BadUserArgument, codeParse, `input "input1", row 2 (rows count from 1): column "age" (Int32): value "x" is not a number`},

		{"rows", table(three, strings.Repeat(`[1,2,"KS"],`, 3)+`[1,2,"KS"]`), fault.TooLarge, "", "the request has more rows than the limit of 3; use a batch job for more"},
		{"row objects", `{"Inputs":{"input1":[{},{},{},{}]}}`, fault.TooLarge, "", "the request has more rows than the limit of 3; use a batch job for more"},
	}
	for bad, what := range map[string]string{
		`01`: "a wrong number", `1.`: "a wrong number", `.5`: "expected a value", `+1`: "expected a value", `1e`: "a wrong number", `-`: "a wrong number",
		`--1`: "a wrong number", `0x1`: "expected a comma or ]", `nan`: "expected a value", `True`: "expected a value", `nul`: "expected a value",
		`'a'`: "expected a value", `"a`: "a string that does not end", "\"a\nb\"": "a control character in a string", `"\x"`: "a wrong escape in a string",
		`"\u12"`: "a wrong escape in a string", `1,]`: "expected a value", `1 2`: "expected a comma or ]", `-NaN`: "a wrong number",
	} {
		tests = append(tests, struct {
			name, body string
			kind       fault.Kind
			code, want string
		}{"malformed " + bad, `{"Inputs":{"input1":{"ColumnNames":["age","pay","state"],"Values":[[` + bad + `]]}}}`, fault.BadArgument, codeBody, "the request body is not valid JSON: " + what + " at line "})
	}
	p := NewPorts(&service.Manifest{Inputs: []service.Port{people}})
	d := Decoder{MaxRows: 3}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := d.Execute(p, []byte(tt.body), newFrames(t, people))
			if err == nil {
				t.Fatal("accepted")
			}
			e := fault.Of(err)
			if e.Kind != tt.kind || e.Code != tt.code || e.Msg != tt.want && !(strings.HasSuffix(tt.want, "at line ") && strings.HasPrefix(e.Msg, tt.want)) {
				t.Errorf("%s %s: %s\nwant %s %s: %s", e.Kind, e.Code, e.Msg, tt.kind, tt.code, tt.want)
			}
		})
	}
}

func TestScore(t *testing.T) {
	p := NewPorts(&service.Manifest{Inputs: []service.Port{people}})
	var d Decoder
	for body, want := range map[string]string{
		`{"Id":"score00001","Instance":{"FeatureVector":{"age":"39","state":"KS"},"GlobalParameters":{"rate":"0.2"}}}`: "-|39|-|KS|-\n\nrate=0.2",
		`{"Instance":{"FeatureVector":{}}}`: "-|-|-|-|-",
	} {
		fs := newFrames(t, people)
		if err := d.Score(p, []byte(body), fs[0]); err != nil || show(fs, d.Parameters()) != want {
			t.Errorf("%s: %v\n%s", body, err, show(fs, d.Parameters()))
		}
	}
	for body, want := range map[string]string{
		`{"Inputs":{"input1":[]}}`:                                  "the request has no Instance.FeatureVector",
		`{"Instance":{}}`:                                           "the request has no Instance.FeatureVector",
		`{"Instance":[]}`:                                           "Instance must be a JSON object",
		`{"Instance":{"FeatureVector":[]}}`:                         `input "input1", row 1 (rows count from 1) must be an object of column names and cells`,
		`{"Instance":{"FeatureVector":{"x":1}}}`:                    `input "input1" has no column "x"`,
		`{"Instance":{"FeatureVector":{},"FeatureVector":{}}}`:      "FeatureVector is given twice",
		`{"Instance":{"FeatureVector":{"age":"old"}}}`:              `input "input1", row 1 (rows count from 1): column "age" (Int32): value "old" is not a number`,
		`{"Instance":{"FeatureVector":{}},"GlobalParameters":[]}`:   "GlobalParameters must be a JSON object",
		`{"Instance":{"FeatureVector":{"age":"39"},"More":{"a":1}}`: "the request body is not valid JSON: expected a comma or } at line 1, column 58",
	} {
		if err := d.Score(p, []byte(body), newFrames(t, people)[0]); err == nil || fault.Of(err).Msg != want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
	two := NewPorts(&service.Manifest{Inputs: []service.Port{people, extra}})
	if err := d.Score(two, []byte(`{}`), nil); !fault.HasCode(err, "IncompatibleModel") {
		t.Error(err)
	}
}

func TestDecoderDoesNotAllocate(t *testing.T) {
	p := NewPorts(&service.Manifest{Inputs: []service.Port{people}, Outputs: []service.Port{{Name: "output1", Schema: people.Schema}}})
	fs := newFrames(t, people)
	var d Decoder
	var dst []byte
	for name, text := range map[string]string{
		"table": `{"Inputs":{"input1":{"ColumnNames":["id","age","pay","state"],"Values":[["C\u00e91","25","1.5","KS"],["C2",null,2.25,"OH"]]}},"GlobalParameters":{}}`,
		"rows":  `{"GlobalParameters":null,"Inputs":{"input1":[{"id":"C1","age":25,"pay":"1.5","state":"KS","member":true},{}]}}`,
	} {
		body := []byte(text)
		run := func() {
			fs[0].Reset()
			if err := d.Execute(p, body, fs); err != nil {
				t.Fatal(err)
			}
			dst = p.AppendAnswer(dst[:0], fs, Table, true)
			dst = p.AppendAnswer(dst[:0], fs, Rows, false)
		}
		run()
		if n := testing.AllocsPerRun(100, run); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
