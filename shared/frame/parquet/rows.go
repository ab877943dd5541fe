package parquet

import (
	"fmt"
	"slices"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// Span is a range of a file's bytes.
type Span struct{ Offset, Size int64 }

// Match finds the columns of a layout in the file: extra are those of the file
// that the layout does not have. A required column that the file lacks is an
// error.
func (f *File) Match(l *frame.Layout) (extra []string, err error) {
	if _, err := f.columns(l); err != nil {
		return nil, err
	}
	for i := range f.schema {
		if name := f.schema[i].Name; l.Index([]byte(name)) < 0 {
			extra = append(extra, name)
		}
	}
	return extra, nil
}

// columns returns, per column of a layout, its index in the file, or -1.
func (f *File) columns(l *frame.Layout) ([]int, error) {
	index := make(map[string]int, len(f.schema))
	for i := range f.schema {
		index[f.schema[i].Name] = i
	}
	at := make([]int, len(l.Schema))
	for k := range l.Schema {
		name := l.Schema[k].Name
		i, ok := index[name]
		if !ok {
			if i = -1; !l.Schema[k].Optional {
				return nil, l.Lacks(name, f.schema.Names())
			}
		}
		at[k] = i
	}
	return at, nil
}

// span returns where the pages of a column chunk lie, which is in the file.
func (f *File) span(group, i int) (Span, error) {
	c := &f.meta.groups[group].chunks[i]
	at := Span{c.data, c.compressed}
	if c.dict > 0 && c.dict < c.data {
		at.Offset = c.dict
	}
	if at.Offset < 4 || at.Size < 0 || at.Offset > f.size || at.Size > f.size-at.Offset {
		return at, bad("column %q: its pages in row group %d lie outside the file", f.schema[i].Name, group+1)
	}
	return at, nil
}

// Spans returns where the pages of the columns lie that a layout reads of a row
// group, in the order of the layout; one of no size for a column that the file
// lacks.
func (f *File) Spans(group int, l *frame.Layout) ([]Span, error) {
	cols, err := f.columns(l)
	if err != nil {
		return nil, err
	}
	spans := make([]Span, len(cols))
	for k, i := range cols {
		if i < 0 || f.Rows(group) == 0 {
			continue
		}
		if spans[k], err = f.span(group, i); err != nil {
			return nil, err
		}
	}
	return spans, nil
}

// Bytes returns where in the file a row group begins and how many bytes its
// columns take, as far as the metadata are to be believed.
func (f *File) Bytes(group int) Span {
	var at Span
	for i := range f.meta.groups[group].chunks {
		s, err := f.span(group, i)
		if err != nil {
			continue // told where it is read
		}
		if at.Size == 0 || s.Offset < at.Offset {
			at.Offset = s.Offset
		}
		at.Size += s.Size
	}
	return at
}

// Rows reads the rows of a row group, some at a time. It is for one goroutine.
type Rows struct {
	cols  []*column // per column of the layout; nil = not in the file
	left  int64
	held  int64
	sizes []int64
	skip  []bool
	bad   []BadRow
}

// BadRow is a row with a cell that its column does not hold.
type BadRow struct {
	Row    int // among those that Append has appended
	Column string
	Code   string // classic error code
	Reason string
}

// Reader returns what reads a row group by a layout. pages are the bytes of
// Spans; nil for a file that is there as a whole.
func (f *File) Reader(group int, l *frame.Layout, pages [][]byte, budget *Budget) (*Rows, error) {
	cols, err := f.columns(l)
	if err != nil {
		return nil, err
	}
	g := &f.meta.groups[group]
	r := &Rows{cols: make([]*column, len(cols)), left: g.rows}
	for k, i := range cols {
		if i < 0 || g.rows == 0 {
			continue
		}
		c := &column{element: &f.meta.elements[i+1], field: &f.schema[i], chunk: &g.chunks[i], rows: g.rows, budget: budget, held: &r.held}
		switch {
		case c.chunk.elsewhere:
			return nil, c.bad("its values are encrypted or in another file")
		case c.chunk.physical != c.element.physical:
			return nil, c.bad("its values have physical type %d, the schema says %d", c.chunk.physical, c.element.physical)
		case c.chunk.values != g.rows:
			return nil, c.bad("it has %d values in %d rows", c.chunk.values, g.rows)
		}
		if pages != nil {
			c.pages = pages[k]
		} else {
			at, err := f.span(group, i)
			if err != nil {
				return nil, err
			}
			c.pages = f.data[at.Offset : at.Offset+at.Size]
		}
		r.cols[k] = c
	}
	return r, nil
}

// blockText is about how much text is read at a time.
const blockText = 8 << 20

// Append appends the next rows to a frame of the layout, and returns how many:
// some thousands, fewer of long texts, 0 at the end. Where options is nil, the
// first cell that does not fit is an error; else rows of such cells, which are
// missing in the frame, are in the list that options says. After an error the
// frame holds some of the cells.
func (r *Rows) Append(dst *frame.Frame, o *Tolerance) (int, error) {
	if r.left == 0 {
		return 0, nil
	}
	n := int(min(r.left, blockRows))
	for _, c := range r.cols {
		if c == nil {
			continue
		}
		if err := c.ready(); err != nil {
			return 0, err
		}
		n = min(n, c.n-c.at)
	}
	r.bad = r.bad[:0]
	n = r.measure(n, o)
	first := dst.Rows()
	for k, to := range dst.Cols {
		c := r.cols[k]
		if c == nil {
			for range n {
				to.AppendNull()
			}
			continue
		}
		err := c.append(to, n, r.skip, func(i int, err error) error {
			if o == nil {
				return fault.New(fault.BadUserArgument, frame.CodeCell, "row %d: %s", first+i+1, err.Error()).At(c.field.Name)
			}
			r.bad = append(r.bad, BadRow{i, c.field.Name, codeOf(err), err.Error()})
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	if o != nil {
		// One of each row: that of its first column.
		slices.SortStableFunc(r.bad, func(a, b BadRow) int { return a.Row - b.Row })
		o.Bad = slices.CompactFunc(r.bad, func(a, b BadRow) bool { return a.Row == b.Row })
	}
	r.left -= int64(n)
	return n, nil
}

// Tolerance says what a bad row is, besides one with a cell that does not fit,
// and is told of those there were.
type Tolerance struct {
	MaxRecord int      // bytes of text in a row
	Bad       []BadRow // of the last call, in order; valid until the next
}

func codeOf(err error) string {
	if e, ok := err.(*frame.CellError); ok {
		return e.Code
	}
	return frame.CodeCell
}

// measure returns how many of the next n rows are to be read at once, by the
// size of their texts, and has rows above the limit passed over.
func (r *Rows) measure(n int, o *Tolerance) int {
	if cap(r.sizes) < n {
		r.sizes, r.skip = make([]int64, blockRows), make([]bool, blockRows)
	}
	r.sizes, r.skip = r.sizes[:n], r.skip[:n]
	clear(r.sizes)
	clear(r.skip)
	for _, c := range r.cols {
		if c != nil {
			c.sizes(r.sizes)
		}
	}
	text := int64(0)
	for i, size := range r.sizes {
		if o != nil && size > int64(o.MaxRecord) {
			r.skip[i] = true
			r.bad = append(r.bad, BadRow{i, "", frame.CodeCell, fmt.Sprintf("the record is longer than the limit of %d bytes", o.MaxRecord)})
			continue
		}
		if text += size; text > blockText && i > 0 {
			return i
		}
	}
	return n
}
