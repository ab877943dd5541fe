package frame

import (
	"bytes"
	"fmt"
	"slices"
)

// Inference is how types are found when a dataset is made. It looks at every
// row; the schema found is stored with the dataset, and from then on data are
// read by it.
type Inference struct {
	CSV
	// Missing are texts that read as missing, besides the empty cell. They go
	// into the fields of the schema.
	Missing []string
	// Categorical makes every String column of at most MaxLevels distinct
	// values categorical. Levels are sorted by bytes, so that they do not
	// depend on the order of rows.
	Categorical bool
	MaxLevels   int // 0 = 1000
}

// Infer returns the schema of a file of which data is the whole.
//
//   - Int32 where every cell is a whole number without a point or exponent
//     that fits, else Int64.
//   - Double where every cell is a number.
//   - Boolean where every cell is true or false, in any case.
//   - DateTime where every cell is an ISO 8601 date and time; a date alone
//     stays text, for it would not print as it came.
//   - String otherwise; so for whole numbers with leading zeros or a plus sign
//     or of more than 18 digits (codes, not amounts), and for columns with no
//     cells at all.
//
// Missing cells, NaN among numbers included, make a field Nullable. A file
// without a header row has the columns Col1, Col2 and so on, and so has one
// whose header leaves names out where it does. Records of
// another length than the header's are refused.
func (o Inference) Infer(data []byte) (Schema, error) {
	var names []string
	start := 0
	if o.NoHeader {
		names, start = nil, len(data)-len(bytes.TrimPrefix(data, []byte(bom)))
		p := fields{data: data, pos: start, comma: o.comma()}
		for more := p.record(); more; {
			_, more = p.next()
			names = append(names, numbered(len(names)))
		}
	}
	if len(names) == 0 {
		var err error
		header := o.CSV
		header.NoHeader = false
		if names, start, err = header.names(data, nil); err != nil {
			return nil, err
		}
	}
	seen := make(map[string]bool, len(names))
	for _, n := range names {
		if seen[n] {
			return nil, unreadable("the file has column %q twice", n)
		}
		seen[n] = true
	}
	if err := checkUTF8(data, 1); err != nil {
		return nil, err
	}
	if err := o.misread(bytes.TrimPrefix(data, []byte(bom))); err != nil {
		return nil, err
	}
	guesses, err := o.guess(data, start, names)
	if err != nil {
		return nil, err
	}
	s := make(Schema, len(names))
	for i := range s {
		s[i] = guesses[i].field(names[i])
		s[i].Missing = slices.Clone(o.Missing)
	}
	return s, nil
}

// misread refuses a file that reads well and means something else: one whose
// lines end in CR alone, and one whose fields are separated by another
// character, which would be a table of one column. Quotes say that what they
// hold is meant.
func (o Inference) misread(text []byte) error {
	first, rest, _ := bytes.Cut(bytes.TrimLeft(text, "\r\n"), []byte("\n"))
	second, _, _ := bytes.Cut(bytes.TrimLeft(rest, "\r\n"), []byte("\n"))
	first, second = bytes.TrimSuffix(first, []byte("\r")), bytes.TrimSuffix(second, []byte("\r"))
	if bytes.IndexByte(first, '"') >= 0 {
		return nil
	}
	if bytes.IndexByte(first, '\r') >= 0 {
		return unreadable("the file begins with %q: lines end in LF or in CR LF, not in CR", Clip(first))
	}
	if bytes.IndexByte(first, o.comma()) >= 0 {
		return nil
	}
	for _, other := range []byte(",;\t|") {
		sep := []byte{other}
		if n := bytes.Count(first, sep); n > 0 && bytes.Count(second, sep) == n {
			return unreadable("the file has one column, %q: its fields are separated by %q, not by %q as the format says; put the name in quotes if there is one column indeed", Clip(first), sep, []byte{o.comma()})
		}
	}
	return nil
}

