// Package hive reads from and writes to HiveServer2, over HTTP as HDInsight
// serves it and over its binary transport, with its own small client of the
// Thrift service.
//
// A source is a query. A sink is a table: one that we make is partitioned by
// portico_job, and a delivery first drops the partition of its name, so that
// repeating it leaves each row once. A table without such a partition column
// is appended to, and a delivery that is repeated may leave rows twice.
//
// Servers are reached by the dialler and the transport given to New, which are
// guarded.
package hive

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
)

// Dial opens a connection: guard's DialContext.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Config is what a Connector works with.
type Config struct {
	Dial      Dial
	Transport http.RoundTripper
}

// Connector opens servers. It is safe for concurrent use.
type Connector struct {
	dial   Dial
	client *http.Client
}

// New returns a connector.
func New(c Config) *Connector {
	return &Connector{dial: c.Dial, client: &http.Client{
		Transport:     c.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Source returns the source of the place's Query.
func (c *Connector) Source(p connect.Place) (connect.Source, error) {
	s, err := c.server(p)
	if err != nil {
		return nil, err
	}
	return &source{s}, p.Need("Query", p.Query)
}

// server is a HiveServer2 to connect to.
type server struct {
	connect.Place
	c  *Connector
	at *endpoint
}

func (c *Connector) server(p connect.Place) (*server, error) {
	if err := p.Need("Url", p.URL); err != nil {
		return nil, err
	}
	at, err := parseURL(p.URL)
	return &server{p, c, at}, err
}

// session is an open session of a server.
type session struct {
	*server
	t      transport
	seq    int32
	handle []byte
}

// Codes of a status.
const (
	statusSuccess     = 0
	statusSuccessInfo = 1
	statusRunning     = 2
)

// protocol is HIVE_CLI_SERVICE_PROTOCOL_V6, the first whose results come by
// column.
const protocol = 5

func (s *server) open(ctx context.Context) (*session, error) {
	t, err := s.c.connect(ctx, s.at, s)
	if err != nil {
		return nil, s.fail(ctx, "connect", err)
	}
	x := &session{server: s, t: t}
	resp, err := x.call(ctx, "OpenSession", func(w *writer) {
		w.fieldI32(1, protocol)
		w.fieldText(2, s.User)
		w.fieldText(3, s.Password)
		conf := []string{"set:hiveconf:hive.resultset.use.unique.column.names", "false"}
		if s.Database != "" {
			conf = append(conf, "use:database", s.Database)
		}
		w.fieldMap(4, conf...)
	})
	if err != nil {
		t.close()
		return nil, err
	}
	if v := resp.num(2); v < protocol {
		t.close()
		return nil, fault.Module(68, "HiveServer2 %s is too old: its protocol is %d, needed is %d (Hive 0.13)", s.at.host, v, protocol)
	}
	x.handle = resp.child(3).encode(nil)
	return x, nil
}

// close ends the session, if the server still listens.
func (x *session) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, _ = x.call(ctx, "CloseSession", func(w *writer) { w.fieldRaw(1, x.handle) }) // the server forgets it of itself, later
	x.t.close()
}

// call makes a call: the request is a struct, the answer has a status.
func (x *session) call(ctx context.Context, method string, request func(*writer)) (fields, error) {
	x.seq++
	w := &writer{}
	w.i32(math.MinInt32 | version&0x7fffffff | kindCall)
	w.text(method)
	w.i32(x.seq)
	w.field(tStruct, 1)
	request(w)
	w.stop()
	w.stop()
	resp, err := x.t.call(ctx, method, w.b)
	if err == nil {
		status := resp.child(1)
		if code := status.num(1); status == nil {
			err = errThrift
		} else if code != statusSuccess && code != statusSuccessInfo && code != statusRunning {
			err = &serverError{status.text(5)}
		}
	}
	return resp, x.fail(ctx, method, err)
}

// States of an operation.
const (
	stateFinished = 2
	stateCanceled = 3
	stateClosed   = 4
	stateError    = 5
	stateTimedOut = 8
)

// run executes a statement and waits for its end.
func (x *session) run(ctx context.Context, statement string) (operation []byte, err error) {
	resp, err := x.call(ctx, "ExecuteStatement", func(w *writer) {
		w.fieldRaw(1, x.handle)
		w.fieldText(2, statement)
		w.fieldTrue(4) // asynchronous
	})
	if err != nil {
		return nil, err
	}
	operation = resp.child(2).encode(nil)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		resp, err := x.call(ctx, "GetOperationStatus", func(w *writer) { w.fieldRaw(1, operation) })
		if err != nil {
			return nil, err
		}
		switch state := resp.num(2); state {
		case stateFinished:
			return operation, nil
		case stateCanceled, stateClosed, stateTimedOut:
			return nil, fault.Module(68, "HiveServer2 %s ended the statement (state %d)", x.at.host, state)
		case stateError:
			return nil, x.fail(ctx, "the statement", &serverError{resp.text(5)})
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			x.cancel(ctx, operation)
			return nil, fault.Wrap(ctx.Err(), fault.Canceled, "wait for HiveServer2")
		}
	}
}

func (x *session) cancel(ctx context.Context, operation []byte) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, _ = x.call(ctx, "CancelOperation", func(w *writer) { w.fieldRaw(1, operation) }) // it ends with the session otherwise
}

// do executes a statement that gives no rows.
func (x *session) do(ctx context.Context, statement string) error {
	operation, err := x.run(ctx, statement)
	if err != nil {
		return err
	}
	_, err = x.call(ctx, "CloseOperation", func(w *writer) { w.fieldRaw(1, operation) })
	return err
}

