package wire

import (
	"unicode/utf8"

	"github.com/portico-ml/portico/shared/fault"
)

// AppendError appends the classic error document of e to dst. It tells what the
// caller may know: class, code, target and message, never the cause.
func AppendError(dst []byte, e *fault.Error) []byte {
	t := e.Kind.Traits()
	dst = append(dst, `{"error":{"code":`...)
	dst = appendString(dst, t.Class)
	dst = append(dst, `,"message":`...)
	dst = appendString(dst, t.Message)
	dst = append(dst, `,"details":[`...)
	for i, d := range e.Details() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"code":`...)
		dst = appendString(dst, d.Code)
		if d.Target != "" {
			dst = append(dst, `,"target":`...)
			dst = appendString(dst, d.Target)
		}
		dst = append(dst, `,"message":`...)
		dst = appendString(dst, d.Message)
		dst = append(dst, '}')
	}
	return append(dst, `]}}`...)
}

// appendString appends s as a JSON string. Only what JSON demands is escaped,
// so that < and & come as they are; what is not UTF-8 becomes U+FFFD.
func appendString[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\uFFFD"...)
			i++
			start = i
			continue
		}
		i += n
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
