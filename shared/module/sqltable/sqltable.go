// Package sqltable runs SQL scripts over tables in memory, by SQLite.
//
// A script sees its tables as t1, t2 and so on and may make tables, views and
// indexes of its own; its last statement, a SELECT, gives the result. It runs
// in a database of its own that lives in memory and ends with the call. It can
// reach nothing outside: no files, no other databases, no extensions; pragmas,
// virtual tables, triggers and transactions are refused. Memory is bounded, and
// time by the context. random() gives the same numbers in every call.
//
// Cells map as follows; missing is NULL in both directions:
//
//	Double           REAL
//	Int32, Int64     INTEGER
//	Boolean          INTEGER, 0 or 1
//	DateTime         TEXT, "2024-05-17 11:22:33" with a fraction where there is one
//	String           TEXT
package sqltable

import (
	"context"
	"database/sql/driver"
	"slices"
	"strings"

	"modernc.org/sqlite"

	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

// Script is a script compiled for tables of given schemas. It is immutable and
// for concurrent use.
type Script struct {
	before  []string // statements before the last
	last    string
	tables  []*table // nil where no table is given
	columns []column // of the result
}

// table is an input table as SQLite knows it.
type table struct {
	name    string
	fields  frame.Schema
	columns []string // SQLite's names, which differ in more than case
	reads   []int    // the columns that the script reads
}

// column is a column of the result.
type column struct {
	name string
	// from is the field that the column shows unchanged, nil for a computed
	// one.
	from *frame.Field
}

// Compile checks the script against the schemas of its tables, nil for a table
// that is not there. What SQLite does not understand is module error 0069.
func Compile(ctx context.Context, text string, schemas []frame.Schema) (*Script, error) {
	s := &Script{tables: make([]*table, len(schemas))}
	statements := split(text)
	if len(statements) == 0 {
		return nil, module.Errorf(69, "the SQL script is empty")
	}
	s.before, s.last = statements[:len(statements)-1], statements[len(statements)-1]
	if k := keyword(s.last); !slices.Contains([]string{"SELECT", "VALUES", "WITH"}, k) {
		return nil, module.Errorf(69, "the last statement of the SQL script begins with %q: it must be a SELECT, whose rows are the result", clip(k))
	}
	for i, schema := range schemas {
		if schema != nil {
			s.tables[i] = newTable(i, schema)
		}
	}
	err := session(ctx, func(db *database) error {
		for _, t := range s.tables {
			if t == nil {
				continue
			}
			if err := db.exec(ctx, t.create()); err != nil {
				return err
			}
		}
		return s.compile(ctx, db)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// compile runs all but the last statement on the empty tables and notes what
// the script reads.
func (s *Script) compile(ctx context.Context, db *database) error {
	all := false // the names of columns may have changed
	read := make([][]bool, len(s.tables))
	for i, t := range s.tables {
		if t != nil {
			read[i] = make([]bool, len(t.fields))
		}
	}
	err := db.guard(func(action sqlite.AuthorizerActionCode, arg1, arg2, _, _ string) {
		switch action {
		case sqlite.AuthAlterTable:
			all = true
		case sqlite.AuthRead:
			for i, t := range s.tables {
				if t != nil && strings.EqualFold(t.name, arg1) {
					if c := slices.IndexFunc(t.columns, func(n string) bool { return strings.EqualFold(n, arg2) }); c >= 0 {
						read[i][c] = true
					}
				}
			}
		}
	})
	if err != nil {
		return err
	}
	for _, text := range s.before {
		if err := db.exec(ctx, text); err != nil {
			return err
		}
	}
	info, err := db.describe(s.last)
	if err != nil {
		return err
	}
	for i, t := range s.tables {
		for c, r := range read[i] {
			if r || all {
				t.reads = append(t.reads, c)
			}
		}
	}
	taken := make(map[string]bool)
	for _, c := range info {
		col := column{name: module.Unique(c.Name, func(n string) bool { return taken[n] })}
		taken[col.name] = true
		if c.DatabaseName == "main" && !all {
			col.from = s.field(c.TableName, c.OriginName)
		}
		s.columns = append(s.columns, col)
	}
	return nil
}

func (s *Script) field(name, column string) *frame.Field {
	for _, t := range s.tables {
		if t != nil && strings.EqualFold(t.name, name) {
			if c := slices.Index(t.columns, column); c >= 0 {
				return &t.fields[c]
			}
		}
	}
	return nil
}

// Reads returns the columns of table i, from 0, that the script reads.
func (s *Script) Reads(i int) []int {
	if s.tables[i] == nil {
		return nil
	}
	return s.tables[i].reads
}

// Run runs the script over tables of the schemas it was compiled for and
// returns the rows of the last statement. Without want, types follow from the
// cells: a column that is one of a table has that field where its cells still
// suit it; computed numbers are Int64 or Double, dates as above DateTime, all
// others String. With want, the result has that schema, and a cell that does
// not suit is module error 0042.
func (s *Script) Run(ctx context.Context, tables []*frame.Frame, want frame.Schema) (*frame.Frame, error) {
	var out *frame.Frame
	err := session(ctx, func(db *database) error {
		for i, t := range s.tables {
			if t == nil {
				continue
			}
			if err := db.exec(ctx, t.create()); err != nil {
				return err
			}
			if err := db.load(ctx, t, tables[i]); err != nil {
				return err
			}
		}
		if err := db.guard(nil); err != nil {
			return err
		}
		for _, text := range s.before {
			if err := db.exec(ctx, text); err != nil {
				return err
			}
		}
		// Only a statement that gives no rows can be stopped while it works.
		if err := db.exec(ctx, "CREATE TEMP TABLE "+resultTable+" AS\n"+s.last); err != nil {
			return err
		}
		var err error
		out, err = s.read(ctx, db, want)
		return err
	})
	return out, err
}

const resultTable = `"portico result"`

func (s *Script) read(ctx context.Context, db *database, want frame.Schema) (*frame.Frame, error) {
	rows, err := db.query(ctx, "SELECT * FROM temp."+resultTable)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // it only frees
	if len(rows.Columns()) != len(s.columns) || want != nil && len(want) != len(s.columns) {
		return nil, module.Errorf(69, "the script gives %d columns, it was compiled to give %d", len(rows.Columns()), len(s.columns))
	}
	cols := make([]*cells, len(s.columns))
	for i := range cols {
		cols[i] = &cells{name: s.columns[i].name}
	}
	size, values := 0, make([]driver.Value, len(cols))
	for {
		more, err := next(rows, values)
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		for i, v := range values {
			if err := cols[i].add(v); err != nil {
				return nil, err
			}
			size += cellSize(v)
		}
		if size > maxMemory {
			return nil, tooLarge("its result")
		}
	}
	out := &frame.Frame{Cols: make([]*frame.Column, len(cols))}
	for i, c := range cols {
		switch {
		case want != nil:
			out.Cols[i], err = c.column(want[i])
		default:
			out.Cols[i], err = c.infer(s.columns[i].from)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
