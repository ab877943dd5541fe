package catalog

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

const ringPartition = "ring"

// CheckRing holds the ring against the marks of the entries that this storage
// has seen, and marks those that it has not. An entry that now has another key
// is fault.Unavailable: every key derived from it would be one that no client
// has, and what it sealed would not open.
func CheckRing(ctx context.Context, t storage.Tables, ring *auth.Ring) error {
	for entry, mark := range ring.Marks() {
		e, err := t.Get(ctx, table, ringPartition, entry)
		if fault.Is(err, fault.NotFound) {
			_, err = t.Apply(ctx, table, ringPartition, storage.Op{Kind: storage.Insert, Row: entry, Props: storage.Props{"mark": mark}})
			if fault.HasCode(err, storage.CodeExists) { // by another process, just now
				e, err = t.Get(ctx, table, ringPartition, entry)
			} else if err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		if e.Props.Str("mark") != mark {
			return ring.Changed(entry)
		}
	}
	return nil
}

// Checked returns t behind a check of the ring, made when t is first used:
// until CheckRing has once gone well, every call fails with its error.
func Checked(t storage.Tables, ring *auth.Ring) storage.Tables {
	return &checked{tables: t, ring: ring}
}

type checked struct {
	tables storage.Tables
	ring   *auth.Ring

	done atomic.Bool
	mu   sync.Mutex // held while the ring is checked: callers share one check
}

func (c *checked) check(ctx context.Context) error {
	if c.done.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done.Load() {
		return nil
	}
	err := CheckRing(ctx, c.tables, c.ring)
	c.done.Store(err == nil)
	return err
}

func (c *checked) Get(ctx context.Context, table, partition, row string) (storage.Entity, error) {
	if err := c.check(ctx); err != nil {
		return storage.Entity{}, err
	}
	return c.tables.Get(ctx, table, partition, row)
}

func (c *checked) Apply(ctx context.Context, table, partition string, ops ...storage.Op) ([]string, error) {
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	return c.tables.Apply(ctx, table, partition, ops...)
}

func (c *checked) Query(ctx context.Context, table, partition string, r storage.Range) iter.Seq2[storage.Entity, error] {
	return func(yield func(storage.Entity, error) bool) {
		if err := c.check(ctx); err != nil {
			yield(storage.Entity{}, err)
			return
		}
		c.tables.Query(ctx, table, partition, r)(yield)
	}
}
