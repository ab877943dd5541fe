// Package webservices is the classic management API: the list of web services
// and their endpoints, as R and Python packages, PowerShell and retraining
// scripts call it.
//
//	GET    /workspaces/{ws}/webservices
//	GET    /workspaces/{ws}/webservices/{svc}          PUT (refused)  DELETE
//	GET    /workspaces/{ws}/webservices/{svc}/endpoints
//	GET    …/endpoints/{name}                          PUT  PATCH  DELETE
//	POST   …/endpoints/{name}/refresh                  304 when nothing changes
//	GET    …/endpoints/{name or id}/apidocument        without a key
//
// Callers send one of the workspace's two tokens, which count as an author and
// decide nothing that needs a person; a JWT of a member; or, for PATCH of an
// endpoint, that endpoint's own key. Members that this API does not know are
// ignored in bodies, as the old service ignored them. Keys are null to callers
// who may not see them: those of default are for deployers.
package webservices

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/wire"
)

// Verifier turns a JWT into an identity; *auth.Verifier is one.
type Verifier interface {
	Verify(ctx context.Context, bearer string) (auth.Identity, error)
}

// Opener opens the blob that a caller names; *blob.Connector is one.
type Opener interface {
	Open(ctx context.Context, r blob.Reference, write bool) (*blob.Blob, error)
}

// Function is the webservices function.
type Function struct {
	registry *registry.Registry
	catalog  *catalog.Catalog
	verifier Verifier
	blobs    Opener
}

// New returns the function.
func New(r *registry.Registry, c *catalog.Catalog, v Verifier, blobs Opener) *Function {
	return &Function{registry: r, catalog: c, verifier: v, blobs: blobs}
}

// maxBody bounds the bodies of this API, but for that of a code service.
const maxBody = 256 << 10

// Register adds the routes. Their callers are the clients of the old service.
func (f *Function) Register(rt *web.Router) {
	const all = "/workspaces/{ws}/webservices"
	const one = all + "/{svc}"
	const ep = one + "/endpoints/{name}"
	rt.Handle("GET "+all, f.list)
	rt.Handle("GET "+one, f.get)
	rt.Handle("PUT "+one, f.put)
	rt.Handle("DELETE "+one, f.remove)
	rt.Handle("GET "+one+"/endpoints", f.endpoints)
	rt.Handle("GET "+ep, f.endpoint)
	rt.Handle("PUT "+ep, f.createEndpoint)
	rt.Handle("PATCH "+ep, f.patchEndpoint)
	rt.Handle("DELETE "+ep, f.deleteEndpoint)
	rt.Handle("POST "+ep+"/refresh", f.refresh)
	rt.Handle("GET "+ep+"/apidocument", f.apiDocument)
}

func unauthorized() error {
	return fault.New(fault.Unauthorized, "ManagementRequestUnauthorized", "Invalid credentials provided.")
}

// member finds out who calls: a member of the workspace, or its token.
func (f *Function) member(r *http.Request) (ws string, by registry.Actor, err error) {
	ws = r.PathValue("ws")
	web.Call(r).Workspace, web.Call(r).Service = ws, r.PathValue("svc")
	bearer := auth.BearerToken(r)
	if bearer == "" {
		return ws, by, unauthorized()
	}
	var id auth.Identity
	if strings.Count(bearer, ".") == 2 { // derived keys are base64, which has no dots
		id, err = f.verifier.Verify(r.Context(), bearer)
	} else {
		id, err = f.catalog.TokenIdentity(r.Context(), ws, bearer)
	}
	if err != nil {
		return ws, by, err
	}
	role, err := f.catalog.Role(r.Context(), ws, id)
	if err != nil {
		return ws, by, err
	}
	if role == auth.None {
		return ws, by, fault.New(fault.NotFound, "WorkspaceNotFound", "the workspace does not exist")
	}
	web.Call(r).By = id.Key()
	return ws, registry.Member(id, role), nil
}

// serviceView is the classic WebService object.
type serviceView struct {
	ID                  string `json:"Id"`
	Name                string
	Description         string
	CreationTime        string
	WorkspaceID         string `json:"WorkspaceId"`
	DefaultEndpointName string
	EndpointCount       int
}

func viewService(s *registry.Service) serviceView {
	return serviceView{
		ID: s.ID, Name: s.Name, Description: s.Description, CreationTime: moment(s.Created), WorkspaceID: s.Workspace,
		DefaultEndpointName: service.Default, EndpointCount: s.Endpoints,
	}
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func (f *Function) list(w http.ResponseWriter, r *http.Request) error {
	ws, by, err := f.member(r)
	if err != nil {
		return err
	}
	all, err := f.registry.Services(r.Context(), ws, by)
	if err != nil {
		return err
	}
	views := make([]serviceView, len(all))
	for i := range all {
		views[i] = viewService(&all[i])
	}
	return web.JSON(w, http.StatusOK, views)
}

func (f *Function) get(w http.ResponseWriter, r *http.Request) error {
	ws, by, err := f.member(r)
	if err != nil {
		return err
	}
	s, err := f.registry.Service(r.Context(), ws, r.PathValue("svc"), by)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, viewService(s))
}

// put would make a web service of R or Python code.
func (f *Function) put(_ http.ResponseWriter, r *http.Request) error {
	if _, _, err := f.member(r); err != nil {
		return err
	}
	return fault.New(fault.Unsupported, "WebServiceTypeInvalid",
		"web services of R or Python code are not run here: build an experiment with the code's steps, or import the trained model, and publish that (POST /manage/workspaces/{ws}/services)")
}

func (f *Function) remove(w http.ResponseWriter, r *http.Request) error {
	ws, by, err := f.member(r)
	if err != nil {
		return err
	}
	if err := f.registry.DeleteService(r.Context(), ws, r.PathValue("svc"), by); err != nil {
		return err
	}
	return web.NoContent(w)
}

// apiDocument describes an endpoint, named by name or id, to anybody who knows
// its address.
func (f *Function) apiDocument(w http.ResponseWriter, r *http.Request) error {
	ctx, ws, svc := r.Context(), r.PathValue("ws"), r.PathValue("svc")
	web.Call(r).Workspace, web.Call(r).Service = ws, svc
	t, err := f.registry.Find(ctx, ws, svc, r.PathValue("name"))
	if err != nil {
		return err
	}
	digest, err := t.Serving()
	if err != nil {
		return err
	}
	web.Call(r).Endpoint, web.Call(r).Deployment = t.Endpoint.ID, digest
	d, release, err := f.registry.Deployment(ctx, ws, digest)
	if err != nil {
		return err
	}
	defer release()
	return web.Bytes(w, http.StatusOK, "application/json; charset=utf-8", wire.Swagger(d.Manifest, wire.Endpoint{
		Title: t.Service.Name, Description: t.Service.Description, Name: t.Endpoint.Name,
		BaseURL: web.BaseURL(r), Path: "/workspaces/" + ws + "/services/" + t.Endpoint.ID, SampleData: t.Endpoint.Settings.SampleData,
	}))
}
