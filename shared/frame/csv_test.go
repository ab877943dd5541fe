package frame

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/fault"
)

var people = mustLayout(Schema{
	{Name: "id", Type: String, Role: ID},
	{Name: "age", Type: Int32},
	{Name: "pay", Type: Double},
	{Name: "state", Type: String, Levels: []string{"KS", "OH"}},
	{Name: "member", Type: Boolean, Optional: true},
})

func mustLayout(s Schema) *Layout {
	l, err := NewLayout(s)
	if err != nil {
		panic(err)
	}
	return l
}

// rows prints a frame, one string a row.
func rows(f *Frame) []string {
	var out []string
	for r := range f.Rows() {
		var cells []string
		for _, c := range f.Cols {
			s := string(c.Print(nil, r))
			if c.IsNull(r) {
				s = "-"
			}
			cells = append(cells, s)
		}
		out = append(out, strings.Join(cells, "|"))
	}
	return out
}

func TestReadCSV(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"plain", "id,age,pay,state\nC1,25,1.5,KS\n", []string{"C1|25|1.5|KS|-"}},
		{"no final newline", "id,age,pay,state\nC1,25,1.5,KS", []string{"C1|25|1.5|KS|-"}},
		{"final CR", "id,age,pay,state\nC1,25,1.5,KS\r", []string{"C1|25|1.5|KS|-"}},
		{"CRLF", "id,age,pay,state\r\nC1,25,1.5,KS\r\n", []string{"C1|25|1.5|KS|-"}},
		{"BOM", "\xEF\xBB\xBFid,age,pay,state\nC1,25,1.5,KS\n", []string{"C1|25|1.5|KS|-"}},
		{"BOM and quoted header", "\xEF\xBB\xBF\"id\",age,pay,state\nC1,25,1.5,KS\n", []string{"C1|25|1.5|KS|-"}},
		{"any order, extra column", "state,x,pay,age,id,member\nKS,zz,1.5,25,C1,true\n", []string{"C1|25|1.5|KS|True"}},
		{"quoted", "id,age,pay,state\n\"C,1\",\"25\",\"1.5\",\"K\"\"S\"\n", []string{`C,1|25|1.5|K"S|-`}},
		{"quoted newline", "id,age,pay,state\n\"C\n1\r\n2\",25,1.5,KS\n", []string{"C\n1\r\n2|25|1.5|KS|-"}},
		{"quoted to CRLF", "id,age,pay,state\nC1,25,1.5,\"KS\"\r\nC2,26,2.5,\"OH\"\r", []string{"C1|25|1.5|KS|-", "C2|26|2.5|OH|-"}},
		{"quoted to the end", "id,age,pay,state\nC1,25,1.5,\"KS\"", []string{"C1|25|1.5|KS|-"}},
		{"empty quoted", "id,age,pay,state\n\"\",\"\",\"\",\"\"\n", []string{"-|-|-|-|-"}},
		{"all missing", "id,age,pay,state\n,,,\n,,,", []string{"-|-|-|-|-", "-|-|-|-|-"}},
		{"missing at the end", "id,age,pay,state\nC1,25,1.5,", []string{"C1|25|1.5|-|-"}},
		{"blank lines", "\n\r\nid,age,pay,state\n\n\r\nC1,25,1.5,KS\n\n\n", []string{"C1|25|1.5|KS|-"}},
		{"quotes inside", "id,age,pay,state\n5\" pipe,25,1.5,KS\n", []string{`5" pipe|25|1.5|KS|-`}},
		{"25.0 and NaN", "id,age,pay,state\nC1,25.0,NaN,NaN\n", []string{"C1|25|-|NaN|-"}},
		{"no rows", "id,age,pay,state\n", nil},
		{"no rows, no newline", "id,age,pay,state", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := CSV{}.Read([]byte(tt.in), people)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Check(); err != nil {
				t.Error(err)
			}
			if d := cmp.Diff(tt.want, rows(f)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestReadCSVRefuses(t *testing.T) {
	tests := []struct {
		name, in, code, want string
	}{
		{"empty", "", CodeCell, "the file is empty; it must begin with a header row of column names"},
		{"blank", "\n\n", CodeCell, "the file is empty; it must begin with a header row of column names"},
		{"UTF-16", "\xFF\xFEi\x00d\x00", CodeCell, "the file is UTF-16; it must be UTF-8"},
		{"Latin-1 header", "id,age,pay,st\xE4te\n", CodeCell, "the file is not UTF-8: byte 0xE4 on line 1"},
		{"Latin-1", "id,age,pay,state\nC1,1,1,KS\nC\xE9,1,1,KS\n", CodeCell, "the file is not UTF-8: byte 0xE9 on line 3"},
		{"missing column", "id,Age,pay,state\n", codeMismatch, `the file has no column "age", which the service needs (it has "Age"; names are compared exactly)`},
		{"missing column, none near", "id,pay,state\n", codeMismatch, `the file has no column "age", which the service needs`},
		{"column twice", "id,age,pay,state,age\n", codeMismatch, `the file has column "age" twice`},
		{"open header", "id,\"age\n", CodeCell, "the header row: a quoted field is not closed"},
		{"bad cell", "id,age,pay,state\nC1,25,1.5,KS\n\nC2,25.5,1.5,KS\n", CodeCell, `record 2 (line 4): column "age" (Int32): value "25.5" is not a whole number`},
		{"line after quoted newlines", "id,age,pay,state\n\"C\n1\",25,1.5,KS\nC2,25,12O,KS\n", CodeCell, `record 2 (line 4): column "pay" (Double): value "12O" is not a number`},
		{"overflow", "id,age,pay,state\nC1,25,1e999,KS\n", CodeCell, `record 1 (line 2): Error 0033: column "pay" (Double): value "1e999" is infinite or too large for the column`},
		{"short row", "id,age,pay,state\nC1,25\n", CodeCell, "record 1 (line 2): the record has 2 fields, the header 4"},
		{"long row", "id,age,pay,state\nC1,25,1.5,KS,\n", CodeCell, "record 1 (line 2): the record has 5 fields, the header 4"},
		{"one field", "id,age,pay,state\nC1\n", CodeCell, "record 1 (line 2): the record has 1 field, the header 4"},
		{"open quote", "id,age,pay,state\nC1,25,1.5,\"KS\nC2", CodeCell, "record 1 (line 2): a quoted field is not closed"},
		{"text after quote", "id,age,pay,state\n\"C1\"x,25,1.5,KS\n", CodeCell, `record 1 (line 2): text follows the closing quote of "C1"`},
		{"long record", "id,age,pay,state\n" + strings.Repeat("C", 100) + ",25,1.5,KS\n", CodeCell, "record 1 (line 2): the record is longer than the limit of 64 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := CSV{MaxRecord: 64}.Read([]byte(tt.in), people)
			if e := fault.Of(err); err == nil || e.Kind != fault.BadUserArgument || e.Code != tt.code || e.Error() != tt.want {
				t.Errorf("error %v (%+v)\nwant %s", err, e, tt.want)
			}
		})
	}
	_, err := CSV{RefuseExtra: true}.Read([]byte("id,age,pay,state,State\n"), people)
	if want := `column "State" of the file is not one of the service; did you mean "state"?`; err == nil || err.Error() != want {
		t.Errorf("extra column: %v, want %s", err, want)
	}
}

func TestReadTSVWithoutHeader(t *testing.T) {
	f, err := CSV{Comma: '\t', NoHeader: true}.Read([]byte("\xEF\xBB\xBFC,1\t25\t1.5\t\"K\tS\"\ttrue\n"), people)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"C,1|25|1.5|K\tS|True"}, rows(f)); d != "" {
		t.Error(d)
	}
}

