package parquet_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/parquet"
)

// inParts reads a file as a batch job does: its end, then what its columns have
// of each row group, then the rows, some at a time.
func inParts(t testing.TB, data []byte, l *frame.Layout, o *parquet.Tolerance, told func(row int, b parquet.BadRow)) (*frame.Frame, error) {
	t.Helper()
	size := int64(len(data))
	n, err := parquet.EndSize(data[max(0, size-8):], size)
	if err != nil {
		return nil, err
	}
	f, err := parquet.OpenEnd(data[size-n:], size)
	if err != nil {
		return nil, err
	}
	if l == nil {
		if l, err = frame.NewLayout(f.Schema()); err != nil {
			return nil, err
		}
	}
	out := l.New(0)
	for g := range f.Groups() {
		spans, err := f.Spans(g, l)
		if err != nil {
			return nil, err
		}
		var pages [][]byte
		for _, s := range spans {
			pages = append(pages, bytes.Clone(data[s.Offset:s.Offset+s.Size]))
		}
		r, err := f.Reader(g, l, pages, f.Budget())
		if err != nil {
			return nil, err
		}
		for {
			first := out.Rows()
			n, err := r.Append(out, o)
			if err != nil {
				return nil, err
			}
			if n == 0 {
				break
			}
			if out.Rows() != first+n {
				t.Fatalf("%d rows were appended, %d are said", out.Rows()-first, n)
			}
			if o != nil {
				for _, b := range o.Bad {
					told(first+b.Row, b)
				}
			}
		}
	}
	return out, nil
}

// TestInParts reads every golden from its end, and what this package writes of
// many rows and large texts.
func TestInParts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		whole, werr := inOne(data)
		parts, perr := inParts(t, data, nil, nil, nil)
		if (werr == nil) != (perr == nil) || werr != nil && werr.Error() != perr.Error() {
			t.Errorf("%s: whole %v, in parts %v", name, werr, perr)
			continue
		}
		if werr == nil && !bytes.Equal(frame.AppendCSV(nil, whole, ','), frame.AppendCSV(nil, parts, ',')) {
			t.Errorf("%s: the rows differ", name)
		}
	}
	l, err := frame.NewLayout(frame.Schema{{Name: "s"}, {Name: "x", Type: frame.Double}})
	if err != nil {
		t.Fatal(err)
	}
	f := l.New(0)
	for i := range 20_000 {
		f.Cols[0].AppendString(bytes.Repeat([]byte{'x'}, i%5000))
		f.Cols[1].AppendFloat(float64(i))
	}
	got, err := inParts(t, parquet.Append(nil, f), l, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(frame.AppendCSV(nil, f, ','), frame.AppendCSV(nil, got, ',')) {
		t.Error("the rows differ")
	}
}

func inOne(data []byte) (*frame.Frame, error) {
	f, err := parquet.Open(data)
	if err != nil {
		return nil, err
	}
	l, err := frame.NewLayout(f.Schema())
	if err != nil {
		return nil, err
	}
	return parquet.Read(data, l)
}

