package parquet_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/parquet"
)

// text reads a file by its own types and prints it as CSV.
func text(t testing.TB, data []byte) (string, frame.Schema) {
	t.Helper()
	f, err := parquet.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	l, err := frame.NewLayout(f.Schema())
	if err != nil {
		t.Fatal(err)
	}
	fr, err := parquet.Read(data, l)
	if err != nil {
		t.Fatal(err)
	}
	if err := fr.Check(); err != nil {
		t.Fatal(err)
	}
	return string(frame.AppendCSV(nil, fr, ',')), f.Schema()
}

// TestGoldens reads what pyarrow has written; testdata/make.py says how.
func TestGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(name, ".parquet") + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			if reason, ok := bytes.CutPrefix(want, []byte("refused: ")); ok {
				f, err := parquet.Open(data)
				if err == nil {
					var l *frame.Layout
					if l, err = frame.NewLayout(f.Schema()); err == nil {
						_, err = parquet.Read(data, l)
					}
				}
				if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(string(reason))) {
					t.Errorf("got %v, want %s", err, reason)
				}
				return
			}
			got, schema := text(t, data)
			var types []string
			for _, f := range schema {
				types = append(types, f.Type.String())
			}
			if diff := cmp.Diff(string(want), strings.Join(types, ",")+"\n"+got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func sample(t testing.TB) *frame.Frame {
	t.Helper()
	l, err := frame.NewLayout(frame.Schema{
		{Name: "id", Type: frame.Int64, Role: frame.ID},
		{Name: "x", Type: frame.Double, Nullable: true},
		{Name: "n", Type: frame.Int32},
		{Name: "ok", Type: frame.Boolean},
		{Name: "t", Type: frame.DateTime},
		{Name: "s"},
		{Name: "c", Levels: []string{"b", "a", "unused"}, Role: frame.Label},
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.CSV{}.Read([]byte("id,x,n,ok,t,s,c\n9007199254740993,1.5,-7,true,2015-10-09T08:30:00.25,é,a\n2,,,,,,\n3,1E+300,2,false,0001-01-01T00:00:00,\"x,y\",b\n4,0,0,true,9999-12-31T23:59:59,z,other\n"), l)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRoundTrip(t *testing.T) {
	f := sample(t)
	for _, rows := range []int{0, 1, 4} {
		g := f.Slice(0, rows)
		got, schema := text(t, parquet.Append([]byte{}, g))
		if want := string(frame.AppendCSV(nil, g, ',')); got != want {
			t.Errorf("%d rows: got\n%s\nwant\n%s", rows, got, want)
		}
		for i, field := range schema {
			want := *f.Cols[i].Field
			want.Nullable = true
			if diff := cmp.Diff(want, field); diff != "" {
				t.Error(diff)
			}
		}
	}
}

// TestManyRows crosses pages, with runs of every length.
func TestManyRows(t *testing.T) {
	l, err := frame.NewLayout(frame.Schema{{Name: "c", Levels: []string{"a", "b", "c"}}, {Name: "x", Type: frame.Double}, {Name: "s"}})
	if err != nil {
		t.Fatal(err)
	}
	f := l.New(0)
	const n = 150_000
	for i := range n {
		run := i / (1 + i/1000)
		f.Cols[0].AppendCode(int32(run % 3))
		if run%5 == 0 {
			f.Cols[1].AppendNull()
		} else {
			f.Cols[1].AppendFloat(float64(i))
		}
		f.Cols[2].AppendString(bytes.Repeat([]byte{byte('a' + i%26)}, i%50))
	}
	data := parquet.Append(nil, f)
	back, err := parquet.Read(data, l)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(frame.AppendCSV(nil, f, ','), frame.AppendCSV(nil, back, ',')) {
		t.Error("the rows are not the same")
	}
}

// TestParts writes row groups apart, as a batch job stages them.
func TestParts(t *testing.T) {
	f := sample(t)
	a, ga := parquet.AppendGroup(nil, f, 0, 3)
	b, gb := parquet.AppendGroup(nil, f, 3, 4)
	data := append([]byte(parquet.Magic), a...)
	data = append(data, b...)
	groups, err := parquet.DecodeGroups(gb.AppendBinary(ga.AppendBinary(nil)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]parquet.Group{ga, gb}, groups); diff != "" {
		t.Error(diff)
	}
	data = parquet.AppendFooter(data, f.Schema(), groups)
	got, _ := text(t, data)
	if want := string(frame.AppendCSV(nil, f, ',')); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	file, err := parquet.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	if file.Groups() != 2 || file.Rows(0) != 3 || file.Rows(1) != 1 {
		t.Errorf("%d groups", file.Groups())
	}
}

func TestByLayout(t *testing.T) {
	data := parquet.Append(nil, sample(t))
	read := func(s frame.Schema) (string, error) {
		l, err := frame.NewLayout(s)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parquet.Read(data, l)
		if err != nil {
			return "", err
		}
		return string(frame.AppendCSV(nil, f, ',')), nil
	}
	got, err := read(frame.Schema{{Name: "s", Levels: []string{"é"}}, {Name: "n", Type: frame.Double}, {Name: "gone", Optional: true}, {Name: "x"}, {Name: "id", Missing: []string{"2", "4"}}})
	if want := "s,n,gone,x,id\né,-7,,1.5,9007199254740993\n,,,,\n\"x,y\",2,,1E+300,3\nz,0,,0,\n"; err != nil || got != want {
		t.Errorf("got\n%s%v", got, err)
	}
	for want, s := range map[string]frame.Schema{
		`row 1: column "s" (Double): value "é"`:  {{Name: "s", Type: frame.Double}},
		`row 1: column "x" (Int64): value "1.5"`: {{Name: "x", Type: frame.Int64}},
		`it has "id"`:                            {{Name: "ID", Type: frame.Int64}},
	} {
		if _, err := read(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestDamaged cuts and changes every byte of a small file: no outcome but an
// error or a table.
func TestDamaged(t *testing.T) {
	data := parquet.Append(nil, sample(t))
	if _, err := parquet.Open([]byte("PAR1PARE")); err == nil {
		t.Error("too short")
	}
	for i := range data {
		harmless(t, data[:i])
		for _, x := range []byte{1, 0x40, 0xff} {
			d := bytes.Clone(data)
			d[i] ^= x
			harmless(t, d)
		}
	}
}

func harmless(t testing.TB, data []byte) {
	f, err := parquet.Open(data)
	if err != nil {
		return
	}
	l, err := frame.NewLayout(f.Schema())
	if err != nil {
		t.Fatal(err)
	}
	for g := range f.Groups() {
		if f.Rows(g) > 100_000 {
			return // allowed, and slow
		}
	}
	fr, err := parquet.Read(data, l)
	if _, perr := inParts(t, data, l, nil, nil); (err == nil) != (perr == nil) {
		t.Fatalf("whole: %v, in parts: %v", err, perr)
	}
	if err != nil {
		return
	}
	if err := fr.Check(); err != nil {
		t.Fatal(err)
	}
	out := parquet.Append(nil, fr)
	again, err := parquet.Read(out, l)
	if err != nil {
		t.Fatalf("written and not read: %v", err)
	}
	if a, b := frame.AppendCSV(nil, fr, ','), frame.AppendCSV(nil, again, ','); !bytes.Equal(a, b) {
		t.Fatalf("%q is written and reads as %q", a, b)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(parquet.Append(nil, sample(f)))
	files, _ := filepath.Glob("testdata/*.parquet")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { harmless(t, data) })
}