const dirty = "id,age,pay,state\n" +
	"C1,25,1.5,KS\n" +
	"C2,25.5,1.5,KS\n" + // 2
	"C3,25,1.5\n" + // 3
	"\"C\n4\",25,1.5,KS\n" +
	"\n" +
	"\"C5\"x,25,1.5,OH\r\n" + // 5
	"C6,25,1e999,OH\n" + // 6
	"C7,,,\n" +
	"C8,25,1.5,\"OH" // 8

func TestCollectBadRecords(t *testing.T) {
	var got []string
	opt := CSV{OnBad: func(b BadRecord) error {
		got = append(got, fmt.Sprintf("%d@%d %s %q %s: %s", b.Record, b.Line, b.Column, b.Raw, b.Code, b.Reason))
		return nil
	}}
	f, err := opt.Read([]byte(dirty), people)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"C1|25|1.5|KS|-", "C\n4|25|1.5|KS|-", "C7|-|-|-|-"}, rows(f)); d != "" {
		t.Error(d)
	}
	want := []string{
		`2@3 age "C2,25.5,1.5,KS" InputParseError: column "age" (Int32): value "25.5" is not a whole number`,
		`3@4  "C3,25,1.5" InputParseError: the record has 3 fields, the header 4`,
		`5@8  "\"C5\"x,25,1.5,OH" InputParseError: text follows the closing quote of "C5"`,
		`6@9 pay "C6,25,1e999,OH" InputParseError: Error 0033: column "pay" (Double): value "1e999" is infinite or too large for the column`,
		`8@11  "C8,25,1.5,\"OH" InputParseError: a quoted field is not closed`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	stop := errors.New("stop")
	n := 0
	opt.OnBad = func(BadRecord) error {
		if n++; n == 2 {
			return stop
		}
		return nil
	}
	if _, err := opt.Read([]byte(dirty), people); err != stop || n != 2 {
		t.Errorf("OnBad returned an error: %v after %d calls", err, n)
	}
}

