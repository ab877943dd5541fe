package sqltable

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/module"
)

const (
	// maxMemory bounds, each for itself, a script's tables, what it makes
	// besides, and its result.
	maxMemory = 1 << 30
	pageSize  = 4096
	// maxCell is the largest text that a script may make.
	maxCell = 64 << 20
)

// dsn opens a database on the VFS that keeps everything in memory, temporary
// files included, each at most 1 GiB: nothing that SQLite opens can be a file.
const dsn = "file:script?vfs=memdb&_defensive=1&_pragma=journal_mode(off)&_pragma=synchronous(off)"

// engine is a SQLite driver whose random numbers begin anew with each session.
// SQLite keeps what a driver registers for ever, so engines are used again.
type engine struct {
	driver sqlite.Driver
	rng    *rand.PCG
}

var engines struct {
	sync.Mutex
	idle []*engine
}

func takeEngine() (*engine, error) {
	engines.Lock()
	defer engines.Unlock()
	if n := len(engines.idle); n > 0 {
		e := engines.idle[n-1]
		engines.idle = engines.idle[:n-1]
		e.rng.Seed(0, 0)
		return e, nil
	}
	e := &engine{rng: rand.NewPCG(0, 0)}
	err := errors.Join(
		e.driver.RegisterScalarFunction("random", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
			return int64(e.rng.Uint64()), nil
		}),
		e.driver.RegisterScalarFunction("randomblob", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			n, ok := args[0].(int64)
			if !ok || n > maxCell {
				return nil, fmt.Errorf("randomblob takes a number of bytes, at most %d", maxCell)
			}
			b := make([]byte, max(n, 1))
			for i := range b {
				b[i] = byte(e.rng.Uint64())
			}
			return b, nil
		}),
	)
	return e, err
}

func (e *engine) put() {
	engines.Lock()
	defer engines.Unlock()
	engines.idle = append(engines.idle, e)
}

// Connect and Driver make engine a driver.Connector.
func (e *engine) Connect(context.Context) (driver.Conn, error) { return e.driver.Open(dsn) }

func (e *engine) Driver() driver.Driver { return &e.driver }

// database is one connection to a database of its own.
type database struct {
	conn   driver.Conn
	denied string // what the guard refused last
}

// session runs f on a new database.
func session(ctx context.Context, f func(*database) error) error {
	e, err := takeEngine()
	if err != nil {
		return err
	}
	defer e.put()
	db := sql.OpenDB(e)
	defer db.Close() //nolint:errcheck // nothing is kept
	conn, err := db.Conn(ctx)
	if err != nil {
		return cmp.Or(stopped(ctx), err)
	}
	defer conn.Close() //nolint:errcheck // nothing is kept
	for id, n := range map[int]int{
		sqlite3.SQLITE_LIMIT_LENGTH: maxCell, sqlite3.SQLITE_LIMIT_ATTACHED: 0, sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
	} {
		if _, err := sqlite.Limit(conn, id, n); err != nil {
			return err
		}
	}
	var failed error
	err = conn.Raw(func(c any) error {
		d := &database{conn: c.(driver.Conn)}
		setup := fmt.Sprintf("PRAGMA main.max_page_count=%d; PRAGMA temp.max_page_count=%d", maxMemory/pageSize, maxMemory/pageSize)
		if failed = d.exec(ctx, setup); failed == nil {
			failed = f(d)
		}
		return nil // the error of f is no reason to open another connection
	})
	return errors.Join(failed, err)
}

// guard lets the statements from now on do only what a script may. see, which
// may be nil, is told of every action.
func (db *database) guard(see func(action sqlite.AuthorizerActionCode, arg1, arg2, database, trigger string)) error {
	return db.conn.(sqlite.AuthorizerRegisterer).RegisterAuthorizer(func(action sqlite.AuthorizerActionCode, arg1, arg2, name, trigger string) sqlite.AuthorizerReturnCode {
		if see != nil {
			see(action, arg1, arg2, name, trigger)
		}
		if what := refused(action, arg2); what != "" {
			db.denied = what
			return sqlite.AuthorizerDeny
		}
		return sqlite.AuthorizerOK
	})
}

