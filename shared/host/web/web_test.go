package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portico-ml/portico/shared/fault"
)

func do(t *testing.T, h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// detail returns class and first detail of an error document.
func detail(t *testing.T, w *httptest.ResponseRecorder) (class, code, message string) {
	t.Helper()
	var doc struct {
		Error struct {
			Code, Message string
			Details       []fault.Detail
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || len(doc.Error.Details) == 0 {
		t.Fatalf("not an error document: %s", w.Body)
	}
	return doc.Error.Code, doc.Error.Details[0].Code, doc.Error.Details[0].Message
}

func TestRouterMatches(t *testing.T) {
	rt := NewRouter(Options{})
	echo := func(w http.ResponseWriter, r *http.Request) error {
		return JSON(w, 200, map[string]string{"ws": r.PathValue("ws"), "ep": r.PathValue("ep"), "rest": r.PathValue("rest")})
	}
	rt.Handle("POST /workspaces/{ws}/services/{ep}/execute", echo)
	rt.Handle("GET /workspaces/{ws}/services/{ep}/swagger.json", echo)
	rt.Handle("HEAD /workspaces/{ws}/services/{ep}/swagger.json", echo)
	rt.Handle("/manage/{rest...}", echo)
	rt.Handle("GET /API/workspaces/{ws}", echo)
	rt.Handle("GET /{$}", echo)

	tests := []struct {
		method, path string
		status       int
		want         string // of the body, "" for any
	}{
		{"POST", "/workspaces/W1/services/E1/execute?api-version=2.0", 200, `{"ep":"E1","rest":"","ws":"W1"}`},
		{"POST", "/Workspaces/W1/SERVICES/E1/Execute", 200, `{"ep":"E1","rest":"","ws":"W1"}`},
		{"POST", "/Workspaces/W%2f1/services/a%20B/execute", 200, `{"ep":"a B","rest":"","ws":"W/1"}`},
		{"GET", "/workspaces/w/services/e/execute", 404, ""},
		{"HEAD", "/workspaces/w/services/e/execute", 404, ""},
		{"HEAD", "/workspaces/w/services/e/swagger.json", 200, ""},
		{"OPTIONS", "/workspaces/w/services/e/swagger.json", 404, ""},
		{"HEAD", "/api/workspaces/w", 404, ""},
		{"GET", "/api/Workspaces/W", 200, `{"ep":"","rest":"","ws":"W"}`},
		{"PATCH", "/MANAGE/Workspaces/A%2FB/c", 200, `{"ep":"","rest":"Workspaces/A/B/c","ws":""}`},
		{"GET", "/", 200, ""},
		{"GET", "/nothing", 404, ""},
		{"POST", "/besjob", 404, ""},
		{"GET", "/manage//x", 404, ""},
		{"GET", "/manage/../x", 404, ""},
		{"BREW", "/workspaces/w/services/e/execute", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			w := do(t, rt, tt.method, tt.path, "")
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if tt.want != "" && w.Body.String() != tt.want {
				t.Errorf("body %s, want %s", w.Body, tt.want)
			}
			if w.Code == 404 && tt.method != "HEAD" {
				if class, code, _ := detail(t, w); class != "NotFound" || code != "ResourceNotFound" {
					t.Errorf("class %s, code %s", class, code)
				}
			}
			if w.Header().Get("x-ms-request-id") == "" {
				t.Error("no x-ms-request-id")
			}
		})
	}
	for path, want := range map[string]string{
		"/workspaces/w/services/e/execute": "POST /workspaces/{ws}/services/{ep}/execute",
		"/WORKSPACES/w/services/e/execute": "POST /workspaces/{ws}/services/{ep}/execute",
		"/manage/x":                        "/manage/{rest...}",
		"/other":                           "",
	} {
		if got := rt.Match("POST", &url.URL{Path: path}); got != want {
			t.Errorf("Match(POST %s) = %q, want %q", path, got, want)
		}
	}
}

func TestErrorsBecomeDocuments(t *testing.T) {
	var seen CallInfo
	rt := NewRouter(Options{Observe: func(_ context.Context, c *CallInfo) { seen = *c }})
	rt.Handle("GET /e/{kind}", func(w http.ResponseWriter, r *http.Request) error {
		switch r.PathValue("kind") {
		case "cell":
			w.Header().Set("ETag", `"1"`)
			return fault.New(fault.BadUserArgument, "InputParseError", "row 3, column age: <25.5> is not an integer").At("input1")
		case "throttled":
			return &fault.Error{Kind: fault.Throttled, RetryAfter: 1500 * time.Millisecond}
		case "key":
			return fault.New(fault.Unauthorized, "", "Invalid credentials provided.")
		case "ours":
			return errors.New("disk secret-path is full")
		case "panic":
			var none []int
			return JSON(w, 200, none[len(r.URL.Path)])
		case "panicvalue":
			panic("the customer's cell")
		case "late":
			w.WriteHeader(200)
			io.WriteString(w, "half")
			return errors.New("too late")
		case "deadline":
			<-r.Context().Done()
			return r.Context().Err()
		}
		return nil
	})
	rt.HandleWithin(time.Millisecond, "GET /slow", func(_ http.ResponseWriter, r *http.Request) error {
		<-r.Context().Done()
		return r.Context().Err()
	})

	tests := []struct {
		path, class, code string
		status            int
		header, want      string
	}{
		{"/e/cell", "BadUserArgument", "InputParseError", 400, "Etag", ""},
		{"/e/throttled", "ServiceUnavailable", "RequestThrottled", 503, "Retry-After", "2"},
		{"/e/key", "Unauthorized", "ScoreRequestUnauthorized", 401, "Www-Authenticate", "Bearer"},
		{"/e/ours", "InternalError", "UnknownError", 500, "Content-Type", jsonContent},
		{"/e/panic", "InternalError", "UnknownError", 500, "", ""},
		{"/e/panicvalue", "InternalError", "UnknownError", 500, "", ""},
		{"/slow", "RequestTimeout", "ScoreRequestTimeout", 408, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			w := do(t, rt, "GET", tt.path, "")
			class, code, _ := detail(t, w)
			if w.Code != tt.status || class != tt.class || code != tt.code {
				t.Errorf("%d %s/%s, want %d %s/%s", w.Code, class, code, tt.status, tt.class, tt.code)
			}
			if got := w.Header().Get(tt.header); tt.header != "" && got != tt.want {
				t.Errorf("%s: %q, want %q", tt.header, got, tt.want)
			}
			if seen.Status != tt.status || seen.Code != tt.code || seen.Err == nil || seen.BytesOut != int64(w.Body.Len()) {
				t.Errorf("observed %+v", seen)
			}
			for _, leak := range []string{"secret-path", "customer's"} {
				if strings.Contains(w.Body.String(), leak) || (leak == "customer's" && strings.Contains(seen.Err.Error(), leak)) {
					t.Errorf("leaks %q: %s / %v", leak, w.Body, seen.Err)
				}
			}
		})
	}
	if w := do(t, rt, "GET", "/e/cell", ""); !strings.Contains(w.Body.String(), "<25.5>") {
		t.Errorf("angle brackets were escaped: %s", w.Body)
	}
	do(t, rt, "GET", "/e/panic", "")
	if !strings.Contains(seen.Err.Error(), "out of range") || !strings.Contains(seen.Err.Error(), "web_test") && !strings.Contains(seen.Err.Error(), "TestErrorsBecomeDocuments") {
		t.Errorf("the cause does not say where: %v", seen.Err)
	}
	func() {
		defer func() {
			if v := recover(); v != http.ErrAbortHandler {
				t.Errorf("half an answer was left standing: recovered %v", v)
			}
		}()
		do(t, rt, "GET", "/e/late", "")
	}()
}

func TestCallInfoReachesObserve(t *testing.T) {
	var seen CallInfo
	calls := 0
	rt := NewRouter(Options{TrustForwarded: true, Observe: func(_ context.Context, c *CallInfo) { seen, calls = *c, calls+1 }})
	rt.Handle("GET /x/{id}", func(w http.ResponseWriter, r *http.Request) error {
		c := Call(r)
		c.Endpoint, c.Rows = r.PathValue("id"), 3
		return JSON(w, 201, BaseURL(r))
	})
	rt.Handle("GET /quiet", func(w http.ResponseWriter, r *http.Request) error {
		Call(r).Quiet = true
		return NoContent(w)
	})
	w := do(t, rt, "GET", "/x/e1?sig=secret", "", "X-Azure-Functions-InvocationId", "0f0e0d0c-1111-2222-3333-444455556666", "X-Forwarded-Host", "api.example.org", "X-Forwarded-Proto", "https")
	if got, want := w.Body.String(), `"https://api.example.org"`; got != want {
		t.Errorf("BaseURL: %s, want %s", got, want)
	}
	if seen.Endpoint != "e1" || seen.Rows != 3 || seen.Status != 201 || seen.Route != "GET /x/{id}" || seen.BytesOut != int64(w.Body.Len()) {
		t.Errorf("observed %+v", seen)
	}
	if got := w.Header().Get("x-ms-request-id"); got != "0f0e0d0c-1111-2222-3333-444455556666" || got != seen.RequestID {
		t.Errorf("request id %q, observed %q", got, seen.RequestID)
	}
	w = do(t, rt, "GET", "/x/e1", "", "X-Azure-Functions-InvocationId", "evil\nline", "X-Forwarded-Host", "a b/c")
	if len(w.Header().Get("x-ms-request-id")) != 32 || w.Body.String() != `"https://localhost"` {
		t.Errorf("forged headers: %v %s", w.Header(), w.Body)
	}
	before := calls
	do(t, rt, "GET", "/quiet", "")
	if calls != before {
		t.Error("a quiet call was observed")
	}
	plain := NewRouter(Options{})
	plain.Handle("GET /base", func(w http.ResponseWriter, r *http.Request) error { return JSON(w, 200, BaseURL(r)) })
	w = do(t, plain, "GET", "http://host.example:8080/base", "", "X-Forwarded-Host", "evil.example", "X-Azure-Functions-InvocationId", "0f0e0d0c-1111")
	if w.Body.String() != `"http://host.example:8080"` || w.Header().Get("x-ms-request-id") == "0f0e0d0c-1111" {
		t.Errorf("untrusted headers were used: %s %v", w.Body, w.Header())
	}
	if Call(httptest.NewRequest("GET", "/", nil)) == nil {
		t.Error("Call outside a router is nil")
	}
}

func TestCORS(t *testing.T) {
	rt := NewRouter(Options{CORS: []string{"https://app.example"}})
	rt.Handle("POST /x", func(w http.ResponseWriter, _ *http.Request) error { return JSON(w, 200, 1) })
	tests := []struct {
		name, method, path, origin, ask string
		status                          int
		allow                           string
	}{
		{"preflight", "OPTIONS", "/x", "https://app.example", "POST", 204, "https://app.example"},
		{"preflight of another method", "OPTIONS", "/x", "https://app.example", "PUT", 404, "https://app.example"},
		{"preflight of nothing", "OPTIONS", "/y", "https://app.example", "POST", 404, "https://app.example"},
		{"preflight from elsewhere", "OPTIONS", "/x", "https://evil.example", "POST", 404, ""},
		{"call", "POST", "/x", "https://app.example", "", 200, "https://app.example"},
		{"call from elsewhere", "POST", "/x", "https://evil.example", "", 200, ""},
		{"call without origin", "POST", "/x", "", "", 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var header []string
			if tt.origin != "" {
				header = append(header, "Origin", tt.origin)
			}
			if tt.ask != "" {
				header = append(header, "Access-Control-Request-Method", tt.ask)
			}
			w := do(t, rt, tt.method, tt.path, "", header...)
			if got := w.Header().Get("Access-Control-Allow-Origin"); w.Code != tt.status || got != tt.allow {
				t.Errorf("%d, allow %q; want %d, %q", w.Code, got, tt.status, tt.allow)
			}
		})
	}
}

