// Package bes is the Batch Execution Service: submit, start, look at, list and
// cancel jobs. A job's work is done by the queue functions besjob and beschunk.
package bes

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/batch"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/registry"
)

// endpoints finds the endpoint that a URL names.
type endpoints interface {
	Resolve(ctx context.Context, ws, endpoint string) (*registry.Target, error)
}

// verifier turns a bearer token into an identity; *auth.Verifier is one.
type verifier interface {
	Verify(ctx context.Context, bearer string) (auth.Identity, error)
}

// roles knows who may what in a workspace; *catalog.Catalog is one.
type roles interface {
	Require(ctx context.Context, ws string, id auth.Identity, least auth.Role) error
}

// maxBody bounds a submit body: references and parameters, or records.
const maxBody = 16 << 20

// Function is the bes function.
type Function struct {
	endpoints endpoints
	jobs      *batch.Batch
	verifier  verifier
	roles     roles
}

// New returns the function.
func New(e endpoints, jobs *batch.Batch, v verifier, r roles) *Function {
	return &Function{e, jobs, v, r}
}

// Register adds the routes. Callers of all of them: applications, Data
// Factory. "subscriptions" is the scope of services published from 2016 on.
func (f *Function) Register(rt *web.Router) {
	for _, scope := range []string{"workspaces", "subscriptions"} {
		jobs := "/" + scope + "/{ws}/services/{endpoint}/jobs"
		rt.Handle("POST "+jobs, f.call(f.submit))
		rt.Handle("POST "+jobs+"/{job}/start", f.call(f.start))
		rt.Handle("GET "+jobs+"/{job}", f.call(f.status))
		rt.Handle("DELETE "+jobs+"/{job}", f.call(f.cancel))
		rt.Handle("GET "+jobs, f.look(f.list))
		// A client that lost the id of its job.
		rt.Handle("DELETE "+jobs, f.call(missing))
	}
}

type handler func(w http.ResponseWriter, r *http.Request, t *registry.Target) error

// call is a handler behind the endpoint's key.
func (f *Function) call(h handler) web.HandlerFunc { return f.guarded(h, authorized) }

// look is a handler behind the endpoint's key or the token of a member of the
// workspace.
func (f *Function) look(h handler) web.HandlerFunc {
	return f.guarded(h, func(r *http.Request, t *registry.Target) error {
		bearer := auth.BearerToken(r)
		if strings.Count(bearer, ".") != 2 { // no JSON Web Token
			return authorized(r, t)
		}
		id, err := f.verifier.Verify(r.Context(), bearer)
		if err != nil {
			return err
		}
		web.Call(r).By = id.Key()
		return f.roles.Require(r.Context(), t.Endpoint.Workspace, id, auth.Reader)
	})
}

func authorized(r *http.Request, t *registry.Target) error {
	if t.Authorized(auth.BearerToken(r)) {
		return nil
	}
	return fault.New(fault.Unauthorized, "ScoreRequestUnauthorized", "Invalid credentials provided.")
}

func (f *Function) guarded(h handler, allow func(*http.Request, *registry.Target) error) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		info := web.Call(r)
		info.Workspace, info.Endpoint, info.Job = r.PathValue("ws"), r.PathValue("endpoint"), r.PathValue("job")
		t, err := f.endpoints.Resolve(r.Context(), info.Workspace, info.Endpoint)
		if err != nil {
			return err
		}
		info.Service = t.Service.ID
		if err := allow(r, t); err != nil {
			return err
		}
		if v := r.URL.Query().Get("api-version"); v != "" && v != "2.0" {
			return fault.New(fault.BadArgument, "BadVersionCall", "The api-version %q is not one of this service: use 2.0.", v).At("api-version")
		}
		return h(w, r, t)
	}
}

// submit registers a job. It answers the id as a JSON string.
func (f *Function) submit(w http.ResponseWriter, r *http.Request, t *registry.Target) error {
	digest, err := t.Serving()
	if err != nil {
		return err
	}
	web.Call(r).Deployment = digest
	key := r.Header.Get("Idempotency-Key")
	if len(key) > 256 {
		return fault.New(fault.BadArgument, "BadParameterValue", "The Idempotency-Key has %d bytes; the limit is 256.", len(key)).At("Idempotency-Key")
	}
	body, err := web.ReadBody(r, maxBody, nil)
	if err != nil {
		return err
	}
	id, err := f.jobs.Submit(r.Context(), batch.Submission{
		Workspace: t.Endpoint.Workspace, Service: t.Endpoint.Service, ServiceName: t.Service.Name, Endpoint: t.Endpoint.ID,
		Digest: digest, RowErrors: t.Endpoint.Settings.RowErrors, Body: body, IdempotencyKey: key,
	})
	if err != nil {
		return err
	}
	web.Call(r).Job = id
	w.Header().Set("X-Portico-Deployment", digest)
	return web.JSON(w, http.StatusOK, id)
}

// start queues a job. The host repeats an empty POST after a crash, with the
// same invocation id, which its proxy sets and no client can.
func (f *Function) start(w http.ResponseWriter, r *http.Request, t *registry.Target) error {
	if err := f.jobs.Start(r.Context(), t.Endpoint.Workspace, t.Endpoint.ID, jobID(r), r.Header.Get("X-Ms-Invocation-Id")); err != nil {
		return err
	}
	return web.NoContent(w)
}

func (f *Function) status(w http.ResponseWriter, r *http.Request, t *registry.Target) error {
	s, err := f.jobs.Status(r.Context(), t.Endpoint.Workspace, t.Endpoint.ID, jobID(r))
	if err != nil {
		return err
	}
	web.Call(r).Deployment = s.Deployment
	w.Header().Set("X-Portico-Deployment", s.Deployment)
	return web.JSON(w, http.StatusOK, s)
}

// cancel ends a job. It succeeds for one that has ended, too: clients end with
// this call.
func (f *Function) cancel(w http.ResponseWriter, r *http.Request, t *registry.Target) error {
	if err := f.jobs.Cancel(r.Context(), t.Endpoint.Workspace, t.Endpoint.ID, jobID(r)); err != nil {
		return err
	}
	return web.NoContent(w)
}

// list answers a page of the endpoint's jobs to a client that says how long it
// is to be: ?limit, and after for the next; state for those in one. One that
// does not say has lost the id of its job, and polls.
func (f *Function) list(w http.ResponseWriter, r *http.Request, t *registry.Target) error {
	q := r.URL.Query()
	if !q.Has("limit") {
		return missing(w, r, t)
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > batch.MaxListed {
		return fault.New(fault.BadArgument, "InvalidQueryParameter", "limit=%.40s: a number from 1 to %d is needed", q.Get("limit"), batch.MaxListed).At("limit")
	}
	page, err := f.jobs.List(r.Context(), t.Endpoint.Workspace, t.Endpoint.ID, q.Get("after"), limit, batch.State(q.Get("state")))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, page)
}

func missing(http.ResponseWriter, *http.Request, *registry.Target) error {
	return fault.New(fault.BadArgument, "MissingJobId", "The address names no job: it ends in /jobs/{job id}.").At("jobId")
}

// jobID is the job of the URL. Some clients send the id with the quotes that
// submit answered, or in upper case.
func jobID(r *http.Request) string { return strings.ToLower(strings.Trim(r.PathValue("job"), `"`)) }