// report reads data and says all that reading it shows.
func report(t testing.TB, l *Layout, data []byte, workers, size int, collect bool) string {
	var b strings.Builder
	opt := CSV{MaxRecord: 500}
	if collect {
		opt.OnBad = func(r BadRecord) error {
			fmt.Fprintf(&b, "bad %d@%d %q: %s\n", r.Record, r.Line, r.Raw, r.Reason)
			return nil
		}
	}
	h, err := opt.Header(data, l)
	if err != nil {
		return err.Error()
	}
	f := l.New(0)
	n, err := h.append(f, data[h.Size:], Start{Line: 1 + int64(bytes.Count(data[:h.Size], []byte("\n")))}, workers, size)
	if err != nil {
		return b.String() + err.Error() // what f holds then is not promised
	}
	if err := f.Check(); err != nil {
		t.Error(err)
	}
	fmt.Fprintf(&b, "%+v\n%s", n, strings.Join(rows(f), "\n"))
	return b.String()
}

// messy makes a file of n records of every kind, good and bad.
func messy(r *rand.Rand, n int) []byte {
	var b bytes.Buffer
	b.WriteString("id,age,pay,state\n")
	for i := range n {
		id := fmt.Sprintf("C%05d", i)
		switch r.IntN(12) {
		case 0:
			id = fmt.Sprintf("\"C\n%d\"", i)
		case 1:
			id = fmt.Sprintf("\"C,\"\"%d\"\"\"", i)
		case 2:
			if r.IntN(4) == 0 {
				id = `5" pipe`
			}
		case 3:
			if r.IntN(8) == 0 {
				id = `"x"y`
			}
		}
		age := strconv.Itoa(r.IntN(90))
		if r.IntN(20) == 0 {
			age = "25.5"
		}
		fmt.Fprintf(&b, "%s,%s,%v,\"%s\"", id, age, r.Float64()*100, []string{"KS", "OH", "ZZ", ""}[r.IntN(4)])
		if r.IntN(30) == 0 {
			b.WriteString(",more")
		}
		b.WriteString([]string{"\n", "\r\n", "\n\n"}[r.IntN(3)])
	}
	return b.Bytes()
}

// TestWorkersAgree holds reading in parallel blocks, however the blocks fall,
// to reading alone.
func TestWorkersAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for i := range 60 {
		data := messy(r, 200)
		switch i % 6 {
		case 3:
			data = data[:len(data)-r.IntN(len(data)/2)]
		case 4:
			data[r.IntN(len(data))] = '"'
		case 5:
			data[r.IntN(len(data))] = 0xFF
		}
		for _, collect := range []bool{false, true} {
			want := report(t, people, data, 1, 1<<20, collect)
			for _, size := range []int{37, 200, 1000} {
				if got := report(t, people, data, 3, size, collect); got != want {
					t.Fatalf("blocks of %d bytes: %s", size, cmp.Diff(want, got))
				}
			}
		}
	}
}

