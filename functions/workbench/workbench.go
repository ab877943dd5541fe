// Package workbench is the API in which services are built: experiments and
// their runs, trained models, datasets.
//
// Callers present a JSON Web Token; what they may do follows from their role in
// the workspace: readers look, authors change. To others the workspace does
// not exist. What is used cannot be deleted; what is deleted is in the
// workspace's audit.
package workbench

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Verifier says who presents a token; *auth.Verifier is one.
type Verifier interface {
	Verify(ctx context.Context, bearer string) (auth.Identity, error)
}

// Function is the workbench function.
type Function struct {
	verifier Verifier
	catalog  *catalog.Catalog
	runs     *runs.Runs
	services Services
	blobs    storage.Blobs // of uploads
}

// Services says which services and promotions use an artifact;
// *registry.Registry does.
type Services interface {
	Uses(ctx context.Context, ws string, meant func(digest string) bool) ([]string, error)
}

// New returns the function.
func New(v Verifier, c *catalog.Catalog, r *runs.Runs, s Services, blobs storage.Blobs) *Function {
	return &Function{verifier: v, catalog: c, runs: r, services: s, blobs: blobs}
}

// fileTimeout is the deadline of calls that carry or make files.
const fileTimeout = 210 * time.Second

// Register adds the routes.
func (f *Function) Register(rt *web.Router) {
	rt.Handle("GET /workbench/modules", f.modules)

	const ws = "/workbench/workspaces/{ws}"
	read := func(pattern string, h handler) { rt.Handle("GET "+ws+pattern, f.as(auth.Reader, h)) }
	read("/experiments", f.listExperiments)
	read("/experiments/{id}", f.getExperiment)
	read("/experiments/{id}/runs", f.listRuns)
	read("/runs/{run}", f.getRun)
	read("/runs/{run}/document", f.getRunDocument)
	read("/runs/{run}/compare/{other}", f.compareRuns)
	read("/runs/{run}/nodes/{node}/ports", f.preview) // of the only port
	read("/runs/{run}/nodes/{node}/ports/{port}", f.preview)
	read("/runs/{run}/nodes/{node}/ports/{port}/file", f.resultFile)
	kinds := map[string]kindOf{
		"/models": {f, service.TrainedModel}, "/transformations": {f, service.Transformation}, "/datasets": {f, service.Dataset},
	}
	for path, k := range kinds {
		if k.kind == service.Dataset {
			continue // which are read in other ways
		}
		read(path, k.list)
		read(path+"/{name}", k.versions)
		read(path+"/{name}/versions/{version}", k.version)
		read(path+"/{name}/versions/{version}/file", k.file)
		read(path+"/{name}/versions/{version}/record", k.record)
	}
	read("/models/{name}/versions/{version}/original", kinds["/models"].original)
	datasets := kinds["/datasets"]
	read("/datasets", datasets.list)
	read("/datasets/{name}", datasets.versions)
	read("/datasets/{name}/versions/{version}", f.getDataset)
	read("/datasets/{name}/versions/{version}/rows", f.datasetRows)
	read("/datasets/{name}/versions/{version}/file", datasets.datasetFile)

	write := func(method, pattern string, h handler) {
		rt.HandleWithin(fileTimeout, method+" "+ws+pattern, f.as(auth.Author, h))
	}
	write("POST", "/experiments", f.createExperiment)
	write("PUT", "/experiments/{id}", f.putExperiment)
	write("PATCH", "/experiments/{id}", f.patchExperiment)
	write("DELETE", "/experiments/{id}", f.deleteExperiment)
	write("POST", "/experiments/{id}/validate", f.validate)
	write("POST", "/experiments/{id}/runs", f.startRun)
	write("POST", "/experiments/{id}/convert", f.convert)
	write("POST", "/runs/{run}/cancel", f.cancelRun)
	write("POST", "/runs/{run}/nodes/{node}/save", f.saveResult)
	write("POST", "/models", f.importModel)
	write("POST", "/models/{name}", f.importModel)
	write("POST", "/datasets", f.saveDataset)
	write("POST", "/datasets/{name}", f.saveDataset)
	for path, k := range kinds {
		write("DELETE", path+"/{name}", k.deleteName)
		write("DELETE", path+"/{name}/versions/{version}", k.deleteVersion)
	}
}

// call is a request of somebody known in a workspace.
type call struct {
	*http.Request
	ws string
	id auth.Identity
}

type handler func(w http.ResponseWriter, c call) error

// as lets h see only callers with at least role least in the workspace.
func (f *Function) as(least auth.Role, h handler) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := f.verify(r)
		if err != nil {
			return err
		}
		c := call{r, r.PathValue("ws"), id}
		if err := f.catalog.Require(r.Context(), c.ws, id, least); err != nil {
			return err
		}
		web.Call(r).Workspace = c.ws
		return h(w, c)
	}
}

func (f *Function) verify(r *http.Request) (auth.Identity, error) {
	id, err := f.verifier.Verify(r.Context(), auth.BearerToken(r))
	if err != nil {
		return id, err
	}
	web.Call(r).By = id.Key()
	return id, nil
}

// modules: the palette, for editors and the curious. Any token will do.
func (f *Function) modules(w http.ResponseWriter, r *http.Request) error {
	if _, err := f.verify(r); err != nil {
		return err
	}
	var out struct {
		Modules []*module.Spec `json:"modules"`
	}
	for m := range f.runs.Palette().All() {
		out.Modules = append(out.Modules, &m.Spec)
	}
	return web.JSON(w, http.StatusOK, out)
}

// number reads a query parameter that is a count.
func (c call) number(name string, otherwise, limit int) (int, error) {
	text := c.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > limit {
		return 0, fault.New(fault.BadArgument, "InvalidQueryParameter", "%s=%.40s: a number from 0 to %d is needed", name, text, limit).At(name)
	}
	return n, nil
}

// flag reads a query parameter that is true or false.
func flag(name, text string, otherwise bool) (bool, error) {
	switch strings.ToLower(text) {
	case "":
		return otherwise, nil
	case "true", "1", "yes":
		return true, nil
	case "false", "0", "no":
		return false, nil
	}
	return false, fault.New(fault.BadArgument, "InvalidQueryParameter", "%s=%.40s: true or false is needed", name, text).At(name)
}

// Rows shown where a request does not say, and at most.
const (
	someRows = 100
	maxRows  = 1000
)

// attachment sends body as a file of that name.
func attachment(w http.ResponseWriter, name, contentType string, body []byte) error {
	h := w.Header()
	h.Set("Content-Disposition", "attachment; filename*=UTF-8''"+escape(name))
	h.Set("X-Content-Type-Options", "nosniff")
	return web.Bytes(w, http.StatusOK, contentType, body)
}

// escape is the percent-encoding of RFC 5987.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
