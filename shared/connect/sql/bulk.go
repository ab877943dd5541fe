package sql

import (
	"context"
	"database/sql"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	mssql "github.com/microsoft/go-mssqldb"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// PostgreSQL: COPY of text, so that the server reads a cell as the type that
// its column has there.

type copier struct {
	*writer
	query string
}

func postgresBulk(w *writer) (bulk, error) {
	quoted := make([]string, len(w.names))
	for i, n := range w.names {
		quoted[i] = w.quote(n)
	}
	return &copier{w, "COPY " + w.full(w.table) + " (" + strings.Join(quoted, ", ") + ") FROM STDIN"}, nil
}

func (c *copier) rows(ctx context.Context, f *frame.Frame) error {
	if f.Rows() == 0 {
		return nil
	}
	return c.conn.Raw(func(conn any) error {
		pg := conn.(*stdlib.Conn).Conn().PgConn()
		_, err := pg.CopyFrom(ctx, &copyText{from: c.from, f: f}, c.query)
		return err
	})
}

func (c *copier) end(context.Context) error { return nil }

// copyText prints rows as COPY reads them.
type copyText struct {
	from []int
	f    *frame.Frame
	row  int
	buf  []byte
	cell []byte
	rest []byte
}

const copyPiece = 64 << 10

func (t *copyText) Read(p []byte) (int, error) {
	if len(t.rest) == 0 {
		if t.row == t.f.Rows() {
			return 0, io.EOF
		}
		t.buf = t.buf[:0]
		for ; t.row < t.f.Rows() && len(t.buf) < copyPiece; t.row++ {
			t.print()
		}
		t.rest = t.buf
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

func (t *copyText) print() {
	for k, i := range t.from {
		if k > 0 {
			t.buf = append(t.buf, '\t')
		}
		c := t.f.Cols[i]
		if c.IsNull(t.row) {
			t.buf = append(t.buf, '\\', 'N')
			continue
		}
		t.cell = c.Print(t.cell[:0], t.row)
		for _, b := range t.cell {
			switch b {
			case '\\':
				t.buf = append(t.buf, '\\', '\\')
			case '\t':
				t.buf = append(t.buf, '\\', 't')
			case '\n':
				t.buf = append(t.buf, '\\', 'n')
			case '\r':
				t.buf = append(t.buf, '\\', 'r')
			default:
				t.buf = append(t.buf, b)
			}
		}
	}
	t.buf = append(t.buf, '\n')
}

// MySQL: statements of several rows.

type inserter struct {
	*writer
	head, row string
	most      int // rows of a statement
	args      []any
	size      int
}

const (
	insertRows  = 500
	insertArgs  = 60_000  // a prepared statement has at most 65,535
	insertBytes = 1 << 20 // well below any max_allowed_packet
)

func mySQLBulk(w *writer) (bulk, error) {
	quoted, marks := make([]string, len(w.names)), make([]string, len(w.names))
	for i, n := range w.names {
		quoted[i], marks[i] = w.quote(n), "?"
	}
	b := &inserter{
		writer: w, most: insertRows,
		head: "INSERT INTO " + w.full(w.table) + " (" + strings.Join(quoted, ", ") + ") VALUES ",
		row:  "(" + strings.Join(marks, ", ") + ")",
	}
	if w.BatchRows > 0 {
		b.most = w.BatchRows
	}
	b.most = max(1, min(b.most, insertArgs/len(w.names)))
	return b, nil
}

func (b *inserter) rows(ctx context.Context, f *frame.Frame) error {
	for r := range f.Rows() {
		for _, i := range b.from {
			v := value(f.Cols[i], r)
			switch v := v.(type) {
			case string:
				b.size += len(v)
			case time.Time:
				b.args = append(b.args, v.Format("2006-01-02 15:04:05.999999"))
				continue
			}
			b.args = append(b.args, v)
			b.size += 8
		}
		if len(b.args) >= b.most*len(b.from) || b.size >= insertBytes {
			if err := b.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *inserter) flush(ctx context.Context) error {
	n := len(b.args) / len(b.from)
	if n == 0 {
		return nil
	}
	var q strings.Builder
	q.WriteString(b.head)
	for i := range n {
		if i > 0 {
			q.WriteString(", ")
		}
		q.WriteString(b.row)
	}
	_, err := b.tx.ExecContext(ctx, q.String(), b.args...)
	clear(b.args)
	b.args, b.size = b.args[:0], 0
	return err
}

func (b *inserter) end(ctx context.Context) error { return b.flush(ctx) }

// value is a cell as a driver takes it.
func value(c *frame.Column, r int) any {
	switch {
	case c.IsNull(r):
		return nil
	case c.Field.Type == frame.Double:
		return c.Floats[r]
	case c.Field.Type == frame.Boolean:
		return c.Bools[r]
	case c.Field.Type == frame.DateTime:
		return time.UnixMicro(c.Ints[r]).UTC()
	case c.Field.Type != frame.String:
		return c.Ints[r]
	case c.Field.Levels != nil:
		return c.Level(r)
	}
	return string(c.Text(r))
}

// SQL Server: its bulk copy.

type bulkCopy struct {
	*writer
	stmt *sql.Stmt
	args []any
	n    int
}

func sqlServerBulk(w *writer) (bulk, error) {
	return &bulkCopy{writer: w, args: make([]any, len(w.names))}, nil
}

func (b *bulkCopy) rows(ctx context.Context, f *frame.Frame) error {
	for r := range f.Rows() {
		if b.stmt == nil {
			var err error
			if b.stmt, err = b.tx.PrepareContext(ctx, mssql.CopyIn(b.full(b.table), mssql.BulkOptions{KeepNulls: true, RowsPerBatch: b.BatchRows}, b.names...)); err != nil {
				return err
			}
		}
		for k, i := range b.from {
			b.args[k] = value(f.Cols[i], r)
		}
		if _, err := b.stmt.ExecContext(ctx, b.args...); err != nil {
			if _, _, said := b.reason(err); said || ctx.Err() != nil {
				return err
			}
			// The driver's own refusal of a value, which it quotes.
			return fault.Module(69, "row %d does not fit the columns of table %s", b.n+1, b.full(b.table))
		}
		b.n++
	}
	return nil
}

func (b *bulkCopy) end(ctx context.Context) error {
	if b.stmt == nil {
		return nil
	}
	_, err := b.stmt.ExecContext(ctx) // sends what is left
	if cerr := b.stmt.Close(); err == nil {
		err = cerr
	}
	return err
}
