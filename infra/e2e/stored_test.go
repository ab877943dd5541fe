package e2e

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// volatile are the tables whose rows move without anybody's doing: usage
// counters, the sweep's cursors, the host's heartbeats.
var volatile = []string{"usage", "sweep", "instances"}

// stored describes every entity, message and blob of the system's store: a
// line each, with a hash of its content.
func stored(t *testing.T, s *system) string {
	t.Helper()
	var lines []string
	dir := filepath.Join(s.data, "store")
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if strings.Contains(name, ".db") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("file %s %x", name, sha256.Sum256(b)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no database in %s: %v", dir, err)
	}
	for _, f := range files {
		lines = append(lines, rowsOf(t, f)...)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// settled is what is stored when no message is left: what a call began has come
// to its end.
func settled(t *testing.T, s *system) string {
	t.Helper()
	for deadline := time.Now().Add(patience); strings.Contains(stored(t, s), "\nmessage|"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("messages are left:\n%s", stored(t, s))
		}
	}
	return stored(t, s)
}

func rowsOf(t *testing.T, file string) (lines []string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	names, err := db.Query("SELECT name FROM sqlite_master WHERE type = 'table'")
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	var tables []string
	for names.Next() {
		var n string
		if err := names.Scan(&n); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, n)
	}
	for _, table := range tables {
		rows, err := db.Query("SELECT * FROM " + table)
		if err != nil {
			t.Fatal(err)
		}
		cols, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			vals := make([]any, len(cols))
			for i := range vals {
				vals[i] = new(any)
			}
			if err := rows.Scan(vals...); err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, v := range vals {
				fmt.Fprintf(&b, "|%v", *v.(*any))
			}
			if line := b.String(); !slices.ContainsFunc(volatile, func(v string) bool { return strings.HasPrefix(line, "|"+v+"|") }) {
				lines = append(lines, table+line)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		rows.Close()
	}
	return lines
}
