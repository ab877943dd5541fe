package batch

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/garbage"
	"github.com/portico-ml/portico/shared/storage"
)

// listedPartition names the endpoints of a workspace that have had jobs, those
// that are deleted by now, too.
func listedPartition(ws string) string { return ws + ".listed" }

// noteEndpoint adds an endpoint to those, once for each process.
func (b *Batch) noteEndpoint(ctx context.Context, ws, endpoint string) error {
	key := endpointPartition(ws, endpoint)
	if _, known := b.listed.Load(key); known {
		return nil
	}
	_, err := b.store.Tables.Apply(ctx, table, listedPartition(ws), storage.Op{Kind: storage.Upsert, Row: endpoint, Props: storage.Props{"endpoint": endpoint}})
	if err == nil {
		b.listed.Store(key, true)
	}
	return err
}

// Forget is the garbage.Collector of jobs that ended more than RecordDays ago,
// and whose results are gone: of their rows, and their place in the list of their
// endpoint. Until then their status is answered, afterwards they do not exist.
func (b *Batch) Forget(ctx context.Context, ws, part string, dry bool, found func(garbage.Item)) error {
	age := time.Duration(b.lim.RecordDays) * 24 * time.Hour
	oldest := storage.Range{From: fmt.Sprintf("%019d.", math.MaxInt64-now().Add(-age).UnixMicro())}
	for e, err := range b.store.Tables.Query(ctx, table, listedPartition(ws), storage.Prefix(part)) {
		if err != nil {
			return err
		}
		// A job that ended so long ago was submitted before that.
		for row, err := range b.store.Tables.Query(ctx, table, listPartition(ws, e.Row), oldest) {
			if err != nil {
				return err
			}
			if err := b.forgetListed(ctx, row, age, dry, found); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetListed forgets the job of a row of its endpoint's list. That row goes
// last: it is what the job is found by.
func (b *Batch) forgetListed(ctx context.Context, row storage.Entity, age time.Duration, dry bool, found func(garbage.Item)) error {
	id := row.Props.Str("job")
	j, err := b.load(ctx, id)
	gone, err := absent(err)
	if err != nil {
		return err
	}
	if !gone && listRow(j) == row.Row {
		if !j.State.Ended() || now().Sub(j.Ended) < age {
			return nil
		}
		item := garbage.Item{Name: id, Bytes: int64(len(row.Partition) + len(row.Row)), Since: j.Ended}
		if dry { // whatever it still holds is older than results get
			found(item)
			return nil
		}
		if held, err := b.holds(ctx, j); held || err != nil {
			return err // Expire comes first
		}
		if err := b.dropChunks(ctx, j); err != nil {
			return err
		}
		if err := b.dropRows(ctx, id); err != nil {
			return err
		}
		found(item)
	}
	if dry {
		return nil
	}
	return b.drop(ctx, row.Partition, row)
}

// holds reports whether blobs of a job are left.
func (b *Batch) holds(ctx context.Context, j *job) (bool, error) {
	for _, err := range b.store.Blobs.List(ctx, jobPrefix(j.Workspace, j.ID)) {
		return err == nil, err
	}
	return false, nil
}

// ExpireDrops is the garbage.Collector of dropped files that were answered more
// than DropDays ago, and of their answers. A file without an answer stays. All of
// it is part 0's affair: services are called by names as well as by ids.
func (b *Batch) ExpireDrops(ctx context.Context, ws, part string, dry bool, found func(garbage.Item)) error {
	if part != "0" {
		return nil
	}
	age := time.Duration(b.lim.DropDays) * 24 * time.Hour
	remove := func(blobs storage.Blobs, container string, info storage.BlobInfo) error {
		if !dry {
			err := blobs.Delete(ctx, info.Key, storage.Condition{IfMatch: info.ETag})
			if fault.Is(err, fault.Conflict) {
				return nil // gone, or dropped again
			}
			if err != nil {
				return err
			}
		}
		found(garbage.Item{Name: container + "/" + info.Key, Bytes: info.Size, Since: info.Modified})
		return nil
	}
	// Files first, for it is their answers that tell which may go.
	for info, err := range b.store.Drop.List(ctx, ws+"/") {
		if err != nil {
			return err
		}
		if now().Sub(info.Modified) < age {
			continue
		}
		answered, err := b.answered(ctx, info, age)
		if err != nil {
			return err
		}
		if answered {
			if err := remove(b.store.Drop, storage.DropContainer, info); err != nil {
				return err
			}
		}
	}
	for info, err := range b.store.DropDone.List(ctx, ws+"/") {
		if err != nil {
			return err
		}
		if now().Sub(info.Modified) < age {
			continue
		}
		if err := remove(b.store.DropDone, storage.DropDoneContainer, info); err != nil {
			return err
		}
	}
	return nil
}

// answered reports whether this version of a dropped file has a receipt that is
// so old.
func (b *Batch) answered(ctx context.Context, file storage.BlobInfo, age time.Duration) (bool, error) {
	for info, err := range b.store.DropDone.List(ctx, file.Key+"/") {
		if err != nil {
			return false, err
		}
		if strings.HasSuffix(info.Key, "/"+receiptName) && !info.Modified.Before(file.Modified) && now().Sub(info.Modified) >= age {
			return true, nil
		}
	}
	return false, nil
}
