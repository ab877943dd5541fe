package format_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
)

func TestOfFile(t *testing.T) {
	for name, want := range map[string]string{
		"a.csv": "csv ", "dir.arff/x.TSV": "tsv ", "a.b.arff.gz": "arff gzip", "a.jsonl.zst": "jsonl zstd", "a.NDJSON.GZIP": "jsonl gzip",
		"a.libsvm": "svmlight ", "a.parquet": "parquet ", "a": "none ", "a.gz": "none gzip", "csv": "none ", `c:\x.csv`: "csv ", "a.txt": "none ",
	} {
		f, c := format.OfFile(name)
		got := "none"
		if f != nil {
			got = f.Name
		}
		if got += " " + string(c); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if format.Lookup("CSV") == nil || format.Lookup("xml") != nil {
		t.Error("lookup")
	}
}

// TestEveryFormat writes a table and reads it back by the types found in the
// file, and by the layout it was written from, whole and in pieces.
func TestEveryFormat(t *testing.T) {
	const csv = "y,a,b\n1,2.5,7\n-1,,-3\n1,1E-05,0\n"
	l, err := frame.NewLayout(frame.Schema{{Name: "y", Type: frame.Int32, Role: frame.Label}, {Name: "a", Type: frame.Double, Nullable: true}, {Name: "b", Type: frame.Int32}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.CSV{}.Read([]byte(csv), l)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range format.Written() {
		ft := format.Lookup(name)
		t.Run(ft.Name, func(t *testing.T) {
			data, err := ft.Append(nil, f)
			if err != nil {
				t.Fatal(err)
			}
			g, err := ft.Read(data, l, format.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(frame.AppendCSV(nil, g, ',')); got != csv {
				t.Errorf("got\n%s", got)
			}
			for rows := range 5 {
				h, err := ft.Head(data, l, format.Options{}, rows)
				if err != nil || h.Rows() != min(rows, 3) {
					t.Errorf("the first %d rows: %v", rows, err)
				}
			}
			s, err := ft.Infer(data, format.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(s) != 3 || s[1].Type != frame.Double || !s[1].Nullable || s[2].Nullable {
				t.Errorf("inferred %+v", s)
			}
			if !ft.Appends {
				return
			}
			parts := ft.AppendHeader(nil, l.Schema)
			for r := range f.Rows() {
				if parts, err = ft.AppendRows(parts, f, r, r+1); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(parts, data) {
				t.Errorf("in parts\n%s\nwhole\n%s", parts, data)
			}
		})
	}
	text, err := frame.NewLayout(frame.Schema{{Name: "s"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := format.Lookup(format.SVMLight).Append(nil, text.New(0)); err == nil {
		t.Error("text is written as SVMLight")
	}
}

// TestArchive keeps an archive as it is, for the module that unpacks it.
func TestArchive(t *testing.T) {
	zip := format.Lookup(format.ZipFile)
	s, err := zip.Infer([]byte("PK\xff"), format.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := frame.NewLayout(s)
	if err != nil {
		t.Fatal(err)
	}
	f, err := zip.Head([]byte("PK\xff"), l, format.Options{}, 5)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(frame.AppendCSV(nil, f, ',')); got != "Content\nUEv/\n" {
		t.Errorf("got %q", got)
	}
	if _, err := zip.Append(nil, f); err == nil || zip.Text() || len(format.Written()) != 6 || len(format.Names()) != 8 {
		t.Error("an archive is written")
	}
}

func TestCompression(t *testing.T) {
	data := []byte(strings.Repeat("a,b\n1,2\n", 10_000))
	for _, c := range []format.Compression{format.None, format.Gzip, format.Zstd} {
		packed, err := c.Compress(nil, data[:8])
		if err != nil {
			t.Fatal(err)
		}
		if packed, err = c.Compress(packed, data[8:]); err != nil { // two members read as one file
			t.Fatal(err)
		}
		if format.Sniff(packed) != c {
			t.Errorf("%q sniffed as %q", c, format.Sniff(packed))
		}
		got, err := c.Decompress(packed, int64(len(data)))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%q: %d bytes, %v", c, len(got), err)
		}
		if _, err := c.Decompress(packed, int64(len(data)-1)); !fault.Is(err, fault.TooLarge) {
			t.Errorf("%q: past the limit: %v", c, err)
		}
		if c == format.None {
			continue
		}
		if _, err := c.Decompress(packed[:len(packed)-3], 1<<20); !fault.Is(err, fault.BadUserArgument) {
			t.Errorf("%q: cut off: %v", c, err)
		}
		if _, err := c.Decompress(data, 1<<20); !fault.Is(err, fault.BadUserArgument) {
			t.Errorf("%q: of text: %v", c, err)
		}
		if again, err := format.ParseCompression(c.Extension()); err != nil || again != c {
			t.Errorf("%q: %v", c, err)
		}
	}
	if _, err := format.ParseCompression("rar"); err == nil {
		t.Error("rar")
	}
}
