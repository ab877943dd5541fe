package sqltable_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module/sqltable"
)

var schema = frame.Schema{
	{Name: "a", Type: frame.Int32},
	{Name: "größe", Type: frame.Double, Nullable: true},
	{Name: "s", Type: frame.String, Levels: []string{"x", "y"}},
	{Name: "day", Type: frame.DateTime},
}

const rows = "a,größe,s,day\n1,1.5,x,2024-01-01T10:00:00\n2,,y,2024-02-01T00:00:00.25\n3,-1,x,2024-03-01T00:00:00\n"

func table(t testing.TB) *frame.Frame {
	t.Helper()
	l, err := frame.NewLayout(schema)
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.CSV{}.Read([]byte(rows), l)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func run(ctx context.Context, text string, f *frame.Frame) (*frame.Frame, error) {
	s, err := sqltable.Compile(ctx, text, []frame.Schema{schema, nil})
	if err != nil {
		return nil, err
	}
	return s.Run(ctx, []*frame.Frame{f, nil}, nil)
}

func TestReads(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT a FROM t1":                                         "[0]",
		"SELECT COUNT(*) FROM t1":                                  "[]",
		"SELECT * FROM t1":                                         "[0 1 2 3]",
		`SELECT 1 FROM T1 WHERE "GRÖSSE" > 1 OR s = 'x'`:           "[2]", // SQLite folds ASCII only: the first is a text
		"CREATE VIEW v AS SELECT day, a FROM t1; SELECT a FROM v":  "[0 3]",
		"CREATE TABLE t2 AS SELECT s FROM t1; SELECT s FROM t2":    "[2]",
		"ALTER TABLE t1 RENAME COLUMN a TO b; SELECT b FROM t1":    "[0 1 2 3]",
		"WITH c(x) AS (SELECT größe FROM t1) SELECT MAX(x) FROM c": "[1]",
	} {
		s, err := sqltable.Compile(t.Context(), text, []frame.Schema{schema, nil})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := fmt.Sprint(s.Reads(0)); got != want {
			t.Errorf("%s reads %s, want %s", text, got, want)
		}
		if s.Reads(1) != nil {
			t.Errorf("%s reads a table that is not there", text)
		}
	}
}

// TestPinned: a service gives the types of the run, whatever its rows are.
func TestPinned(t *testing.T) {
	f := table(t)
	s, err := sqltable.Compile(t.Context(), "SELECT a, größe * 2 AS twice FROM t1 WHERE a > 1", []frame.Schema{schema})
	if err != nil {
		t.Fatal(err)
	}
	want := frame.Schema{{Name: "a", Type: frame.Int32}, {Name: "twice", Type: frame.Double, Nullable: true}}
	for lo, text := range []string{"2,\n3,-2\n", "2,\n3,-2\n", "3,-2\n", ""} {
		got, err := s.Run(t.Context(), []*frame.Frame{f.Slice(lo, 3)}, want)
		if err != nil {
			t.Fatal(err)
		}
		if csv := string(frame.AppendCSVRows(nil, got, 0, got.Rows(), ',')); csv != text {
			t.Errorf("from row %d: got %q, want %q", lo, csv, text)
		}
		if got.Cols[1].Field.Type != frame.Double {
			t.Errorf("from row %d: twice is %s", lo, got.Cols[1].Field.Type)
		}
	}
	want[1].Type = frame.Int32
	if _, err = s.Run(t.Context(), []*frame.Frame{table(t)}, want); err != nil {
		t.Errorf("-2 and nothing are whole: %v", err)
	}
	s, err = sqltable.Compile(t.Context(), "SELECT a, größe AS twice FROM t1", []frame.Schema{schema})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.Run(t.Context(), []*frame.Frame{f}, want); !fault.HasCode(err, "Error0042") || !strings.Contains(err.Error(), `row 1, "1.5"`) {
		t.Errorf("1.5 as Int32: %v", err)
	}
}

