package frame

import (
	"fmt"
	"strconv"
	"strings"
)

// Append appends the records of data to f, a frame of the header's layout. The
// data must begin at a line and end after one. After an error f holds some of
// the rows.
func (h *ARFFHeader) Append(f *Frame, data []byte, at Start) (Counts, error) {
	r := &arffReader{h: h, f: f, seen: make([]bool, len(h.attrs))}
	return h.opt.append(f, data, at, '%', r.record)
}

type arffReader struct {
	h    *ARFFHeader
	f    *Frame
	t    arffText
	seen []bool // by a sparse row
}

func (r *arffReader) record(line []byte) *refusal {
	r.t.data, r.t.pos = line, 0
	r.t.blanks()
	var bad *refusal
	if line[r.t.pos] == '{' {
		bad = r.sparse()
	} else {
		bad = r.dense()
	}
	if bad != nil {
		return bad
	}
	for _, k := range r.h.absent {
		r.f.Cols[k].AppendNull()
	}
	return nil
}

func (r *arffReader) dense() *refusal {
	t := &r.t
	for n := 0; ; n++ {
		if t.blanks(); t.pos < len(t.data) && t.data[t.pos] == '{' {
			return refused("instance weights are not supported: the record ends in {…}")
		}
		v, quoted, reason := t.value(',')
		switch {
		case reason != "":
			return refused("%s", reason)
		case n == len(r.h.attrs):
			return refused("the record has more than the %d values declared", n)
		}
		if bad := r.put(n, v, quoted); bad != nil {
			return bad
		}
		// A comma separates, and so do tabs alone.
		tab := t.pos < len(t.data) && t.data[t.pos] == '\t'
		t.blanks()
		switch {
		case t.pos == len(t.data):
			if n+1 < len(r.h.attrs) {
				return refused("the record has %s, the header declares %d", plural(n+1, "value"), len(r.h.attrs))
			}
			return nil
		case t.data[t.pos] == ',':
			t.pos++
			if t.blanks(); t.pos == len(t.data) { // a last value that is empty
				if n+2 != len(r.h.attrs) {
					return refused("the record has %s, the header declares %d", plural(n+2, "value"), len(r.h.attrs))
				}
				return r.put(n+1, nil, false)
			}
		case !tab:
			return refused("a comma is missing before %q", Clip(t.data[t.pos:]))
		}
	}
}

func (r *arffReader) sparse() *refusal {
	t := &r.t
	clear(r.seen)
	t.pos++
	for first := true; ; first = false {
		if t.blanks(); first && t.pos < len(t.data) && t.data[t.pos] == '}' {
			t.pos++
			break
		}
		word := t.word()
		i, err := strconv.Atoi(string(word))
		switch {
		case err != nil || i < 0:
			return refused("%q in a sparse row is no index of an attribute", Clip(word))
		case i >= len(r.seen):
			return refused("index %d in a sparse row: the header declares %d attributes, counted from 0", i, len(r.seen))
		case r.seen[i]:
			return refused("index %d comes twice in a sparse row", i)
		}
		r.seen[i] = true
		v, quoted, reason := t.value('}')
		if reason != "" {
			return refused("%s", reason)
		}
		if bad := r.put(i, v, quoted); bad != nil {
			return bad
		}
		if t.blanks(); t.pos == len(t.data) {
			return refused("a sparse row is not closed by }")
		}
		c := t.data[t.pos]
		t.pos++
		if c == '}' {
			break
		}
		if c != ',' {
			return refused("a comma or } is missing before %q", Clip(t.data[t.pos-1:]))
		}
	}
	if rest := t.rest(); len(rest) > 0 {
		if rest = trim(rest[1:]); len(rest) > 0 && rest[0] == '{' {
			return refused("instance weights are not supported: the record ends in {…}")
		}
		return refused("text follows the sparse row")
	}
	for i, seen := range r.seen {
		if seen {
			continue
		}
		a := &r.h.attrs[i]
		left := a.first
		switch {
		case a.zero:
			left = "0"
		case len(a.levels) == 0:
			return refused("the sparse row leaves out attribute %q, which has no zero", r.h.Schema[i].Name)
		}
		if bad := r.put(i, []byte(left), true); bad != nil {
			return bad
		}
	}
	return nil
}

// put appends a value to the column of attribute i.
func (r *arffReader) put(i int, v []byte, quoted bool) *refusal {
	k := r.h.cols[i]
	if k < 0 {
		return nil
	}
	c, a := r.f.Cols[k], &r.h.attrs[i]
	missing := c.Field.Missing != nil && c.Field.missing(v)
	if missing || !quoted && (len(v) == 0 || string(v) == "?") {
		c.AppendNull()
		return nil
	}
	if a.levels != nil {
		if _, ok := a.levels[string(v)]; !ok {
			name := c.Field.Name
			return &refusal{name, "", fmt.Sprintf("column %q: the value %q is not one that the header declares", name, Clip(v))}
		}
	}
	switch {
	case c.Field.Type == String:
		c.AppendString(v)
		return nil
	case c.Field.Type == DateTime && a.date != nil:
		if micros, ok := a.date.parse(v); ok {
			c.AppendInt(micros)
			return nil
		}
	}
	return cell(c.AppendText(v))
}

// isoDate is the format of dates where an attribute gives none.
const isoDate = "yyyy-MM-dd'T'HH:mm:ss"

// dateFormat is a compiled format of Java's SimpleDateFormat, of which the
// numeric parts, month names and zone offsets are understood.
type dateFormat struct{ parts []datePart }

type datePart struct {
	letter  byte   // 0 for a literal
	count   int    // of letters
	literal string // text between the letters
}

