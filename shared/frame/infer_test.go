package frame

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInferTypes(t *testing.T) {
	tests := []struct {
		cells string // by blanks; _ is an empty cell
		want  string
	}{
		{"1 2 -3", "Int32"},
		{"1 _ 3", "Int32 nullable"},
		{"1 NaN 3", "Int32 nullable"},
		{"2147483647 -2147483648", "Int32"},
		{"2147483648 1", "Int64"},
		{"999999999999999999", "Int64"},
		{"1999999999999999999", "String"}, // 19 digits
		{"-9999999999999999999", "String"},
		{"1 2.5", "Double"},
		{"25.0 30.0", "Double"},
		{"1E5 2e-3 .5", "Double"},
		{"0 -0", "Int32"},
		{"0.5 0", "Double"},
		{"0.1234567890123456789012345", "Double"},
		{"12345678901234567890.5", "String"},
		{"007 123", "String"},
		{"00 1", "String"},
		{"01.5", "String"},
		{"-01", "String"},
		{"+4512345678", "String"},
		{"1e999 1", "String"},
		{"Infinity 1", "String"},
		{"0x10", "String"},
		{"1 2 x", "String"},
		{"x 1 2", "String"},
		{"true False TRUE", "Boolean"},
		{"true _", "Boolean nullable"},
		{"true 1", "String"},
		{"1 0", "Int32"},
		{"true NaN", "String"},
		{"yes no", "String"},
		{"NaN _", "Double nullable"},
		{"NaN x", "String"},
		{"_ _", "String nullable"},
		{"2015-10-09T08:30:00 2015-10-09T08:30:00Z", "DateTime"},
		{"2015-10-09T08:30:00 _", "DateTime nullable"},
		{"2015-10-09", "String"},
		{"2015-10-09T08:30:00 7", "String"},
		{"? 5", "Int32 nullable"},
		{"? x", "String nullable"},
	}
	for _, tt := range tests {
		data := "a,b\n"
		for _, c := range strings.Fields(tt.cells) {
			data += strings.ReplaceAll(c, "_", "") + ",0\n"
		}
		s, err := Inference{Missing: []string{"?"}}.Infer([]byte(data))
		if err != nil {
			t.Errorf("%s: %v", tt.cells, err)
			continue
		}
		got := s[0].Type.String()
		if s[0].Nullable {
			got += " nullable"
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.cells, got, tt.want)
		}
		// What was inferred reads every cell.
		l, err := NewLayout(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (CSV{}).Read([]byte(data), l); err != nil {
			t.Errorf("%s: inferred %s, but %v", tt.cells, got, err)
		}
	}
}

func TestInferLastRowCounts(t *testing.T) {
	data := "a\n" + strings.Repeat("1\n", 100_000) + "x\n"
	s, err := Inference{}.Infer([]byte(data))
	if err != nil || s[0].Type != String {
		t.Errorf("%v, %v: the last of many rows must decide", s, err)
	}
}

func TestInferLevels(t *testing.T) {
	data := []byte("state,n,id,late\nOH,1,C1,\nKS,2,C2,x\nOH,3,C3,\nAZ,4,C4,\n")
	s, err := Inference{Categorical: true, MaxLevels: 3, Missing: []string{"x"}}.Infer(data)
	if err != nil {
		t.Fatal(err)
	}
	x := []string{"x"}
	want := Schema{
		{Name: "state", Levels: []string{"AZ", "KS", "OH"}, Missing: x},
		{Name: "n", Type: Int32, Missing: x},
		{Name: "id", Missing: x}, // four values: more than MaxLevels
		{Name: "late", Levels: []string{}, Nullable: true, Missing: x},
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Error(d)
	}
}

func TestInferWithoutHeader(t *testing.T) {
	s, err := Inference{CSV: CSV{NoHeader: true, Comma: '\t'}}.Infer([]byte(bom + "1\tx\n2\ty\n"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Schema{{Name: "Col1", Type: Int32}, {Name: "Col2"}}, s); d != "" {
		t.Error(d)
	}
}

// A data frame that pandas wrote with its index.
func TestInferUnnamed(t *testing.T) {
	const file = ",age,\n0,25,x\n1,31,y\n"
	s, err := Inference{}.Infer([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Schema{{Name: "Col1", Type: Int32}, {Name: "age", Type: Int32}, {Name: "Col3"}}, s); d != "" {
		t.Error(d)
	}
	l, err := NewLayout(s)
	if err != nil {
		t.Fatal(err)
	}
	f, err := CSV{}.Read([]byte(file), l)
	if err != nil || f.Rows() != 2 || f.Cols[0].Ints[1] != 1 {
		t.Errorf("read by what was inferred: %v, %v", f, err)
	}
	// A column that has no name where it comes from keeps none.
	if l, err = NewLayout(Schema{{Name: ""}, {Name: "age", Type: Int32}}); err != nil {
		t.Fatal(err)
	}
	if f, err = (CSV{}).Read([]byte(",age\nC1,25\n"), l); err != nil || f.Rows() != 1 {
		t.Errorf("a column that is called so: %v, %v", f, err)
	}
}

func TestInferRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                 "the file is empty; it must begin with a header row of column names",
		"a,a\n1,2\n":       `the file has column "a" twice`,
		"a,b\n1,2\n1\n":    "record 2 (line 3): the record has 1 field, the header 2",
		"a,b\n1,\"2\n":     "record 1 (line 2): a quoted field is not closed",
		"a,b\r1,2\r":       `the file begins with "a,b\r1,2": lines end in LF or in CR LF, not in CR`,
		bom + "a;b\r\n1;2": `the file has one column, "a;b": its fields are separated by ";", not by "," as the format says; put the name in quotes if there is one column indeed`,
		"a\tb\n\n1\t2\n":   `the file has one column, "a\tb": its fields are separated by "\t", not by "," as the format says; put the name in quotes if there is one column indeed`,
		"a,b\n1,2\n1,\xE4": "the file is not UTF-8: byte 0xE4 on line 3",
	} {
		if _, err := (Inference{}).Infer([]byte(in)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
	if _, err := (Inference{CSV: CSV{NoHeader: true}}).Infer(nil); err == nil {
		t.Error("an empty file without header has no columns to infer")
	}
	if _, err := (Inference{CSV: CSV{NoHeader: true, Comma: '\t'}}).Infer([]byte("1,2\n3,4\n")); err == nil || !strings.Contains(err.Error(), `separated by ",", not by "\t"`) {
		t.Errorf("commas for tabs: %v", err)
	}
	for _, one := range []string{"\"a;b\"\n1;2\n", "a;b\nx\n", "note\nx;y\n", "a|b,c\n1|2,3\n", "a;b\n"} {
		if _, err := (Inference{}).Infer([]byte(one)); err != nil {
			t.Errorf("%q: %v", one, err)
		}
	}
}
