package webservices

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/cespare/webtest"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/registry/registrytest"
	"github.com/portico-ml/portico/shared/storage"
)

// jwt makes of the world's verifier, whose tokens are names, one of tokens that
// look like JWTs.
type jwt struct{ w *registrytest.World }

func (v jwt) Verify(ctx context.Context, bearer string) (auth.Identity, error) {
	parts := strings.Split(bearer, ".")
	return v.w.Verify(ctx, parts[1])
}

// router serves the function over a world whose blobs are at models.example.
func router(w *registrytest.World) *web.Router {
	rt := web.NewRouter(web.Options{PublicURL: "https://ml.example.com"})
	blobs := blob.New(blob.Config{Own: func(_ context.Context, u *url.URL, write bool) (storage.Blobs, string, bool, error) {
		if u.Host != "models.example" || write {
			return nil, "", true, fault.New(fault.BadArgument, "AddressRefused", "%s may not be reached from here", u.Host)
		}
		return w.Store.Drop, strings.TrimPrefix(u.Path, "/drop/"), true, nil
	}})
	New(w.Registry, w.Catalog, jwt{w}, blobs).Register(rt)
	return rt
}

// stage is a registrytest.Stage with models to put in place of the service's.
func stage(t testing.TB) *registrytest.Stage {
	t.Helper()
	s := registrytest.NewStage(t)
	for name, body := range map[string][]byte{
		"better.ilearner": registrytest.Model(t, 2),
		"broken.ilearner": []byte("ilearner, but not"),
	} {
		if _, err := s.Store.Drop.Put(t.Context(), "models/"+name, body, nil, storage.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestScripts(t *testing.T) {
	for _, name := range []string{"services", "endpoints", "patch"} {
		s := stage(t)
		known := map[string]string{"service": s.Service, "live": s.Live, "staged": s.Staged}
		for name, id := range s.IDs {
			known[name] = id
		}
		for name, bearer := range s.Credentials(t) {
			if strings.HasSuffix(bearer, "==") {
				known[name] = bearer
			}
		}
		webtest.TestHandler(t, "testdata/"+name+".txt", s.Script(router(s.World), known))
	}
}

// TestRights is the table of every call of this API that can move an endpoint,
// against everybody who can come.
func TestRights(t *testing.T) {
	const (
		authors   = "ann,alf,dora,dave,olga,token"
		deployers = "dora,dave,olga"
		resources = `{"Resources":[{"Name":"` + registrytest.Resource + `","Location":{"BaseLocation":"https://models.example/","RelativeLocation":"drop/models/better.ilearner","SasBlobToken":"?sp=r&sig=x"}}]}`
	)
	calls := []struct {
		call string
		may  string
		move []string
	}{
		{`DELETE `, deployers, []string{"staging", "default", "shop"}},
		{`PUT /endpoints/new {"ThrottleLevel":"High"}`, authors, []string{"new"}},
		{`PUT /endpoints/default {}`, "", nil},
		{`PUT /endpoints/staging {}`, "", nil},
		{`DELETE /endpoints/shop`, authors, []string{"shop"}},
		{`DELETE /endpoints/default`, "", nil},
		{`DELETE /endpoints/staging`, "", nil},
		{`POST /endpoints/shop/refresh {"OverwriteResources":"True"}`, authors, []string{"shop"}},
		{`POST /endpoints/default/refresh {"OverwriteResources":"True"}`, "", nil},
		{`POST /endpoints/staging/refresh {"OverwriteResources":"True"}`, "", nil},
		{`PATCH /endpoints/shop ` + resources, authors + ",key of shop", []string{"shop"}},
		{`PATCH /endpoints/staging ` + resources, authors, []string{"staging"}},
		{`PATCH /endpoints/default ` + resources, authors, []string{"staging"}}, // files a promotion
		{`PATCH /endpoints/shop {"Description":"x"}`, authors, nil},
		{`PATCH /endpoints/staging {"Description":"x"}`, authors, nil},
		{`PATCH /endpoints/default {"MaxConcurrentCalls":"200"}`, deployers, nil},
	}
	var cells []registrytest.Cell
	everybody := registrytest.NewStage(t).Credentials(t)
	for _, c := range calls {
		for by := range everybody {
			may := false
			for _, name := range strings.Split(c.may, ",") {
				may = may || name == by
			}
			cells = append(cells, registrytest.Cell{Call: c.call, By: by, May: may, Move: c.move})
		}
	}
	registrytest.Check(t, cells, func(s *registrytest.Stage, what, bearer string) (int, string) {
		if _, err := s.Store.Drop.Put(context.Background(), "models/better.ilearner", registrytest.Model(t, 2), nil, storage.Condition{}); err != nil {
			return 0, err.Error()
		}
		method, rest, _ := strings.Cut(what, " ")
		path, body, _ := strings.Cut(rest, " ")
		return call(s, method, "/workspaces/"+registrytest.Workspace+"/webservices/"+s.Service+path, body, bearer)
	})
}

func call(s *registrytest.Stage, method, path, body, bearer string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if bearer != "" && !strings.HasSuffix(bearer, "==") {
		bearer = "h." + bearer + ".s"
	}
	if bearer != "" {
		r.Header.Set("Authorization", "bearer  "+bearer)
	}
	rec := httptest.NewRecorder()
	router(s.World).ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

// The keys in an answer are those that the caller may see: of default, a
// deployer's; never with an endpoint's own key those of another.
func TestKeysShown(t *testing.T) {
	s := stage(t)
	all := s.Credentials(t)
	for by, want := range map[string]string{
		"rita": "", "ann": "shop staging", "token": "shop staging", "dora": "default shop staging", "olga": "default shop staging",
	} {
		status, body := call(s, http.MethodGet, "/workspaces/"+registrytest.Workspace+"/webservices/"+s.Service+"/endpoints", "", all[by])
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", by, status, body)
		}
		var es []struct {
			Name         string
			PrimaryKey   *string
			SecondaryKey *string
		}
		if err := json.Unmarshal([]byte(body), &es); err != nil {
			t.Fatal(err)
		}
		var shown []string
		for _, e := range es {
			if (e.PrimaryKey == nil) != (e.SecondaryKey == nil) {
				t.Errorf("%s sees one key of %s", by, e.Name)
			}
			if e.PrimaryKey != nil {
				shown = append(shown, e.Name)
				if *e.PrimaryKey != all["key of "+e.Name] {
					t.Errorf("%s is shown another key for %s", by, e.Name)
				}
			}
		}
		if got := strings.Join(shown, " "); got != want {
			t.Errorf("%s sees the keys of %q, want %q", by, got, want)
		}
	}
}

// A service of another workspace does not exist, whoever asks.
func TestIsolation(t *testing.T) {
	s := stage(t)
	all := s.Credentials(t)
	const other = "dddddddddddddddddddddddddddddddd"
	for by, bearer := range all {
		status, body := call(s, http.MethodGet, fmt.Sprintf("/workspaces/%s/webservices/%s", other, s.Service), "", bearer)
		if status != http.StatusNotFound && status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", by, status, body)
		}
	}
	if status, _ := call(s, http.MethodGet, fmt.Sprintf("/workspaces/%s/webservices/%s/endpoints/%s/apidocument", other, s.Service, s.IDs["default"]), "", ""); status != http.StatusNotFound {
		t.Errorf("apidocument through another workspace: %d", status)
	}
	if status, _ := call(s, http.MethodGet, fmt.Sprintf("/workspaces/%s/webservices/%s/endpoints/%s/apidocument", registrytest.Workspace, other, s.IDs["default"]), "", ""); status != http.StatusNotFound {
		t.Errorf("apidocument through another service: %d", status)
	}
}
