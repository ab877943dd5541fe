package garbage_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/garbage"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/registry/registrytest"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/faulty"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

const (
	ws    = registrytest.Workspace
	grace = 7 * 24 * time.Hour
)

var (
	ann   = auth.Identity{Issuer: "https://i", Subject: "ann"}
	owner = registry.Actor{ID: "https://i|ann", Name: "ann", Role: auth.Owner}
)

// world is a workspace over a store, as one process sees it.
type world struct {
	store    *storage.Store
	catalog  *catalog.Catalog
	registry *registry.Registry
	runs     *runs.Runs
}

func over(t testing.TB, st *storage.Store) *world {
	t.Helper()
	ring, err := auth.NewRing("TEST", auth.MasterKey{Name: "k1", Key: []byte("0123456789abcdef0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{store: st, catalog: catalog.New(st.Tables, artifact.New(st.Blobs), ring)}
	w.registry = registry.New(st, ring, registry.Options{
		Load: func(ctx context.Context, ws, digest string) (*scoring.Deployment, int64, error) {
			m, err := w.registry.Manifest(ctx, ws, digest)
			return &scoring.Deployment{Digest: digest, Manifest: m}, 1, err
		},
		Log: slog.New(slog.DiscardHandler),
	})
	w.runs = runs.New(runs.Config{Store: st, Catalog: w.catalog, Log: slog.New(slog.DiscardHandler)})
	return w
}

func (w *world) sources() []garbage.Source {
	return []garbage.Source{w.registry.Roots, w.catalog.Roots, w.runs.Roots}
}

// roots are the digests that are referred to.
func (w *world) roots(t testing.TB) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, s := range w.sources() {
		if err := s(t.Context(), ws, func(d string) { out[d] = d != "" }); err != nil {
			t.Fatal(err)
		}
	}
	delete(out, "")
	return out
}

// artifacts are the digests that are there.
func (w *world) artifacts(t testing.TB) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for info, err := range w.store.Blobs.List(t.Context(), ws+"/sha256/") {
		if err != nil {
			t.Fatal(err)
		}
		out[path.Base(info.Key)] = true
	}
	return out
}

// round is a round of everything.
func round(t testing.TB, kinds ...garbage.Collector) (found []garbage.Item) {
	t.Helper()
	for _, c := range kinds {
		for _, part := range "0123456789abcdef" {
			if err := c(t.Context(), ws, string(part), false, func(it garbage.Item) { found = append(found, it) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	return found
}

// collector's clock stands at the end of the grace of what was touched before
// base, and moves a microsecond each time it is looked at.
func (w *world) collector(base time.Time) *garbage.Artifacts {
	var ticks atomic.Int64
	return garbage.NewArtifacts(garbage.Config{
		Store: w.store, Sources: w.sources(), Grace: grace, Wait: time.Microsecond,
		Now: func() time.Time { return base.Add(grace).Add(time.Duration(ticks.Add(1)) * time.Microsecond) },
	})
}

func open(t testing.TB) *storage.Store {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "portico-garbage-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	st, err := sqlite.Open(dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return &st.Store
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const document = `{"nodes":{
 "e":{"module":"Enter Data Manually","parameters":{"Data":"a\n1\n2\n3"}},
 "twice":{"module":"Apply Math Operation","parameters":{"Category":"Operations","Arithmetic operation":"Multiply","Constant operation argument":2,"Column set":"a","Output mode":"Inplace"}}},
"edges":[{"sourceNodeId":"e","targetNodeId":"twice"}]}`

func (w *world) run(ctx context.Context, experiment string) error {
	run, err := w.runs.Start(ctx, ws, experiment, "ann")
	if err != nil {
		return err
	}
	if err := w.runs.Execute(ctx, runs.Message{Workspace: ws, Run: run.ID}); err != nil {
		return err
	}
	got, err := w.runs.Get(ctx, ws, run.ID)
	if err == nil && got.State != runs.Finished {
		err = fmt.Errorf("run %s: %+v", got.State, got.Error)
	}
	return err
}

// acts are what people do with artifacts that are there already and that
// nobody refers to: each may find one gone, and must not lose one.
var acts = []struct {
	name string
	do   func(ctx context.Context, w *world) error
	// refused reports errors that say: the artifact is gone, do it again.
	refused func(error) bool
}{
	{
		name: "import a model",
		do: func(ctx context.Context, w *world) error {
			_, err := w.catalog.SaveModel(ctx, ws, catalog.NewModel{
				Kind: service.TrainedModel, Name: "model", Artifact: []byte("model"), Original: []byte("original"), Record: []byte("{}"), Format: "X",
			}, ann)
			return err
		},
	},
	{
		name: "save a dataset",
		do: func(ctx context.Context, w *world) error {
			_, err := w.catalog.SaveDataset(ctx, ws, catalog.NewDataset{Name: "table", Content: []byte("a,b\n1,x\n"), Format: "csv"}, ann)
			return err
		},
	},
	{
		name: "publish",
		do: func(ctx context.Context, w *world) error {
			_, err := w.registry.Publish(ctx, ws, owner, registry.Publication{
				ExperimentID: registrytest.Experiment, Name: "Churn",
				Manifest: registrytest.Manifest("one", service.Asset{Name: "a", Kind: service.TrainedModel, Digest: artifact.Digest([]byte("model"))}),
			})
			return err
		},
		refused: func(err error) bool { return fault.Is(err, fault.Package) },
	},
	{
		name: "run",
		do: func(ctx context.Context, w *world) error {
			x, err := w.catalog.CreateExperiment(ctx, ws, "again", "", []byte(document), ann)
			if err != nil {
				return err
			}
			return w.run(ctx, x.ID)
		},
	},
}

// seed stores what the acts will use, without anybody who refers to it: the
// model of a publication that never was, and what a run of an experiment left
// that is deleted.
func (w *world) seed(t testing.TB) {
	t.Helper()
	ctx := t.Context()
	_, err := w.catalog.CreateWorkspace(ctx, catalog.NewWorkspace{ID: ws, Name: "Telecom"}, ann)
	must(t, err)
	files := artifact.New(w.store.Blobs)
	for _, body := range []string{"model", "original", "{}", "a,b\n1,x\n", "nobody's"} {
		_, err := files.Put(ctx, ws, []byte(body))
		must(t, err)
	}
	x, err := w.catalog.CreateExperiment(ctx, ws, "before", "", []byte(document), ann)
	must(t, err)
	must(t, w.run(ctx, x.ID))
	must(t, w.catalog.DeleteExperiment(ctx, ws, x.ID, x.Revision, ann))
	// One that stays, with its run: it is never to be touched.
	x, err = w.catalog.CreateExperiment(ctx, ws, "kept", "", []byte(`{"nodes":{"e":{"module":"Enter Data Manually","parameters":{"Data":"k\n7"}}}}`), ann)
	must(t, err)
	must(t, w.run(ctx, x.ID))
}

// Before each storage call of each act garbage is collected, by sources asked
// then or just before the act: whatever is referred to afterwards is there, and
// what is not goes.
func TestCollect_amidActs(t *testing.T) {
	for _, act := range acts {
		for _, stale := range []bool{false, true} {
			name := act.name
			if stale {
				name += ", sources asked before"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				every := 1
				if testing.Short() {
					every = 3
				}
				for n := 1; ; n += every {
					if !amid(t, n, stale, act.do, act.refused) {
						t.Logf("%d calls", n-1)
						if n < 4 {
							t.Error("the act makes no calls")
						}
						return
					}
				}
			})
		}
	}
}

// amid collects before call n of an act, and reports whether there was one.
func amid(t *testing.T, n int, stale bool, do func(context.Context, *world) error, refused func(error) bool) (struck bool) {
	t.Helper()
	st := open(t)
	watcher := over(t, st)
	watcher.seed(t)
	base := time.Now()
	time.Sleep(5 * time.Millisecond)
	before := watcher.collector(base)
	trim := watcher.runs.Trim(0)
	round(t, before.Collect) // marks

	f := faulty.New(*st)
	actor := over(t, &f.Store)
	f.Plan(func(_ context.Context, c faulty.Call) faulty.Effect {
		if c.N == n {
			struck = true
			c := before
			if !stale {
				c = watcher.collector(base)
			}
			round(t, trim, c.Collect, c.Collect)
		}
		return faulty.Pass
	})
	err := do(t.Context(), actor)
	if err != nil && (refused == nil || !refused(err)) {
		t.Fatalf("call %d: %v", n, err)
	}
	f.Plan()
	whole := func(when string) map[string]bool {
		roots, there := watcher.roots(t), watcher.artifacts(t)
		for d := range roots {
			if !there[d] {
				t.Fatalf("collected before call %d, %s: artifact %s is referred to and gone", n, when, d)
			}
		}
		return roots
	}
	whole("after the act")
	late := watcher.collector(time.Now().Add(time.Hour))
	round(t, trim, late.Collect, late.Collect)
	roots, there := whole("later"), watcher.artifacts(t)
	if d := cmp.Diff(slices.Sorted(maps.Keys(roots)), slices.Sorted(maps.Keys(there))); d != "" {
		t.Fatalf("collected before call %d: what is left is not what is referred to (-want +got):\n%s", n, d)
	}
	return struck
}

// What was touched within the grace stays, and so does what was marked a
// moment ago; a mark of what is in use again goes.
func TestCollect_rounds(t *testing.T) {
	st := open(t)
	files := artifact.New(st.Blobs)
	put := func(body string) string {
		d, err := files.Put(t.Context(), ws, []byte(body))
		must(t, err)
		return d
	}
	old, used, young := put("old"), put("used"), ""
	now := time.Now().Add(8 * 24 * time.Hour)
	inUse := map[string]bool{}
	a := garbage.NewArtifacts(garbage.Config{
		Store: st, Now: func() time.Time { return now },
		Sources: []garbage.Source{func(_ context.Context, _ string, keep func(string)) error {
			for d := range inUse {
				keep(d)
			}
			return nil
		}},
	})
	w := &world{store: st}
	look := func() []string {
		t.Helper()
		r, err := garbage.Look(t.Context(), ws, []garbage.Kind{{Name: "artifacts", Collect: a.Collect}})
		must(t, err)
		var names []string
		for _, it := range r.Kinds[0].First {
			names = append(names, it.Name)
		}
		if k := r.Kinds[0]; k.Kind != "artifacts" || k.Count != len(names) || !r.Complete {
			t.Errorf("report %+v", r)
		}
		return names
	}
	want := []string{old, used}
	slices.Sort(want)
	if got := look(); !slices.Equal(got, want) {
		t.Fatalf("a look found %v, want %v", got, want)
	}
	if got := round(t, a.Collect); len(got) != 0 {
		t.Fatalf("the first round took %v", got)
	}
	now = now.Add(time.Hour)
	if got := round(t, a.Collect); len(got) != 0 {
		t.Fatalf("a round an hour later took %v", got)
	}
	inUse[used] = true
	now = now.Add(24 * time.Hour)
	if got := look(); !slices.Equal(got, []string{old}) {
		t.Fatalf("a look found %v", got)
	}
	got := round(t, a.Collect)
	if len(got) != 1 || got[0].Name != old || got[0].Bytes != 3 {
		t.Fatalf("the round took %v, want %s", got, old)
	}
	// What was in use meanwhile begins anew.
	delete(inUse, used)
	now = now.Add(time.Hour)
	young = put("young")
	_, err := st.Blobs.Put(t.Context(), ws+"/sha256/not-a-digest", []byte("x"), nil, storage.Condition{})
	must(t, err)
	if got := round(t, a.Collect); len(got) != 0 {
		t.Fatalf("took %v, which was just marked", got)
	}
	// A touch between the rounds has the same effect: another ETag.
	must(t, files.Touch(t.Context(), ws, used))
	now = now.Add(25 * time.Hour)
	if got := round(t, a.Collect); len(got) != 1 || got[0].Name != young {
		t.Fatalf("took %v: only %s has not been touched since it was marked", got, young)
	}
	now = now.Add(25 * time.Hour)
	if got := round(t, a.Collect); len(got) != 1 || got[0].Name != used {
		t.Fatalf("took %v, want %s", got, used)
	}
	if left := w.artifacts(t); len(left) != 1 || !left["not-a-digest"] {
		t.Errorf("left: %v", left)
	}
	for _, part := range "0123456789abcdef" {
		for e, err := range st.Tables.Query(t.Context(), "garbage", ws+"."+string(part), storage.Range{}) {
			t.Errorf("mark %v is left, %v", e, err)
		}
	}
}

// A source that cannot be asked keeps everything.
func TestCollect_sourceDown(t *testing.T) {
	st := open(t)
	_, err := artifact.New(st.Blobs).Put(t.Context(), ws, []byte("x"))
	must(t, err)
	down := fault.New(fault.Unavailable, "", "down")
	a := garbage.NewArtifacts(garbage.Config{
		Store: st, Grace: 1, Wait: 1,
		Sources: []garbage.Source{func(context.Context, string, func(string)) error { return down }},
	})
	for range 3 {
		if err := a.Collect(t.Context(), ws, "2", false, nil); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("error %v", err)
		}
	}
	if got := (&world{store: st}).artifacts(t); len(got) != 1 {
		t.Errorf("%v are left", got)
	}
}

// The steps of a round go through all parts of all workspaces, in order, and go
// on where a cursor says.
func TestSweep(t *testing.T) {
	all := []string{"", "aa", "bb", ""}
	next := func(_ context.Context, after string) (string, error) { return all[slices.Index(all, after)+1], nil }
	var seen []string
	fail := true
	step := garbage.Sweep("things", func(_ context.Context, ws, part string, dry bool, found func(garbage.Item)) error {
		if ws == "bb" && part == "3" && fail {
			fail = false
			return fault.New(fault.Unavailable, "", "down")
		}
		seen = append(seen, ws+part)
		found(garbage.Item{Bytes: 1})
		return nil
	}, next, slog.New(slog.DiscardHandler))
	cursor := "no cursor of ours"
	for n := 0; ; n++ {
		c, err := step(t.Context(), cursor)
		if (err != nil) != (len(seen) == 19 && !fail && c == "bb.3") {
			t.Fatalf("at %q: %q, %v", cursor, c, err)
		}
		if cursor = c; cursor == "" || n > 40 {
			break
		}
	}
	var want []string
	for _, w := range []string{"aa", "bb"} {
		for _, p := range "0123456789abcdef" {
			want = append(want, w+string(p))
		}
	}
	if !slices.Equal(seen, want) {
		t.Errorf("steps %v", seen)
	}
	// A step whose time is over does its part again.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := step(ctx, "aa.5"); c != "aa.5" || err != nil {
		t.Errorf("%q, %v", c, err)
	}
}
