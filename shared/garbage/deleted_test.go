package garbage_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/garbage"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/registry/registrytest"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage/faulty"
)

// users are what people begin with a model and a dataset, of years ago, of
// which somebody else has just been told that nobody uses them.
var users = []struct {
	name string
	do   func(ctx context.Context, w *world, experiment string) error
	// says is what the error has in it, where it comes too late.
	says string
	// every is which of its calls are tried: 0 is each.
	every int
}{
	{
		name: "publish",
		do: func(ctx context.Context, w *world, _ string) error {
			_, err := w.registry.Publish(ctx, ws, owner, registry.Publication{
				ExperimentID: registrytest.Experiment, Name: "Churn",
				Manifest: registrytest.Manifest("one", service.Asset{Name: "asset1", Kind: service.TrainedModel, Digest: artifact.Digest([]byte("model"))}),
			})
			return err
		},
	},
	{
		name: "save an experiment",
		do: func(ctx context.Context, w *world, _ string) error {
			_, err := w.catalog.CreateExperiment(ctx, ws, "another", "", []byte(withTable), ann)
			return err
		},
	},
	{
		name: "run",
		do:   func(ctx context.Context, w *world, experiment string) error { return w.run(ctx, experiment) },
		says: `no dataset is called "table"`, every: 3,
	},
	{
		name: "save a version",
		do: func(ctx context.Context, w *world, _ string) error {
			_, err := w.catalog.SaveModel(ctx, ws, catalog.NewModel{Kind: service.TrainedModel, Name: "model", Artifact: []byte("model"), Record: []byte(`{"auc":1}`)}, ann)
			return err
		},
	},
}

const withTable = `{"nodes":{"d":{"assetId":"d"},
 "twice":{"module":"Apply Math Operation","parameters":{"Category":"Operations","Arithmetic operation":"Multiply","Constant operation argument":2,"Column set":"a","Output mode":"Inplace"}}},
"edges":[{"sourceNodeId":"d","targetNodeId":"twice"}],
"assets":{"d":{"type":"Resource","kind":"Dataset","name":"table"}}}`

// A model and a dataset are deleted before a storage call of what somebody
// begins with them, and collected as soon as may be: either that succeeds, and
// what it refers to is there, or it says what is missing.
func TestCollect_deletedAmidActs(t *testing.T) {
	for _, u := range users {
		t.Run(u.name, func(t *testing.T) {
			t.Parallel()
			every, succeeded := max(u.every, 1), 0
			for n := 1; ; n += every {
				struck, err := deletedAmid(t, n, u.do)
				switch {
				case err == nil:
					succeeded++
				case u.says == "" || !strings.Contains(err.Error(), u.says) || fault.Is(err, fault.Internal) && !strings.HasPrefix(err.Error(), "run Failed"):
					t.Fatalf("deleted before call %d: %v", n, err)
				}
				if !struck {
					t.Logf("before call %d it is over; it succeeded %d times", n, succeeded)
					if n < 4 || err != nil {
						t.Errorf("undisturbed, in fewer than %d calls: %v", n, err)
					}
					return
				}
			}
		})
	}
}

// deletedAmid deletes before call n, and reports whether there was one.
func deletedAmid(t *testing.T, n int, do func(context.Context, *world, string) error) (struck bool, err error) {
	t.Helper()
	ctx, st := t.Context(), open(t)
	other := over(t, st)
	_, err = other.catalog.CreateWorkspace(ctx, catalog.NewWorkspace{ID: ws, Name: "Telecom"}, ann)
	must(t, err)
	_, err = other.catalog.SaveModel(ctx, ws, catalog.NewModel{Kind: service.TrainedModel, Name: "model", Artifact: []byte("model"), Record: []byte("{}")}, ann)
	must(t, err)
	_, err = other.catalog.SaveDataset(ctx, ws, catalog.NewDataset{Name: "table", Content: []byte("a,b\n1,x\n"), Format: "csv"}, ann)
	must(t, err)
	x, err := other.catalog.CreateExperiment(ctx, ws, "experiment", "", []byte(withTable), ann)
	must(t, err)

	// All of this is older than the grace: what is not referred to is marked at
	// the next round, and goes with the first that is a day later.
	at := time.Now().Add(grace + time.Minute)
	collect := func(later time.Duration) {
		round(t, garbage.NewArtifacts(garbage.Config{Store: st, Sources: other.sources(), Grace: grace, Now: func() time.Time { return at.Add(later) }}).Collect)
	}
	const day = 24 * time.Hour
	f := faulty.New(*st)
	actor := over(t, &f.Store)
	f.Plan(func(_ context.Context, c faulty.Call) faulty.Effect {
		if c.N == n {
			struck = true
			must(t, other.catalog.Delete(ctx, ws, service.TrainedModel, "model", 0, ann))
			must(t, other.catalog.Delete(ctx, ws, service.Dataset, "table", 0, ann))
			collect(0)
		}
		return faulty.Pass
	})
	err = do(ctx, actor, x.ID)
	f.Plan()
	collect(day)
	there := other.artifacts(t)
	for d := range other.roots(t) {
		if !there[d] {
			t.Fatalf("deleted before call %d: artifact %s is referred to and gone", n, d)
		}
	}
	return struck, err
}
