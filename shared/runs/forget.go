package runs

import (
	"context"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/garbage"
	"github.com/portico-ml/portico/shared/storage"
)

// Forget returns the garbage.Collector of the rows of runs that ended more than
// age ago, but for the last successful one of each experiment that is there: until
// then a run can be looked at, afterwards it does not exist.
func (r *Runs) Forget(age time.Duration) garbage.Collector {
	return func(ctx context.Context, ws, part string, dry bool, found func(garbage.Item)) error {
		all, err := r.catalog.Experiments(ctx, ws)
		if err != nil {
			return err
		}
		deleted, err := r.catalog.DeletedExperiments(ctx, ws)
		if err != nil {
			return err
		}
		for _, x := range all {
			if strings.HasPrefix(x.ID, part) {
				if err := r.forgetOf(ctx, ws, x.ID, true, age, dry, found); err != nil {
					return err
				}
			}
		}
		for _, id := range deleted {
			if strings.HasPrefix(id, part) {
				if err := r.forgetOf(ctx, ws, id, false, age, dry, found); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// forgetOf forgets old runs of an experiment; last says to keep the last
// successful one.
func (r *Runs) forgetOf(ctx context.Context, ws, experimentID string, last bool, age time.Duration, dry bool, found func(garbage.Item)) error {
	for row, err := range r.tables.Query(ctx, table, ws+"."+experimentID, storage.Range{}) {
		if err != nil {
			return err
		}
		id := row.Props.Str("run")
		run, err := r.row(ctx, ws, id)
		switch {
		case fault.Is(err, fault.NotFound):
			// Forgotten half way; a row that Start has just written is younger.
			if now().Sub(indexed(row.Row)) < age {
				continue
			}
		case err != nil:
			return err
		case run.State == Finished && last:
			last = false
			continue
		case !run.State.Ended() || now().Sub(run.Ended) < age:
			continue
		default:
			found(garbage.Item{Name: id, Bytes: int64(len(row.Partition) + len(row.Row)), Since: run.Ended})
		}
		if dry {
			continue
		}
		if err := r.forget(ctx, ws, id, row); err != nil {
			return err
		}
	}
	return nil
}

// forget deletes the rows of a run: those of its nodes, its own, and last the
// one that it is found by.
func (r *Runs) forget(ctx context.Context, ws, id string, index storage.Entity) error {
	var rows []storage.Op
	for e, err := range r.tables.Query(ctx, table, ws+"."+id, storage.Range{}) {
		if err != nil {
			return err
		}
		rows = append(rows, storage.Op{Kind: storage.Delete, Row: e.Row, IfMatch: storage.AnyETag})
	}
	for len(rows) > 0 { // "run" sorts behind all nodes
		n := min(len(rows), storage.MaxApplyOps)
		_, err := r.tables.Apply(ctx, table, ws+"."+id, rows[:n]...)
		if fault.Is(err, fault.NotFound) {
			return nil // another sweep is at it
		}
		if err != nil {
			return err
		}
		rows = rows[n:]
	}
	_, err := r.tables.Apply(ctx, table, index.Partition, storage.Op{Kind: storage.Delete, Row: index.Row, IfMatch: index.ETag})
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) {
		return nil // another sweep was faster
	}
	return err
}
