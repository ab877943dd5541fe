package studioapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cespare/webtest"

	"github.com/portico-ml/portico/functions/studioapi"
	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/host/web/scripttest"
	"github.com/portico-ml/portico/shared/publish"
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

// people is a verifier whose tokens are h.{name}.s: what a token must be is
// tested where it is verified.
type people struct{}

func (people) Verify(_ context.Context, bearer string) (auth.Identity, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(bearer, "h."), ".s")
	switch name {
	case "reader", "author", "deployer", "owner", "stranger":
		return auth.Identity{Issuer: "https://i", Subject: name, Name: name}, nil
	}
	return auth.Identity{}, fault.New(fault.Unauthorized, "ManagementRequestUnauthorized", "the token is not one")
}

type site struct {
	t        *testing.T
	store    storage.Store
	catalog  *catalog.Catalog
	registry *registry.Registry
	runs     *runs.Runs
	function *studioapi.Function
	http.Handler
	known map[string]string // the workspaces, and their tokens
}

// newSite makes a workspace with a member of each role, and another; function
// may put another store under the function.
func newSite(t *testing.T, blobs ...func(storage.Blobs) storage.Blobs) *site {
	t.Helper()
	st, err := sqlite.Open(t.TempDir(), sqlite.Options{Sign: func(_ context.Context, container, key, perm string, _ time.Time) (storage.SignedURL, error) {
		return storage.SignedURL{Base: "https://store.example/", Path: container + "/" + key, Query: "?sp=" + perm + "&sig=x"}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	ring, err := auth.NewRing("TEST", auth.MasterKey{Name: "k1", Key: bytes.Repeat([]byte{1, 2}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, store: st.Store, known: map[string]string{"ws": ws, "other": other}}
	s.catalog = catalog.New(st.Tables, artifact.New(st.Blobs), ring)
	member := func(name string, role auth.Role) catalog.Member {
		return catalog.Member{Kind: catalog.Person, Issuer: "https://i", Value: name, Name: name + "@example.com", Role: role}
	}
	for _, w := range []catalog.NewWorkspace{
		{ID: ws, Name: "Telecom", Description: "all of it", Region: "South Central US", Members: []catalog.Member{
			member("owner", auth.Owner), member("deployer", auth.Deployer), member("author", auth.Author), member("reader", auth.Reader),
		}},
		{ID: other, Name: "Other", Members: []catalog.Member{member("stranger", auth.Owner)}},
	} {
		if _, err := s.catalog.CreateWorkspace(t.Context(), w, auth.Identity{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, of := range map[string]string{"token": ws, "othertoken": other} {
		if s.known[name], s.known[name+"2"], err = s.catalog.Tokens(t.Context(), of); err != nil {
			t.Fatal(err)
		}
	}
	s.registry = registry.New(&s.store, ring, registry.Options{})
	s.runs = runs.New(runs.Config{Store: &s.store, Catalog: s.catalog, Log: slog.New(slog.DiscardHandler)})
	under := s.store.Blobs
	for _, b := range blobs {
		under = b(under)
	}
	s.function = studioapi.New(studioapi.Config{
		Verifier: people{}, Catalog: s.catalog, Registry: s.registry, Runs: s.runs,
		Publisher: publish.New(s.registry, s.catalog, s.runs), Blobs: under,
	})
	rt := web.NewRouter(web.Options{})
	s.function.Register(rt)
	s.Handler = rt
	return s
}

// script serves the test scripts; POST /drain executes the runs that wait.
func (s *site) script() http.Handler {
	return scripttest.New(s.t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/drain" {
			s.drain()
			return
		}
		s.ServeHTTP(w, r)
	}), s.known)
}

func (s *site) drain() {
	s.t.Helper()
	runstest.Drain(s.t, s.store.Queues, s.runs)
}

func TestScripts(t *testing.T) {
	for _, script := range []string{"access", "workspace", "datasets", "upload", "experiments", "deploy", "models", "refusals"} {
		t.Run(script, func(t *testing.T) {
			webtest.TestHandler(t, "testdata/"+script+".txt", newSite(t).script())
		})
	}
}

// do makes a call with a credential in the classic header and decodes its
// answer, which must be a good one.
func (s *site) do(method, path, token, body string, answer any) {
	s.t.Helper()
	code, text := s.call(method, path, token, body)
	if code/100 != 2 {
		s.t.Fatalf("%s %s: %d %s", method, path, code, text)
	}
	if answer == nil {
		return
	}
	if err := json.Unmarshal([]byte(text), answer); err != nil {
		s.t.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
}

func (s *site) call(method, path, token, body string) (int, string) {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("x-ms-metaanalytics-authorizationtoken", token)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}
