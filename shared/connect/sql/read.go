package sql

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// batchRows is how many rows are read into one frame.
const batchRows = 4096

type source struct{ *server }

// Open runs the query.
func (s *source) Open(ctx context.Context) (*connect.Records, error) {
	conn, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := conn.QueryContext(ctx, s.Query)
	if err != nil {
		conn.Close()
		return nil, s.fail(ctx, 69, "query", err)
	}
	r := &reader{server: s.server, rows: rows}
	if err := r.columns(); err != nil {
		rows.Close()
		conn.Close()
		return nil, err
	}
	return &connect.Records{
		Schema: r.into.Schema(), Next: r.next,
		Release: func() error {
			rows.Close()
			conn.Close()
			return nil
		},
	}, nil
}

type reader struct {
	*server
	rows  *sql.Rows
	cells []cell
	dest  []any
	into  *frame.Frame
	row   int64
}

// cell receives one column of a row.
type cell struct {
	kind string // of the database
	num  sql.NullFloat64
	int  sql.NullInt64
	bool sql.NullBool
	time sql.NullTime
	text sql.RawBytes
	any  any // where the driver's own form is no text
	guid *mssql.UniqueIdentifier
}

// columns maps the columns of the result.
func (r *reader) columns() error {
	kinds, err := r.rows.ColumnTypes()
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "read the columns of a query")
	}
	if len(kinds) == 0 {
		return fault.Module(69, "%s %s: the query gives no table: it has to be one that selects rows", r.name, r.Server).At("Query")
	}
	schema := make(frame.Schema, len(kinds))
	r.cells, r.dest = make([]cell, len(kinds)), make([]any, len(kinds))
	for i, k := range kinds {
		f := &schema[i]
		f.Name, f.Nullable = unique(schema[:i], k.Name(), i), true
		t, ok := r.typeOf(k.DatabaseTypeName())
		if !ok {
			return fault.Module(17, "column %q is of the type %s, which is no cell of a table: cast it in the query, or leave it out", k.Name(), k.DatabaseTypeName()).At(k.Name())
		}
		f.Type = t
		c := &r.cells[i]
		c.kind = k.DatabaseTypeName()
		switch {
		case t == frame.Double:
			r.dest[i] = &c.num
		case t == frame.Boolean:
			r.dest[i] = &c.bool
		case t == frame.DateTime:
			r.dest[i] = &c.time
		case t != frame.String && c.kind != "BIT":
			r.dest[i] = &c.int
		case c.kind == "TIME":
			r.dest[i] = &c.any
		case c.kind == "UNIQUEIDENTIFIER":
			r.dest[i] = &c.guid
		default:
			r.dest[i] = &c.text
		}
	}
	l, err := frame.NewLayout(schema)
	if err != nil {
		return fault.Module(17, "%v", err)
	}
	r.into = l.New(batchRows)
	return nil
}

// unique is a column's name, and of two that are the same the second as the
// Studio called it.
func unique(before frame.Schema, name string, i int) string {
	if name == "" {
		name = fmt.Sprintf("Col%d", i+1)
	}
	base := name
	for n := 2; before.Index(name) >= 0; n++ {
		name = fmt.Sprintf("%s (%d)", base, n)
	}
	return name
}

func (r *reader) next(ctx context.Context) (*frame.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap(err, fault.Canceled, "read a query")
	}
	r.into.Reset()
	for r.into.Rows() < batchRows && r.rows.Next() {
		r.row++
		if err := r.rows.Scan(r.dest...); err != nil {
			return nil, r.unfit(err)
		}
		for i, c := range r.into.Cols {
			if v := &r.cells[i]; r.zeroDate && v.time.Time.IsZero() {
				v.time.Valid = false
			}
			if err := r.cells[i].appendTo(c); err != nil {
				return nil, fault.Module(33, "row %d of the query: column %q is %s", r.row, c.Field.Name, err.Error()).At(c.Field.Name)
			}
		}
	}
	if err := r.rows.Err(); err != nil {
		return nil, r.fail(ctx, 69, "read the query", err)
	}
	if r.into.Rows() == 0 {
		return nil, io.EOF
	}
	return r.into, nil
}

// unfit is the error of a value that no cell can have, without the value.
func (r *reader) unfit(err error) error {
	var i int
	if _, serr := fmt.Sscanf(err.Error(), "sql: Scan error on column index %d,", &i); serr != nil || i < 0 || i >= len(r.cells) {
		return fault.Module(33, "row %d of the query has a value that no cell of its column can have", r.row)
	}
	f := r.into.Cols[i].Field
	return fault.Module(33, "row %d of the query: column %q (%s in the database) has a value that no cell of type %s can have: cast it in the query", r.row, f.Name, r.cells[i].kind, f.Type).At(f.Name)
}

type outOfRange string

func (o outOfRange) Error() string { return string(o) }

// appendTo appends what was scanned.
func (c *cell) appendTo(to *frame.Column) error {
	switch to.Field.Type {
	case frame.Double:
		if !c.num.Valid || math.IsNaN(c.num.Float64) {
			to.AppendNull()
			return nil
		}
		if math.IsInf(c.num.Float64, 0) {
			return outOfRange("infinite")
		}
		to.AppendFloat(c.num.Float64)
	case frame.Boolean:
		if !c.bool.Valid {
			to.AppendNull()
			return nil
		}
		to.AppendBool(c.bool.Bool)
	case frame.DateTime:
		if !c.time.Valid {
			to.AppendNull()
			return nil
		}
		to.AppendInt(c.time.Time.UnixMicro())
	case frame.String:
		c.appendText(to)
	default:
		switch {
		case c.kind == "BIT" && c.text != nil: // bytes, the first the highest
			n := int64(0)
			for _, b := range c.text {
				n = n<<8 | int64(b)
			}
			to.AppendInt(n)
		case !c.int.Valid:
			to.AppendNull()
		default:
			to.AppendInt(c.int.Int64)
		}
	}
	return nil
}

func (c *cell) appendText(to *frame.Column) {
	switch {
	case c.kind == "UNIQUEIDENTIFIER":
		if c.guid == nil {
			to.AppendNull()
			return
		}
		to.AppendString([]byte(c.guid.String()))
	case c.kind == "TIME":
		switch v := c.any.(type) {
		case nil:
			to.AppendNull()
		case time.Time:
			to.AppendString(v.AppendFormat(nil, "15:04:05.999999999"))
		case []byte:
			to.AppendString(v)
		default:
			to.AppendString(fmt.Append(nil, v))
		}
	case c.text == nil:
		to.AppendNull()
	default:
		to.AppendString(c.text)
	}
}
