package sqltable

import (
	"strings"

	"github.com/portico-ml/portico/shared/frame"
)

// split cuts a script into its statements, without those that are blank. A
// semicolon in a string, a quoted name or a comment ends nothing.
func split(text string) []string {
	var out []string
	start := 0
	end := func(at int) {
		if s := text[start:at]; keyword(s) != "" {
			out = append(out, s)
		}
		start = at + 1
	}
	for i := 0; i < len(text); {
		if text[i] == ';' {
			end(i)
			i++
			continue
		}
		i += token(text[i:])
	}
	end(len(text))
	return out
}

// token returns the length of the quoted text or comment that s begins with; 1
// for anything else. What is never closed reaches to the end.
func token(s string) int {
	until := func(open int, mark string) int {
		if i := strings.Index(s[open:], mark); i >= 0 {
			return open + i + len(mark)
		}
		return len(s)
	}
	switch {
	case s[0] == '\'' || s[0] == '"' || s[0] == '`':
		return until(1, s[:1]) // a doubled quote is the end of one and the start of the next
	case s[0] == '[':
		return until(1, "]")
	case strings.HasPrefix(s, "--"):
		return until(2, "\n")
	case strings.HasPrefix(s, "/*"):
		return until(2, "*/")
	}
	return 1
}

// keyword returns the first word of a statement in upper case, or its first
// character where that begins no word; "" for a blank one.
func keyword(s string) string {
	for len(s) > 0 {
		switch {
		case strings.ContainsRune(" \t\r\n\f", rune(s[0])):
			s = s[1:]
		case strings.HasPrefix(s, "--") || strings.HasPrefix(s, "/*"):
			s = s[token(s):]
		default:
			n := 0
			for n < len(s) && (s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z') {
				n++
			}
			return strings.ToUpper(s[:max(n, 1)])
		}
	}
	return ""
}

// quote writes a name as SQL does.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func clip(s string) string { return frame.Clip([]byte(s)) }
