package frame

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/fault"
)

// inferred reads a file by its own types and prints it as CSV.
func inferred(t *testing.T, data string, infer func([]byte, []string) (Schema, error), read func([]byte, *Layout) (*Frame, error), missing ...string) (string, Schema, error) {
	t.Helper()
	s, err := infer([]byte(data), missing)
	if err != nil {
		return "", nil, err
	}
	l, err := NewLayout(s)
	if err != nil {
		t.Fatal(err)
	}
	f, err := read([]byte(data), l)
	if err != nil {
		t.Fatalf("inferred but not read: %v", err)
	}
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	return string(AppendCSV(nil, f, ',')), s, nil
}

const weather = `% the classic
@RELATION 'weather data'

@attribute outlook {sunny, overcast, 'light rain'}   % three
@attribute "temp, C" REAL
@ATTRIBUTE humidity integer
@attribute note string
@attribute since date
@attribute day DATE "dd.MM.yy HH:mm"

@DATA
sunny, 85.5, 85, 'it\'s hot', "2001-04-03T12:12:12", '03.04.01 7:05'
% a comment
'light rain',?,   90,?,?,?
overcast	1e2	70	"a ""quoted"" one" 2001-04-03T12:12:12.25	31.12.99 23:59
{0 overcast, 3 x, 4 "2001-04-03T12:12:12", 5 '03.04.45 00:00'}
`

