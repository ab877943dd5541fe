package hive

import (
	"context"
	"crypto/rand"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// partition is the column by which a delivery finds its own rows.
const partition = "portico_job"

// Sink returns the sink of the place's Table: its name, or database.name.
func (c *Connector) Sink(p connect.Place) (connect.Sink, error) {
	s, err := c.server(p)
	if err != nil {
		return nil, err
	}
	if err := p.Need("Table", p.Table); err != nil {
		return nil, err
	}
	if len(p.TableColumns) > 0 && len(p.Columns) != len(p.TableColumns) {
		return nil, fault.Module(20, "%d columns are to be saved and %d columns of the table are named: name one for each", len(p.Columns), len(p.TableColumns)).At("TableColumns")
	}
	parts := strings.Split(p.Table, ".")
	for i, n := range parts {
		if n = strings.Trim(strings.TrimSpace(n), "`"); n == "" || len(parts) > 2 || strings.ContainsAny(n, "`") {
			return nil, fault.Module(2, "table %q is not a name, or database.name", p.Table).At("Table")
		}
		parts[i] = quote(n)
	}
	return &sink{s, strings.Join(parts, ".")}, nil
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

type sink struct {
	*server
	table string
}

func (t *sink) columns(s frame.Schema) (from []int, names []string, err error) {
	columns := t.Columns
	if len(columns) == 0 {
		columns = s.Names()
	}
	for k, c := range columns {
		i := s.Index(c)
		if i < 0 {
			return nil, nil, fault.Module(1, "column %q, which is to be saved, is not there", c).At("Columns")
		}
		if len(t.TableColumns) > 0 {
			c = t.TableColumns[k]
		}
		from, names = append(from, i), append(names, c)
	}
	return from, names, nil
}

// Check connects and looks at the table.
func (t *sink) Check(ctx context.Context, s frame.Schema) error {
	if _, _, err := t.columns(s); err != nil {
		return err
	}
	x, err := t.open(ctx)
	if err != nil {
		return err
	}
	x.close(ctx)
	return nil
}

// Open makes the table where it does not exist, and drops what an earlier try
// of this delivery has written.
func (t *sink) Open(ctx context.Context, s frame.Schema, delivery string) (connect.Writer, error) {
	w := &tableWriter{sink: t, rows: 500, delivery: delivery}
	if t.BatchRows > 0 {
		w.rows = min(t.BatchRows, 10_000)
	}
	if delivery == "" {
		w.delivery = rand.Text()
	}
	var err error
	if w.from, w.names, err = t.columns(s); err != nil {
		return nil, err
	}
	if w.x, err = t.open(ctx); err != nil {
		return nil, err
	}
	if err := w.begin(ctx, s); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

type tableWriter struct {
	*sink
	x        *session
	from     []int
	names    []string
	delivery string
	into     string // the beginning of each statement
	rows     int

	open      bool // rows can still be dropped
	statement []byte
	pending   int
	cell      []byte
}

var types = map[frame.Type]string{
	frame.Double: "double", frame.Int32: "int", frame.Int64: "bigint", frame.Boolean: "boolean",
	frame.DateTime: "timestamp", frame.String: "string",
}

func (w *tableWriter) begin(ctx context.Context, s frame.Schema) error {
	defs, quoted := make([]string, len(w.from)), make([]string, len(w.from))
	for k, i := range w.from {
		quoted[k] = quote(w.names[k])
		defs[k] = quoted[k] + " " + types[s[i].Type]
	}
	err := w.x.do(ctx, "CREATE TABLE IF NOT EXISTS "+w.table+" ("+strings.Join(defs, ", ")+") PARTITIONED BY ("+partition+" string) STORED AS ORC") // in a text file a line end would end the row
	if err != nil {
		return made(err, w.table)
	}
	parted, err := w.partitioned(ctx)
	if err != nil {
		return err
	}
	w.into = "INSERT INTO TABLE " + w.table
	if parted {
		w.into += " PARTITION (" + partition + "=" + string(literal(nil, []byte(w.delivery))) + ")"
		if err := w.drop(ctx); err != nil {
			return err
		}
		w.open = true
	}
	w.into += " (" + strings.Join(quoted, ", ") + ") VALUES "
	return nil
}

func made(err error, table string) error {
	if fault.HasCode(err, fault.ModuleCode(68)) {
		return fault.Module(90, "table %s cannot be made: %s", table, strings.TrimPrefix(fault.Of(err).Msg, "Error 0068: "))
	}
	return err
}

// partitioned reports whether the table has our partition column.
func (w *tableWriter) partitioned(ctx context.Context) (bool, error) {
	r, err := w.x.query(ctx, "DESCRIBE "+w.table)
	if err != nil {
		return false, err
	}
	found := false
	for {
		f, err := r.next(ctx)
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return false, err
		}
		for i := range f.Rows() {
			found = found || strings.EqualFold(strings.TrimSpace(string(f.Cols[0].Print(nil, i))), partition)
		}
	}
}

func (w *tableWriter) drop(ctx context.Context) error {
	return w.x.do(ctx, "ALTER TABLE "+w.table+" DROP IF EXISTS PARTITION ("+partition+"="+string(literal(nil, []byte(w.delivery)))+")")
}

// statementBytes bounds a statement.
const statementBytes = 1 << 20

// Append writes rows, many in a statement.
func (w *tableWriter) Append(ctx context.Context, f *frame.Frame) error {
	for r := range f.Rows() {
		if w.pending == 0 {
			w.statement = append(w.statement[:0], w.into...)
		} else {
			w.statement = append(w.statement, ", "...)
		}
		for k, i := range w.from {
			if k == 0 {
				w.statement = append(w.statement, '(')
			} else {
				w.statement = append(w.statement, ", "...)
			}
			w.value(f.Cols[i], r)
		}
		w.statement = append(w.statement, ')')
		if w.pending++; w.pending >= w.rows || len(w.statement) >= statementBytes {
			if err := w.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// value appends a cell as a literal, which is all that Hive takes in VALUES.
func (w *tableWriter) value(c *frame.Column, r int) {
	if c.IsNull(r) {
		w.statement = append(w.statement, "NULL"...)
		return
	}
	switch c.Field.Type {
	case frame.Double:
		w.statement = strconv.AppendFloat(w.statement, c.Floats[r], 'E', -1, 64)
	case frame.Int32, frame.Int64:
		w.statement = strconv.AppendInt(w.statement, c.Ints[r], 10)
	case frame.Boolean:
		w.statement = strconv.AppendBool(w.statement, c.Bools[r])
	case frame.DateTime:
		w.statement = append(w.statement, "TIMESTAMP '"...)
		w.statement = time.UnixMicro(c.Ints[r]).UTC().AppendFormat(w.statement, "2006-01-02 15:04:05.999999")
		w.statement = append(w.statement, '\'')
	default:
		w.cell = c.Print(w.cell[:0], r)
		w.statement = literal(w.statement, w.cell)
	}
}

// literal appends a text in quotes. Hive has no escape for the zero byte.
func literal(dst, text []byte) []byte {
	dst = append(dst, '\'')
	for _, b := range text {
		switch b {
		case '\'', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		default:
			dst = append(dst, b)
		}
	}
	return append(dst, '\'')
}

func (w *tableWriter) flush(ctx context.Context) error {
	w.pending = 0
	return w.x.do(ctx, string(w.statement))
}

// Commit writes what is left.
func (w *tableWriter) Commit(ctx context.Context) error {
	if w.pending > 0 {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	w.open = false
	w.x.close(ctx)
	return nil
}

// Abort drops what was written, where it stands in a partition of its own.
func (w *tableWriter) Abort() {
	if w.open {
		w.open = false
		ctx, cancel := context.WithTimeout(context.Background(), connectWithin)
		defer cancel()
		_ = w.drop(ctx) // the next try of the delivery does it, too
	}
	w.x.t.close()
}
