package drop

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/batch"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

const (
	ws  = "0123456789abcdef0123456789abcdef"
	svc = "11111111111111111111111111111111"
)

// fakes are two services and one that is not approved.
type fakes struct{ down error }

func (f fakes) Services(_ context.Context, w string, by registry.Actor) ([]registry.Service, error) {
	if f.down != nil {
		return nil, f.down
	}
	if w != ws {
		return nil, nil
	}
	named := func(id, name string) registry.Service {
		return registry.Service{WebService: service.WebService{Workspace: ws, ID: id, Name: name}}
	}
	return []registry.Service{
		named(svc, "Churn model"), named("22222222222222222222222222222222", "twin"), named("33333333333333333333333333333333", "Twin"),
		named("44444444444444444444444444444444", "new"),
	}, nil
}

func (fakes) Endpoint(_ context.Context, _, id, name string, _ registry.Actor) (*service.Endpoint, error) {
	e := &service.Endpoint{Workspace: ws, Service: id, ID: "e" + id[1:], Name: name, Digest: strings.Repeat("d", 64)}
	if id[0] == '4' {
		e.Digest = ""
	}
	return e, nil
}

// echo is a deployment of one input and one output.
type echo struct{ l *frame.Layout }

func (e echo) Manifest() *service.Manifest {
	return &service.Manifest{Inputs: []service.Port{{Name: "input1", Schema: e.l.Schema}}, Outputs: []service.Port{{Name: "output1", Schema: e.l.Schema}}}
}
func (e echo) Input(int) *frame.Layout { return e.l }
func (e echo) Session() batch.Session  { return parameters{} }

// parameters is a session as far as a submit needs one.
type parameters struct{ batch.Session }

func (parameters) SetParameters(map[string]string) error { return nil }
func (parameters) Release()                              {}

type rig struct {
	*Function
	store *storage.Store
}

func newRig(t *testing.T, s services) rig {
	st, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	l, err := frame.NewLayout(frame.Schema{{Name: "id"}})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	jobs := batch.New(batch.Config{Store: &st.Store, Sealer: plain{}, Log: log, Deployment: func(context.Context, string, string) (batch.Deployment, func(), error) {
		return echo{l}, func() {}, nil
	}})
	return rig{New(s, jobs, event.NewPlaces(), st.Queues, log), &st.Store}
}

type plain struct{}

func (plain) Seal(text, _ []byte) []byte          { return text }
func (plain) Open(text, _ []byte) ([]byte, error) { return text, nil }

func created(t *testing.T, key string) event.Event {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"topic": "/subscriptions/x", "subject": "/blobServices/default/containers/drop/blobs/" + key, "eventType": "Microsoft.Storage.BlobCreated",
		"id": "e1", "data": map[string]any{"api": "PutBlob", "eTag": "0x1", "url": "https://a.example/drop/" + key}, "eventTime": "2026-11-23T00:00:00Z",
	})
	if err != nil {
		t.Fatal(err)
	}
	return event.Event{Function: Queue, Body: body, DequeueCount: 1}
}

func (r rig) receipts(t *testing.T) (all []map[string]any) {
	t.Helper()
	for info, err := range r.store.DropDone.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		_, rd, err := r.store.DropDone.Get(t.Context(), info.Key, storage.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.NewDecoder(rd).Decode(&doc); err != nil {
			t.Fatal(err)
		}
		rd.Close()
		doc["key"] = info.Key
		all = append(all, doc)
	}
	return all
}

