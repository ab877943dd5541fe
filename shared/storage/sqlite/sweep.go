package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// partGrace is how long a part waits for its commit: as long as on Azure.
const partGrace = 7 * 24 * time.Hour

// sweepBatch bounds the files that one transaction unlinks, so that writers
// need not wait long.
const sweepBatch = 100

// maybeSweep starts a sweep in the background when one is due.
func (s *Store) maybeSweep() {
	if time.Now().Unix() < s.nextSweep.Load() || !s.sweeping.CompareAndSwap(false, true) {
		return
	}
	s.sweeps.Go(func() {
		defer s.sweeping.Store(false)
		s.nextSweep.Store(time.Now().Add(sweepEvery).Unix())
		// What fails now is swept the next time.
		_ = s.Sweep(s.closed)
	})
}

// Sweep unlinks what nothing needs any more: files of blobs replaced or
// deleted longer than the grace ago, parts that were not committed in a week,
// and orphans that a killed process left. A store that is written to sweeps
// itself now and then; several may sweep at once.
func (s *Store) Sweep(ctx context.Context) error {
	cutoff := time.Now().Add(-s.opt.Grace)
	return errors.Join(
		wrap(s.sweepParts(ctx), "sweep parts"),
		wrap(s.sweepDead(ctx, cutoff), "sweep files"),
		wrap(s.sweepOrphans(ctx, cutoff), "sweep orphans"),
		wrap(s.sweepTemp(cutoff), "sweep temporary files"),
	)
}

func (s *Store) sweepParts(ctx context.Context) error {
	before := time.Now().Add(-partGrace).UnixMicro()
	return s.writer.do(ctx, func(t *tx) error {
		if _, err := t.exec(`INSERT INTO dead (file, since) SELECT file, ? FROM part WHERE staged < ?`, now(), before); err != nil {
			return err
		}
		_, err := t.exec(`DELETE FROM part WHERE staged < ?`, before)
		return err
	})
}

func (s *Store) sweepDead(ctx context.Context, cutoff time.Time) error {
	for {
		var names []string
		var name string
		rows, err := s.query(ctx, `SELECT file FROM dead WHERE since < ? ORDER BY since LIMIT ?`, cutoff.UnixMicro(), sweepBatch)
		err = scan(rows, err, []any{&name}, func() error { names = append(names, name); return nil })
		if err != nil || len(names) == 0 {
			return err
		}
		// File before row: a crash between the two leaves a row whose file is
		// gone, which the next sweep removes.
		for _, name := range names {
			if err := s.files.remove(name); err != nil {
				return err
			}
		}
		err = s.writer.do(ctx, func(t *tx) error {
			for _, name := range names {
				if _, err := t.exec(`DELETE FROM dead WHERE file = ?`, name); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// sweepOrphans unlinks old files that no row names. It holds the write lock
// while it looks and unlinks, and who is about to name a file looks, under the
// same lock, whether it is still there.
func (s *Store) sweepOrphans(ctx context.Context, cutoff time.Time) error {
	folders, err := os.ReadDir(filepath.Join(s.dir, "files"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, folder := range folders {
		old, err := oldFiles(filepath.Join(s.dir, "files", folder.Name()), cutoff)
		if err != nil {
			return err
		}
		for len(old) > 0 {
			batch := old[:min(len(old), sweepBatch)]
			old = old[len(batch):]
			if batch, err = s.unnamed(ctx, batch); err != nil {
				return err
			}
			if len(batch) == 0 {
				continue
			}
			err := s.writer.do(ctx, func(t *tx) error {
				for _, name := range batch {
					var n int
					if err := t.row(qNamed, []any{name}, []any{&n}); err != nil {
						return err
					}
					if n == 0 {
						if err := s.files.remove(name); err != nil {
							return err
						}
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

const qNamed = `SELECT (SELECT count(*) FROM extent WHERE file = ?1) + (SELECT count(*) FROM part WHERE file = ?1) + (SELECT count(*) FROM dead WHERE file = ?1)`

// unnamed keeps the names that no row holds, without taking the write lock.
func (s *Store) unnamed(ctx context.Context, names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		var n int
		if err := s.queryRow(ctx, qNamed, []any{name}, []any{&n}); err != nil {
			return nil, err
		}
		if n == 0 {
			out = append(out, name)
		}
	}
	return out, nil
}

func (s *Store) sweepTemp(cutoff time.Time) error {
	dir, err := s.files.tempDir()
	if err != nil {
		return err
	}
	old, err := oldFiles(dir, cutoff)
	for _, name := range old {
		err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
	}
	return err
}

// oldFiles lists the files of a folder last written before cutoff.
func oldFiles(dir string, cutoff time.Time) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process swept it
		}
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() && info.ModTime().Before(cutoff) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
