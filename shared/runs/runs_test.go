package runs_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame/format"
	"github.com/portico-ml/portico/shared/model/importer"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/runs/runstest"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

const samples = "../../infra/samples/churn"

var ada = auth.Identity{Issuer: "https://i", Subject: "ada", Name: "Ada"}

// bench is a workspace with a catalog and runs.
type bench struct {
	t       testing.TB
	store   storage.Store
	catalog *catalog.Catalog
	runs    *runs.Runs
	ws      string
}

func newBench(t testing.TB) *bench {
	t.Helper()
	s, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return benchOn(t, s.Store)
}

func benchOn(t testing.TB, s storage.Store) *bench {
	t.Helper()
	ring, err := auth.NewRing("TEST", auth.MasterKey{Name: "k1", Key: bytes.Repeat([]byte{1, 2}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, store: s, catalog: catalog.New(s.Tables, artifact.New(s.Blobs), ring), ws: service.NewID()}
	if _, err := b.catalog.CreateWorkspace(t.Context(), catalog.NewWorkspace{ID: b.ws, Name: "Telecom"}, ada); err != nil {
		t.Fatal(err)
	}
	b.runs = b.newRuns(runs.Limits{})
	return b
}

func (b *bench) newRuns(l runs.Limits) *runs.Runs {
	return runs.New(runs.Config{Store: &b.store, Catalog: b.catalog, Limits: l, Log: slog.New(slog.DiscardHandler)})
}

func (b *bench) dataset(name string, content []byte) {
	b.t.Helper()
	if _, err := b.catalog.SaveDataset(b.t.Context(), b.ws, catalog.NewDataset{Name: name, Content: content, Format: format.CSV}, ada); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) churnModel(kind string) {
	b.t.Helper()
	files, _ := filepath.Glob(filepath.Join(samples, "churn_"+kind+".*"))
	var req importer.Request
	for _, f := range files {
		switch body := read(b.t, f); filepath.Ext(f) {
		case ".csv":
			req.Check = body
		default:
			if filepath.Ext(f[:len(f)-len(filepath.Ext(f))]) == ".binding" {
				req.Binding = body
			} else {
				req.Name, req.File = filepath.Base(f), body
			}
		}
	}
	res, err := importer.Import(req)
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = b.catalog.SaveModel(b.t.Context(), b.ws, catalog.NewModel{
		Kind: service.TrainedModel, Name: "churn model", Artifact: res.Artifact, Original: req.File, Format: res.Format, Record: res.Record, Unverified: !res.Verified,
	}, ada)
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) experiment(name string, doc []byte) string {
	b.t.Helper()
	x, err := b.catalog.CreateExperiment(b.t.Context(), b.ws, name, "", doc, ada)
	if err != nil {
		b.t.Fatal(err)
	}
	return x.ID
}

func (b *bench) edit(id string, doc []byte) {
	b.t.Helper()
	x, err := b.catalog.Experiment(b.t.Context(), b.ws, id)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.catalog.ChangeExperiment(b.t.Context(), b.ws, id, x.Revision, catalog.ExperimentChange{Doc: doc}, ada); err != nil {
		b.t.Fatal(err)
	}
}

// run starts a run and executes its messages until there are none.
func (b *bench) run(id string) *runs.Run {
	b.t.Helper()
	run, err := b.runs.Start(b.t.Context(), b.ws, id, "ada")
	if err != nil {
		b.t.Fatal(err)
	}
	b.drain()
	return b.get(run.ID)
}

func (b *bench) get(id string) *runs.Run {
	b.t.Helper()
	run, err := b.runs.Get(b.t.Context(), b.ws, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return run
}

func (b *bench) drain() {
	b.t.Helper()
	runstest.Drain(b.t, b.store.Queues, b.runs)
}

// next takes the next message off the queue; nil where there is none.
func (b *bench) next() *runs.Message {
	b.t.Helper()
	return runstest.Next(b.t, b.store.Queues)
}

func (b *bench) deployable(id string) *runs.Deployable {
	b.t.Helper()
	d, err := b.runs.Deployable(b.t.Context(), b.ws, id)
	if err != nil {
		b.t.Fatalf("deployable: %v %+v", err, fault.Of(err).Details())
	}
	return d
}

func (b *bench) load(d *runs.Deployable) *scoring.Deployment {
	b.t.Helper()
	store := artifact.New(b.store.Blobs)
	dep, err := scoring.Load(b.t.Context(), artifact.Digest(d.Manifest), d.Manifest, func(ctx context.Context, digest string) ([]byte, error) {
		return store.Get(ctx, b.ws, digest)
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return dep
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func finished(t testing.TB, run *runs.Run) {
	t.Helper()
	if run.State != runs.Finished {
		t.Fatalf("run is %s: %+v", run.State, run.Error)
	}
	for _, n := range run.Nodes {
		if n.State != runs.Finished {
			t.Errorf("node %s is %s", n.ID, n.State)
		}
	}
}

func refused(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	if !fault.Is(err, kind) || !fault.HasCode(err, code) {
		t.Fatalf("got %v (%s %s), want %s %s", err, fault.KindOf(err), fault.Of(err).Code, kind, code)
	}
}

func contains(t *testing.T, list []string, want string) {
	t.Helper()
	if !slices.ContainsFunc(list, func(s string) bool { return bytes.Contains([]byte(s), []byte(want)) }) {
		t.Errorf("%q is not among %q", want, list)
	}
}
