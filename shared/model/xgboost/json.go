package xgboost

import (
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// jsonReader reads XGBoost's JSON: standard, except that NaN and Infinity may
// stand for numbers.
type jsonReader struct {
	b     []byte
	pos   int
	depth int
}

func (r *jsonReader) fail(reason string) error { return &syntaxError{r.pos, reason} }

// peek returns the first byte of the next token, 0 at the end.
func (r *jsonReader) peek() byte {
	for r.pos < len(r.b) {
		switch c := r.b[r.pos]; c {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return c
		}
	}
	return 0
}

func (r *jsonReader) expect(c byte) error {
	if r.peek() != c {
		return r.fail("expected " + strconv.QuoteRune(rune(c)))
	}
	r.pos++
	return nil
}

// elements reads what stands between two brackets, separated by commas.
func (r *jsonReader) elements(open, end byte, element func() error) error {
	if err := r.expect(open); err != nil {
		return err
	}
	if r.depth++; r.depth > maxDepth {
		return r.fail("nesting is too deep")
	}
	defer func() { r.depth-- }()
	if r.peek() == end {
		r.pos++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		switch r.peek() {
		case ',':
			r.pos++
		case end:
			r.pos++
			return nil
		default:
			return r.fail("expected a comma or " + strconv.QuoteRune(rune(end)))
		}
	}
}

func (r *jsonReader) object(member func(string) error) error {
	return r.elements('{', '}', func() error {
		key, err := r.text()
		if err != nil {
			return err
		}
		if err := r.expect(':'); err != nil {
			return err
		}
		return member(key)
	})
}

func (r *jsonReader) array(item func() error) error { return r.elements('[', ']', item) }

// stringToken consumes a string and returns it with its quotes.
func (r *jsonReader) stringToken() ([]byte, error) {
	if err := r.expect('"'); err != nil {
		return nil, err
	}
	start := r.pos - 1
	for ; r.pos < len(r.b); r.pos++ {
		switch r.b[r.pos] {
		case '\\':
			r.pos++
		case '"':
			r.pos++
			return r.b[start:r.pos], nil
		}
	}
	r.pos = len(r.b)
	return nil, r.fail("a string does not end")
}

func (r *jsonReader) text() (string, error) {
	token, err := r.stringToken()
	if err != nil {
		return "", err
	}
	if !utf8.Valid(token) {
		return "", r.fail("a string is not UTF-8")
	}
	var s string
	if err := json.Unmarshal(token, &s); err != nil {
		return "", r.fail("a string is malformed")
	}
	return s, nil
}

// numberToken consumes the characters of a number, a literal among them.
func (r *jsonReader) numberToken() (string, error) {
	r.peek()
	start := r.pos
scan:
	for r.pos < len(r.b) {
		switch c := r.b[r.pos]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			r.pos++
		default:
			break scan
		}
	}
	if start == r.pos {
		return "", r.fail("expected a number")
	}
	token := r.b[start:r.pos]
	return unsafe.String(&token[0], len(token)), nil // read at once, never kept
}

// parseFloat reads a number as JSON and XGBoost spell it; not hexadecimal and
// not with underscores, as strconv would.
func parseFloat(s string, bits int) (float64, bool) {
	switch s {
	case "NaN", "nan":
		return math.NaN(), true
	case "Infinity", "inf":
		return math.Inf(1), true
	case "-Infinity", "-inf":
		return math.Inf(-1), true
	}
	for i := range len(s) {
		if c := s[i]; c > '9' && c != 'e' && c != 'E' {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(s, bits)
	if err != nil && !math.IsInf(v, 0) {
		return 0, false
	}
	return v, true // past the range is infinite, as it is to XGBoost
}

func (r *jsonReader) float(bits int) (float64, error) {
	token, err := r.numberToken()
	if err != nil {
		return 0, err
	}
	v, ok := parseFloat(token, bits)
	if !ok {
		return 0, r.fail("expected a number")
	}
	return v, nil
}

func (r *jsonReader) number() (int64, error) {
	token, err := r.numberToken()
	if err != nil {
		return 0, err
	}
	switch token {
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	}
	v, err := strconv.ParseInt(token, 10, 64)
	if err != nil {
		return 0, r.fail("expected an integer")
	}
	return v, nil
}

func (r *jsonReader) floats() (s []float32, err error) {
	err = r.array(func() error {
		v, err := r.float(32)
		s = append(s, float32(v))
		return err
	})
	return s, err
}

func (r *jsonReader) doubles() (s []float64, err error) {
	err = r.array(func() error {
		v, err := r.float(64)
		s = append(s, v)
		return err
	})
	return s, err
}

func (r *jsonReader) ints() (s []int32, err error) {
	err = r.array(func() error {
		v, err := r.number()
		if err == nil && (v < math.MinInt32 || v > math.MaxInt32) {
			err = r.fail("an integer is out of range")
		}
		s = append(s, int32(v))
		return err
	})
	return s, err
}

// skip passes over a value without keeping it. It checks nesting and strings,
// not the spelling of numbers.
func (r *jsonReader) skip() error {
	depth := 0
	for {
		switch r.peek() {
		case 0:
			return r.fail("the file ends early")
		case '{', '[':
			if depth++; depth+r.depth > maxDepth {
				return r.fail("nesting is too deep")
			}
			r.pos++
			continue
		case '}', ']':
			if depth--; depth < 0 {
				return r.fail("a bracket closes nothing")
			}
			r.pos++
		case '"':
			if _, err := r.stringToken(); err != nil {
				return err
			}
		case ',', ':':
			if depth == 0 {
				return r.fail("expected a value")
			}
			r.pos++
			continue
		default:
			if _, err := r.numberToken(); err != nil {
				return err
			}
		}
		if depth == 0 {
			return nil
		}
	}
}

func (r *jsonReader) end() error {
	if r.peek() != 0 || r.pos != len(r.b) {
		return r.fail("text follows the document")
	}
	return nil
}
