package frame

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJSONL(t *testing.T) {
	data := "\xEF\xBB\xBF" + `{"n": 1, "x":1.5e2 ,"s":"a\tb\u00e9\ud83d\ude00","ok":true,"t":"2015-10-09T08:30:00","mix":1,"big":3000000000}` + "\r\n\n" +
		` { "s" : "7" , "n":-2,"x":null,"ok":false,"t":"","mix":"NA","late":NaN} ` + "\n" + `{"late":2}`
	got, s, err := inferred(t, data, JSONL{}.Infer, JSONL{}.Read)
	if err != nil {
		t.Fatal(err)
	}
	want := "n,x,s,ok,t,mix,big,late\n1,150,a\tbé😀,True,2015-10-09T08:30:00,1,3000000000,\n-2,,7,False,,NA,,\n,,,,,,,2\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	wantSchema := Schema{
		{Name: "n", Type: Int32, Nullable: true},
		{Name: "x", Type: Double, Nullable: true},
		{Name: "s", Nullable: true},
		{Name: "ok", Type: Boolean, Nullable: true},
		{Name: "t", Type: DateTime, Nullable: true},
		{Name: "mix", Nullable: true},
		{Name: "big", Type: Int64, Nullable: true},
		{Name: "late", Type: Int32, Nullable: true},
	}
	if diff := cmp.Diff(wantSchema, s); diff != "" {
		t.Error(diff)
	}
}

func TestJSONLRefuses(t *testing.T) {
	for _, c := range []struct{ data, want string }{
		{"", "no object"},
		{"{}\n", "no object with a member"},
		{"[1]\n", "not a JSON object"},
		{"{\"a\":1}\n{\"a\":{}}\n", `record 2 (line 2): column "a": an object or array is no cell`},
		{`{"a":{"b":[1}}`, `column "a": its object or array is no JSON`},
		{`{"a":["x]}`, `column "a": its object or array is no JSON`},
		{`{"a":[[1]`, `column "a": its object or array is no JSON`},
		{`{"a":1,}`, "without a name"},
		{`{"a":1 "b":2}`, ", or } expected"},
		{`{"a" 1}`, "colon"},
		{`{"a":1,"a":2}`, "twice"},
		{`{"a":01}`, "no JSON value"},
		{`{"a":1.}`, "no JSON value"},
		{`{"a":tru}`, "no JSON value"},
		{`{"a":"x}`, "not closed"},
		{`{"a":"\x"}`, "bad escape"},
		{`{"a":"` + "\x01" + `"}`, "control character"},
		{`{"a":1} 2`, "text follows"},
		{`{"a":`, "not closed"},
		{"{\"a\":\"\xff\"}", "not UTF-8"},
	} {
		_, _, err := inferred(t, c.data, JSONL{}.Infer, JSONL{}.Read)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.data, err, c.want)
		}
	}
}

// A member that no column has may be anything.
func TestJSONL_nestedMembers(t *testing.T) {
	l := mustLayout(Schema{{Name: "a", Type: Int32}})
	f, err := JSONL{}.Read([]byte(`{"x":{"y":["]}",{"z":"\""}],"a":7},"a":1,"w":[]}`+"\n"+`{"a":2, "x" : [ {} , [] ] }`+"\n"), l)
	if err != nil || string(AppendCSV(nil, f, 0)) != "a\n1\n2\n" {
		t.Errorf("%v", err)
	}
	if _, err := (JSONL{}).Read([]byte(`{"a":1,"x":[tru]}`), l); err == nil || !strings.Contains(err.Error(), "is no JSON") {
		t.Errorf("err = %v", err)
	}
	if _, err := (JSONL{Lines{RefuseExtra: true}}).Read([]byte(`{"a":1,"x":[]}`), l); err == nil || !strings.Contains(err.Error(), `column "x" is not one of the service`) {
		t.Errorf("err = %v", err)
	}
}