// TestBadRows has cells that do not fit cost their row alone, and a long one.
func TestBadRows(t *testing.T) {
	from, err := frame.NewLayout(frame.Schema{{Name: "id"}, {Name: "n", Type: frame.Double}, {Name: "when"}})
	if err != nil {
		t.Fatal(err)
	}
	f := from.New(0)
	const rows = 10_000
	for i := range rows {
		id, when := fmt.Sprintf("r%d", i), "2024-05-01"
		if i == 7000 {
			id = strings.Repeat("long", 100)
		}
		if i%1000 == 3 {
			when = "tomorrow"
		}
		f.Cols[0].AppendString([]byte(id))
		n := float64(i)
		if i%1000 == 3 && i > 5000 || i == 9999 {
			n += 0.5
		}
		f.Cols[1].AppendFloat(n)
		f.Cols[2].AppendString([]byte(when))
	}
	l, err := frame.NewLayout(frame.Schema{{Name: "n", Type: frame.Int32}, {Name: "when", Type: frame.DateTime}, {Name: "id"}, {Name: "more", Type: frame.Double, Optional: true}})
	if err != nil {
		t.Fatal(err)
	}
	bad := map[int]string{}
	o := &parquet.Tolerance{MaxRecord: 300}
	got, err := inParts(t, parquet.Append(nil, f), l, o, func(row int, b parquet.BadRow) {
		if bad[row] != "" {
			t.Errorf("row %d is told twice", row)
		}
		bad[row] = b.Column + ": " + b.Reason
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]string{
		7000: ": the record is longer than the limit of 300 bytes",
		9999: `n: column "n" (Int32): value "9999.5" is not a whole number`,
	}
	for i := 3; i < rows; i += 1000 {
		want[i] = `when: column "when" (DateTime): value "tomorrow" is not an ISO 8601 date or date and time`
		if i > 5000 { // of two the first column of the layout
			want[i] = fmt.Sprintf(`n: column "n" (Int32): value "%d.5" is not a whole number`, i)
		}
	}
	if diff := cmp.Diff(want, bad); diff != "" {
		t.Error(diff)
	}
	if got.Rows() != rows || got.Cols[0].Ints[9998] != 9998 || !got.Cols[2].IsNull(7000) {
		t.Errorf("%d rows", got.Rows())
	}
	if _, err := inParts(t, parquet.Append(nil, f), l, nil, nil); err == nil || !strings.Contains(err.Error(), "row 4: ") {
		t.Errorf("err = %v", err)
	}
}

// TestBounds: little of a file must not become much.
func TestBounds(t *testing.T) {
	l, err := frame.NewLayout(frame.Schema{{Name: "c", Levels: []string{strings.Repeat("x", 10_000)}}})
	if err != nil {
		t.Fatal(err)
	}
	f := l.New(0)
	for range 100_000 {
		f.Cols[0].AppendCode(0)
	}
	data := parquet.Append(nil, f)
	plain, err := frame.NewLayout(frame.Schema{{Name: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inParts(t, data, plain, nil, nil); !fault.Is(err, fault.TooLarge) {
		t.Errorf("a gigabyte of %d bytes: %v", len(data), err)
	}
	// Metadata of a million entries that say nothing.
	meta := append([]byte{0x49, 0xfc}, binary.AppendUvarint(nil, 1<<20)...)
	meta = append(meta, make([]byte, 1<<20+1)...)
	meta = append(binary.LittleEndian.AppendUint32(meta, uint32(len(meta))), "PAR1"...)
	if _, err := parquet.OpenEnd(meta, 1<<40); err == nil || !strings.Contains(err.Error(), "the metadata at the end of the file cannot be read") {
		t.Errorf("entries that say nothing: %v", err)
	}
	for _, end := range []string{"", "PAR1", "\xff\xff\xff\x7fPAR1", "\xff\xff\xff\xffPAR1", "\x00\x00\x00\x00PARE"} {
		if _, err := parquet.EndSize([]byte(end), 1<<40); err == nil {
			t.Errorf("end %q is taken", end)
		}
	}
}

func FuzzDecodeGroups(f *testing.F) {
	_, g := parquet.AppendGroup(nil, sample(f), 0, 4)
	f.Add(g.AppendBinary(g.AppendBinary(nil)))
	f.Add([]byte{1, 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, b []byte) {
		groups, err := parquet.DecodeGroups(b)
		if err != nil {
			return
		}
		var again []byte
		for _, g := range groups {
			again = g.AppendBinary(again)
		}
		back, err := parquet.DecodeGroups(again)
		if err != nil || !slices.EqualFunc(groups, back, func(a, b parquet.Group) bool { return cmp.Equal(a, b) }) {
			t.Errorf("%+v is written and reads as %+v, %v", groups, back, err)
		}
	})
}