func parseDateFormat(format string) (*dateFormat, string) {
	f := &dateFormat{}
	literal := func(s string) {
		if n := len(f.parts); n > 0 && f.parts[n-1].letter == 0 {
			f.parts[n-1].literal += s
		} else {
			f.parts = append(f.parts, datePart{literal: s})
		}
	}
	for i := 0; i < len(format); {
		c := format[i]
		switch {
		case c == '\'':
			text, n, ok := quotedLiteral(format[i+1:])
			if !ok {
				return nil, fmt.Sprintf("date format %q: a quote is not closed", format)
			}
			literal(text)
			i += 1 + n
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			n := 1
			for i+n < len(format) && format[i+n] == c {
				n++
			}
			if !strings.ContainsRune("yMdHhmsSaEzZX", rune(c)) {
				return nil, fmt.Sprintf("date format %q: letter %q is not supported", format, c)
			}
			f.parts = append(f.parts, datePart{letter: c, count: n})
			i += n
		default:
			literal(string(c))
			i++
		}
	}
	return f, ""
}

// quotedLiteral reads a text up to its closing quote: of two quotes together
// it is one, and nothing but the closing quote is a quote, too.
func quotedLiteral(s string) (text string, n int, ok bool) {
	for {
		end := strings.IndexByte(s[n:], '\'')
		if end < 0 {
			return "", 0, false
		}
		text += s[n : n+end]
		n += end + 1
		if n == 1 {
			return "'", n, true
		}
		if n == len(s) || s[n] != '\'' {
			return text, n, true
		}
		text += "'"
		n++
	}
}

var monthNames = []string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}

// parse reads a date as microseconds since 1970 in UTC.
func (f *dateFormat) parse(b []byte) (int64, bool) {
	year, month, day, hour, minute, second := 1970, 1, 1, 0, 0, 0
	micros, offset, pm, twelve := int64(0), 0, false, false
	for i, p := range f.parts {
		if p.letter == 0 {
			rest, ok := strings.CutPrefix(string(b), p.literal)
			if !ok {
				return 0, false
			}
			b = b[len(b)-len(rest):]
			continue
		}
		// Letters that touch take as many digits as they are; others all.
		width := 9
		if i+1 < len(f.parts) && f.parts[i+1].letter != 0 {
			width = p.count
		}
		n := 0
		for n < len(b) && n < width && b[n]-'0' <= 9 {
			n++
		}
		v, digits := 0, b[:n]
		for _, c := range digits {
			v = v*10 + int(c-'0')
		}
		switch p.letter {
		case 'M', 'E':
			if p.letter == 'M' && p.count <= 2 {
				month = v
				break
			}
			for n = 0; n < len(b) && b[n]|0x20 >= 'a' && b[n]|0x20 <= 'z'; {
				n++
			}
			word := strings.ToLower(string(b[:n]))
			if p.letter == 'E' {
				break
			}
			month = 0
			for k, name := range monthNames {
				if len(word) >= 3 && strings.HasPrefix(name, word) {
					month = k + 1
				}
			}
		case 'y':
			if year = v; p.count <= 2 && n == 2 { // 1946 to 2045, whenever it is read
				if year += 2000; year > 2045 {
					year -= 100
				}
			}
		case 'd':
			day = v
		case 'H', 'h':
			hour = v
			twelve = twelve || p.letter == 'h'
			if p.letter == 'h' && (v < 1 || v > 12) {
				return 0, false
			}
		case 'm':
			minute = v
		case 's':
			second = v
			if i+1 == len(f.parts) && n+1 < len(b) && b[n] == '.' { // a fraction, as the printer adds it
				k, unit := n+1, int64(100_000)
				for ; k < len(b) && b[k]-'0' <= 9; k++ {
					micros += int64(b[k]-'0') * unit
					unit /= 10
				}
				n = k
			}
		case 'S':
			micros = int64(v) * 1000 // SimpleDateFormat counts milliseconds
			if n > 6 {
				return 0, false
			}
		case 'a':
			if n = 2; len(b) < 2 || !foldEqual(b[:2], "am") && !foldEqual(b[:2], "pm") {
				return 0, false
			}
			pm = b[0]|0x20 == 'p'
		case 'z', 'Z', 'X':
			var ok bool
			if n, offset, ok = zoneOffset(b); !ok {
				return 0, false
			}
		}
		if n == 0 {
			return 0, false
		}
		b = b[n:]
	}
	if twelve {
		hour %= 12
		if pm {
			hour += 12
		}
	}
	if len(b) != 0 || year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	t := daysSince1970(year, month, day)*secondsPerDay + int64(hour*3600+minute*60+second-offset)
	return t*microsPerSecond + micros, true
}

// zoneOffset reads Z, UTC, GMT, +02, +0200 or +02:00 as seconds east.
func zoneOffset(b []byte) (n, seconds int, ok bool) {
	switch {
	case len(b) >= 3 && (foldEqual(b[:3], "utc") || foldEqual(b[:3], "gmt")):
		return 3, 0, true
	case len(b) >= 1 && b[0]|0x20 == 'z':
		return 1, 0, true
	case len(b) < 3 || b[0] != '+' && b[0] != '-':
		return 0, 0, false
	}
	h, ok := fixed(b, 1, 2)
	if !ok {
		return 0, 0, false
	}
	n = 3
	m := 0
	if v, ok := fixed(b, 4, 2); ok && b[3] == ':' {
		m, n = v, 6
	} else if v, ok := fixed(b, 3, 2); ok {
		m, n = v, 5
	}
	if h > 14 || m > 59 {
		return 0, 0, false
	}
	if seconds = h*3600 + m*60; b[0] == '-' {
		seconds = -seconds
	}
	return n, seconds, true
}
