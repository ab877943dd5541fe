package connect

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// Formats are the text formats that a file can have.
func Formats() []string { return []string{"csv", "tsv"} }

// comma is the separator of a format.
func comma(format string) byte {
	if format == "tsv" {
		return '\t'
	}
	return ','
}

// FileFormat returns the format of a file: as given, else by the extension of
// its name.
func FileFormat(given, name string) (string, error) {
	format := strings.ToLower(given)
	if format == "" {
		if i := strings.LastIndexByte(name, '.'); i >= 0 && !strings.Contains(name[i:], "/") {
			format = strings.ToLower(name[i+1:])
		}
	}
	if !slices.Contains(Formats(), format) {
		return "", fault.Module(2, "the format of the file is %q: it is one of %s, given or as the extension of its name", frame.Clip([]byte(format)), strings.Join(Formats(), ", ")).At("Format")
	}
	return format, nil
}

// maxHeader bounds a header row.
const maxHeader = 1 << 20

// Files reads several files of one format as one: the header row of all but
// the first, which must be the same, is left out.
type Files struct {
	Format   string
	NoHeader bool
	// Next opens the next file: io.EOF after the last.
	Next func() (name string, r io.ReadCloser, err error)

	header []byte
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
	if f.NoHeader {
		return nil
	}
	scan := frame.NewCSVScanner(comma(f.Format), frame.CSVState{})
	n, _ := scan.Advance(head, 0)
	if scan.State.Records == 0 { // no line end: all of it is the header
		n = len(head)
	}
	header := bytes.TrimRight(bytes.TrimPrefix(head[:n], []byte("\ufeff")), "\r\n")
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

// Parse reads a whole file. Where pinned is nil, the types are inferred over
// all rows.
func Parse(text []byte, format string, noHeader bool, pinned frame.Schema) (*frame.Frame, error) {
	opt := frame.CSV{NoHeader: noHeader, Comma: comma(format)}
	if pinned == nil {
		var err error
		if pinned, err = (frame.Inference{CSV: opt}).Infer(text); err != nil {
			return nil, unparsed(err)
		}
	}
	l, err := frame.NewLayout(pinned)
	if err != nil {
		return nil, fault.Module(17, "%v", err)
	}
	f, err := opt.Read(text, l)
	if err != nil {
		return nil, unparsed(err)
	}
	return f, nil
}

// unparsed is module error 0049: a file that cannot be parsed.
func unparsed(err error) error {
	d := fault.Of(err).Details()[0]
	return fault.Module(49, "the file cannot be parsed: %s", d.Message).At(d.Target)
}
