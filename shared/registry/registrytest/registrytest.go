// Package registrytest sets up what the functions over the registry need in
// their tests: an embedded store, a workspace with a member of each role, and
// a handler for test scripts in which ids, digests, keys and times have names.
package registrytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

// Ids of the world.
const (
	Workspace  = "0123456789abcdef0123456789abcdef"
	Experiment = "11111111111111111111111111111111"
	Issuer     = "https://idp.example"
)

// The people of the world, by the bearer token they send. nick has no role,
// opal is an operator of the app and no member.
var people = map[string]auth.Role{
	"rita": auth.Reader, "ann": auth.Author, "alf": auth.Author, "dora": auth.Deployer, "dave": auth.Deployer, "olga": auth.Owner, "nick": auth.None, "opal": auth.None,
}

// World is a store with a workspace, and what stands on it.
type World struct {
	Store    *storage.Store
	Ring     *auth.Ring
	Catalog  *catalog.Catalog
	Registry *registry.Registry

	mu       sync.Mutex
	manifest []byte // what publishing finds
	refusal  error  // or why it cannot
}

// New returns a new world whose deployments load whatever is in them.
func New(t testing.TB) *World {
	t.Helper()
	st, err := sqlite.Open(t.TempDir(), sqlite.Options{Sign: func(_ context.Context, container, key, perm string, _ time.Time) (storage.SignedURL, error) {
		return storage.SignedURL{Base: "https://store.example/", Path: container + "/" + key, Query: "?sp=" + perm + "&sig=x"}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	ring, err := auth.NewRing("TEST_RING", auth.MasterKey{Name: "k1", Key: []byte("0123456789abcdef0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	w := &World{Store: &st.Store, Ring: ring}
	w.Catalog = catalog.New(st.Tables, artifact.New(st.Blobs), ring)
	w.Registry = registry.New(w.Store, ring, registry.Options{
		Load: func(ctx context.Context, ws, digest string) (*scoring.Deployment, int64, error) {
			m, err := w.Registry.Manifest(ctx, ws, digest)
			return &scoring.Deployment{Digest: digest, Manifest: m}, 1, err
		},
	})
	n := catalog.NewWorkspace{ID: Workspace, Name: "Telecom"}
	for name, role := range people {
		if role != auth.None {
			n.Members = append(n.Members, catalog.Member{Kind: catalog.Person, Issuer: Issuer, Value: name, Name: name, Role: role})
		}
	}
	if _, err := w.Catalog.CreateWorkspace(t.Context(), n, auth.Identity{Issuer: Issuer, Subject: "opal", Operator: true}); err != nil {
		t.Fatal(err)
	}
	w.Run("one")
	return w
}

// Verify is the verifier of the world: a person's name is their token.
func (w *World) Verify(_ context.Context, bearer string) (auth.Identity, error) {
	if _, ok := people[bearer]; !ok {
		return auth.Identity{}, fault.New(fault.Unauthorized, "AdminRequestUnauthorized", "the token is not valid")
	}
	return auth.Identity{Issuer: Issuer, Subject: bearer, Name: strings.ToUpper(bearer[:1]) + bearer[1:], Operator: bearer == "opal"}, nil
}

// Actor is the person called name, as the registry knows them.
func (w *World) Actor(name string) registry.Actor {
	id, _ := w.Verify(context.Background(), name)
	return registry.Member(id, people[name])
}

// Manifest is the manifest of a service told from others by salt; its input
// has column "x" besides "age" where salt begins with "x".
func Manifest(salt string, assets ...service.Asset) []byte {
	m := service.Manifest{
		Format: 1, Graph: json.RawMessage(fmt.Sprintf(`{"salt":%q}`, salt)), Assets: assets,
		Inputs:  []service.Port{{Name: "input1", Schema: frame.Schema{{Name: "age", Type: frame.Int32}}}},
		Outputs: []service.Port{{Name: "output1", Schema: frame.Schema{{Name: "Scored Labels", Type: frame.String}}}},
	}
	if strings.HasPrefix(salt, "x") {
		m.Inputs[0].Schema = append(m.Inputs[0].Schema, frame.Field{Name: "x", Type: frame.Double})
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// Run makes the experiment's last successful run one of salt; Edit makes the
// experiment one that was edited since.
func (w *World) Run(salt string, assets ...service.Asset) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.manifest, w.refusal = Manifest(salt, assets...), nil
}

// Edit is described at Run.
func (w *World) Edit() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusal = fault.New(fault.InvalidOperation, runs.CodeEdited, "the experiment was edited since its last successful run")
}

// Deployable is the publisher of the world.
func (w *World) Deployable(_ context.Context, ws, experiment string) (*runs.Deployable, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ws != Workspace || experiment != Experiment {
		return nil, fault.New(fault.NotFound, "ExperimentNotFound", "the experiment does not exist")
	}
	if w.refusal != nil {
		return nil, w.refusal
	}
	return &runs.Deployable{
		Manifest: w.manifest, Name: "Churn", ExperimentID: experiment, RunID: "22222222222222222222222222222222", RunBy: Issuer + "|ann",
		Warnings: []string{"node n3 (Clean Missing Data) is frozen"},
	}, nil
}

// Publish publishes a run of salt by ann.
func (w *World) Publish(t testing.TB, salt string, assets ...service.Asset) *registry.Published {
	t.Helper()
	p, err := w.Registry.Publish(t.Context(), Workspace, w.Actor("ann"), registry.Publication{ExperimentID: Experiment, Name: "Churn", Manifest: Manifest(salt, assets...)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Call is a successful call of the endpoint, for the evidence.
func (w *World) Call(ctx context.Context, endpoint string) error {
	t, err := w.Registry.Resolve(ctx, Workspace, endpoint)
	if err != nil {
		return err
	}
	if _, err := t.Serving(); err != nil {
		return err
	}
	w.Registry.Count(t, registry.Call{Rows: 1})
	return w.Registry.Evidence(ctx, t)
}

// Promote takes what staging serves into production: asked for by ann,
// approved by dora.
func (w *World) Promote(t testing.TB, p *registry.Published) {
	t.Helper()
	ctx := t.Context()
	if err := w.Call(ctx, p.Staging.ID); err != nil {
		t.Fatal(err)
	}
	q, err := w.Registry.RequestPromotion(ctx, Workspace, p.Service.ID, w.Actor("ann"), registry.Request{Digest: p.Digest})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Registry.Approve(ctx, Workspace, p.Service.ID, q.Number, w.Actor("dora"), registry.Decision{Expect: &q.Against, Acknowledge: "breaking"}); err != nil {
		t.Fatal(err)
	}
}

// what a script names, in the order in which it appears in answers.
var named = []struct {
	kind    string
	pattern *regexp.Regexp
}{
	{"digest", regexp.MustCompile(`\b[0-9a-f]{64}\b`)},
	{"id", regexp.MustCompile(`\b[0-9a-f]{32}\b`)},
	{"key", regexp.MustCompile(`[A-Za-z0-9+/]{86}==`)},
}

var moment = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`)

// Script wraps h for a test script. In answers, every id that was not seen
// before is called {id1}, {id2}, …, every digest {digest1}, …, every key
// {key1}, …, and each time "{time}"; in requests the names stand for what they
// named. Besides h's own there are
//
//	POST /test/run/{salt}    the experiment has run, and gives another deployment
//	POST /test/edit          the experiment was edited since its run
//	POST /test/call/{id}     a successful call of the endpoint
//
// known are values that have a name from the start.
func (w *World) Script(h http.Handler, known map[string]string) http.Handler {
	names := map[string]string{Workspace: "{ws}", Experiment: "{experiment}"} // value -> name
	values := map[string]string{"{ws}": Workspace, "{experiment}": Experiment}
	for name, value := range known {
		names[value], values["{"+name+"}"] = "{"+name+"}", value
	}
	count := map[string]int{}
	back := func(s string) string {
		for name, value := range values {
			s = strings.ReplaceAll(s, name, value)
		}
		return s
	}
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		var body []byte
		var err error
		if r.Body != nil { // webtest sends GETs without one
			body, err = io.ReadAll(r.Body)
		}
		if err != nil {
			http.Error(out, err.Error(), http.StatusInternalServerError)
			return
		}
		url := back(strings.NewReplacer("%7B", "{", "%7D", "}").Replace(r.URL.String()))
		if rest, ok := strings.CutPrefix(url, "/test/"); ok {
			w.control(out, r, rest)
			return
		}
		in := httptest.NewRequestWithContext(r.Context(), r.Method, url, bytes.NewReader([]byte(back(string(body)))))
		in.Header = r.Header.Clone()
		for _, v := range in.Header {
			for i := range v {
				v[i] = back(v[i])
			}
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, in)
		text := rec.Body.String()
		for _, n := range named {
			text = n.pattern.ReplaceAllStringFunc(text, func(value string) string {
				name, ok := names[value]
				if !ok {
					count[n.kind]++
					name = fmt.Sprintf("{%s%d}", n.kind, count[n.kind])
					names[value], values[name] = name, value
				}
				return name
			})
		}
		text = moment.ReplaceAllString(text, `"{time}"`)
		for k, v := range rec.Header() {
			out.Header()[k] = v
		}
		out.Header().Del("Content-Length")
		out.WriteHeader(rec.Code)
		io.WriteString(out, text)
	})
}

func (w *World) control(out http.ResponseWriter, r *http.Request, rest string) {
	verb, arg, _ := strings.Cut(rest, "/")
	var err error
	switch verb {
	case "run":
		w.Run(arg)
	case "edit":
		w.Edit()
	case "call":
		err = w.Call(r.Context(), arg)
	default:
		err = fmt.Errorf("no such control %q", verb)
	}
	if err != nil {
		http.Error(out, err.Error(), http.StatusInternalServerError)
	}
}
