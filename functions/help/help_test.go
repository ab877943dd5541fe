package help

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/cespare/webtest"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

const ws = "0123456789abcdef0123456789abcdef"

// app is the help function over the real registry.
type app struct {
	router *web.Router
	ids    *strings.Replacer
}

func newApp(t *testing.T) *app {
	st, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	ring, err := auth.NewRing("TEST", auth.MasterKey{Name: "k1", Key: bytes.Repeat([]byte("0123456789abcdef"), 4)})
	if err != nil {
		t.Fatal(err)
	}
	reg := registry.New(&st.Store, ring, registry.Options{
		Load: func(_ context.Context, _, digest string) (*scoring.Deployment, int64, error) {
			return &scoring.Deployment{Digest: digest}, 1, nil // nothing is scored here
		},
	})
	publish := func(name string, m service.Manifest) *registry.Published {
		m.Format, m.Graph = 1, json.RawMessage(`{}`)
		b, err := json.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		p, err := reg.Publish(t.Context(), ws, registry.Actor{ID: "idp|ann", Name: "Ann", Role: auth.Owner}, registry.Publication{
			ExperimentID: service.NewID(), RunID: service.NewID(), Name: name, Manifest: b,
		})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	digest, err := artifact.New(st.Blobs).Put(t.Context(), ws, []byte("a model"))
	if err != nil {
		t.Fatal(err)
	}
	rate := "0.17"
	churn := publish("Churn <b>", service.Manifest{
		Inputs: []service.Port{{Name: "input1", Schema: frame.Schema{
			{Name: "customer's id", Role: frame.ID, Optional: true},
			{Name: "minutes", Type: frame.Double, Nullable: true},
			{Name: "state", Levels: []string{"D'Arcy", "KS"}},
			{Name: "churn", Levels: []string{"no", "yes"}, Role: frame.Label, Optional: true},
		}}},
		Outputs:    []service.Port{{Name: "output1", Schema: frame.Schema{{Name: "Scored Labels", Role: frame.Score, Levels: []string{"no", "yes"}}}}},
		Parameters: []service.Parameter{{Name: "rate", Type: service.ParamDouble, Default: &rate, Description: "by day"}, {Name: "mode", Type: service.ParamString}},
		Assets:     []service.Asset{{Name: "a", Kind: service.TrainedModel, Digest: digest, Resource: "churn model [trained model]"}},
	})
	train := publish("Training", service.Manifest{
		Inputs:    []service.Port{{Name: "input1", Schema: frame.Schema{{Name: "x", Type: frame.Double}}}},
		Outputs:   []service.Port{{Name: "model", Kind: service.TrainedModel}},
		BatchOnly: true,
	})
	a := &app{router: web.NewRouter(web.Options{PublicURL: "https://ml.example.com"})}
	New(reg).Register(a.router)
	a.ids = strings.NewReplacer("CHURNSTAGING", churn.Staging.ID, "CHURNDEFAULT", churn.Default.ID, "CHURN", churn.Service.ID, "TRAIN", train.Service.ID, "TSTAGING", train.Staging.ID)
	return a
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u := *r.URL
	u.Path = a.ids.Replace(u.Path)
	r.URL = &u
	a.router.ServeHTTP(w, r)
}

func (a *app) get(t *testing.T, path string) string {
	t.Helper()
	rec := httptest.NewRecorder()
	a.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
	if rec.Code != 200 {
		t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	return rec.Body.String()
}

func TestScripts(t *testing.T) {
	webtest.TestHandler(t, "testdata/*.txt", newApp(t))
}

// TestCurlIsAShellCommand gives the command of a page to a shell that prints
// what curl would be called with.
func TestCurlIsAShellCommand(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell here")
	}
	a := newApp(t)
	page := a.get(t, "/apihelp/workspaces/"+ws+"/webservices/CHURN/endpoints/CHURNSTAGING/score")
	_, rest, ok := strings.Cut(page, "<pre>curl")
	command, _, ok2 := strings.Cut(rest, "</pre>")
	if !ok || !ok2 {
		t.Fatal(page)
	}
	cmd := exec.CommandContext(t.Context(), sh, "-c", `KEY=k==; curl() { for x; do printf '%s\n' "$x"; done; }; curl`+html.UnescapeString(command))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := a.ids.Replace("-X\nPOST\nhttps://ml.example.com/workspaces/" + ws + "/services/CHURNSTAGING/execute?api-version=2.0&details=true\n-H\nAuthorization: Bearer k==\n-H\nContent-Type: application/json\n--data\n" +
		`{"Inputs":{"input1":{"ColumnNames":["customer's id","minutes","state"],"Values":[["value","1","D'Arcy"]]}},"GlobalParameters":{"mode":""}}` + "\n")
	if string(out) != want {
		t.Errorf("curl is called with\n%s\nwant\n%s", out, want)
	}
}

// TestIDAndNameAgree: an address with the endpoint's name is the one with its
// id.
func TestIDAndNameAgree(t *testing.T) {
	a := newApp(t)
	for _, page := range []string{"", "/score", "/jobs", "/update", "/apidocument"} {
		base := "/apihelp/workspaces/" + ws + "/webservices/CHURN/endpoints/"
		if a.get(t, base+"staging"+page) != a.get(t, base+"CHURNSTAGING"+page) {
			t.Errorf("%q differs between name and id", page)
		}
	}
}
