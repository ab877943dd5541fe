package sqltable

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

func newTable(i int, schema frame.Schema) *table {
	t := &table{name: fmt.Sprintf("t%d", i+1), fields: schema}
	for _, f := range schema {
		t.columns = append(t.columns, module.Unique(f.Name, func(name string) bool {
			return slices.ContainsFunc(t.columns, func(n string) bool { return strings.EqualFold(n, name) })
		}))
	}
	return t
}

// create is the statement that makes the table.
func (t *table) create() string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE %s(", t.name)
	for i, f := range t.fields {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(t.columns[i]))
		switch f.Type {
		case frame.Double:
			b.WriteString(" REAL")
		case frame.String, frame.DateTime:
			b.WriteString(" TEXT")
		default:
			b.WriteString(" INTEGER")
		}
	}
	b.WriteString(")")
	return b.String()
}

// loadRows is how many rows one statement inserts.
const loadRows = 16

// load fills the columns of a table that the script reads.
func (db *database) load(ctx context.Context, t *table, f *frame.Frame) error {
	if err := db.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	rows := f.Rows()
	whole := 0
	if len(t.reads)*loadRows <= 1<<14 { // SQLite binds 32,766 values at most
		whole = rows - rows%loadRows
		if err := db.insert(ctx, t, f, 0, whole, loadRows); err != nil {
			return err
		}
	}
	if err := db.insert(ctx, t, f, whole, rows, 1); err != nil {
		return err
	}
	return db.exec(ctx, "COMMIT")
}

// insert loads the rows from lo to hi, at a time by a statement.
func (db *database) insert(ctx context.Context, t *table, f *frame.Frame, lo, hi, at int) error {
	if lo == hi {
		return nil
	}
	names := []string{"rowid"}
	for _, c := range t.reads {
		names = append(names, quote(t.columns[c]))
	}
	row := "(" + strings.Repeat("?,", len(names)-1) + "?)"
	stmt, err := db.conn.(driver.ConnPrepareContext).PrepareContext(ctx,
		"INSERT INTO "+t.name+"("+strings.Join(names, ",")+") VALUES"+strings.Repeat(row+",", at-1)+row)
	if err != nil {
		return db.failure(ctx, err)
	}
	defer stmt.Close() //nolint:errcheck // it only frees
	args := make([]driver.NamedValue, at*len(names))
	for i := range args {
		args[i].Ordinal = i + 1
	}
	var buf []byte
	for r := lo; r < hi; r += at {
		for k := range at {
			into := args[k*len(names) : (k+1)*len(names)]
			into[0].Value = int64(r + k + 1)
			for i, c := range t.reads {
				into[i+1].Value, buf = value(f.Cols[c], r+k, buf)
			}
		}
		if _, err := stmt.(driver.StmtExecContext).ExecContext(ctx, args); err != nil {
			return db.failure(ctx, err)
		}
	}
	return nil
}

// value is a cell as SQLite holds it.
func value(c *frame.Column, r int, buf []byte) (driver.Value, []byte) {
	if c.IsNull(r) {
		return nil, buf
	}
	switch c.Field.Type {
	case frame.Double:
		return c.Floats[r], buf
	case frame.Boolean:
		if c.Bools[r] {
			return int64(1), buf
		}
		return int64(0), buf
	case frame.DateTime:
		buf = c.Print(buf[:0], r)
		if i := bytes.IndexByte(buf, 'T'); i >= 0 {
			buf[i] = ' '
		}
		return string(buf), buf
	case frame.String:
		if c.Field.Levels != nil {
			return c.Level(r), buf
		}
		return string(c.Text(r)), buf
	}
	return c.Ints[r], buf
}

// cells are the values of one result column, in SQLite's classes. Texts lie
// one behind the other.
type cells struct {
	name    string
	class   []byte // of each cell: 'n' missing, 'i', 'r', 't'
	numbers []uint64
	texts   []byte
}

