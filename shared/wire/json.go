package wire

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/fault"
)

// maxDepth is how deep arrays and objects may nest in a request.
const maxDepth = 64

// scanner reads JSON from memory without copying it. It takes all valid JSON,
// and the tokens NaN, Infinity and -Infinity besides, which Python writes.
type scanner struct {
	b    []byte
	i    int
	text []byte // scratch for a string with escapes
}

// malformed is an error at the byte the scanner stands on.
func (s *scanner) malformed(what string) error {
	head := s.b[:min(s.i, len(s.b))]
	return fault.New(fault.BadArgument, "RequestBodyInvalid", "the request body is not valid JSON: %s at line %d, column %d",
		what, 1+bytes.Count(head, []byte{'\n'}), len(head)-bytes.LastIndexByte(head, '\n'))
}

// peek moves to the next token and returns its first byte; 0 at the end.
func (s *scanner) peek() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// open reads an opening bracket; empty says that the closing one follows, and
// is read too.
func (s *scanner) open(bracket byte) (empty bool, err error) {
	if s.peek() != bracket {
		return false, s.malformed("expected " + string(rune(bracket)))
	}
	s.i++
	if s.peek() == bracket+2 { // ] and } are two past [ and {
		s.i++
		return true, nil
	}
	return false, nil
}

// more reads what stands between members: true for a comma, false for the
// closing bracket.
func (s *scanner) more(bracket byte) (bool, error) {
	switch s.peek() {
	case ',':
		s.i++
		return true, nil
	case bracket + 2:
		s.i++
		return false, nil
	}
	return false, s.malformed("expected a comma or " + string(rune(bracket+2)))
}

// key reads a member's name and the colon. The name is valid until the next
// string is read.
func (s *scanner) key() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.malformed("expected the name of a member")
	}
	name, err := s.string()
	if err != nil {
		return nil, err
	}
	if s.peek() != ':' {
		return nil, s.malformed("expected a colon")
	}
	s.i++
	return name, nil
}

// string reads the string that begins at s.i. It is valid until the next one
// is read.
func (s *scanner) string() ([]byte, error) {
	start := s.i + 1
	for i := start; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			s.i = i + 1
			return s.b[start:i], nil
		case c == '\\':
			s.text = append(s.text[:0], s.b[start:i]...)
			s.i = i
			return s.escaped()
		case c < ' ':
			s.i = i
			return nil, s.malformed("a control character in a string")
		}
	}
	s.i = len(s.b)
	return nil, s.malformed("a string that does not end")
}

// escaped reads on in a string from its first escape.
func (s *scanner) escaped() ([]byte, error) {
	for s.i < len(s.b) {
		c := s.b[s.i]
		switch {
		case c == '"':
			s.i++
			return s.text, nil
		case c < ' ':
			return nil, s.malformed("a control character in a string")
		case c != '\\':
			s.text = append(s.text, c)
			s.i++
			continue
		}
		if s.i+1 == len(s.b) {
			break
		}
		switch c := s.b[s.i+1]; c {
		case '"', '\\', '/':
			s.text = append(s.text, c)
		case 'b':
			s.text = append(s.text, '\b')
		case 'f':
			s.text = append(s.text, '\f')
		case 'n':
			s.text = append(s.text, '\n')
		case 'r':
			s.text = append(s.text, '\r')
		case 't':
			s.text = append(s.text, '\t')
		case 'u':
			r, ok := s.hex4(s.i + 2)
			if !ok {
				return nil, s.malformed("a wrong escape in a string")
			}
			s.i += 4
			if utf16.IsSurrogate(r) {
				r2, ok := rune(0), false
				if s.i+3 < len(s.b) && s.b[s.i+2] == '\\' && s.b[s.i+3] == 'u' {
					r2, ok = s.hex4(s.i + 4)
				}
				if r = utf16.DecodeRune(r, r2); ok && r != utf8.RuneError {
					s.i += 6
				}
			}
			s.text = utf8.AppendRune(s.text, r)
		default:
			return nil, s.malformed("a wrong escape in a string")
		}
		s.i += 2
	}
	s.i = len(s.b)
	return nil, s.malformed("a string that does not end")
}

func (s *scanner) hex4(i int) (rune, bool) {
	if i+4 > len(s.b) {
		return 0, false
	}
	r := rune(0)
	for _, c := range s.b[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// scalar reads a string, number or literal as text; null is nil, and nothing
// else is. The text is valid until the next one is read.
func (s *scanner) scalar() ([]byte, error) {
	c := s.peek()
	start := s.i
	switch {
	case c == '"':
		return s.string()
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	case s.literal("null"):
		return nil, nil
	case s.literal("true"), s.literal("false"), s.literal("NaN"), s.literal("Infinity"):
		return s.b[start:s.i], nil
	}
	return nil, s.malformed("expected a value")
}

func (s *scanner) literal(word string) bool {
	if end := s.i + len(word); end <= len(s.b) && string(s.b[s.i:end]) == word {
		s.i = end
		return true
	}
	return false
}

// number reads a number in JSON's grammar.
func (s *scanner) number() ([]byte, error) {
	b, i := s.b, s.i
	start := i
	if b[i] == '-' {
		i++
		if s.i = i; s.literal("Infinity") {
			return b[start:s.i], nil
		}
	}
	digits := func() bool {
		from := i
		for i < len(b) && '0' <= b[i] && b[i] <= '9' {
			i++
		}
		return i > from
	}
	ok := true
	if i < len(b) && b[i] == '0' {
		i++
	} else {
		ok = digits()
	}
	if ok && i < len(b) && b[i] == '.' {
		i++
		ok = digits()
	}
	if ok && i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		ok = digits()
	}
	s.i = i
	if !ok || i < len(b) && '0' <= b[i] && b[i] <= '9' {
		return nil, s.malformed("a wrong number")
	}
	return b[start:i], nil
}

// skip reads any value and returns its bytes.
func (s *scanner) skip() ([]byte, error) {
	s.peek()
	start := s.i
	var open [maxDepth]byte
	depth := 0
	for {
		// A value begins here.
		switch c := s.peek(); c {
		case '{', '[':
			if depth == maxDepth {
				return nil, fault.New(fault.BadArgument, "RequestBodyInvalid", "the request body nests deeper than the limit of %d levels", maxDepth)
			}
			empty, err := s.open(c)
			if err != nil {
				return nil, err
			}
			if !empty {
				open[depth] = c
				depth++
				if c == '{' {
					if _, err := s.key(); err != nil {
						return nil, err
					}
				}
				continue
			}
		default:
			if _, err := s.scalar(); err != nil {
				return nil, err
			}
		}
		// A value ended here.
		for {
			if depth == 0 {
				return s.b[start:s.i], nil
			}
			more, err := s.more(open[depth-1])
			if err != nil {
				return nil, err
			}
			if !more {
				depth--
				continue
			}
			if open[depth-1] == '{' {
				if _, err := s.key(); err != nil {
					return nil, err
				}
			}
			break
		}
	}
}

// end reads to the end of the body, where nothing may be left.
func (s *scanner) end() error {
	if s.peek() != 0 || s.i < len(s.b) {
		return s.malformed("something after the value")
	}
	return nil
}

// fold reports whether name is word, an ASCII word, in any case: the classic
// service read members so.
func fold(name []byte, word string) bool {
	return len(name) == len(word) && (string(name) == word || bytes.EqualFold(name, []byte(word)))
}
