// Package format names the file formats of tables: for each, how to infer a
// schema, read a file by a layout, write one, and what a batch job may do with
// it. It knows no file names but their extensions and does no I/O.
package format

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/parquet"
)

// Format is a file format.
type Format struct {
	Name       string   // as users write it: csv
	Extensions []string // without the point
	MediaType  string
	// Typed says that a file declares its own types; otherwise they are inferred
	// from its cells.
	Typed bool
	// Appends says that the rows of several frames can follow each other in a
	// file. Otherwise it is written as a whole.
	Appends bool

	archive bool // read only

	infer  func(data []byte, o Options) (frame.Schema, error)
	read   func(data []byte, l *frame.Layout, o Options) (*frame.Frame, error)
	head   func(data []byte, o Options, rows int) []byte                      // the part of a text file that has the first rows
	first  func(data []byte, l *frame.Layout, rows int) (*frame.Frame, error) // where head is nil
	check  func(s frame.Schema) error                                         // nil = holds every schema
	header func(dst []byte, s frame.Schema) []byte
	rows   func(dst []byte, f *frame.Frame, lo, hi int) ([]byte, error)
	begin  func(data []byte, l *frame.Layout, o Reading) (*Head, error) // where it splits
	scan   func(from frame.ScanState) *frame.Scanner
	whole  func(dst []byte, f *frame.Frame) []byte // where it does not append
}

// Options say how a file is read, as far as its format leaves that open.
type Options struct {
	NoHeader bool     // csv, tsv: no header row; columns are called Col1, Col2, …
	Missing  []string // texts that read as missing, besides the format's own
}

// The names of the formats. Archives are read only: an archive is a table of
// one row and one column, Content, which holds the file as base64 for the
// module that unpacks it.
const (
	CSV      = "csv"
	TSV      = "tsv"
	ARFF     = "arff"
	SVMLight = "svmlight"
	JSONL    = "jsonl"
	Parquet  = "parquet"
	ZipFile  = "zip"
	GzipFile = "gzip"
)

var formats = []Format{
	delimited(CSV, "text/csv; charset=utf-8", ','),
	delimited(TSV, "text/tab-separated-values; charset=utf-8", '\t'),
	{
		Name: ARFF, Extensions: []string{"arff"}, MediaType: "text/plain; charset=utf-8", Typed: true, Appends: true,
		infer: func(data []byte, o Options) (frame.Schema, error) { return frame.ARFF{}.Infer(data, o.Missing) },
		read:  func(data []byte, l *frame.Layout, _ Options) (*frame.Frame, error) { return frame.ARFF{}.Read(data, l) },
		head: func(data []byte, _ Options, rows int) []byte {
			h, err := frame.ARFF{}.Header(data, nil)
			if err != nil {
				return data // reading it says what is wrong
			}
			return headLines(data, h.Size, rows, '%')
		},
		header: func(dst []byte, s frame.Schema) []byte { return frame.AppendARFFHeader(dst, "dataset", s) },
		rows:   frame.AppendARFFRows,
		begin:  beginARFF,
		scan:   scanLines('%'),
	},
	{
		Name: SVMLight, Extensions: []string{"svmlight", "libsvm", "svm"}, MediaType: "text/plain; charset=utf-8", Typed: true, Appends: true,
		infer: func(data []byte, o Options) (frame.Schema, error) { return frame.SVMLight{}.Infer(data, o.Missing) },
		read: func(data []byte, l *frame.Layout, _ Options) (*frame.Frame, error) {
			return frame.SVMLight{}.Read(data, l)
		},
		head:   func(data []byte, _ Options, rows int) []byte { return headLines(data, 0, rows, '#') },
		check:  frame.CheckSVMLight,
		header: func(dst []byte, _ frame.Schema) []byte { return dst },
		rows: func(dst []byte, f *frame.Frame, lo, hi int) ([]byte, error) {
			return frame.AppendSVMLightRows(dst, f, lo, hi), nil
		},
		begin: beginSVMLight,
		scan:  scanLines('#'),
	},
	{
		Name: JSONL, Extensions: []string{"jsonl", "ndjson"}, MediaType: "application/x-ndjson", Appends: true,
		infer: func(data []byte, o Options) (frame.Schema, error) { return frame.JSONL{}.Infer(data, o.Missing) },
		read: func(data []byte, l *frame.Layout, _ Options) (*frame.Frame, error) {
			return frame.JSONL{}.Read(data, l)
		},
		head:   func(data []byte, _ Options, rows int) []byte { return headLines(data, 0, rows, 0) },
		header: func(dst []byte, _ frame.Schema) []byte { return dst },
		rows: func(dst []byte, f *frame.Frame, lo, hi int) ([]byte, error) {
			return frame.AppendJSONLRows(dst, f, lo, hi), nil
		},
		begin: beginJSONL,
		scan:  scanLines(0),
	},
	{
		Name: Parquet, Extensions: []string{"parquet", "pq"}, MediaType: "application/vnd.apache.parquet", Typed: true,
		infer: inferParquet,
		read:  func(data []byte, l *frame.Layout, _ Options) (*frame.Frame, error) { return parquet.Read(data, l) },
		first: parquet.Head,
		whole: parquet.Append,
	},
	archive(ZipFile, "application/zip", "zip"),
	archive(GzipFile, "application/gzip"),
}

