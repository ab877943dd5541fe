package manage

import (
	"testing"

	"github.com/cespare/webtest"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/garbage"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/publish"
	"github.com/portico-ml/portico/shared/registry/registrytest"
)

func router(w *registrytest.World) *web.Router {
	rt := web.NewRouter(web.Options{PublicURL: "https://ml.example.com"})
	New(w.Registry, w.Catalog, publish.New(w.Registry, w.Catalog, w), w, w.Store, kinds(w)).Register(rt)
	return rt
}

// kinds is what is collected in the world: artifacts, the moment they are
// nobody's.
func kinds(w *registrytest.World) []garbage.Kind {
	a := garbage.NewArtifacts(garbage.Config{Store: w.Store, Sources: []garbage.Source{w.Registry.Roots, w.Catalog.Roots}, Grace: 1})
	return []garbage.Kind{{Name: "artifacts", Collect: a.Collect}}
}

func TestScripts(t *testing.T) {
	for _, name := range []string{"promotion", "endpoints", "workspace", "bad"} {
		w := registrytest.New(t)
		if _, err := artifact.New(w.Store.Blobs).Put(t.Context(), registrytest.Workspace, []byte("nobody's")); err != nil {
			t.Fatal(err)
		}
		webtest.TestHandler(t, "testdata/"+name+".txt", w.Script(router(w), nil))
	}
}
