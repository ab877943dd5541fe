package rrs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cespare/webtest"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/importer"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

const (
	ws   = "0123456789abcdef0123456789abcdef"
	data = "../../infra/samples/churn/"
)

// app is the rrs function over the real registry and embedded store.
type app struct {
	t      testing.TB
	store  *storage.Store
	reg    *registry.Registry
	fn     *Function
	router *web.Router
	calls  []web.CallInfo
	mu     sync.Mutex

	churn, tariff *registry.Published
}

var author = registry.Actor{ID: "idp|ann", Name: "Ann", Role: auth.Owner}

func newApp(t testing.TB, o Options) *app {
	st, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	a := &app{t: t, store: &st.Store}
	a.open(o)
	a.churn = a.publish("Churn", churnManifest(t, a.store))
	a.tariff = a.publish("Tariff", tariffManifest(t))
	return a
}

// open makes registry and function anew over the store, as another process.
func (a *app) open(o Options) {
	ring, err := auth.NewRing("TEST", auth.MasterKey{Name: "k1", Key: bytes.Repeat([]byte("0123456789abcdef"), 4)})
	if err != nil {
		a.t.Fatal(err)
	}
	a.reg = registry.New(a.store, ring, registry.Options{})
	a.fn = New(a.reg, o)
	a.router = web.NewRouter(web.Options{PublicURL: "https://ml.example.com", Observe: func(_ context.Context, c *web.CallInfo) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.calls = append(a.calls, *c)
	}})
	a.fn.Register(a.router)
}

