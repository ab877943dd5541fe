package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// append appends the next n cells of the block to dst. Where the column has
// another type than the file, or texts that read as missing, cells go by their
// text. refused is told of each cell that does not fit, by its place among the
// n and what is wrong; dst has a missing one there. skip, where it is set, are
// the places that are not to be read.
func (c *column) append(dst *frame.Column, n int, skip []bool, refused func(i int, err error) error) error {
	to := dst
	byText := dst.Field.Type != c.field.Type || dst.Field.Missing != nil
	if byText {
		if c.to == nil {
			c.to = frame.NewColumn(frame.Field{Name: c.field.Name, Type: c.field.Type}, n)
		}
		to = c.to
		to.Reset()
	}
	from := c.at
	c.at += n
	for i := range n {
		there := c.element.repetition != 1 || c.present[from+i] != 0
		if there {
			c.next++
		}
		if !there || skip != nil && skip[i] {
			to.AppendNull()
			continue
		}
		if err := c.cell(to, &c.cells, c.next-1); err != nil {
			var e *fault.Error
			if errors.As(err, &e) {
				return err
			}
			if err := refused(i, err); err != nil {
				return err
			}
			to.AppendNull()
		}
	}
	if !byText {
		return nil
	}
	for i := range n {
		c.text = to.Print(c.text[:0], i)
		if err := dst.AppendText(c.text); err != nil {
			if err := refused(i, err); err != nil {
				return err
			}
			dst.AppendNull()
		}
	}
	return nil
}

// cell appends value k of v to a column of the file's own type.
func (c *column) cell(to *frame.Column, v *values, k int) error {
	e := c.element
	refused := func(rule string) error { return fmt.Errorf("column %q (%s): %s", c.field.Name, c.field.Type, rule) }
	switch c.field.Type {
	case frame.Boolean:
		to.AppendBool(v.ints[k] != 0)
	case frame.Int32, frame.Int64:
		x := v.ints[k]
		if e.unsigned {
			switch {
			case e.physical == int32s:
				x = int64(uint32(x))
			case x < 0:
				return refused("Error 0033: the value " + strconv.FormatUint(uint64(x), 10) + " is too large for the column")
			}
		}
		if c.field.Type == frame.Int32 && x != int64(int32(x)) {
			return refused("Error 0033: the value is too large for the column")
		}
		to.AppendInt(x)
	case frame.Double:
		var x float64
		switch {
		case e.logical == logicalDecimal:
			x = e.decimal(v, k)
		case e.logical == logicalFloat16:
			x = float16(binary.LittleEndian.Uint16(v.texts[k]))
		default:
			x = v.floats[k]
		}
		if math.IsInf(x, 0) {
			return refused("Error 0033: the value is infinite")
		}
		to.AppendFloat(x)
	case frame.DateTime:
		x, ok := e.time(v, k)
		if !ok {
			return refused("the time is outside the years 1 to 9999")
		}
		to.AppendInt(x)
	default:
		text := e.text(v, k)
		if !utf8.Valid(text) {
			return refused("the text is not UTF-8")
		}
		if c.budget.left -= int64(len(text)); c.budget.left < 0 {
			return fault.New(fault.TooLarge, "", "the Parquet file: it holds more than the %d bytes of text that may be read at once", c.budget.all)
		}
		to.AppendString(text)
	}
	return nil
}

// decimal is the number nearest to the unscaled integer k over 10^scale.
func (e *element) decimal(v *values, k int) float64 {
	var n big.Int
	if v.ints != nil {
		n.SetInt64(v.ints[k])
	} else if b := v.texts[k]; len(b) <= 64 { // two's complement, highest byte first
		n.SetBytes(b)
		if len(b) > 0 && b[0] >= 0x80 {
			n.Sub(&n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
	} else {
		return math.Inf(1)
	}
	x, err := strconv.ParseFloat(n.String()+"e-"+strconv.Itoa(int(e.scale)), 64)
	if err != nil {
		return math.Inf(1)
	}
	return x
}

// float16 widens an IEEE 754 half.
func float16(b uint16) float64 {
	sign, exp, frac := 1.0, int(b>>10&31), float64(b&1023)
	if b>>15 == 1 {
		sign = -1
	}
	switch exp {
	case 0:
		return sign * math.Ldexp(frac, -24)
	case 31:
		if frac != 0 {
			return math.NaN()
		}
		return sign * math.Inf(1)
	}
	return sign * math.Ldexp(1024+frac, exp-25)
}

const (
	microsPerDay = 86_400_000_000
	minTime      = -62135596800_000_000 // 0001-01-01
	maxTime      = 253402300799_999_999 // 9999-12-31
)

// time returns microseconds since 1970; what is finer is cut off.
func (e *element) time(v *values, k int) (int64, bool) {
	var x int64
	switch {
	case e.physical == int96s: // nanoseconds of the day, Julian day
		b := v.texts[k]
		day := int64(binary.LittleEndian.Uint32(b[8:])) - 2440588
		nanos := int64(binary.LittleEndian.Uint64(b))
		if day < -1e6 || day > 1e7 || nanos < 0 || nanos >= 1000*microsPerDay {
			return 0, false
		}
		x = day*microsPerDay + nanos/1000
	case e.logical == logicalDate:
		x = v.ints[k]
		if x < -1e6 || x > 1e7 {
			return 0, false
		}
		x *= microsPerDay
	case e.unit == 1:
		x = v.ints[k]
		if x < minTime/1000 || x > maxTime/1000 {
			return 0, false
		}
		x *= 1000
	case e.unit == 3:
		x = v.ints[k] / 1000
		if v.ints[k]%1000 < 0 {
			x--
		}
	default:
		x = v.ints[k]
	}
	return x, x >= minTime && x <= maxTime
}

// text returns the text of a cell.
func (e *element) text(v *values, k int) []byte {
	switch {
	case e.logical == logicalUUID:
		b := v.texts[k]
		return fmt.Appendf(nil, "%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	case e.logical == logicalTime && v.ints != nil:
		x := v.ints[k]
		unit := int64(1_000_000)
		switch e.unit {
		case 1:
			unit = 1000
		case 3:
			unit = 1_000_000_000
		}
		s, frac := x/unit, x%unit
		text := fmt.Appendf(nil, "%02d:%02d:%02d", s/3600, s/60%60, s%60)
		if frac != 0 {
			digits := len(strconv.FormatInt(unit, 10)) - 1
			text = fmt.Appendf(text, ".%0*d", digits, frac)
			for text[len(text)-1] == '0' {
				text = text[:len(text)-1]
			}
		}
		return text
	}
	return v.texts[k]
}
