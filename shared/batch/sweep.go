package batch

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// lateWorkers is how long after the end of a job a worker of it may still be
// at work: the longest invocation, and some.
const lateWorkers = time.Hour

// SweepJobs looks after one partition of the active index and names the next:
// every job in it that has stood still is given the message its state implies,
// and what has ended is tidied. "" is the first partition, and the end.
func (b *Batch) SweepJobs(ctx context.Context, cursor string) (next string, err error) {
	n := 0
	if cursor != "" {
		if n, err = strconv.Atoi(cursor); err != nil {
			return "", nil // not a cursor of ours: begin again
		}
	}
	var rows []storage.Entity
	for e, err := range b.store.Tables.Query(ctx, table, activeIndex(n), storage.Range{}) {
		if err != nil {
			return cursor, err
		}
		rows = append(rows, e)
	}
	for _, e := range rows {
		// One job that cannot be looked after must not keep the rest from it.
		if err := b.sweepJob(ctx, e); err != nil {
			b.log.WarnContext(ctx, "job not swept", "job", e.Row, "error", fault.Wrap(err, fault.Internal, "sweep"))
		}
		if ctx.Err() != nil {
			return cursor, nil
		}
	}
	if n+1 == indexes {
		return "", nil
	}
	return strconv.Itoa(n + 1), nil
}

func (b *Batch) sweepJob(ctx context.Context, e storage.Entity) error {
	j, err := b.load(ctx, e.Row)
	if gone, err := absent(err); err != nil {
		return err
	} else if gone {
		// A submit that died before it wrote the job, or is about to.
		if now().Sub(e.Props.Time("since")) > lateWorkers {
			return b.drop(ctx, e.Partition, e)
		}
		return nil
	}
	switch {
	case j.State.Ended():
		if err := b.tidy(ctx, j); err != nil {
			return err
		}
		if j.State != Finished && now().Sub(j.Ended) > lateWorkers {
			return b.retire(ctx, j.ID)
		}
		return nil
	case j.State == NotStarted:
		if now().Sub(j.Created) > b.lim.StartWithin {
			return b.cancel(ctx, j.ID, "The job was not started within "+b.lim.StartWithin.String()+" of its submission.")
		}
		return nil
	}
	if now().Sub(j.Moved) < b.lim.Stuck {
		return nil
	}
	if ok, err := b.nudge(ctx, e, b.lim.Stuck); !ok || err != nil {
		return err
	}
	b.log.WarnContext(ctx, "job nudged", "job", j.ID, "workspace", j.Workspace, "state", string(j.State))
	switch j.State {
	case Waiting:
		return b.requeue(ctx, j)
	case Planning:
		return b.send(ctx, step{Step: stepPlan, Job: j.ID})
	case Running:
		return b.resend(ctx, j)
	case Committing:
		return b.send(ctx, step{Step: stepCommit, Job: j.ID})
	}
	return nil
}

// nudge notes that a job is given a message again, at most once in a while and
// by one of several who see the need.
func (b *Batch) nudge(ctx context.Context, e storage.Entity, every time.Duration) (bool, error) {
	if now().Sub(e.Props.Time("nudged")) < every {
		return false, nil
	}
	props := maps.Clone(e.Props)
	props["nudged"] = now()
	_, err := b.store.Tables.Apply(ctx, table, e.Partition, storage.Op{Kind: storage.Replace, Row: e.Row, IfMatch: e.ETag, Props: props})
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// requeue brings a waiting job back into its queue, unless it has a slot
// already: then it goes on.
func (b *Batch) requeue(ctx context.Context, j *job) error {
	for e, err := range b.store.Tables.Query(ctx, table, endpointPartition(j.Workspace, j.Endpoint), storage.Prefix("slot.")) {
		if err != nil {
			return err
		}
		if e.Props.Str("job") == j.ID {
			return b.admitted(ctx, j.ID)
		}
	}
	return b.enqueue(ctx, j)
}

// resend sends the chunks of a running job that were sent once, are not done
// and have had their time. A chunk i is sent when i-Window is done.
func (b *Batch) resend(ctx context.Context, j *job) error {
	if j.Whole {
		return b.sendWork(ctx, work{Job: j.ID, Whole: true})
	}
	doneAt := make(map[int]time.Time)
	sent := 0
	_, err := b.walk(ctx, j, func(first, size int, rows map[int]done) error {
		for n, d := range rows {
			doneAt[n] = d.At
		}
		if len(rows) == size { // full, but nobody lived to close it
			_, root, err := b.close(ctx, j, first)
			if err != nil {
				return err
			}
			if root {
				return b.send(ctx, step{Step: stepCommit, Job: j.ID})
			}
			return nil
		}
		for n := first; n < first+size; n++ {
			if _, ok := rows[n]; ok {
				continue
			}
			if due, err := b.due(ctx, j, n, doneAt); err != nil || !due {
				if err != nil {
					return err
				}
				continue
			}
			if err := b.sendWork(ctx, work{Job: j.ID, Chunk: n}); err != nil {
				return err
			}
			sent++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if sent > 0 {
		return nil
	}
	if _, full, err := b.total(ctx, j); err != nil || !full {
		return err
	}
	return b.send(ctx, step{Step: stepCommit, Job: j.ID})
}

// due reports whether chunk n was sent longer ago than Stuck.
func (b *Batch) due(ctx context.Context, j *job, n int, doneAt map[int]time.Time) (bool, error) {
	sent := j.Moved
	if before := n - j.Window; before >= 0 {
		at, known := doneAt[before]
		if !known { // in a closed group, or not done: then n was not sent
			e, err := b.store.Tables.Get(ctx, table, donePartition(j.ID, 0, before), doneRow(0, before))
			if gone, err := absent(err); gone || err != nil {
				return false, err
			}
			d, err := decodeDone(e)
			if err != nil {
				return false, err
			}
			at = d.At
		}
		sent = at
	}
	return now().Sub(sent) > b.lim.Stuck, nil
}
