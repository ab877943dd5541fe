package frame

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/fault"
)

// ARFF is Weka's attribute-relation file: a header that declares the columns,
// and after @data a record a line, dense (1,x,?) or sparse ({0 1, 3 x}). The
// columns are matched to those of a layout by exact name.
//
//	numeric, real    Double
//	integer          Int64
//	{a, b}           String with these levels, in this order
//	string           String
//	date "format"    DateTime; the format is Java's, default yyyy-MM-dd'T'HH:mm:ss
//
// A bare ? is missing, and so is nothing between two commas. In a sparse row
// what is left out is 0, or the first level. Values are quoted by ' or ", with
// \ before a quote. Lines that begin with % are comments. Instance weights and
// relational attributes are refused.
type ARFF struct{ Lines }

// ARFFHeader is the header of a file, matched to a layout. It is immutable and
// for concurrent use: every chunk of a file is read with the one header.
type ARFFHeader struct {
	Schema Schema   // what the file declares
	Size   int      // bytes before the first record
	Lines  int64    // lines before the first record
	Extra  []string // columns that the layout does not have

	opt    ARFF
	attrs  []attribute
	cols   []int // per attribute: index in the layout, or -1
	absent []int // columns of the layout that the file does not have
}

// attribute is what the file declares of a column.
type attribute struct {
	levels map[string]struct{} // nominal
	first  string              // level of a sparse row that leaves it out
	date   *dateFormat
	zero   bool // numeric: 0 where a sparse row leaves it out
}

// maxAttributes bounds the columns of a file.
const maxAttributes = 100_000

// Header reads the header of a file, of which data is at least that. A column
// that the layout requires and the file lacks is refused; a nil layout asks
// for the declaration only.
func (o ARFF) Header(data []byte, l *Layout) (*ARFFHeader, error) {
	h, err := readARFFHeader(data)
	if err != nil {
		return nil, err
	}
	h.opt = o
	if l == nil {
		return h, nil
	}
	seen := make([]bool, len(l.Schema))
	for i := range h.Schema {
		name := h.Schema[i].Name
		k := l.Index([]byte(name))
		h.cols = append(h.cols, k)
		if k >= 0 {
			seen[k] = true
			continue
		}
		h.Extra = append(h.Extra, name)
		if o.RefuseExtra {
			return nil, fault.New(fault.BadUserArgument, codeMismatch, "column %q of the file is not one of the service%s", name, l.Schema.didYouMean(name))
		}
	}
	for k := range l.Schema {
		if seen[k] {
			continue
		}
		h.absent = append(h.absent, k)
		if f := &l.Schema[k]; !f.Optional {
			return nil, l.Lacks(f.Name, h.Schema.Names())
		}
	}
	return h, nil
}

// Read reads a whole file.
func (o ARFF) Read(data []byte, l *Layout) (*Frame, error) {
	h, err := o.Header(data, l)
	if err != nil {
		return nil, err
	}
	f := l.New(0)
	if _, err := h.Append(f, data[h.Size:], Start{Record: 1, Line: h.Lines + 1}); err != nil {
		return nil, err
	}
	return f, nil
}

// Infer returns the schema of a file of which data is the whole: what it
// declares, with columns Nullable where cells are missing. The texts of
// missing read as missing and go into the schema.
func (o ARFF) Infer(data []byte, missing []string) (Schema, error) {
	h, err := o.Header(data, nil)
	if err != nil {
		return nil, err
	}
	s := slices.Clone(h.Schema)
	for i := range s {
		s[i].Missing = slices.Clone(missing)
	}
	l, err := NewLayout(slices.Clone(s))
	if err != nil {
		return nil, unreadable("%v", err)
	}
	f, err := ARFF{}.Read(data, l)
	if err != nil {
		return nil, err
	}
	for i, c := range f.Cols {
		s[i].Nullable = c.Nulls() > 0
	}
	return s, nil
}

func readARFFHeader(data []byte) (*ARFFHeader, error) {
	pos, err := TextStart(data)
	if err != nil {
		return nil, err
	}
	h := &ARFFHeader{}
	names := map[string]bool{}
	relation := false
	for pos < len(data) {
		line := data[pos:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i]
			pos++
		}
		pos += len(line)
		h.Lines++
		bad := func(format string, args ...any) error {
			return unreadable("line %d: %s", h.Lines, fmt.Sprintf(format, args...))
		}
		line = trim(line)
		if len(line) == 0 || line[0] == '%' {
			continue
		}
		if err := checkUTF8(line, h.Lines); err != nil {
			return nil, err
		}
		t := arffText{data: line}
		switch word := t.word(); {
		case foldEqual(word, "@relation"):
			relation = true
		case foldEqual(word, "@attribute"):
			f, a, reason := t.attribute()
			switch {
			case reason != "":
				return nil, bad("%s", reason)
			case names[f.Name]:
				return nil, bad("attribute %q is declared twice", f.Name)
			case len(h.attrs) == maxAttributes:
				return nil, bad("the file has more than %d attributes", maxAttributes)
			}
			names[f.Name] = true
			h.Schema, h.attrs = append(h.Schema, f), append(h.attrs, a)
		case foldEqual(word, "@data"):
			if len(h.attrs) == 0 {
				return nil, bad("@data comes before any @attribute")
			}
			h.Size = pos
			return h, nil
		case !relation && len(h.attrs) == 0:
			return nil, bad("the file is no ARFF file: it begins with neither @relation nor @attribute")
		default:
			return nil, bad("%q is none of @relation, @attribute and @data", Clip(word))
		}
	}
	return nil, unreadable("the file has no @data line")
}

