package catalog

import (
	"context"
	"strconv"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/storage"
)

// slice is how many versions go in one write, beside the name and the audit.
const slice = storage.MaxApplyOps - 2

// Delete deletes a version of a dataset, trained model or transformation, or,
// with number 0, all of them and the name. Versions are never numbered anew while
// the name is there; "latest" is then the newest of the others. Whether somebody
// uses it is for the caller to ask. Its artifacts go when nothing else refers to
// them.
//
// A deletion that died half way has deleted some versions and, repeated, deletes
// the rest; the audit tells of it once, at the end.
func (c *Catalog) Delete(ctx context.Context, ws string, kind service.PortKind, name string, number int, by auth.Identity) error {
	k, ok := kinds[kind]
	if !ok {
		return fault.New(fault.BadArgument, "BadParameterValue", "nothing of kind %.40q is saved: one of Dataset, TrainedModel, Transformation", kind)
	}
	partition, h := versionsPartition(ws, kind), hash(name)
	return again(ctx, k.what+" "+strconv.Quote(name), func() error {
		pointer, err := c.tables.Get(ctx, table, partition, nameRow(h))
		if fault.Is(err, fault.NotFound) {
			return c.unknown(ctx, ws, kind, name)
		}
		if err != nil {
			return err
		}
		var gone []storage.Entity
		var newest *storage.Entity // of those that stay
		for e, err := range c.tables.Query(ctx, table, partition, storage.Prefix("v."+h+".")) {
			if err != nil {
				return err
			}
			if number == 0 || e.Row == versionRow(h, number) {
				gone = append(gone, e)
			} else {
				newest = &e
			}
		}
		if len(gone) == 0 && number > 0 {
			_, err := c.Saved(ctx, ws, kind, name, number)
			return err
		}
		for len(gone) > slice {
			same := storage.Op{Kind: storage.Replace, Row: nameRow(h), IfMatch: pointer.ETag, Props: pointer.Props}
			etags, err := c.tables.Apply(ctx, table, partition, append(deletions(gone[:slice]), same)...)
			if err != nil {
				return settled(err)
			}
			pointer.ETag, gone = etags[slice], gone[slice:]
		}
		last := max(pointer.Props.Int("number"), pointer.Props.Int("last"))
		ops := deletions(gone)
		if newest == nil {
			ops = append(ops, storage.Op{Kind: storage.Delete, Row: nameRow(h), IfMatch: pointer.ETag})
		} else {
			p := readVersion(kind, *newest).props()
			p["last"] = last
			ops = append(ops, storage.Op{Kind: storage.Replace, Row: nameRow(h), IfMatch: pointer.ETag, Props: p})
		}
		ops = append(ops, record(Event{Type: k.event + ".deleted", Subject: name, Version: number}, by))
		_, err = c.tables.Apply(ctx, table, partition, ops...)
		return settled(err)
	})
}

func deletions(rows []storage.Entity) []storage.Op {
	ops := make([]storage.Op, 0, len(rows)+2)
	for _, e := range rows {
		ops = append(ops, storage.Op{Kind: storage.Delete, Row: e.Row, IfMatch: e.ETag})
	}
	return ops
}
