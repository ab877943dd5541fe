package batch

import (
	"context"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/garbage"
	"github.com/portico-ml/portico/shared/storage"
)

// orphanAge is when a blob of a job that has no row is taken for one whose
// submission died: submitting takes minutes.
const orphanAge = 24 * time.Hour

// Expire is the garbage.Collector of what jobs leave: the blobs of jobs that
// ended more than ResultDays ago (results, plans, copies of inputs, what was
// staged and not committed), and those of submissions that died. A job whose
// results are gone keeps its row, which says so; the rows of its chunks go.
func (b *Batch) Expire(ctx context.Context, ws, part string, dry bool, found func(garbage.Item)) error {
	var of *expiring
	for info, err := range b.store.Blobs.List(ctx, ws+"/jobs/"+part) {
		if err != nil {
			return err
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(info.Key, ws+"/jobs/"), "/")
		if of == nil || of.id != id {
			if of, err = b.expiring(ctx, id); err != nil {
				return err
			}
			if of.over && !dry {
				if err := b.forget(ctx, of.job); err != nil {
					return err
				}
			}
		}
		if !of.over && (of.job != nil || now().Sub(info.Modified) < orphanAge) {
			continue
		}
		if !dry {
			err := b.store.Blobs.Delete(ctx, info.Key, storage.Condition{IfMatch: info.ETag})
			if fault.Is(err, fault.Conflict) {
				continue // gone, or written a moment ago
			}
			if err != nil {
				return err
			}
		}
		it := garbage.Item{Name: info.Key, Bytes: info.Size, Since: info.Modified}
		if of.over {
			it.Since = of.job.Ended
		}
		found(it)
	}
	return nil
}

// expiring is a job that blobs were found of.
type expiring struct {
	id   string
	job  *job // nil where there is no row
	over bool
}

func (b *Batch) expiring(ctx context.Context, id string) (*expiring, error) {
	j, err := b.load(ctx, id)
	if gone, err := absent(err); gone || err != nil {
		return &expiring{id: id}, err
	}
	over := j.State.Ended() && now().Sub(j.Ended) >= time.Duration(b.lim.ResultDays)*24*time.Hour
	return &expiring{id, j, over}, nil
}

// forget notes that a job's results are gone, and drops the rows of its chunks.
func (b *Batch) forget(ctx context.Context, j *job) error {
	if _, _, err := b.change(ctx, j.ID, func(j *job) bool {
		if j.Expired {
			return false
		}
		j.Expired = true
		return true
	}); err != nil {
		return err
	}
	return b.dropChunks(ctx, j)
}

// dropChunks drops the rows of a job's chunks.
func (b *Batch) dropChunks(ctx context.Context, j *job) error {
	n := j.Chunks
	for level := range levels {
		for first := 0; first < n; first += fanout {
			if err := b.dropRows(ctx, donePartition(j.ID, level, first)); err != nil {
				return err
			}
		}
		if n <= fanout {
			break
		}
		n = (n + fanout - 1) / fanout
	}
	return nil
}

// dropRows deletes a partition of at most fanout rows.
func (b *Batch) dropRows(ctx context.Context, partition string) error {
	var ops []storage.Op
	for e, err := range b.store.Tables.Query(ctx, table, partition, storage.Range{}) {
		if err != nil {
			return err
		}
		ops = append(ops, storage.Op{Kind: storage.Delete, Row: e.Row, IfMatch: storage.AnyETag})
	}
	if len(ops) == 0 {
		return nil
	}
	_, err := b.store.Tables.Apply(ctx, table, partition, ops...)
	return ignoreGone(err) // another sweep was faster
}

// Pinned calls keep with the digest of the deployment of every job of a
// workspace that has not ended.
func (b *Batch) Pinned(ctx context.Context, ws string, keep func(digest string) error) error {
	for n := range indexes {
		for e, err := range b.store.Tables.Query(ctx, table, activeIndex(n), storage.Range{}) {
			if err != nil {
				return err
			}
			if e.Props.Str("ws") != ws {
				continue
			}
			j, err := b.load(ctx, e.Row)
			if gone, err := absent(err); err != nil {
				return err
			} else if gone || j.State.Ended() {
				continue
			}
			if err := keep(j.Digest); err != nil {
				return err
			}
		}
	}
	return nil
}
