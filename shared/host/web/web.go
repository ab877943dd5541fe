// Package web is the handler shape of everything that speaks HTTP, and the one
// adapter around it.
//
// A handler decodes, calls one thing, encodes into a buffer and writes; it
// reports failure by returning an error and then must not have written. The
// Router gives every call an id, a deadline and a CallInfo, recovers its
// panics, renders its error as a classic error document, and hands the finished
// CallInfo to Options.Observe: the line per call. Nothing else in the program
// writes an error document.
package web

import (
	"net/http"
	"time"
)

// HandlerFunc handles a request. On error it must not have written to w.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// DefaultTimeout is the deadline of a call whose route sets no other. It lies
// below the 230 s after which the platform's front end gives up.
const DefaultTimeout = 200 * time.Second

// CallInfo is what is known of one call: the line that is logged of it. The
// handler fills what it learns, on its own goroutine, before it returns. No
// field ever holds a cell, a global parameter, a key or a query string.
type CallInfo struct {
	RequestID string
	Method    string
	Route     string // the pattern, never the URL: URLs carry signatures
	Start     time.Time
	Total     time.Duration
	Status    int
	BytesIn   int64 // declared length of the body, -1 where unknown
	BytesOut  int64

	Workspace  string
	Service    string
	Endpoint   string // id
	Deployment string // digest
	Job        string
	By         string // identity of a token, issuer|subject
	Rows       int

	Parse time.Duration
	Score time.Duration
	Write time.Duration
	Wait  time.Duration // for a place under a concurrency limit

	Class string // classic error class and code; empty on success
	Code  string
	Err   error // cause, for the log; nil on success

	// Quiet leaves the call out of log and metrics: health probes.
	Quiet bool
}

type callKey struct{}

// call is everything the adapter allocates for a request: one block.
type call struct {
	deadline
	info CallInfo
	base string
	w    writer
}

func (c *call) Value(key any) any {
	if _, ok := key.(callKey); ok {
		return c
	}
	return c.deadline.Value(key)
}

// Call returns the record of the call r belongs to. A request that did not
// come through a Router has an empty one of its own.
func Call(r *http.Request) *CallInfo {
	if c, ok := r.Context().Value(callKey{}).(*call); ok {
		return &c.info
	}
	return new(CallInfo)
}

// BaseURL returns scheme and authority under which callers reach us, without a
// slash at the end: Options.PublicURL, else what the request says.
func BaseURL(r *http.Request) string {
	if c, ok := r.Context().Value(callKey{}).(*call); ok && c.base != "" {
		return c.base
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + safeHost(r.Host)
}

// safeHost returns host if it can stand in a URL, else "localhost".
func safeHost(host string) string {
	if host == "" || len(host) > 255 {
		return "localhost"
	}
	for i := range len(host) {
		switch c := host[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '-', c == ':', c == '[', c == ']', c == '_':
		default:
			return "localhost"
		}
	}
	return host
}

// writer notes what a handler did to the response.
type writer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *writer) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the server's own writer.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
