package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/portico-ml/portico/shared/fault"
)

const (
	// busyTimeout is how long a write waits for the other processes.
	busyTimeout = 5 * time.Second
	// busyPoll is the pause between two tries for the lock. SQLite's own
	// pauses grow to 100 ms, in which a busy process has long taken the lock
	// again.
	busyPoll = time.Millisecond
	// After turn of writing without a break a process leaves the lock alone
	// for yield, so that one that polls is sure to get it.
	turn  = 50 * time.Millisecond
	yield = 3 * time.Millisecond
	// maxBatch bounds the writes that share a transaction.
	maxBatch = 128
)

// A writer runs the writes of this process, one transaction at a time. The
// writes that arrive while a transaction is being synced share the next one,
// each in a savepoint of its own.
type writer struct {
	store    *Store
	requests chan *request
	quit     chan struct{}
	start    sync.Once
	stopOnce sync.Once
	done     sync.WaitGroup

	// Of the goroutine alone.
	db    *sql.DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	since time.Time // when it last began after leaving the lock alone
	last  time.Time // when it last let go of the lock
}

type request struct {
	fn   func(*tx) error
	err  error
	done chan struct{}
}

// tx is the transaction a write runs in.
type tx struct{ w *writer }

func newWriter(s *Store) *writer {
	return &writer{store: s, requests: make(chan *request), quit: make(chan struct{}), stmts: make(map[string]*sql.Stmt)}
}

var errClosed = fault.New(fault.Unavailable, "", "the embedded store is closed")

// do runs fn in a transaction and returns when its outcome is known: nil only
// when it is durable. An error of fn undoes what fn did, and nothing else.
func (w *writer) do(ctx context.Context, fn func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.start.Do(func() { w.done.Go(w.run) })
	r := &request{fn: fn, done: make(chan struct{})}
	select {
	case w.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return errClosed
	}
	<-r.done
	return r.err
}

func (w *writer) stop() error {
	w.stopOnce.Do(func() { close(w.quit) })
	w.start.Do(func() {})
	w.done.Wait()
	return w.disconnect()
}

func (w *writer) run() {
	for {
		select {
		case <-w.quit:
			return
		case r := <-w.requests:
			w.batch(w.gather(r))
			w.store.maybeSweep()
		}
	}
}

// gather adds to first the requests that are waiting already.
func (w *writer) gather(first *request) []*request {
	batch := []*request{first}
	for len(batch) < maxBatch {
		select {
		case r := <-w.requests:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// batch runs the requests in one transaction and tells each its outcome.
func (w *writer) batch(batch []*request) {
	err := w.begin()
	if err == nil {
		for _, r := range batch {
			if err = w.runOne(r); err != nil {
				break
			}
		}
		if err == nil {
			err = w.exec("COMMIT")
		}
	}
	if err != nil {
		// The connection may be in the middle of a transaction: drop both.
		err = errors.Join(err, w.disconnect())
	}
	w.last = time.Now()
	for _, r := range batch {
		if err != nil {
			r.err = err
		}
		close(r.done)
	}
}

// runOne runs a request in a savepoint. Its result is an error only where the
// transaction as a whole is lost.
func (w *writer) runOne(r *request) error {
	if err := w.exec("SAVEPOINT one"); err != nil {
		return err
	}
	if r.err = r.fn(&tx{w}); r.err != nil {
		if err := w.exec("ROLLBACK TO one"); err != nil {
			return errors.Join(r.err, err)
		}
	}
	return w.exec("RELEASE one")
}

// begin takes the write lock.
func (w *writer) begin() error {
	if err := w.connect(); err != nil {
		return err
	}
	if now := time.Now(); now.Sub(w.last) >= yield {
		w.since = now
	} else if now.Sub(w.since) > turn {
		time.Sleep(yield)
		w.since = time.Now()
	}
	for deadline := time.Now().Add(busyTimeout); ; time.Sleep(busyPoll) {
		err := w.exec("BEGIN IMMEDIATE")
		if e, ok := errors.AsType[*sqlite.Error](err); !ok || e.Code()&0xff != sqlite3.SQLITE_BUSY || time.Now().After(deadline) {
			return err
		}
	}
}

func (w *writer) connect() error {
	if w.conn != nil {
		return nil
	}
	if err := w.store.prepare(); err != nil {
		return err
	}
	c, err := sqlite.NewConnector(w.store.dsn(""))
	if err != nil {
		return err
	}
	w.db = sql.OpenDB(c)
	if w.conn, err = w.db.Conn(context.Background()); err != nil {
		w.db.Close()
		return err
	}
	return w.exec("PRAGMA busy_timeout = 0") // begin does the waiting
}

func (w *writer) disconnect() error {
	if w.conn == nil {
		return nil
	}
	for q, st := range w.stmts {
		st.Close()
		delete(w.stmts, q)
	}
	// Closing a connection of SQLite rolls back; database/sql only puts it
	// back into its pool, which the close of the pool empties.
	err := errors.Join(w.conn.Close(), w.db.Close())
	w.conn, w.db = nil, nil
	return err
}

func (w *writer) stmt(query string) (*sql.Stmt, error) {
	if st, ok := w.stmts[query]; ok {
		return st, nil
	}
	st, err := w.conn.PrepareContext(context.Background(), query)
	if err == nil {
		w.stmts[query] = st
	}
	return st, err
}

func (w *writer) exec(query string) error {
	_, err := (&tx{w}).exec(query)
	return err
}

// exec runs a statement and returns the number of rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	st, err := t.w.stmt(query)
	if err != nil {
		return 0, err
	}
	res, err := st.Exec(args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// row reads one row; sql.ErrNoRows where there is none.
func (t *tx) row(query string, args, dest []any) error {
	st, err := t.w.stmt(query)
	if err != nil {
		return err
	}
	return st.QueryRow(args...).Scan(dest...)
}

// each reads rows into dest and calls fn after each.
func (t *tx) each(query string, args, dest []any, fn func() error) error {
	st, err := t.w.stmt(query)
	if err != nil {
		return err
	}
	rows, err := st.Query(args...)
	return scan(rows, err, dest, fn)
}

// scan reads rows into dest and calls fn after each.
func scan(rows *sql.Rows, err error, dest []any, fn func() error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		if err := fn(); err != nil {
			return err
		}
	}
	return rows.Err()
}
