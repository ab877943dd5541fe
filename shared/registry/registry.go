// Package registry holds what is published: web services, their endpoints and
// keys, what each endpoint serves, and how production came to serve it.
//
// Endpoints are the only mutable pointers. Whatever moves one — publishing,
// approval, rollback, refresh, a replaced resource — is a single conditional
// write (storage.Tables.Apply) of state, pointer, history, audit and outbox in
// the service's own partition: nothing is ever half done, and the audit cannot
// disagree with the act. The endpoint "default" moves only by an approved
// promotion or a rollback.
//
// # Rows
//
// All in table "services". Partition {ws}.{svc} holds a web service; the rows
// and the question each key answers:
//
//	service                 what is the service, what is pending: the state row.
//	                        Every write of the partition replaces it If-Match,
//	                        so that acts on one service happen one at a time.
//	name.{name}             which endpoint has this name; makes names unique
//	endpoint.{id}           what does the endpoint serve (read by the cache)
//	keys.{id}               ring entry and generation of both keys
//	deployment.{digest}     who published and ran it, with which models
//	promotion.{n}           one promotion, n as 10 digits; prefix: all of them
//	history.{id}.{~seq}     the moves of an endpoint. ~seq = 9999999999 - seq, so
//	                        that a range from any position on reads older moves,
//	                        newest first
//	evidence.{digest}       was this deployment called on staging
//	audit.{~ulid}           every act, newest first (see service.NewActID)
//	outbox.{~ulid}          acts whose notification is not settled yet
//
// Other partitions:
//
//	{ws}.services           service.{svc}: the services of a workspace
//	                        experiment.{id}: the service of an experiment;
//	                        inserting it decides who makes the service
//	{ws}.endpoints          {endpoint id} -> service: immutable, for callers who
//	                        know no more than the id in their URL
//	{ws}.notices            notice.{~ulid}: notifications, newest first
//	                        seen.{hash of member}: how far a member has read
//	                        webhook: the workspace's webhook
//	outbox                  {ws}.{svc}: services that may have unsettled outbox
//	                        rows; written before the act, removed by Sweep
//
// # Repeating
//
// An act carries an id of its own; its audit row is its receipt. When an Apply
// fails, the receipt tells whether it took effect all the same, so an act whose
// answer was lost on the way is reported as done, and is not done twice.
package registry

import (
	"context"
	"log/slog"
	"time"

	"github.com/portico-ml/portico/shared/artifact"
	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/storage"
)

// Tables and queues this package writes.
const (
	table       = "services"
	usageTable  = "usage"
	NotifyQueue = "notify"
)

// Options are the settings of a Registry. The zero value is the default.
type Options struct {
	// AllowSelfApproval lets the requester of a promotion approve it.
	AllowSelfApproval bool
	// AllowUntested lets a deployment into production that was never called
	// on staging.
	AllowUntested bool
	// CacheBytes bounds the deployments in memory; default 512 MiB. One larger
	// than this is still served.
	CacheBytes int64
	// MaxStale is how long pointers are served while storage is unreachable;
	// default 5 minutes.
	MaxStale time.Duration
	// Load loads a deployment; default scoring.Load over the workspace's
	// artifacts, with the deployment's own Size.
	Load func(ctx context.Context, ws, digest string) (d *scoring.Deployment, size int64, err error)
	Log  *slog.Logger
}

// Registry is the registry of one storage account, for all workspaces. Safe
// for concurrent use.
type Registry struct {
	tables    storage.Tables
	queues    storage.Queues
	artifacts *artifact.Store
	ring      *auth.Ring
	opt       Options
	log       *slog.Logger

	pointers    *pointers
	deployments *deployments
	manifests   manifests
	evidence    evidence
	usage       *usage
}

// New returns a registry over st. Its goroutines, which keep pointers fresh and
// write usage, start with the first call and end when calls stop coming.
func New(st *storage.Store, ring *auth.Ring, o Options) *Registry {
	r := &Registry{tables: st.Tables, queues: st.Queues, artifacts: artifact.New(st.Blobs), ring: ring, opt: o, log: o.Log}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.opt.CacheBytes <= 0 {
		r.opt.CacheBytes = 512 << 20
	}
	if r.opt.MaxStale <= 0 {
		r.opt.MaxStale = 5 * time.Minute
	}
	if r.opt.Load == nil {
		r.opt.Load = r.load
	}
	r.pointers = newPointers(r)
	r.deployments = newDeployments(r.opt.CacheBytes, r.opt.Load)
	r.usage = newUsage(r)
	return r
}

func (r *Registry) load(ctx context.Context, ws, digest string) (*scoring.Deployment, int64, error) {
	manifest, err := r.artifacts.Get(ctx, ws, digest)
	if err != nil {
		return nil, 0, fault.Wrap(err, fault.Unavailable, "read manifest "+digest)
	}
	d, err := scoring.Load(ctx, digest, manifest, func(ctx context.Context, digest string) ([]byte, error) {
		return r.artifacts.Get(ctx, ws, digest)
	})
	if err != nil {
		return nil, 0, err
	}
	return d, d.Size(), nil
}