func TestARFF(t *testing.T) {
	// A doubled quote is no escape in this format: the text ends at it.
	data := strings.Replace(weather, `"a ""quoted"" one" `, `"a \"quoted\" one"`+"\t", 1)
	got, s, err := inferred(t, data, ARFF{}.Infer, ARFF{}.Read)
	if err != nil {
		t.Fatal(err)
	}
	want := `outlook,"temp, C",humidity,note,since,day
sunny,85.5,85,it's hot,2001-04-03T12:12:12,2001-04-03T07:05:00
light rain,,90,,,
overcast,100,70,"a ""quoted"" one",2001-04-03T12:12:12.25,1999-12-31T23:59:00
overcast,0,0,x,2001-04-03T12:12:12,2045-04-03T00:00:00
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	wantSchema := Schema{
		{Name: "outlook", Levels: []string{"sunny", "overcast", "light rain"}},
		{Name: "temp, C", Type: Double, Nullable: true},
		{Name: "humidity", Type: Int64},
		{Name: "note", Nullable: true},
		{Name: "since", Type: DateTime, Nullable: true},
		{Name: "day", Type: DateTime, Nullable: true},
	}
	if diff := cmp.Diff(wantSchema, s); diff != "" {
		t.Error(diff)
	}
	h, err := ARFF{}.Header([]byte(data), nil)
	if err != nil || h.Lines != 11 {
		t.Errorf("%d lines, %v", h.Lines, err)
	}
}

func TestARFFRefuses(t *testing.T) {
	const head = "@relation r\n@attribute a numeric\n@attribute b {x,y}\n@attribute c string\n@data\n"
	for _, c := range []struct{ data, want string }{
		{"", "no @data"},
		{"a,b\n1,2\n", "no ARFF file"},
		{"@relation r\n@data\n", "before any @attribute"},
		{"@attribute a numeric\n@attribute a real\n@data\n", "line 2: attribute \"a\" is declared twice"},
		{"@attribute a {x,x}\n@data\n", `value "x" twice`},
		{"@attribute a {x,y\n@data\n", "not closed by }"},
		{"@attribute a {x y}\n@data\n", ""},
		{"@attribute a numerical\n@data\n", `type "numerical"`},
		{"@attribute a numeric 5\n@data\n", "text follows its type"},
		{"@attribute a relational\n@data\n", "relational"},
		{"@attribute a date 'yyyy-ww'\n@data\n", `letter 'w'`},
		{"@attribute a date \"yyyy\n@data\n", "not closed"},
		{"@inputs a\n@attribute a numeric\n@data\n", "neither @relation"},
		{head + "1,x\n", "record 1 (line 6): the record has 2 values, the header declares 3"},
		{head + "1,x,y,z\n", "more than the 3 values"},
		{head + "1,x,\n", ""},
		{head + "1,z,c\n", `column "b": the value "z" is not one that the header declares`},
		{head + "one,x,c\n", `column "a" (Double): value "one" is not a number`},
		{head + "1,x,'c\n", "not closed"},
		{head + "1,x,'c' d\n", "a comma is missing"},
		{head + "1,x,c,{2}\n", "instance weights"},
		{head + "{0 1, 2 c}, {2}\n", "instance weights"},
		{head + "{0 1}\n", `leaves out attribute "c"`},
		{head + "{5 1}\n", "index 5"},
		{head + "{2 c, 2 d}\n", "twice"},
		{head + "{2 c\n", "not closed by }"},
		{head + "{-1 c}\n", "no index"},
		{head + "{2 c} x\n", "text follows"},
		{"@attribute a date\n@data\n2001-13-03\n", "is not an ISO 8601"},
		{head + "1,x,\xff\n", "not UTF-8"},
		{"\xff\xfe@", "UTF-16"},
	} {
		_, _, err := inferred(t, c.data, ARFF{}.Infer, ARFF{}.Read)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: got %v, want %q", c.data, err, c.want)
		}
	}
}

// TestARFFByLayout reads by a layout of another order with other types, and
// goes on past bad records.
func TestARFFByLayout(t *testing.T) {
	data := []byte("@relation r\n@attribute a numeric\n@attribute b {x,y}\n@attribute extra string\n@data\n1,x,e\nNA,y,e\n2.5,x,e\n{0 7, 2 e}\n")
	l, err := NewLayout(Schema{
		{Name: "b", Type: String, Levels: []string{"y", "x"}}, {Name: "gone", Type: Int32, Optional: true}, {Name: "a", Type: Int32, Missing: []string{"NA"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var bad []string
	o := ARFF{Lines{OnBad: func(b BadRecord) error { bad = append(bad, b.Fault().Error()+"|"+string(b.Raw)); return nil }}}
	h, err := o.Header(data, l)
	if err != nil {
		t.Fatal(err)
	}
	f := l.New(0)
	n, err := h.Append(f, data[h.Size:], Start{Record: 1, Line: h.Lines + 1})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(AppendCSV(nil, f, ',')), "b,gone,a\nx,,1\ny,,\nx,,7\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if n != (Counts{4, 1}) || len(bad) != 1 || !strings.Contains(bad[0], "record 3 (line 8)") || !strings.HasSuffix(bad[0], "|2.5,x,e") {
		t.Errorf("%+v, bad %q", n, bad)
	}
	if _, err := (ARFF{Lines{RefuseExtra: true}}).Header(data, l); !fault.HasCode(err, codeMismatch) {
		t.Errorf("an extra column: %v", err)
	}
	l, _ = NewLayout(Schema{{Name: "A", Type: Int32}})
	if _, err := (ARFF{}).Header(data, l); err == nil || !strings.Contains(err.Error(), `it has "a"`) {
		t.Errorf("a missing column: %v", err)
	}
}

func TestARFFWrite(t *testing.T) {
	l, err := NewLayout(Schema{
		{Name: "naïve name", Type: Double, Nullable: true},
		{Name: "s"},
		{Name: "c", Levels: []string{"a b", "?", "50%", `q'"\`}},
		{Name: "n", Type: Int32},
		{Name: "t", Type: DateTime},
		{Name: "ok", Type: Boolean},
	})
	if err != nil {
		t.Fatal(err)
	}
	csv := "naïve name,s,c,n,t,ok\n1.5,\"two\nlines\ttab\",a b,7,2015-10-09T08:30:00.25,True\n,?,?,-1,2015-10-09T08:30:00,False\n1E+20,{x},50%,0,2015-10-09T00:00:00,True\n0,\\,\"q'\"\"\\\",0,2015-10-09T00:00:00,\n"
	f, err := CSV{}.Read([]byte(csv), l)
	if err != nil {
		t.Fatal(err)
	}
	out, err := AppendARFFRows(AppendARFFHeader(nil, "my data", f.Schema()), f, 0, f.Rows())
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := inferred(t, string(out), ARFF{}.Infer, ARFF{}.Read)
	if err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if got != csv {
		t.Errorf("got\n%s\nwant\n%s\nin\n%s", got, csv, out)
	}
	c := NewColumn(Field{Name: "c", Levels: []string{"a"}}, 1)
	c.AppendString([]byte("b"))
	if _, err := AppendARFFRows(nil, &Frame{Cols: []*Column{c}}, 0, 1); err == nil || !strings.HasPrefix(err.Error(), `column "c": the value "b"`) {
		t.Errorf("a level that the header lacks: %v", err)
	}
	c.AppendString([]byte("a"))
	if _, err := AppendARFFRows(nil, &Frame{Cols: []*Column{c}}, 0, 2); err == nil || !strings.HasPrefix(err.Error(), `row 1, column "c": the value "b"`) {
		t.Errorf("a level that the header lacks, among rows: %v", err)
	}
}

