package frame

import (
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"
)

// JSONL is a file of JSON objects, one a line: {"age":25,"state":"OH"}. The
// members are matched to columns by exact name, in any order; an absent one,
// and null, is missing. Cells read as everywhere: a member may be a number, a
// string, true, false or null; an object or array is no cell, but may be a
// member that is ignored.
type JSONL struct{ Lines }

// Read reads a whole file.
func (o JSONL) Read(data []byte, l *Layout) (*Frame, error) {
	start, err := TextStart(data)
	if err != nil {
		return nil, err
	}
	f := l.New(0)
	_, err = o.Append(f, l, data[start:], Start{Record: 1, Line: 1})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Append appends the records of data to f, a frame of layout l. The data must
// begin at a line and end after one. After an error f holds some of the rows.
func (o JSONL) Append(f *Frame, l *Layout, data []byte, at Start) (Counts, error) {
	var (
		s    jsonLine
		rows = f.Rows()
		bad  *refusal
	)
	member := func(name, value []byte, kind jsonKind) bool {
		k := l.Index(name)
		switch {
		case k < 0:
			if o.RefuseExtra {
				bad = &refusal{Clip(name), codeMismatch, "column \"" + Clip(name) + "\" is not one of the service" + l.Schema.didYouMean(string(name))}
			}
		case f.Cols[k].Len() > rows:
			bad = refused("the object has member %q twice", Clip(name))
		case kind == jsonNested:
			bad = nestedCell(name)
		case kind == jsonNull:
			f.Cols[k].AppendNull()
		default:
			bad = cell(f.Cols[k].AppendText(value))
		}
		return bad == nil
	}
	return o.append(f, data, at, 0, func(line []byte) *refusal {
		bad = nil
		s.data, s.pos = line, 0
		if reason := s.object(member); reason != "" {
			return refused("%s", reason)
		}
		if bad != nil {
			return bad
		}
		rows++
		for _, c := range f.Cols {
			if c.Len() < rows {
				c.AppendNull()
			}
		}
		return nil
	})
}

func nestedCell(name []byte) *refusal {
	return refused("column \"%s\": an object or array is no cell", Clip(name))
}

// Infer returns the schema of a file of which data is the whole: a column for
// every member that any object has, in the order in which they come. A number
// is Int32, Int64 or Double as Inference says, true and false are Boolean, a
// string is String even where it looks like a number, but DateTime where all
// are dates and times. What is mixed is String. The texts of missing read as
// missing and go into the schema.
func (o JSONL) Infer(data []byte, missing []string) (Schema, error) {
	start, err := TextStart(data)
	if err != nil {
		return nil, err
	}
	var (
		s       jsonLine
		names   []string
		index   = map[string]int{}
		guesses []guess
		seen    []int64 // per column: objects that have it
		tokens  = Field{Missing: missing}
		wrong   *refusal
		records int64
	)
	member := func(name, value []byte, kind jsonKind) bool {
		if kind == jsonNested {
			wrong = nestedCell(name)
			return false
		}
		k, ok := index[string(name)]
		if !ok {
			k = len(names)
			names = append(names, string(name))
			index[names[k]] = k
			guesses, seen = append(guesses, guess{}), append(seen, 0)
			seen[k] = records - 1
			guesses[k].nulls = records > 1
		}
		g := &guesses[k]
		if seen[k] == records {
			wrong = refused("the object has member %q twice", Clip(name))
			return false
		}
		g.nulls = g.nulls || seen[k] < records-1
		seen[k] = records
		switch {
		case kind == jsonNull || len(value) == 0 || tokens.missing(value):
			g.nulls = true
		case kind != jsonText:
			g.see(value)
		default:
			form := textShape
			if t := trim(value); len(t) > len("2015-10-09") {
				if _, v := parseTime(t); v == okCell {
					form = timeShape
				}
			}
			g.shapes |= form
		}
		return true
	}
	none := &Frame{}
	o.OnBad = nil
	_, err = o.append(none, data[start:], Start{Record: 1, Line: 1}, 0, func(line []byte) *refusal {
		records++
		s.data, s.pos = line, 0
		if reason := s.object(member); reason != "" {
			return refused("%s", reason)
		}
		return wrong
	})
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, unreadable("the file has no object with a member: its columns are not known")
	}
	if err := checkDense(records, int64(len(names)), len(data)); err != nil {
		return nil, err
	}
	schema := make(Schema, len(names))
	for i, name := range names {
		guesses[i].nulls = guesses[i].nulls || seen[i] < records
		schema[i] = guesses[i].field(name)
		schema[i].Missing = append([]string(nil), missing...)
	}
	return schema, nil
}

// AppendJSONLRows appends the rows of f from lo to hi (exclusive), each ended
// by LF. Numbers and truth values are bare, all else is a string; missing is
// null.
func AppendJSONLRows(dst []byte, f *Frame, lo, hi int) []byte {
	var text []byte
	names := make([][]byte, len(f.Cols))
	for i, c := range f.Cols {
		names[i] = append(appendJSONString(nil, []byte(c.Field.Name)), ':')
	}
	for r := lo; r < hi; r++ {
		dst = append(dst, '{')
		for i, c := range f.Cols {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, names[i]...)
			switch {
			case c.IsNull(r):
				dst = append(dst, "null"...)
			case c.Field.Type == Boolean && c.Bools[r]:
				dst = append(dst, "true"...)
			case c.Field.Type == Boolean:
				dst = append(dst, "false"...)
			case c.Field.Type.Numeric():
				dst = c.Print(dst, r)
			default:
				text = c.Print(text[:0], r)
				dst = appendJSONString(dst, text)
			}
		}
		dst = append(dst, '}', '\n')
	}
	return dst
}

