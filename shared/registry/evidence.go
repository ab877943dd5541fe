package registry

import (
	"context"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// evidence remembers which deployments this process has seen succeed on
// staging.
type evidence struct {
	mu   sync.RWMutex
	seen map[deploymentKey]bool // by service and digest
}

// Evidence records that a call on staging has succeeded with what t serves; on
// other endpoints it does nothing. It is called before the answer goes out,
// and writes once per deployment and process. An error says that nothing is
// recorded; the call may be answered all the same.
func (r *Registry) Evidence(ctx context.Context, t *Target) error {
	if t.Endpoint.Name != service.Staging || t.Endpoint.Digest == "" {
		return nil
	}
	k := deploymentKey{t.Endpoint.Service, t.Endpoint.Digest}
	r.evidence.mu.RLock()
	done := r.evidence.seen[k]
	r.evidence.mu.RUnlock()
	if done {
		return nil
	}
	_, err := r.tables.Apply(ctx, table, partition(t.Endpoint.Workspace, k.ws), storage.Op{
		Kind: storage.Insert, Row: evidenceRow(k.digest),
		Props: storage.Props{"first": time.Now().UTC(), "endpoint": t.Endpoint.ID},
	})
	if err != nil && !fault.HasCode(err, storage.CodeExists) {
		return fault.Wrap(err, fault.Unavailable, "record the call on staging")
	}
	r.evidence.mu.Lock()
	defer r.evidence.mu.Unlock()
	if r.evidence.seen == nil || len(r.evidence.seen) > 10_000 {
		r.evidence.seen = map[deploymentKey]bool{}
	}
	r.evidence.seen[k] = true
	return nil
}

// EvidenceOfJob is Evidence of a job of endpoint, which scored with the
// deployment it was pinned to, whatever the endpoint serves by now.
func (r *Registry) EvidenceOfJob(ctx context.Context, ws, endpoint, digest string) error {
	t, err := r.Resolve(ctx, ws, endpoint)
	if err != nil {
		return err
	}
	e := t.Endpoint
	e.Digest = digest
	return r.Evidence(ctx, &Target{Endpoint: e})
}

// evidenceDays is how far back calls on staging are counted.
const evidenceDays = 7

// evidenceOf returns what is known of calls on staging with digest.
func (r *Registry) evidenceOf(ctx context.Context, staging *endpointState, digest string) (ev Evidence, err error) {
	e, err := r.tables.Get(ctx, table, partition(staging.Workspace, staging.Service), evidenceRow(digest))
	if fault.Is(err, fault.NotFound) {
		return ev, nil
	} else if err != nil {
		return ev, err
	}
	first := e.Props.Time("first")
	ev.First = &first
	now := time.Now()
	from := first
	if oldest := now.AddDate(0, 0, 1-evidenceDays); from.Before(oldest) {
		from = oldest
	}
	days, err := r.Usage(ctx, staging.ID, from, now)
	if err != nil {
		return ev, err
	}
	for _, d := range days {
		if d.Digest == digest {
			ev.Calls += d.Calls - d.Errors + d.Jobs - d.JobErrors
		}
	}
	ev.Calls = max(ev.Calls, 1)
	return ev, nil
}
