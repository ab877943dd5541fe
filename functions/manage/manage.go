// Package manage is our own management API, under /manage: workspaces and
// members, web services, promotions, endpoints, keys, history, audit,
// notifications, the webhook and uploads.
//
// Callers send a JWT of an issuer that the app trusts; what they may do comes
// from the members of the workspace (package registry has the table of rights).
// To somebody without a role in a workspace the workspace does not exist.
// Bodies and answers are JSON with lowerCamel names; an unknown member of a
// body is refused. Errors are the classic error documents.
//
//	GET    workspaces                            those the caller has a role in
//	PUT    workspaces/{ws}                       {name, description, region, members} — operators make, owners change
//	GET    workspaces/{ws}
//	GET    workspaces/{ws}/members
//	PUT    workspaces/{ws}/members               {kind, issuer, value, name, role}
//	DELETE workspaces/{ws}/members               ?kind&issuer&value
//	GET    workspaces/{ws}/tokens                the two tokens of classic clients
//	POST   workspaces/{ws}/tokens/{slot}/regenerate
//
// Below workspaces/{ws}/services:
//
//	GET    .                                     all
//	POST   .                                     {experimentId, name, description} publishes to staging; with
//	                                             requestPromotion (and note) it files the promotion as well
//	GET    {svc}     PATCH {svc}  {name, description}     DELETE {svc}
//	GET    {svc}/endpoints                       POST {svc}/endpoints  {name, settings}
//	GET    {svc}/endpoints/{name}                PATCH  settings       DELETE
//	POST   {svc}/endpoints/{name}/refresh        {overwriteResources}
//	PUT    {svc}/endpoints/{name}/resources      {resources: [{name, model, version}]}
//	GET    {svc}/endpoints/{name}/keys           POST keys/{slot}/regenerate
//	GET    {svc}/endpoints/{name}/history        ?before&limit
//	GET    {svc}/endpoints/{name}/usage          ?days
//	GET    {svc}/deployments/{digest}            who made it of what, ports, parameters, resources
//	GET    {svc}/promotions                      POST {digest, note} marks staging's deployment ready
//	GET    {svc}/promotions/{n}
//	POST   {svc}/promotions/{n}/approve          {expect, acknowledge, reason}
//	POST   {svc}/promotions/{n}/reject           {reason}
//	POST   {svc}/promotions/{n}/withdraw         {reason}
//	POST   {svc}/rollback                        {expect, to, endpoint, reason}
//	GET    {svc}/history                         of default     GET {svc}/audit   ?before&limit
//	POST   {svc}/drops                           {name} → a URL that drops a file: it becomes a job
//	GET    {svc}/drops/{file}                    what became of it: receipts, results, row errors
//
// And beside it:
//
//	GET    workspaces/{ws}/notifications         ?before&limit, with the caller's unread count
//	POST   workspaces/{ws}/notifications/seen    {id}: read up to this one
//	GET    workspaces/{ws}/webhook               PUT {url, newSecret}     DELETE
//	GET    workspaces/{ws}/garbage               what would be deleted, of each kind: how many, bytes, the first ones
//	POST   workspaces/{ws}/uploads               {name, id} → a URL to write a file to, and one to read it
package manage

import (
	"context"
	"net/http"
	"strconv"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/catalog"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/garbage"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/publish"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/storage"
)

// Verifier turns a bearer token into an identity; *auth.Verifier is one.
type Verifier interface {
	Verify(ctx context.Context, bearer string) (auth.Identity, error)
}

// Function is the manage function.
type Function struct {
	registry  *registry.Registry
	catalog   *catalog.Catalog
	publisher *publish.Publisher
	verifier  Verifier
	store     *storage.Store
	garbage   []garbage.Kind
}

// New returns the function. Uploads and dropped files go to st; g is what is
// collected in workspaces.
func New(r *registry.Registry, c *catalog.Catalog, p *publish.Publisher, v Verifier, st *storage.Store, g []garbage.Kind) *Function {
	return &Function{registry: r, catalog: c, publisher: p, verifier: v, store: st, garbage: g}
}

// maxBody bounds the JSON bodies of this API: names, notes and settings.
const maxBody = 256 << 10

