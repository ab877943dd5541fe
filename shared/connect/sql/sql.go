// Package sql reads from and writes to SQL Server and Azure SQL Database,
// PostgreSQL, and MySQL or MariaDB.
//
// A source is a query. A sink is a table, which is made where it does not
// exist; all rows of a delivery are written in one transaction, together with
// a row in the table portico_delivered of the same database, so that a
// delivery is made whole, and once however often it is repeated.
//
// Servers are dialled by the dialler given to New, which is guarded, and the
// drivers' own settings in the environment and in files count for nothing.
package sql

import (
	"context"
	"database/sql"
	"net"
	"time"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
)

// Dial opens a connection: guard's DialContext.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Connector opens databases. It is safe for concurrent use.
type Connector struct{ dial Dial }

// New returns a connector that dials with dial.
func New(dial Dial) *Connector { return &Connector{dial} }

// Source returns the source of the place's Query.
func (c *Connector) Source(p connect.Place) (connect.Source, error) {
	s, err := c.server(p)
	if err != nil {
		return nil, err
	}
	if err := p.Need("Query", p.Query); err != nil {
		return nil, err
	}
	return &source{s}, nil
}

// Sink returns the sink of the place's Table: its own name or one with its
// schema, each in the database's quotes where it has to be.
func (c *Connector) Sink(p connect.Place) (connect.Sink, error) {
	s, err := c.server(p)
	if err != nil {
		return nil, err
	}
	if err := p.Need("Table", p.Table); err != nil {
		return nil, err
	}
	t := &sink{server: s}
	if t.table, err = parseName(p.Table, s.dialect); err != nil {
		return nil, err
	}
	if len(p.TableColumns) > 0 && len(p.Columns) != len(p.TableColumns) {
		return nil, fault.Module(20, "%d columns are to be saved and %d columns of the table are named: name one for each", len(p.Columns), len(p.TableColumns)).At("TableColumns")
	}
	return t, nil
}

// server is a database to connect to.
type server struct {
	connect.Place
	dialect
	dial Dial
}

func (c *Connector) server(p connect.Place) (*server, error) {
	d, ok := dialects[p.Source]
	if !ok {
		return nil, fault.Module(2, "%s is not a kind of SQL database", p.Source).At("Source")
	}
	if err := p.Need("Server", p.Server, "Database", p.Database, "User", p.User); err != nil {
		return nil, err
	}
	s := &server{p, d, c.dial}
	if _, _, err := s.address(); err != nil {
		return nil, err
	}
	return s, nil
}

// Deadlines of talking to a server. A lock that another holds is no reason to
// hold on to a connection: what waits for it is tried again later.
const (
	connectWithin = 15 * time.Second
	lockWithin    = 30 * time.Second
)

// session is one connection to a server, with the pool that the driver demands.
type session struct {
	*sql.Conn
	db *sql.DB
}

// Close leaves the server. The pool alone would not do: it forgets a connection
// that is in use, and the server keeps it.
func (s *session) Close() {
	_ = s.Conn.Close() // what was read was read: no error of leaving matters
	_ = s.db.Close()
}

// open connects; the session is the caller's to close.
func (s *server) open(ctx context.Context) (*session, error) {
	connector, err := s.connector(s)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	first, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	conn, err := db.Conn(first)
	if err != nil {
		db.Close()
		return nil, s.fail(ctx, 15, "connect to the database", err)
	}
	opened := &session{conn, db}
	if err := conn.PingContext(first); err != nil {
		opened.Close()
		return nil, s.fail(ctx, 15, "connect to the database", err)
	}
	return opened, nil
}
