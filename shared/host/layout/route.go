package layout

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Route is a route template of a function.json, matched as the Functions host
// matches it: literal segments and regex constraints without regard to case, a
// slash at the end ignored.
type Route struct {
	Template string
	segments []segment
}

type segment struct {
	literal  string // lower case; "" for a parameter
	optional bool
	rest     bool // {*name}: this segment and all that follow, none included
	match    func(string) bool
	closed   bool // a constraint rules out most values
}

// parseRoute reads a template: literals, {name}, {name:constraint}, {name?} and
// {*name}. Constraints are regex, maxlength, int and alpha: what the host knows
// besides is not used here.
func parseRoute(template string) (Route, error) {
	r := Route{Template: template}
	if strings.HasPrefix(template, "/") || strings.HasSuffix(template, "/") {
		return r, fmt.Errorf("route %q begins or ends with a slash", template)
	}
	if template == "" {
		return r, fmt.Errorf("an empty route means the function's name; write the route out")
	}
	parts := strings.Split(template, "/")
	for i, part := range parts {
		s, err := parseSegment(part)
		if err != nil {
			return r, fmt.Errorf("route %q: %w", template, err)
		}
		if (s.rest || s.optional) && i != len(parts)-1 {
			return r, fmt.Errorf("route %q: %s is not the last segment", template, part)
		}
		r.segments = append(r.segments, s)
	}
	return r, nil
}

func parseSegment(part string) (segment, error) {
	if !strings.ContainsAny(part, "{}") {
		if part == "" {
			return segment{}, fmt.Errorf("empty segment")
		}
		return segment{literal: strings.ToLower(part)}, nil
	}
	if part[0] != '{' || part[len(part)-1] != '}' {
		return segment{}, fmt.Errorf("segment %s mixes literal and parameter", part)
	}
	name, constraint, constrained := strings.Cut(part[1:len(part)-1], ":")
	s := segment{match: func(string) bool { return true }}
	last := &name
	if constrained {
		last = &constraint
	}
	if trimmed, ok := strings.CutSuffix(*last, "?"); ok {
		*last, s.optional = trimmed, true
	}
	if trimmed, ok := strings.CutPrefix(name, "*"); ok {
		name, s.rest = trimmed, true
	}
	if name == "" {
		return segment{}, fmt.Errorf("segment %s has no name", part)
	}
	if !constrained {
		return s, nil
	}
	s.closed = true
	fn, arg, _ := strings.Cut(constraint, "(")
	arg = strings.TrimSuffix(arg, ")")
	switch fn {
	case "regex":
		re, err := regexp.Compile("(?i)" + arg)
		if err != nil {
			return segment{}, fmt.Errorf("segment %s: %w", part, err)
		}
		s.match = re.MatchString
	case "maxlength":
		n, err := strconv.Atoi(arg)
		if err != nil {
			return segment{}, fmt.Errorf("segment %s: maxlength needs a number", part)
		}
		s.match = func(v string) bool { return len([]rune(v)) <= n }
	case "int":
		s.match = func(v string) bool { _, err := strconv.ParseInt(v, 10, 32); return err == nil }
	case "alpha":
		s.match = regexp.MustCompile(`(?i)^[a-z]*$`).MatchString
	default:
		return segment{}, fmt.Errorf("segment %s: constraint %s is not known here", part, fn)
	}
	return s, nil
}

// Match reports whether the path of u, as the client escaped it, matches.
func (r Route) Match(u *url.URL) bool {
	path := strings.Trim(u.EscapedPath(), "/")
	var values []string
	if path != "" {
		values = strings.Split(path, "/")
	}
	for i, v := range values {
		if plain, err := url.PathUnescape(v); err == nil {
			values[i] = plain
		}
	}
	for i, s := range r.segments {
		if s.rest {
			return true
		}
		if i >= len(values) {
			return s.optional // the last segment by construction
		}
		if s.literal != "" && !strings.EqualFold(s.literal, values[i]) {
			return false
		}
		if s.literal == "" && (values[i] == "" || !s.match(values[i])) {
			return false
		}
	}
	return len(values) <= len(r.segments)
}

// Overlap reports whether some URL may match both r and o. Two parameters that
// meet are taken to overlap whatever their constraints, so the answer errs on
// the side of a conflict.
func (r Route) Overlap(o Route) bool {
	a, b := r.segments, o.segments
	for i := 0; ; i++ {
		switch {
		case i >= len(a) && i >= len(b):
			return true
		case i >= len(a):
			return b[i].rest || b[i].optional
		case i >= len(b):
			return a[i].rest || a[i].optional
		case a[i].rest || b[i].rest:
			return true
		}
		if !meet(a[i], b[i]) {
			// An optional last segment may be left out on both sides.
			return (a[i].optional || i >= len(a)) && (b[i].optional || i >= len(b))
		}
	}
}

func meet(a, b segment) bool {
	switch {
	case a.literal != "" && b.literal != "":
		return a.literal == b.literal
	case a.literal != "":
		return b.match(a.literal)
	case b.literal != "":
		return a.match(b.literal)
	}
	return true
}

// open reports whether r matches whatever stands at the root.
func (r Route) open() bool {
	s := r.segments[0]
	return s.literal == "" && (s.rest || !s.closed)
}
