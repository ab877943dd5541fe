package batch

import (
	"context"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/storage"
)

// step is a message of queue besjob. All steps may be repeated.
type step struct {
	Step string `json:"step"`
	Job  string `json:"job,omitempty"`
	// Workspace and Endpoint, for admit, say whose queue to look at.
	Workspace string `json:"ws,omitempty"`
	Endpoint  string `json:"endpoint,omitempty"`
}

const (
	stepAdmit  = "admit"  // gives free slots of an endpoint to the jobs that wait
	stepPlan   = "plan"   // splits a job
	stepCopy   = "copy"   // makes the snapshots of a job's inputs, before it is split
	stepCommit = "commit" // commits and delivers a job whose chunks are done
	stepTidy   = "tidy"   // does what follows the end of a job
)

func (b *Batch) send(ctx context.Context, s step) error {
	return event.Send(ctx, b.store.Queues, JobQueue, s, 0)
}

func (b *Batch) sendAdmit(ctx context.Context, ws, endpoint string) error {
	return b.send(ctx, step{Step: stepAdmit, Workspace: ws, Endpoint: endpoint})
}

// queue is the slots and the waiting jobs of an endpoint.
type queue struct {
	slots map[string]storage.Entity // by row
	waits []storage.Entity          // first come, first
}

func (b *Batch) queue(ctx context.Context, ws, endpoint string) (queue, error) {
	q := queue{slots: make(map[string]storage.Entity)}
	for e, err := range b.store.Tables.Query(ctx, table, endpointPartition(ws, endpoint), storage.Range{}) {
		if err != nil {
			return q, err
		}
		if strings.HasPrefix(e.Row, "slot.") {
			q.slots[e.Row] = e
		} else if q.waits = append(q.waits, e); len(q.waits) >= maxQueue {
			break
		}
	}
	return q, nil
}

// maxQueue bounds how much of a queue is read: a position beyond it is "at
// least".
const maxQueue = 1000

// enqueue makes a started job wait and has its endpoint admit.
func (b *Batch) enqueue(ctx context.Context, j *job) error {
	_, err := b.store.Tables.Apply(ctx, table, endpointPartition(j.Workspace, j.Endpoint),
		storage.Op{Kind: storage.Insert, Row: waitRow(j.Started, j.ID), Props: storage.Props{"job": j.ID}})
	if err != nil && !fault.HasCode(err, storage.CodeExists) {
		return err
	}
	return b.sendAdmit(ctx, j.Workspace, j.Endpoint)
}

// admit gives the endpoint's free slots to the jobs that have waited longest.
func (b *Batch) admit(ctx context.Context, ws, endpoint string) error {
	q, err := b.queue(ctx, ws, endpoint)
	if err != nil {
		return err
	}
	if err := b.takeUp(ctx, ws, endpoint, q); err != nil {
		return err
	}
	if len(q.waits) > 0 && len(q.slots) >= b.lim.Slots {
		if err := b.reclaim(ctx, ws, endpoint, &q); err != nil {
			return err
		}
	}
	n := 0
	for _, w := range q.waits {
		for n < b.lim.Slots && q.slots[slotRow(n)].Row != "" {
			n++
		}
		if n == b.lim.Slots {
			return nil
		}
		// The slot is taken and the wait given up in one write, so that a job
		// is in exactly one of the two and never takes two slots.
		id := w.Props.Str("job")
		_, err := b.store.Tables.Apply(ctx, table, endpointPartition(ws, endpoint),
			storage.Op{Kind: storage.Insert, Row: slotRow(n), Props: storage.Props{"job": id, "at": now()}},
			storage.Op{Kind: storage.Delete, Row: w.Row, IfMatch: w.ETag})
		if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
			// Another admit is at work: it gives what is left, or this one
			// does when it comes back.
			return b.sendAdmit(ctx, ws, endpoint)
		}
		if err != nil {
			return err
		}
		n++
		if err := b.admitted(ctx, id); err != nil {
			return err // repeated, this admit takes the job up
		}
	}
	return nil
}