func TestHandle(t *testing.T) {
	for _, tt := range []struct {
		name, key string
		started   bool
		refused   string
	}{
		{name: "service by id", key: ws + "/" + svc + "/may.csv", started: true},
		{name: "service by name", key: ws + "/churn-MODEL/2026/may.csv", started: true},
		{name: "no such service", key: ws + "/other/may.csv", refused: `WebServiceNotFound: the workspace has no service "other"`},
		{name: "two services of the name", key: ws + "/twin/may.csv", refused: "use the service's id as the folder"},
		{name: "not approved", key: ws + "/new/may.csv", refused: `service "new" is published to staging, not approved yet`},
		{name: "no workspace", key: "may.csv", refused: "a file is dropped as {workspace id}/{service name or id}/{file}"},
		{name: "another form", key: ws + "/" + svc + "/may.xlsx", refused: "InvalidBlobExtension"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, fakes{})
			if _, err := r.store.Drop.Put(t.Context(), tt.key, []byte("id\nA\n"), nil, storage.Condition{}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := r.Handle(t.Context(), created(t, tt.key)); err != nil {
					t.Fatal(err)
				}
			}
			n, err := r.store.Queues.Depth(t.Context(), batch.JobQueue)
			if err != nil {
				t.Fatal(err)
			}
			if started := n > 0; started != tt.started {
				t.Errorf("started = %v", started)
			}
			got := r.receipts(t)
			if tt.refused == "" {
				if len(got) != 0 {
					t.Errorf("receipts %v", got)
				}
				return
			}
			if len(got) != 1 || got[0]["status"] != "Failed" || !strings.Contains(got[0]["details"].(string), tt.refused) || !strings.HasPrefix(got[0]["key"].(string), tt.key+"/") {
				t.Errorf("receipts %v, want one with %q", got, tt.refused)
			}
		})
	}
}

// TestHandle_names: a name that cannot be read here is answered, too, and once.
func TestHandle_names(t *testing.T) {
	for name, want := range map[string]string{
		"Kunden Mai.csv":         ws + "/churn/xKunden_Mai.csv-",
		"2026/k\u00fcnftig.csv":  ws + "/churn/2026/xk_nftig.csv-",
		"100%.csv":               ws + "/churn/x100_.csv-",
		"end.":                   ws + "/churn/xend.-",
		strings.Repeat("a", 300): ws + "/churn/x" + strings.Repeat("a", 100) + "-",
		"a//b.csv":               ws + "/churn/a/x-",
	} {
		r := newRig(t, fakes{})
		for range 2 {
			if err := r.Handle(t.Context(), created(t, ws+"/churn/"+name)); err != nil {
				t.Fatal(err)
			}
		}
		got := r.receipts(t)
		if len(got) != 1 || got[0]["status"] != "Failed" || got[0]["file"] != ws+"/churn/"+name ||
			!strings.Contains(got[0]["details"].(string), "letters, digits, dots") || !strings.HasPrefix(got[0]["key"].(string), want) {
			t.Errorf("%s: receipts %v, want one under %s", name, got, want)
		}
	}
}

// What is no file of ours is acknowledged; what is no event goes where people
// look for such; an outage costs time alone.
func TestHandle_others(t *testing.T) {
	for _, body := range []string{
		`{"eventType":"Microsoft.Storage.BlobDeleted","subject":"/blobServices/default/containers/drop/blobs/a.csv"}`,
		`{"eventType":"Microsoft.Storage.BlobCreated","subject":"/blobServices/default/containers/portico/blobs/a.csv"}`,
		`[{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","subject":""}]`,
		`{"eventType":"Microsoft.Storage.BlobCreated","subject":"/blobServices/default/containers/drop/blobs/gone.csv"}`,
		`{"eventType":"Microsoft.Storage.BlobCreated","subject":"/blobServices/default/containers/drop/blobs/a%20b.csv"}`,
	} {
		r := newRig(t, fakes{})
		if err := r.Handle(t.Context(), event.Event{Body: []byte(body), DequeueCount: 1}); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if got := r.receipts(t); len(got) > 0 {
			t.Errorf("%s: %v", body, got)
		}
		for _, queue := range []string{Queue, Queue + "-poison"} {
			if n, err := r.store.Queues.Depth(t.Context(), queue); err != nil || n > 0 {
				t.Errorf("%s: %d messages in %s, %v", body, n, queue, err)
			}
		}
	}
	r := newRig(t, fakes{})
	if err := r.Handle(t.Context(), event.Event{Body: []byte("hello"), DequeueCount: 1}); err != nil {
		t.Fatal(err)
	}
	if n, err := r.store.Queues.Depth(t.Context(), Queue+"-poison"); err != nil || n != 1 {
		t.Errorf("%d messages in the poison queue, %v", n, err)
	}
	r = newRig(t, fakes{down: fault.New(fault.Unavailable, "", "down")})
	if err := r.Handle(t.Context(), created(t, ws+"/"+svc+"/may.csv")); err != nil {
		t.Fatal(err)
	}
	if n, err := r.store.Queues.Depth(t.Context(), Queue); err != nil || n != 1 {
		t.Errorf("%d messages for later, %v", n, err)
	}
}
