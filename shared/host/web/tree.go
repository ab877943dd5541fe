package web

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// node is a place in the tree of routes: what a path may go on with from here.
// [http.ServeMux] minds the case of letters, and holds each pattern against all
// others as they come, which takes a tenth of the time the program has to start.
type node struct {
	literals []literal
	wildcard *node   // one segment, not empty
	rest     []route // whatever follows; one per method
	routes   []route // of paths that end here; one per method
}

// literal is a segment that is what it says, in lower case.
type literal struct {
	segment string
	next    *node
}

// route is what a pattern leads to.
type route struct {
	pattern string   // as registered
	method  string   // "" for any
	names   []string // of the wildcards, in their order
	limit   time.Duration
	handle  HandlerFunc
}

// fewWildcards is how many values are found without memory of the heap.
const fewWildcards = 8

// add puts a route into the tree. It panics on a malformed pattern, and on one
// that is there already.
func (n *node) add(pattern string, limit time.Duration, h HandlerFunc) {
	r := route{pattern: pattern, limit: limit, handle: h}
	method, rest, ok := strings.Cut(pattern, " /")
	if ok {
		r.method = method
	} else if rest, ok = strings.CutPrefix(pattern, "/"); !ok {
		panic("web: pattern " + pattern + " is not METHOD /path")
	}
	for more := true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		name, isName := between(segment, "{", "}")
		whole, isRest := between(segment, "{", "...}")
		switch {
		case segment == "{$}" && !more: // the path ends in a slash
			n = n.literal("")
		case isRest && !more:
			r.names = append(r.names, whole)
			n.rest = join(n.rest, r)
			return
		case isName && !isRest:
			r.names = append(r.names, name)
			if n.wildcard == nil {
				n.wildcard = new(node)
			}
			n = n.wildcard
		case segment != "" && !strings.ContainsAny(segment, "{}"):
			n = n.literal(strings.ToLower(segment))
		default:
			panic("web: pattern " + pattern + " has a segment " + segment)
		}
	}
	n.routes = join(n.routes, r)
}

// between returns the name that stands between two marks and fills the segment.
func between(segment, before, after string) (name string, ok bool) {
	name, begins := strings.CutPrefix(segment, before)
	name, ends := strings.CutSuffix(name, after)
	return name, begins && ends && name != "" && !strings.ContainsAny(name, "{}$")
}

// literal returns the node behind a segment, which it makes.
func (n *node) literal(segment string) *node {
	if next := n.after(segment); next != nil {
		return next
	}
	next := new(node)
	n.literals = append(n.literals, literal{segment, next})
	return next
}

// after returns the node behind a segment; nil where there is none.
func (n *node) after(segment string) *node {
	for i := range n.literals {
		if n.literals[i].segment == segment {
			return n.literals[i].next
		}
	}
	return nil
}

func join(routes []route, r route) []route {
	if slices.ContainsFunc(routes, func(o route) bool { return o.method == r.method }) {
		panic("web: two patterns match what " + r.pattern + " does")
	}
	return append(routes, r)
}

// find returns the route of a path without its first slash, and the values of
// its wildcards; nil where there is none. Where several match, what a segment
// says itself goes before a wildcard, and a wildcard before the rest.
func (n *node) find(method, path string, escaped bool, values []string) (*route, []string) {
	segment, after, more := strings.Cut(path, "/")
	if escaped {
		segment = unescape(segment)
	}
	try := func(next *node, values []string) (*route, []string) {
		switch {
		case next == nil:
			return nil, nil
		case more:
			return next.find(method, after, escaped, values)
		}
		return pick(next.routes, method), values
	}
	if r, v := try(n.after(strings.ToLower(segment)), values); r != nil {
		return r, v
	}
	if segment != "" {
		if r, v := try(n.wildcard, append(values, segment)); r != nil {
			return r, v
		}
	}
	if escaped {
		path = unescape(path)
	}
	return pick(n.rest, method), append(values, path)
}

// pick returns the route for a method; nil where there is none.
func pick(routes []route, method string) *route {
	var any *route
	for i := range routes {
		switch routes[i].method {
		case method:
			return &routes[i]
		case "":
			any = &routes[i]
		}
	}
	return any
}

// route finds the route of a request. A path that is not clean has none, for a
// proxy in front may have read it another way.
func (n *node) route(method string, u *url.URL, values []string) (*route, []string) {
	p, escaped := u.Path, u.RawPath != ""
	if escaped {
		p = u.EscapedPath()
	}
	if unclean(p) {
		return nil, nil
	}
	return n.find(method, p[1:], escaped, values)
}

// unclean reports whether a path is not as [path.Clean] would have it.
func unclean(p string) bool {
	if p == "" || p[0] != '/' {
		return true
	}
	if !strings.Contains(p, "//") && !strings.Contains(p, "/.") {
		return false
	}
	clean := path.Clean(p)
	if len(clean) > 1 && p[len(p)-1] == '/' {
		clean += "/"
	}
	return clean != p
}

// unescape returns a segment as it was meant, or as it stands where it is none.
func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// setValues gives the request the values of its route's wildcards.
func setValues(r *http.Request, names, values []string) {
	for i, name := range names {
		r.SetPathValue(name, values[i])
	}
}