func archive(name, mediaType string, extensions ...string) Format {
	schema := frame.Schema{{Name: "Content"}}
	return Format{
		Name: name, Extensions: extensions, MediaType: mediaType, Typed: true, archive: true,
		infer: func([]byte, Options) (frame.Schema, error) { return slices.Clone(schema), nil },
		read:  readArchive,
		first: func(data []byte, l *frame.Layout, _ int) (*frame.Frame, error) {
			return readArchive(data, l, Options{})
		},
	}
}

func readArchive(data []byte, l *frame.Layout, _ Options) (*frame.Frame, error) {
	f := l.New(1)
	if len(f.Cols) != 1 || f.Cols[0].Field.Type != frame.String {
		return nil, fault.New(fault.BadArgument, "BadParameterValue", "an archive is one column of text: its type cannot be changed")
	}
	f.Cols[0].AppendString([]byte(base64.StdEncoding.EncodeToString(data)))
	return f, nil
}

func delimited(name, mediaType string, comma byte) Format {
	return Format{
		Name: name, Extensions: []string{name}, MediaType: mediaType, Appends: true,
		infer: func(data []byte, o Options) (frame.Schema, error) {
			return frame.Inference{CSV: frame.CSV{Comma: comma, NoHeader: o.NoHeader}, Missing: o.Missing}.Infer(data)
		},
		read: func(data []byte, l *frame.Layout, o Options) (*frame.Frame, error) {
			return frame.CSV{Comma: comma, NoHeader: o.NoHeader}.Read(data, l)
		},
		head:   func(data []byte, o Options, rows int) []byte { return headCSV(data, comma, rows+1) },
		header: func(dst []byte, s frame.Schema) []byte { return frame.AppendCSVHeader(dst, s.Names(), comma) },
		rows: func(dst []byte, f *frame.Frame, lo, hi int) ([]byte, error) {
			return frame.AppendCSVRows(dst, f, lo, hi, comma), nil
		},
		begin: beginDelimited(comma),
		scan:  scanDelimited(comma),
	}
}

func inferParquet(data []byte, o Options) (frame.Schema, error) {
	file, err := parquet.Open(data)
	if err != nil {
		return nil, err
	}
	s := slices.Clone(file.Schema())
	l, err := frame.NewLayout(file.Schema())
	if err != nil {
		return nil, fault.New(fault.BadUserArgument, frame.CodeCell, "the Parquet file: %v", err)
	}
	f, err := parquet.Read(data, l)
	if err != nil {
		return nil, err
	}
	for i, c := range f.Cols {
		s[i].Nullable, s[i].Missing = c.Nulls() > 0, slices.Clone(o.Missing)
		s[i].Nullable = s[i].Nullable || o.Missing != nil
	}
	return s, nil
}

// All returns the formats, in the order in which they are offered.
func All() []Format { return slices.Clone(formats) }

// Names returns the names of the formats.
func Names() []string {
	names := make([]string, len(formats))
	for i := range formats {
		names[i] = formats[i].Name
	}
	return names
}

// Written returns the names of the formats that tables are written in.
func Written() []string {
	names := Names()
	return slices.DeleteFunc(names, func(n string) bool { return Lookup(n).archive })
}