// Register adds the routes. Their callers are the pages of the studio, the
// sample's commands and scripts of operators.
func (f *Function) Register(rt *web.Router) {
	const ws = "/manage/workspaces/{ws}"
	const svc = ws + "/services/{svc}"
	const ep = svc + "/endpoints/{name}"
	for pattern, h := range map[string]web.HandlerFunc{
		"GET /manage/workspaces":                     f.workspaces,
		"GET " + ws:                                  f.workspace,
		"PUT " + ws:                                  f.putWorkspace,
		"GET " + ws + "/members":                     f.members,
		"PUT " + ws + "/members":                     f.putMember,
		"DELETE " + ws + "/members":                  f.deleteMember,
		"GET " + ws + "/tokens":                      f.tokens,
		"POST " + ws + "/tokens/{slot}/regenerate":   f.regenerateToken,
		"GET " + ws + "/services":                    f.services,
		"POST " + ws + "/services":                   f.publish,
		"GET " + svc:                                 f.service,
		"PATCH " + svc:                               f.patchService,
		"DELETE " + svc:                              f.deleteService,
		"GET " + svc + "/endpoints":                  f.endpoints,
		"POST " + svc + "/endpoints":                 f.createEndpoint,
		"GET " + ep:                                  f.endpoint,
		"PATCH " + ep:                                f.patchEndpoint,
		"DELETE " + ep:                               f.deleteEndpoint,
		"POST " + ep + "/refresh":                    f.refresh,
		"PUT " + ep + "/resources":                   f.resources,
		"GET " + ep + "/keys":                        f.keys,
		"POST " + ep + "/keys/{slot}/regenerate":     f.regenerateKey,
		"GET " + ep + "/history":                     f.history,
		"GET " + ep + "/usage":                       f.usage,
		"GET " + svc + "/deployments/{digest}":       f.deployment,
		"GET " + svc + "/promotions":                 f.promotions,
		"POST " + svc + "/promotions":                f.request,
		"GET " + svc + "/promotions/{n}":             f.promotion,
		"POST " + svc + "/promotions/{n}/{decision}": f.decide,
		"POST " + svc + "/rollback":                  f.rollback,
		"GET " + svc + "/history":                    f.history,
		"GET " + svc + "/audit":                      f.audit,
		"POST " + svc + "/drops":                     f.drop,
		"GET " + svc + "/drops/{file}":               f.dropped,
		"GET " + ws + "/notifications":               f.notifications,
		"POST " + ws + "/notifications/seen":         f.seen,
		"GET " + ws + "/webhook":                     f.webhook,
		"PUT " + ws + "/webhook":                     f.putWebhook,
		"DELETE " + ws + "/webhook":                  f.deleteWebhook,
		"GET " + ws + "/garbage":                     f.lookAtGarbage,
		"POST " + ws + "/uploads":                    f.upload,
	} {
		rt.Handle(pattern, h)
	}
}

// caller verifies the bearer token.
func (f *Function) caller(r *http.Request) (auth.Identity, error) {
	bearer := auth.BearerToken(r)
	if bearer == "" {
		return auth.Identity{}, fault.New(fault.Unauthorized, "AdminRequestUnauthorized", "a bearer token is required")
	}
	id, err := f.verifier.Verify(r.Context(), bearer)
	if err != nil {
		return id, err
	}
	web.Call(r).By = id.Key()
	return id, nil
}

// member verifies the caller and finds their role in the workspace of the
// path. To others the workspace does not exist.
func (f *Function) member(r *http.Request) (ws string, by registry.Actor, err error) {
	ws, id, role, err := f.role(r)
	if err == nil && role == auth.None {
		err = noWorkspace()
	}
	return ws, registry.Member(id, role), err
}

func (f *Function) role(r *http.Request) (ws string, id auth.Identity, role auth.Role, err error) {
	ws = r.PathValue("ws")
	if id, err = f.caller(r); err != nil {
		return ws, id, auth.None, err
	}
	web.Call(r).Workspace = ws
	role, err = f.catalog.Role(r.Context(), ws, id)
	return ws, id, role, err
}

// atLeast is role for the acts on a workspace itself: its owners' affair, or
// that of the app's operators, who may have to mend one whose owners are gone.
func (f *Function) atLeast(r *http.Request, least auth.Role) (ws string, id auth.Identity, err error) {
	ws, id, role, err := f.role(r)
	switch {
	case err != nil:
		return ws, id, err
	case id.Operator, role >= least:
		return ws, id, nil
	case role == auth.None:
		return ws, id, noWorkspace()
	}
	return ws, id, fault.New(fault.Forbidden, "RoleRequired", "this needs the role %s in the workspace; you have %s", least, role)
}

func noWorkspace() error {
	return fault.New(fault.NotFound, "WorkspaceNotFound", "the workspace does not exist")
}

// onService is member for the paths of a service.
func (f *Function) onService(r *http.Request) (ws, svc string, by registry.Actor, err error) {
	ws, by, err = f.member(r)
	svc = r.PathValue("svc")
	if err == nil {
		web.Call(r).Service = svc
	}
	return ws, svc, by, err
}

// readBody decodes the body, which may be left out.
func readBody(r *http.Request, v any) error {
	body, err := web.ReadBody(r, maxBody, nil)
	if err != nil || len(body) == 0 {
		return err
	}
	return web.DecodeJSON(body, v)
}

// number reads a query or path parameter; "" is 0.
func number(name, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fault.New(fault.BadArgument, "InvalidQueryParameter", "%s is not a number from 0", name).At(name)
	}
	return n, nil
}

// page reads the query of a list whose entries have ids.
func page(r *http.Request) (before string, limit int, err error) {
	n, err := number("limit", r.URL.Query().Get("limit"))
	return r.URL.Query().Get("before"), int(min(n, registry.MaxPage)), err
}
