package batch

import (
	"fmt"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/frame/parquet"
)

// groupRows is the most rows of a row group that a job writes.
const groupRows = 128 << 10

// printer makes parts of an output: text, packed part by part, or row groups.
// Of what is gathered in it, a part has all.
type printer struct {
	format *format.Format
	pack   format.Compression
	groups *rowGroups // of Parquet alone
	text   []byte     // scratch
}

// rowGroups are the row groups of a part.
type rowGroups struct {
	rows *frame.Frame // of the one that is not full yet
	tail []byte       // what the file's footer says of those that are
}

func newPrinter(name string) *printer {
	p := &printer{}
	p.format, p.pack = fileKind(name)
	if p.format != nil && p.format.Name == format.Parquet {
		p.groups = &rowGroups{}
	}
	return p
}

// append prints rows. A row that the format cannot hold is an error.
func (p *printer) append(dst []byte, f *frame.Frame, lo, hi int) ([]byte, error) {
	if p.groups != nil {
		return p.gather(dst, f, lo, hi), nil
	}
	return p.format.AppendRows(dst, f, lo, hi)
}

// gather adds rows to the row group, and writes it where it is full.
func (p *printer) gather(dst []byte, f *frame.Frame, lo, hi int) []byte {
	g := p.groups
	if g.rows == nil {
		g.rows = &frame.Frame{}
		for _, c := range f.Cols {
			g.rows.Cols = append(g.rows.Cols, c.Empty(0))
		}
	}
	for lo < hi {
		n := min(hi-lo, groupRows-g.rows.Rows())
		for i, c := range g.rows.Cols {
			c.AppendRange(f.Cols[i], lo, lo+n)
		}
		if lo += n; g.rows.Rows() == groupRows {
			dst = g.end(dst)
		}
	}
	return dst
}

// end writes the row group that is not full.
func (g *rowGroups) end(dst []byte) []byte {
	if g.rows == nil || g.rows.Rows() == 0 {
		return dst
	}
	dst, group := parquet.AppendGroup(dst, g.rows, 0, g.rows.Rows())
	g.tail = group.AppendBinary(g.tail)
	g.rows.Reset()
	return dst
}

// part ends a part that begins with body, what append has made, and returns it
// with what the end of the file has to say of it. It is good until the next
// call.
func (p *printer) part(body []byte) (part, tail []byte, err error) {
	if p.groups != nil {
		body = p.groups.end(body)
		tail, p.groups.tail = p.groups.tail, nil
		return body, tail, nil
	}
	if p.pack == format.None || len(body) == 0 {
		return body, nil, nil
	}
	p.text, err = p.pack.Compress(p.text[:0], body)
	return p.text, nil, err
}

// head is what a file begins with, before its parts.
func (p *printer) head(s frame.Schema, bare bool) (head []byte, err error) {
	switch {
	case p.groups != nil:
		return []byte(parquet.Magic), nil
	case !bare:
		head = p.format.AppendHeader(nil, s)
	}
	if p.pack == format.None {
		return head, nil
	}
	return p.pack.Compress(nil, head) // of nothing, too: no file is none of its kind
}

// tail is what a file ends with, behind its parts; said is what they had to
// say, in their order.
func (p *printer) tail(s frame.Schema, said []byte) ([]byte, error) {
	if p.groups == nil {
		return nil, nil
	}
	groups, err := parquet.DecodeGroups(said)
	if err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	return parquet.AppendFooter(nil, s, groups), nil
}
