package frame

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
)

//go:generate go run pow10_gen.go

var nan = math.NaN()

// exact holds the powers of ten that a float64 holds exactly.
var exact = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// maxDigits is the number of decimal digits that always fit a uint64.
const maxDigits = 19

// parseDouble reads a decimal number. It agrees with strconv.ParseFloat to the
// bit on all it accepts, and accepts no hexadecimal, underscore or infinity.
func parseDouble(b []byte) (float64, verdict) {
	i, neg := 0, false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		neg = b[0] == '-'
		i = 1
	}
	var m uint64 // the digits as a whole number; wraps past maxDigits
	start := i
	for i < len(b) {
		d := b[i] - '0'
		if d > 9 {
			break
		}
		m = m*10 + uint64(d)
		i++
	}
	digits, exp := i-start, 0
	if i < len(b) && b[i] == '.' {
		i++
		point := i
		for i+8 <= len(b) {
			v, ok := eightDigits(binary.LittleEndian.Uint64(b[i:]))
			if !ok {
				break
			}
			m = m*1e8 + v
			i += 8
		}
		for i < len(b) {
			d := b[i] - '0'
			if d > 9 {
				break
			}
			m = m*10 + uint64(d)
			i++
		}
		exp = point - i
		digits -= exp
	}
	if digits == 0 {
		if isInfinity(b[start:]) {
			return 0, tooLarge
		}
		return 0, notNumber
	}
	if i < len(b) {
		e, ok := parseExponent(b[i:])
		if !ok {
			return 0, notNumber
		}
		exp += e
	}
	if digits <= maxDigits {
		if m < 1<<53 && -22 <= exp && exp <= 22 {
			// Both operands are exact, so the one rounding is the right one.
			f := float64(m)
			if exp < 0 {
				f /= exact[-exp]
			} else {
				f *= exact[exp]
			}
			if neg {
				f = -f
			}
			return f, okCell
		}
		if f, ok := scale(m, exp); ok {
			if neg {
				f = -f
			}
			return f, okCell
		}
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil { // the syntax is checked: out of range
		return 0, tooLarge
	}
	return f, okCell
}

// eightDigits returns the number that eight ASCII digits spell, the first in
// the lowest byte, if they are all digits.
func eightDigits(w uint64) (uint64, bool) {
	if w&0xF0F0F0F0F0F0F0F0 != 0x3030303030303030 || (w+0x0606060606060606)&0xF0F0F0F0F0F0F0F0 != 0x3030303030303030 {
		return 0, false
	}
	w &= 0x0F0F0F0F0F0F0F0F
	w = w*10 + w>>8 // pairs, in every other byte
	w = (w&0x000000FF000000FF*0x000F424000000064 + w>>16&0x000000FF000000FF*0x0000271000000001) >> 32
	return w, true
}

func isInfinity(b []byte) bool {
	return foldEqual(b, "inf") || foldEqual(b, "infinity") || string(b) == "∞"
}

// parseExponent reads e12, E-05 and the like to the end of b. It saturates
// where no cell could make up for the size.
func parseExponent(b []byte) (int, bool) {
	if b[0]|0x20 != 'e' {
		return 0, false
	}
	b = b[1:]
	neg := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		neg = b[0] == '-'
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	e := 0
	for _, c := range b {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		if e < 1<<32 {
			e = e*10 + int(d)
		}
	}
	if neg {
		e = -e
	}
	return e, true
}

// scale returns m × 10^exp rounded to nearest even, or false where it cannot
// tell which neighbour is nearest or has no table entry.
//
// It is the interval argument of Eisel and Lemire (Lemire, "Number Parsing at
// a Gigabyte per Second", 2021): the product of m with the upper 128 bits of
// the power is short of the true product by less than one unit of its second
// word and the carry into it, which decides nothing unless the bits cut off
// lie within that of one half.
func scale(m uint64, exp int) (float64, bool) {
	if exp < minPow10 || exp > maxPow10 || m == 0 {
		return 0, m == 0
	}
	p := &pow10[exp-minPow10]
	lz := bits.LeadingZeros64(m)
	m <<= lz
	hi, mid := bits.Mul64(m, p[0])
	carry, _ := bits.Mul64(m, p[1])
	mid, c := bits.Add64(mid, carry, 0)
	hi += c

	cut := 10 + int(hi>>63) // the product has 191 or 192 bits; 53 stay
	mant := hi >> cut
	rest, half := hi&(1<<cut-1), uint64(1)<<(cut-1)
	if rest == half && mid <= 1 || rest == half-1 && mid >= math.MaxUint64-1 {
		return 0, false
	}
	if rest >= half {
		mant++ // to 1<<53 at most, which Ldexp's arithmetic below bears
	}
	// floor(exp·log2(10)), exact in the range of the table.
	log2 := exp * 217706 >> 16
	// value = mant × 2^(cut+128-lz + log2-127); with |exp| ≤ 64 always normal.
	return float64(mant) * pow2(cut+1-lz+log2), true
}

