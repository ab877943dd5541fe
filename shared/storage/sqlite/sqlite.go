// Package sqlite is the embedded storage driver: one folder holds a SQLite
// database (tables, queues, the metadata of blobs) and plain files (the bytes
// of blobs).
//
// Several processes may open the same folder at once, and any of them may be
// killed at any instant: what a method returned nil for is there, and what it
// did not finish is either there whole or not at all. The folder must lie on a
// local file system.
//
// Reads take no lock. Writes of one process are gathered into one transaction
// while the one before is being synced; among processes SQLite's own lock
// decides, waiting at most five seconds.
package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/storage"
)

//go:embed schema.sql
var schema string

// schemaVersion is the user_version that schema.sql writes.
const schemaVersion = 1

// Permissions of a signed link.
const (
	PermRead  = "r"
	PermWrite = "w"
)

// Options of a Store. The zero value is of use.
type Options struct {
	// Sign makes the signed links of SignRead and SignWrite: container and key
	// name the blob, perm is PermRead or PermWrite. It is called when a link
	// is asked for, so it may find its secret then. Nil: links are refused.
	Sign func(ctx context.Context, container, key, perm string, until time.Time) (storage.SignedURL, error)
	// Grace is how long a file outlives the blob it belonged to, for the
	// readers that still have it open; 0 = one hour.
	Grace time.Duration
}

// Store is an open folder.
type Store struct {
	storage.Store

	dir    string
	opt    Options
	read   *sql.DB
	writer *writer
	files  files

	stmts sync.Map // query -> *sql.Stmt of read

	ready  atomic.Bool // the database file is there
	create sync.Mutex

	sweeping  atomic.Bool
	nextSweep atomic.Int64 // unix seconds
	closed    context.Context
	close     context.CancelFunc
	sweeps    sync.WaitGroup
}

// sweepEvery is the pause between two sweeps of one process.
const sweepEvery = 30 * time.Minute

// Open opens the folder dir, making it where it is missing. The database
// itself is opened, and where it is missing made, when it is first used.
func Open(dir string, o Options) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "open the embedded store")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "open the embedded store")
	}
	if o.Grace == 0 {
		o.Grace = time.Hour
	}
	s := &Store{dir: abs, opt: o, files: files{dir: abs}}
	s.closed, s.close = context.WithCancel(context.Background())
	s.nextSweep.Store(time.Now().Add(sweepEvery).Unix())
	// query_only holds the promise that reads take no write lock.
	reader, err := sqlite.NewConnector(s.dsn("_pragma=query_only(1)"))
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "open the embedded store")
	}
	s.read = sql.OpenDB(reader)
	s.read.SetMaxOpenConns(8)
	s.read.SetMaxIdleConns(8)
	s.writer = newWriter(s)
	s.Blobs = &blobs{s, storage.Container}
	s.Drop = &blobs{s, storage.DropContainer}
	s.DropDone = &blobs{s, storage.DropDoneContainer}
	s.Tables = &tables{s}
	s.Queues = &queues{s}
	return s, nil
}

// Close waits for the writes under way and closes the database.
func (s *Store) Close() error {
	s.close()
	err := s.writer.stop()
	s.sweeps.Wait()
	s.stmts.Range(func(_, stmt any) bool { stmt.(*sql.Stmt).Close(); return true })
	return errors.Join(err, s.read.Close())
}

func (s *Store) path() string { return filepath.Join(s.dir, "portico.db") }

func (s *Store) dsn(params string) string {
	u := url.URL{Path: s.path()}
	return "file:" + u.EscapedPath() + "?mode=rw&_pragma=busy_timeout(5000)&_pragma=synchronous(FULL)&" + params
}