// Lookup returns the format of a name, in any case, or nil.
func Lookup(name string) *Format {
	for i := range formats {
		if strings.EqualFold(formats[i].Name, name) {
			return &formats[i]
		}
	}
	return nil
}

// OfFile returns the format and compression of a file by the end of its name,
// as in "May.csv.gz"; nil where that says nothing.
func OfFile(name string) (*Format, Compression) {
	base := name[strings.LastIndexAny(name, `/\`)+1:]
	compression := None
	rest, ext := cutExt(base)
	for _, c := range []Compression{Gzip, Zstd} {
		if strings.EqualFold(ext, c.Extension()) || c == Gzip && strings.EqualFold(ext, "gzip") {
			compression = c
			_, ext = cutExt(rest)
		}
	}
	for i := range formats {
		if slices.ContainsFunc(formats[i].Extensions, func(e string) bool { return strings.EqualFold(e, ext) }) {
			return &formats[i], compression
		}
	}
	return nil, compression
}

func cutExt(name string) (rest, ext string) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return name, ""
	}
	return name[:i], name[i+1:]
}

// Text reports whether the format is text: gzip and zstd may wrap it, and it
// can be read in pieces that begin at any of its records.
func (f *Format) Text() bool { return f.whole == nil && !f.archive }

// Infer returns the schema of a file of which data is the whole.
func (f *Format) Infer(data []byte, o Options) (frame.Schema, error) { return f.infer(data, o) }

// Read reads a whole file by a layout.
func (f *Format) Read(data []byte, l *frame.Layout, o Options) (*frame.Frame, error) {
	return f.read(data, l, o)
}

// Head reads the first rows of a file by a layout, at most so many, without
// reading the others.
func (f *Format) Head(data []byte, l *frame.Layout, o Options, rows int) (*frame.Frame, error) {
	var fr *frame.Frame
	var err error
	if f.head != nil {
		fr, err = f.read(f.head(data, o, rows), l, o)
	} else {
		fr, err = f.first(data, l, rows)
	}
	if err != nil || fr.Rows() <= rows {
		return fr, err
	}
	return fr.Slice(0, rows), nil
}

// headCSV returns the first records of data, the header among them.
func headCSV(data []byte, comma byte, records int) []byte {
	const step = 64 << 10
	for scan := frame.NewCSVScanner(comma, frame.ScanState{}); scan.State.Offset < int64(len(data)); {
		at := scan.State.Offset
		if _, cut := scan.Advance(data[at:], at+step); cut && scan.State.Records >= int64(records) {
			return data[:scan.State.Offset]
		}
	}
	return data
}

// headLines returns the beginning of data up to so many lines past start that
// are neither blank nor a comment.
func headLines(data []byte, start, lines int, comment byte) []byte {
	for end := start; end < len(data); {
		if lines == 0 {
			return data[:end]
		}
		line, _, _ := bytes.Cut(data[end:], []byte{'\n'})
		end = min(end+len(line)+1, len(data))
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != comment {
			lines--
		}
	}
	return data
}

// Check reports a column that the format cannot hold.
func (f *Format) Check(s frame.Schema) error {
	if f.check == nil {
		return nil
	}
	return f.check(s)
}

// Append appends fr as a whole file. It fails where Check does, and for cells
// that the format's header rules out.
func (f *Format) Append(dst []byte, fr *frame.Frame) ([]byte, error) {
	s := fr.Schema()
	if f.archive {
		return nil, fault.New(fault.BadArgument, "DataTypeNotSupported", "tables are not written as %s: one of %s", f.Name, strings.Join(Written(), ", "))
	}
	if err := f.Check(s); err != nil {
		return nil, err
	}
	if f.whole != nil {
		return f.whole(dst, fr), nil
	}
	return f.rows(f.header(dst, s), fr, 0, fr.Rows())
}

// AppendHeader appends what stands before the rows of a file; only where the
// format Appends.
func (f *Format) AppendHeader(dst []byte, s frame.Schema) []byte { return f.header(dst, s) }

// AppendRows appends the rows of fr from lo to hi (exclusive); only where the
// format Appends.
func (f *Format) AppendRows(dst []byte, fr *frame.Frame, lo, hi int) ([]byte, error) {
	return f.rows(dst, fr, lo, hi)
}
