package sqlite_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
	"github.com/portico-ml/portico/shared/storage/sqlite"
)

func audit(t *testing.T, s *sqlite.Store, wantNamed, wantFiles int) {
	t.Helper()
	named, files, err := s.Audit()
	if err != nil {
		t.Fatal(err)
	}
	if named != wantNamed || files != wantFiles {
		t.Errorf("%d files are named and %d are there; want %d and %d", named, files, wantNamed, wantFiles)
	}
}

// age makes a file look as though it was written long ago.
func age(t *testing.T, path string) {
	t.Helper()
	old := time.Now().Add(-3 * time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
}

func sweep(t *testing.T, s *sqlite.Store) {
	t.Helper()
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSweepWaitsForReaders(t *testing.T) {
	ctx := t.Context()
	s := open(t, t.TempDir(), sqlite.Options{})
	id := storage.PartID{1}
	for _, key := range []string{"w/put", "w/deleted", "w/committed"} {
		put(t, s, key, "the old bytes")
	}
	_, r, err := s.Blobs.Get(ctx, "w/put", storage.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	put(t, s, "w/put", "the new bytes")
	if err := s.Blobs.Delete(ctx, "w/deleted", storage.Condition{}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first is replaced by the second
		if err := s.Blobs.PutPart(ctx, "w/committed", id, []byte("part")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Blobs.PutPart(ctx, "w/committed", storage.PartID{2}, []byte("dropped")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blobs.Commit(ctx, "w/committed", []storage.PartID{id}, nil, storage.Condition{}); err != nil {
		t.Fatal(err)
	}
	audit(t, s, 7, 7) // two live, five dead
	sweep(t, s)
	audit(t, s, 7, 7)
	if b, err := io.ReadAll(r); err != nil || string(b) != "the old bytes" {
		t.Errorf("the open reader gives %q, %v", b, err)
	}

	if err := s.Exec(`UPDATE dead SET since = since - ?`, 2*time.Hour.Microseconds()); err != nil {
		t.Fatal(err)
	}
	sweep(t, s)
	audit(t, s, 2, 2)
	sweep(t, s)
}

func TestSweepOrphans(t *testing.T) {
	s := open(t, t.TempDir(), sqlite.Options{})
	put(t, s, "w/live", "live")
	if err := s.Blobs.PutPart(t.Context(), "w/staged", storage.PartID{1}, []byte("staged")); err != nil {
		t.Fatal(err)
	}
	live, err := s.Path(storage.Container, "w/live", 0)
	if err != nil {
		t.Fatal(err)
	}
	staged := stagedFile(t, s, live)
	name, orphan, err := s.WriteFile("of a process that was killed")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = s.WriteFile("of a write under way"); err != nil {
		t.Fatal(err)
	}
	age(t, live)
	age(t, staged)
	age(t, orphan)
	audit(t, s, 2, 4)
	sweep(t, s)
	audit(t, s, 2, 3)
	// Had its writer only slept, its row would not be written now.
	if err := s.Named(name); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a swept file could be named: %v", err)
	}
}

// stagedFile returns the one file that is not live.
func stagedFile(t *testing.T, s *sqlite.Store, live string) (path string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Dir(filepath.Dir(live)), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && p != live {
			path = p
		}
		return err
	})
	if err != nil || path == "" {
		t.Fatalf("no staged file: %v", err)
	}
	return path
}

func TestSweepPartsOfAWeekAgo(t *testing.T) {
	s := open(t, t.TempDir(), sqlite.Options{})
	for _, key := range []string{"w/old", "w/new"} {
		if err := s.Blobs.PutPart(t.Context(), key, storage.PartID{1}, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Exec(`UPDATE part SET staged = staged - ? WHERE key = 'w/old'`, (7*24*time.Hour + time.Minute).Microseconds()); err != nil {
		t.Fatal(err)
	}
	sweep(t, s)
	for key, want := range map[string]int{"w/old": 0, "w/new": 1} {
		if parts, err := s.Blobs.Parts(t.Context(), key); err != nil || len(parts) != want {
			t.Errorf("%s: parts %v, %v", key, parts, err)
		}
	}
}

func TestSweepTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, sqlite.Options{})
	put(t, s, "w/a", "x")
	for _, name := range []string{"old", "new"} {
		if err := os.WriteFile(filepath.Join(dir, "tmp", name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	age(t, filepath.Join(dir, "tmp", "old"))
	sweep(t, s)
	left, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil || len(left) != 1 || left[0].Name() != "new" {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
}
