// Package outside opens the places that callers and experiments name, of every
// kind, and with the credentials of the connections that the settings name.
//
// A connection of the settings belongs to the operator: a caller says its
// name, and what to read or write there, and never sees its password or leads
// it elsewhere. It serves the workspaces that the settings allow it to.
package outside

import (
	"context"
	"io"
	"net/http"
	"slices"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/connect/blob"
	"github.com/portico-ml/portico/shared/connect/hive"
	web "github.com/portico-ml/portico/shared/connect/http"
	"github.com/portico-ml/portico/shared/connect/sql"
	"github.com/portico-ml/portico/shared/connect/table"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/module"
)

// Connection is a place of the settings.
type Connection struct {
	connect.Place
	// Workspaces are the ids of the workspaces that may use it; "*" is all.
	Workspaces []string
}

// Config is what an Outside works with. The zero value of a limit means the
// default beside it.
type Config struct {
	Blobs *blob.Connector
	// Dial and Transport dial callers' addresses: guard's.
	Dial      sql.Dial
	Transport http.RoundTripper
	// Accounts are the hosts of our own storage accounts, which are refused.
	Accounts    []string
	Connections map[string]Connection
	TableBytes  int64 // of a table that is read into memory: 512 MiB
}

// Outside opens places. It is safe for concurrent use.
type Outside struct {
	blobs       *blob.Connector
	tables      *table.Connector
	sql         *sql.Connector
	hive        *hive.Connector
	http        *web.Connector
	connections map[string]Connection
	tableBytes  int64
}

// New returns what opens places.
func New(c Config) *Outside {
	if c.TableBytes <= 0 {
		c.TableBytes = 512 << 20
	}
	return &Outside{
		blobs:       c.Blobs,
		tables:      table.New(table.Config{Transport: c.Transport, Accounts: c.Accounts}),
		sql:         sql.New(c.Dial),
		hive:        hive.New(hive.Config{Dial: hive.Dial(c.Dial), Transport: c.Transport}),
		http:        web.New(web.Config{Transport: c.Transport}),
		connections: c.Connections,
		tableBytes:  c.TableBytes,
	}
}

// resolve completes a place with the connection it names.
func (o *Outside) resolve(ws string, p connect.Place) (connect.Place, error) {
	switch {
	case p.BatchRows < 0:
		return p, fault.Module(2, "BatchRows is %d: it is a number of rows, 0 for what suits the place", p.BatchRows).At("BatchRows")
	case p.ScanRows < 0:
		return p, fault.Module(2, "ScanRows is %d: it is a number of entities, 0 for all", p.ScanRows).At("ScanRows")
	}
	if p.Connection == "" {
		return p, nil
	}
	c, ok := o.connections[p.Connection]
	if !ok || !slices.Contains(c.Workspaces, ws) && !slices.Contains(c.Workspaces, "*") {
		return p, fault.Module(3, "this workspace has no connection %q", frame.Clip([]byte(p.Connection))).At("Connection")
	}
	return p.Over(c.Place)
}

// Source opens a place of a workspace to read it.
func (o *Outside) Source(ws string, p connect.Place) (connect.Source, error) {
	p, err := o.resolve(ws, p)
	if err != nil {
		return nil, err
	}
	switch p.Source {
	case connect.Blob:
		return o.blobs.Source(p)
	case connect.Table:
		return o.tables.Source(p)
	case connect.SQLServer, connect.PostgreSQL, connect.MySQL:
		return o.sql.Source(p)
	case connect.Hive:
		return o.hive.Source(p)
	case connect.HTTP:
		return o.http.Source(p)
	case connect.OData:
		return o.http.Feed(p)
	}
	return nil, unknown(p)
}

// Sink opens a place of a workspace to write it.
func (o *Outside) Sink(ws string, p connect.Place) (connect.Sink, error) {
	p, err := o.resolve(ws, p)
	if err != nil {
		return nil, err
	}
	switch p.Source {
	case connect.Blob:
		return o.blobs.Sink(p)
	case connect.Table:
		return o.tables.Sink(p)
	case connect.SQLServer, connect.PostgreSQL, connect.MySQL:
		return o.sql.Sink(p)
	case connect.Hive:
		return o.hive.Sink(p)
	case connect.HTTP, connect.OData:
		return nil, fault.Module(2, "a place of kind %s is for reading alone", p.Source).At("Source")
	}
	return nil, unknown(p)
}

func unknown(p connect.Place) error {
	return fault.Module(2, "a place of kind %q is not known: it is one of %v", frame.Clip([]byte(p.Source)), connect.Kinds()).At("Source")
}

// For returns what modules of a workspace reach. delivery, where it is not
// empty, names the execution: what it exports is delivered once, however often
// it is repeated.
func (o *Outside) For(ws, delivery string) module.Outside { return &within{o, ws, delivery} }

type within struct {
	o        *Outside
	ws       string
	delivery string
}

func (w *within) Import(ctx context.Context, p connect.Place, pinned frame.Schema) (*frame.Frame, error) {
	src, err := w.o.Source(w.ws, p)
	if err != nil {
		return nil, err
	}
	return connect.ReadAll(ctx, src, pinned, w.o.tableBytes)
}

func (w *within) Export(ctx context.Context, node string, p connect.Place, f *frame.Frame) error {
	to, err := w.o.Sink(w.ws, p)
	if err != nil {
		return err
	}
	delivery := w.delivery
	if delivery != "" {
		delivery += "/" + node
	}
	return connect.Write(ctx, to, f, delivery)
}

func (w *within) Fetch(ctx context.Context, p connect.Place, limit int64) ([]byte, error) {
	p, err := w.o.resolve(w.ws, p)
	if err != nil {
		return nil, err
	}
	switch p.Source {
	case connect.HTTP:
		body, err := w.o.http.Fetch(ctx, p.URL, limit)
		return body, err
	case connect.Blob:
		b, err := w.o.blobs.Open(ctx, blob.ReferenceOf(p), false)
		if err != nil {
			return nil, err
		}
		info, err := b.Head(ctx)
		if err != nil {
			return nil, err
		}
		if info.Size > limit {
			return nil, fault.New(fault.TooLarge, "", "blob %s has %d bytes; at most %d are read", b, info.Size, limit)
		}
		r, err := b.Read(ctx, info.ETag, 0, info.Size)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	return nil, fault.Module(2, "a file is read of a blob or an address, not of a place of kind %s", p.Source).At("Source")
}
