package sql

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

type sink struct {
	*server
	table name
}

// name is a table's name, and that of its schema where it is given.
type name struct{ schema, table string }

// parseName takes a name apart: a, s.a, and quoted "s"."a b".
func parseName(text string, d dialect) (name, error) {
	bad := fault.Module(2, "table %q is not a name, or schema.name", text).At("Table")
	var parts []string
	for rest := strings.TrimSpace(text); ; {
		part := rest
		if rest != "" && (rest[0] == d.open || rest[0] == '"') {
			end := d.end
			if rest[0] == '"' {
				end = '"'
			}
			i := 1
			var b strings.Builder
			for ; i < len(rest); i++ {
				if rest[i] == end {
					if i+1 == len(rest) || rest[i+1] != end {
						break
					}
					i++
				}
				b.WriteByte(rest[i])
			}
			if i >= len(rest) {
				return name{}, bad
			}
			part, rest = b.String(), rest[i+1:]
			if rest != "" && rest[0] != '.' {
				return name{}, bad
			}
		} else if i := strings.IndexByte(rest, '.'); i >= 0 {
			part, rest = rest[:i], rest[i:]
		} else {
			rest = ""
		}
		if parts = append(parts, part); part == "" || len(part) > 128 || strings.IndexByte(part, 0) >= 0 {
			return name{}, bad
		}
		if rest == "" {
			break
		}
		rest = rest[1:]
	}
	switch len(parts) {
	case 1:
		return name{"", parts[0]}, nil
	case 2:
		return name{parts[0], parts[1]}, nil
	}
	return name{}, bad
}

// quote is a name as the database reads any name.
func (d *dialect) quote(n string) string {
	return string(d.open) + strings.ReplaceAll(n, string(d.end), string(d.end)+string(d.end)) + string(d.end)
}

func (d *dialect) full(n name) string {
	if n.schema == "" {
		return d.quote(n.table)
	}
	return d.quote(n.schema) + "." + d.quote(n.table)
}

// columns are what is written: columns of the table given, and their names in
// the database's.
func (t *sink) columns(s frame.Schema) (from []int, names []string, err error) {
	if len(t.Columns) == 0 {
		for i := range s {
			from, names = append(from, i), append(names, s[i].Name)
		}
		return from, names, nil
	}
	for k, c := range t.Columns {
		i := s.Index(c)
		if i < 0 {
			return nil, nil, fault.Module(1, "column %q, which is to be saved, is not there", c).At("Columns")
		}
		from = append(from, i)
		if len(t.TableColumns) > 0 {
			c = t.TableColumns[k]
		}
		if slices.Contains(names, c) {
			return nil, nil, fault.Module(17, "column %q of table %s is named twice: each is written once", c, t.full(t.table)).At("Columns")
		}
		names = append(names, c)
	}
	return from, names, nil
}

// create makes the table.
func (t *sink) create(s frame.Schema, from []int, names []string) string {
	cols := make([]string, len(from))
	for k, i := range from {
		cols[k] = t.quote(names[k]) + " " + t.types[s[i].Type] + " NULL"
	}
	return "CREATE TABLE " + t.full(t.table) + " (" + strings.Join(cols, ", ") + ")" + t.made
}

// execer is a connection or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (t *sink) has(ctx context.Context, db execer, query string, args ...any) (bool, error) {
	var one int
	err := db.QueryRowContext(ctx, query, args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// checkWithin is how long a Check may take: somebody waits for it, and the
// table may be locked for hours.
const checkWithin = 20 * time.Second

// Check connects, looks at the table's columns, or tries to make the table
// where the database can take that back, and looks at the ledger of
// deliveries, which it makes.
func (t *sink) Check(ctx context.Context, s frame.Schema) error {
	short, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	err := t.check(short, s)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		return fault.New(fault.Unavailable, "", "%s %s: table %s could not be looked at within %v: it may be locked", t.name, t.Server, t.full(t.table), checkWithin).Because(err)
	}
	return err
}

func (t *sink) check(ctx context.Context, s frame.Schema) error {
	from, names, err := t.columns(s)
	if err != nil {
		return err
	}
	conn, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	there, err := t.has(ctx, conn, t.exists, t.table.schema, t.table.table)
	if err != nil {
		return t.fail(ctx, 15, "look for table "+t.full(t.table), err)
	}
	switch {
	case there:
		if err = t.transacted(ctx, conn); err == nil {
			err = t.compare(ctx, conn, names)
		}
	case !t.ddlCommits:
		err = t.rehearse(ctx, conn, t.create(s, from, names))
	}
	if err != nil {
		return err
	}
	return t.keepLedger(ctx, conn)
}

// rehearse makes the table and takes it back.
func (t *sink) rehearse(ctx context.Context, conn *session, create string) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return t.fail(ctx, 15, "begin a transaction", err)
	}
	defer tx.Rollback() //nolint:errcheck // the connection goes with it
	_, err = tx.ExecContext(ctx, create)
	return t.fail(ctx, 15, "make table "+t.full(t.table), err)
}