// fail gives an error its kind and a text without secrets.
func (s *server) fail(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	where := "HiveServer2 " + s.at.host
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return fault.Wrap(e, fault.Unavailable, "reach "+where)
	}
	if said, ok := errors.AsType[*serverError](err); ok {
		return fault.Module(68, "%s: %s", where, s.clean(plain(said.text)))
	}
	if _, ok := errors.AsType[*errRefused](err); ok {
		return fault.Module(71, "%s refuses the user or the password", where).At("Password")
	}
	if cerr := ctx.Err(); cerr != nil {
		return fault.Wrap(cerr, fault.Unavailable, doing)
	}
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fault.Module(29, "there is no host %s", s.at.host).At("Url")
	case errors.As(err, &cert):
		return fault.Module(71, "%s: its certificate is not trusted: use its own name, or accept any certificate", where).At("Url")
	case errors.As(err, &record):
		return fault.Module(71, "%s does not encrypt connections: say so where it is meant to be so", where).At("Url")
	case errors.Is(err, errThrift):
		return fault.Module(68, "%s: %s", where, err.Error())
	}
	e := fault.Of(fault.Wrap(err, fault.Unavailable, doing))
	e.Msg = where + ": " + doing + ": it does not answer as it should"
	if s.clean(e.Error()) != e.Error() {
		e.Err = errors.New("the cause quotes a secret and is withheld")
	}
	return e
}

// javaNames are what a server puts before what it has to say: the classes of
// its exceptions, and where it caught them.
var javaNames = sync.OnceValue(func() *regexp.Regexp { // not before one is needed: the program starts in milliseconds
	return regexp.MustCompile(`^\s*(?:[\w.$]+(?:Exception|Error)|Error (?:running query|while \w+ statement)|\[[A-Z_.]+\](?:\s+[\w.$]+(?:Exception|Error))):?\s+`)
})

// values are cells in a server's message.
var values = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(value):? '(?:[^']|'')*'`)
})

// maxSaid is how much of a server's message is shown.
const maxSaid = 300

// plain is what a server says for people: one line, without classes before it,
// the stack behind it, and cells in it.
func plain(text string) string {
	for {
		cut := javaNames().FindString(text)
		if cut == "" {
			break
		}
		text = text[len(cut):]
	}
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = values().ReplaceAllString(text, "$1")
	if len(text) > maxSaid {
		text = text[:maxSaid] + "…"
	}
	return strings.ToValidUTF8(text, "?")
}

func (s *server) clean(text string) string {
	for _, secret := range s.Secrets() {
		if strings.Contains(text, secret) {
			return "the message quotes a secret and is withheld"
		}
	}
	return text
}

type source struct{ *server }

// Open runs the query.
func (s *source) Open(ctx context.Context) (*connect.Records, error) {
	x, err := s.server.open(ctx)
	if err != nil {
		return nil, err
	}
	r, err := x.query(ctx, strings.TrimRight(strings.TrimSpace(s.Query), ";"))
	if err != nil {
		x.close(ctx)
		return nil, err
	}
	return &connect.Records{
		Schema: r.into.Schema(), Next: r.next,
		Release: func() error {
			x.close(ctx)
			return nil
		},
	}, nil
}

// fetchRows is how many rows are asked for at once.
const fetchRows = 10_000

// rows are the result of a query.
type rows struct {
	*session
	operation []byte
	into      *frame.Frame
	row       int64
	done      bool
}

func (x *session) query(ctx context.Context, statement string) (*rows, error) {
	operation, err := x.run(ctx, statement)
	if err != nil {
		return nil, err
	}
	resp, err := x.call(ctx, "GetResultSetMetadata", func(w *writer) { w.fieldRaw(1, operation) })
	if err != nil {
		return nil, err
	}
	schema, err := schemaOf(resp.child(2))
	if err != nil {
		return nil, err
	}
	if len(schema) == 0 {
		return nil, fault.Module(68, "the statement gives no rows: a source is a query").At("Query")
	}
	l, err := frame.NewLayout(schema)
	if err != nil {
		return nil, fault.Module(17, "%v", err)
	}
	return &rows{session: x, operation: operation, into: l.New(fetchRows)}, nil
}

func (r *rows) next(ctx context.Context) (*frame.Frame, error) {
	if r.done {
		return nil, io.EOF
	}
	resp, err := r.call(ctx, "FetchResults", func(w *writer) {
		w.fieldRaw(1, r.operation)
		w.fieldI32(2, 0) // next
		w.fieldI64(3, fetchRows)
	})
	if err != nil {
		return nil, err
	}
	columns := resp.child(3).children(3)
	r.into.Reset()
	if len(columns) != len(r.into.Cols) {
		if len(columns) == 0 {
			r.done = true
			return nil, io.EOF
		}
		return nil, r.fail(ctx, "read the query", errThrift)
	}
	for i, c := range columns {
		if err := r.column(r.into.Cols[i], c); err != nil {
			return nil, err
		}
		if r.into.Cols[i].Len() != r.into.Cols[0].Len() {
			return nil, r.fail(ctx, "read the query", errThrift)
		}
	}
	// hasMoreRows is not to be trusted: the end is an answer without rows.
	n := r.into.Rows()
	if r.row += int64(n); n == 0 {
		r.done = true
		return nil, io.EOF
	}
	return r.into, nil
}
