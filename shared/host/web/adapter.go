package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/wire"
)

// serve runs h and finishes the call, whatever h does.
func (rt *Router) serve(w *writer, r *http.Request, route string, h HandlerFunc) {
	err := run(h, w, r)
	rt.finish(r, w, route, err)
}

// run calls h and turns a panic into an error. The error names what went wrong
// and where, but no argument of any frame: those may be cells.
func run(h HandlerFunc, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler {
			panic(v)
		}
		err = fault.Panicked(v)
	}()
	return h(w, r)
}

// finish writes the error document where there was an error, and hands the
// call over to be observed. It is the only writer of error documents.
func (rt *Router) finish(r *http.Request, w *writer, route string, err error) {
	info := Call(r)
	info.Route = route
	abort := false
	if err != nil {
		e := fault.Of(err)
		d := e.Details()[0]
		info.Class, info.Code, info.Err = e.Kind.Traits().Class, d.Code, err
		if w.status == 0 {
			writeError(w, r, e)
		} else {
			abort = true // half an answer must not look like a whole one
		}
	}
	if w.status == 0 {
		w.status = http.StatusOK // net/http writes it when the handler returns
	}
	info.Status, info.BytesOut = w.status, w.bytes
	info.Total = time.Since(info.Start)
	if rt.o.Observe != nil && !info.Quiet {
		rt.o.Observe(r.Context(), info)
	}
	if abort {
		panic(http.ErrAbortHandler)
	}
}

func writeError(w http.ResponseWriter, r *http.Request, e *fault.Error) {
	h := w.Header()
	for _, name := range [...]string{"Content-Encoding", "Content-Disposition", "Cache-Control", "Etag", "Last-Modified"} {
		h.Del(name) // what the handler had meant for its answer
	}
	t := e.Kind.Traits()
	after := e.RetryAfter
	if after <= 0 && t.Status == http.StatusServiceUnavailable {
		after = time.Second
	}
	if after > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int((after+time.Second-1)/time.Second))))
	}
	if t.Status == http.StatusUnauthorized {
		h.Set("Www-Authenticate", "Bearer")
	}
	buf := buffers.Get().(*buffer)
	defer buf.release()
	buf.b = wire.AppendError(buf.b[:0], e)
	if r.Method == http.MethodHead {
		h["Content-Type"] = jsonType
		w.WriteHeader(t.Status)
		return
	}
	Bytes(w, t.Status, jsonContent, buf.b) //nolint:errcheck // the client is gone; nothing is left to do
}
