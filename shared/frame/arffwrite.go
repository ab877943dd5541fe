package frame

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/fault"
)

// AppendARFFHeader appends the header of a file of schema s. Columns without
// levels are numeric, string or date; truth values are {False,True}.
func AppendARFFHeader(dst []byte, relation string, s Schema) []byte {
	dst = append(dst, "@relation "...)
	dst = appendARFFText(dst, relation)
	dst = append(dst, '\n')
	for i := range s {
		f := &s[i]
		dst = append(dst, "@attribute "...)
		dst = append(appendARFFText(dst, f.Name), ' ')
		switch {
		case f.Categorical():
			dst = append(dst, '{')
			for j, v := range f.Levels {
				if j > 0 {
					dst = append(dst, ',')
				}
				dst = appendARFFText(dst, v)
			}
			dst = append(dst, '}')
		case f.Type == Boolean:
			dst = append(dst, "{False,True}"...)
		case f.Type.Integer():
			dst = append(dst, "integer"...)
		case f.Type == Double:
			dst = append(dst, "numeric"...)
		case f.Type == DateTime:
			dst = append(dst, `date "`+isoDate+`"`...)
		default:
			dst = append(dst, "string"...)
		}
		dst = append(dst, '\n')
	}
	return append(dst, "@data\n"...)
}

// AppendARFFRows appends the rows of f from lo to hi (exclusive). A text
// outside the levels of its column is an error that names column and row: the
// header has promised that there is none. A time of less than a second is
// printed with its fraction, which Weka reads over.
func AppendARFFRows(dst []byte, f *Frame, lo, hi int) ([]byte, error) {
	var text []byte
	for r := lo; r < hi; r++ {
		for i, c := range f.Cols {
			if i > 0 {
				dst = append(dst, ',')
			}
			switch {
			case c.IsNull(r):
				dst = append(dst, '?')
			case c.Field.Type == DateTime:
				dst = append(c.Print(append(dst, '"'), r), '"')
			case c.Field.Type != String:
				dst = c.Print(dst, r)
			case c.Field.Categorical() && c.Unknown(r):
				where := "" // of one row the caller knows which
				if hi-lo > 1 {
					where = fmt.Sprintf("row %d, ", r+1)
				}
				return nil, fault.New(fault.BadUserArgument, codeMismatch, "%scolumn %q: the value %q is not one of the levels that the file's header lists", where, c.Field.Name, Clip(c.Text(r))).At(c.Field.Name)
			default:
				text = c.Print(text[:0], r)
				dst = appendARFFText(dst, text)
			}
		}
		dst = append(dst, '\n')
	}
	return dst, nil
}

// appendARFFText quotes a text unless Weka, liac-arff and this package all
// read it bare.
func appendARFFText[T string | []byte](dst []byte, s T) []byte {
	bare := len(s) > 0
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f || c >= utf8.RuneSelf || strings.IndexByte(`'"\,{}%?@`, c) >= 0 {
			bare = false
			break
		}
	}
	if bare {
		return append(dst, s...)
	}
	dst = append(dst, '\'')
	for i := range len(s) {
		switch c := s[i]; c {
		case '\'', '\\', '%':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '\'')
}