// pow2 is 2^n for a normal result.
func pow2(n int) float64 { return math.Float64frombits(uint64(n+1023) << 52) }

// parseInt reads a decimal number of integral value, exactly.
func parseInt(b []byte) (int64, verdict) {
	i, neg := 0, false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		neg = b[0] == '-'
		i = 1
	}
	if n := len(b) - i; n == 0 || n > 18 {
		return parseIntSlow(b)
	}
	var m int64
	for _, c := range b[i:] {
		d := c - '0'
		if d > 9 {
			return parseIntSlow(b)
		}
		m = m*10 + int64(d)
	}
	if neg {
		m = -m
	}
	return m, okCell
}

// parseIntSlow reads what has a fraction, an exponent or many digits.
func parseIntSlow(b []byte) (int64, verdict) {
	i, neg := 0, false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		neg = b[0] == '-'
		i = 1
	}
	// value = 0.d1d2…dn × 10^scale, d1 and dn not zero; m holds d1…dn.
	var m uint64
	n, zeros, scale, digits := 0, 0, 0, 0
	point := false
	start := i
loop:
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c == '.' && !point:
			point = true
			continue
		case c < '0' || c > '9':
			break loop
		case c == '0':
			digits++
			if n > 0 {
				zeros++
			} else if point {
				scale--
				continue
			} else {
				continue
			}
		default:
			digits++
			for ; zeros > 0; zeros-- {
				if n < maxDigits {
					m *= 10
				}
				n++
			}
			if n < maxDigits {
				m = m*10 + uint64(c-'0')
			}
			n++
		}
		if !point {
			scale++
		}
	}
	if digits == 0 {
		if isInfinity(b[start:]) {
			return 0, tooLarge
		}
		return 0, notNumber
	}
	if i < len(b) {
		e, ok := parseExponent(b[i:])
		if !ok {
			return 0, notNumber
		}
		scale += e
	}
	switch {
	case n == 0:
		return 0, okCell
	case n > scale:
		return 0, notWhole
	case scale > maxDigits:
		return 0, tooLarge
	}
	for ; n < scale; n++ {
		m *= 10 // scale ≤ 19 digits: fits
	}
	switch {
	case neg && m <= 1<<63:
		return -int64(m), okCell
	case !neg && m < 1<<63:
		return int64(m), okCell
	}
	return 0, tooLarge
}

func appendInt(dst []byte, v int64) []byte {
	if v < 0 {
		return appendUint(append(dst, '-'), -uint64(v))
	}
	return appendUint(dst, uint64(v))
}

// appendUint appends n. How many of its last four digits there are decides no
// branch, for in a column that cannot be foreseen.
func appendUint(dst []byte, n uint64) []byte {
	if n >= 10_000 {
		return strconv.AppendUint(dst, n, 10)
	}
	d := fourDigits(uint32(n))
	zeros := bits.TrailingZeros32(d|1<<24) / 8 // before the first digit, but for the last one
	dst = binary.LittleEndian.AppendUint32(dst, (d|zeroDigits)>>(8*zeros))
	return dst[:len(dst)-zeros]
}

const zeroDigits = 0x30303030 // 0000

// fourDigits returns the digits of n < 10,000, each in a byte, the first in the
// lowest one.
func fourDigits(n uint32) uint32 {
	high := n * 5243 >> 19 // n/100
	pairs := high | (n-100*high)<<16
	tens := pairs * 103 >> 10 & 0x000F000F
	return tens | (pairs-10*tens)<<8
}

// AppendDouble appends the shortest decimal that reads back to v, laid out as
// .NET does: plain for 1e-4 ≤ |v| < 1e15, else as in 1.5E-05 and 1E+15. Minus
// zero is 0. A NaN, which in a column is a missing cell, appends nothing.
func AppendDouble(dst []byte, v float64) []byte {
	a := math.Abs(v)
	switch {
	case v != v:
		return dst
	case a == 0:
		return append(dst, '0')
	case a < 1e-4 || a >= 1e15:
		return strconv.AppendFloat(dst, v, 'E', -1, 64)
	}
	// A decimal of at most 15 digits is told apart from every other such one
	// by its float64; so if v is n/10^4 with n that short, that is shortest.
	if s := a * 1e4; s < 1e15 {
		if n := int64(s + 0.5); float64(n)/1e4 == a {
			if v < 0 {
				dst = append(dst, '-')
			}
			return appendFixed4(dst, uint64(n))
		}
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}

// appendFixed4 appends n/10^4 without trailing zeros.
func appendFixed4(dst []byte, n uint64) []byte {
	dst = appendUint(dst, n/1e4)
	d := fourDigits(uint32(n % 1e4))
	count := 4 - bits.LeadingZeros32(d)/8
	count += (count + 3) / 4 // the point, where a digit follows
	dst = binary.LittleEndian.AppendUint64(dst, '.'|uint64(d|zeroDigits)<<8)
	return dst[:len(dst)-8+count]
}
