package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestTreePrefers(t *testing.T) {
	var tree node
	for _, pattern := range []string{
		"/w/{rest...}", "GET /w/{a}", "GET /w/new", "POST /w/{a}/x", "/w/{a}/{b}", "GET /w/{a}/x/{c}", "/w/{$}", "GET /w",
		"PUT /{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}",
	} {
		tree.add(pattern, DefaultTimeout, nil)
	}
	for _, tt := range []struct{ method, path, pattern, values string }{
		{"GET", "/w/new", "GET /w/new", ""},
		{"GET", "/W/NEW", "GET /w/new", ""},
		{"POST", "/w/new", "/w/{rest...}", "new"},
		{"GET", "/w/old", "GET /w/{a}", "old"},
		{"GET", "/w/NEWER", "GET /w/{a}", "NEWER"},
		{"POST", "/w/new/x", "POST /w/{a}/x", "new"},
		{"GET", "/w/new/x", "/w/{a}/{b}", "new x"},
		{"GET", "/w/new/x/y", "GET /w/{a}/x/{c}", "new y"},
		{"POST", "/w/new/x/y", "/w/{rest...}", "new/x/y"},
		{"POST", "/w/new/x/", "/w/{rest...}", "new/x/"},
		{"POST", "/w/a%2Fb/x", "POST /w/{a}/x", "a/b"},
		{"POST", "/w/a%2Fb/%78", "POST /w/{a}/x", "a/b"},
		{"POST", "/w/a b/.x/ä", "/w/{rest...}", "a b/.x/ä"},
		{"POST", "/w/a%2Fb/y/%2E%2E", "/w/{rest...}", "a/b/y/.."},
		{"POST", "/w/", "/w/{$}", ""},
		{"GET", "/w", "GET /w", ""},
		{"POST", "/w", "", ""},
		{"PUT", "/1/2/3/4/5/6/7/8/9/0", "PUT /{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}", "1 2 3 4 5 6 7 8 9 0"},
		{"GET", "/w//x", "", ""},
		{"GET", "/w/../w", "", ""},
		{"GET", "/", "", ""},
		{"OPTIONS", "*", "", ""},
	} {
		u := &url.URL{Path: tt.path}
		if strings.Contains(tt.path, "%") {
			u = mustParse(t, tt.path)
		}
		r, values := tree.route(tt.method, u, make([]string, 0, fewWildcards))
		switch {
		case r == nil && tt.pattern != "":
			t.Errorf("%s %s: nothing, want %s", tt.method, tt.path, tt.pattern)
		case r != nil && (r.pattern != tt.pattern || strings.Join(values, " ") != tt.values || len(values) != len(r.names)):
			t.Errorf("%s %s: %s %q, want %q %q", tt.method, tt.path, r.pattern, values, tt.pattern, tt.values)
		}
	}
}

func mustParse(t *testing.T, path string) *url.URL {
	u, err := url.ParseRequestURI(path)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestTreeRefusesPatterns(t *testing.T) {
	for _, patterns := range [][]string{
		{""},
		{"GET"},
		{"GET x"},
		{"/a//b"},
		{"/a/"},
		{"/{}"},
		{"/{a"},
		{"/a}"},
		{"/x{a}"},
		{"/{rest...}/a"},
		{"/{$}/a"},
		{"GET /a", "GET /A"},
		{"/{a}", "/{b}"},
		{"/a/{b...}", "/a/{c...}"},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q were taken", patterns)
				}
			}()
			var tree node
			for _, p := range patterns {
				tree.add(p, DefaultTimeout, nil)
			}
		}()
	}
}

// FuzzTree holds the tree to http.ServeMux, where the letters' case, HEAD,
// redirections, and segments that are a slash, which ServeMux takes for the
// path's last one, do not part them.
func FuzzTree(f *testing.F) {
	patterns := []string{
		"/", "GET /a", "POST /a", "/a/{rest...}", "GET /a/{x}", "GET /a/b", "PUT /a/{x}/c", "/a/{x}/{y}", "GET /a/b/{y}/d", "/c/{x}/{y}/{z}/{rest...}", "/{x}", "/c.../d", "/b/{x}/c", "/b/{x}", "/{$}",
	}
	var tree node
	var mux http.ServeMux
	for _, p := range patterns {
		if p != "/" {
			tree.add(p, DefaultTimeout, nil)
		}
		mux.Handle(p, http.NotFoundHandler())
	}
	for _, path := range []string{"/", "/a", "/a/", "/a/b", "/a/b/c", "/a/b/c/d", "/b/x/c", "/b", "/c/x/y/z/w/", "/c.../d", "/a/x%2f/c", "/a/%zz", "/A", "/a//b"} {
		for _, method := range []string{"GET", "PUT", "POST"} {
			f.Add(method, path)
		}
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || strings.ToLower(path) != path || unclean(u.EscapedPath()) || strings.Contains(path, "/%2f") || slices.Contains([]string{"HEAD", "CONNECT"}, method) {
			return
		}
		to, want := mux.Handler(&http.Request{Method: method, URL: u})
		if fmt.Sprintf("%T", to) == "*http.redirectHandler" {
			return
		}
		got := "/"
		if r, _ := tree.route(method, u, nil); r != nil {
			got = r.pattern
		}
		if got != want {
			t.Errorf("%q %q: %q, want %q", method, path, got, want)
		}
	})
}
