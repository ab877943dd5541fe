package workbench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cespare/webtest"
	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/functions/workbench"
	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/host/web/scripttest"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/runs/runstest"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

const (
	ws    = "0000000000000000000000000000000a"
	other = "0000000000000000000000000000000b"
)

// people is a verifier whose tokens are names: what a token must be is tested
// where it is verified.
type people struct{}

func (people) Verify(_ context.Context, bearer string) (auth.Identity, error) {
	switch bearer {
	case "reader", "author", "owner", "stranger":
		return auth.Identity{Issuer: "https://i", Subject: bearer, Name: bearer}, nil
	}
	return auth.Identity{}, fault.New(fault.Unauthorized, "ManagementRequestUnauthorized", "the token is not one")
}

type site struct {
	t     *testing.T
	store storage.Store
	runs  *runs.Runs
	http.Handler
}

func newSite(t *testing.T, v workbench.Verifier) *site {
	t.Helper()
	s, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	ring, err := auth.NewRing("TEST", auth.MasterKey{Name: "k1", Key: bytes.Repeat([]byte{1, 2}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New(s.Tables, artifact.New(s.Blobs), ring)
	member := func(name string, role auth.Role) catalog.Member {
		return catalog.Member{Kind: catalog.Person, Issuer: "https://i", Value: name, Role: role}
	}
	for _, w := range []catalog.NewWorkspace{
		{ID: ws, Name: "Telecom", Members: []catalog.Member{member("owner", auth.Owner), member("author", auth.Author), member("reader", auth.Reader)}},
		{ID: other, Name: "Other", Members: []catalog.Member{member("stranger", auth.Owner)}},
	} {
		if _, err := c.CreateWorkspace(t.Context(), w, auth.Identity{}); err != nil {
			t.Fatal(err)
		}
	}
	reg := registry.New(&s.Store, ring, registry.Options{})
	r := runs.New(runs.Config{Store: &s.Store, Catalog: c, Log: slog.New(slog.DiscardHandler)})
	rt := web.NewRouter(web.Options{})
	workbench.New(v, c, r, reg, s.Blobs).Register(rt)
	return &site{t: t, store: s.Store, runs: r, Handler: rt}
}

// script serves the test scripts; POST /drain executes the runs that wait.
func (s *site) script() http.Handler {
	return scripttest.New(s.t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/drain" {
			runstest.Drain(s.t, s.store.Queues, s.runs)
			return
		}
		s.ServeHTTP(w, r)
	}), map[string]string{"ws": ws, "other": other})
}

func TestScripts(t *testing.T) {
	for _, script := range []string{"access", "experiments", "datasets", "runs", "preview", "delete"} {
		t.Run(script, func(t *testing.T) {
			webtest.TestHandler(t, "testdata/"+script+".txt", newSite(t, people{}).script())
		})
	}
}

// do sends a request as the author and decodes the answer.
func (s *site) do(method, path, contentType string, body []byte, answer any) int {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, "/workbench/workspaces/"+ws+path, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer author")
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	switch a := answer.(type) {
	case nil:
	case *[]byte:
		*a = w.Body.Bytes()
	default:
		if err := json.Unmarshal(w.Body.Bytes(), answer); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return w.Code
}

func form(t *testing.T, parts ...string) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	mw := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		var w io.Writer
		var err error
		if parts[i] == "file" {
			w, err = mw.CreateFormFile("file", "model.json")
		} else {
			w, err = mw.CreateFormField(parts[i])
		}
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, parts[i+1])
	}
	if err := mw.Close(); err != nil {
		t.Fatal(err)
	}
	return mw.FormDataContentType(), b.Bytes()
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../infra/samples/churn/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

type version struct {
	Name       string
	Version    int
	Digest     string
	Original   string
	Format     string
	Unverified bool
	Warnings   []string
	Record     struct {
		Imported struct{ Name string }
		Verified bool
		Features []string
		Check    *struct{ Rows int }
	}
}

type problem struct {
	Error struct {
		Code    string
		Details []struct{ Code, Target, Message string }
	}
}

