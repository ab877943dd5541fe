package connect

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
)

// FileFormat returns the format of a file and how it is compressed: as given,
// else by the end of its name.
func FileFormat(given, name string) (*format.Format, format.Compression, error) {
	f, c := format.OfFile(name)
	if given != "" {
		if f = format.Lookup(given); f == nil {
			f, c = format.OfFile("." + given) // csv.gz
		}
	}
	if f == nil {
		return nil, c, fault.Module(2, "the format of the file is not known: it is one of %s, given or as the extension of its name", strings.Join(format.Names(), ", ")).At("Format")
	}
	if c != format.None && !f.Text() {
		return nil, c, fault.Module(2, "a %s file is not compressed as a whole", f.Name).At("Format")
	}
	return f, c, nil
}

// Decompress reads what r holds as its format is read.
func Decompress(r io.ReadCloser, c format.Compression) (io.ReadCloser, error) {
	if c == format.None {
		return r, nil
	}
	in, err := c.NewReader(r)
	if err != nil {
		r.Close()
		return nil, unparsed(err)
	}
	return &decompressed{in, r}, nil
}

// decompressed closes both ends, and tells a damaged file from a source that
// failed.
type decompressed struct{ in, from io.ReadCloser }

func (d *decompressed) Read(p []byte) (int, error) {
	n, err := d.in.Read(p)
	if err != nil && err != io.EOF {
		if _, ours := errors.AsType[*fault.Error](err); !ours {
			err = fault.Module(49, "the compressed file is damaged or cut off")
		}
	}
	return n, err
}

func (d *decompressed) Close() error {
	d.in.Close()
	return d.from.Close()
}

// maxHeader bounds a header row.
const maxHeader = 1 << 20

// Files reads several files of one format as one: the header row of all but
// the first, which must be the same, is left out.
type Files struct {
	Format   *format.Format
	NoHeader bool
	// Next opens the next file: io.EOF after the last.
	Next func() (name string, r io.ReadCloser, err error)

	header []byte
	files  int
	open   io.ReadCloser
	r      *bufio.Reader
	rest   []byte // read ahead
	last   byte   // of what was given
}

// Read gives the next bytes.
func (f *Files) Read(p []byte) (int, error) {
	for {
		if len(f.rest) > 0 {
			n := copy(p, f.rest)
			f.rest = f.rest[n:]
			f.last = p[n-1]
			return n, nil
		}
		if f.r != nil {
			n, err := f.r.Read(p)
			if n > 0 {
				f.last = p[n-1]
			}
			if err != io.EOF {
				return n, err
			}
			if err := f.Close(); err != nil {
				return n, err
			}
			if n > 0 {
				return n, nil
			}
		}
		if err := f.begin(); err != nil {
			return 0, err
		}
	}
}

// begin opens the next file and looks at its header.
func (f *Files) begin() error {
	name, r, err := f.Next()
	if err != nil {
		return err
	}
	f.open, f.r = r, bufio.NewReaderSize(r, maxHeader)
	if f.files++; f.files > 1 && (f.Format.Typed && f.Format.Name != format.SVMLight) {
		return fault.Module(49, "file %q cannot follow another: several %s files are not read as one", name, f.Format.Name)
	}
	head, err := f.r.Peek(maxHeader)
	if err != nil && err != io.EOF {
		return err
	}
	if len(head) == 0 {
		return nil // an empty file
	}
	if f.last != 0 && f.last != '\n' {
		f.rest = []byte("\n") // the file before ended without
	}
	var comma byte
	switch {
	case f.NoHeader:
		return nil
	case f.Format.Name == format.CSV:
		comma = ','
	case f.Format.Name == format.TSV:
		comma = '\t'
	default:
		return nil
	}
	scan, n := frame.NewCSVScanner(comma, frame.ScanState{}), 0
	for n < len(head) && scan.State.Records == 0 { // blank lines come before it
		k, _ := scan.Advance(head[n:], int64(n)+1)
		n += k
	}
	header := bytes.Trim(bytes.TrimPrefix(head[:n], []byte("\ufeff")), "\r\n")
	if f.header == nil {
		f.header = bytes.Clone(header)
		return nil
	}
	if !bytes.Equal(header, f.header) {
		return fault.Module(10, "file %q has the header %q, the first file %q: files that are read as one have the same columns", name, frame.Clip(header), frame.Clip(f.header))
	}
	_, err = f.r.Discard(n)
	return err
}

