package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/config"
	"github.com/portico-ml/portico/shared/host/azfunc"
	"github.com/portico-ml/portico/shared/host/layout"
	"github.com/portico-ml/portico/shared/telemetry"
)

// environment returns the settings of a program on the embedded store.
func environment(t *testing.T) map[string]string {
	t.Helper()
	issuer, err := auth.NewLocalIssuer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return trusting(t, issuer)
}

func trusting(t *testing.T, issuer *auth.LocalIssuer) map[string]string {
	t.Helper()
	is := issuer.Issuer()
	issuers, err := json.Marshal([]config.Issuer{{Issuer: is.Name, Audiences: is.Audiences, JWKS: is.JWKS, OperatorRole: is.OperatorRole}})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"FUNCTIONS_CUSTOMHANDLER_PORT": "1",
		"PORTICO_STORE":                t.TempDir(),
		"PORTICO_MASTER_KEYS":          "k1:" + base64.StdEncoding.EncodeToString([]byte("an example of thirty-two bytes..")),
		"PORTICO_ISSUERS":              string(issuers),
	}
}

func load(t *testing.T, env map[string]string) (*app, config.Config) {
	t.Helper()
	cfg, problems := config.Load(func(name string) string { return env[name] })
	a := newApp(cfg, problems, telemetry.New(telemetry.Options{Out: io.Discard}), nil)
	t.Cleanup(func() { a.close(t.Context()) })
	return a, cfg
}

// sources is the script root that staging makes of this repository.
func sources(t *testing.T) *layout.App {
	t.Helper()
	root := fstest.MapFS{}
	repo := os.DirFS("..")
	files, err := fs.Glob(repo, "functions/*/function.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(files, "host.json") {
		b, err := fs.ReadFile(repo, f)
		if err != nil {
			t.Fatal(err)
		}
		root[strings.TrimPrefix(f, "functions/")] = &fstest.MapFile{Data: b}
	}
	app, err := layout.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// TestFolders: every folder is a function and a package, and there is no other.
func TestFolders(t *testing.T) {
	app := sources(t)
	var names, folders []string
	for _, f := range app.Functions {
		names = append(names, f.Name)
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() == "testdata" {
			continue
		}
		folders = append(folders, e.Name())
		code, err := filepath.Glob(filepath.Join(e.Name(), "*.go"))
		if err != nil || len(code) == 0 {
			t.Errorf("functions/%s has no code: %v", e.Name(), err)
		}
	}
	if diff := cmp.Diff(names, folders); diff != "" {
		t.Errorf("function.json files against folders:\n%s", diff)
	}
}

// TestTriggers: the functions that are not HTTP are exactly those registered.
func TestTriggers(t *testing.T) {
	a, _ := load(t, environment(t))
	declared, registered := map[string]azfunc.Kind{}, map[string]azfunc.Kind{}
	for _, f := range sources(t).Functions {
		switch f.Trigger.Type {
		case layout.QueueTrigger:
			declared[f.Name] = azfunc.Queue
		case layout.TimerTrigger:
			declared[f.Name] = azfunc.Timer
		}
	}
	for name, tr := range a.triggers {
		registered[name] = tr.Kind
	}
	if diff := cmp.Diff(declared, registered); diff != "" {
		t.Errorf("declared against registered:\n%s", diff)
	}
}

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// example returns a method and an address that a pattern matches.
func example(pattern string) (method string, u *url.URL) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = "", pattern
	}
	path = wildcard.ReplaceAllStringFunc(path, func(w string) string {
		switch {
		case w == "{$}":
			return ""
		case strings.HasSuffix(w, "...}"):
			return "a/b"
		}
		return "x1"
	})
	return method, &url.URL{Path: path}
}

// TestRoutes: the host lets through what a handler is registered for, and
// nothing is let through that no handler is registered for.
func TestRoutes(t *testing.T) {
	a, _ := load(t, environment(t))
	app := sources(t)
	served := map[string]map[string]bool{} // function -> methods
	for _, pattern := range a.router.Routes() {
		method, u := example(pattern)
		f, ok := app.Find(u)
		if !ok {
			t.Errorf("no function.json lets %q through", pattern)
			continue
		}
		if served[f.Name] == nil {
			served[f.Name] = map[string]bool{}
		}
		methods := []string{strings.ToLower(method)}
		if method == "" {
			methods = f.Trigger.Methods
		}
		for _, m := range methods {
			served[f.Name][m] = true
			if !slices.Contains(f.Trigger.Methods, m) {
				t.Errorf("function.json of %s does not list the method of %q", f.Name, pattern)
			}
		}
	}
	for _, f := range app.Functions {
		for _, m := range f.Trigger.Methods {
			if m == "options" { // preflights, which the adapter answers
				continue
			}
			if !served[f.Name][m] {
				t.Errorf("function.json of %s lists %s, but no handler is registered for it", f.Name, m)
			}
		}
	}
	for name := range a.triggers {
		for _, m := range []string{"GET", "POST", "PUT", "DELETE"} {
			if p := a.router.Match(m, &url.URL{Path: "/" + name}); p != "" {
				t.Errorf("%s /%s, the address of envelopes, is also %q", m, name, p)
			}
		}
	}
}

