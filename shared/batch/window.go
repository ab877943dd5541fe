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

// leastWindow is the least that a job starts with. One for which there is not
// even so much left waits until others of its workspace have ended.
const leastWindow = 8

// shareWait is how long it waits before it asks again.
const shareWait = 15 * time.Second

// window is how many messages the job may have out: half of what its workspace
// has left, so that there is something for the next, up to the limit. 0 says
// that there is nothing left. Two jobs planned at once may be given the same
// rest: the next are given the less.
func (b *Batch) window(ctx context.Context, j *job) (int, error) {
	out := map[string]int{j.Workspace: 0} // messages, by workspace with running jobs
	for n := range indexes {
		for e, err := range b.store.Tables.Query(ctx, table, activeIndex(n), storage.Range{}) {
			if err != nil {
				return 0, err
			}
			if e.Row == j.ID || !e.Props.Bool("running") {
				continue
			}
			window := int(e.Props.Int("window"))
			def(&window, leastWindow) // of a release that did not note it
			out[e.Props.Str("ws")] += window
		}
	}
	return b.lim.share(out[j.Workspace], len(out)), nil
}

// share is the window of a job whose workspace has out messages out and is one
// of so many workspaces with running jobs.
func (l *Limits) share(out, workspaces int) int {
	own := max(l.WorkspaceWindow/workspaces, leastWindow)
	if out > 0 && out+leastWindow > own {
		return 0
	}
	return min(l.Window, max(leastWindow, (own-out)/2))
}

// waitForShare has a planned job ask for a window again after a while.
func (b *Batch) waitForShare(ctx context.Context, j *job) error {
	e, err := b.store.Tables.Get(ctx, table, activePartition(j.ID), j.ID)
	if err == nil {
		_, err = b.nudge(ctx, e, 0) // it does not stand still: sweep need not send for it
	}
	if _, err = absent(err); err != nil {
		return err
	}
	return event.Send(ctx, b.store.Queues, JobQueue, step{Step: stepPlan, Job: j.ID}, shareWait)
}

// mark notes in the active index how many messages a job has out, for the
// share of its workspace: 0 for one that does not run.
func (b *Batch) mark(ctx context.Context, j *job, window int) error {
	e, err := b.store.Tables.Get(ctx, table, activePartition(j.ID), j.ID)
	if gone, err := absent(err); gone || err != nil || e.Props.Int("window") == int64(window) && e.Props.Bool("running") == (window > 0) {
		return err
	}
	props := maps.Clone(e.Props)
	props["running"], props["window"] = window > 0, int64(window)
	_, err = b.store.Tables.Apply(ctx, table, e.Partition, storage.Op{Kind: storage.Replace, Row: e.Row, IfMatch: e.ETag, Props: props})
	if fault.Is(err, fault.NotFound) || fault.HasCode(err, storage.CodeCondition) {
		return nil // a share is approximate
	}
	return err
}