// refused names what a script may not do; "" for what it may.
func refused(action sqlite.AuthorizerActionCode, arg2 string) string {
	switch action {
	case sqlite.AuthSelect, sqlite.AuthRead, sqlite.AuthRecursive,
		sqlite.AuthCreateTable, sqlite.AuthCreateTempTable, sqlite.AuthCreateView, sqlite.AuthCreateTempView, sqlite.AuthCreateIndex, sqlite.AuthCreateTempIndex,
		sqlite.AuthDropTable, sqlite.AuthDropTempTable, sqlite.AuthDropView, sqlite.AuthDropTempView, sqlite.AuthDropIndex, sqlite.AuthDropTempIndex,
		sqlite.AuthInsert, sqlite.AuthUpdate, sqlite.AuthDelete, sqlite.AuthAlterTable, sqlite.AuthReindex, sqlite.AuthAnalyze:
		return ""
	case sqlite.AuthFunction:
		if strings.EqualFold(arg2, "load_extension") || strings.EqualFold(arg2, "fts3_tokenizer") {
			return "function " + strings.ToLower(arg2)
		}
		return ""
	case sqlite.AuthAttach, sqlite.AuthDetach:
		return "ATTACH, DETACH or VACUUM"
	case sqlite.AuthPragma:
		return "PRAGMA"
	case sqlite.AuthTransaction, sqlite.AuthSavepoint:
		return "a transaction"
	case sqlite.AuthCreateVTable, sqlite.AuthDropVTable:
		return "a virtual table"
	case sqlite.AuthCreateTrigger, sqlite.AuthCreateTempTrigger, sqlite.AuthDropTrigger, sqlite.AuthDropTempTrigger:
		return "a trigger"
	}
	return "this"
}

func (db *database) exec(ctx context.Context, text string) error {
	_, err := db.conn.(driver.ExecerContext).ExecContext(ctx, text, nil)
	return db.failure(ctx, err)
}

func (db *database) query(ctx context.Context, text string) (driver.Rows, error) {
	rows, err := db.conn.(driver.QueryerContext).QueryContext(ctx, text, nil)
	return rows, db.failure(ctx, err)
}

// describe returns the columns that a statement gives, without running it.
func (db *database) describe(text string) ([]sqlite.ColumnInfo, error) {
	info, err := db.conn.(interface {
		ColumnInfo(query string) ([]sqlite.ColumnInfo, error)
	}).ColumnInfo(text)
	return info, db.failure(context.Background(), err)
}

// next reads a row into values and reports whether there was one.
func next(rows driver.Rows, values []driver.Value) (bool, error) {
	switch err := rows.Next(values); err {
	case nil:
		return true, nil
	case io.EOF:
		return false, nil
	default:
		return false, module.Errorf(69, "%s", message(err))
	}
}

// failure makes SQLite's error one that names its rule.
func (db *database) failure(ctx context.Context, err error) error {
	var e *sqlite.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return stopped(ctx)
	case !errors.As(err, &e):
		return module.Errorf(69, "%s", message(err))
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_AUTH:
		return module.Errorf(69, "%s is not allowed in an SQL script", db.denied)
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR:
		return tooLarge("what it makes")
	case sqlite3.SQLITE_TOOBIG:
		return module.Errorf(138, "the SQL script makes a value of more than %d MiB", maxCell>>20)
	}
	return module.Errorf(69, "%s", message(err))
}

// stopped says why a script ended before its end; nil where it did not.
func stopped(ctx context.Context) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return module.Errorf(69, "the SQL script was stopped: it took too long").Because(err)
	default:
		return fault.Of(err)
	}
}

func tooLarge(what string) error {
	return module.Errorf(138, "the SQL script needs too much memory: %s is larger than %d MiB", what, maxMemory>>20)
}

// message is SQLite's own message: the driver puts the kind of error before it
// and its number behind.
func message(err error) string {
	text := strings.TrimPrefix(err.Error(), "SQL logic error: ")
	if i := strings.LastIndex(text, " ("); i > 0 && strings.HasSuffix(text, ")") {
		text = text[:i]
	}
	return text
}