func TestReadJSON(t *testing.T) {
	type doc struct {
		Name string         `json:"name"`
		N    int            `json:"n"`
		More map[string]any `json:"more"`
	}
	deep := func(n int) string {
		return `{"more":{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}}`
	}
	tests := []struct {
		name, body, want string // want = part of the message, "" for success
	}{
		{"plain", `{"name":"a[{","n":2}`, ""},
		{"deep enough", deep(MaxDepth - 2), ""},
		{"too deep", deep(MaxDepth - 1), "nests deeper than 64 levels"},
		{"a megabyte of brackets", strings.Repeat("[", 1000), "nests deeper"},
		{"empty", " \n", "no body"},
		{"unknown member", `{"nme":"a"}`, `unknown member "nme"`},
		{"wrong type", "{\n \"n\": \"x\"}", "n cannot be a JSON string: line 2"},
		{"syntax", "{\n\"n\": }", "line 2, column 6"},
		{"cut", `{"n":1`, "ends in the middle"},
		{"two values", `{"n":1} {"n":2}`, "something follows"},
		{"invalid UTF-8", "{\"name\":\"\xff\"}", "not valid UTF-8"},
		{"too long", `{"name":"` + strings.Repeat("x", 2000) + `"}`, "limit of 1000 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, chunked := range []bool{false, true} {
				r := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(tt.body))
				if chunked {
					r.ContentLength = -1
				}
				var d doc
				err := ReadJSON(r, &d, 1000)
				if tt.want == "" {
					if err != nil {
						t.Fatal(err)
					}
					continue
				}
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error %v, want %q", err, tt.want)
				}
				if k := fault.KindOf(err); k != fault.BadArgument && k != fault.TooLarge {
					t.Errorf("kind %v", k)
				}
			}
		})
	}
}

