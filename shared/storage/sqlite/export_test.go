package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/portico-ml/portico/shared/storage"
)

// Audit checks what must hold whenever no write is under way: SQLite's own
// checks, and for each file that a row names, that it is there, once, and as
// long as the row says. It returns the number of named files and of files.
func (s *Store) Audit() (named, files int, err error) {
	if err := s.prepare(); err != nil {
		return 0, 0, err
	}
	var verdict string
	if err := s.read.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		return 0, 0, fmt.Errorf("integrity check: %s %w", verdict, err)
	}
	seen := make(map[string]bool)
	var name string
	var size int64
	rows, err := s.read.Query(`SELECT file, size FROM extent UNION ALL SELECT file, size FROM part UNION ALL SELECT file, -1 FROM dead`)
	err = scan(rows, err, []any{&name, &size}, func() error {
		if seen[name] {
			return fmt.Errorf("file %s is named twice", name)
		}
		seen[name] = true
		info, err := os.Stat(s.files.path(name))
		if err == nil && size >= 0 && info.Size() != size {
			err = fmt.Errorf("file %s has %d bytes, its row says %d", name, info.Size(), size)
		}
		if size < 0 && errors.Is(err, fs.ErrNotExist) {
			err = nil // unlinked, and killed before the row was deleted
		}
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	err = filepath.WalkDir(filepath.Join(s.dir, "files"), func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.Type().IsRegular() {
			files++
		}
		return err
	})
	return len(seen), files, err
}

// Path returns where the bytes of the extent of a blob lie that begins at start.
func (s *Store) Path(container, key string, start int64) (string, error) {
	var name string
	err := s.read.QueryRow(`SELECT file FROM extent WHERE blob = (SELECT id FROM blob WHERE container = ? AND key = ?) AND start = ?`, container, key, start).Scan(&name)
	if err != nil {
		return "", err
	}
	return s.files.path(name), nil
}

// PartPath returns where the bytes of a staged part lie.
func (s *Store) PartPath(container, key string, id storage.PartID) (string, error) {
	var name string
	err := s.read.QueryRow(`SELECT file FROM part WHERE container = ? AND key = ? AND id = ?`, container, key, id[:]).Scan(&name)
	if err != nil {
		return "", err
	}
	return s.files.path(name), nil
}

// Exec runs a statement in the database.
func (s *Store) Exec(query string, args ...any) error {
	return s.writer.do(context.Background(), func(t *tx) error { _, err := t.exec(query, args...); return err })
}

// Named looks, as a write does before it names a file, whether it is there.
func (s *Store) Named(name string) error { return s.files.present(name) }

// WriteFile writes a file as a Put does, and names it nowhere.
func (s *Store) WriteFile(body string) (name, path string, err error) {
	name, err = s.files.write([]byte(body))
	return name, s.files.path(name), err
}
