package batch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/storage"
)

// What is outside may not answer for hours: a database that is down, a table
// that is locked. The step that needs it is tried again, which costs no try,
// and would be for ever, with nothing to be seen but a job that runs. So what
// keeps it from being done is noted in a row beside the job's: the status shows
// it, and after Limits.Patience it is the end of the job.

// errEnded is the cause of work that stops because its job has ended.
var errEnded = errors.New("the job has ended")

const troubleRow = "trouble"

// trouble is why a step was not done, the last time, and since when it has not
// been.
type trouble struct {
	step  string
	text  string
	since time.Time
}

// patience notes what kept a step from being done in passing. Where it has for
// too long, the error it returns is final; else it is err.
func (b *Batch) patience(ctx context.Context, job, name string, err error) error {
	if err == nil || errors.Is(err, errHeld) || errors.Is(err, errLeaseLost) || ctx.Err() != nil {
		return err
	}
	if kind := fault.KindOf(err); kind == fault.Internal || !kind.Traits().Retry { // a fault of ours costs tries
		return err
	}
	t, terr := b.trouble(ctx, job)
	if terr != nil {
		return err // ours is what does not answer
	}
	if t.step != name {
		t = trouble{step: name, since: now()}
	}
	f := failureOf(err)
	f.Code = "" // of its kind, and says no more
	t.text = f.String()
	if waited := now().Sub(t.since); waited > b.lim.Patience {
		return fault.New(fault.ModuleExecution, "ModuleExecutionError", "given up after %v: %s", waited.Round(time.Minute), t.text).At(fault.Of(err).Target)
	}
	if _, terr := b.store.Tables.Apply(ctx, table, job, storage.Op{
		Kind: storage.Upsert, Row: troubleRow, Props: storage.Props{"step": t.step, "text": t.text, "since": t.since},
	}); terr != nil {
		b.log.WarnContext(ctx, "trouble not noted", "job", job, "error", terr)
	}
	return err
}

// trouble reads what was noted last; zero where nothing was.
func (b *Batch) trouble(ctx context.Context, job string) (trouble, error) {
	e, err := b.store.Tables.Get(ctx, table, job, troubleRow)
	if gone, err := absent(err); gone || err != nil {
		return trouble{}, err
	}
	return trouble{e.Props.Str("step"), e.Props.Str("text"), e.Props.Time("since")}, nil
}

// waitsFor is what a job that runs waits for, as its status says it; "" where
// nothing is known to be wrong.
func (b *Batch) waitsFor(ctx context.Context, j *job) (string, error) {
	name := ""
	switch {
	case j.State == Planning:
		name = stepCopy
	case j.State == Running && j.Whole:
		name = stepWhole
	case j.State == Committing:
		name = stepCommit
	default:
		return "", nil
	}
	t, err := b.trouble(ctx, j.ID)
	if err != nil || t.step != name {
		return "", err
	}
	return "Waiting, to be tried again until " + t.since.Add(b.lim.Patience).UTC().Format(time.RFC3339) + ": " + t.text, nil
}

// stepWhole names a whole job's work, which is no message of queue besjob.
const stepWhole = "whole"

// whileIn does work for as long as the job is in a state. It looks now and then
// whether it still is, so that whoever cancels a job need not wait for the
// database it reads.
func (b *Batch) whileIn(ctx context.Context, id string, s State, work func(context.Context) error) error {
	within, stop := context.WithCancelCause(ctx)
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			select {
			case <-within.Done():
				return
			case <-time.After(b.lim.Look):
			}
			if j, err := b.load(within, id); err == nil && j.State != s {
				stop(errEnded)
				return
			}
		}
	})
	err := work(within)
	ended := errors.Is(context.Cause(within), errEnded)
	stop(nil)
	looking.Wait()
	if err != nil && ended {
		return errEnded
	}
	return err
}

// Steps that read or write outside may take the better part of an hour, and a
// host delivers few messages of a queue at once (host.json): without a bound, a
// few sources that stall would keep all other jobs from going on. Those that
// read and those that write do not wait for each other.
const (
	outsideMost    = 3
	outsideMostOne = 2 // of a workspace
	outsideAgain   = 2 * time.Second
)

// errNoPlace says that a step has to come again because others are outside.
var errNoPlace = errors.New("as many steps as may be are outside")

// abroad counts the steps that are outside.
type abroad struct {
	mu  sync.Mutex
	all int
	by  map[string]int
}

func (a *abroad) leave(ws string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all--
	if a.by[ws]--; a.by[ws] == 0 {
		delete(a.by, ws)
	}
}

func (a *abroad) enter(ws string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all >= outsideMost || a.by[ws] >= outsideMostOne {
		return false
	}
	if a.by == nil {
		a.by = make(map[string]int)
	}
	a.all++
	a.by[ws]++
	return true
}

// do does work that may take long, or returns errNoPlace.
func (a *abroad) do(ws string, work func() error) error {
	if !a.enter(ws) {
		return errNoPlace
	}
	defer a.leave(ws)
	return work()
}

// again sends a step that found no place once more.
func (b *Batch) again(ctx context.Context, s step) error {
	return event.Send(ctx, b.store.Queues, JobQueue, s, outsideAgain)
}