// TestBadSettings: the process answers, and names what is wrong everywhere but
// on the page and the liveness probe.
func TestBadSettings(t *testing.T) {
	tests := []struct{ setting, value string }{
		{"PORTICO_MASTER_KEYS", ""},
		{"PORTICO_MASTER_KEYS", "k1:" + base64.StdEncoding.EncodeToString(make([]byte, 32))}, // not random
		{"PORTICO_STORE", "/dev/null/x"},
		{"PORTICO_ISSUERS", "[]x"},
		{"PORTICO_MAX_ROWS", "many"},
		{"PORTICO_LISTEN", "x"},
		{"WEBSITE_INSTANCE_ID", "1"}, // with a file: key set
	}
	for _, tt := range tests {
		t.Run(tt.setting+"="+tt.value, func(t *testing.T) {
			env := environment(t)
			env[tt.setting] = tt.value
			named := tt.setting
			if named == "WEBSITE_INSTANCE_ID" {
				named = "PORTICO_ISSUERS"
			}
			a, cfg := load(t, env)
			h := a.handler(cfg)
			do := func(method, path string, header ...string) *httptest.ResponseRecorder {
				r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader("{}"))
				for i := 0; i < len(header); i += 2 {
					r.Header.Set(header[i], header[i+1])
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return w
			}
			for _, path := range []string{"/workspaces/w/services/e/execute", "/manage/workspaces", "/nothing"} {
				w := do("POST", path)
				if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), named) || !strings.Contains(w.Body.String(), `"ServiceUnavailable"`) || w.Header().Get("Retry-After") == "" {
					t.Errorf("%s: %d %s", path, w.Code, w.Body)
				}
				if tt.value != "" && len(tt.value) > 3 && strings.Contains(w.Body.String(), tt.value) {
					t.Errorf("%s shows the value: %s", path, w.Body)
				}
			}
			if w := do("GET", "/health/ready"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), named) {
				t.Errorf("ready: %d %s", w.Code, w.Body)
			}
			if w := do("GET", "/health/live"); w.Code != http.StatusOK {
				t.Errorf("live: %d", w.Code)
			}
			if w := do("GET", "/", "X-Forwarded-Host", "h"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), named) {
				t.Errorf("home: %d %s", w.Code, w.Body)
			}
			// The queues keep their messages: an envelope is refused.
			if w := do("POST", "/besjob", "X-Azure-Functions-InvocationId", "12345678"); w.Code/100 == 2 {
				t.Errorf("an envelope was acknowledged: %d", w.Code)
			}
		})
	}
}

// TestAnotherRing: a process whose ring is not the one that the store's keys
// were made from does nothing, says which setting is wrong, and leaves the
// store as it was.
func TestAnotherRing(t *testing.T) {
	env := environment(t)
	ready := func(want int) {
		t.Helper()
		a, cfg := load(t, env)
		h := a.handler(cfg)
		do := func(method, path string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader("{}")))
			return w
		}
		if w := do("GET", "/health/ready"); w.Code != want || (want != http.StatusOK) != strings.Contains(w.Body.String(), `"name":"PORTICO_MASTER_KEYS"`) {
			t.Errorf("ready: %d %s, want %d", w.Code, w.Body, want)
		}
		id := strings.Repeat("1", 32)
		w := do("GET", "/workspaces/"+id+"/services/"+id+"/swagger.json")
		if named := strings.Contains(w.Body.String(), "PORTICO_MASTER_KEYS"); named != (want != http.StatusOK) {
			t.Errorf("swagger: %d %s", w.Code, w.Body)
		}
	}
	mine := env["PORTICO_MASTER_KEYS"]
	ready(http.StatusOK)
	env["PORTICO_MASTER_KEYS"] = "k1:" + base64.StdEncoding.EncodeToString([]byte("another one of thirty-two bytes.."))
	ready(http.StatusServiceUnavailable)
	env["PORTICO_MASTER_KEYS"] = mine
	ready(http.StatusOK)
}

// TestReady: with good settings the probe opens the store and finds it well.
func TestReady(t *testing.T) {
	env := environment(t)
	a, _ := load(t, env)
	w := httptest.NewRecorder()
	a.router.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/health/ready", nil))
	if w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
