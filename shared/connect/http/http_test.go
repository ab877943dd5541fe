package http

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/guard"
)

// guarded returns the transport that the program uses, with this machine
// allowed.
func guarded() http.RoundTripper {
	return guard.New(guard.Rules{Allow: []guard.Network{{Prefix: netip.MustParsePrefix("127.0.0.0/8")}}}).Transport()
}

// faults is a server that misbehaves.
func faults(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	text := func(kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			io.WriteString(w, body)
		}
	}
	mux.HandleFunc("/good.csv", text("text/csv", "a,b\n1,x\n2,\n"))
	mux.HandleFunc("/good.tsv", text("application/octet-stream", "a\tb\n1\tx, y\n"))
	mux.HandleFunc("/bare.csv", text("text/plain", "1,x\n"))
	mux.HandleFunc("/page.csv", text("text/html; charset=utf-8", "<html>please log in</html>"))
	mux.HandleFunc("/ragged.csv", text("text/csv", "a,b\n1\n"))
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, "a,b\n1,x\n")
	z.Close()
	mux.HandleFunc("/good.csv.gz", text("application/gzip", zipped.String()))
	mux.HandleFunc("/torn.csv.gz", text("application/gzip", zipped.String()[:zipped.Len()-12]))
	mux.HandleFunc("/plain.csv.gz", text("application/gzip", "a,b\n1,x\n"))
	mux.HandleFunc("/good.arff", text("text/plain", "@relation r\n@attribute a numeric\n@attribute b {x,y}\n@data\n1,y\n"))
	mux.HandleFunc("/redirect.csv", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
	})
	mux.HandleFunc("/busy.csv", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/forbidden.csv", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	mux.HandleFunc("/zipped.csv", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, "not asked for")
	})
	mux.HandleFunc("/truncated.csv", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, "a,b\n1,x\n")
	})
	mux.HandleFunc("/said.csv", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "100000") })
	mux.HandleFunc("/endless.csv", func(w http.ResponseWriter, r *http.Request) {
		line := strings.Repeat("1,", 500) + "1\n"
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func read1(t *testing.T, c *Connector, p connect.Place) (string, error) {
	t.Helper()
	src, err := c.Source(p)
	if err != nil {
		return "", err
	}
	f, err := connect.ReadAll(t.Context(), src, nil, 64<<10)
	if err != nil {
		return "", err
	}
	return string(frame.AppendCSV(nil, f, ',')), nil
}

func TestSource(t *testing.T) {
	s := faults(t)
	c := New(Config{Transport: guarded(), MaxBytes: 32 << 10})
	for name, tt := range map[string]struct {
		place connect.Place
		want  string
		code  string
		kind  fault.Kind
	}{
		"csv":                {place: connect.Place{URL: s.URL + "/good.csv"}, want: "a,b\n1,x\n2,\n"},
		"tsv":                {place: connect.Place{URL: s.URL + "/good.tsv"}, want: "a,b\n1,\"x, y\"\n"},
		"arff":               {place: connect.Place{URL: s.URL + "/good.arff"}, want: "a,b\n1,y\n"},
		"gzip":               {place: connect.Place{URL: s.URL + "/good.csv.gz"}, want: "a,b\n1,x\n"},
		"gzip, torn":         {place: connect.Place{URL: s.URL + "/torn.csv.gz"}, code: "Error0049", kind: fault.LibraryExecution},
		"no gzip":            {place: connect.Place{URL: s.URL + "/plain.csv.gz"}, code: "Error0049", kind: fault.LibraryExecution},
		"a format given":     {place: connect.Place{URL: s.URL + "/good.csv?x=1", FileFormat: "CSV"}, want: "a,b\n1,x\n2,\n"},
		"no header":          {place: connect.Place{URL: s.URL + "/bare.csv", NoHeader: true}, want: "Col1,Col2\n1,x\n"},
		"redirect":           {place: connect.Place{URL: s.URL + "/redirect.csv"}, code: "Error0078", kind: fault.LibraryExecution},
		"a page":             {place: connect.Place{URL: s.URL + "/page.csv"}, code: "Error0049", kind: fault.LibraryExecution},
		"ragged":             {place: connect.Place{URL: s.URL + "/ragged.csv"}, code: "Error0049", kind: fault.LibraryExecution},
		"absent":             {place: connect.Place{URL: s.URL + "/absent.csv"}, code: "Error0030", kind: fault.LibraryExecution},
		"forbidden":          {place: connect.Place{URL: s.URL + "/forbidden.csv"}, code: "Error0030", kind: fault.LibraryExecution},
		"busy":               {place: connect.Place{URL: s.URL + "/busy.csv"}, kind: fault.Unavailable},
		"encoded":            {place: connect.Place{URL: s.URL + "/zipped.csv"}, code: "Error0030", kind: fault.LibraryExecution},
		"truncated":          {place: connect.Place{URL: s.URL + "/truncated.csv"}, kind: fault.Unavailable},
		"too large, it says": {place: connect.Place{URL: s.URL + "/said.csv"}, code: "OutOfMemoryLimit", kind: fault.TooLarge},
		"endless":            {place: connect.Place{URL: s.URL + "/endless.csv"}, code: "OutOfMemoryLimit", kind: fault.TooLarge},
		"no URL":             {code: "Error0029", kind: fault.LibraryExecution},
		"file":               {place: connect.Place{URL: "file:///etc/passwd"}, code: "Error0029", kind: fault.LibraryExecution},
		"gopher":             {place: connect.Place{URL: "gopher://127.0.0.1/x.csv"}, code: "Error0029", kind: fault.LibraryExecution},
		"a user":             {place: connect.Place{URL: "http://u:hunter2@127.0.0.1/x.csv"}, code: "Error0029", kind: fault.LibraryExecution},
		"no format":          {place: connect.Place{URL: s.URL + "/download"}, code: "Error0002", kind: fault.LibraryExecution},
		"no such host":       {place: connect.Place{URL: "http://nowhere.invalid/x.csv"}, code: "Error0030", kind: fault.LibraryExecution},
	} {
		t.Run(name, func(t *testing.T) {
			tt.place.Source = connect.HTTP
			got, err := read1(t, c, tt.place)
			if tt.want != "" {
				if err != nil || got != tt.want {
					t.Errorf("got %q, %v", got, err)
				}
				return
			}
			if !fault.Is(err, tt.kind) || tt.code != "" && !fault.HasCode(err, tt.code) {
				t.Errorf("err = %v (%v), want %v %s", err, fault.KindOf(err), tt.kind, tt.code)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "169.254")) {
				t.Errorf("the error says too much: %v", err)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// dripping gives a byte after each pause, and then nothing more.
type dripping struct {
	r      *http.Request
	pauses []time.Duration
}

func (d *dripping) Read(p []byte) (int, error) {
	pause := time.Hour
	if len(d.pauses) > 0 {
		pause, d.pauses = d.pauses[0], d.pauses[1:]
	}
	select {
	case <-time.After(pause):
		p[0] = 'x'
		return 1, nil
	case <-d.r.Context().Done():
		return 0, d.r.Context().Err()
	}
}

func (d *dripping) Close() error { return nil }

// TestStall: a slow answer is read, one that does not go on is not waited for.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{Stall: 10 * time.Second, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: &dripping{r, []time.Duration{8 * time.Second, 9 * time.Second}}}, nil
		})})
		src, err := c.Source(connect.Place{URL: "http://slow.example/x.csv"})
		if err != nil {
			t.Fatal(err)
		}
		r, err := src.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got, err := io.ReadAll(r.Text)
		if string(got) != "xx" || !fault.HasCode(err, "Error0072") {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

const atom = `<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom" xmlns:d="` + nsData + `" xmlns:m="` + nsMeta + `">
 <entry><link rel="next" href="not/this"/><content><m:properties><d:Id m:type="Edm.Int32">1</d:Id><d:Name>a &amp; b</d:Name><d:Price m:type="Edm.Decimal">1.50</d:Price><d:At m:type="Edm.DateTime">2020-01-01T00:00:00</d:At></m:properties></content></entry>
 <entry><content><m:properties><d:Id m:type="Edm.Int32">2</d:Id><d:Name m:null="true"/><d:Price m:type="Edm.Decimal">2</d:Price><d:At m:type="Edm.DateTime" m:null="true"/></m:properties></content></entry>
 %s</feed>`

func TestFeed(t *testing.T) {
	var calls atomic.Int64
	mux := http.NewServeMux()
	pages := map[string]string{
		"/v4":      `{"@odata.context":"x","value":[{"@odata.id":"u","Id":1,"Name":"007","Rate":0.5,"On":true,"At":"2020-01-01T00:00:00Z","Tags":["a"]},{"Id":3000000000,"Name":null}],"@odata.nextLink":"v4b?$skip=2"}`,
		"/v4b":     `{"value":[{"Id":2,"Extra":7,"Name":"c"}]}`,
		"/v2":      `{"d":{"results":[{"__metadata":{"uri":"u"},"Id":1,"At":"/Date(1577836800000)/","Big":"9007199254740993","Orders":{"__deferred":{"uri":"u"}}}],"__next":"HOST/v2b"}}`,
		"/v2b":     `{"d":{"results":[{"__metadata":{},"Id":-5,"At":null,"Big":"2"}]}}`,
		"/v1":      `{"d":[{"Id":1},{"Id":2.5}]}`,
		"/atom":    fmt.Sprintf(atom, `<link rel="next" href="atom2"/>`),
		"/atom2":   fmt.Sprintf(atom, ""),
		"/away":    `{"value":[{"Id":1}],"@odata.nextLink":"http://other.example/x"}`,
		"/circle":  `{"value":[{"Id":1}],"@odata.nextLink":"circle2"}`,
		"/circle2": `{"value":[{"Id":2}],"@odata.nextLink":"/circle"}`,
		"/empty":   `{"value":[]}`,
		"/object":  `{"Id":1}`,
		"/garbage": `hello`,
		"/page":    `<html><body/></html>`,
		"/twice":   `{"value":[{"Id":1,"Id":2}]}`,
		"/torn":    `{"value":[{"Id":1`,
	}
	var s *httptest.Server
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		body, ok := pages[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		io.WriteString(w, strings.ReplaceAll(body, "HOST", s.URL))
	})
	s = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	c := New(Config{Transport: guarded(), MaxBytes: 8 << 10})
	for path, want := range map[string]string{
		"/v4":      "Id Int64,Name String,Rate Double,On Boolean,At DateTime,Tags String,Extra Int32|1,007,0.5,True,2020-01-01T00:00:00,\"[\"\"a\"\"]\",|3000000000,,,,,,|2,c,,,,,7",
		"/v2":      "Id Int32,At DateTime,Big String|1,2020-01-01T00:00:00,9007199254740993|-5,,2",
		"/v1":      "Id Double|1|2.5",
		"/atom":    "Id Int32,Name String,Price Double,At DateTime|1,a & b,1.5,2020-01-01T00:00:00|2,,2,|1,a & b,1.5,2020-01-01T00:00:00|2,,2,",
		"/empty":   "",
		"/away":    "Error0078",
		"/circle":  "Error0049",
		"/object":  "Error0049",
		"/garbage": "Error0049",
		"/page":    "Error0049",
		"/twice":   "Error0049",
		"/torn":    "Error0049",
		"/absent":  "Error0030",
	} {
		t.Run(path[1:], func(t *testing.T) {
			src, err := c.Feed(connect.Place{Source: connect.OData, URL: s.URL + path})
			if err != nil {
				t.Fatal(err)
			}
			f, err := connect.ReadAll(t.Context(), src, nil, 64<<10)
			if strings.HasPrefix(want, "Error") {
				if !fault.HasCode(err, want) {
					t.Errorf("err = %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range f.Schema() {
				got = append(got, c.Name+" "+c.Type.String())
			}
			_, rows, _ := strings.Cut(string(frame.AppendCSV(nil, f, ',')), "\n")
			if text := strings.TrimSuffix(strings.Join(got, ",")+"|"+strings.ReplaceAll(rows, "\n", "|"), "|"); text != want {
				t.Errorf("got  %s\nwant %s", text, want)
			}
		})
	}
}

// FuzzRead: no page of a feed may panic, or leave rows of different lengths.
func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"value":[{"a":1}]}`, `{"d":{"results":[{"a":"/Date(1)/"}]}}`, fmt.Sprintf(atom, ""), `{"value":[{"a":null},{"b":true}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		g := &connect.Gather{Limit: 1 << 20}
		if _, err := readPage(g, page); err != nil {
			return
		}
		r, err := g.Records()
		if err != nil {
			return
		}
		if rows, err := r.Next(t.Context()); err == nil {
			if err := rows.Check(); err != nil {
				t.Error(err)
			}
		}
	})
}