// TestSandbox tries to leave files behind, and to reach some.
func TestSandbox(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("SQLite format 3\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"ATTACH '" + secret + "' AS x; SELECT * FROM x.sqlite_master",
		"ATTACH 'file:new?mode=rwc' AS x; SELECT 1",
		"VACUUM INTO 'new'; SELECT 1",
		"PRAGMA temp_store_directory='" + dir + "'; SELECT 1",
		"PRAGMA writable_schema=1; SELECT 1",
		"SELECT readfile('" + secret + "')",
		"SELECT writefile('new', 'x')",
		"SELECT load_extension('" + secret + "')",
		"SELECT fts3_tokenizer('simple')",
		"SELECT * FROM pragma_database_list",
		"CREATE VIRTUAL TABLE x USING csv(filename='" + secret + "'); SELECT 1",
		"DETACH main; SELECT 1",
		"BEGIN; SELECT 1",
		"SAVEPOINT x; SELECT 1",
		"SELECT 1; EXPLAIN SELECT 1",
	} {
		if f, err := run(t.Context(), text, table(t)); err == nil {
			t.Errorf("%s gives %d rows", text, f.Rows())
		} else if !fault.HasCode(err, "Error0069") {
			t.Errorf("%s: %v", text, err)
		}
	}
	// Sorting more than memory is meant for goes where the tables are.
	f, err := run(t.Context(), `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 20000)
		SELECT i, hex(randomblob(20)) AS h FROM n ORDER BY h`, table(t))
	if err != nil || f.Rows() != 20000 {
		t.Errorf("sorting: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
}

func TestStopped(t *testing.T) {
	const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT COUNT(*) FROM n"
	for _, text := range []string{endless, "CREATE TABLE x AS " + endless + "; SELECT 1", strings.Replace(endless, "COUNT(*)", "i", 1) + " WHERE i < 0"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := run(ctx, text, table(t))
		cancel()
		if !fault.HasCode(err, "Error0069") || !strings.Contains(err.Error(), "took too long") {
			t.Errorf("%s: %v", text, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := run(ctx, "SELECT 1", table(t)); !fault.Is(err, fault.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 0)
	defer cancel()
	if _, err := run(ctx, "SELECT 1", table(t)); !fault.HasCode(err, "Error0069") || !strings.Contains(err.Error(), "took too long") {
		t.Errorf("out of time before it began: %v", err)
	}
}

// TestConcurrent: engines are shared, what scripts make is not.
func TestConcurrent(t *testing.T) {
	f := table(t)
	s, err := sqltable.Compile(t.Context(), "CREATE TABLE mine AS SELECT a, random() AS r FROM t1; SELECT a, r FROM mine ORDER BY a", []frame.Schema{schema})
	if err != nil {
		t.Fatal(err)
	}
	want, err := s.Run(t.Context(), []*frame.Frame{f}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				got, err := s.Run(t.Context(), []*frame.Frame{f}, nil)
				if err != nil {
					t.Error(err)
				} else if string(frame.Encode(got)) != string(frame.Encode(want)) {
					t.Error("another run gives other numbers")
				}
			}
		})
	}
	wg.Wait()
}

func FuzzScript(f *testing.F) {
	for _, text := range []string{
		"select * from t1;", "SELECT a, größe FROM t1 WHERE s = 'x;' -- ;\n; SELECT 2", "/* ; */ VALUES(1, 'a''b')", "SELECT [a], `s`, \"day\" FROM t1",
		"CREATE TABLE x(a); INSERT INTO x VALUES(1); SELECT * FROM x", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n",
		"SELECT 'unfinished", "ATTACH 'x' AS y; SELECT 1", "SELECT hex(randomblob(5)), zeroblob(9), 9e999, x'00'", "\x00;SELECT\x001",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		s, err := sqltable.Compile(ctx, text, []frame.Schema{schema, nil})
		if err != nil {
			known(t, text, err)
			return
		}
		in := table(t)
		got, err := s.Run(ctx, []*frame.Frame{in, nil}, nil)
		if err != nil {
			known(t, text, err)
			return
		}
		if err := got.Check(); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if _, err := frame.NewLayout(got.Schema()); err != nil {
			t.Fatalf("%q gives a schema that cannot be: %v", text, err)
		}
		again, err := s.Run(ctx, []*frame.Frame{in, nil}, got.Schema())
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			t.Fatalf("%q runs, and with its own schema it fails: %v", text, err)
		}
		if !clock(text) && string(frame.AppendCSV(nil, again, ',')) != string(frame.AppendCSV(nil, got, ',')) {
			t.Fatalf("%q gives other cells with its own schema", text)
		}
	})
}

// known fails for an error that no caller could act on.
func known(t *testing.T, text string, err error) {
	t.Helper()
	if k := fault.Of(err).Kind; k != fault.LibraryExecution && k != fault.Canceled {
		t.Fatalf("%q: %v", text, err)
	}
}

// clock reports whether a script may ask for the time.
func clock(text string) bool {
	t := strings.ToLower(text)
	return strings.Contains(t, "now") || strings.Contains(t, "current_") || strings.Contains(t, "time") || strings.Contains(t, "date") || strings.Contains(t, "julianday") || strings.Contains(t, "changes") || strings.Contains(t, "subsec")
}
