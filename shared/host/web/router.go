package web

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
)

// Options of a Router. The zero value works.
type Options struct {
	// Observe is called once per call, after the answer was written.
	Observe func(ctx context.Context, c *CallInfo)
	// PublicURL is scheme://host[:port] under which callers reach us.
	PublicURL string
	// TrustForwarded says that X-Forwarded-* and X-Azure-Functions-InvocationId
	// are set by a proxy that overwrites the client's own.
	TrustForwarded bool
	// CORS lists the origins whose pages may call us ("*" for all); empty for
	// none, as the classic service had it.
	CORS []string
}

// Router dispatches by method and path. Patterns are those of
// [http.ServeMux], with three differences: literal segments match without
// regard to case, as they do in the Functions host; GET does not imply HEAD,
// nor anything OPTIONS, which answers preflights of allowed origins alone; and
// what matches nothing gets a classic error document, a wrong method included,
// for the Functions host answers 404 there too.
type Router struct {
	o         Options
	mux       http.ServeMux
	routes    []string
	otherwise HandlerFunc
}

// NewRouter returns a Router without routes.
func NewRouter(o Options) *Router {
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	rt := &Router{o: o, otherwise: nothing}
	rt.mux.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rt.serve(w.(*writer), r, "", rt.otherwise)
	}))
	return rt
}

func nothing(_ http.ResponseWriter, r *http.Request) error {
	return fault.New(fault.NotFound, "", "there is nothing at this address for %s", method(r.Method))
}

// Otherwise sets what answers where no pattern matches, instead of the 404. It
// is to be called before the first request.
func (rt *Router) Otherwise(h HandlerFunc) { rt.otherwise = h }

// Handle registers h for a pattern like "POST /workspaces/{ws}/services". It
// panics on a malformed or conflicting pattern, as ServeMux does.
func (rt *Router) Handle(pattern string, h HandlerFunc) {
	rt.HandleWithin(DefaultTimeout, pattern, h)
}

// HandleWithin is Handle with a deadline of its own for the route.
func (rt *Router) HandleWithin(limit time.Duration, pattern string, h HandlerFunc) {
	p := parsePattern(pattern)
	rt.routes = append(rt.routes, pattern)
	rt.mux.Handle(p.lower, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := w.(*writer)
		if p.method == http.MethodGet && r.Method == http.MethodHead {
			rt.serve(c, r, "", rt.otherwise)
			return
		}
		if orig, ok := r.Context().Value(origKey{}).(*url.URL); ok {
			r.URL = orig
			p.restore(r, orig)
		}
		// The call is the request's context already: no second copy of the request.
		c.call.at = c.call.info.Start.Add(limit)
		defer c.call.end()
		rt.serve(c, r, p.pattern, h)
	}))
}

// Routes returns the registered patterns, sorted: what tests hold against the
// function.json files.
func (rt *Router) Routes() []string { return slices.Sorted(slices.Values(rt.routes)) }

// Match returns the pattern that serves method on the path of u, or "".
func (rt *Router) Match(method string, u *url.URL) string {
	r := &http.Request{Method: method, URL: lowerPath(u), Host: "localhost"}
	_, pattern := rt.mux.Handler(r)
	if pattern == "/" || (method == http.MethodHead && strings.HasPrefix(pattern, "GET ")) {
		return ""
	}
	return pattern
}

// origKey finds the URL as the client wrote it, where it was lowered.
type origKey struct{}

// ServeHTTP is the adapter: see the package comment.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{}
	c.info = CallInfo{Method: method(r.Method), Start: time.Now(), BytesIn: r.ContentLength}
	c.Context, c.at = r.Context(), c.info.Start.Add(DefaultTimeout)
	c.w.ResponseWriter, c.w.call = w, c
	c.info.RequestID = rt.requestID(r)
	c.base = rt.base(r)

	h := w.Header()
	h["X-Ms-Request-Id"] = []string{c.info.RequestID}
	h["X-Content-Type-Options"] = nosniff
	if rt.cors(h, r) {
		w.WriteHeader(http.StatusNoContent)
		return
	}

	var ctx context.Context = c
	u := r.URL
	if low := lowerPath(u); low != u {
		ctx = context.WithValue(ctx, origKey{}, u)
		u = low
	}
	r = r.WithContext(ctx)
	r.URL = u
	if unclean(u.EscapedPath()) {
		rt.serve(&c.w, r, "", rt.otherwise)
		return
	}
	rt.mux.ServeHTTP(&c.w, r)
}

