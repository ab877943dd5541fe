// Package sweep is the timer function that looks after what was left: jobs
// that stand still, messages that were poisoned, acts that were not told.
//
// Each duty goes round and round, a step at a time; a row keeps the cursor, so
// that a pass goes on where the last one was ended, by time or by death. Steps
// are safe to repeat and to do twice at once.
package sweep

import (
	"context"
	"log/slog"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/storage"
)

// A Duty is something to look after.
type Duty struct {
	Name string // of its row: [a-z]+
	// Every is the least time between the end of one round and the begin of
	// the next.
	Every time.Duration
	// Step does some of the duty from cursor on, "" being the start, and
	// returns the cursor to go on with, "" at the end of a round. Where ctx
	// ends it returns what it has come to.
	Step func(ctx context.Context, cursor string) (next string, err error)
}

// Limits of one tick.
const (
	tick = 60 * time.Second
	// most is the share of a tick one duty may take, so that each has a turn.
	most = 20 * time.Second
)

// Rows are in table "sweep": partition "duty", row {duty}: cursor, and ended,
// when the last round did. Asked for by each tick, one point read per duty.
const (
	table     = "sweep"
	partition = "duty"
)

// Function is the sweep function.
type Function struct {
	tables storage.Tables
	duties []Duty
	log    *slog.Logger
}

// New returns the function with its duties.
func New(tables storage.Tables, log *slog.Logger, duties ...Duty) *Function {
	return &Function{tables, duties, log}
}

// Handle is one tick of the timer.
func (f *Function) Handle(ctx context.Context, _ event.Event) error {
	ctx, cancel := context.WithTimeout(ctx, tick)
	defer cancel()
	for _, d := range f.duties {
		if ctx.Err() != nil {
			return nil // the next tick goes on
		}
		// A duty that fails must not keep the others from theirs, and the
		// next tick comes anyway.
		if err := f.round(ctx, d); err != nil {
			f.log.ErrorContext(ctx, "duty failed", "duty", d.Name, "error", fault.Wrap(err, fault.Internal, "sweep"))
		}
	}
	return nil
}

// round goes on with a duty until its round ends or its time is up.
func (f *Function) round(ctx context.Context, d Duty) (err error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fault.Panicked(p)
		}
	}()
	row, err := f.tables.Get(ctx, table, partition, d.Name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	cursor := row.Props.Str("cursor")
	if cursor == "" && time.Since(row.Props.Time("ended")) < d.Every {
		return nil
	}
	for {
		next, err := d.Step(ctx, cursor)
		if err != nil {
			return err
		}
		stopped := ctx.Err() != nil
		props := storage.Props{"cursor": next, "ended": row.Props.Time("ended")}
		if next == "" && !stopped {
			props["ended"] = time.Now().UTC()
		}
		if err := f.keep(context.WithoutCancel(ctx), d, &row, props); err != nil {
			return err
		}
		if next == "" || stopped {
			return nil
		}
		cursor = next
	}
}

// keep writes a duty's row. Another sweep at the same duty is no harm: the
// cursor is a hint where to go on.
func (f *Function) keep(ctx context.Context, d Duty, row *storage.Entity, props storage.Props) error {
	if props["ended"].(time.Time).IsZero() {
		delete(props, "ended")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := f.tables.Apply(ctx, table, partition, storage.Op{Kind: storage.Upsert, Row: d.Name, Props: props})
	row.Props = props
	return err
}