func (c *cells) add(v driver.Value) error {
	switch v := v.(type) {
	case nil:
		c.class, c.numbers = append(c.class, 'n'), append(c.numbers, 0)
	case int64:
		c.class, c.numbers = append(c.class, 'i'), append(c.numbers, uint64(v))
	case float64:
		if math.IsInf(v, 0) {
			return module.Errorf(33, "column %q of the result: row %d is infinite", c.name, len(c.class)+1).At(c.name)
		}
		c.class, c.numbers = append(c.class, 'r'), append(c.numbers, math.Float64bits(v))
	case string:
		c.texts = append(c.texts, strings.ToValidUTF8(v, "\uFFFD")...)
		c.class, c.numbers = append(c.class, 't'), append(c.numbers, uint64(len(c.texts)))
	default:
		return module.Errorf(17, "column %q of the result: row %d is a blob, which no type of column holds", c.name, len(c.class)+1).At(c.name)
	}
	return nil
}

func cellSize(v driver.Value) int {
	if s, ok := v.(string); ok {
		return 16 + len(s)
	}
	return 16
}

// infer makes the column with the type that its cells have.
func (c *cells) infer(from *frame.Field) (*frame.Column, error) {
	if from != nil {
		f := *from
		f.Name, f.Optional = c.name, false
		f.Nullable = bytes.IndexByte(c.class, 'n') >= 0
		if col, err := c.column(f); err == nil && !hasUnknown(col) {
			return col, nil
		}
	}
	f := frame.Field{Name: c.name, Type: frame.String, Nullable: bytes.IndexByte(c.class, 'n') >= 0}
	integers, reals, texts := bytes.IndexByte(c.class, 'i') >= 0, bytes.IndexByte(c.class, 'r') >= 0, bytes.IndexByte(c.class, 't') >= 0
	switch {
	case texts && !integers && !reals && from == nil && c.dates():
		f.Type = frame.DateTime
	case texts:
	case reals:
		f.Type = frame.Double
	case integers:
		f.Type = frame.Int64
	}
	return c.column(f)
}

func hasUnknown(col *frame.Column) bool {
	if col.Field.Levels == nil {
		return false
	}
	for r := range col.Len() {
		if !col.IsNull(r) && col.Unknown(r) {
			return true
		}
	}
	return false
}

// dates reports whether every text is a date and time as SQLite's functions
// write it.
func (c *cells) dates() bool {
	dst := frame.NewColumn(frame.Field{Name: c.name, Type: frame.DateTime}, 1)
	start := uint64(0)
	for i, class := range c.class {
		if class != 't' {
			continue
		}
		text := c.texts[start:c.numbers[i]]
		start = c.numbers[i]
		dst.Reset()
		if len(text) < len("2006-01-02 15:04:05") || text[10] != ' ' || dst.AppendText(text) != nil {
			return false
		}
	}
	return true
}

// column makes the column of field f. A cell that does not suit is module
// error 0042.
func (c *cells) column(f frame.Field) (*frame.Column, error) {
	dst := frame.NewColumn(f, len(c.class))
	start := uint64(0)
	var small [32]byte
	for r, class := range c.class {
		n := c.numbers[r]
		var text []byte
		switch class {
		case 'n':
			dst.AppendNull()
			continue
		case 't':
			text = c.texts[start:n]
			start = n
		case 'i':
			switch {
			case f.Type.Integer() && (f.Type == frame.Int64 || int64(n) == int64(int32(n))):
				dst.AppendInt(int64(n))
				continue
			case f.Type == frame.Double:
				dst.AppendFloat(float64(int64(n)))
				continue
			}
			text = strconv.AppendInt(small[:0], int64(n), 10)
		case 'r':
			if f.Type == frame.Double {
				dst.AppendFloat(math.Float64frombits(n))
				continue
			}
			text = frame.AppendDouble(small[:0], math.Float64frombits(n))
		}
		if f.Type == frame.String {
			dst.AppendString(text)
		} else if err := dst.AppendText(text); err != nil {
			return nil, module.Errorf(42, "column %q of the result: row %d, %q, cannot be %s", f.Name, r+1, frame.Clip(text), f.Type).At(f.Name)
		}
	}
	return dst, nil
}