func TestImport(t *testing.T) {
	s := newSite(t, people{})
	file, binding, check := read(t, "churn_native.json"), read(t, "churn_native.binding.json"), read(t, "churn_native.expected.csv")

	contentType, body := form(t, "name", "churn model", "file", file, "binding", binding, "check", check)
	var v1 version
	if code := s.do("POST", "/models", contentType, body, &v1); code != 201 {
		t.Fatalf("import: %d", code)
	}
	if v1.Version != 1 || v1.Unverified || !v1.Record.Verified || v1.Record.Check.Rows != 5500 || len(v1.Record.Features) != 19 || v1.Format != "XGBoost JSON" {
		t.Errorf("imported %+v", v1)
	}
	if v1.Original != artifact.Digest([]byte(file)) {
		t.Error("the original is not the file")
	}

	// Without check it is unverified, and says so; the model is the same.
	contentType, body = form(t, "file", file, "binding", binding)
	var v2 version
	if code := s.do("POST", "/models/churn%20model", contentType, body, &v2); code != 201 {
		t.Fatalf("import: %d", code)
	}
	if v2.Version != 2 || !v2.Unverified || v2.Digest != v1.Digest || len(v2.Warnings) == 0 || !strings.Contains(v2.Warnings[0], "unverified") {
		t.Errorf("imported without check %+v", v2)
	}

	var list struct{ Models []version }
	s.do("GET", "/models", "", nil, &list)
	if len(list.Models) != 1 || list.Models[0].Version != 2 || !list.Models[0].Unverified {
		t.Errorf("list %+v", list)
	}
	var versions struct{ Versions []struct{ Version int } }
	s.do("GET", "/models/churn%20model", "", nil, &versions)
	if d := cmp.Diff([]struct{ Version int }{{2}, {1}}, versions.Versions); d != "" {
		t.Error(d)
	}
	var one version
	s.do("GET", "/models/churn%20model/versions/1", "", nil, &one)
	if one.Digest != v1.Digest || !one.Record.Verified {
		t.Errorf("version 1: %+v", one)
	}
	var original, ilearner []byte
	s.do("GET", "/models/churn%20model/versions/1/original", "", nil, &original)
	if string(original) != file {
		t.Error("the original download is not the file")
	}

	// An .ilearner download imports elsewhere as the same model, by upload.
	s.do("GET", "/models/churn%20model/versions/latest/file", "", nil, &ilearner)
	const upload = "000000000000000000000000000000ff/churn.ilearner"
	if _, err := s.store.Blobs.Put(t.Context(), ws+"/uploads/"+upload, ilearner, nil, storage.Condition{}); err != nil {
		t.Fatal(err)
	}
	req, err := json.Marshal(map[string]any{"name": "copy", "file": map[string]string{"upload": "portico/" + ws + "/uploads/" + upload}, "check": map[string]string{"text": check}})
	if err != nil {
		t.Fatal(err)
	}
	var cp version
	if code := s.do("POST", "/models", "application/json", req, &cp); code != 201 || cp.Digest != v1.Digest || cp.Unverified || cp.Format != "ilearner" || cp.Record.Imported.Name != "churn.ilearner" {
		t.Errorf("%d, imported copy %+v", code, cp)
	}

	// A dataset by upload: the format follows from the file's name.
	if _, err := s.store.Blobs.Put(t.Context(), ws+"/uploads/000000000000000000000000000000fe/a.TSV", []byte("a\tb\n1\t2\n"), nil, storage.Condition{}); err != nil {
		t.Fatal(err)
	}
	var table struct{ Format string }
	if code := s.do("POST", "/datasets/tabs", "application/json", []byte(`{"file":{"upload":"000000000000000000000000000000fe/a.TSV"}}`), &table); code != 201 || table.Format != "tsv" {
		t.Errorf("%d, dataset by upload %+v", code, table)
	}

	// The columns may come from a dataset of the workspace.
	var e problem
	if code := s.do("POST", "/datasets/train?format=csv", "text/csv", []byte(read(t, "customers_train.csv")), nil); code != 201 {
		t.Fatalf("dataset: %d", code)
	}
	req, err = json.Marshal(map[string]any{
		"name": "from data", "file": map[string]string{"text": file}, "binding": json.RawMessage(binding),
		"schemaFrom": map[string]string{"dataset": "train"}, "check": map[string]string{"text": check},
	})
	if err != nil {
		t.Fatal(err)
	}
	var fromData version
	if code := s.do("POST", "/models", "application/json", req, &fromData); code != 201 || fromData.Unverified {
		t.Errorf("%d, imported with a dataset's schema %+v", code, fromData)
	}

	lines := strings.Split(check, "\n")
	cells := strings.Split(lines[1], ",")
	cells[len(cells)-1] = "0.5"
	lines[1] = strings.Join(cells, ",")
	for _, tt := range []struct {
		name   string
		parts  []string
		status int
		class  string
		text   string
	}{
		{"no file", []string{"name", "m"}, 400, "BadArgument", "no file"},
		{"no name", []string{"file", file}, 400, "BadArgument", "must not be empty"},
		{"bad name", []string{"name", "a/b", "file", file}, 400, "BadArgument", "must not contain"},
		{"part unknown", []string{"name", "m", "model", file}, 400, "BadArgument", `"model" of the body is not known`},
		{"part twice", []string{"name", "m", "file", file, "name", "n"}, 400, "BadArgument", `"name" twice`},
		{"not a model", []string{"name", "m", "file", "hello"}, 400, "WebServicePackageError", "no format that can be imported"},
		{"a pickle", []string{"name", "m", "file", "\x80\x04junk"}, 400, "WebServicePackageError", "pickle"},
		{"scores differ", []string{"name", "m", "file", file, "binding", binding, "check", strings.Join(lines, "\n")}, 400, "", "row 1"},
		{"binding not JSON", []string{"name", "m", "file", file, "binding", "{"}, 400, "BadUserArgument", "binding"},
	} {
		contentType, body := form(t, tt.parts...)
		code := s.do("POST", "/models", contentType, body, &e)
		if len(e.Error.Details) == 0 {
			t.Errorf("%s: %d %+v", tt.name, code, e)
			continue
		}
		if d := e.Error.Details[0]; code != tt.status || tt.class != "" && e.Error.Code != tt.class || !strings.Contains(d.Message, tt.text) {
			t.Errorf("%s: %d %s %+v, want %d %s saying %q", tt.name, code, e.Error.Code, d, tt.status, tt.class, tt.text)
		}
	}
	for _, tt := range []struct{ body, target, text string }{
		{`{"name":"m"}`, "file", "no file"},
		{`{"name":"m","file":{"upload":"x"}}`, "file", "no upload"},
		{`{"name":"m","file":{"upload":"00000000000000000000000000000001"}}`, "file", "no upload"},
		{`{"name":"m","file":{"upload":"000000000000000000000000000000ff"}}`, "file", "no upload"},
		{`{"name":"m","file":{"upload":"000000000000000000000000000000ff/other.json"}}`, "file", "no upload"},
		{`{"name":"m","file":{"upload":"000000000000000000000000000000ff/../000000000000000000000000000000ff/churn.ilearner"}}`, "file", "no upload"},
		{`{"name":"m","file":{"upload":"portico/` + other + `/uploads/` + upload + `"}}`, "file", "no upload"},
		{`{"name":"m","file":{"upload":"a","text":"b"}}`, "file", "give one of"},
		{`{"name":"m","file":{"text":"b"},"check":{"dataset":"none"}}`, "check", `no dataset is called "none"`},
		{`{"name":"m","files":{}}`, "", "files"},
	} {
		code := s.do("POST", "/models", "application/json", []byte(tt.body), &e)
		if d := e.Error.Details[0]; code/100 != 4 || tt.target != "" && d.Target != tt.target || !strings.Contains(d.Message, tt.text) {
			t.Errorf("%s: %d %+v, want %s saying %q", tt.body, code, d, tt.target, tt.text)
		}
	}
	for contentType, want := range map[string]string{
		"text/plain":                             "an import is multipart/form-data",
		"":                                       "an import is multipart/form-data",
		"multipart/form-data":                    "not multipart/form-data",
		"multipart/form-data; boundary=missing!": "",
	} {
		if code := s.do("POST", "/models", contentType, []byte("x"), &e); code != 400 || !strings.Contains(e.Error.Details[0].Message, want) {
			t.Errorf("%q: %d %+v", contentType, code, e)
		}
	}
	contentType, body = form(t, "name", "m", "file", file)
	if code := s.do("POST", "/models", contentType, body[:len(body)/2], &e); code != 400 || !strings.Contains(e.Error.Details[0].Message, "ends too early") {
		t.Errorf("half a body: %d %+v", code, e)
	}

	// Nothing that was refused is there.
	s.do("GET", "/models", "", nil, &list)
	var names []string
	for _, m := range list.Models {
		names = append(names, m.Name)
	}
	if d := cmp.Diff([]string{"churn model", "copy", "from data"}, names); d != "" {
		t.Error(d)
	}
}