var nosniff = []string{"nosniff"}

func (rt *Router) requestID(r *http.Request) string {
	if rt.o.TrustForwarded {
		if id := r.Header.Get("X-Azure-Functions-Invocationid"); plainID(id) {
			return id
		}
	}
	return service.NewID()
}

func plainID(s string) bool {
	if len(s) < 8 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') && c != '-' {
			return false
		}
	}
	return true
}

func (rt *Router) base(r *http.Request) string {
	if rt.o.PublicURL != "" {
		return rt.o.PublicURL
	}
	if !rt.o.TrustForwarded {
		return ""
	}
	host := r.Header.Get("X-Forwarded-Host")
	if host == "" {
		return ""
	}
	scheme := "https"
	if r.Header.Get("X-Forwarded-Proto") == "http" {
		scheme = "http"
	}
	return scheme + "://" + safeHost(host)
}

// cors sets the CORS headers where the request's origin is allowed one, and
// reports whether the request was a preflight that is thereby answered.
func (rt *Router) cors(h http.Header, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || len(rt.o.CORS) == 0 {
		return false
	}
	h.Add("Vary", "Origin")
	if !slices.Contains(rt.o.CORS, origin) && !slices.Contains(rt.o.CORS, "*") {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "x-ms-request-id, x-portico-deployment, Retry-After, ETag")
	ask := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || ask == "" || rt.Match(ask, r.URL) == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", method(ask))
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key")
	h.Set("Access-Control-Max-Age", "600")
	return true
}

// method bounds what of a request's method is repeated in logs and answers.
func method(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return m
	}
	return "OTHER"
}

// unclean reports whether ServeMux would redirect p to a cleaned path.
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

// lowerPath returns u with its path in lower case: u itself where it is.
func lowerPath(u *url.URL) *url.URL {
	p, raw := strings.ToLower(u.Path), strings.ToLower(u.RawPath)
	if p == u.Path && raw == u.RawPath {
		return u
	}
	low := *u
	low.Path, low.RawPath = p, raw
	return &low
}

// pattern is a ServeMux pattern whose literals were lowered.
type pattern struct {
	pattern  string // as registered
	lower    string
	method   string   // "" for any
	segments []string // "{name}" for a wildcard, "{name...}" for the rest
}

func parsePattern(s string) pattern {
	p := pattern{pattern: s}
	rest := s
	if m, after, ok := strings.Cut(s, " "); ok {
		p.method, rest = m, strings.TrimLeft(after, " ")
	}
	for seg := range strings.SplitSeq(strings.TrimPrefix(rest, "/"), "/") {
		if !strings.HasPrefix(seg, "{") {
			seg = strings.ToLower(seg)
		}
		p.segments = append(p.segments, seg)
	}
	p.lower = strings.TrimPrefix(p.method+" /"+strings.Join(p.segments, "/"), " ")
	return p
}

// restore sets the wildcards' values from the path as the client wrote it.
func (p *pattern) restore(r *http.Request, orig *url.URL) {
	segments := strings.Split(strings.TrimPrefix(orig.EscapedPath(), "/"), "/")
	for i, seg := range p.segments {
		if !strings.HasPrefix(seg, "{") || seg == "{$}" || i >= len(segments) {
			continue
		}
		name, value := seg[1:len(seg)-1], segments[i]
		if n, ok := strings.CutSuffix(name, "..."); ok {
			name, value = n, strings.Join(segments[i:], "/")
		}
		if v, err := url.PathUnescape(value); err == nil {
			value = v
		}
		r.SetPathValue(name, value)
	}
}
