// Package client speaks to a Portico server over HTTP, as its command line
// does: calls with the server's own patience, files by signed link, and the
// finding of ids by names.
//
// A call that the server had no room for (503, 429) is made again after as long
// as the server asks for; one whose answer was lost, where doing it twice is
// doing it once. What is given up is one of three errors: *Refused where the
// server answered, *Unreachable where it did not, *Garbled where what answered
// was no Portico. None of them holds a key, a token or a signature.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
)

// maxAnswer bounds the documents of a server. Files are streams without bound.
const maxAnswer = 256 << 20

// Client speaks to one server. It is safe for concurrent use.
type Client struct {
	base     string
	http     *http.Client
	patience time.Duration
	waiting  func(why string, pause time.Duration)
	sleep    func(context.Context, time.Duration) error
}

// Options of a Client.
type Options struct {
	// HTTP makes the calls; it follows no redirect.
	HTTP *http.Client
	// Patience is how long a call waits in all for a server that is busy or
	// away.
	Patience time.Duration
	// Waiting, where set, is told of each pause and its reason.
	Waiting func(why string, pause time.Duration)
}

// New returns a client of the server at an address, scheme://host[:port].
func New(server string, o Options) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the server's address %.100q is not http://host[:port] or https://host[:port]", server)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("the server's address has more than scheme, host and port")
	}
	if o.Waiting == nil {
		o.Waiting = func(string, time.Duration) {}
	}
	return &Client{base: u.Scheme + "://" + u.Host, http: o.HTTP, patience: o.Patience, waiting: o.Waiting, sleep: sleep}, nil
}

// Base is the server's address.
func (c *Client) Base() string { return c.base }

// Call is one request.
type Call struct {
	Method string
	// Path is below the server's address and begins with a slash, or is a
	// signed address.
	Path   string
	Bearer string
	Header map[string]string
	// Body gives the body for each try; nil for none.
	Body func() (body io.Reader, size int64, err error)
	// Type is the media type of the body; empty: JSON.
	Type string
	// Again says that the call may be made twice. GET, HEAD, PUT and DELETE
	// may always.
	Again bool
}

// JSON is the body of a call that carries v.
func JSON(v any) func() (io.Reader, int64, error) {
	return func() (io.Reader, int64, error) {
		b, err := json.Marshal(v)
		return bytes.NewReader(b), int64(len(b)), err
	}
}

// Bytes is the body of a call that carries b.
func Bytes(b []byte) func() (io.Reader, int64, error) {
	return func() (io.Reader, int64, error) { return bytes.NewReader(b), int64(len(b)), nil }
}

// Refused is an answer that is an error.
type Refused struct {
	Status  int
	Details []fault.Detail // empty where the server gave no error document
	Message string         // of the document, or what stood in its place
	Request string         // x-ms-request-id
	after   time.Duration
}

func (e *Refused) Error() string {
	var s []string
	for _, d := range e.Details {
		switch {
		case strings.HasPrefix(d.Message, "Error "): // of a module, which begins with its number
			s = append(s, d.Message)
		case d.Target == "" || strings.Contains(d.Message, d.Target):
			s = append(s, fmt.Sprintf("%s (%s)", d.Message, d.Code))
		default:
			s = append(s, fmt.Sprintf("%s (%s, %s)", d.Message, d.Code, d.Target))
		}
	}
	if len(s) == 0 {
		s = append(s, fmt.Sprintf("%d %s", e.Status, e.Message))
	}
	text := strings.Join(s, "; ")
	if e.Status >= 500 && e.Request != "" {
		text += " [request " + e.Request + "]"
	}
	return text
}

// Code is the first code of the error document.
func (e *Refused) Code() string {
	if len(e.Details) == 0 {
		return ""
	}
	return e.Details[0].Code
}

// HasCode reports whether err is a refusal of that code.
func HasCode(err error, code string) bool {
	r, ok := errors.AsType[*Refused](err)
	return ok && r.Code() == code
}

// HasStatus reports whether err is a refusal of that HTTP status.
func HasStatus(err error, status int) bool {
	r, ok := errors.AsType[*Refused](err)
	return ok && r.Status == status
}

// Unreachable is a server that gave no answer.
type Unreachable struct {
	Host string
	Err  error
}

func (e *Unreachable) Error() string { return e.Host + " cannot be reached: " + e.Err.Error() }
func (e *Unreachable) Unwrap() error { return e.Err }

// Garbled is an answer that cannot be read.
type Garbled struct {
	Host string
	Err  error
}

func (e *Garbled) Error() string {
	return e.Host + " answered what is no answer of Portico: " + e.Err.Error()
}

// Do makes a call and decodes the answer's JSON into out, unless that is nil.
// It returns the answer's bytes as they came.
func (c *Client) Do(ctx context.Context, call Call, out any) ([]byte, error) {
	var body []byte
	err := c.answer(ctx, call, func(resp *http.Response) error {
		var err error
		body, err = readAll(resp.Body)
		return err
	})
	if err != nil || out == nil {
		return body, err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return body, &Garbled{c.host(call), err}
	}
	return body, nil
}