// TestScannerAgrees cuts files into chunks, in pieces and with stored states
// as a planner does, and holds the chunks to the whole.
func TestScannerAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for i := range 100 {
		data := messy(r, 100)
		if i%4 == 1 {
			data = data[:len(data)-r.IntN(len(data)/2)]
		}
		if i%4 == 2 {
			data[r.IntN(len(data))] = '"'
		}
		read := func(chunks func(h *CSVHeader, yield func(data []byte, record, line int64))) string {
			var b strings.Builder
			h, err := CSV{OnBad: func(r BadRecord) error {
				fmt.Fprintf(&b, "bad %d@%d %q: %s\n", r.Record, r.Line, r.Raw, r.Reason)
				return nil
			}}.Header(data, people)
			if err != nil {
				return err.Error()
			}
			f := people.New(0)
			total := int64(0)
			chunks(h, func(p []byte, record, line int64) {
				n, err := h.Append(f, p, Start{Record: record, Line: line})
				if err != nil {
					t.Fatal(err)
				}
				total += n.Records
			})
			return fmt.Sprintf("%s%d\n%s", b.String(), total, strings.Join(rows(f), "\n"))
		}
		want := read(func(h *CSVHeader, yield func([]byte, int64, int64)) { yield(data[h.Size:], 1, 2) })
		got := read(func(h *CSVHeader, yield func([]byte, int64, int64)) {
			s := NewCSVScanner(0, ScanState{Offset: int64(h.Size), Lines: 1})
			from := s.State
			for pos := h.Size; pos < len(data); {
				piece := data[pos:min(len(data), pos+1+r.IntN(60))]
				for len(piece) > 0 {
					n, cut := s.Advance(piece, from.Offset+300)
					pos += n
					piece = piece[n:]
					if int64(pos) != s.State.Offset || !cut && len(piece) > 0 {
						t.Fatalf("at %d after %d bytes, cut %v, %d left", s.State.Offset, n, cut, len(piece))
					}
					if cut {
						if s.State.Field != BetweenRecords || s.State.Start != s.State.Offset {
							t.Fatalf("cut at %+v", s.State)
						}
						yield(data[from.Offset:s.State.Offset], from.Records+1, from.Lines+1)
						from = s.State
					}
				}
				s = NewCSVScanner(0, s.State) // as a planner that died and was started again
			}
			s.End()
			yield(data[from.Offset:], from.Records+1, from.Lines+1)
			if total := report(t, people, data, 1, 1<<20, true); s.State.Offset != int64(len(data)) {
				t.Fatalf("ended at %d of %d: %s", s.State.Offset, len(data), total)
			}
		})
		if got != want {
			t.Fatalf("chunks read otherwise than the whole:\n%s", cmp.Diff(want, got))
		}
	}
}

