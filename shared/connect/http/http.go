// Package http reads files and data feeds at addresses that callers give.
//
// Addresses are reached through the transport given to New, which is guarded,
// and without credentials. A redirect is refused, whoever it leads to; an
// answer has to come within the limits of time and size, and in full.
package http

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/connect"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame/format"
)

// Config is what a Connector works with. The zero value of a limit means the
// default beside it.
type Config struct {
	Transport http.RoundTripper
	MaxBytes  int64         // of one source: 1 GiB
	Stall     time.Duration // without a byte: 60 s
}

// Connector opens addresses. It is safe for concurrent use.
type Connector struct {
	client *http.Client
	max    int64
	stall  time.Duration
}

// New returns a connector.
func New(c Config) *Connector {
	if c.MaxBytes <= 0 {
		c.MaxBytes = 1 << 30
	}
	if c.Stall <= 0 {
		c.Stall = time.Minute
	}
	return &Connector{max: c.MaxBytes, stall: c.Stall, client: &http.Client{
		Transport:     c.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Source returns the source of the file at the place's URL.
func (c *Connector) Source(p connect.Place) (connect.Source, error) {
	u, err := address(p.URL)
	if err != nil {
		return nil, err
	}
	s := &source{Connector: c, url: u, noHeader: p.NoHeader}
	s.format, s.compression, err = connect.FileFormat(p.FileFormat, u.Path)
	return s, err
}

// address is a URL that can be read. What is wrong is said without the URL,
// which may hold a signature.
func address(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	bad := func(why string) (*url.URL, error) {
		return nil, fault.Module(29, "the URL %s: give the full http or https address of a file", why).At("Url")
	}
	switch {
	case text == "":
		return bad("is not given")
	case err != nil:
		return bad("is not one")
	case u.Scheme != "http" && u.Scheme != "https":
		return bad("is not an http or https address")
	case u.Host == "" || u.Opaque != "":
		return bad("has no host")
	case u.User != nil:
		return bad("has a user in it, which is not sent")
	}
	return u, nil
}

type source struct {
	*Connector
	url         *url.URL
	format      *format.Format
	compression format.Compression
	noHeader    bool
}

// FileFormat is the format of the file.
func (s *source) FileFormat() *format.Format { return s.format }

// Open asks for the file.
func (s *source) Open(ctx context.Context) (*connect.Records, error) {
	body, err := s.get(ctx, s.url, "")
	if err != nil {
		return nil, err
	}
	text, err := connect.Decompress(body, s.compression)
	if err != nil {
		return nil, err
	}
	return &connect.Records{Text: text, Format: s.format, NoHeader: s.noHeader, Release: text.Close}, nil
}

// Fetch reads a whole file. An answer longer than limit is refused.
func (c *Connector) Fetch(ctx context.Context, at string, limit int64) ([]byte, error) {
	u, err := address(at)
	if err != nil {
		return nil, err
	}
	body, err := c.get(ctx, u, "")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fault.New(fault.TooLarge, "", "the file at %s has more than %d bytes, the most that is read", u.Host, limit)
	}
	return content, err
}

// get asks for an address. The body is to be closed.
func (c *Connector) get(ctx context.Context, u *url.URL, accept string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	// Whatever the answer is, it must go on coming.
	watch := time.AfterFunc(c.stall, func() { cancel(errStalled) })
	b := &body{c: c, ctx: ctx, host: u.Host, cancel: cancel, watch: watch, left: c.max}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		b.Close()
		return nil, fault.Module(29, "the URL is not one").At("Url")
	}
	r.Header.Set("User-Agent", "portico")
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		err = b.fail(err)
		b.Close()
		return nil, err
	}
	b.r = resp.Body
	if err := c.refuse(u.Host, resp, accept); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// refuse says why an answer is not the file that was asked for.
func (c *Connector) refuse(host string, resp *http.Response, accept string) error {
	switch code := resp.StatusCode; {
	case code >= 300 && code < 400:
		return fault.Module(78, "%s redirects to another address (status %d): give the address of the file itself", host, code).At("Url")
	case code == http.StatusTooManyRequests || code >= 500:
		return fault.New(fault.Unavailable, "", "%s answered with status %d", host, code)
	case code != http.StatusOK:
		return fault.Module(30, "%s answered with status %d: the file cannot be downloaded", host, code).At("Url")
	case resp.ContentLength > c.max:
		return c.tooLarge(host)
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return fault.Module(30, "%s sends the file in the encoding %q, which was not asked for", host, e).At("Url")
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err == nil && kind == "text/html" && !strings.Contains(accept, "html") {
		return fault.Module(49, "%s answers with a page (text/html) and not with a file of records", host).At("Url")
	}
	return nil
}

func (c *Connector) tooLarge(host string) error {
	return fault.New(fault.TooLarge, "OutOfMemoryLimit", "the file at %s has more than %d bytes, the most that is read", host, c.max)
}

var errStalled = errors.New("the answer stalled")

// body is an answer that is watched.
type body struct {
	c      *Connector
	ctx    context.Context
	host   string
	cancel context.CancelCauseFunc
	watch  *time.Timer
	r      io.ReadCloser
	left   int64
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.watch.Reset(b.c.stall)
	if b.left -= int64(n); b.left < 0 {
		return 0, b.c.tooLarge(b.host)
	}
	if err != nil && err != io.EOF {
		err = b.fail(err)
	}
	return n, err
}

func (b *body) Close() error {
	b.watch.Stop()
	b.cancel(nil)
	if b.r == nil {
		return nil
	}
	return b.r.Close()
}

// fail gives an error its kind: what another try may not meet is
// fault.Unavailable.
func (b *body) fail(err error) error {
	if errors.Is(context.Cause(b.ctx), errStalled) {
		return fault.Module(72, "%s sent nothing for %v", b.host, b.c.stall).At("Url")
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return fault.Wrap(e, fault.Unavailable, "reach "+b.host) // guard's refusal
	}
	if cerr := b.ctx.Err(); cerr != nil {
		return fault.Wrap(cerr, fault.Unavailable, "reach "+b.host)
	}
	if why := connect.Unreachable(b.host, err); why != "" {
		return fault.Module(30, "%s", why).At("Url")
	}
	e := fault.Of(fault.Wrap(err, fault.Unavailable, "read an address"))
	e.Msg = "the file at " + b.host + " could not be read in full"
	return e
}
