package connect

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
)

const secret = "c2VjcmV0LXBsYW50ZWQ="

func TestPlace_printsNoSecret(t *testing.T) {
	p := Place{
		Source: Blob, ConnectionString: "AccountKey=" + secret, RelativeLocation: "c/a.csv", SasBlobToken: "?sig=" + secret,
		URL: "https://h/t?sig=" + secret, Password: secret, Key: secret,
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, text := range []string{fmt.Sprintf(verb, p), fmt.Sprintf(verb, &p), fmt.Sprintf(verb, []Place{p}), fmt.Sprintf(verb, struct{ P Place }{p})} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: %q", verb, text)
			}
		}
	}
	if strings.Contains(p.LogValue().String(), secret) || strings.Contains(slog.AnyValue(p).Resolve().String(), secret) {
		t.Error("the log shows a secret")
	}
	for _, kind := range Kinds() {
		if p.Source = kind; strings.Contains(p.String(), secret) {
			t.Errorf("%s: %q", kind, p.String())
		}
	}
	if n := len(p.Secrets()); n != 5 {
		t.Errorf("%d secrets are known, not 5", n)
	}
	b, err := json.Marshal(p)
	var back Place
	if err != nil || json.Unmarshal(b, &back) != nil || back.Password != secret {
		t.Errorf("a place is not what was encoded: %v", err)
	}
}

func TestFileFormat(t *testing.T) {
	for _, tt := range []struct{ given, name, want string }{
		{"", "a/May.csv.gz", "csv gzip"},
		{"", "x.ndjson", "jsonl "},
		{"TSV", "x.gz", "tsv gzip"},
		{"jsonl.zst", "x", "jsonl zstd"},
		{"Parquet", "x", "parquet "},
		{"parquet", "x.gz", "Error0002"},
		{"xml", "x.csv", "Error0002"},
		{"", "x", "Error0002"},
	} {
		f, c, err := FileFormat(tt.given, tt.name)
		got := ""
		if err == nil {
			got = f.Name + " " + string(c)
		} else {
			got = fault.Of(err).Details()[0].Code
		}
		if got != tt.want {
			t.Errorf("%q as %q: %q, %v", tt.name, tt.given, got, err)
		}
	}
}

// file is a source of one text.
type file struct {
	text string
	name string
	bare bool
}

func (s file) Open(context.Context) (*Records, error) {
	f, c, err := FileFormat("", s.name)
	if err != nil {
		return nil, err
	}
	r, err := Decompress(io.NopCloser(strings.NewReader(s.text)), c)
	if err != nil {
		return nil, err
	}
	return &Records{Text: r, Format: f, NoHeader: s.bare, Release: r.Close}, nil
}

// typed is a source of rows, one at a time.
type typed struct{ f *frame.Frame }

func (s typed) Open(context.Context) (*Records, error) {
	n := 0
	return &Records{Schema: s.f.Schema(), Next: func(context.Context) (*frame.Frame, error) {
		if n++; n > s.f.Rows() {
			return nil, io.EOF
		}
		return s.f.Slice(n-1, n), nil
	}}, nil
}

