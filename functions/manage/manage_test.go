package manage

import (
	"testing"

	"github.com/cespare/webtest"

	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/publish"
	"github.com/portico-ml/portico/shared/registry/registrytest"
)

func router(w *registrytest.World) *web.Router {
	rt := web.NewRouter(web.Options{PublicURL: "https://ml.example.com"})
	New(w.Registry, w.Catalog, publish.New(w.Registry, w.Catalog, w), w, w.Store).Register(rt)
	return rt
}

func TestScripts(t *testing.T) {
	for _, name := range []string{"promotion", "endpoints", "workspace", "bad"} {
		w := registrytest.New(t)
		webtest.TestHandler(t, "testdata/"+name+".txt", w.Script(router(w), nil))
	}
}
