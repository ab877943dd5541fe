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
//	GET    workspaces/{ws}/audit                 ?before&limit: changes of the workspace, members, tokens; what was deleted
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
	add := func(method, pattern string, h web.HandlerFunc) { rt.Handle(method+" "+pattern, h) }

	add("GET", "/manage/workspaces", f.known(f.workspaces))
	add("PUT", ws, f.known(f.putWorkspace))

	// Acts on a workspace itself.
	add("GET", ws, f.orOperator(auth.Reader, f.workspace))
	add("GET", ws+"/members", f.orOperator(auth.Reader, f.members))
	add("PUT", ws+"/members", f.orOperator(auth.Owner, f.putMember))
	add("DELETE", ws+"/members", f.orOperator(auth.Owner, f.deleteMember))
	add("POST", ws+"/tokens/{slot}/regenerate", f.orOperator(auth.Owner, f.regenerateToken))
	add("GET", ws+"/audit", f.orOperator(auth.Author, f.workspaceAudit))
	add("GET", ws+"/garbage", f.orOperator(auth.Owner, f.lookAtGarbage))

	// Acts in it. What may be done to a service, package registry says.
	add("GET", ws+"/tokens", f.as(auth.Author, f.tokens))
	add("POST", ws+"/uploads", f.as(auth.Author, f.upload))
	add("POST", svc+"/drops", f.as(auth.Author, f.drop))
	member := func(method, pattern string, h handler) { add(method, pattern, f.as(auth.Reader, h)) }
	member("GET", ws+"/services", f.services)
	member("POST", ws+"/services", f.publish)
	member("GET", svc, f.service)
	member("PATCH", svc, f.patchService)
	member("DELETE", svc, f.deleteService)
	member("GET", svc+"/endpoints", f.endpoints)
	member("POST", svc+"/endpoints", f.createEndpoint)
	member("GET", ep, f.endpoint)
	member("PATCH", ep, f.patchEndpoint)
	member("DELETE", ep, f.deleteEndpoint)
	member("POST", ep+"/refresh", f.refresh)
	member("PUT", ep+"/resources", f.resources)
	member("GET", ep+"/keys", f.keys)
	member("POST", ep+"/keys/{slot}/regenerate", f.regenerateKey)
	member("GET", ep+"/history", f.history)
	member("GET", ep+"/usage", f.usage)
	member("GET", svc+"/deployments/{digest}", f.deployment)
	member("GET", svc+"/promotions", f.promotions)
	member("POST", svc+"/promotions", f.request)
	member("GET", svc+"/promotions/{n}", f.promotion)
	member("POST", svc+"/promotions/{n}/{decision}", f.decide)
	member("POST", svc+"/rollback", f.rollback)
	member("GET", svc+"/history", f.history)
	member("GET", svc+"/audit", f.audit)
	member("GET", svc+"/drops/{file}", f.dropped)
	member("GET", ws+"/notifications", f.notifications)
	member("POST", ws+"/notifications/seen", f.seen)
	member("GET", ws+"/webhook", f.webhook)
	member("PUT", ws+"/webhook", f.putWebhook)
	member("DELETE", ws+"/webhook", f.deleteWebhook)
}

// call is a request of somebody known: in the workspace of the path, by is what
// they are there, and on the service of the path, if it has one.
type call struct {
	*http.Request
	ws, svc string
	id      auth.Identity
	by      registry.Actor
}

type handler func(w http.ResponseWriter, c call) error

// known lets h see everybody who has a token.
func (f *Function) known(h handler) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		bearer := auth.BearerToken(r)
		if bearer == "" {
			return fault.New(fault.Unauthorized, "AdminRequestUnauthorized", "a bearer token is required")
		}
		id, err := f.verifier.Verify(r.Context(), bearer)
		if err != nil {
			return err
		}
		web.Call(r).By = id.Key()
		return h(w, call{Request: r, ws: r.PathValue("ws"), svc: r.PathValue("svc"), id: id})
	}
}

// as lets h see only callers with at least role least in the workspace. To those
// without any the workspace does not exist.
func (f *Function) as(least auth.Role, h handler) web.HandlerFunc { return f.inside(least, false, h) }

// orOperator is as for the acts on a workspace itself: its members' affair, or
// that of the app's operators, who may have to mend one whose owners are gone.
func (f *Function) orOperator(least auth.Role, h handler) web.HandlerFunc {
	return f.inside(least, true, h)
}

func (f *Function) inside(least auth.Role, operators bool, h handler) web.HandlerFunc {
	return f.known(func(w http.ResponseWriter, c call) error {
		log := web.Call(c.Request)
		log.Workspace = c.ws
		role, err := f.catalog.Role(c.Context(), c.ws, c.id)
		switch {
		case err != nil:
			return err
		case operators && c.id.Operator:
		case role == auth.None:
			return noWorkspace()
		case role < least:
			return fault.New(fault.Forbidden, "RoleRequired", "this needs the role %s in the workspace; you have %s", least, role)
		}
		log.Service, c.by = c.svc, registry.Member(c.id, role)
		return h(w, c)
	})
}

func noWorkspace() error {
	return fault.New(fault.NotFound, "WorkspaceNotFound", "the workspace does not exist")
}

// body decodes the body; optional decodes one that may be left out.
func (c call) body(v any) error { return web.ReadJSON(c.Request, v, maxBody) }

func (c call) optional(v any) error {
	body, err := web.ReadBody(c.Request, maxBody, nil)
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
func (c call) page() (before string, limit int, err error) {
	n, err := number("limit", c.URL.Query().Get("limit"))
	return c.URL.Query().Get("before"), int(min(n, registry.MaxPage)), err
}
