package catalog

import (
	"context"

	"github.com/portico-ml/portico/shared/storage"
)

// Roots calls keep with the digest of every artifact that the workspace's
// versions and experiments name: models, transformations, datasets with their
// files, records, originals, documents.
func (c *Catalog) Roots(ctx context.Context, ws string, keep func(digest string)) error {
	for kind := range kinds {
		for e, err := range c.tables.Query(ctx, table, versionsPartition(ws, kind), storage.Prefix("v.")) {
			if err != nil {
				return err
			}
			v := readVersion(kind, e)
			for _, digest := range []string{v.Digest, v.Original, v.Record} {
				keep(digest)
			}
		}
	}
	for e, err := range c.tables.Query(ctx, table, experimentsPartition(ws), notAudit) {
		if err != nil {
			return err
		}
		keep(readExperiment(e).DocDigest)
	}
	return nil
}

// NextWorkspace returns the id of the workspace behind another in the order of
// ids; "" gives the first, and is given behind the last.
func (c *Catalog) NextWorkspace(ctx context.Context, after string) (string, error) {
	r := storage.Range{}
	if after != "" {
		r.From = after + "." // an id has no dot: behind it, before the next
	}
	for e, err := range c.tables.Query(ctx, table, workspacesPartition, r) {
		return e.Row, err
	}
	return "", nil
}
