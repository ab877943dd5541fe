package bes

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cespare/webtest"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/batch"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

const ws = "0123456789abcdef0123456789abcdef"

// app is the bes function over the real registry, jobs and embedded store,
// with a service that doubles minutes.
type app struct {
	t      *testing.T
	store  *storage.Store
	jobs   *batch.Batch
	router *web.Router
	pub    *registry.Published
	key    string
}

func newApp(t *testing.T) *app {
	st, err := sqlite.Open(t.TempDir(), sqlite.Options{Sign: func(_ context.Context, container, key, perm string, _ time.Time) (storage.SignedURL, error) {
		return storage.SignedURL{Base: "https://portico.test/blobs/", Path: container + "/" + key, Query: "?sp=" + perm + "&sig=ours"}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	ring, err := auth.NewRing("TEST", auth.MasterKey{Name: "k1", Key: bytes.Repeat([]byte("0123456789abcdef"), 4)})
	if err != nil {
		t.Fatal(err)
	}
	reg := registry.New(&st.Store, ring, registry.Options{})
	a := &app{t: t, store: &st.Store, router: web.NewRouter(web.Options{})}
	a.jobs = batch.New(batch.Config{
		Store: &st.Store, Sealer: ring, Log: slog.New(slog.DiscardHandler),
		Deployment: func(ctx context.Context, ws, digest string) (batch.Deployment, func(), error) {
			d, release, err := reg.Deployment(ctx, ws, digest)
			if err != nil {
				return nil, nil, err
			}
			return batch.Scored(d), release, nil
		},
		// Every signed address of "files" is a blob of the caller's: here the
		// uploads of the workspace.
		Blobs: blob.New(blob.Config{Own: func(_ context.Context, u *url.URL, _ bool) (storage.Blobs, string, bool, error) {
			return st.Blobs, ws + "/uploads" + strings.TrimPrefix(u.Path, "/files"), u.Host == "portico.test", nil
		}}),
	})
	New(reg, a.jobs, people{}, people{}).Register(a.router)

	author := registry.Actor{ID: "idp|ann", Name: "Ann", Role: auth.Owner}
	if a.pub, err = reg.Publish(t.Context(), ws, author, registry.Publication{
		ExperimentID: service.NewID(), RunID: service.NewID(), Name: "Tariff", Manifest: manifest(t),
	}); err != nil {
		t.Fatal(err)
	}
	keys, err := reg.Keys(t.Context(), ws, a.pub.Service.ID, service.Staging, author)
	if err != nil {
		t.Fatal(err)
	}
	a.key = keys.Primary
	return a
}

// people are those who have tokens: the reader of the workspace, and a stranger.
type people struct{}

func (people) Verify(_ context.Context, bearer string) (auth.Identity, error) {
	switch bearer {
	case "a.reader.x", "a.stranger.x":
		return auth.Identity{Issuer: "idp", Subject: bearer}, nil
	}
	return auth.Identity{}, fault.New(fault.Unauthorized, "AdminRequestUnauthorized", "the token is not valid")
}

func (people) Require(_ context.Context, in string, id auth.Identity, least auth.Role) error {
	if in == ws && id.Subject == "a.reader.x" && least <= auth.Reader {
		return nil
	}
	return fault.New(fault.NotFound, "WorkspaceNotFound", "the workspace does not exist")
}

func manifest(t *testing.T) []byte {
	in := frame.Schema{{Name: "id", Type: frame.String, Role: frame.ID}, {Name: "minutes", Type: frame.Double, Nullable: true}}
	b, err := json.Marshal(&service.Manifest{
		Format: 1,
		Graph: json.RawMessage(`{
			"nodes":{
				"in":{"inputId":"input1"},
				"math":{"module":"Apply Math Operation","codeVersion":1,"parameters":{"Category":"Operations","Arithmetic operation":"Multiply","Constant operation argument":"2","Column set":"minutes","Output mode":"Inplace"}},
				"out":{"outputId":"output1"}},
			"edges":[{"sourceNodeId":"in","targetNodeId":"math"},{"sourceNodeId":"math","targetNodeId":"out"}]}`),
		Inputs:  []service.Port{{Name: "input1", Schema: in}},
		Outputs: []service.Port{{Name: "output1", Schema: in}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// drain does what the queue functions would.
func (a *app) drain() {
	places := event.NewPlaces()
	jobs, chunks := a.jobs.JobWorker(places), a.jobs.ChunkWorker(places)
	for idle := 0; idle < 2; {
		idle = 0
		for queue, handle := range map[string]event.Handler{batch.JobQueue: jobs.Handle, batch.ChunkQueue: chunks.Handle} {
			ms, err := a.store.Queues.Receive(a.t.Context(), queue, 1, time.Minute)
			if err != nil {
				a.t.Fatal(err)
			}
			if len(ms) == 0 {
				idle++
				continue
			}
			if err := handle(a.t.Context(), event.Event{Body: ms[0].Body, DequeueCount: 1}); err != nil {
				a.t.Fatal(err)
			}
			if err := a.store.Queues.Delete(a.t.Context(), queue, ms[0]); err != nil {
				a.t.Fatal(err)
			}
		}
	}
}

// handler adds to the service what a script cannot know: ids and keys, and
// POST /drain, which runs the queues dry.
func (a *app) handler() http.Handler {
	expand := strings.NewReplacer("STAGING", a.pub.Staging.ID, "DEFAULT", a.pub.Default.ID)
	var job string
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/drain" {
			a.drain()
			return
		}
		u := *r.URL
		u.Path = strings.ReplaceAll(expand.Replace(u.Path), "JOB", job)
		r.URL = &u
		if v := r.Header.Get("Authorization"); strings.Contains(v, "KEY") {
			r.Header.Set("Authorization", strings.ReplaceAll(v, "KEY", a.key))
		}
		rec := httptest.NewRecorder()
		a.router.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		var id string
		if rec.Code == 200 && json.Unmarshal(body, &id) == nil {
			job = id
		}
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		if job != "" {
			body = bytes.ReplaceAll(body, []byte(job), []byte("JOB"))
		}
		w.Header().Del("Content-Length")
		w.WriteHeader(rec.Code)
		w.Write(body)
	})
}

func (a *app) upload(name, body string) {
	if _, err := a.store.Blobs.Put(a.t.Context(), ws+"/uploads/"+name, []byte(body), nil, storage.Condition{}); err != nil {
		a.t.Fatal(err)
	}
}

func TestScripts(t *testing.T) {
	a := newApp(t)
	a.upload("may.csv", "id,minutes,extra\nA,1.5,x\nB,,y\n")
	a.upload("bad.csv", "id,minutes\nA,1.5\nB,12O\n")
	webtest.TestHandler(t, "testdata/*.txt", a.handler())
	out, err := a.store.Blobs.Head(t.Context(), ws+"/uploads/scored.csv")
	if err != nil || out.Size == 0 {
		t.Fatalf("the script's job left no output: %v", err)
	}
	_, r, err := a.store.Blobs.Get(t.Context(), out.Key, storage.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil || string(body) != "id,minutes\nA,3\nB,\n" {
		t.Errorf("output %q, %v", body, err)
	}
}

// Every route of this package is one the host sends here.
func TestRoutes(t *testing.T) {
	raw, err := os.ReadFile("function.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range newApp(t).router.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if !strings.Contains(string(raw), `"`+strings.ToLower(method)+`"`) || !strings.Contains(path, "/services/{endpoint}/jobs") {
			t.Errorf("route %s is not in function.json", route)
		}
	}
}
