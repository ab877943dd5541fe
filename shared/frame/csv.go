package frame

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/fault"
)

// CSV is how a file of comma-separated (or tab-separated) records is read.
// The zero value reads RFC 4180 with a header row and fails on the first bad
// record.
//
// A field is quoted if its first byte is a quote; in it commas and line ends
// are text and a doubled quote is a quote. A quote anywhere else is text.
// Records end with LF or CRLF, the last one also with the file. Blank lines
// are no records. Columns are matched by exact name, in any order.
type CSV struct {
	Comma byte // 0 = ','
	// NoHeader says that the file has no header row and holds the layout's
	// columns in its order.
	NoHeader bool
	// RefuseExtra makes a column that the layout does not have an error.
	// Otherwise it is ignored, and listed in CSVHeader.Extra.
	RefuseExtra bool
	// MaxRecord is the size in bytes above which a record is bad; 0 = 4 MiB.
	MaxRecord int
	// Workers is the number of goroutines that parse; 0 = GOMAXPROCS. Fewer
	// are used on small data.
	Workers int
	// OnBad, where set, is called for every bad record, in order, from the
	// calling goroutine; the record adds no row and reading goes on unless
	// OnBad returns an error, which Append then returns. Where nil the first
	// bad record is the error.
	OnBad func(BadRecord) error
}

// BadRecord is a record that does not fit the layout.
type BadRecord struct {
	Record int64  // number of the record, header excluded, from 1
	Line   int64  // line it starts on, from 1; 0 where not known
	Column string // empty where the record as a whole is bad
	Code   string // classic error code
	Reason string
	Raw    []byte // as in the file, without its line end; only valid during the call
}

// Fault returns b as an error for the caller.
func (b BadRecord) Fault() *fault.Error {
	place := fmt.Sprintf("record %d", b.Record)
	if b.Line > 0 {
		place += fmt.Sprintf(" (line %d)", b.Line)
	}
	return fault.New(fault.BadUserArgument, b.Code, "%s: %s", place, b.Reason)
}

const (
	defaultMaxRecord = 4 << 20
	codeMismatch     = "InputMismatchError"
	bom              = "\xEF\xBB\xBF"
)

func (o CSV) comma() byte {
	if o.Comma == 0 {
		return ','
	}
	return o.Comma
}

// CSVHeader maps the columns of a file to those of a layout. It is immutable
// and for concurrent use: every chunk of a file is read with the one header.
type CSVHeader struct {
	Names []string // of the file's columns, in the file's order
	Extra []string // those of them that the layout does not have
	Size  int      // bytes before the first record

	opt    CSV
	layout *Layout
	cols   []int // per column of the file: index in the layout, or -1
	absent []int // columns of the layout that the file does not have
	blocks sync.Pool
}

// Header reads the header of a file, of which data is at least the first
// record. A file that is empty or not UTF-8, that lacks a required column or
// has one twice, is refused.
func (o CSV) Header(data []byte, l *Layout) (*CSVHeader, error) {
	names, size, err := o.names(data, l)
	if err != nil {
		return nil, err
	}
	h := &CSVHeader{Names: names, Size: size, opt: o, layout: l, cols: make([]int, len(names))}
	seen := make([]bool, len(l.Schema))
	for i, name := range names {
		k := l.Index([]byte(name))
		h.cols[i] = k
		switch {
		case k < 0:
			h.Extra = append(h.Extra, name)
			if o.RefuseExtra {
				return nil, fault.New(fault.BadUserArgument, codeMismatch, "column %q of the file is not one of the service%s", name, l.Schema.didYouMean(name))
			}
		case seen[k]:
			return nil, fault.New(fault.BadUserArgument, codeMismatch, "the file has column %q twice", name)
		default:
			seen[k] = true
		}
	}
	for k := range l.Schema {
		if seen[k] {
			continue
		}
		h.absent = append(h.absent, k)
		if f := &l.Schema[k]; !f.Optional {
			return nil, l.Lacks(f.Name, h.Extra)
		}
	}
	return h, nil
}

// Lacks is the error of a file without a column that the layout requires.
func (l *Layout) Lacks(name string, has []string) error {
	if name == l.Label {
		return fault.Module(58, "the file has no label column %q%s", name, extraNear(name, has)).At(name)
	}
	return fault.New(fault.BadUserArgument, codeMismatch, "the file has no column %q, which the service needs%s", name, extraNear(name, has))
}

// didYouMean ends a message about an unknown column with the nearest name.
func (s Schema) didYouMean(name string) string {
	if n := s.Nearest(name); n != "" {
		return fmt.Sprintf("; did you mean %q?", n)
	}
	return ""
}

// extraNear ends a message about a missing column with a column of the file
// that may be meant.
func extraNear(name string, extra []string) string {
	s := make(Schema, len(extra))
	for i, has := range extra {
		s[i].Name = has
		switch {
		case strings.Contains(has, "\r"):
			return fmt.Sprintf(" (it has %q: lines end in LF or in CR LF, not in CR)", has)
		case len(extra) == 1 && strings.ContainsAny(has, ",;\t|"):
			return fmt.Sprintf(" (it has one column, %q: its fields are separated by something else than the format says)", has)
		}
	}
	if n := s.Nearest(name); n != "" {
		return fmt.Sprintf(" (it has %q; names are compared exactly)", n)
	}
	return ""
}

