package publish_test

import (
	"context"
	"testing"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/publish"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/registry/registrytest"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/service"
)

// withModel is the world's publisher, of an experiment that uses a model.
type withModel struct {
	*registrytest.World
	models []runs.Model
}

func (w withModel) Deployable(ctx context.Context, ws, experiment string) (*runs.Deployable, error) {
	d, err := w.World.Deployable(ctx, ws, experiment)
	if err == nil {
		d.Models = w.models
	}
	return d, err
}

func TestPublish(t *testing.T) {
	ctx := t.Context()
	w := registrytest.New(t)
	_, err := w.Catalog.SaveModel(ctx, registrytest.Workspace, catalog.NewModel{
		Kind: service.TrainedModel, Name: "churn", Artifact: []byte("model"), Record: []byte(`{"auc":0.9}`),
	}, auth.Identity{Issuer: registrytest.Issuer, Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	source := withModel{w, []runs.Model{
		{Asset: "asset1", Kind: service.TrainedModel, Name: "churn", Version: 1, Digest: "d", Newer: 2, Verified: true},
		{Asset: "asset2", Kind: service.TrainedModel, Name: "deleted since", Version: 1},
	}}
	p := publish.New(w.Registry, w.Catalog, source)
	ask := func(who string, q publish.Request) (*registry.Published, error) {
		q.ExperimentID = registrytest.Experiment
		return p.Publish(ctx, registrytest.Workspace, w.Actor(who), q)
	}
	if _, err := ask("rita", publish.Request{}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a reader publishes: %v", err)
	}
	if _, err := p.Publish(ctx, registrytest.Workspace, w.Actor("ann"), publish.Request{ExperimentID: "x"}); !fault.Is(err, fault.BadArgument) {
		t.Errorf("no id: %v", err)
	}

	// The first takes the experiment's name, and knows the models' records.
	first, err := ask("ann", publish.Request{New: true})
	if err != nil {
		t.Fatal(err)
	}
	if first.Service.Name != "Churn" || !first.Created || first.Promotion != nil {
		t.Errorf("published %+v", first)
	}
	d, err := w.Registry.DeploymentRecord(ctx, registrytest.Workspace, first.Service.ID, first.Digest, w.Actor("rita"))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Models) != 2 || string(d.Models[0].Record) != `{"auc":0.9}` || d.Models[0].Newer != 2 || !d.Models[0].Verified || d.Models[1].Record != nil || d.RunID == "" || len(d.Warnings) != 1 {
		t.Errorf("deployment %+v", d)
	}

	// The same again is no other; another is refused as something new.
	again, err := ask("ann", publish.Request{New: true})
	if err != nil || again.Moved || again.Digest != first.Digest {
		t.Errorf("again: %+v, %v", again, err)
	}
	w.Run("two")
	if _, err := ask("ann", publish.Request{New: true}); !fault.HasCode(err, registry.CodePublished) || !fault.Is(err, fault.Conflict) {
		t.Errorf("another as new: %v", err)
	}
	if e, err := w.Registry.Endpoint(ctx, registrytest.Workspace, first.Service.ID, service.Staging, w.Actor("ann")); err != nil || e.Digest != first.Digest {
		t.Errorf("what was refused moved staging: %+v, %v", e, err)
	}

	// Later ones keep the service's name, and file the promotion with it.
	name, note := "Renamed", "please"
	if _, err := w.Registry.ChangeService(ctx, registrytest.Workspace, first.Service.ID, w.Actor("ann"), registry.ServiceChange{Name: &name}); err != nil {
		t.Fatal(err)
	}
	second, err := ask("ann", publish.Request{Promote: &note})
	if err != nil {
		t.Fatal(err)
	}
	if second.Service.ID != first.Service.ID || second.Service.Name != name || !second.Moved || second.Promotion == nil || second.Promotion.Note != note {
		t.Errorf("second %+v", second)
	}
}