func appendJSONString(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRune(s[i:])
			dst = utf8.AppendRune(dst, r) // what is not UTF-8 becomes U+FFFD
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}

type jsonKind uint8

const (
	jsonNull jsonKind = iota
	jsonText
	jsonNumber
	jsonTruth
	jsonNested // an object or array, as it is
)

// jsonLine reads one object.
type jsonLine struct {
	data        []byte
	pos         int
	name, value []byte // scratch for texts with escapes
}

// object calls member for every member until it returns false. It returns what
// is wrong with the text, "" for nothing.
func (s *jsonLine) object(member func(name, value []byte, kind jsonKind) bool) string {
	if !s.next('{') {
		return "the line is not a JSON object"
	}
	for first := true; ; first = false {
		if s.next('}') {
			break
		}
		if !first && !s.next(',') {
			return "the object is not closed: , or } expected"
		}
		s.skipBlanks()
		name, ok := s.text(&s.name)
		if !ok {
			return "the object has a member without a name"
		}
		if !s.next(':') {
			return "a colon is missing after member \"" + Clip(name) + "\""
		}
		s.skipBlanks()
		value, kind, reason := s.scalar(name)
		if reason != "" {
			return reason
		}
		if !member(name, value, kind) {
			return ""
		}
	}
	if !s.blankRest() {
		return "text follows the object"
	}
	return ""
}

func (s *jsonLine) skipBlanks() {
	for s.pos < len(s.data) && blank(s.data[s.pos]) {
		s.pos++
	}
}

func (s *jsonLine) blankRest() bool { s.skipBlanks(); return s.pos == len(s.data) }

// next skips blanks and reads c if it is there.
func (s *jsonLine) next(c byte) bool {
	s.skipBlanks()
	if s.pos < len(s.data) && s.data[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *jsonLine) scalar(name []byte) ([]byte, jsonKind, string) {
	rest := s.data[s.pos:]
	if len(rest) == 0 {
		return nil, 0, "the object is not closed"
	}
	switch rest[0] {
	case '"':
		if v, ok := s.text(&s.value); ok {
			return v, jsonText, ""
		}
		return nil, 0, "column \"" + Clip(name) + "\": the string is not closed, or has a control character or a bad escape"
	case '{', '[':
		if v := s.nested(); v != nil {
			return v, jsonNested, ""
		}
		return nil, 0, "column \"" + Clip(name) + "\": its object or array is no JSON"
	}
	n := 0
	for n < len(rest) && rest[n] != ',' && rest[n] != '}' && !blank(rest[n]) {
		n++
	}
	word := rest[:n]
	s.pos += n
	switch string(word) {
	case "null":
		return nil, jsonNull, ""
	case "true", "false":
		return word, jsonTruth, ""
	case "NaN", "Infinity", "-Infinity": // as Python writes them
		return word, jsonNumber, ""
	}
	if !jsonNumeral(word) {
		return nil, 0, "column \"" + Clip(name) + "\": \"" + Clip(word) + "\" is no JSON value"
	}
	return word, jsonNumber, ""
}

// nested reads an object or array, nil where it is none.
func (s *jsonLine) nested() []byte {
	start, depth := s.pos, 0
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case '"':
			if _, ok := s.text(&s.value); !ok {
				return nil
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if s.pos++; depth == 0 {
			break
		}
	}
	if v := s.data[start:s.pos]; depth == 0 && json.Valid(v) {
		return v
	}
	return nil
}

// jsonNumeral reports whether b is a number as JSON writes it.
func jsonNumeral(b []byte) bool {
	digits := func() bool {
		n := 0
		for n < len(b) && b[n]-'0' <= 9 {
			n++
		}
		b = b[n:]
		return n > 0
	}
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	if len(b) > 1 && b[0] == '0' && b[1]-'0' <= 9 || !digits() {
		return false
	}
	if len(b) > 0 && b[0] == '.' {
		if b = b[1:]; !digits() {
			return false
		}
	}
	if len(b) > 0 && b[0]|0x20 == 'e' {
		b = b[1:]
		if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		if !digits() {
			return false
		}
	}
	return len(b) == 0
}

// text reads a string; one with escapes is put together in scratch.
func (s *jsonLine) text(scratch *[]byte) ([]byte, bool) {
	d := s.data
	if s.pos >= len(d) || d[s.pos] != '"' {
		return nil, false
	}
	start := s.pos + 1
	i := start
	for i < len(d) && d[i] != '"' && d[i] != '\\' && d[i] >= ' ' {
		i++
	}
	if i < len(d) && d[i] == '"' {
		s.pos = i + 1
		return d[start:i], true
	}
	out := append((*scratch)[:0], d[start:min(i, len(d))]...)
	defer func() { *scratch = out[:0] }()
	for i < len(d) && d[i] >= ' ' {
		c := d[i]
		i++
		if c == '"' {
			s.pos = i
			return out, true
		}
		if c != '\\' {
			out = append(out, c)
			continue
		}
		if i == len(d) {
			break
		}
		c = d[i]
		i++
		switch c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, ok := hex4(d, i)
			if !ok {
				return nil, false
			}
			i += 4
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if i+1 < len(d) && d[i] == '\\' && d[i+1] == 'u' {
					low, ok = hex4(d, i+2)
				}
				if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			return nil, false
		}
	}
	return nil, false
}

func hex4(d []byte, i int) (rune, bool) {
	if i+4 > len(d) {
		return 0, false
	}
	r := rune(0)
	for _, c := range d[i : i+4] {
		switch {
		case c-'0' <= 9:
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