func csv(t *testing.T, text string) *frame.Frame {
	t.Helper()
	f, err := Parse([]byte(text), format.Lookup("csv"), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReadAll(t *testing.T) {
	pinned := frame.Schema{{Name: "b", Type: frame.Double}, {Name: "a", Type: frame.String}, {Name: "more", Type: frame.Int32, Optional: true, Nullable: true}}
	for name, tt := range map[string]struct {
		from   Source
		pinned frame.Schema
		want   string // types and CSV, or a code
	}{
		"inferred":          {from: file{text: "a,b\n1,x\n", name: "f.csv"}, want: "Int32 String|a,b\n1,x\n"},
		"no header":         {from: file{text: "1\tx\n", name: "f.tsv", bare: true}, want: "Int32 String|Col1,Col2\n1,x\n"},
		"pinned":            {from: file{text: "a,b\n007,2\n", name: "f.csv"}, pinned: pinned, want: "Double String Int32|b,a,more\n2,007,\n"},
		"typed":             {from: typed{csv(t, "a,b\n1,x\n2,y\n")}, want: "Int32 String|a,b\n1,x\n2,y\n"},
		"typed and pinned":  {from: typed{csv(t, "extra,a,b\n9,1,2\n9,,\n")}, pinned: pinned, want: "Double String Int32|b,a,more\n2,1,\n,,\n"},
		"no rows":           {from: typed{csv(t, "a,b\n")}, want: "String String|a,b\n"},
		"a column less":     {from: typed{csv(t, "a,c\n1,2\n")}, pinned: pinned, want: "Error0001"},
		"a type that is no": {from: typed{csv(t, "a,b\n1,x\n")}, pinned: pinned, want: "Error0017"},
		"text, no type":     {from: file{text: "a,b\n1,x\n", name: "f.csv"}, pinned: pinned, want: "Error0049"},
		"too much text":     {from: file{text: "a\n" + strings.Repeat("x\n", 600), name: "f.csv"}, want: "OutOfMemoryLimit"},
		"too many rows":     {from: typed{csv(t, "a\n"+strings.Repeat("x\n", 400))}, want: "OutOfMemoryLimit"},
		"no format":         {from: file{name: "f.xlsx"}, want: "Error0002"},
		"no gzip":           {from: file{text: "a\n1\n", name: "f.csv.gz"}, want: "Error0049"},
		"gzip of parquet":   {from: file{name: "f.parquet.gz"}, want: "Error0002"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := ReadAll(t.Context(), tt.from, tt.pinned, 1024)
			if !strings.Contains(tt.want, "|") {
				if !fault.HasCode(err, tt.want) {
					t.Errorf("err = %v, want %s", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var types []string
			for _, c := range f.Schema() {
				types = append(types, c.Type.String())
			}
			if got := strings.Join(types, " ") + "|" + string(frame.AppendCSV(nil, f, ',')); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestFiles joins files, through readers that give a few bytes at a time.
func TestFiles(t *testing.T) {
	for name, tt := range map[string]struct {
		format string
		bare   bool
		files  []string
		want   string // or a code
	}{
		"one":                  {files: []string{"a,b\n1,2"}, want: "a,b\n1,2"},
		"no end of line":       {files: []string{"a\n1", "a\n2"}, want: "a\n1\n2"},
		"marks":                {files: []string{"\ufeffa\n1\n", "\ufeffa\r\n2\n"}, want: "\ufeffa\n1\n2\n"},
		"empty ones":           {files: []string{"", "a\n1\n", "", "a\n", "a\n2\n"}, want: "a\n1\n2\n"},
		"blank lines first":    {files: []string{"\na\n1\n", "\r\na\n2\n"}, want: "\na\n1\n2\n"},
		"a header of two":      {files: []string{"\"a\nx\"\n1\n", "\"a\nx\"\n2\n"}, want: "\"a\nx\"\n1\n2\n"},
		"bare":                 {bare: true, files: []string{"1", "2\n"}, want: "1\n2\n"},
		"jsonl":                {format: "jsonl", files: []string{`{"a":1}`, `{"a":2}`}, want: "{\"a\":1}\n{\"a\":2}"},
		"other columns":        {files: []string{"a\n1\n", "b\n2\n"}, want: "Error0010"},
		"several arff":         {format: "arff", files: []string{"@relation a\n", "@relation b\n"}, want: "Error0049"},
		"a header without end": {files: []string{"a\n1\n", "a"}, want: "a\n1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.format == "" {
				tt.format = "csv"
			}
			files := tt.files
			f := &Files{Format: format.Lookup(tt.format), NoHeader: tt.bare, Next: func() (string, io.ReadCloser, error) {
				if len(files) == 0 {
					return "", nil, io.EOF
				}
				text := files[0]
				files = files[1:]
				return "f", io.NopCloser(strings.NewReader(text)), nil
			}}
			var got strings.Builder
			_, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{f}, make([]byte, 3))
			if strings.HasPrefix(tt.want, "Error") {
				if !fault.HasCode(err, tt.want) {
					t.Errorf("err = %v", err)
				}
				return
			}
			if err != nil || got.String() != tt.want {
				t.Errorf("got %q, %v, want %q", got.String(), err, tt.want)
			}
		})
	}
}

func TestShape(t *testing.T) {
	for _, tt := range []struct {
		shape Shape
		want  frame.Type
	}{
		{0, frame.String},
		{WholeShape, frame.Int32},
		{WholeShape | LongShape, frame.Int64},
		{LongShape, frame.Int64},
		{WholeShape | DoubleShape, frame.Double},
		{BoolShape, frame.Boolean},
		{TimeShape, frame.DateTime},
		{TimeShape | WholeShape, frame.String},
		{BoolShape | TextShape, frame.String},
	} {
		if got := tt.shape.Type(); got != tt.want {
			t.Errorf("%b: %s, want %s", tt.shape, got, tt.want)
		}
	}
	for text, want := range map[string]Shape{"1": WholeShape, "-2147483648": WholeShape, "2147483648": LongShape, "9223372036854775808": DoubleShape, "1.0": DoubleShape, "1e3": DoubleShape} {
		if got := Number(text); got != want {
			t.Errorf("%s: %b, want %b", text, got, want)
		}
	}
}