// Close ends reading the file that is open.
func (f *Files) Close() error {
	f.r = nil
	if f.open == nil {
		return nil
	}
	r := f.open
	f.open = nil
	return r.Close()
}

// ReadAll reads all of a source into a table. Where pinned is set, the columns are those of
// pinned, by name, and the cells are read as its types; otherwise types are
// those of the source, or inferred from a text. A table of more than limit
// bytes is fault.TooLarge.
func ReadAll(ctx context.Context, from Source, pinned frame.Schema, limit int64) (f *frame.Frame, err error) {
	r, err := from.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := r.Close(); err == nil {
			err = cerr
		}
	}()
	if r.Text != nil {
		return textTable(r, pinned, limit)
	}
	if pinned == nil {
		pinned = slices.Clone(r.Schema)
	}
	l, err := frame.NewLayout(pinned)
	if err != nil {
		return nil, fault.Module(17, "%v", err)
	}
	t := &reader{into: l.New(0), limit: limit}
	if t.cols, err = match(r.Schema, pinned); err != nil {
		return nil, err
	}
	for {
		g, err := r.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := t.add(g); err != nil {
			return nil, err
		}
	}
	return t.into, nil
}

// match finds the columns of want in have.
func match(have, want frame.Schema) ([]int, error) {
	cols := make([]int, len(want))
	for i, w := range want {
		if cols[i] = have.Index(w.Name); cols[i] < 0 && !w.Optional {
			msg := fmt.Sprintf("the source has no column %q", w.Name)
			if near := have.Nearest(w.Name); near != "" {
				msg += fmt.Sprintf("; the nearest is %q", near)
			}
			return nil, fault.Module(1, "%s", msg).At(w.Name)
		}
	}
	return cols, nil
}

// reader gathers typed rows in a frame.
type reader struct {
	into  *frame.Frame
	cols  []int // of the source, by column of into; -1 for none
	size  int64
	limit int64
	cell  []byte
}

func (t *reader) add(g *frame.Frame) error {
	at := t.into.Rows()
	for i, c := range t.into.Cols {
		if t.cols[i] < 0 {
			for range g.Rows() {
				c.AppendNull()
			}
			continue
		}
		from := g.Cols[t.cols[i]]
		if c.Field.Type == from.Field.Type {
			c.AppendRange(from, 0, from.Len())
		} else if err := t.convert(c, from, at); err != nil {
			return err
		}
		t.size += int64(from.Len()) * 8
		if from.Field.Type == frame.String && from.Field.Levels == nil {
			for r := range from.Len() {
				t.size += int64(len(from.Text(r)))
			}
		}
	}
	if t.size > t.limit {
		return tooLarge(t.limit)
	}
	return nil
}

// convert reads cells of another type by what they print.
func (t *reader) convert(to, from *frame.Column, at int) error {
	for r := range from.Len() {
		if from.IsNull(r) {
			to.AppendNull()
			continue
		}
		t.cell = from.Print(t.cell[:0], r)
		if err := to.AppendText(t.cell); err != nil {
			return fault.Module(17, "row %d: %v", at+r+1, err).At(to.Field.Name)
		}
	}
	return nil
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "OutOfMemoryLimit", "the source has more than %d bytes, the most that is read into one table", limit)
}

func textTable(r *Records, pinned frame.Schema, limit int64) (*frame.Frame, error) {
	text, err := io.ReadAll(io.LimitReader(r.Text, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, tooLarge(limit)
	}
	return Parse(text, r.Format, r.NoHeader, pinned)
}

// Parse reads a whole file. Where pinned is nil, the types are the file's own,
// or are inferred over all rows.
func Parse(text []byte, f *format.Format, noHeader bool, pinned frame.Schema) (*frame.Frame, error) {
	opt := format.Options{NoHeader: noHeader}
	if pinned == nil {
		var err error
		if pinned, err = f.Infer(text, opt); err != nil {
			return nil, unparsed(err)
		}
	}
	l, err := frame.NewLayout(pinned)
	if err != nil {
		return nil, fault.Module(17, "%v", err)
	}
	table, err := f.Read(text, l, opt)
	if err != nil {
		return nil, unparsed(err)
	}
	return table, nil
}

// unparsed is module error 0049: a file that cannot be parsed.
func unparsed(err error) error {
	d := fault.Of(err).Details()[0]
	return fault.Module(49, "the file cannot be parsed: %s", d.Message).At(d.Target)
}