func (o Inference) guess(data []byte, start int, names []string) ([]guess, error) {
	limit := o.MaxLevels
	if limit <= 0 {
		limit = 1000
	}
	guesses := make([]guess, len(names))
	for i := range guesses {
		guesses[i].limit = limit
		if o.Categorical {
			guesses[i].values = make(map[string]struct{})
		}
	}
	tokens := Field{Missing: o.Missing}
	p := fields{data: data, pos: start, comma: o.comma()}
	for record := int64(1); p.record(); record++ {
		from, n := p.pos, 0
		for more := true; more; n++ {
			var cell []byte
			cell, more = p.next()
			if n < len(guesses) {
				if len(cell) == 0 || tokens.missing(cell) {
					guesses[n].nulls = true
				} else {
					guesses[n].see(cell)
				}
			}
		}
		reason := p.bad
		if reason == "" && n != len(guesses) {
			reason = fmt.Sprintf("the record has %s, the header %d", plural(n, "field"), len(guesses))
		}
		if reason != "" {
			line := int64(1 + bytes.Count(data[:from], []byte{'\n'}))
			return nil, BadRecord{Record: record, Line: line, Code: CodeCell, Reason: reason}.Fault()
		}
	}
	return guesses, nil
}

// guess is what is known of a column: the shapes that not all cells have.
type guess struct {
	shapes shape // of any cell
	nulls  bool
	nan    bool // a cell is NaN: missing, if the others are numbers
	values map[string]struct{}
	limit  int
}

// shape is a set of forms of cells.
type shape uint8

const (
	int32Shape shape = 1 << iota
	int64Shape
	doubleShape
	boolShape
	timeShape
	textShape
)

func (g *guess) see(cell []byte) {
	if g.values != nil {
		if _, ok := g.values[string(cell)]; !ok {
			if len(g.values) == g.limit {
				g.values = nil
			} else {
				g.values[string(cell)] = struct{}{}
			}
		}
	}
	if g.shapes&textShape != 0 {
		return
	}
	t := trim(cell)
	switch {
	case len(t) == 0 || string(t) == "NaN":
		// Missing where the column turns out to be numbers; text otherwise.
		g.nan = true
	case numberShape(t) != 0:
		g.shapes |= numberShape(t)
	case foldEqual(t, "true") || foldEqual(t, "false"):
		g.shapes |= boolShape
	default:
		g.shapes |= textShape
		if _, bad := parseTime(t); bad == okCell && len(t) > len("2015-10-09") {
			g.shapes = g.shapes&^textShape | timeShape
		}
	}
}

// numberShape returns the form of a number, 0 where t is none or is one that
// rather is a code.
func numberShape(t []byte) shape {
	if _, bad := parseDouble(t); bad != okCell || t[0] == '+' {
		return 0
	}
	digits := t
	if t[0] == '-' {
		digits = t[1:]
	}
	whole := 0
	for whole < len(digits) && digits[whole]-'0' <= 9 {
		whole++
	}
	if whole > 18 || whole > 1 && digits[0] == '0' {
		return 0
	}
	if whole < len(digits) {
		return doubleShape
	}
	if n, _ := parseInt(t); int64(int32(n)) == n {
		return int32Shape
	}
	return int64Shape
}

func (g *guess) field(name string) Field {
	const numbers = int32Shape | int64Shape | doubleShape
	f := Field{Name: name, Nullable: g.nulls}
	switch {
	case g.shapes == 0 && !g.nan, g.shapes&textShape != 0:
	case g.shapes&^numbers == 0:
		f.Nullable = g.nulls || g.nan
		switch {
		case g.shapes == 0 || g.shapes&doubleShape != 0: // 0: nothing but NaN
			f.Type = Double
		case g.shapes&int64Shape != 0:
			f.Type = Int64
		default:
			f.Type = Int32
		}
	case g.shapes == boolShape && !g.nan:
		f.Type = Boolean
	case g.shapes == timeShape && !g.nan:
		f.Type = DateTime
	}
	if f.Type == String && g.values != nil {
		f.Levels = make([]string, 0, len(g.values))
		for v := range g.values {
			f.Levels = append(f.Levels, v)
		}
		slices.Sort(f.Levels)
	}
	return f
}
