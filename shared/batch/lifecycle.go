package batch

import (
	"context"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// find reads a job of this endpoint; a job of another parent does not exist.
func (b *Batch) find(ctx context.Context, ws, endpoint, id string) (*job, error) {
	none := func() error {
		return fault.New(fault.NotFound, "JobNotFound", "job %s is not one of this endpoint", frame.Clip([]byte(id))).At("jobId")
	}
	if !service.ValidID(id) {
		return nil, none()
	}
	j, err := b.load(ctx, id)
	if fault.Is(err, fault.NotFound) || err == nil && (j.Workspace != ws || j.Endpoint != endpoint) {
		return nil, none()
	}
	return j, err
}

// Start queues a submitted job. Starting twice is CannotStartJob, but not for
// the host's own repetition of one call, which has the same invocation id
// (never the client's to choose).
func (b *Batch) Start(ctx context.Context, ws, endpoint, id, invocation string) error {
	if _, err := b.find(ctx, ws, endpoint, id); err != nil {
		return err
	}
	j, moved, err := b.change(ctx, id, func(j *job) bool {
		if j.State != NotStarted {
			return false
		}
		j.State, j.Started, j.Invocation = Waiting, now(), invocation
		return true
	})
	if err != nil {
		return err
	}
	switch {
	case moved:
		err = b.enqueue(ctx, j)
	case j.State == Waiting: // the call that is repeated may have died over it
		err = b.requeue(ctx, j)
	}
	if err != nil {
		return err
	}
	if !moved && (invocation == "" || j.Invocation != invocation) {
		state := string(j.State.Classic())
		if j.State == Waiting { // NotStarted to clients, who would wonder
			state += ", started already"
		}
		return fault.New(fault.InvalidOperation, "CannotStartJob", "The job cannot be started: it is in state %s.", state).At("jobId")
	}
	return nil
}

// Cancel ends a job that can still be ended; one that is being committed
// finishes, and one that has ended stays as it is. All of these succeed.
func (b *Batch) Cancel(ctx context.Context, ws, endpoint, id string) error {
	if _, err := b.find(ctx, ws, endpoint, id); err != nil {
		return err
	}
	return b.cancel(ctx, id, "The job was cancelled.")
}

func (b *Batch) cancel(ctx context.Context, id, why string) error {
	j, moved, err := b.change(ctx, id, func(j *job) bool {
		if !j.State.revocable() {
			return false
		}
		j.end(Cancelled, &failure{Kind: fault.Canceled.String(), Msg: why})
		return true
	})
	if err != nil || !moved {
		return err
	}
	// The answer need not wait for the tidying, which may be long.
	return b.send(ctx, step{Step: stepTidy, Job: j.ID})
}

// tidy does what follows the end of a job: its place goes to the next, what
// it staged goes, a dropped file gets its receipt; last, its row in the active
// index goes, which is what tells sweep that all of it was done.
func (b *Batch) tidy(ctx context.Context, j *job) error {
	if !j.State.Ended() {
		return nil
	}
	if err := b.leaveQueue(ctx, j); err != nil {
		return err
	}
	if j.State != Finished {
		if err := b.unstage(ctx, j); err != nil {
			return err
		}
	}
	if j.Drop != "" {
		if err := b.receipt(ctx, j); err != nil {
			return err
		}
	}
	// What was not finished may yet have a worker out, that stages once more:
	// sweep tidies again when none can be left.
	if j.State != Finished {
		return b.mark(ctx, j, 0)
	}
	return b.retire(ctx, j.ID)
}

// retire drops a job's row in the active index.
func (b *Batch) retire(ctx context.Context, id string) error {
	_, err := b.store.Tables.Apply(ctx, table, activePartition(id), storage.Op{Kind: storage.Delete, Row: id, IfMatch: storage.AnyETag})
	_, err = absent(err)
	return err
}

// activate adds a job's row to the active index.
func (b *Batch) activate(ctx context.Context, ws, id string) error {
	_, err := b.store.Tables.Apply(ctx, table, activePartition(id),
		storage.Op{Kind: storage.Insert, Row: id, Props: storage.Props{"ws": ws, "since": now()}})
	if fault.HasCode(err, storage.CodeExists) {
		return nil
	}
	return err
}

// unstage deletes what an ended job has staged and copied.
func (b *Batch) unstage(ctx context.Context, j *job) error {
	keep := jobPrefix(j.Workspace, j.ID) + "plan/"
	for _, key := range b.stagingKeys(j) {
		if err := b.store.Blobs.Delete(ctx, key, storage.Condition{}); err != nil {
			return err
		}
	}
	for info, err := range b.store.Blobs.List(ctx, jobPrefix(j.Workspace, j.ID)) {
		if err != nil {
			return err
		}
		if len(info.Key) >= len(keep) && info.Key[:len(keep)] == keep {
			continue // small, and what a late worker reads to see that it is late
		}
		if err := b.store.Blobs.Delete(ctx, info.Key, storage.Condition{}); err != nil {
			return err
		}
	}
	return nil
}
