// Package studioapi is the classic Studio API under /api, as far as the
// data-science clients of R and Python and the PowerShell module call it:
//
//	GET    workspaces/{ws}
//	GET    workspaces/{ws}/datasources                    POST registers an upload
//	GET    workspaces/{ws}/datasources/{id}
//	GET    workspaces/{ws}/datasources/family/{id}        all versions, the newest first
//	POST   resourceuploads/workspaces/{ws}/               ?dataTypeId: begins an upload, or is all of it
//	POST   blobuploads/workspaces/{ws}/                   ?uploadId&numberOfBlocks&blockId: one block
//	GET    workspaces/{ws}/experiments                    POST
//	GET    workspaces/{ws}/experiments/{id}               POST  PUT  DELETE
//	GET    workspaces/{ws}/experiments/{id}/outputdata/{node}/{port}   of the last good run
//	POST   workspaces/{ws}/experiments/{id}/webservice    ?updateExistingWebService: deploys
//	GET    workspaces/{ws}/experiments/{activity}/webservice
//	GET    workspaces/{ws}/experiments/{id}/webservicedefinition
//	GET    workspaces/{ws}/trainedmodels  transformmodules  modules
//
// Callers send one of the workspace's two tokens in the header
// x-ms-metaanalytics-authorizationtoken or as a bearer token, or a member's JWT
// as either. A token counts as an author. What other collections the old
// service had is refused with what to use instead.
//
// A deploy publishes the experiment's last successful run to staging and files
// the promotion: production waits for a deployer as always.
//
// Bodies are read without regard to the case of their members, and members that
// this API does not know are ignored, as the old service did.
package studioapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/publish"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/runs"
	"github.com/portico-ml/portico/shared/storage"
)

// Verifier turns a JWT into an identity; *auth.Verifier is one.
type Verifier interface {
	Verify(ctx context.Context, bearer string) (auth.Identity, error)
}

// Config is what the function works with.
type Config struct {
	Verifier  Verifier
	Catalog   *catalog.Catalog
	Registry  *registry.Registry
	Runs      *runs.Runs
	Publisher *publish.Publisher
	Blobs     storage.Blobs // of unfinished uploads
}

// Function is the studioapi function.
type Function struct {
	verifier  Verifier
	catalog   *catalog.Catalog
	registry  *registry.Registry
	runs      *runs.Runs
	publisher *publish.Publisher
	blobs     storage.Blobs
}

// New returns the function.
func New(c Config) *Function {
	return &Function{verifier: c.Verifier, catalog: c.Catalog, registry: c.Registry, runs: c.Runs, publisher: c.Publisher, blobs: c.Blobs}
}

// longTimeout is the deadline of calls that carry or make files, and of
// deploys.
const longTimeout = 210 * time.Second

// Register adds the routes.
func (f *Function) Register(rt *web.Router) {
	const ws = "/api/workspaces/{ws}"
	read := func(path string, h handler) { rt.HandleWithin(longTimeout, "GET "+path, f.as(auth.Reader, h)) }
	write := func(method, path string, h handler) {
		rt.HandleWithin(longTimeout, method+" "+path, f.as(auth.Author, h))
	}
	read(ws, f.workspace)

	read(ws+"/datasources", f.datasets)
	read(ws+"/datasources/{id}", f.dataset)
	read(ws+"/datasources/family/{family}", f.datasetFamily)
	write("POST", ws+"/datasources", f.registerUpload)
	for _, end := range []string{"", "/{$}"} { // clients send the slash
		write("POST", "/api/resourceuploads/workspaces/{ws}"+end, f.beginUpload)
		write("POST", "/api/blobuploads/workspaces/{ws}"+end, f.block)
		write("POST", ws+"/experiments"+end, f.createExperiment)
	}

	read(ws+"/experiments", f.experiments)
	read(ws+"/experiments/{id}", f.experiment)
	read(ws+"/experiments/{id}/outputdata/{node}/{port}", f.outputData)
	for _, method := range []string{"POST", "PUT"} {
		write(method, ws+"/experiments/{id}", f.changeExperiment)
	}
	write("DELETE", ws+"/experiments/{id}", f.deleteExperiment)
	write("POST", ws+"/experiments/{id}/webservice", f.deploy)
	read(ws+"/experiments/{id}/webservice", f.activity)
	read(ws+"/experiments/{id}/webservicedefinition", f.definition)

	read(ws+"/trainedmodels", f.trainedModels)
	read(ws+"/transformmodules", f.transformations)
	read(ws+"/modules", f.modules)
	for _, r := range refusals {
		h := f.as(auth.Reader, r.refuse)
		rt.Handle(r.pattern, h)
		if r.below {
			rt.Handle(r.pattern+"/{rest...}", h)
		}
	}
}

// refusal is a part of the old API that this one does not have.
type refusal struct {
	pattern string
	below   bool // what lies below it, too
	instead string
}

