package event

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/portico-ml/portico/shared/fault"
)

// The lives of a message. A run that fails in passing (storage is down) is
// repeated after a back-off and costs nothing; a run that takes its worker
// with it costs a try.
const (
	aloneFrom  = 3 // from this try on the message runs alone in the process
	giveUpFrom = 5 // at this try it is not run any more

	placeWait  = 5 * time.Second // how long a message waits for a place in the process
	backoffMin = 5 * time.Second
	backoffMax = 10 * time.Minute

	// A queue that takes no message is asked again, at intervals up to
	// refusedMax, until answerWithin of the delivery: the host ends the process,
	// with all that it is doing, over an answer that takes an hour.
	refusedMin   = time.Second
	refusedMax   = 30 * time.Second
	answerWithin = 55 * time.Minute
)

// Work is what a queue function does with a message of type M.
type Work[M any] struct {
	Queue string
	// Limit is how many messages of this queue run at once in the process.
	// (host.json's limits are one for all queues of the app.)
	Limit int
	// Deadline ends a run that takes longer; Do sees it on its context.
	Deadline time.Duration
	// DeadlineOf, where set, is Deadline for each message.
	DeadlineOf func(m M) time.Duration
	// Do does the work. A passing failure (fault's Retry kinds) is repeated
	// later; any other error goes to Fail. Do must be safe to repeat, to run
	// twice at once, and to lose at any instant.
	Do func(ctx context.Context, m M) error
	// Fail records on the work itself that it cannot be done: err is what Do
	// returned, or a *DiedError. Its own error, if passing, is repeated.
	Fail func(ctx context.Context, m M, err error) error
	// Foreign, where set, reads a body that is not in our envelope, as Event
	// Grid's are not.
	Foreign func(body []byte) (M, error)
}

// DiedError is the end of a message whose runs ended their worker, panicked
// or overran their deadline.
type DiedError struct {
	Times    int
	Last     error         // what the last run said; nil where the worker died
	Deadline time.Duration // of one run
}

func (e *DiedError) Error() string {
	switch {
	case e.Last == nil:
		return fmt.Sprintf("ended the worker %d times", e.Times)
	case fault.Is(e.Last, fault.Timeout):
		return fmt.Sprintf("did not end within %v, %d times", e.Deadline, e.Times)
	}
	return fmt.Sprintf("failed inside the service %d times", e.Times)
}

func (e *DiedError) Unwrap() error { return e.Last }

// Worker turns deliveries of one queue into runs of a Work. Its Handle almost
// never returns an error: the host's own retries are five in as many minutes,
// and would poison healthy work in any longer outage; and to the next worker a
// delivery that was refused looks like one that ended this one.
type Worker[M any] struct {
	work   Work[M]
	queue  Sender
	places *Places
	own    chan struct{} // has a token per message that runs
	log    *slog.Logger
}

// NewWorker returns the worker of w.
func NewWorker[M any](places *Places, q Sender, log *slog.Logger, w Work[M]) *Worker[M] {
	return &Worker[M]{work: w, queue: q, places: places, own: make(chan struct{}, max(w.Limit, 1)), log: log}
}

// Handle handles one delivery. An error means that not even the copy for
// later could be sent, for most of an hour: the host has to deliver the message
// again.
func (w *Worker[M]) Handle(ctx context.Context, e Event) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	w.places.arrive()
	defer w.places.depart()
	m, t, err := w.decode(e.Body)
	if err != nil {
		// Nothing this program can run. The poison queue keeps it for sweep.
		w.log.ErrorContext(ctx, "message not readable", "queue", w.work.Queue, "id", e.ID, "error", err)
		return w.poison(ctx, e.Body)
	}
	if e.DequeueCount > 1 { // every earlier delivery ended without an answer
		t.Try += e.DequeueCount - 1
	}
	if t.Try >= giveUpFrom {
		return w.fail(ctx, m, t, &DiedError{Times: giveUpFrom - 1, Deadline: w.deadline(m)})
	}
	leave, ok := w.enter(ctx, t.Try >= aloneFrom)
	if !ok {
		return w.later(ctx, m, t, nil)
	}
	err = w.run(ctx, m, e.ID)
	leave()
	switch {
	case err == nil:
		return nil
	case costsTry(err):
		t.Try, t.Again = t.Try+1, 0
		if t.Try >= giveUpFrom {
			return w.fail(ctx, m, t, &DiedError{Times: giveUpFrom - 1, Last: err, Deadline: w.deadline(m)})
		}
		return w.later(ctx, m, t, err)
	case passing(err):
		return w.later(ctx, m, t, err)
	}
	return w.fail(ctx, m, t, err)
}

func (w *Worker[M]) decode(body []byte) (m M, t tries, err error) {
	payload, t, foreign, err := decode(body)
	switch {
	case err != nil:
		return m, t, err
	case !foreign:
		err = json.Unmarshal(payload, &m)
	case w.work.Foreign != nil:
		m, err = w.work.Foreign(body)
	default:
		err = errors.New(`not an envelope {"v":1,"m":{…}}`)
	}
	return m, t, err
}

// enter takes a place in the process, or all of it for alone.
func (w *Worker[M]) enter(ctx context.Context, alone bool) (leave func(), ok bool) {
	ctx, cancel := context.WithTimeout(ctx, placeWait)
	defer cancel()
	if alone {
		return w.places.giveBack, w.places.takeAlone(ctx)
	}
	unwanted := w.places.unwanted()
	select {
	case <-unwanted:
		return nil, false
	default:
	}
	select {
	case w.own <- struct{}{}:
		return func() { <-w.own }, true
	case <-unwanted:
	case <-ctx.Done():
	}
	return nil, false
}

