package batch

import (
	"context"
	"maps"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/storage"
)

// The queue of chunks is first come, first served: whoever has n messages out
// makes the next one wait for n chunks, and gets the workers in proportion. So
// what a workspace may have out is bounded, and the less the more workspaces
// have jobs running; a job is given a part of it when it is planned, and gives
// it back when it ends. A job's window never changes: which chunk sends which
// depends on it.
//
// Where nothing is left, jobs wait planned and ask again. What comes free then
// is not for who happens to ask next: first come the jobs of endpoints that have
// less out than their part of the workspace's, and of these, as of the rest,
// those that have waited longest.

// leastWindow is the least that a job starts with. One for which there is not
// even so much left waits until others of its workspace have ended.
const leastWindow = 8

const (
	// shareWait is how long a job waits before it asks again.
	shareWait = 15 * time.Second
	// shareLost is when one that has not asked is no longer waited for.
	shareLost = 4 * shareWait
)

// demand is what the jobs of a workspace have out, and which wait for more.
type demand struct {
	out       int
	endpoints map[string]int // out, of those that have jobs running or waiting
	waiting   []waiter
}

// waiter is a planned job without a window.
type waiter struct {
	job, endpoint string
	since         time.Time
}

// before reports whether v is given messages before w: own is what the
// workspace may have out.
func (d *demand) before(v, w waiter, own int) bool {
	part := own / max(1, len(d.endpoints))
	if a, b := d.endpoints[v.endpoint] < part, d.endpoints[w.endpoint] < part; a != b {
		return a
	}
	if !v.since.Equal(w.since) {
		return v.since.Before(w.since)
	}
	return v.job < w.job
}

// window is how many messages the job may have out: half of what its workspace
// has left, so that there is something for the next, up to the limit. 0 says
// that there is nothing left, or only for those that come first. Two jobs
// planned at once may be given the same rest: the next are given the less.
func (b *Batch) window(ctx context.Context, j *job) (int, error) {
	d := demand{endpoints: map[string]int{j.Endpoint: 0}}
	own := waiter{j.ID, j.Endpoint, now()}
	workspaces := map[string]bool{j.Workspace: true} // with jobs that run
	for n := range indexes {
		for e, err := range b.store.Tables.Query(ctx, table, activeIndex(n), storage.Range{}) {
			if err != nil {
				return 0, err
			}
			ws, endpoint, asks := e.Props.Str("ws"), e.Props.Str("endpoint"), e.Props.Time("asks")
			switch {
			case e.Row == j.ID:
				if !asks.IsZero() {
					own.since = asks
				}
			case e.Props.Bool("running"):
				workspaces[ws] = true
				if ws == j.Workspace {
					window := int(e.Props.Int("window"))
					def(&window, leastWindow) // of a release that did not note it
					d.out += window
					d.endpoints[endpoint] += window
				}
			case ws == j.Workspace && !asks.IsZero() && now().Sub(e.Props.Time("nudged")) < shareLost:
				d.waiting = append(d.waiting, waiter{e.Row, endpoint, asks})
				d.endpoints[endpoint] += 0
			}
		}
	}
	return b.lim.turn(&d, own, len(workspaces)), nil
}

// turn is the window of w, whose workspace is one of so many with running jobs:
// what those before it leave.
func (l *Limits) turn(d *demand, w waiter, workspaces int) int {
	out, own := d.out, l.own(workspaces)
	for _, v := range d.waiting {
		if d.before(v, w, own) {
			out += max(leastWindow, l.share(out, workspaces))
		}
	}
	return l.share(out, workspaces)
}

// own is how many messages each of so many workspaces may have out.
func (l *Limits) own(workspaces int) int {
	return max(l.WorkspaceWindow/workspaces, leastWindow)
}

// share is the window of a job whose workspace has out messages out and is one
// of so many workspaces with running jobs.
func (l *Limits) share(out, workspaces int) int {
	own := l.own(workspaces)
	if out > 0 && out+leastWindow > own {
		return 0
	}
	return min(l.Window, max(leastWindow, (own-out)/2))
}

// waitForShare has a planned job ask for a window again after a while.
func (b *Batch) waitForShare(ctx context.Context, j *job) error {
	err := b.noteActive(ctx, j, func(p storage.Props) bool {
		p["nudged"] = now() // it does not stand still: sweep need not send for it
		if p.Time("asks").IsZero() {
			p["asks"], p["endpoint"] = now(), j.Endpoint
		}
		return true
	})
	if err != nil {
		return err
	}
	return event.Send(ctx, b.store.Queues, JobQueue, step{Step: stepPlan, Job: j.ID}, shareWait)
}

// mark notes in the active index how many messages a job has out, for the
// share of its workspace: 0 for one that does not run.
func (b *Batch) mark(ctx context.Context, j *job, window int) error {
	return b.noteActive(ctx, j, func(p storage.Props) bool {
		if p.Int("window") == int64(window) && p.Bool("running") == (window > 0) && p["asks"] == nil {
			return false
		}
		p["running"], p["window"], p["endpoint"] = window > 0, int64(window), j.Endpoint
		delete(p, "asks")
		return true
	})
}

// noteActive changes a job's row in the active index; edit says whether there is
// anything to do. Where it is gone, or somebody else changes it, that is as well:
// a share is approximate.
func (b *Batch) noteActive(ctx context.Context, j *job, edit func(storage.Props) bool) error {
	e, err := b.store.Tables.Get(ctx, table, activePartition(j.ID), j.ID)
	if gone, err := absent(err); gone || err != nil {
		return err
	}
	props := maps.Clone(e.Props)
	if !edit(props) {
		return nil
	}
	_, err = b.store.Tables.Apply(ctx, table, e.Partition, storage.Op{Kind: storage.Replace, Row: e.Row, IfMatch: e.ETag, Props: props})
	if fault.Is(err, fault.NotFound) || fault.HasCode(err, storage.CodeCondition) {
		return nil
	}
	return err
}
