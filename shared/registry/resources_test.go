package registry

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/trees"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/service"
)

const resource = "churn model [trained model]"

// stump returns a model of one tree: minutes below 100 scores low, else high.
func stump(t *testing.T, high float64, change func(*model.Header)) []byte {
	t.Helper()
	f := &trees.Forest{Features: 1, Outputs: 1, Base: []float64{0}, Trees: []trees.Tree{{Nodes: []trees.Node{
		{Test: trees.Less, Feature: 0, Threshold: 100, Left: 1, Right: 2},
		{Test: trees.Leaf, Value: -1},
		{Test: trees.Leaf, Value: high},
	}}}}
	engine, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	h := model.Header{
		Engine: model.EngineTrees, Learner: "stump", Kind: model.TwoClass, Transform: model.Transform{Name: model.Sigmoid},
		Features: []model.Feature{{Name: "minutes", Column: "minutes", Type: frame.Double, Encoding: model.Number}},
		Label:    &model.Label{Column: "churn", Type: frame.String, Classes: []string{"no", "yes"}, Positive: "yes"},
	}
	if change != nil {
		change(&h)
	}
	scoring, err := model.Encode(h, engine)
	if err != nil {
		t.Fatal(err)
	}
	return scoring
}

// withModel publishes a service that holds a model.
func withModel(t *testing.T, r *Registry, scoring []byte) *Published {
	t.Helper()
	digest, err := r.artifacts.Put(t.Context(), testWS, scoring)
	if err != nil {
		t.Fatal(err)
	}
	var m service.Manifest
	if err := json.Unmarshal(manifest(t, "model"), &m); err != nil {
		t.Fatal(err)
	}
	m.Assets = []service.Asset{
		{Name: "asset1", Kind: service.TrainedModel, Digest: digest, Resource: resource},
		{Name: "asset2", Kind: service.Dataset, Digest: digest},
	}
	pub := publication(t, "")
	if pub.Manifest, err = encodeManifest(&m); err != nil {
		t.Fatal(err)
	}
	p, err := r.Publish(t.Context(), testWS, author, pub)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestReplaceResources(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, openStore(t), Options{})
	old := stump(t, 1, nil)
	p := withModel(t, r, old)
	svc := p.Service.ID
	mustPromote(t, r, p, "")
	shop, err := r.CreateEndpoint(ctx, testWS, svc, "shop", author, SettingsChange{})
	if err != nil {
		t.Fatal(err)
	}
	better := stump(t, 2, nil)
	replace := func(name string, by Actor, rs ...Resource) (*service.Endpoint, *Promotion, error) {
		return r.ReplaceResources(ctx, testWS, svc, name, by, rs)
	}

	// Refused.
	for name, tt := range map[string]struct {
		rs   []Resource
		kind fault.Kind
		code string
	}{
		"none":    {nil, fault.BadArgument, "BadParameterValue"},
		"unknown": {[]Resource{{"other", better}}, fault.BadArgument, "BadParameterValue"},
		"twice":   {[]Resource{{resource, better}, {resource, better}}, fault.BadArgument, "BadParameterValue"},
		"kind": {[]Resource{{resource, stump(t, 2, func(h *model.Header) {
			h.Kind, h.Transform, h.Label = model.Regression, model.Transform{Name: model.Identity}, nil
		})}}, fault.Conflict, "ModelOutputMetadataMismatch"},
		"classes": {[]Resource{{resource, stump(t, 2, func(h *model.Header) {
			h.Label.Classes, h.Label.Positive = []string{"stays", "goes"}, "goes"
		})}}, fault.Conflict, "ModelOutputMetadataMismatch"},
		"column": {[]Resource{{resource, stump(t, 2, func(h *model.Header) { h.Features[0].Column = "calls" })}}, fault.Conflict, "ModelOutputMetadataMismatch"},
	} {
		_, _, err := replace("shop", author, tt.rs...)
		if !fault.Is(err, tt.kind) || !fault.HasCode(err, tt.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := replace("shop", author, Resource{resource, []byte("not a model")}); !fault.Is(err, fault.Package) && !fault.Is(err, fault.BadArgument) {
		t.Errorf("not a model: %v", err)
	}
	_, _, err = replace(service.Default, KeyHolder(p.Default.ID), Resource{resource, better})
	wantCode(t, err, fault.Forbidden, "RoleRequired")
	_, _, err = replace("shop", KeyHolder(p.Default.ID), Resource{resource, better})
	wantCode(t, err, fault.Unauthorized, "ManagementRequestUnauthorized")

	// An added endpoint moves, with its own key too, and the record part of
	// the file is no part of the deployment.
	e, filed, err := replace("shop", KeyHolder(shop.ID), Resource{resource, model.Join(better, []byte(`{"auc":1}`))})
	if err != nil || filed != nil || e.Digest == p.Digest {
		t.Fatal(e, filed, err)
	}
	m, err := r.Manifest(ctx, testWS, e.Digest)
	if err != nil || m.Assets[0].Digest != artifact.Digest(better) || m.Assets[1].Digest != artifact.Digest(old) {
		t.Fatalf("%+v, %v", m, err)
	}
	d, err := r.DeploymentRecord(ctx, testWS, svc, e.Digest, reader)
	if err != nil || d.Base != p.Digest || d.Replaced[resource] != artifact.Digest(better) || d.ExperimentID != testExp {
		t.Fatalf("%+v, %v", d, err)
	}
	again, _, err := replace("shop", author, Resource{resource, better})
	if err != nil || again.Seq != e.Seq {
		t.Fatal("the same model moved the endpoint again", err)
	}
	if got := endpoint(t, r, svc, service.Default); got.Digest != p.Digest {
		t.Fatal("default moved")
	}

	// Default is not moved: staging and a promotion.
	got, filed, err := replace(service.Default, author, Resource{resource, better})
	wantCode(t, err, fault.Conflict, CodePromotion)
	if filed == nil || filed.Digest != e.Digest || !strings.Contains(fault.Of(err).Msg, "promotion 2") || got.Digest != p.Digest {
		t.Fatal(got, filed, err)
	}
	if s := endpoint(t, r, svc, service.Staging); s.Digest != e.Digest {
		t.Fatal("staging cannot be tried with the update")
	}
	_, twice, err := replace(service.Default, author, Resource{resource, better})
	wantCode(t, err, fault.Conflict, CodePromotion)
	if twice.Number != filed.Number {
		t.Fatalf("asking again filed promotion %d", twice.Number)
	}
	// It was never called on staging yet.
	_, err = r.Approve(ctx, testWS, svc, filed.Number, deployer, Decision{Expect: &p.Digest})
	wantCode(t, err, fault.Conflict, CodeUntested)
	testOnStaging(t, r, p)
	if _, err = r.Approve(ctx, testWS, svc, filed.Number, deployer, Decision{Expect: &p.Digest}); err != nil {
		t.Fatal(err)
	}

	// Refresh without overwriting keeps what was replaced.
	third := withModel(t, r, stump(t, 3, nil))
	mustPromote(t, r, third, e.Digest)
	kept, moved, err := r.Refresh(ctx, testWS, svc, "shop", author, false)
	if err != nil {
		t.Fatal(err)
	}
	m, err = r.Manifest(ctx, testWS, kept.Digest)
	if err != nil || m.Assets[0].Digest != artifact.Digest(better) {
		t.Fatalf("refresh dropped the replaced model: %+v %v, moved %v", m, err, moved)
	}
	if e, moved, err := r.Refresh(ctx, testWS, svc, "shop", author, true); err != nil || !moved || e.Digest != third.Digest {
		t.Fatal(e, moved, err)
	}
}

// A model retrained on more states takes them, unless the graph cannot.
func TestReplaceResourcesNewLevels(t *testing.T) {
	ctx := t.Context()
	inState := func(levels ...string) func(*model.Header) {
		return func(h *model.Header) {
			h.Features[0] = model.Feature{Name: "state", Column: "state", Type: frame.String, Encoding: model.Codes, Levels: levels}
		}
	}
	column := frame.Schema{{Name: "state", Type: frame.String, Levels: []string{"TX", "NY"}}, {Name: "plan", Type: frame.String, Levels: []string{"a"}}}
	for _, tt := range []struct {
		name   string
		refuse bool // the graph cannot take a new level
		want   string
	}{{"taken", false, "TX NY CA"}, {"refused", true, "TX NY"}} {
		t.Run(tt.name, func(t *testing.T) {
			var r *Registry
			r = newRegistry(t, openStore(t), Options{Load: func(ctx context.Context, ws, digest string) (*scoring.Deployment, int64, error) {
				m, err := r.Manifest(ctx, ws, digest)
				if err == nil && tt.refuse && len(m.Pins[0].Schema[0].Levels) > 2 {
					err = fault.New(fault.Package, "ValidationError", "node n2 makes a column of each level")
				}
				return &scoring.Deployment{Digest: digest}, 1, err
			}})
			digest, err := r.artifacts.Put(ctx, testWS, stump(t, 1, inState("NY", "TX")))
			if err != nil {
				t.Fatal(err)
			}
			pub := publication(t, "")
			if pub.Manifest, err = encodeManifest(&service.Manifest{
				Format: 1, Graph: json.RawMessage(`{}`),
				Assets: []service.Asset{{Name: "asset1", Kind: service.TrainedModel, Digest: digest, Resource: resource}},
				Inputs: []service.Port{{Name: "input1", Schema: column}},
				Pins:   []service.Pin{{Node: "n2", Schema: column}},
			}); err != nil {
				t.Fatal(err)
			}
			p, err := r.Publish(ctx, testWS, author, pub)
			if err != nil {
				t.Fatal(err)
			}
			e, _, err := r.ReplaceResources(ctx, testWS, p.Service.ID, service.Staging, author, []Resource{{resource, stump(t, 2, inState("CA", "NY", "TX"))}})
			if err != nil {
				t.Fatal(err)
			}
			m, err := r.Manifest(ctx, testWS, e.Digest)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []frame.Schema{m.Inputs[0].Schema, m.Pins[0].Schema} {
				if got := strings.Join(s[0].Levels, " "); got != tt.want || len(s[1].Levels) != 1 {
					t.Errorf("levels %q of state and %q of plan, want %q", got, s[1].Levels, tt.want)
				}
			}
		})
	}
}