func TestAppendCSVRoundTrip(t *testing.T) {
	l := mustLayout(Schema{
		{Name: "a,b"}, {Name: "q\"", Levels: []string{"x", "y\n", `"`}}, {Name: "d", Type: Double}, {Name: "i", Type: Int64}, {Name: "b", Type: Boolean}, {Name: "t", Type: DateTime},
	})
	f := l.New(0)
	for i, c := range f.Cols {
		for _, s := range [][]string{{"plain", "", "with \"quotes\"", "a\r\nb"}, {"x", "y\n", `"`, ""}, {"1.5", "", "1e300", "-2"}, {"1", "2", "", "9007199254740993"}, {"true", "false", "", ""}, {"2015-10-09", "", "", ""}}[i] {
			if err := c.AppendText([]byte(s)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, comma := range []byte{',', '\t'} {
		text := AppendCSV(nil, f, comma)
		back, err := CSV{Comma: comma}.Read(text, l)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if d := cmp.Diff(rows(f), rows(back)); d != "" {
			t.Errorf("%s\n%s", d, text)
		}
	}
	want := `"a,b","q""",d,i,b,t
plain,x,1.5,1,True,2015-10-09T00:00:00
,"y
",,2,False,
"with ""quotes""","""",1E+300,,,
"a` + "\r" + `
b",,-2,9007199254740993,,
`
	if got := string(AppendCSV(nil, f, 0)); got != want {
		t.Errorf("CSV:\n%s\nwant\n%s", got, want)
	}
	one := mustLayout(Schema{{Name: "s"}})
	g := one.New(0)
	g.Cols[0].AppendNull()
	g.Cols[0].AppendString([]byte("x"))
	g.Cols[0].AppendNull()
	text := AppendCSV(nil, g, 0)
	back, err := CSV{}.Read(text, one)
	if err != nil || fmt.Sprint(rows(back)) != "[- x -]" {
		t.Errorf("one column with missing cells: %q reads as %q, %v", text, rows(back), err)
	}
}

// FuzzCSV reads anything, alone and in small blocks, and what the standard
// library reads too reads the same.
func FuzzCSV(f *testing.F) {
	f.Add([]byte(dirty))
	f.Add([]byte("\xEF\xBB\xBFstate,age,pay,id\r\n\"a\"\"b\",1,2,\"x\ny\"\r\n"))
	f.Add([]byte("id,age,pay,state\n\"a\"b,\"c\n\r\n\r"))
	text := mustLayout(Schema{{Name: "id"}, {Name: "b", Optional: true}})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, l := range []*Layout{people, text} {
			for _, collect := range []bool{false, true} {
				want := report(t, l, data, 1, 1<<20, collect)
				if got := report(t, l, data, 2, 16, collect); got != want {
					t.Fatalf("in blocks: %s", cmp.Diff(want, got))
				}
			}
		}
		// Records beside those of encoding/csv, which drops carriage returns
		// inside quotes and takes no text after a quote.
		r := csv.NewReader(bytes.NewReader(data))
		r.FieldsPerRecord = -1
		p := fields{data: data, comma: ','}
		for {
			want, err := r.Read()
			if err != nil && err != io.EOF {
				return
			}
			if p.record() == (err == io.EOF) {
				t.Fatalf("encoding/csv: %q, %v; at %d of %q", want, err, p.pos, data)
			}
			if err == io.EOF {
				return
			}
			var got []string
			for more := true; more; {
				var cell []byte
				cell, more = p.next()
				got = append(got, strings.ReplaceAll(string(cell), "\r\n", "\n"))
			}
			if p.bad != "" || !bytes.ContainsRune(data, '\r') && !cmp.Equal(got, want) {
				t.Fatalf("record %q (%s), encoding/csv: %q", got, p.bad, want)
			}
		}
	})
}

func benchFile(rows int) ([]byte, *Layout) {
	r := rand.New(rand.NewPCG(13, 14))
	s := Schema{}
	var b bytes.Buffer
	for i := range 16 {
		s = append(s, Field{Name: fmt.Sprintf("n%d", i), Type: Double})
		fmt.Fprintf(&b, "n%d,", i)
	}
	s = append(s, Field{Name: "s1"}, Field{Name: "s2", Levels: []string{"KS", "OH", "NJ", "TX"}})
	b.WriteString("s1,s2\n")
	for i := range rows {
		for j := range 16 {
			switch j % 4 {
			case 0:
				fmt.Fprintf(&b, "%.2f,", r.Float64()*1000)
			case 1:
				fmt.Fprintf(&b, "%d,", r.IntN(10000))
			case 2:
				fmt.Fprintf(&b, "%.9f,", r.NormFloat64())
			default:
				fmt.Fprintf(&b, "%v,", r.Float64())
			}
		}
		name := fmt.Sprintf("customer %d", i)
		if i%50 == 0 {
			name = fmt.Sprintf("\"customer, \"\"%d\"\"\"", i)
		}
		fmt.Fprintf(&b, "%s,%s\n", name, s[17].Levels[r.IntN(4)])
	}
	return b.Bytes(), mustLayout(s)
}

func BenchmarkReadCSV(b *testing.B) {
	data, l := benchFile(50_000)
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("frame/workers=%d", workers), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			h, err := CSV{Workers: workers}.Header(data, l)
			if err != nil {
				b.Fatal(err)
			}
			f := l.New(50_000)
			for b.Loop() {
				f.Reset()
				if _, err := h.Append(f, data[h.Size:], Start{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("encoding/csv+ParseFloat", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		nums := make([][]float64, 16)
		for b.Loop() {
			r := csv.NewReader(bytes.NewReader(data))
			r.ReuseRecord = true
			r.Read()
			for i := range nums {
				nums[i] = nums[i][:0]
			}
			for {
				rec, err := r.Read()
				if err == io.EOF {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
				for i := range nums {
					v, err := strconv.ParseFloat(rec[i], 64)
					if err != nil {
						b.Fatal(err)
					}
					nums[i] = append(nums[i], v)
				}
			}
		}
	})
}

func BenchmarkScanCSV(b *testing.B) {
	data, _ := benchFile(50_000)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		NewCSVScanner(0, ScanState{}).Advance(data, int64(len(data)))
	}
}

func BenchmarkAppendCSV(b *testing.B) {
	data, l := benchFile(10_000)
	f, err := CSV{}.Read(data, l)
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	for b.Loop() {
		dst = AppendCSV(dst[:0], f, 0)
	}
	b.SetBytes(int64(len(dst)))
}