// orphaned is how old a slot is with which sweep has dealt.
const orphaned = 30 * time.Minute

// takeUp goes on with the jobs over which an admit has died: they have a slot
// and are still Waiting. One that another may yet have in hand is looked at
// again in a while.
func (b *Batch) takeUp(ctx context.Context, ws, endpoint string, q queue) error {
	again := false
	for _, e := range q.slots {
		held := now().Sub(e.Props.Time("at"))
		if held > orphaned {
			continue
		}
		j, err := b.load(ctx, e.Props.Str("job"))
		if gone, err := absent(err); err != nil {
			return err
		} else if gone || j.State != Waiting {
			continue
		}
		if held < b.lim.Handing {
			again = true
			continue
		}
		if err := b.admitted(ctx, j.ID); err != nil {
			return err
		}
	}
	if !again {
		return nil
	}
	return event.Send(ctx, b.store.Queues, JobQueue, step{Step: stepAdmit, Workspace: ws, Endpoint: endpoint}, b.lim.Handing)
}

// admitted has a job that has a slot planned. The message comes first: it makes
// good for whoever dies before the change of state.
func (b *Batch) admitted(ctx context.Context, id string) error {
	j, err := b.load(ctx, id)
	if gone, err := absent(err); gone || err != nil {
		return err // a row of a job that was never written: reclaim drops it
	}
	if j.State == Waiting || j.State == Planning {
		if err := b.send(ctx, step{Step: stepPlan, Job: id}); err != nil {
			return err
		}
		if j, err = b.planning(ctx, id); err != nil {
			return err
		}
	}
	if j.State.Ended() {
		return b.tidy(ctx, j) // cancelled meanwhile: its slot goes back
	}
	return nil
}

// planning moves a job that has a slot to Planning.
func (b *Batch) planning(ctx context.Context, id string) (*job, error) {
	j, _, err := b.change(ctx, id, func(j *job) bool {
		if j.State != Waiting {
			return false
		}
		j.State = Planning
		return true
	})
	return j, err
}

// reclaim frees the slots of jobs that are not running any more. A worker
// that died between the end of its job and tidy leaves one.
func (b *Batch) reclaim(ctx context.Context, ws, endpoint string, q *queue) error {
	for row, e := range q.slots {
		j, err := b.load(ctx, e.Props.Str("job"))
		gone, err := absent(err)
		if err != nil {
			return err
		}
		if !gone && !j.State.Ended() {
			continue
		}
		if err := b.drop(ctx, endpointPartition(ws, endpoint), e); err != nil {
			return err
		}
		delete(q.slots, row)
	}
	return nil
}

// drop deletes a row that may be gone or changed by then.
func (b *Batch) drop(ctx context.Context, partition string, e storage.Entity) error {
	_, err := b.store.Tables.Apply(ctx, table, partition, storage.Op{Kind: storage.Delete, Row: e.Row, IfMatch: e.ETag})
	if fault.Is(err, fault.NotFound) || fault.HasCode(err, storage.CodeCondition) {
		return nil
	}
	return err
}

// leaveQueue takes a job out of its endpoint's queue, and lets the next one
// in where it held a slot. The message comes first: an admit that finds the slot
// still taken takes it from a job that has ended, and whoever dies after it has
// not kept the next waiting.
func (b *Batch) leaveQueue(ctx context.Context, j *job) error {
	if j.Started.IsZero() {
		return nil
	}
	part := endpointPartition(j.Workspace, j.Endpoint)
	e, err := b.store.Tables.Get(ctx, table, part, waitRow(j.Started, j.ID))
	if err == nil {
		err = b.drop(ctx, part, e)
	}
	if _, err = absent(err); err != nil {
		return err
	}
	for e, err := range b.store.Tables.Query(ctx, table, part, storage.Prefix("slot.")) {
		if err != nil {
			return err
		}
		if e.Props.Str("job") != j.ID {
			continue
		}
		if err := b.sendAdmit(ctx, j.Workspace, j.Endpoint); err != nil {
			return err
		}
		return b.drop(ctx, part, e)
	}
	return nil
}
