package catalog

import (
	"context"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

const ringPartition = "ring"

// CheckRing holds the ring against the marks of the entries that this storage
// has seen, and marks those that it has not. An entry that now has another key
// is fault.Unavailable: every key derived from it would be one that no client
// has. It is to be called once, before keys are derived.
func (c *Catalog) CheckRing(ctx context.Context) error {
	for entry, mark := range c.ring.Marks() {
		_, err := c.tables.Apply(ctx, table, ringPartition, storage.Op{Kind: storage.Insert, Row: entry, Props: storage.Props{"mark": mark}})
		if err == nil {
			continue
		}
		if !fault.HasCode(err, storage.CodeExists) {
			return err
		}
		e, err := c.tables.Get(ctx, table, ringPartition, entry)
		if err != nil {
			return err
		}
		if e.Props.Str("mark") != mark {
			return c.ring.Changed(entry)
		}
	}
	return nil
}
