package registrytest

import (
	"fmt"
	"maps"
	"testing"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/model"
	"github.com/portico-ml/portico/shared/model/trees"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/service"
)

// Resource is the name of the model in the services of a Stage.
const Resource = "churn model [trained model]"

// Model returns a model of one tree: below 100 minutes it says no, above yes,
// the surer the higher high is.
func Model(t testing.TB, high float64) []byte {
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
	scoring, err := model.Encode(model.Header{
		Engine: model.EngineTrees, Learner: "stump", Kind: model.TwoClass, Transform: model.Transform{Name: model.Sigmoid},
		Features: []model.Feature{{Name: "minutes", Column: "minutes", Type: frame.Double, Encoding: model.Number}},
		Label:    &model.Label{Column: "churn", Type: frame.String, Classes: []string{"no", "yes"}, Positive: "yes"},
	}, engine)
	if err != nil {
		t.Fatal(err)
	}
	return scoring
}

// Stage is a world in which every call that can move an endpoint has something
// to move: default and the added endpoint "shop" have a past, shop is behind
// default, staging is ahead of it, and promotion 4, of ann, is pending. Of the
// experiment there is a newer run, and of the model a better version, "better".
type Stage struct {
	*World
	Service string
	IDs     map[string]string // of the endpoints, by name
	Staged  string            // digest that staging serves
	Live    string            // digest that default serves
}

// NewStage returns a new stage.
func NewStage(t testing.TB) *Stage {
	t.Helper()
	ctx := t.Context()
	s := &Stage{World: New(t), IDs: map[string]string{}}
	asset := service.Asset{Name: "asset1", Kind: service.TrainedModel, Resource: Resource}
	var err error
	if asset.Digest, err = artifact.New(s.Store.Blobs).Put(ctx, Workspace, Model(t, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Catalog.SaveModel(ctx, Workspace, catalog.NewModel{Kind: service.TrainedModel, Name: "better", Artifact: Model(t, 2)}, auth.Identity{Issuer: Issuer, Subject: "ann"}); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		p := s.Publish(t, fmt.Sprint(i), asset)
		s.Service, s.Staged = p.Service.ID, p.Digest
		s.IDs[service.Staging], s.IDs[service.Default] = p.Staging.ID, p.Default.ID
		if i == 3 {
			if err := s.Call(ctx, p.Staging.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Registry.RequestPromotion(ctx, Workspace, s.Service, s.Actor("ann"), registry.Request{Digest: p.Digest}); err != nil {
				t.Fatal(err)
			}
			break
		}
		s.Promote(t, p)
		s.Live = p.Digest
		switch i {
		case 0:
			e, err := s.Registry.CreateEndpoint(ctx, Workspace, s.Service, "shop", s.Actor("ann"), registry.SettingsChange{})
			if err != nil {
				t.Fatal(err)
			}
			s.IDs["shop"] = e.ID
		case 1:
			if _, _, err := s.Registry.Refresh(ctx, Workspace, s.Service, "shop", s.Actor("ann"), true); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.Run("next", asset)
	return s
}

// Credentials are all that a caller can come with, by a name each: nobody, the
// people of the world, the workspace's token and the keys of endpoints.
func (s *Stage) Credentials(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{"nobody": "", "stranger": "not.a.token"}
	for name := range people {
		all[name] = name
	}
	token, _, err := s.Catalog.Tokens(t.Context(), Workspace)
	if err != nil {
		t.Fatal(err)
	}
	all["token"] = token
	for name := range s.IDs {
		k, err := s.Registry.Keys(t.Context(), Workspace, s.Service, name, s.Actor("dora"))
		if err != nil {
			t.Fatal(err)
		}
		all["key of "+name] = k.Primary
	}
	return all
}

// Deployers reports whether the credentials called name are those of a member
// who may move default.
func Deployers(name string) bool { return people[name] >= auth.Deployer }

// Pointers returns what each endpoint serves and how often it has moved.
func (s *Stage) Pointers(t testing.TB) map[string]string {
	t.Helper()
	at := map[string]string{}
	es, err := s.Registry.Endpoints(t.Context(), Workspace, s.Service, s.Actor("olga"))
	if err != nil {
		return at // the service is gone
	}
	for _, e := range es {
		at[e.Name] = fmt.Sprintf("%d:%.8s", e.Seq, e.Digest)
	}
	return at
}

// Cell is a call by somebody.
type Cell struct {
	Call string
	By   string   // name of the credentials
	May  bool     // whether it is allowed
	Move []string // endpoints it moves, makes or removes if it is
}

// Check makes the call of each cell and holds it against the table: a refused
// call is answered 400, 401, 403 or 404 and moves nothing, an allowed one
// moves just what it says, and default is moved by deployers alone. Refused
// calls share a stage; each allowed one has its own.
func Check(t *testing.T, cells []Cell, do func(s *Stage, call, bearer string) (status int, body string)) {
	t.Helper()
	shared := NewStage(t)
	for _, c := range cells {
		t.Run(c.Call+" by "+c.By, func(t *testing.T) {
			s := shared
			if c.May {
				t.Parallel()
				s = NewStage(t)
			}
			bearer, ok := s.Credentials(t)[c.By]
			if !ok {
				t.Fatalf("there are no credentials %q", c.By)
			}
			before := s.Pointers(t)
			status, body := do(s, c.Call, bearer)
			after := s.Pointers(t)
			if c.May {
				if status >= 400 && status != 409 {
					t.Errorf("refused with %d: %s", status, body)
				}
			} else if status != 400 && status != 401 && status != 403 && status != 404 {
				t.Errorf("answered %d: %s", status, body)
			}
			moved := map[string]bool{}
			for name := range union(before, after) {
				if before[name] != after[name] {
					moved[name] = true
				}
			}
			want := map[string]bool{}
			if c.May {
				for _, name := range c.Move {
					want[name] = true
				}
			}
			if !maps.Equal(moved, want) {
				t.Errorf("moved %v, want %v: %d %s", moved, want, status, body)
			}
			if moved[service.Default] && !Deployers(c.By) {
				t.Errorf("%s moved default", c.By)
			}
		})
	}
}

func union(a, b map[string]string) map[string]bool {
	all := map[string]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return all
}
