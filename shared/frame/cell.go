package frame

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// CellError is a cell that its column cannot hold.
type CellError struct {
	Column string
	Type   Type
	Value  string // as sent, cut at maxErrorValue bytes
	Rule   string // what the value breaks, as in "is not a whole number"
	Code   string // classic error code
	// Module is the number of the classic module error, 33 for a value too
	// large for the column; 0 for none.
	Module int
}

// CodeCell is the classic code of a cell or record that cannot be read.
const CodeCell = "InputParseError"

const maxErrorValue = 100

func (e *CellError) Error() string {
	s := fmt.Sprintf("column %q (%s): value %q %s", e.Column, e.Type, e.Value, e.Rule)
	if e.Module != 0 {
		s = fmt.Sprintf("Error %04d: %s", e.Module, s)
	}
	return s
}

// Clip returns b as the text of an error message: cut at a length that a
// message can bear, and valid UTF-8.
func Clip(b []byte) string {
	if len(b) > maxErrorValue {
		n := maxErrorValue
		for n > maxErrorValue-utf8.UTFMax && !utf8.RuneStart(b[n]) {
			n--
		}
		return strings.ToValidUTF8(string(b[:n]), "\uFFFD") + "…"
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// verdict is the outcome of reading a cell.
type verdict uint8

const (
	okCell verdict = iota
	notNumber
	notWhole
	tooLarge
	notBoolean
	notDateTime
)

var rules = [...]string{
	notNumber:   "is not a number",
	notWhole:    "is not a whole number",
	tooLarge:    "is infinite or too large for the column",
	notBoolean:  "is not true or false",
	notDateTime: "is not an ISO 8601 date or date and time",
}

func (c *Column) refuse(cell []byte, v verdict) error {
	e := &CellError{Column: c.Field.Name, Type: c.Field.Type, Value: Clip(cell), Rule: rules[v], Code: CodeCell}
	if v == tooLarge {
		e.Module = 33
	}
	return e
}

// AppendText appends the cell that a text stands for. The text is a CSV field
// without its quotes, or a JSON string, number or literal without its quotes
// and escapes; this is the one parser of both. On error, a *CellError, nothing
// is appended.
//
//   - The empty text and the texts of Field.Missing are missing in every type;
//     NaN is missing in numeric columns, and a text like any other in String.
//   - Double takes a decimal number with or without exponent. Infinity, and
//     what overflows to it, is module error 0033.
//   - Int32 and Int64 take any decimal number of integral value (25, 25.0,
//     2.5E1) and never read it as a float64. Out of range is error 0033.
//   - Boolean takes true and false in any case, and numbers equal to 1 and 0.
//   - DateTime takes an ISO 8601 date, or date and time, with or without
//     fraction and zone; without a zone it is UTC.
//   - String takes the text as it is; all other types ignore blanks around it.
//
// Unless it refuses, it does not allocate in the steady state.
func (c *Column) AppendText(cell []byte) error {
	f := c.Field
	if len(cell) == 0 || f.Missing != nil && f.missing(cell) {
		c.AppendNull()
		return nil
	}
	switch f.Type {
	case String:
		c.AppendString(cell)
		return nil
	case Double:
		if v, bad := parseDouble(cell); bad == okCell {
			c.Floats = append(c.Floats, v)
			c.present()
			return nil
		}
	case Int32, Int64:
		if v, bad := parseInt(cell); bad == okCell && (f.Type == Int64 || int64(int32(v)) == v) {
			c.AppendInt(v)
			return nil
		}
	}
	return c.appendOdd(cell)
}

// appendOdd appends what the fast paths of AppendText do not: cells with
// blanks around them, NaN, the rarer types and everything that is wrong.
func (c *Column) appendOdd(cell []byte) error {
	t, bad := trim(cell), okCell
	switch typ := c.Field.Type; {
	case len(t) == 0 || typ.Numeric() && string(t) == "NaN":
		c.AppendNull()
	case typ == Double:
		var v float64
		if v, bad = parseDouble(t); bad == okCell {
			c.AppendFloat(v)
		}
	case typ == Boolean:
		var v bool
		if v, bad = parseBool(t); bad == okCell {
			c.AppendBool(v)
		}
	case typ == DateTime:
		var v int64
		if v, bad = parseTime(t); bad == okCell {
			c.AppendInt(v)
		}
	default:
		var v int64
		if v, bad = parseInt(t); bad == okCell && typ == Int32 && int64(int32(v)) != v {
			bad = tooLarge
		}
		if bad == okCell {
			c.AppendInt(v)
		}
	}
	if bad != okCell {
		return c.refuse(cell, bad)
	}
	return nil
}

func (f *Field) missing(cell []byte) bool {
	for _, m := range f.Missing {
		if string(cell) == m {
			return true
		}
	}
	return false
}

// trim removes ASCII blanks from both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && blank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func blank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

func parseBool(b []byte) (bool, verdict) {
	switch {
	case foldEqual(b, "true"):
		return true, okCell
	case foldEqual(b, "false"):
		return false, okCell
	}
	// R, spreadsheets and frames with missing cells send 1, 0 and 1.0.
	if v, bad := parseInt(b); bad == okCell && (v == 0 || v == 1) {
		return v == 1, okCell
	}
	return false, notBoolean
}

// foldEqual reports whether b is s, a lower-case ASCII text, in any case.
func foldEqual(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != s[i] {
			return false
		}
	}
	return true
}

// Print appends the text of a cell to dst: what RRS, BES, previews and
// downloads all show. A missing cell is the empty text; JSON writers ask
// IsNull first. Int, DateTime and String cells read back as they are, Double
// cells to the same bits but for the sign of zero.
func (c *Column) Print(dst []byte, row int) []byte {
	if c.IsNull(row) {
		return dst
	}
	switch c.Field.Type {
	case Double:
		return AppendDouble(dst, c.Floats[row])
	case Int32, Int64:
		return appendInt(dst, c.Ints[row])
	case Boolean:
		if c.Bools[row] {
			return append(dst, "True"...)
		}
		return append(dst, "False"...)
	case DateTime:
		return appendTime(dst, c.Ints[row])
	}
	if c.Field.Levels != nil {
		return append(dst, c.Level(row)...)
	}
	return append(dst, c.Text(row)...)
}