func TestJSONLByLayout(t *testing.T) {
	l, err := NewLayout(Schema{{Name: "b", Type: Int32}, {Name: "a", Missing: []string{"-"}}})
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("{\"a\":\"x\",\"b\":1,\"c\":0}\n{\"a\":\"-\",\"b\":1.5}\n{\"a\":\"-\",\"b\":\"2.0\"}\n{\"b\":3}\n")
	var bad []string
	o := JSONL{Lines{MaxRecord: 30, OnBad: func(b BadRecord) error { bad = append(bad, b.Fault().Error()); return nil }}}
	f := l.New(0)
	n, err := o.Append(f, l, data, Start{Record: 11, Line: 21})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(AppendCSV(nil, f, ',')), "b,a\n1,x\n2,\n3,\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if n != (Counts{4, 1}) || len(bad) != 1 || !strings.Contains(bad[0], `record 12 (line 22): column "b" (Int32): value "1.5" is not a whole number`) {
		t.Errorf("%+v %q", n, bad)
	}
	if _, err := (JSONL{Lines{RefuseExtra: true}}).Read(data, l); err == nil || !strings.Contains(err.Error(), `column "c"`) {
		t.Errorf("an extra member: %v", err)
	}
	if _, err := (JSONL{Lines{MaxRecord: 10}}).Read(data, l); err == nil || !strings.Contains(err.Error(), "limit of 10 bytes") {
		t.Errorf("a long record: %v", err)
	}
}

// TestDense refuses a file that would grow far past its size.
func TestDense(t *testing.T) {
	var b strings.Builder
	b.WriteString("{")
	for i := range 2000 {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(`"c` + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + strings.Repeat("y", i/26) + `":1`)
	}
	b.WriteString("}\n" + strings.Repeat("{}\n", 30_000))
	if _, err := (JSONL{}).Infer([]byte(b.String()), nil); err == nil || !strings.Contains(err.Error(), "most of them absent") {
		t.Error(err)
	}
	svm := "1 2000:1\n" + strings.Repeat("1\n", 30_000)
	if _, err := (SVMLight{}).Infer([]byte(svm), nil); err == nil || !strings.Contains(err.Error(), "most of them absent") {
		t.Error(err)
	}
}

func TestJSONLWrite(t *testing.T) {
	l, err := NewLayout(Schema{{Name: `n"é`, Type: Double}, {Name: "s"}, {Name: "ok", Type: Boolean}, {Name: "t", Type: DateTime}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := CSV{}.Read([]byte("\"n\"\"é\",s,ok,t\n1E+20,\"a\n\\\"\"b\",true,2015-10-09T08:30\n,,false,\n"), l)
	if err != nil {
		t.Fatal(err)
	}
	got := string(AppendJSONLRows(nil, f, 0, 2))
	want := `{"n\"é":1E+20,"s":"a\n\\\"b","ok":true,"t":"2015-10-09T08:30:00"}` + "\n" + `{"n\"é":null,"s":null,"ok":false,"t":null}` + "\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// FuzzJSONL agrees with encoding/json on what is an object, and what it writes
// reads back.
func FuzzJSONL(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":"x\u00e9","c":null,"d":true}` + "\n" + `{"a":-1.5e3}`))
	f.Add([]byte(`{"a":"\ud83d\ude00","b":"\ud83d"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := (JSONL{}).Infer(data, nil); err == nil && !strings.Contains(string(data), "N") && !strings.Contains(string(data), "I") {
			for line := range strings.SplitSeq(strings.TrimPrefix(string(data), bom), "\n") {
				if line = strings.Trim(line, " \t\r\n\v\f"); line != "" && !json.Valid([]byte(line)) && !strings.ContainsAny(line, "\v\f") {
					t.Fatalf("%q is read as JSON, schema %v", line, s)
				}
			}
		}
		roundTrip(t, data, JSONL{}.Infer, JSONL{}.Read, func(fr *Frame) ([]byte, error) { return AppendJSONLRows(nil, fr, 0, fr.Rows()), nil })
	})
}