func TestDateFormat(t *testing.T) {
	for _, c := range []struct{ format, text, want string }{
		{"yyyyMMdd", "20010403", "2001-04-03T00:00:00"},
		{"yyyyMMddHHmmssSSS", "20010403121314015", "2001-04-03T12:13:14.015"},
		{"EEE MMM d HH:mm:ss z yyyy", "Tue Apr 3 12:13:14 UTC 2001", "2001-04-03T12:13:14"},
		{"d MMMM yyyy", "3 September 2001", "2001-09-03T00:00:00"},
		{"MM/dd/yyyy hh:mm a", "04/03/2001 12:05 AM", "2001-04-03T00:05:00"},
		{"MM/dd/yyyy hh:mm a", "04/03/2001 12:05 pm", "2001-04-03T12:05:00"},
		{"yyyy-MM-dd'T'HH:mm:ssX", "2001-04-03T12:00:00+02:00", "2001-04-03T10:00:00"},
		{"yyyy-MM-dd'T'HH:mm:ssZ", "2001-04-03T12:00:00-0330", "2001-04-03T15:30:00"},
		{"'o''clock' H", "oclock 7", ""},
		{"H 'o''clock'", "7 o'clock", "1970-01-01T07:00:00"},
		{"yyyy", "01", "0001-01-01T00:00:00"},
		{"yy", "46", "1946-01-01T00:00:00"},
		{"yyyy-MM-dd", "2001-02-29", ""},
		{"yyyy-MM-dd", "2001-02-28x", ""},
		{"hh", "13", ""},
		{"MMM", "Foo", ""},
	} {
		f, reason := parseDateFormat(c.format)
		if reason != "" {
			if c.want != "" {
				t.Errorf("%s: %s", c.format, reason)
			}
			continue
		}
		got := ""
		if micros, ok := f.parse([]byte(c.text)); ok {
			got = string(appendTime(nil, micros))
		}
		if got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.format, c.text, got, c.want)
		}
	}
}

// FuzzARFF reads what it is given, and what it writes of that reads back.
func FuzzARFF(f *testing.F) {
	f.Add([]byte(weather))
	f.Add([]byte("@attribute a numeric\n@attribute b {x,y}\n@data\n1,x\n{0 5}\n?,?\n"))
	f.Add([]byte("@attribute 'a\\u00e9' date yyyyMMdd\n@data\n20010403\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		roundTrip(t, data, ARFF{}.Infer, ARFF{}.Read, func(fr *Frame) ([]byte, error) {
			return AppendARFFRows(AppendARFFHeader(nil, "r", fr.Schema()), fr, 0, fr.Rows())
		})
	})
}

// roundTrip checks a codec on a file that may be anything: what it reads it
// writes to a file that gives the same cells.
func roundTrip(t *testing.T, data []byte, infer func([]byte, []string) (Schema, error), read func([]byte, *Layout) (*Frame, error), write func(*Frame) ([]byte, error)) {
	s, err := infer(data, nil)
	if err != nil {
		return
	}
	l, err := NewLayout(s)
	if err != nil {
		t.Fatal(err)
	}
	fr, err := read(data, l)
	if err != nil {
		t.Fatalf("inferred but not read: %v", err)
	}
	if err := fr.Check(); err != nil {
		t.Fatal(err)
	}
	out, err := write(fr)
	if err != nil {
		return
	}
	again, err := read(out, l)
	if err != nil {
		t.Fatalf("written as %q, which does not read: %v", out, err)
	}
	if a, b := AppendCSV(nil, fr, ','), AppendCSV(nil, again, ','); string(a) != string(b) {
		t.Fatalf("%q written as %q, which reads as %q", a, out, b)
	}
}