// prepare sees to it that the database exists. It is built under another name
// and linked into place, so that no process ever opens half a database.
func (s *Store) prepare() error {
	if s.ready.Load() {
		return nil
	}
	s.create.Lock()
	defer s.create.Unlock()
	if s.ready.Load() {
		return nil
	}
	_, err := os.Stat(s.path())
	if errors.Is(err, fs.ErrNotExist) {
		err = s.build()
	}
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "make the embedded store")
	}
	if err := s.checkVersion(); err != nil {
		return err
	}
	if err := s.addSums(); err != nil {
		return wrap(err, "add checksums to the embedded store")
	}
	s.ready.Store(true)
	return nil
}

func (s *Store) checkVersion() error {
	var version int
	if err := s.read.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return wrap(err, "open the embedded store")
	}
	if version != schemaVersion {
		return fault.New(fault.Unavailable, "", "the embedded store has layout %d; this program knows layout %d", version, schemaVersion)
	}
	return nil
}

const qHasSums = `SELECT count(*) FROM pragma_table_info('part') WHERE name = 'sums'`

// addSums gives a store of before there were checksums the columns for them. A
// program of then goes on working with it, and so the layout keeps its number.
func (s *Store) addSums() error {
	var has bool
	if err := s.read.QueryRow(qHasSums).Scan(&has); has || err != nil {
		return err
	}
	c, err := sqlite.NewConnector(s.dsn(""))
	if err != nil {
		return err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(1)
	defer db.Close() // which rolls back what is not committed
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := db.QueryRow(qHasSums).Scan(&has); has || err != nil {
		return err // another process was faster
	}
	_, err = db.Exec(`ALTER TABLE extent ADD COLUMN sums BLOB; ALTER TABLE part ADD COLUMN sums BLOB; COMMIT`)
	return err
}

func (s *Store) build() error {
	tmp, err := s.files.tempDir()
	if err != nil {
		return err
	}
	name := filepath.Join(tmp, "new-"+random(8)+".db")
	defer func() {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			os.Remove(name + suffix)
		}
	}()
	c, err := sqlite.NewConnector("file:" + (&url.URL{Path: name}).EscapedPath())
	if err != nil {
		return err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil {
		db.Close()
		return err
	}
	if err := db.Close(); err != nil { // moves everything out of the -wal file
		return err
	}
	if err := syncFile(name); err != nil {
		return err
	}
	if err := os.Link(name, s.path()); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFile(s.dir)
}

// stmt returns the prepared form of a query.
func (s *Store) stmt(query string) (*sql.Stmt, error) {
	if v, ok := s.stmts.Load(query); ok {
		return v.(*sql.Stmt), nil
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	st, err := s.read.Prepare(query)
	if err != nil {
		return nil, err
	}
	if v, raced := s.stmts.LoadOrStore(query, st); raced {
		st.Close()
		return v.(*sql.Stmt), nil
	}
	return st, nil
}

// query runs a read. Reads are short and wait for nobody, so the context is
// looked at once, before: watching it would cost a goroutine per call.
func (s *Store) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	st, err := s.stmt(query)
	if err != nil {
		return nil, err
	}
	return st.Query(args...)
}

// queryRow is query for one row; sql.ErrNoRows where there is none.
func (s *Store) queryRow(ctx context.Context, query string, args, dest []any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	st, err := s.stmt(query)
	if err != nil {
		return err
	}
	return st.QueryRow(args...).Scan(dest...)
}

// wrap gives an error of SQLite or the file system its kind: what a later try
// can mend is Unavailable.
func wrap(err error, op string, args ...any) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	kind := fault.Unavailable
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISUSE,
			sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE, sqlite3.SQLITE_TOOBIG:
			kind = fault.Internal
		}
	}
	return fault.Wrap(err, kind, fmt.Sprintf(op, args...))
}

// random returns n random bytes in hex.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// newETag returns the name of a version. Versions are never numbered: a row
// that is deleted and made again must not get an old name.
func newETag() string { return `"0x` + random(8) + `"` }

func now() int64 { return time.Now().UnixMicro() }

func fromMicro(us int64) time.Time { return time.UnixMicro(us).UTC() }