func readAll(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	return body, err
}

// Get reads a document.
func (c *Client) Get(ctx context.Context, path, bearer string, out any) ([]byte, error) {
	return c.Do(ctx, Call{Method: http.MethodGet, Path: path, Bearer: bearer}, out)
}

// Probe makes one GET, once, and returns whatever the server answers.
func (c *Client) Probe(ctx context.Context, path string) (status int, header http.Header, body []byte, err error) {
	req, err := c.request(ctx, Call{Method: http.MethodGet, Path: path})
	if err != nil {
		return 0, nil, nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, nil, &Unreachable{req.URL.Host, withoutAddress(err)}
	}
	defer resp.Body.Close()
	body, err = readAll(resp.Body)
	if err != nil {
		return 0, nil, nil, &Unreachable{req.URL.Host, err}
	}
	return resp.StatusCode, resp.Header, body, nil
}

// answer makes a call, again where that may help, and hands the answer to
// read. An error of read is an answer that broke off.
func (c *Client) answer(ctx context.Context, call Call, read func(*http.Response) error) error {
	again := call.Again || call.Method != http.MethodPost && call.Method != http.MethodPatch
	deadline := time.Now().Add(c.patience)
	for n := 0; ; n++ {
		err := c.try(ctx, call, read)
		if err == nil || ctx.Err() != nil {
			return cmp.Or(ctx.Err(), err)
		}
		pause := backoff(n)
		switch e := err.(type) {
		case *Refused:
			busy := e.Status == http.StatusServiceUnavailable || e.Status == http.StatusTooManyRequests
			gateway := e.Status == http.StatusBadGateway || e.Status == http.StatusGatewayTimeout
			if !again || !busy && !gateway {
				return err
			}
			pause = max(pause, e.after)
		case *Unreachable:
			if !again {
				return err
			}
		default:
			return err
		}
		if time.Now().Add(pause).After(deadline) {
			return err
		}
		c.waiting(err.Error(), pause)
		if err := c.sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// backoff is the pause after try n, from 0: 0.1 s, doubled up to 5 s, with a
// quarter of chance so that many clients do not come back at once.
func backoff(n int) time.Duration {
	d := min(100*time.Millisecond<<min(n, 6), 5*time.Second)
	return d + time.Duration(rand.Int64N(int64(d)/4))
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// try makes a call once.
func (c *Client) try(ctx context.Context, call Call, read func(*http.Response) error) error {
	req, err := c.request(ctx, call)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return &Unreachable{req.URL.Host, withoutAddress(err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return refusal(resp)
	}
	if err := read(resp); err != nil {
		return &Unreachable{req.URL.Host, fmt.Errorf("the answer broke off: %w", err)}
	}
	return nil
}

func (c *Client) request(ctx context.Context, call Call) (*http.Request, error) {
	var body io.Reader
	var size int64
	if call.Body != nil {
		var err error
		if body, size, err = call.Body(); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, c.address(call), body)
	if err != nil {
		return nil, errors.New("an address that cannot be read") // it may be signed
	}
	if call.Body != nil {
		req.ContentLength = size
		if size == 0 {
			req.Body = http.NoBody
		}
		req.Header.Set("Content-Type", "application/json")
		if call.Type != "" {
			req.Header.Set("Content-Type", call.Type)
		}
	}
	if call.Bearer != "" {
		req.Header.Set("Authorization", "Bearer "+call.Bearer)
	}
	req.Header.Set("User-Agent", "portico")
	for name, value := range call.Header {
		req.Header.Set(name, value)
	}
	return req, nil
}

func (c *Client) address(call Call) string {
	if strings.HasPrefix(call.Path, "/") {
		return c.base + call.Path
	}
	return call.Path
}

func (c *Client) host(call Call) string {
	u, err := url.Parse(c.address(call))
	if err != nil {
		return c.base
	}
	return u.Host
}

// withoutAddress is an error of the transport without the address, which may
// be signed.
func withoutAddress(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// refusal reads an answer that is an error.
func refusal(resp *http.Response) error {
	e := &Refused{Status: resp.StatusCode, Message: http.StatusText(resp.StatusCode), Request: resp.Header.Get("X-Ms-Request-Id")}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		e.after = time.Duration(n) * time.Second
	}
	var doc struct {
		Error struct {
			Message string
			Details []fault.Detail
		}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	switch {
	case err == nil && json.Unmarshal(body, &doc) == nil && (doc.Error.Message != "" || len(doc.Error.Details) > 0):
		e.Message, e.Details = doc.Error.Message, doc.Error.Details
	case resp.StatusCode/100 == 3:
		e.Message += ": redirects are not followed; name the address that " + resp.Request.URL.Host + " leads to"
	case resp.Header.Get("X-Ms-Error-Code") != "": // of Azure Storage
		e.Message = resp.Header.Get("X-Ms-Error-Code")
	}
	return e
}
