package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"maps"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

// blobs is one container.
type blobs struct {
	s         *Store
	container string
}

var _ storage.Blobs = (*blobs)(nil)

const qHead = `SELECT etag, size, modified, meta FROM blob WHERE container = ? AND key = ?`

// Head implements storage.Blobs.
func (b *blobs) Head(ctx context.Context, key string) (storage.BlobInfo, error) {
	if err := storage.CheckKey(key); err != nil {
		return storage.BlobInfo{}, err
	}
	var row infoRow
	err := b.s.queryRow(ctx, qHead, []any{b.container, key}, row.dest())
	if errors.Is(err, sql.ErrNoRows) {
		return storage.BlobInfo{}, absent(key, "")
	}
	if err != nil {
		return storage.BlobInfo{}, wrap(err, "head blob %s", key)
	}
	return row.info(key)
}

// One statement sees one version: the blob's row with those of its extents
// that hold bytes of the range. An extent has at most MaxPutBytes, which
// bounds where the first of them starts.
const qGet = `SELECT b.etag, b.size, b.modified, b.meta, e.start, e.size, e.file, e.sums
	FROM blob b LEFT JOIN extent e ON e.blob = b.id AND e.start > ?3 - ?5 AND e.start < ?4 AND e.start + e.size > ?3
	WHERE b.container = ?1 AND b.key = ?2 ORDER BY e.start`

// Get implements storage.Blobs.
func (b *blobs) Get(ctx context.Context, key string, o storage.ReadOptions) (storage.BlobInfo, io.ReadCloser, error) {
	var none storage.BlobInfo
	if err := storage.CheckRead(key, o); err != nil {
		return none, nil, err
	}
	end := int64(1) << 62
	if o.Length > 0 && o.Length < end-o.Offset {
		end = o.Offset + o.Length
	}
	var (
		row     infoRow
		found   bool
		extents []extent
		start   sql.NullInt64
		size    sql.NullInt64
		file    sql.NullString
		sums    []byte
	)
	rows, err := b.s.query(ctx, qGet, b.container, key, o.Offset, end, storage.MaxPutBytes)
	err = scan(rows, err, append(row.dest(), &start, &size, &file, &sums), func() error {
		found = true
		if file.Valid {
			extents = append(extents, extent{start.Int64, size.Int64, file.String, sums})
		}
		return nil
	})
	if err != nil {
		return none, nil, wrap(err, "get blob %s", key)
	}
	if !found {
		return none, nil, absent(key, o.IfMatch)
	}
	info, err := row.info(key)
	if err != nil {
		return none, nil, err
	}
	if o.IfMatch != "" && o.IfMatch != storage.AnyETag && o.IfMatch != info.ETag {
		return none, nil, changed("blob %s has changed", key)
	}
	r := &reader{ctx: ctx, blobs: b, info: info, extents: extents, pos: o.Offset, end: min(end, info.Size)}
	if err := r.open(); err != nil {
		return none, nil, err
	}
	return info, r, nil
}

// Put implements storage.Blobs.
func (b *blobs) Put(ctx context.Context, key string, body []byte, meta map[string]string, c storage.Condition) (storage.BlobInfo, error) {
	if err := storage.CheckPut(key, body, meta, c); err != nil {
		return storage.BlobInfo{}, err
	}
	if err := b.precheck(ctx, key, c); err != nil {
		return storage.BlobInfo{}, err
	}
	var extents []extent
	if len(body) > 0 {
		file, err := b.s.files.write(body)
		if err != nil {
			return storage.BlobInfo{}, wrap(err, "put blob %s", key)
		}
		extents = []extent{{0, int64(len(body)), file, sumsOf(body)}}
	}
	info := storage.BlobInfo{Key: key, Size: int64(len(body)), Meta: maps.Clone(meta)}
	err := b.s.writer.do(ctx, func(t *tx) error {
		for _, e := range extents {
			if err := b.s.files.present(e.file); err != nil {
				return err
			}
		}
		return b.replace(t, &info, extents, c)
	})
	if fault.Is(err, fault.Conflict) {
		for _, e := range extents {
			b.s.files.discard(e.file)
		}
	}
	return info, wrap(err, "put blob %s", key)
}