// arffText walks over a line.
type arffText struct {
	data []byte
	pos  int
	text []byte // scratch for a value with escapes
}

func (t *arffText) blanks() {
	for t.pos < len(t.data) && blank(t.data[t.pos]) {
		t.pos++
	}
}

// word reads up to a blank.
func (t *arffText) word() []byte {
	t.blanks()
	start := t.pos
	for t.pos < len(t.data) && !blank(t.data[t.pos]) {
		t.pos++
	}
	return t.data[start:t.pos]
}

func (t *arffText) rest() []byte {
	t.blanks()
	return t.data[t.pos:]
}

// attribute reads a declaration after its keyword.
func (t *arffText) attribute() (Field, attribute, string) {
	var a attribute
	name, _, reason := t.value(' ')
	f := Field{Name: string(name)}
	if reason == "" && f.Name == "" {
		reason = "the attribute has no name"
	}
	if reason != "" {
		return f, a, reason
	}
	if t.blanks(); t.pos < len(t.data) && t.data[t.pos] == '{' {
		f.Levels, reason = t.nominal()
		a.levels = make(map[string]struct{}, len(f.Levels))
		for i, v := range f.Levels {
			if i == 0 {
				a.first = v
			}
			if _, twice := a.levels[v]; twice && reason == "" {
				reason = fmt.Sprintf("attribute %q has value %q twice", f.Name, Clip([]byte(v)))
			}
			a.levels[v] = struct{}{}
		}
	} else {
		switch kind := t.word(); {
		case foldEqual(kind, "numeric"), foldEqual(kind, "real"):
			f.Type, a.zero = Double, true
		case foldEqual(kind, "integer"):
			f.Type, a.zero = Int64, true
		case foldEqual(kind, "string"):
			f.Type = String
		case foldEqual(kind, "date"):
			f.Type = DateTime
			format := []byte(isoDate)
			if rest := t.rest(); len(rest) > 0 && rest[0] != '%' {
				format, _, reason = t.value(0)
			}
			if reason == "" {
				a.date, reason = parseDateFormat(string(format))
			}
		case foldEqual(kind, "relational"):
			reason = fmt.Sprintf("attribute %q is relational: tables in tables are not supported", f.Name)
		default:
			reason = fmt.Sprintf("attribute %q: type %q is none of numeric, real, integer, string, date and {…}", f.Name, Clip(kind))
		}
	}
	if reason == "" {
		if rest := t.rest(); len(rest) > 0 && rest[0] != '%' {
			reason = fmt.Sprintf("attribute %q: text follows its type: %q", f.Name, Clip(rest))
		}
	}
	return f, a, reason
}

// nominal reads {a, b, 'c d'}.
func (t *arffText) nominal() ([]string, string) {
	t.pos++
	levels := []string{}
	for {
		if t.blanks(); t.pos < len(t.data) && t.data[t.pos] == '}' && len(levels) == 0 {
			t.pos++
			return levels, ""
		}
		v, _, reason := t.value('}')
		if reason != "" {
			return nil, reason
		}
		levels = append(levels, string(v))
		if t.blanks(); t.pos == len(t.data) {
			return nil, "the list of values is not closed by }"
		}
		switch t.data[t.pos] {
		case '}':
			t.pos++
			return levels, ""
		case ',':
			t.pos++
		default:
			return nil, fmt.Sprintf("a comma or } is missing before %q", Clip(t.data[t.pos:]))
		}
	}
}

// value reads a quoted value, or a bare one up to a comma or tab; with stop
// '}' or '{' up to that too, with ' ' up to any blank, and with 0 to the end of
// the line. The bytes are valid until value is called again.
func (t *arffText) value(stop byte) (v []byte, quoted bool, reason string) {
	t.blanks()
	d, i := t.data, t.pos
	if i < len(d) && (d[i] == '\'' || d[i] == '"') {
		v, reason = t.quoted(d[i])
		return v, true, reason
	}
	for i < len(d) {
		c := d[i]
		if stop == ' ' && blank(c) || stop != 0 && stop != ' ' && (c == ',' || c == '\t' || c == stop) {
			break
		}
		i++
	}
	v = trim(d[t.pos:i])
	t.pos = i
	return v, false, ""
}

func (t *arffText) quoted(quote byte) ([]byte, string) {
	d, i := t.data, t.pos+1
	start, spliced := i, false
	for i < len(d) {
		switch c := d[i]; {
		case c == quote:
			t.pos = i + 1
			if !spliced {
				return d[start:i], ""
			}
			t.text = append(t.text, d[start:i]...)
			return t.text, ""
		case c == '\\' && i+1 < len(d):
			if !spliced {
				t.text, spliced = t.text[:0], true
			}
			t.text = append(t.text, d[start:i]...)
			i += 2
			switch e := d[i-1]; {
			case e == 'n':
				t.text = append(t.text, '\n')
			case e == 'r':
				t.text = append(t.text, '\r')
			case e == 't':
				t.text = append(t.text, '\t')
			case e == 'u' && i+4 <= len(d):
				r, ok := hex4(d, i)
				if !ok {
					return nil, "the escape \\u is not followed by four digits"
				}
				t.text = utf8.AppendRune(t.text, r)
				i += 4
			case e < utf8.RuneSelf:
				t.text = append(t.text, e)
			default: // the backslash stands for itself
				i--
				t.text = append(t.text, '\\')
			}
			start = i
		default:
			i++
		}
	}
	t.pos = len(d)
	return nil, "a quoted value is not closed"
}
