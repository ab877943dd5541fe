package hive

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
)

// transport carries one call at a time.
type transport interface {
	// call sends a message and gives what the answer is read from.
	call(ctx context.Context, method string, message []byte) (fields, error)
	close()
}

// endpoint is where a HiveServer2 listens.
type endpoint struct {
	url     *url.URL // http and https
	address string   // host:port, for the others
	host    string
	plain   bool // SASL PLAIN; otherwise none
}

// parseURL reads the address of a server: https://host/path (the way of
// HDInsight; the path is /hive2 there, /cliservice elsewhere), or
// hive2://host:port, with /;auth=noSasl for a server without authentication.
func parseURL(text string) (*endpoint, error) {
	bad := func(why string) (*endpoint, error) {
		return nil, fault.Module(29, "the address of HiveServer2 %s: give https://host/hive2, or hive2://host:10000", why).At("Url")
	}
	u, err := url.Parse(strings.TrimPrefix(strings.TrimSpace(text), "jdbc:"))
	if err != nil {
		return bad("is not one")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Hostname() == "" {
		return bad("has more than a host, a port and a path")
	}
	e := &endpoint{host: u.Hostname()}
	switch u.Scheme {
	case "http", "https":
		if strings.Trim(u.Path, "/") == "" {
			u.Path = "/cliservice"
			if strings.HasSuffix(e.host, ".azurehdinsight.net") {
				u.Path = "/hive2"
			}
		}
		e.url = u
	case "hive2":
		port := u.Port()
		if port == "" {
			port = "10000"
		}
		e.address, e.plain = net.JoinHostPort(e.host, port), true
		for _, option := range strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' || r == ';' }) {
			if !strings.EqualFold(option, "auth=noSasl") {
				return bad("has a part that is not known: the database is a parameter of its own, and the only option is auth=noSasl")
			}
			e.plain = false
		}
	default:
		return bad("is of another scheme")
	}
	return e, nil
}

// errRefused says that the server refused who asks.
type errRefused struct{ text string }

func (e *errRefused) Error() string { return e.text }

// overHTTP posts each call.
type overHTTP struct {
	client         *http.Client
	url            string
	user, password string
}

func (t *overHTTP) call(ctx context.Context, method string, message []byte) (fields, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-thrift")
	r.SetBasicAuth(t.user, t.password)
	resp, err := t.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return nil, &errRefused{fmt.Sprintf("status %d", code)}
	case code >= 300 && code < 400:
		return nil, fault.Module(78, "the server redirects to another address (status %d)", code).At("Url")
	case code >= 400 && code < 500:
		return nil, fault.Module(29, "the server answered with status %d: is the path of its address right?", code).At("Url")
	case code != http.StatusOK:
		return nil, fault.New(fault.Unavailable, "", "the server answered with status %d", code)
	}
	return newReader(resp.Body).message(method)
}

func (t *overHTTP) close() { t.client.CloseIdleConnections() }

// overTCP sends messages on one connection: as they are, or in the frames of
// SASL.
type overTCP struct {
	conn   net.Conn
	framed bool
	in     *reader
}

// States of the SASL handshake.
const (
	saslStart    = 1
	saslOK       = 2
	saslBad      = 3
	saslError    = 4
	saslComplete = 5
)

// connectWithin bounds connecting and logging in.
const connectWithin = 30 * time.Second

func (c *Connector) connect(ctx context.Context, e *endpoint, s *server) (transport, error) {
	if e.url != nil {
		return &overHTTP{c.client, e.url.String(), s.User, s.Password}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	conn, err := c.dial(ctx, "tcp", e.address)
	if err != nil {
		return nil, err
	}
	t := &overTCP{conn: conn}
	stop := t.watch(ctx)
	defer stop()
	if !s.Unencrypted {
		secure := tls.Client(conn, &tls.Config{ServerName: e.host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.AnyCertificate})
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		t.conn = secure
	}
	if e.plain {
		if err := t.login(s.User, s.Password); err != nil {
			conn.Close()
			return nil, err
		}
	}
	if t.framed = e.plain; t.framed {
		t.in = newReader(&frames{r: t.conn})
	} else {
		t.in = newReader(t.conn)
	}
	return t, nil
}

// watch ends what waits on the connection with ctx.
func (t *overTCP) watch(ctx context.Context) (stop func()) {
	end := context.AfterFunc(ctx, func() { _ = t.conn.SetDeadline(time.Unix(1, 0)) })
	return func() { end() }
}

func (t *overTCP) login(user, password string) error {
	if user == "" {
		user = "anonymous" // PLAIN wants one, and servers without authentication any
	}
	if password == "" {
		password = "anonymous"
	}
	var b []byte
	for _, m := range []struct {
		state   byte
		payload string
	}{{saslStart, "PLAIN"}, {saslOK, "\x00" + user + "\x00" + password}} {
		b = append(b, m.state)
		b = binary.BigEndian.AppendUint32(b, uint32(len(m.payload)))
		b = append(b, m.payload...)
	}
	if _, err := t.conn.Write(b); err != nil {
		return err
	}
	for {
		var head [5]byte
		if _, err := io.ReadFull(t.conn, head[:]); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(head[1:])
		if n > 1<<16 {
			return errThrift
		}
		said := make([]byte, n)
		if _, err := io.ReadFull(t.conn, said); err != nil {
			return err
		}
		switch head[0] {
		case saslOK:
		case saslComplete:
			return nil
		case saslBad, saslError:
			return &errRefused{string(said)}
		default:
			return errThrift
		}
	}
}

func (t *overTCP) call(ctx context.Context, method string, message []byte) (fields, error) {
	stop := t.watch(ctx)
	defer stop()
	if t.framed {
		message = append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)
	}
	if _, err := t.conn.Write(message); err != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	f, err := t.in.message(method)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return f, err
}

func (t *overTCP) close() { t.conn.Close() }

// frames reads the content of frames: a length, and so many bytes.
type frames struct {
	r    io.Reader
	left uint32
}

func (f *frames) Read(p []byte) (int, error) {
	for f.left == 0 {
		var head [4]byte
		if _, err := io.ReadFull(f.r, head[:]); err != nil {
			return 0, err
		}
		f.left = binary.BigEndian.Uint32(head[:])
	}
	n, err := f.r.Read(p[:min(len(p), int(f.left))])
	f.left -= uint32(n)
	return n, err
}