// precheck spares a write that cannot succeed the trouble of writing.
func (b *blobs) precheck(ctx context.Context, key string, c storage.Condition) error {
	if c == (storage.Condition{}) {
		return nil
	}
	var etag string
	err := b.s.queryRow(ctx, `SELECT etag FROM blob WHERE container = ? AND key = ?`, []any{b.container, key}, []any{&etag})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return wrap(err, "read blob %s", key)
	}
	return judge(key, etag, c)
}

// judge decides a condition; etag is "" where there is no blob.
func judge(key, etag string, c storage.Condition) error {
	switch {
	case c.IfAbsent && etag != "":
		return fault.New(fault.Conflict, storage.CodeExists, "blob %s exists", key)
	case c.IfMatch != "" && etag == "":
		return absent(key, c.IfMatch)
	case c.IfMatch != "" && c.IfMatch != storage.AnyETag && c.IfMatch != etag:
		return changed("blob %s has changed", key)
	}
	return nil
}

// replace makes extents the blob's content, under condition c, and drops the
// uncommitted parts of its key.
func (b *blobs) replace(t *tx, info *storage.BlobInfo, extents []extent, c storage.Condition) error {
	id, etag, err := b.lookup(t, info.Key)
	if err != nil {
		return err
	}
	if err := judge(info.Key, etag, c); err != nil {
		return err
	}
	info.ETag = newETag()
	us := now()
	info.Modified = fromMicro(us)
	meta, err := json.Marshal(info.Meta)
	if err != nil {
		return err
	}
	if etag == "" {
		err = t.row(`INSERT INTO blob (container, key, etag, size, modified, meta) VALUES (?, ?, ?, ?, ?, ?) RETURNING id`,
			[]any{b.container, info.Key, info.ETag, info.Size, us, string(meta)}, []any{&id})
	} else {
		_, err = t.exec(`UPDATE blob SET etag = ?, size = ?, modified = ?, meta = ? WHERE id = ?`, info.ETag, info.Size, us, string(meta), id)
		if err == nil {
			err = dropExtents(t, id, us)
		}
	}
	if err != nil {
		return err
	}
	for _, e := range extents {
		if _, err := t.exec(`INSERT INTO extent (blob, start, size, file, sums) VALUES (?, ?, ?, ?, ?)`, id, e.start, e.size, e.file, e.sums); err != nil {
			return err
		}
	}
	return b.dropParts(t, info.Key, us)
}

// lookup finds the row of a blob; etag is "" where there is none.
func (b *blobs) lookup(t *tx, key string) (id int64, etag string, err error) {
	err = t.row(`SELECT id, etag FROM blob WHERE container = ? AND key = ?`, []any{b.container, key}, []any{&id, &etag})
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return id, etag, err
}

func dropExtents(t *tx, id, us int64) error {
	if _, err := t.exec(`INSERT INTO dead (file, since) SELECT file, ? FROM extent WHERE blob = ?`, us, id); err != nil {
		return err
	}
	_, err := t.exec(`DELETE FROM extent WHERE blob = ?`, id)
	return err
}

func (b *blobs) dropParts(t *tx, key string, us int64) error {
	if _, err := t.exec(`INSERT INTO dead (file, since) SELECT file, ? FROM part WHERE container = ? AND key = ?`, us, b.container, key); err != nil {
		return err
	}
	_, err := t.exec(`DELETE FROM part WHERE container = ? AND key = ?`, b.container, key)
	return err
}