func (a *app) publish(name string, manifest []byte) *registry.Published {
	p, err := a.reg.Publish(a.t.Context(), ws, author, registry.Publication{
		ExperimentID: service.NewID(), RunID: service.NewID(), Name: name, Manifest: manifest,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return p
}

func (a *app) key(p *registry.Published, endpoint string) string {
	keys, err := a.reg.Keys(a.t.Context(), ws, p.Service.ID, endpoint, author)
	if err != nil {
		a.t.Fatal(err)
	}
	return keys.Primary
}

func (a *app) last() web.CallInfo {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[len(a.calls)-1]
}

func read(t testing.TB, name string) []byte {
	b, err := os.ReadFile(data + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func encode(t testing.TB, m *service.Manifest) []byte {
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// churnManifest is a service that scores with the sample's XGBoost model.
func churnManifest(t testing.TB, st *storage.Store) []byte {
	res, err := importer.Import(importer.Request{
		Name: "churn", File: read(t, "churn_native.json"), Binding: read(t, "churn_native.binding.json"), SchemaFrom: read(t, "customers_train.csv"),
	})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := artifact.New(st.Blobs).Put(t.Context(), ws, res.Artifact)
	if err != nil {
		t.Fatal(err)
	}
	in, err := frame.Inference{Categorical: true}.Infer(read(t, "customers_train.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range in {
		switch in[i].Name {
		case "customer_id":
			in[i].Role, in[i].Levels, in[i].Optional = frame.ID, nil, true
		case "churn":
			in[i].Role, in[i].Optional = frame.Label, true
		}
	}
	scorer, err := mustOpen(t, res.Artifact).Bind(in)
	if err != nil {
		t.Fatal(err)
	}
	var out frame.Schema
	for _, f := range in {
		if f.Role != frame.Label {
			out = append(out, f)
		}
	}
	return encode(t, &service.Manifest{
		Format: 1,
		Graph: json.RawMessage(`{
			"nodes":{"in":{"inputId":"input1"},"model":{"assetId":"model"},"score":{"module":"Score Model","codeVersion":1,"parameters":{}},"out":{"outputId":"output1"}},
			"edges":[{"sourceNodeId":"model","targetNodeId":"score","targetPortId":"Trained model"},{"sourceNodeId":"in","targetNodeId":"score","targetPortId":"Dataset"},{"sourceNodeId":"score","targetNodeId":"out"}],
			"assets":{"model":{"type":"Resource","kind":"TrainedModel","name":"churn model","version":"1"}}}`),
		Assets:  []service.Asset{{Name: "model", Kind: service.TrainedModel, Digest: digest, Resource: "churn model [trained model]"}},
		Inputs:  []service.Port{{Name: "input1", Schema: in}},
		Outputs: []service.Port{{Name: "output1", Schema: append(out, scorer.Fields()...)}},
	})
}

func mustOpen(t testing.TB, b []byte) *model.Model {
	m, err := model.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tariffManifest is a service without a model and with a parameter.
func tariffManifest(t testing.TB) []byte {
	in := frame.Schema{{Name: "id", Type: frame.String, Role: frame.ID, Optional: true}, {Name: "minutes", Type: frame.Double, Nullable: true}}
	rate := "0.17"
	return encode(t, &service.Manifest{
		Format: 1,
		Graph: json.RawMessage(`{
			"nodes":{
				"in":{"inputId":"input1"},
				"math":{"module":"Apply Math Operation","codeVersion":1,"parameters":{"Category":"Operations","Arithmetic operation":"Multiply","Constant operation argument":"0.17","Column set":"minutes","Output mode":"Inplace"}},
				"out":{"outputId":"output1"}},
			"edges":[{"sourceNodeId":"in","targetNodeId":"math"},{"sourceNodeId":"math","targetNodeId":"out"}],
			"graphParameters":{"rate":{"type":"Double","default":"0.17","links":[{"nodeId":"math","parameterKey":"Constant operation argument"}]}}}`),
		Inputs:     []service.Port{{Name: "input1", Schema: in}},
		Outputs:    []service.Port{{Name: "output1", Schema: in}},
		Parameters: []service.Parameter{{Name: "rate", Type: service.ParamDouble, Default: &rate}},
	})
}

// handler puts into a script what it cannot know: ids and keys.
func (a *app) handler() http.Handler {
	expand := strings.NewReplacer(
		"CHURN", a.churn.Staging.ID,
		"TARIFF", a.tariff.Staging.ID, "NOTLIVE", a.tariff.Default.ID,
		"KEYC", a.key(a.churn, service.Staging), "KEYT", a.key(a.tariff, service.Staging), "KEYD", a.key(a.tariff, service.Default),
	)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u := *r.URL
		u.Path = expand.Replace(u.Path)
		r.URL = &u
		if v := r.Header.Get("Authorization"); v != "" {
			r.Header.Set("Authorization", expand.Replace(v))
		}
		a.router.ServeHTTP(w, r)
	})
}

func TestScripts(t *testing.T) {
	a := newApp(t, Options{MaxBody: 4096, MaxRows: 3})
	webtest.TestHandler(t, "testdata/*.txt", a.handler())
}

func TestOptions(t *testing.T) {
	a := newApp(t, Options{})
	for action, want := range map[string]string{"execute": "POST, OPTIONS", "score": "POST, OPTIONS", "swagger.json": "GET, HEAD, OPTIONS"} {
		rec := httptest.NewRecorder()
		a.router.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "OPTIONS", "/workspaces/"+ws+"/services/"+a.tariff.Staging.ID+"/"+action, nil))
		if rec.Code != 204 || rec.Header().Get("Allow") != want {
			t.Errorf("%s: %d, Allow %q", action, rec.Code, rec.Header().Get("Allow"))
		}
	}
}

// post makes a call and returns its answer.
func (a *app) post(p *registry.Published, path, body string) *httptest.ResponseRecorder {
	return a.send(p, path, strings.NewReader(body))
}

func (a *app) send(p *registry.Published, path string, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(a.t.Context(), "POST", "/workspaces/"+ws+"/services/"+p.Staging.ID+path, body)
	r.Header.Set("Authorization", "Bearer "+a.key(p, service.Staging))
	rec := httptest.NewRecorder()
	a.router.ServeHTTP(rec, r)
	return rec
}

// TestLineOfACall looks at what the operator sees of a call.
func TestLineOfACall(t *testing.T) {
	a := newApp(t, Options{})
	rec := a.post(a.tariff, "/execute", `{"Inputs":{"input1":[{"minutes":1},{"minutes":2}]}}`)
	if rec.Code != 200 {
		t.Fatal(rec.Body)
	}
	c := a.last()
	if c.Workspace != ws || c.Service != a.tariff.Service.ID || c.Endpoint != a.tariff.Staging.ID || c.Deployment != a.tariff.Digest ||
		c.Rows != 2 || c.Status != 200 || c.Parse <= 0 || c.Score <= 0 || c.Write <= 0 || c.Code != "" {
		t.Errorf("%+v", c)
	}
	a.post(a.tariff, "/execute", `{"Inputs":{"input1":[{"minutes":"12O"}]}}`)
	if c := a.last(); c.Class != "BadUserArgument" || c.Code != frame.CodeCell || c.Status != 400 {
		t.Errorf("%+v", c)
	}
	if err := a.reg.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	days, err := a.reg.Usage(t.Context(), a.tariff.Staging.ID, time.Now().UTC(), time.Now().UTC())
	if err != nil || len(days) != 1 || days[0].Calls != 2 || days[0].Errors != 1 || days[0].Rows != 2 {
		t.Errorf("%+v, %v", days, err)
	}
}

// TestCallOnStagingIsEvidence: without one a promotion is refused.
func TestCallOnStagingIsEvidence(t *testing.T) {
	a := newApp(t, Options{})
	ask := func() error {
		_, err := a.reg.RequestPromotion(t.Context(), ws, a.tariff.Service.ID, author, registry.Request{Digest: a.tariff.Digest})
		return err
	}
	a.post(a.tariff, "/execute", `{"Inputs":{"input1":[{"minutes":"12O"}]}}`)
	if err := ask(); err == nil {
		t.Fatal("a call that failed let a promotion through")
	}
	a.post(a.tariff, "/score", `{"Instance":{"FeatureVector":{"minutes":"1"}}}`)
	if err := ask(); err != nil {
		t.Error(err)
	}
}

// TestSteadyStateReadsNoStorage counts the calls that reach the store.
func TestSteadyStateReadsNoStorage(t *testing.T) {
	a := newApp(t, Options{})
	counted := faulty.New(*a.store)
	a.store = &counted.Store
	a.open(Options{})
	body := `{"Inputs":{"input1":[{"minutes":1}]}}`
	key := a.key(a.tariff, service.Staging)
	call := func() {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/workspaces/"+ws+"/services/"+a.tariff.Staging.ID+"/execute?api-version=2.0", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+key)
		rec := httptest.NewRecorder()
		a.router.ServeHTTP(rec, r)
		if rec.Code != 200 {
			t.Fatal(rec.Body)
		}
	}
	call() // finds endpoint and deployment, and leaves evidence
	before := len(counted.Calls())
	start := time.Now()
	for range 100 {
		call()
	}
	// The pointer is read again in the background, every two seconds at most:
	// also just after the beginning.
	if n, most := len(counted.Calls())-before, 5+3*int(time.Since(start)/(2*time.Second)); n > most {
		t.Errorf("100 calls made %d calls of storage, %d allowed", n, most)
	}
}

// TestSameTextAloneAndTogether: a row's answer does not depend on its company.
func TestSameTextAloneAndTogether(t *testing.T) {
	a := newApp(t, Options{})
	l, err := frame.NewLayout(a.inputs())
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.CSV{}.Read(read(t, "customers_may.csv"), l)
	if err != nil {
		t.Fatal(err)
	}
	const n = 60
	row := func(lo, hi int) []string {
		var names, rows []string
		for _, c := range f.Cols {
			if c.Field.Role != frame.Label {
				names = append(names, fmt.Sprintf("%q", c.Field.Name))
			}
		}
		for r := lo; r < hi; r++ {
			var cells []string
			for _, c := range f.Cols {
				if c.Field.Role != frame.Label {
					cells = append(cells, fmt.Sprintf("%q", c.Print(nil, r)))
				}
			}
			rows = append(rows, "["+strings.Join(cells, ",")+"]")
		}
		rec := a.post(a.churn, "/execute?api-version=2.0", `{"Inputs":{"input1":{"ColumnNames":[`+strings.Join(names, ",")+`],"Values":[`+strings.Join(rows, ",")+`]}}}`)
		var answer struct {
			Results struct {
				Output1 struct{ Value struct{ Values [][]*string } }
			}
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != 200 {
			t.Fatalf("%v: %s", err, rec.Body)
		}
		var out []string
		for _, v := range answer.Results.Output1.Value.Values {
			s, _ := json.Marshal(v)
			out = append(out, string(s))
		}
		return out
	}
	together := row(0, n)
	if len(together) != n {
		t.Fatalf("%d rows", len(together))
	}
	for i := range n {
		if alone := row(i, i+1); len(alone) != 1 || alone[0] != together[i] {
			t.Errorf("row %d alone %s, together %s", i, alone, together[i])
		}
	}
}

// inputs is the schema of the churn service.
func (a *app) inputs() frame.Schema {
	m, err := a.reg.Manifest(a.t.Context(), ws, a.churn.Digest)
	if err != nil {
		a.t.Fatal(err)
	}
	return m.Inputs[0].Schema
}

// TestConcurrentCalls mixes forms, services and mistakes over one function, so
// that pooled memory of one call would show in another.
func TestConcurrentCalls(t *testing.T) {
	a := newApp(t, Options{})
	keys := map[*registry.Published]string{a.tariff: a.key(a.tariff, service.Staging)}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 60 {
				v := g*1000 + i
				body, want := fmt.Sprintf(`{"Inputs":{"input1":{"ColumnNames":["id","minutes"],"Values":[["c%d","%d"]]}},"GlobalParameters":{"rate":"2"}}`, v, v),
					fmt.Sprintf(`"Values":[["c%d","%d"]]`, v, 2*v)
				url, status := "/execute", 200
				switch i % 3 {
				case 1:
					body, want, url = fmt.Sprintf(`{"Instance":{"FeatureVector":{"id":"c%d","minutes":"%d"},"GlobalParameters":{"rate":1}}}`, v, v), fmt.Sprintf(`["c%d","%d"]`, v, v), "/score"
				case 2:
					body, want, status = fmt.Sprintf(`{"Inputs":{"input1":[{"minutes":1},{"minutes":"x%d"}]}}`, v), fmt.Sprintf(`row 2 (rows count from 1): column \"minutes\" (Double): value \"x%d\"`, v), 400
				}
				r := httptest.NewRequestWithContext(t.Context(), "POST", "/workspaces/"+ws+"/services/"+a.tariff.Staging.ID+url, strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer "+keys[a.tariff])
				rec := httptest.NewRecorder()
				a.router.ServeHTTP(rec, r)
				if rec.Code != status || !strings.Contains(rec.Body.String(), want) {
					t.Errorf("%d: %s\nwant %d with %s", rec.Code, rec.Body, status, want)
				}
			}
		})
	}
	wg.Wait()
}

// TestThrottle holds the one place of an endpoint and asks for more.
func TestThrottle(t *testing.T) {
	a := newApp(t, Options{})
	if _, ok := a.fn.limits.enter(t.Context(), a.tariff.Staging.ID, 1); !ok {
		t.Fatal("no place")
	}
	one := 1
	if _, err := a.reg.ChangeSettings(t.Context(), ws, a.tariff.Service.ID, service.Staging, author, registry.SettingsChange{MaxConcurrentCalls: &one}); err != nil {
		t.Fatal(err)
	}
	rec := a.post(a.tariff, "/execute", `{"Inputs":{"input1":[]}}`)
	want := `{"error":{"code":"ServiceUnavailable","message":"Service is temporarily unavailable.","details":[{"code":"RequestThrottled",` +
		`"message":"Request was throttled for staging endpoint. The maximum concurrency for the endpoint is 1."}]}}`
	if rec.Code != 503 || rec.Body.String() != want || rec.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %s\n%v\nwant %s", rec.Code, rec.Body, rec.Header(), want)
	}
	a.fn.limits.leave(a.tariff.Staging.ID)
	if rec := a.post(a.tariff, "/execute", `{"Inputs":{"input1":[]}}`); rec.Code != 200 {
		t.Errorf("with a place free: %s", rec.Body)
	}
}

// TestMemory refuses a call when others hold all the memory, and takes it when
// it is alone, however large.
func TestMemory(t *testing.T) {
	a := newApp(t, Options{Memory: 1000})
	if rec := a.post(a.tariff, "/execute", `{"Inputs":{"input1":[]}}`); rec.Code != 200 {
		t.Errorf("alone: %s", rec.Body)
	}
	if used := a.fn.memory.used.Load(); used != 0 {
		t.Errorf("%d bytes not given back", used)
	}
	a.fn.memory.take(10, 0)
	rec := a.post(a.tariff, "/execute", `{"Inputs":{"input1":[]}}`)
	if rec.Code != 503 || !strings.Contains(rec.Body.String(), "TooManyConcurrentRequests") || rec.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// TestBodyLimit refuses what is longer than the limit, declared or not.
func TestBodyLimit(t *testing.T) {
	a := newApp(t, Options{MaxBody: 100})
	fits := `{"Inputs":{"input1":[]}}`
	for _, body := range []io.Reader{
		strings.NewReader(fits + strings.Repeat(" ", 77)),
		io.MultiReader(strings.NewReader(fits + strings.Repeat(" ", 77))), // of unknown length
	} {
		rec := a.send(a.tariff, "/execute", body)
		if rec.Code != 413 || !strings.Contains(rec.Body.String(), "the request body is longer than the limit of 100 bytes") {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
	for _, body := range []io.Reader{strings.NewReader(fits + strings.Repeat(" ", 76)), io.MultiReader(strings.NewReader(fits))} {
		if rec := a.send(a.tariff, "/execute", body); rec.Code != 200 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
	// A body that breaks off.
	rec := a.send(a.tariff, "/execute", io.MultiReader(strings.NewReader(fits[:10]), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if rec.Code != 400 || !strings.Contains(rec.Body.String(), "ended before its declared length") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if used := a.fn.memory.used.Load(); used != 0 {
		t.Errorf("%d bytes not given back", used)
	}
}

// TestDeadline ends a call that has no time left.
func TestDeadline(t *testing.T) {
	a := newApp(t, Options{Timeout: time.Nanosecond})
	a.fn.registry.Resolve(t.Context(), ws, a.tariff.Staging.ID) // so that no look-up is what times out
	rec := a.post(a.tariff, "/execute", `{"Inputs":{"input1":[]}}`)
	if rec.Code != 408 || !strings.Contains(rec.Body.String(), `"code":"RequestTimeout"`) {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func BenchmarkExecute(b *testing.B) {
	a := newApp(b, Options{})
	var names, cells []string
	for _, f := range a.inputs() {
		if f.Role == frame.Label {
			continue
		}
		names = append(names, fmt.Sprintf("%q", f.Name))
		switch {
		case f.Levels != nil:
			cells = append(cells, fmt.Sprintf("%q", f.Levels[0]))
		default:
			cells = append(cells, `"12"`)
		}
	}
	body := []byte(`{"Inputs":{"input1":{"ColumnNames":[` + strings.Join(names, ",") + `],"Values":[[` + strings.Join(cells, ",") + `]]}},"GlobalParameters":{}}`)
	key := "Bearer " + a.key(a.churn, service.Staging)
	url := "/workspaces/" + ws + "/services/" + a.churn.Staging.ID + "/execute?api-version=2.0&details=true"
	a.router = web.NewRouter(web.Options{})
	a.fn.Register(a.router)
	for name, h := range map[string]http.Handler{
		"execute": a.router,
		"hello": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("hello"))
		}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("POST", url, bytes.NewReader(body))
				r.Header.Set("Authorization", key)
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, r)
				if rec.Code != 200 {
					b.Fatal(rec.Body)
				}
			}
		})
	}
}
