package registry

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// Call is what one call adds to its endpoint's usage.
type Call struct {
	Failed        bool
	Rows          int
	Missing       int // missing cells that a model read
	UnknownLevels int
	Batch         bool // a job, not a call of RRS
	Took          time.Duration
}

// Day is the usage of an endpoint on one day with one deployment. It is
// approximate: a process that is killed loses what it counted in its last 10
// seconds.
type Day struct {
	Day           string `json:"day"` // UTC, 2006-01-02
	Digest        string `json:"digest,omitempty"`
	Calls         int64  `json:"calls"`
	Errors        int64  `json:"errors"`
	Rows          int64  `json:"rows"`
	Missing       int64  `json:"missing"`
	UnknownLevels int64  `json:"unknownLevels"`
	Jobs          int64  `json:"jobs"`
	JobErrors     int64  `json:"jobErrors"`
	Milliseconds  int64  `json:"milliseconds"` // of RRS calls, in sum
}

const flushEvery = 10 * time.Second

// Rows of usage, in table "usage": partition {endpoint}.{day}, row
// {instance}.{digest}. An instance writes totals of its own rows, so that
// nobody shares a row and a write may be repeated; readers sum a partition.
type usage struct {
	r        *Registry
	instance string

	mu sync.RWMutex
	m  map[usageKey]*counter

	running  atomic.Bool // loop
	flushing sync.Mutex
}

type usageKey struct {
	endpoint, digest string
	day              int64 // since 1970
}

// counter is totals since the process began counting for its key.
type counter struct {
	calls, errors, rows, missing, unknown, jobs, jobErrors, micros atomic.Int64
	changes                                                        atomic.Int64
	written                                                        int64 // changes when last written; guarded by flushing
}

func newUsage(r *Registry) *usage {
	return &usage{r: r, instance: service.NewID()[:16], m: map[usageKey]*counter{}}
}

// Count adds a call to the usage of t's endpoint and deployment. It writes
// nothing itself.
func (r *Registry) Count(t *Target, c Call) {
	now := time.Now()
	k := usageKey{t.Endpoint.ID, t.Endpoint.Digest, now.Unix() / 86400}
	u := r.usage
	u.mu.RLock()
	n := u.m[k]
	u.mu.RUnlock()
	if n == nil {
		n = u.open(k)
	}
	switch {
	case c.Batch:
		n.jobs.Add(1)
		if c.Failed {
			n.jobErrors.Add(1)
		}
	default:
		n.calls.Add(1)
		n.micros.Add(c.Took.Microseconds())
		if c.Failed {
			n.errors.Add(1)
		}
	}
	n.rows.Add(int64(c.Rows))
	n.missing.Add(int64(c.Missing))
	n.unknown.Add(int64(c.UnknownLevels))
	n.changes.Add(1)
	if !u.running.Load() && u.running.CompareAndSwap(false, true) {
		go u.loop()
	}
}

func (u *usage) open(k usageKey) *counter {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := u.m[k]
	if n == nil {
		n = new(counter)
		u.m[k] = n
	}
	return n
}

// loop writes what changed every flushEvery, and ends when nothing did.
func (u *usage) loop() {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for range tick.C {
		ctx, cancel := context.WithTimeout(context.Background(), flushEvery)
		wrote, err := u.flush(ctx)
		cancel()
		if err != nil {
			u.r.log.Warn("usage not written yet", "error", err)
		}
		if wrote || err != nil {
			continue
		}
		u.running.Store(false)
		// What was counted since the flush may have seen the loop running.
		if !u.dirty() || !u.running.CompareAndSwap(false, true) {
			return
		}
	}
}

func (u *usage) dirty() bool {
	u.flushing.Lock()
	defer u.flushing.Unlock()
	u.mu.RLock()
	defer u.mu.RUnlock()
	for _, n := range u.m {
		if n.changes.Load() != n.written {
			return true
		}
	}
	return false
}

// Flush writes the usage counted so far; called before the process ends, where
// it is told so.
func (r *Registry) Flush(ctx context.Context) error {
	_, err := r.usage.flush(ctx)
	return err
}

func (u *usage) flush(ctx context.Context) (wrote bool, failed error) {
	u.flushing.Lock()
	defer u.flushing.Unlock()
	u.mu.RLock()
	all := make(map[usageKey]*counter, len(u.m))
	for k, n := range u.m {
		all[k] = n
	}
	u.mu.RUnlock()
	today := time.Now().Unix() / 86400
	for k, n := range all {
		changes := n.changes.Load()
		if changes == n.written {
			if k.day < today {
				u.close(k, n)
			}
			continue
		}
		_, err := u.r.tables.Apply(ctx, usageTable, usagePartition(k.endpoint, k.day), storage.Op{
			Kind: storage.Upsert, Row: u.instance + "." + orNone(k.digest),
			Props: storage.Props{
				"calls": n.calls.Load(), "errors": n.errors.Load(), "rows": n.rows.Load(), "missing": n.missing.Load(),
				"unknownLevels": n.unknown.Load(), "jobs": n.jobs.Load(), "jobErrors": n.jobErrors.Load(), "micros": n.micros.Load(),
			},
		})
		if err != nil {
			failed = err // the rest may go through; this one stays for the next time
			continue
		}
		n.written, wrote = changes, true
	}
	return wrote, failed
}

// close forgets a counter of a day that is over, unless it was counted on
// meanwhile.
func (u *usage) close(k usageKey, n *counter) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if n.changes.Load() == n.written {
		delete(u.m, k)
	}
}

const noDigest = "none"

func orNone(digest string) string {
	if digest == "" {
		return noDigest
	}
	return digest
}

func usagePartition(endpoint string, day int64) string {
	return endpoint + "." + time.Unix(day*86400, 0).UTC().Format("20060102")
}

// Usage returns the usage of an endpoint, a Day per day and deployment, for
// the days from to to, both included, oldest first.
func (r *Registry) Usage(ctx context.Context, endpoint string, from, to time.Time) ([]Day, error) {
	var out []Day
	for day := from.Unix() / 86400; day <= to.Unix()/86400; day++ {
		byDigest := map[string]int{}
		for row, err := range r.tables.Query(ctx, usageTable, usagePartition(endpoint, day), storage.Range{}) {
			if err != nil {
				return nil, err
			}
			digest := row.Row[len(r.usage.instance)+1:]
			if digest == noDigest {
				digest = ""
			}
			i, ok := byDigest[digest]
			if !ok {
				i = len(out)
				byDigest[digest] = i
				out = append(out, Day{Day: time.Unix(day*86400, 0).UTC().Format(time.DateOnly), Digest: digest})
			}
			d, p := &out[i], row.Props
			d.Calls += p.Int("calls")
			d.Errors += p.Int("errors")
			d.Rows += p.Int("rows")
			d.Missing += p.Int("missing")
			d.UnknownLevels += p.Int("unknownLevels")
			d.Jobs += p.Int("jobs")
			d.JobErrors += p.Int("jobErrors")
			d.Milliseconds += p.Int("micros") / 1000
		}
	}
	return out, nil
}
