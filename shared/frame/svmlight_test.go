package frame

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSVMLight(t *testing.T) {
	data := "# made by hand\n+1 1:0.5 3:2 # first\n-1 2:NaN\n\n0\n"
	got, s, err := inferred(t, data, SVMLight{}.Infer, SVMLight{}.Read)
	if err != nil {
		t.Fatal(err)
	}
	if want := "Label,Col1,Col2,Col3\n1,0.5,0,2\n-1,0,,0\n0,0,0,0\n"; got != want {
		t.Errorf("got\n%s", got)
	}
	want := Schema{{Name: "Label", Type: Int32, Role: Label}, {Name: "Col1", Type: Double}, {Name: "Col2", Type: Double, Nullable: true}, {Name: "Col3", Type: Double}}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
}

func TestSVMLightRefuses(t *testing.T) {
	for _, c := range []struct{ data, want string }{
		{"", "no record"},
		{"1 0:1\n", "begin with 1"},
		{"1 2:1 1:1\n", "must grow"},
		{"1 1:1 1:1\n", "must grow"},
		{"1:5 2:1\n", "no target"},
		{"1 qid:3 1:1\n", "qid"},
		{"1 x:1\n", "no index:value"},
		{"1 1\n", "no index:value"},
		{"1 100001:1\n", "at most 100000"},
	} {
		_, _, err := inferred(t, c.data, SVMLight{}.Infer, SVMLight{}.Read)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.data, err, c.want)
		}
	}
	l, _ := NewLayout(Schema{{Name: "Label", Type: Int32}, {Name: "a", Type: Double}})
	for _, data := range []string{"x 1:1\n", "1 1:x\n"} {
		if _, err := (SVMLight{}).Read([]byte(data), l); err == nil {
			t.Errorf("%q is read", data)
		}
	}
	if f, err := (SVMLight{}).Read([]byte("1 2:1\n"), l); err != nil || f.Cols[1].Floats[0] != 0 {
		t.Errorf("a feature that the layout lacks: %v", err)
	}
	if _, err := (SVMLight{Lines{RefuseExtra: true}}).Read([]byte("1 2:1\n"), l); err == nil {
		t.Error("a feature that the layout lacks is not refused")
	}
}

func TestSVMLightWrite(t *testing.T) {
	for _, c := range []struct {
		schema    Schema
		csv, want string
	}{
		{Schema{{Name: "a", Type: Double}, {Name: "id", Role: ID}, {Name: "y", Role: Label, Levels: []string{"no", "yes"}}, {Name: "b", Type: Boolean}}, "a,id,y,b\n0.5,x,yes,true\n0,x,no,false\n,x,,true\n", "1 1:0.5 2:1\n-1\nNaN 1:NaN 2:1\n"},
		{Schema{{Name: "a", Type: Int64}, {Name: "y", Role: Label, Levels: []string{"p", "q", "r"}}}, "a,y\n9007199254740993,r\n1,p\n", "2 1:9007199254740993\n0 1:1\n"},
		{Schema{{Name: "y", Role: Label, Type: Boolean}}, "y\ntrue\nfalse\n", "1\n-1\n"},
		{Schema{{Name: "a", Type: Int32}}, "a\n4\n", "0 1:4\n"},
	} {
		l, err := NewLayout(c.schema)
		if err != nil {
			t.Fatal(err)
		}
		f, err := CSV{}.Read([]byte(c.csv), l)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckSVMLight(c.schema); err != nil {
			t.Error(err)
		}
		if got := string(AppendSVMLightRows(nil, f, 0, f.Rows())); got != c.want {
			t.Errorf("%q: got %q, want %q", c.csv, got, c.want)
		}
	}
	if err := CheckSVMLight(Schema{{Name: "s"}}); err == nil {
		t.Error("text is accepted")
	}
}

func FuzzSVMLight(f *testing.F) {
	f.Add([]byte("+1 1:0.5 3:2 # first\n-1 2:NaN\n\n0\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := SVMLight{}.Infer(data, nil)
		if err != nil {
			return
		}
		l, err := NewLayout(s)
		if err != nil {
			t.Fatal(err)
		}
		fr, err := SVMLight{}.Read(data, l)
		if err != nil {
			return // a value that is no number
		}
		out := AppendSVMLightRows(nil, fr, 0, fr.Rows())
		again, err := SVMLight{}.Read(out, l)
		if err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if a, b := AppendCSV(nil, fr, ','), AppendCSV(nil, again, ','); string(a) != string(b) {
			t.Fatalf("%q written as %q, which reads as %q", a, out, b)
		}
	})
}