// SetMeta implements storage.Blobs.
func (b *blobs) SetMeta(ctx context.Context, key string, meta map[string]string, c storage.Condition) (storage.BlobInfo, error) {
	if err := storage.CheckSetMeta(key, meta, c); err != nil {
		return storage.BlobInfo{}, err
	}
	text, err := json.Marshal(meta)
	if err != nil {
		return storage.BlobInfo{}, wrap(err, "set metadata of blob %s", key)
	}
	info := storage.BlobInfo{Key: key, Meta: maps.Clone(meta)}
	err = b.s.writer.do(ctx, func(t *tx) error {
		id, etag, err := b.lookup(t, key)
		if err != nil {
			return err
		}
		if etag == "" {
			return absent(key, c.IfMatch)
		}
		if err := judge(key, etag, c); err != nil {
			return err
		}
		info.ETag = newETag()
		us := now()
		info.Modified = fromMicro(us)
		_, err = t.exec(`UPDATE blob SET etag = ?, modified = ?, meta = ? WHERE id = ?`, info.ETag, us, string(text), id)
		return err
	})
	return info, wrap(err, "set metadata of blob %s", key)
}

// PutPart implements storage.Blobs.
func (b *blobs) PutPart(ctx context.Context, key string, id storage.PartID, body []byte) error {
	if err := storage.CheckPart(key, body); err != nil {
		return err
	}
	file, err := b.s.files.write(body)
	if err != nil {
		return wrap(err, "put part of blob %s", key)
	}
	sums := sumsOf(body)
	err = b.s.writer.do(ctx, func(t *tx) error {
		if err := b.s.files.present(file); err != nil {
			return err
		}
		us := now()
		if _, err := t.exec(`INSERT INTO dead (file, since) SELECT file, ? FROM part WHERE container = ? AND key = ? AND id = ?`, us, b.container, key, id[:]); err != nil {
			return err
		}
		_, err := t.exec(`INSERT OR REPLACE INTO part (container, key, id, size, file, staged, sums) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			b.container, key, id[:], len(body), file, us, sums)
		return err
	})
	return wrap(err, "put part of blob %s", key)
}

// Parts implements storage.Blobs.
func (b *blobs) Parts(ctx context.Context, key string) ([]storage.Part, error) {
	if err := storage.CheckKey(key); err != nil {
		return nil, err
	}
	var parts []storage.Part
	var id []byte
	var p storage.Part
	rows, err := b.s.query(ctx, `SELECT id, size FROM part WHERE container = ? AND key = ?`, b.container, key)
	err = scan(rows, err, []any{&id, &p.Size}, func() error {
		copy(p.ID[:], id)
		parts = append(parts, p)
		return nil
	})
	return parts, wrap(err, "list parts of blob %s", key)
}

// Commit implements storage.Blobs.
func (b *blobs) Commit(ctx context.Context, key string, parts []storage.PartID, meta map[string]string, c storage.Condition) (storage.BlobInfo, error) {
	if err := storage.CheckCommit(key, parts, meta, c); err != nil {
		return storage.BlobInfo{}, err
	}
	info := storage.BlobInfo{Key: key, Meta: maps.Clone(meta)}
	err := b.s.writer.do(ctx, func(t *tx) error {
		// The condition first: who commits again should hear that it is done,
		// not that the parts are gone.
		_, etag, err := b.lookup(t, key)
		if err != nil {
			return err
		}
		if err := judge(key, etag, c); err != nil {
			return err
		}
		staged := make(map[storage.PartID]extent)
		var id []byte
		var e extent
		err = t.each(`SELECT id, size, file, sums FROM part WHERE container = ? AND key = ?`, []any{b.container, key}, []any{&id, &e.size, &e.file, &e.sums}, func() error {
			staged[storage.PartID(id)] = e
			return nil
		})
		if err != nil {
			return err
		}
		extents := make([]extent, len(parts))
		info.Size = 0
		for i, p := range parts {
			e, ok := staged[p]
			if !ok {
				return changed("blob %s has no uncommitted part %s", key, p)
			}
			if err := b.s.files.whole(e); err != nil {
				return damaged(key, info.Size, info.Size+e.size, err.Error())
			}
			e.start = info.Size
			extents[i] = e
			info.Size += e.size
			// Gone from part, it is not among those that replace drops.
			if _, err := t.exec(`DELETE FROM part WHERE container = ? AND key = ? AND id = ?`, b.container, key, p[:]); err != nil {
				return err
			}
		}
		return b.replace(t, &info, extents, c)
	})
	info.Size = 0 // as the contract has it
	return info, wrap(err, "commit blob %s", key)
}

// Delete implements storage.Blobs.
func (b *blobs) Delete(ctx context.Context, key string, c storage.Condition) error {
	if err := storage.CheckDelete(key, c); err != nil {
		return err
	}
	err := b.s.writer.do(ctx, func(t *tx) error {
		id, etag, err := b.lookup(t, key)
		if err != nil {
			return err
		}
		us := now()
		if etag == "" {
			if c.IfMatch != "" {
				return absent(key, c.IfMatch)
			}
			return b.dropParts(t, key, us)
		}
		if err := judge(key, etag, c); err != nil {
			return err
		}
		if err := dropExtents(t, id, us); err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM blob WHERE id = ?`, id); err != nil {
			return err
		}
		return b.dropParts(t, key, us)
	})
	return wrap(err, "delete blob %s", key)
}

