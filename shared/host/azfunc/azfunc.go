// Package azfunc is the adapter for the Azure Functions host: it tells the
// host's own deliveries (envelopes) from requests that came from outside, hands
// the first to triggers and the second to the HTTP handler.
//
// Only two things are known here: how the host talks, and that everybody can
// send a POST to any path. The order of start-up is the caller's: listen first,
// load after, for any answer at all to "GET /" tells the host we are ready.
package azfunc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/event"
	"github.com/portico-ml/portico/shared/host/web"
)

// Kind is what fires a trigger function.
type Kind uint8

// The kinds.
const (
	Queue Kind = iota
	Timer
)

// Trigger is a function that is not HTTP.
type Trigger struct {
	Kind   Kind
	Handle event.Handler
}

// App is what the host runs.
type App struct {
	HTTP     http.Handler
	Triggers map[string]Trigger // by function name
	// Observe, where set, is called once per delivery, after its answer is
	// decided.
	Observe func(ctx context.Context, d Delivery)
}

// Delivery is what is known of one delivery: the line that is logged of it.
type Delivery struct {
	Function     string
	ID           string
	DequeueCount int
	Wait         time.Duration // between sending and delivery; 0 where unknown
	Total        time.Duration
	Err          error
}

// maxEnvelope bounds an envelope: a message is at most 64 KiB, and each of its
// two encodings may double it; its JSON members come a second time as metadata.
const maxEnvelope = 2 << 20

// NewHandler returns the handler to serve on the host's port.
func NewHandler(app App) http.Handler { return &handler{app} }

type handler struct{ app App }

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !fromOutside(r) {
		if r.Method == http.MethodGet && r.URL.Path == "/" {
			w.WriteHeader(http.StatusOK) // the host's handshake and health ping
			return
		}
		if t, name, ok := h.trigger(r); ok {
			h.deliver(w, r, name, t)
			return
		}
	}
	h.app.HTTP.ServeHTTP(w, r)
}

// proxyHeaders are set by the host on every request that it passes on from
// outside, whatever the client sent.
var proxyHeaders = [...]string{"X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Ms-Invocation-Id"}

func fromOutside(r *http.Request) bool {
	for _, name := range proxyHeaders {
		if _, ok := r.Header[name]; ok {
			return true
		}
	}
	return false
}

// trigger returns the trigger function that r is an envelope for. The path is
// compared as it was sent: no escaping, no other case.
func (h *handler) trigger(r *http.Request) (Trigger, string, bool) {
	if r.Method != http.MethodPost || r.Header.Get("X-Azure-Functions-Invocationid") == "" {
		return Trigger{}, "", false
	}
	name, ok := strings.CutPrefix(r.URL.EscapedPath(), "/")
	if !ok {
		return Trigger{}, "", false
	}
	t, ok := h.app.Triggers[name]
	return t, name, ok
}

// accepted is the one reply that completes an invocation. An empty 200, a 204
// or null would hang it until functionTimeout kills the process.
const accepted = `{"Outputs":{},"Logs":[],"ReturnValue":null}`

func (h *handler) deliver(w http.ResponseWriter, r *http.Request, name string, t Trigger) {
	start := time.Now()
	d := Delivery{Function: name, ID: r.Header.Get("X-Azure-Functions-Invocationid")}
	d.Err = h.handle(r, t, &d, start)
	d.Total = time.Since(start)
	w.Header().Set("Content-Type", "application/json")
	if d.Err == nil {
		io.WriteString(w, accepted)
	} else {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `{"error":%q}`, fault.KindOf(d.Err).String())
	}
	if h.app.Observe != nil {
		h.app.Observe(r.Context(), d)
	}
}

func (h *handler) handle(r *http.Request, t Trigger, d *Delivery, now time.Time) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fault.Panicked(v)
		}
	}()
	body, err := web.ReadBody(r, maxEnvelope, nil)
	if err != nil {
		return err
	}
	e, err := decode(body, t.Kind)
	if err != nil {
		return err
	}
	e.Function, e.ID = d.Function, d.ID
	d.DequeueCount = e.DequeueCount
	if !e.Inserted.IsZero() {
		d.Wait = max(0, now.Sub(e.Inserted))
	}
	return t.Handle(r.Context(), e)
}

// decode reads an envelope: {"Data":{binding: value},"Metadata":{…}}. The host
// encodes each string a second time; documentation has them once. Both are
// accepted.
func decode(envelope []byte, kind Kind) (event.Event, error) {
	var raw struct {
		Data     map[string]json.RawMessage
		Metadata map[string]json.RawMessage
	}
	if err := json.Unmarshal(envelope, &raw); err != nil {
		return event.Event{}, fault.New(fault.BadArgument, "", "the envelope is not JSON").Because(err)
	}
	if len(raw.Data) != 1 {
		return event.Event{}, fault.New(fault.BadArgument, "", "the envelope holds %d values; a trigger without further inputs has exactly one", len(raw.Data))
	}
	if kind == Timer {
		return event.Event{}, nil
	}
	e := event.Event{DequeueCount: 1}
	for _, v := range raw.Data {
		e.Body = []byte(text(v))
	}
	if n, err := strconv.Atoi(text(raw.Metadata["DequeueCount"])); err == nil && n > 1 {
		e.DequeueCount = n
	}
	if at, err := time.Parse(time.RFC3339, text(raw.Metadata["InsertionTime"])); err == nil {
		e.Inserted = at
	}
	return e, nil
}

// text undoes the host's second encoding of a string. Objects and numbers are
// their own text. A string once encoded that is itself a quoted JSON string
// cannot be told apart; no message of ours is a bare string.
func text(raw json.RawMessage) string {
	var once, twice string
	if json.Unmarshal(raw, &once) != nil {
		return string(raw)
	}
	if len(once) > 1 && once[0] == '"' && json.Unmarshal([]byte(once), &twice) == nil {
		return twice
	}
	return once
}
