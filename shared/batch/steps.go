package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/event"
)

// JobWorker is the worker of queue besjob.
func (b *Batch) JobWorker(places *event.Places) *event.Worker[step] {
	return event.NewWorker(places, b.store.Queues, b.log, event.Work[step]{
		Queue:    JobQueue,
		Limit:    8,
		Deadline: stepDeadline,
		DeadlineOf: func(s step) time.Duration {
			if s.Step == stepCommit || s.Step == stepCopy {
				return commitDeadline
			}
			return stepDeadline
		},
		Do: b.step,
		Fail: func(ctx context.Context, s step, err error) error {
			if s.Job == "" {
				return nil // sweep admits again
			}
			err = told(err, "the job's step "+s.Step)
			if s.Step == stepCommit {
				return ignoreGone(b.refuse(ctx, s.Job, err))
			}
			return ignoreGone(b.fail(ctx, s.Job, err))
		},
	})
}

func (b *Batch) step(ctx context.Context, s step) error {
	var err error
	switch s.Step {
	case stepAdmit:
		return b.admit(ctx, s.Workspace, s.Endpoint)
	case stepPlan:
		err = b.plan(ctx, s.Job)
	case stepCopy:
		err = b.patience(ctx, s.Job, stepCopy, b.copyIn(ctx, s.Job))
	case stepCommit:
		err = b.patience(ctx, s.Job, stepCommit, b.commit(ctx, s.Job))
	case stepTidy:
		var j *job
		if j, err = b.load(ctx, s.Job); err == nil {
			err = b.tidy(ctx, j)
		}
	default:
		return fault.New(fault.BadArgument, "", "a job has no step %q", s.Step)
	}
	if errors.Is(err, errNoPlace) {
		return b.again(ctx, s)
	}
	return err
}

// Deadlines of one message: of a step, of the commit, which may copy a large
// output to its place, of a chunk, and of a job that runs whole.
const (
	stepDeadline   = 5 * time.Minute
	commitDeadline = 50 * time.Minute
	chunkDeadline  = 5 * time.Minute
	wholeDeadline  = 50 * time.Minute
)

// ChunkWorker is the worker of queue beschunk.
func (b *Batch) ChunkWorker(places *event.Places) *event.Worker[work] {
	return event.NewWorker(places, b.store.Queues, b.log, event.Work[work]{
		Queue:    ChunkQueue,
		Limit:    chunkPlaces(),
		Deadline: chunkDeadline,
		DeadlineOf: func(w work) time.Duration {
			if w.Whole {
				return wholeDeadline
			}
			return chunkDeadline
		},
		Do: func(ctx context.Context, w work) error {
			if w.Whole {
				return b.patience(ctx, w.Job, stepWhole, b.runWhole(ctx, w.Job))
			}
			return b.runChunk(ctx, w.Job, w.Chunk)
		},
		Fail: func(ctx context.Context, w work, err error) error {
			return ignoreGone(b.fail(ctx, w.Job, told(err, b.name(ctx, w))))
		},
	})
}

// name is the chunk as a message names it.
func (b *Batch) name(ctx context.Context, w work) string {
	if w.Whole {
		return "the job"
	}
	s := fmt.Sprintf("chunk %d", w.Chunk+1)
	if j, err := b.load(ctx, w.Job); err == nil {
		if _, c, err := b.chunkAt(ctx, j, w.Chunk); err == nil && c.Records > 0 {
			s += fmt.Sprintf(" (rows %d–%d)", c.First, c.First+c.Records-1)
		}
	}
	return s
}

// told is the error of a message that was given up, as the job's owner reads
// it: a fault of ours by what it did, anything else as it is.
func told(err error, what string) error {
	if died, ok := errors.AsType[*event.DiedError](err); ok {
		return fault.New(fault.ModuleExecution, "ModuleExecutionError", "%s %s", what, died.Error())
	}
	return err
}

func ignoreGone(err error) error {
	_, err = absent(err)
	return err
}