// transacted refuses a table that has no transactions: a delivery that fails
// would leave some of its rows there, and the next try would write them again.
func (t *sink) transacted(ctx context.Context, db execer) error {
	if t.engine == "" {
		return nil
	}
	var engine string
	err := db.QueryRowContext(ctx, t.engine, t.table.schema, t.table.table).Scan(&engine)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return t.fail(ctx, 15, "look at table "+t.full(t.table), err)
	}
	return fault.Module(15, "%s %s: table %s is of the engine %s, which has no transactions, so that what fails could not be taken back: let it be of InnoDB", t.name, t.Server, t.full(t.table), engine).At("Table")
}

// compare refuses a table that lacks a column.
func (t *sink) compare(ctx context.Context, conn *session, names []string) error {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = t.quote(n)
	}
	rows, err := conn.QueryContext(ctx, "SELECT "+strings.Join(quoted, ", ")+" FROM "+t.full(t.table)+" WHERE 1 = 0")
	if err == nil {
		err = rows.Close()
	}
	return t.fail(ctx, 1, "look at the columns of table "+t.full(t.table), err)
}

func (t *sink) keepLedger(ctx context.Context, db execer) error {
	if there, err := t.has(ctx, db, t.exists, "", ledgerTable); err != nil || there {
		return t.fail(ctx, 15, "look for table "+ledgerTable, err)
	}
	if _, err := db.ExecContext(ctx, t.ledger); err != nil {
		err = t.fail(ctx, 15, "make table "+ledgerTable, err)
		if fault.Is(err, fault.LibraryExecution) {
			return fault.Module(15, "%s; it keeps a delivery from being written twice: let the user make it, or make it yourself: %s", strings.TrimPrefix(fault.Of(err).Msg, "Error 0015: "), t.ledger)
		}
		return err
	}
	return nil
}

// Open begins the transaction.
func (t *sink) Open(ctx context.Context, s frame.Schema, delivery string) (connect.Writer, error) {
	w := &writer{sink: t, schema: s}
	var err error
	if w.from, w.names, err = t.columns(s); err != nil {
		return nil, err
	}
	if w.conn, err = t.open(ctx); err != nil {
		return nil, err
	}
	if err := w.begin(ctx, delivery); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

// bulk writes rows in the way of its database.
type bulk interface {
	rows(ctx context.Context, f *frame.Frame) error
	end(ctx context.Context) error
}

type writer struct {
	*sink
	schema frame.Schema
	from   []int
	names  []string
	conn   *session
	tx     *sql.Tx
	bulk   bulk
}

func (w *writer) begin(ctx context.Context, delivery string) error {
	there, err := w.has(ctx, w.conn, w.exists, w.table.schema, w.table.table)
	if err != nil {
		return w.fail(ctx, 15, "look for table "+w.full(w.table), err)
	}
	if delivery != "" {
		if err := w.keepLedger(ctx, w.conn); err != nil {
			return err
		}
	}
	if there {
		if err := w.transacted(ctx, w.conn); err != nil {
			return err
		}
	}
	create := func(db execer) error {
		_, err := db.ExecContext(ctx, w.create(w.schema, w.from, w.names))
		return w.fail(ctx, 15, "make table "+w.full(w.table), err)
	}
	if !there && w.ddlCommits {
		if err := create(w.conn); err != nil {
			return err
		}
	}
	if w.tx, err = w.conn.BeginTx(ctx, nil); err != nil {
		return w.fail(ctx, 15, "begin a transaction", err)
	}
	if delivery != "" {
		if err := w.enter(ctx, delivery); err != nil {
			return err
		}
	}
	if !there && !w.ddlCommits {
		if err := create(w.tx); err != nil {
			return err
		}
	}
	w.bulk, err = w.dialect.bulk(w)
	return err
}

// enter enters the delivery in the ledger: a second one of that name waits
// here for the first, and then is refused.
func (w *writer) enter(ctx context.Context, delivery string) error {
	_, err := w.tx.ExecContext(ctx, w.dialect.enter, delivery)
	if err == nil {
		return nil
	}
	w.rollback()
	if done, herr := w.has(ctx, w.conn, w.known, delivery); herr == nil && done {
		return connect.ErrDelivered
	}
	return w.fail(ctx, 15, "enter the delivery in table "+ledgerTable, err)
}

// Append writes the rows of f within the transaction.
func (w *writer) Append(ctx context.Context, f *frame.Frame) error {
	return w.fail(ctx, 69, "write to table "+w.full(w.table), w.bulk.rows(ctx, f))
}

// Commit commits the transaction. Where the server does not say whether it
// did, the error is fault.Unavailable, and the same delivery again finds out.
func (w *writer) Commit(ctx context.Context) error {
	err := w.bulk.end(ctx)
	if err == nil {
		err = w.tx.Commit()
	}
	if err != nil {
		return w.fail(ctx, 69, "write to table "+w.full(w.table), err)
	}
	w.tx = nil
	w.conn.Close()
	return nil
}

func (w *writer) rollback() {
	if w.tx != nil {
		_ = w.tx.Rollback() // the connection goes next, and with it what was not committed
		w.tx = nil
	}
}

// Abort undoes what was written.
func (w *writer) Abort() {
	w.rollback()
	w.conn.Close()
}