var refusals = []refusal{
	{"/api/workspaces/{ws}/users", true, "users are not managed here: members and their roles are at /manage/workspaces/{ws}/members"},
	{"/api/workspaces/{ws}/invitations", true, "nobody is invited by mail: an owner adds members at /manage/workspaces/{ws}/members"},
	{"/api/workspaces/{ws}/packages", true, "experiments are not packed: copy the experiment's document (Graph of GET experiments/{id}) and POST it to the other workspace"},
	{"/api/workspaces/{ws}/projectcontainers", true, "there are no projects: a workspace is what holds experiments together"},
	{"/api/workspaces/{ws}/notebooks", true, "there are no notebooks: read datasets by their DownloadLocation from a notebook of your own"},
	{"/api/workspaces/{ws}/gateways", true, "there are no data gateways: Import Data reaches what the operator allows"},
	{"/api/workspaces/{ws}/modules/custom", true, "modules are built in: custom ones cannot be added"},
	{"/api/workspaces/{ws}/experiments/{id}/annotations", true, "experiments have no annotations: comments of nodes are in the experiment's graph"},
	{"DELETE /api/workspaces/{ws}/datasources/family/{family}", false, "datasets are kept for the runs that used them: upload a new version instead"},
	{"DELETE /api/workspaces/{ws}/datasources/{id}", false, "datasets are kept for the runs that used them: upload a new version instead"},
	{"POST /api/workspaces/{ws}/trainedmodels", false, "a run's result is saved by POST /workbench/workspaces/{ws}/runs/{run}/nodes/{node}/save, a model file is imported by POST /workbench/workspaces/{ws}/models"},
	{"POST /api/workspaces/{ws}/transformmodules", false, "a run's result is saved by POST /workbench/workspaces/{ws}/runs/{run}/nodes/{node}/save"},
	{"PUT /api/workspaces/{ws}", false, "a workspace is changed by its owner: PUT /manage/workspaces/{ws}"},
}

func (r refusal) refuse(http.ResponseWriter, call) error {
	return fault.New(fault.Unsupported, "NotSupported", "%s", r.instead)
}

// call is a request of somebody known in a workspace.
type call struct {
	*http.Request
	ws   string
	id   auth.Identity
	role auth.Role
}

func (c call) actor() registry.Actor { return registry.Member(c.id, c.role) }

type handler func(w http.ResponseWriter, c call) error

// as lets h see only callers with at least role least in the workspace.
func (f *Function) as(least auth.Role, h handler) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		c := call{Request: r, ws: r.PathValue("ws")}
		web.Call(r).Workspace = c.ws
		var err error
		if c.id, err = f.caller(r, c.ws); err != nil {
			return err
		}
		web.Call(r).By = c.id.Key()
		c.role, err = f.catalog.Role(r.Context(), c.ws, c.id)
		switch {
		case err != nil:
			return err
		case c.role == auth.None:
			return fault.New(fault.NotFound, "WorkspaceNotFound", "the workspace does not exist")
		case c.role < least:
			return fault.New(fault.Forbidden, "RoleRequired", "this needs the role %s in the workspace; you have %s", least, c.role)
		}
		return h(w, c)
	}
}

// tokenHeader is where the clients of the Studio API put the token.
const tokenHeader = "X-Ms-Metaanalytics-Authorizationtoken"

// caller finds out who calls.
func (f *Function) caller(r *http.Request, ws string) (auth.Identity, error) {
	token := strings.TrimSpace(r.Header.Get(tokenHeader))
	if token == "" {
		token = auth.BearerToken(r)
	}
	switch {
	case token == "":
		return auth.Identity{}, fault.New(fault.Unauthorized, "ManagementRequestUnauthorized", "Invalid credentials provided.")
	case strings.Count(token, ".") == 2: // derived tokens are base64, which has no dots
		return f.verifier.Verify(r.Context(), token)
	}
	return f.catalog.TokenIdentity(r.Context(), ws, token)
}

// decode reads a JSON body as the old service did: without regard to case and
// to members it does not know.
func (c call) decode(v any, limit int64) error {
	body, err := web.ReadBody(c.Request, limit, nil)
	if err != nil {
		return err
	}
	if err = json.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), v); err == nil {
		return nil
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
		return fault.New(fault.BadArgument, "RequestBodyInvalid", "%s cannot be a JSON %s", t.Field, t.Value).At(t.Field)
	}
	return fault.New(fault.BadArgument, "RequestBodyInvalid", "the body is not a JSON object")
}

// flag reads a query parameter that is true or false; false without it.
func (c call) flag(name string) (bool, error) {
	switch text := c.URL.Query().Get(name); strings.ToLower(text) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, fault.New(fault.BadArgument, "InvalidQueryParameter", "%s=%.40s: true or false is needed", name, text).At(name)
	}
}

// date is a time as the old service wrote it. The zero time is negative, as
// there, which clients read as none.
func date(t time.Time) string { return fmt.Sprintf("/Date(%d)/", t.UnixMilli()) }

// list answers with a list that may be empty. R takes an empty array for a
// table without columns and stops there: it gets null. Python goes through
// what it gets, and cannot through null.
func list[T any](w http.ResponseWriter, c call, items []T) error {
	if len(items) > 0 {
		return web.JSON(w, http.StatusOK, items)
	}
	if strings.HasPrefix(c.UserAgent(), "pyazureml/") {
		return web.JSON(w, http.StatusOK, []T{})
	}
	return web.JSON(w, http.StatusOK, nil)
}
