package sqlite_test

import (
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
	"github.com/portico-ml/portico/shared/storage/storagetest"
)

func open(t testing.TB, dir string, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func put(t testing.TB, s *sqlite.Store, key, body string) {
	t.Helper()
	if _, err := s.Blobs.Put(t.Context(), key, []byte(body), nil, storage.Condition{}); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return open(t, t.TempDir(), sqlite.Options{}).Store })
}

// Reads go on while another process holds the write lock, and writes wait for
// it.
func TestReadsTakeNoLock(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	s := open(t, dir, sqlite.Options{})
	put(t, s, "w/a", "bytes")
	if _, err := s.Tables.Apply(ctx, "table", "p", storage.Op{Row: "r"}); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", filepath.Join(dir, "portico.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	other.SetMaxOpenConns(1)
	if _, err := other.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}

	if _, r, err := s.Blobs.Get(ctx, "w/a", storage.ReadOptions{}); err != nil {
		t.Errorf("get blob: %v", err)
	} else {
		r.Close()
	}
	if _, err := s.Blobs.Head(ctx, "w/a"); err != nil {
		t.Errorf("head: %v", err)
	}
	if _, err := s.Blobs.Parts(ctx, "w/a"); err != nil {
		t.Errorf("parts: %v", err)
	}
	for _, err := range s.Blobs.List(ctx, "") {
		if err != nil {
			t.Errorf("list: %v", err)
		}
	}
	if _, err := s.Tables.Get(ctx, "table", "p", "r"); err != nil {
		t.Errorf("get row: %v", err)
	}
	for _, err := range s.Tables.Query(ctx, "table", "p", storage.Range{}) {
		if err != nil {
			t.Errorf("query: %v", err)
		}
	}
	if _, err := s.Queues.Receive(ctx, "idle", 1, time.Minute); err != nil {
		t.Errorf("receive from an idle queue: %v", err)
	}
	if _, err := s.Blobs.Put(ctx, "w/a", nil, nil, storage.Condition{IfAbsent: true}); !fault.HasCode(err, storage.CodeExists) {
		t.Errorf("a put that cannot succeed: %v", err)
	}

	written := make(chan error, 1)
	go func() {
		_, err := s.Tables.Apply(ctx, "table", "p", storage.Op{Row: "waited"})
		written <- err
	}()
	select {
	case err := <-written:
		t.Errorf("a write went past the lock: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if _, err := other.Exec("COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Errorf("the write that waited: %v", err)
	}
}

// A write that fails leaves those that share its transaction alone.
func TestWritesShareATransaction(t *testing.T) {
	ctx := t.Context()
	s := open(t, t.TempDir(), sqlite.Options{})
	const n = 200
	errs := make(chan error, n)
	for i := range n {
		go func() {
			row := fmt.Sprintf("r%03d", i/2) // each row twice: one of two fails
			_, err := s.Tables.Apply(ctx, "table", "p", storage.Op{Row: "n" + fmt.Sprint(i)}, storage.Op{Row: row})
			errs <- err
		}()
	}
	failed := 0
	for range n {
		if err := <-errs; fault.HasCode(err, storage.CodeExists) {
			failed++
		} else if err != nil {
			t.Errorf("apply: %v", err)
		}
	}
	rows := 0
	for _, err := range s.Tables.Query(ctx, "table", "p", storage.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		rows++
	}
	if failed != n/2 || rows != n {
		t.Errorf("%d failed and %d rows are there; want %d and %d", failed, rows, n/2, n)
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, sqlite.Options{})
	put(t, first, "w/a", "kept")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
	if _, err := first.Blobs.Put(t.Context(), "w/a", nil, nil, storage.Condition{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("put into a closed store: %v", err)
	}
	second := open(t, dir, sqlite.Options{})
	_, r, err := second.Blobs.Get(t.Context(), "w/a", storage.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if b, err := io.ReadAll(r); err != nil || string(b) != "kept" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(file, sqlite.Options{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("open a file: %v", err)
	}

	// A folder whose name a URL would take apart.
	odd := open(t, filepath.Join(dir, "a b?c#d%20é"), sqlite.Options{})
	put(t, odd, "w/a", "x")
	if _, err := os.Stat(filepath.Join(dir, "a b?c#d%20é", "portico.db")); err != nil {
		t.Errorf("the database lies elsewhere: %v", err)
	}

	newer := filepath.Join(dir, "newer")
	s := open(t, newer, sqlite.Options{})
	if err := s.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, newer, sqlite.Options{})
	if _, err := s.Blobs.Head(t.Context(), "w/a"); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "layout 99") {
		t.Errorf("a layout of another program: %v", err)
	}
	if _, err := s.Blobs.Put(t.Context(), "w/a", nil, nil, storage.Condition{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a write to it: %v", err)
	}
}

func TestLinksNeedASigner(t *testing.T) {
	s := open(t, t.TempDir(), sqlite.Options{})
	if _, err := s.Blobs.SignRead(t.Context(), "w/a", time.Now().Add(time.Hour)); !fault.Is(err, fault.Unsupported) {
		t.Errorf("sign: %v", err)
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := open(b, dir, sqlite.Options{})
	put(b, s, "w/a", "bytes")
	if _, err := s.Tables.Apply(b.Context(), "table", "p", storage.Op{Row: "r"}); err != nil {
		b.Fatal(err)
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			open(b, dir, sqlite.Options{})
		}
	})
	b.Run("open and first read", func(b *testing.B) {
		for b.Loop() {
			s := open(b, dir, sqlite.Options{})
			if _, err := s.Tables.Get(b.Context(), "table", "p", "r"); err != nil {
				b.Fatal(err)
			}
			s.Close()
		}
	})
}

func BenchmarkStore(b *testing.B) {
	s := open(b, b.TempDir(), sqlite.Options{})
	ctx := b.Context()
	put(b, s, "w/a", strings.Repeat("x", 1000))
	props := storage.Props{"State": "Running", "Rows": int64(12), "At": time.Now()}
	if _, err := s.Tables.Apply(ctx, "table", "p", storage.Op{Row: "r", Props: props}); err != nil {
		b.Fatal(err)
	}
	b.Run("get row", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Tables.Get(ctx, "table", "p", "r"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("get blob", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, r, err := s.Blobs.Get(ctx, "w/a", storage.ReadOptions{})
			if err != nil {
				b.Fatal(err)
			}
			r.Close()
		}
	})
	b.Run("apply", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Tables.Apply(ctx, "table", "p", storage.Op{Kind: storage.Upsert, Row: "r", Props: props}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("apply by 32", func(b *testing.B) {
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := s.Tables.Apply(ctx, "table", "p", storage.Op{Kind: storage.Upsert, Row: "r", Props: props}); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