func (w *Worker[M]) deadline(m M) time.Duration {
	if w.work.DeadlineOf != nil {
		return w.work.DeadlineOf(m)
	}
	return w.work.Deadline
}

// overran marks the error of a run that its own deadline ended.
type overran struct{ error }

func (o overran) Unwrap() error { return o.error }

// panicked marks the error of a run that panicked.
type panicked struct{ error }

func (p panicked) Unwrap() error { return p.error }

func (w *Worker[M]) run(ctx context.Context, m M, id string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, w.deadline(m))
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = panicked{fault.Panicked(p)}
			w.log.ErrorContext(ctx, "worker panicked", "queue", w.work.Queue, "id", id, "error", err)
		}
	}()
	err = w.work.Do(ctx, m)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return overran{fault.Wrap(err, fault.Timeout, "run")}
	}
	return err
}

// costsTry reports failures that come from the work itself, so that repeating
// it for ever would never end: a panic, a fault of ours, its own deadline.
func costsTry(err error) bool {
	if _, ok := errors.AsType[panicked](err); ok {
		return true
	}
	if _, ok := errors.AsType[overran](err); ok {
		return true
	}
	return fault.KindOf(err) == fault.Internal
}

// passing reports failures that a later run may not meet. A canceled run is
// one: the host went away, not the work.
func passing(err error) bool {
	k := fault.KindOf(err)
	return k.Traits().Retry || k == fault.Canceled
}

// later sends a copy of the message for another time and so acknowledges this
// one. Want of a place is no failure, and does not make the next wait longer;
// but one that wants the process for itself is not to keep it from working.
func (w *Worker[M]) later(ctx context.Context, m M, t tries, cause error) error {
	delay := backoff(t.Again)
	switch {
	case cause != nil: // who is asked for patience is not asked again sooner
		delay = max(delay, min(fault.Of(cause).RetryAfter, backoffMax))
		t.Again++
	case t.Try >= aloneFrom:
		t.Again++
	default:
		delay = backoff(0)
	}
	w.log.WarnContext(ctx, "message sent again", "queue", w.work.Queue, "try", t.Try, "again", t.Again, "delay", delay, "error", text(cause))
	body, err := encode(m, t)
	if err != nil {
		return err
	}
	return w.send(ctx, w.work.Queue, body, delay)
}

// poison keeps a message that nobody can do anything with for sweep.
func (w *Worker[M]) poison(ctx context.Context, body []byte) error {
	return w.send(ctx, w.work.Queue+"-poison", body, 0)
}

// send sends a message, and again as long as the queue refuses it in passing:
// the delivery is held meanwhile. Once its context is done, the host having
// gone, say, it is tried for a last time.
func (w *Worker[M]) send(ctx context.Context, queue string, body []byte, delay time.Duration) error {
	for n := 0; ; n++ {
		last := ctx.Err() != nil
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		err := w.queue.Send(attempt, queue, body, delay)
		cancel()
		if err == nil || !passing(err) || last {
			return err
		}
		pause := refusedMax
		if n < 5 {
			pause = min(refusedMax, refusedMin<<n)
		}
		pause = max(pause/2+rand.N(pause/2), min(fault.Of(err).RetryAfter, 2*refusedMax))
		w.log.WarnContext(ctx, "queue refuses a message", "queue", queue, "pause", pause, "error", text(err))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// fail has the work record its own end.
func (w *Worker[M]) fail(ctx context.Context, m M, t tries, cause error) error {
	level := slog.LevelError
	if l := fault.KindOf(cause).Traits().Level; l < slog.LevelWarn {
		level = l // the caller's mistake, which the caller hears of
	}
	w.log.Log(ctx, level, "message given up", "queue", w.work.Queue, "try", t.Try, "error", text(cause))
	if w.work.Fail == nil {
		return nil
	}
	err := w.record(ctx, m, cause)
	switch {
	case err == nil:
		return nil
	case passing(err) && !costsTry(err):
		return w.later(ctx, m, t, err)
	}
	// What cannot even be said to have failed would come again for ever.
	w.log.ErrorContext(ctx, "end of a message not recorded", "queue", w.work.Queue, "error", err)
	body, eerr := encode(m, t)
	if eerr != nil {
		return eerr
	}
	return w.poison(ctx, body)
}

// record has the work record its end.
func (w *Worker[M]) record(ctx context.Context, m M, cause error) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = panicked{fault.Panicked(p)}
		}
	}()
	return w.work.Fail(ctx, m, cause)
}

// text is err for the log. What a caller did wrong is told by its code: the
// message may quote a cell.
func text(err error) string {
	if err == nil {
		return "no place in the process"
	}
	if e := fault.Of(err); e.Kind.Traits().Level < slog.LevelWarn {
		return e.Kind.String() + " " + e.Details()[0].Code
	}
	return err.Error()
}

// backoff returns the n-th delay: doubling from 5 s to 10 min, the upper half
// of it by chance, so that what failed together does not come back together.
func backoff(n int) time.Duration {
	d := backoffMax
	if n < 7 {
		d = min(backoffMax, backoffMin<<n)
	}
	if n == 0 {
		return d + rand.N(d/2)
	}
	return d/2 + rand.N(d/2)
}
