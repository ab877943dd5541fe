package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"iter"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

type tables struct{ s *Store }

var _ storage.Tables = (*tables)(nil)

// Get implements storage.Tables.
func (t *tables) Get(ctx context.Context, table, partition, row string) (storage.Entity, error) {
	if err := storage.CheckRow(table, partition, row); err != nil {
		return storage.Entity{}, err
	}
	e := storage.Entity{Partition: partition, Row: row}
	var props []byte
	err := t.s.queryRow(ctx, `SELECT etag, props FROM entity WHERE tab = ? AND part = ? AND row = ?`,
		[]any{table, partition, row}, []any{&e.ETag, &props})
	if errors.Is(err, sql.ErrNoRows) {
		return storage.Entity{}, noRow(table, row)
	}
	if err == nil {
		e.Props, err = decodeProps(props)
	}
	return e, wrap(err, "get %s row %s", table, row)
}

// Apply implements storage.Tables.
func (t *tables) Apply(ctx context.Context, table, partition string, ops ...storage.Op) ([]string, error) {
	if err := storage.CheckOps(table, partition, ops); err != nil || len(ops) == 0 {
		return nil, err
	}
	props := make([]string, len(ops))
	for i, op := range ops {
		var err error
		if props[i], err = encodeProps(op.Props); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "write "+table+" row "+op.Row)
		}
	}
	etags := make([]string, len(ops))
	err := t.s.writer.do(ctx, func(tx *tx) error {
		for i, op := range ops {
			etag, err := apply(tx, table, partition, op, props[i])
			if err != nil {
				return err
			}
			etags[i] = etag
		}
		return nil
	})
	if err != nil {
		return nil, wrap(err, "write %s", table)
	}
	return etags, nil
}

func apply(tx *tx, table, partition string, op storage.Op, props string) (etag string, err error) {
	var old string
	err = tx.row(`SELECT etag FROM entity WHERE tab = ? AND part = ? AND row = ?`, []any{table, partition, op.Row}, []any{&old})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	switch op.Kind {
	case storage.Insert:
		if old != "" {
			return "", fault.New(fault.Conflict, storage.CodeExists, "%s row %s exists", table, op.Row).At(op.Row)
		}
	case storage.Replace, storage.Delete:
		if old == "" {
			return "", noRow(table, op.Row)
		}
		if op.IfMatch != storage.AnyETag && op.IfMatch != old {
			return "", fault.New(fault.Conflict, storage.CodeCondition, "%s row %s has changed", table, op.Row).At(op.Row)
		}
	}
	if op.Kind == storage.Delete {
		_, err = tx.exec(`DELETE FROM entity WHERE tab = ? AND part = ? AND row = ?`, table, partition, op.Row)
		return "", err
	}
	etag = newETag()
	_, err = tx.exec(`INSERT INTO entity (tab, part, row, etag, props) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (tab, part, row) DO UPDATE SET etag = excluded.etag, props = excluded.props`,
		table, partition, op.Row, etag, props)
	return etag, err
}

// queryPage is how many entities Query reads at once.
const queryPage = 256

// Query implements storage.Tables.
func (t *tables) Query(ctx context.Context, table, partition string, r storage.Range) iter.Seq2[storage.Entity, error] {
	return func(yield func(storage.Entity, error) bool) {
		if err := storage.CheckQuery(table, partition, r); err != nil {
			yield(storage.Entity{}, err)
			return
		}
		from, to := r.From, r.To
		if to == "" {
			to = "\x7f" // above every byte of a key, as \x01 is below
		}
		for {
			var page []storage.Entity
			var row, etag string
			var props []byte
			rows, err := t.s.query(ctx, `SELECT row, etag, props FROM entity
				WHERE tab = ? AND part = ? AND row >= ? AND row < ? ORDER BY row LIMIT ?`, table, partition, from, to, queryPage)
			err = scan(rows, err, []any{&row, &etag, &props}, func() error {
				p, err := decodeProps(props)
				page = append(page, storage.Entity{Partition: partition, Row: row, ETag: etag, Props: p})
				return err
			})
			if err != nil {
				yield(storage.Entity{}, wrap(err, "query %s", table))
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if len(page) < queryPage {
				return
			}
			from = row + "\x01"
		}
	}
}

func noRow(table, row string) error {
	return fault.New(fault.NotFound, "", "%s row %s does not exist", table, row).At(row)
}