func TestJSONThatCannotBeEncoded(t *testing.T) {
	rt := NewRouter(Options{})
	rt.Handle("GET /x", func(w http.ResponseWriter, _ *http.Request) error { return JSON(w, 200, func() {}) })
	rt.Handle("GET /html", func(w http.ResponseWriter, _ *http.Request) error { return JSON(w, 200, "<a&b>") })
	if w := do(t, rt, "GET", "/x", ""); w.Code != 500 {
		t.Errorf("status %d", w.Code)
	}
	if w := do(t, rt, "GET", "/html", ""); w.Body.String() != `"<a&b>"` || w.Header().Get("Content-Length") != "7" {
		t.Errorf("%s %v", w.Body, w.Header())
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `[[[]]]`, `{"a":{"b":[1,2,null]}}`, `"`, "{\"a\":\"\\\"}\"}", "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var v any
		err := DecodeJSON(body, &v)
		if err == nil && !json.Valid(body) {
			t.Errorf("accepted %q", body)
		}
		if err != nil && fault.KindOf(err) != fault.BadArgument {
			t.Errorf("%q: %v", body, err)
		}
	})
}

// BenchmarkAdapter is the cost of the adapter beside a bare handler.
func BenchmarkAdapter(b *testing.B) {
	body := []byte(`"ok"`)
	rt := NewRouter(Options{})
	rt.Handle("POST /workspaces/{ws}/services/{ep}/execute", func(w http.ResponseWriter, r *http.Request) error {
		Call(r).Endpoint = r.PathValue("ep")
		return Bytes(w, 200, jsonContent, body)
	})
	r := httptest.NewRequest("POST", "/workspaces/0123456789abcdef0123456789abcdef/services/2222/execute?api-version=2.0", nil)
	w := discard{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.h)
		rt.ServeHTTP(w, r)
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(time.Second)
		if w := do(t, g, "GET", "/", ""); w.Code != 200 {
			t.Errorf("the host's question was not answered: %d", w.Code)
		}
		w := do(t, g, "POST", "/x", "")
		if class, _, _ := detail(t, w); w.Code != 503 || class != "ServiceUnavailable" || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		answered := make(chan int)
		go func() { answered <- do(t, g, "POST", "/x", "").Code }()
		synctest.Wait()
		g.Open(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
		if code := <-answered; code != http.StatusTeapot {
			t.Errorf("a waiting call got %d", code)
		}
		if w := do(t, g, "GET", "/", ""); w.Code != http.StatusTeapot {
			t.Errorf("after Open: %d", w.Code)
		}
	})
}