// listPage is how many blobs List reads at once.
const listPage = 1000

// List implements storage.Blobs.
func (b *blobs) List(ctx context.Context, prefix string) iter.Seq2[storage.BlobInfo, error] {
	return func(yield func(storage.BlobInfo, error) bool) {
		if err := storage.CheckPrefix(prefix); err != nil {
			yield(storage.BlobInfo{}, err)
			return
		}
		from, to := prefix, prefix+"\x7f" // \x7f lies above, \x01 below every byte of a key
		for {
			var page []storage.BlobInfo
			var key string
			var row infoRow
			rows, err := b.s.query(ctx, `SELECT key, etag, size, modified, meta FROM blob
				WHERE container = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?`, b.container, from, to, listPage)
			err = scan(rows, err, append([]any{&key}, row.dest()...), func() error {
				info, err := row.info(key)
				page = append(page, info)
				return err
			})
			if err != nil {
				yield(storage.BlobInfo{}, wrap(err, "list blobs %s", prefix))
				return
			}
			for _, info := range page {
				if !yield(info, nil) {
					return
				}
			}
			if len(page) < listPage {
				return
			}
			from = key + "\x01"
		}
	}
}

// SignRead implements storage.Blobs.
func (b *blobs) SignRead(ctx context.Context, key string, until time.Time) (storage.SignedURL, error) {
	return b.sign(ctx, key, PermRead, until)
}

// SignWrite implements storage.Blobs.
func (b *blobs) SignWrite(ctx context.Context, key string, until time.Time) (storage.SignedURL, error) {
	return b.sign(ctx, key, PermWrite, until)
}

func (b *blobs) sign(ctx context.Context, key, perm string, until time.Time) (storage.SignedURL, error) {
	if err := storage.CheckSign(key, until); err != nil {
		return storage.SignedURL{}, err
	}
	if b.s.opt.Sign == nil {
		return storage.SignedURL{}, fault.New(fault.Unsupported, "", "this store was opened without a way to sign links")
	}
	return b.s.opt.Sign(ctx, b.container, key, perm, until)
}

// infoRow is the columns etag, size, modified, meta.
type infoRow struct {
	etag     string
	size     int64
	modified int64
	meta     string
}

func (r *infoRow) dest() []any { return []any{&r.etag, &r.size, &r.modified, &r.meta} }

func (r *infoRow) info(key string) (storage.BlobInfo, error) {
	info := storage.BlobInfo{Key: key, ETag: r.etag, Size: r.size, Modified: fromMicro(r.modified)}
	if r.meta != "null" && r.meta != "{}" {
		if err := json.Unmarshal([]byte(r.meta), &info.Meta); err != nil {
			return info, fault.Wrap(err, fault.Internal, "read metadata of blob "+key)
		}
	}
	return info, nil
}

func absent(key, ifMatch string) error {
	if ifMatch != "" {
		return changed("blob %s does not exist", key)
	}
	return fault.New(fault.NotFound, "", "blob %s does not exist", key)
}

// damaged tells of bytes from up to to of a blob.
func damaged(key string, from, to int64, how string) error {
	return fault.New(fault.Damaged, "", "blob %s is damaged in the embedded store: %s at bytes %d to %d", key, how, from, to-1)
}

func changed(format string, args ...any) error {
	return fault.New(fault.Conflict, storage.CodeCondition, format, args...)
}