// names reads the header row, or makes one up where there is none. A column
// without a name, as pandas writes its index, is called Col and its number,
// unless the layout has one without.
func (o CSV) names(data []byte, l *Layout) ([]string, int, error) {
	size, err := TextStart(data)
	if err != nil {
		return nil, 0, err
	}
	if o.NoHeader {
		return l.Schema.Names(), size, nil
	}
	p := fields{data: data, pos: size, comma: o.comma()}
	if !p.record() {
		return nil, 0, unreadable("the file is empty; it must begin with a header row of column names")
	}
	var names []string
	for {
		cell, more := p.next()
		name := string(cell)
		if name == "" && (l == nil || l.Index(nil) < 0) {
			name = numbered(len(names))
		}
		names = append(names, name)
		if !more {
			break
		}
	}
	if p.bad != "" {
		return nil, 0, unreadable("the header row: %s", p.bad)
	}
	if err := checkUTF8(data[:p.pos], 1); err != nil {
		return nil, 0, err
	}
	return names, p.pos, nil
}

// numbered is the name of column i where the file gives it none.
func numbered(i int) string { return "Col" + strconv.Itoa(i+1) }

func unreadable(format string, args ...any) *fault.Error {
	return fault.New(fault.BadUserArgument, CodeCell, format, args...)
}

// validUTF8 returns the length of the longest valid UTF-8 prefix of b.
func validUTF8(b []byte) int {
	if utf8.Valid(b) {
		return len(b)
	}
	for i := 0; ; {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
}

// checkUTF8 refuses what is not UTF-8; b begins on the line given (0 = not
// known).
func checkUTF8(b []byte, line int64) error {
	i := validUTF8(b)
	switch {
	case i == len(b):
		return nil
	case line > 0:
		return unreadable("the file is not UTF-8: byte 0x%02X on line %d", b[i], line+int64(bytes.Count(b[:i], []byte{'\n'})))
	}
	return unreadable("the file is not UTF-8: byte 0x%02X", b[i])
}

// fields walks over the fields of records.
type fields struct {
	data  []byte
	pos   int
	comma byte
	bad   string // what is wrong with the record, "" while nothing is
	open  bool   // the data ended inside a quoted field
	text  []byte // scratch for a field with doubled quotes
}

// record moves to the next record and reports whether there is one.
func (p *fields) record() bool {
	p.bad = ""
	for p.pos < len(p.data) {
		switch {
		case p.data[p.pos] == '\n':
			p.pos++
		case p.data[p.pos] == '\r' && (p.pos+1 == len(p.data) || p.data[p.pos+1] == '\n'):
			p.pos++
		default:
			return true
		}
	}
	return false
}

// next returns the next field of the record and whether another one follows.
// The field is valid until next is called again.
func (p *fields) next() (cell []byte, more bool) {
	d, i := p.data, p.pos
	if i < len(d) && d[i] == '"' {
		return p.quoted()
	}
	i += fieldLen(d[i:], p.comma)
	return p.end(d[p.pos:i], i)
}

// fieldLen returns the number of bytes before the first comma or line end.
func fieldLen(d []byte, comma byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	commas := ones * uint64(comma)
	i := 0
	for ; i+8 <= len(d); i += 8 {
		w := binary.LittleEndian.Uint64(d[i:])
		c, n := w^commas, w^(ones*'\n') // a byte sought is zero
		if z := ((c-ones)&^c | (n-ones)&^n) & tops; z != 0 {
			return i + bits.TrailingZeros64(z)>>3 // the lowest one is certain
		}
	}
	for i < len(d) && d[i] != comma && d[i] != '\n' {
		i++
	}
	return i
}

// end ends an unquoted field at i.
func (p *fields) end(cell []byte, i int) ([]byte, bool) {
	if i < len(p.data) && p.data[i] == p.comma {
		p.pos = i + 1
		return cell, true
	}
	p.pos = min(i+1, len(p.data))
	if n := len(cell); n > 0 && cell[n-1] == '\r' {
		cell = cell[:n-1]
	}
	return cell, false
}

func (p *fields) quoted() ([]byte, bool) {
	d, i := p.data, p.pos+1
	start, spliced := i, false
	for {
		q := bytes.IndexByte(d[i:], '"')
		if q < 0 {
			p.bad, p.open = "a quoted field is not closed", true
			p.pos = len(d)
			return d[start:], false
		}
		q += i
		if q+1 < len(d) && d[q+1] == '"' { // doubled
			if !spliced {
				p.text, spliced = p.text[:0], true
			}
			p.text = append(p.text, d[start:q+1]...)
			i = q + 2
			start = i
			continue
		}
		cell := d[start:q]
		if spliced {
			p.text = append(p.text, cell...)
			cell = p.text
		}
		i = q + 1
		switch {
		case i == len(d):
			p.pos = i
			return cell, false
		case d[i] == p.comma:
			p.pos = i + 1
			return cell, true
		case d[i] == '\n':
			p.pos = i + 1
			return cell, false
		case d[i] == '\r' && (i+1 == len(d) || d[i+1] == '\n'):
			p.pos = min(i+2, len(d))
			return cell, false
		}
		p.bad = fmt.Sprintf("text follows the closing quote of %q", Clip(cell))
		i += fieldLen(d[i:], p.comma)
		_, more := p.end(nil, i)
		return cell, more
	}
}

// rawRecord cuts the line end off a record.
func rawRecord(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte{'\n'}), []byte{'\r'})
}
