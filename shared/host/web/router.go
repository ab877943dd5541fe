package web

import (
	"context"
	"net/http"
	"net/url"
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

// Router dispatches by method and path. Patterns look like those of
// [http.ServeMux], but name no host and end in no slash. Literal segments match
// without regard to case, as they do in the Functions host; GET does not imply
// HEAD, nor anything OPTIONS, which answers preflights of allowed origins alone;
// and what matches nothing gets a classic error document, a wrong method
// included, for the Functions host answers 404 there too.
type Router struct {
	o         Options
	tree      node
	routes    []string
	otherwise HandlerFunc
}

// NewRouter returns a Router without routes.
func NewRouter(o Options) *Router {
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	return &Router{o: o, otherwise: nothing}
}

func nothing(_ http.ResponseWriter, r *http.Request) error {
	return fault.New(fault.NotFound, "", "there is nothing at this address for %s", method(r.Method))
}

// Otherwise sets what answers where no pattern matches, instead of the 404. It
// is to be called before the first request.
func (rt *Router) Otherwise(h HandlerFunc) { rt.otherwise = h }

// Handle registers h for a pattern like "POST /workspaces/{ws}/services". It
// panics on a pattern that is malformed or registered already.
func (rt *Router) Handle(pattern string, h HandlerFunc) {
	rt.HandleWithin(DefaultTimeout, pattern, h)
}

// HandleWithin is Handle with a deadline of its own for the route.
func (rt *Router) HandleWithin(limit time.Duration, pattern string, h HandlerFunc) {
	rt.tree.add(pattern, limit, h)
	rt.routes = append(rt.routes, pattern)
}

// Routes returns the registered patterns, sorted: what tests hold against the
// function.json files.
func (rt *Router) Routes() []string { return slices.Sorted(slices.Values(rt.routes)) }

// Match returns the pattern that serves method on the path of u, or "".
func (rt *Router) Match(method string, u *url.URL) string {
	if to, _ := rt.tree.route(method, u, nil); to != nil {
		return to.pattern
	}
	return ""
}

// ServeHTTP is the adapter: see the package comment.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{}
	c.info = CallInfo{Method: method(r.Method), Start: time.Now(), BytesIn: r.ContentLength}
	c.Context = r.Context()
	c.w.ResponseWriter = w
	c.info.RequestID = rt.requestID(r)
	c.base = rt.base(r)

	h := w.Header()
	h["X-Ms-Request-Id"] = []string{c.info.RequestID}
	h["X-Content-Type-Options"] = nosniff
	if rt.cors(h, r) {
		w.WriteHeader(http.StatusNoContent)
		return
	}

	r = r.WithContext(c)
	var values [fewWildcards]string
	to := &route{limit: DefaultTimeout, handle: rt.otherwise}
	if found, v := rt.tree.route(r.Method, r.URL, values[:0]); found != nil {
		to = found
		setValues(r, to.names, v)
	}
	c.at = c.info.Start.Add(to.limit)
	defer c.end()
	rt.serve(&c.w, r, to.pattern, to.handle)
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
