package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/portico-ml/portico/shared/fault"
)

// files keeps the bytes of blobs: files/{first two of name}/{name}, each
// written once under tmp/, synced, then renamed.
type files struct{ dir string }

func (f files) path(name string) string {
	return filepath.Join(f.dir, "files", name[:2], name)
}

func (f files) tempDir() (string, error) {
	dir := filepath.Join(f.dir, "tmp")
	return dir, os.MkdirAll(dir, 0o700)
}

// write stores body in a new file and returns its name. When it returns, the
// file survives a crash; until a row names it, it is an orphan.
func (f files) write(body []byte) (name string, err error) {
	name = random(16)
	tmp, err := f.tempDir()
	if err != nil {
		return "", err
	}
	tmp = filepath.Join(tmp, name)
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	if _, err = file.Write(body); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		os.Remove(tmp)
		return "", err
	}
	path := f.path(name)
	if err = f.rename(tmp, path); err != nil {
		os.Remove(tmp)
		return "", err
	}
	return name, syncFile(filepath.Dir(path))
}

func (f files) rename(from, to string) error {
	err := os.Rename(from, to)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// The first file of its folder.
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if err := syncFile(filepath.Join(f.dir, "files")); err != nil {
		return err
	}
	if err := syncFile(f.dir); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// present makes sure, in the transaction that will name the file, that no
// sweep took it for an orphan: its writer may have slept for hours.
func (f files) present(name string) error {
	if _, err := os.Lstat(f.path(name)); err != nil {
		return fault.Wrap(err, fault.Unavailable, "the bytes were swept before they were recorded")
	}
	return nil
}

// discard removes a file that no row names and none will.
func (f files) discard(name string) {
	if name != "" {
		os.Remove(f.path(name))
	}
}

// remove unlinks a file; that it is gone already is no error.
func (f files) remove(name string) error {
	if err := os.Remove(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncFile syncs a file or folder.
func syncFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
