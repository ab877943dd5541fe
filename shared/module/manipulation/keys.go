package manipulation

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
)

// A key is the bytes of a row's key cells: equal for equal cells.

// keyPart writes the cells of one key column.
type keyPart struct {
	col    int
	number bool // compare as float64: one side of the key is Double
	fold   bool // compare texts without regard to case
}

// appendKey appends the key of row r to dst and reports whether one of its
// cells is missing.
func appendKey(dst []byte, parts []keyPart, f *frame.Frame, r int) (key []byte, missing bool) {
	for _, p := range parts {
		c := f.Cols[p.col]
		if c.IsNull(r) {
			dst = append(dst, 0)
			missing = true
			continue
		}
		dst = append(dst, 1)
		switch {
		case p.number || c.Field.Type == frame.Double:
			// 0 and -0 are equal, and have different bits.
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(c.Float(r)+0))
		case c.Field.Type == frame.Boolean:
			b := byte(0)
			if c.Bools[r] {
				b = 1
			}
			dst = append(dst, b)
		case c.Field.Type != frame.String:
			dst = binary.LittleEndian.AppendUint64(dst, uint64(c.Ints[r]))
		default:
			dst = appendText(dst, c, r, p.fold)
		}
	}
	return dst, missing
}

// appendText appends a text behind its length, which keeps the texts of two
// columns apart.
func appendText(dst []byte, c *frame.Column, r int, fold bool) []byte {
	if c.Field.Levels == nil && !fold {
		text := c.Text(r)
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(text)))
		return append(dst, text...)
	}
	var text string
	if c.Field.Levels != nil {
		text = c.Level(r)
	} else {
		text = string(c.Text(r))
	}
	if fold {
		text = strings.ToLower(text)
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(text)))
	return append(dst, text...)
}