// A dataset by multipart/form-data, as a browser sends it.
func TestDatasetForm(t *testing.T) {
	s := newSite(t, people{})
	var d struct {
		Name    string
		Version int
		Format  string
		Schema  []struct{ Name, Type string }
	}
	contentType, body := form(t, "options", `{"name":"codes","format":"tsv","columns":{"area":{"type":"String"}}}`, "file", "area\tn\n415\t1\n")
	if code := s.do("POST", "/datasets", contentType, body, &d); code != 201 || d.Name != "codes" || d.Format != "tsv" || len(d.Schema) != 2 || d.Schema[0].Type != "String" {
		t.Errorf("%d %+v", code, d)
	}
	var e problem
	for text, parts := range map[string][]string{
		"no part file":                     {"name", "x"},
		`"check" of the body is not known`: {"name", "x", "check", "y"},
		"colums":                           {"options", `{"colums":{}}`, "file", "a\n"},
	} {
		contentType, body := form(t, parts...)
		if code := s.do("POST", "/datasets", contentType, body, &e); code != 400 || !strings.Contains(e.Error.Details[0].Message, text) {
			t.Errorf("%q: %d %+v", parts, code, e)
		}
	}
}

// The real verifier stands before every route.
func TestTokens(t *testing.T) {
	local, err := auth.NewLocalIssuer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	v, err := auth.NewVerifier(auth.Options{Issuers: []auth.Issuer{local.Issuer()}, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, v)
	good, err := local.Sign(auth.Claims{Subject: "ada"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	expired, err := local.Sign(auth.Claims{Subject: "ada"}, -time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, token string
		status      int
	}{
		{"good", good, 200},
		{"expired", expired, 401},
		{"none", "", 401},
		{"alg none", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.", 401},
		{"a scoring key", strings.Repeat("A", 86) + "==", 401},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/workbench/modules", nil)
		r.Header.Set("Authorization", "bearer  "+tt.token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
}
