// Package rrs is the Request-Response Service: one synchronous call scores the
// rows it carries. It serves execute, the 2014 form score, and swagger.json.
//
// In the steady state a call reads no storage: endpoint and deployment come
// from the registry's caches, and buffers, frames and decoders from pools.
package rrs

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/auth"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/frame"
	"github.com/portico-ml/portico/shared/host/web"
	"github.com/portico-ml/portico/shared/module"
	"github.com/portico-ml/portico/shared/registry"
	"github.com/portico-ml/portico/shared/scoring"
	"github.com/portico-ml/portico/shared/service"
	"github.com/portico-ml/portico/shared/wire"
)

// Registry is what a call asks of the registry: *registry.Registry.
type Registry interface {
	Resolve(ctx context.Context, ws, endpoint string) (*registry.Target, error)
	Deployment(ctx context.Context, ws, digest string) (d *scoring.Deployment, release func(), err error)
	Manifest(ctx context.Context, ws, digest string) (*service.Manifest, error)
	Evidence(ctx context.Context, t *registry.Target) error
	Count(t *registry.Target, c registry.Call)
}

// Options are the limits of calls. The zero value of a field means the default
// beside it.
type Options struct {
	MaxBody int64         // bytes of a request: 16 MiB
	MaxRows int           // rows of a request: 10,000
	Timeout time.Duration // of a call: 60 s
	Memory  int64         // bytes that all calls of the process may need at once: 512 MiB
	// Live returns the number of processes that share the endpoints' limits of
	// concurrent calls. Where nil every process takes the whole limit.
	Live func() int
	// Outside gives modules of a service what they reach the world by; nil where
	// services have none of those.
	Outside func(ws, delivery string) module.Outside
	Log     *slog.Logger
}

// Function is the rrs function.
type Function struct {
	registry Registry
	opt      Options
	limits   *limiter
	memory   *budget
	calls    sync.Pool // *call
	prepared prepared
}

// New returns the function.
func New(r Registry, o Options) *Function {
	if o.MaxBody <= 0 {
		o.MaxBody = 16 << 20
	}
	if o.MaxRows <= 0 {
		o.MaxRows = wire.DefaultMaxRows
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Memory <= 0 {
		o.Memory = 512 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &Function{registry: r, opt: o, limits: newLimiter(), memory: newBudget(o.Memory)}
	f.calls.New = func() any { return &call{dec: wire.Decoder{MaxRows: o.MaxRows}} }
	return f
}

// Register adds the routes. Callers of execute and score: applications, Excel,
// Stream Analytics; of swagger.json, which needs no key: client generators and
// the R client. "subscriptions" is the scope of services published from 2016 on.
func (f *Function) Register(rt *web.Router) {
	for _, scope := range []string{"workspaces", "subscriptions"} {
		base := "/" + scope + "/{ws}/services/{endpoint}"
		rt.HandleWithin(f.opt.Timeout, "POST "+base+"/execute", f.execute)
		rt.HandleWithin(f.opt.Timeout, "POST "+base+"/score", f.score)
		rt.Handle("GET "+base+"/swagger.json", f.swagger(scope))
		rt.Handle("HEAD "+base+"/swagger.json", f.swagger(scope))
		rt.Handle("OPTIONS "+base+"/execute", allow("POST, OPTIONS"))
		rt.Handle("OPTIONS "+base+"/score", allow("POST, OPTIONS"))
		rt.Handle("OPTIONS "+base+"/swagger.json", allow("GET, HEAD, OPTIONS"))
	}
}

func allow(methods string) web.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Allow", methods)
		return web.NoContent(w)
	}
}

// execute answers rows with rows, in the form that the URL asks for.
func (f *Function) execute(w http.ResponseWriter, r *http.Request) error {
	return f.serve(w, r, wire.Table)
}

// score answers one feature vector with one flat array of cells.
func (f *Function) score(w http.ResponseWriter, r *http.Request) error {
	return f.serve(w, r, wire.Vector)
}

// call is the working memory of one call.
type call struct {
	dec  wire.Decoder
	body []byte
	out  []byte

	form    wire.Form
	details bool
}

// maxPooled bounds the buffers that a call gives back.
const maxPooled = 1 << 20

func (f *Function) release(c *call) {
	if cap(c.body) <= maxPooled && cap(c.out) <= maxPooled {
		f.calls.Put(c)
	}
}

// serve does what both forms share. The usage of an endpoint counts every call
// that had a right to it.
func (f *Function) serve(w http.ResponseWriter, r *http.Request, form wire.Form) error {
	info := web.Call(r)
	info.Workspace, info.Endpoint = r.PathValue("ws"), r.PathValue("endpoint")
	t, err := f.registry.Resolve(r.Context(), info.Workspace, info.Endpoint)
	if err != nil {
		return err
	}
	info.Service = t.Service.ID
	if !t.Authorized(auth.BearerToken(r)) {
		return fault.New(fault.Unauthorized, "ScoreRequestUnauthorized", "Invalid credentials provided.")
	}
	var counts scoring.Counts
	err = f.authorized(w, r, t, form, &counts)
	f.registry.Count(t, registry.Call{
		Failed: err != nil, Rows: counts.Rows, Missing: counts.Missing, UnknownLevels: counts.UnknownLevels,
		Took: time.Since(info.Start),
	})
	return err
}

func (f *Function) authorized(w http.ResponseWriter, r *http.Request, t *registry.Target, form wire.Form, counts *scoring.Counts) error {
	digest, err := t.Serving()
	if err != nil {
		return err
	}
	info := web.Call(r)
	info.Deployment = digest
	w.Header()["X-Portico-Deployment"] = []string{digest}
	// Not pooled again on a panic: nobody knows who still holds what.
	c := f.calls.Get().(*call)
	if c.form, c.details, err = query(r.URL.RawQuery); err != nil {
		f.release(c)
		return err
	}
	if form == wire.Vector {
		c.form = wire.Vector
	}
	reserved, err := f.read(c, r)
	defer func() { f.memory.give(reserved) }()
	if err == nil {
		err = f.scored(w, r, t, c, counts)
	}
	f.release(c)
	return err
}

// scored scores the body that was read, in a place under the endpoint's limit,
// and writes the answer when it has left that place.
func (f *Function) scored(w http.ResponseWriter, r *http.Request, t *registry.Target, c *call, counts *scoring.Counts) error {
	info := web.Call(r)
	limit := t.Endpoint.Settings.Limit()
	if f.opt.Live != nil {
		if live := f.opt.Live(); live > 1 {
			limit = (limit + live - 1) / live
		}
	}
	wait, ok := f.limits.enter(r.Context(), t.Endpoint.ID, limit)
	info.Wait = wait
	if !ok {
		if err := r.Context().Err(); err != nil {
			return err
		}
		e := fault.New(fault.Throttled, "RequestThrottled", "Request was throttled for %s endpoint. The maximum concurrency for the endpoint is %d.", t.Endpoint.Name, limit)
		e.RetryAfter = time.Second
		return e
	}
	err := f.inPlace(r, t, c, counts)
	if err != nil {
		return err
	}
	start := time.Now()
	err = web.Bytes(w, http.StatusOK, "application/json; charset=utf-8", c.out)
	info.Write += time.Since(start)
	return err
}

// inPlace reads, scores and encodes the answer into c.out.
func (f *Function) inPlace(r *http.Request, t *registry.Target, c *call, counts *scoring.Counts) error {
	defer f.limits.leave(t.Endpoint.ID)
	info := web.Call(r)
	d, release, err := f.registry.Deployment(r.Context(), t.Endpoint.Workspace, info.Deployment)
	if err != nil {
		return err
	}
	defer release()
	if d.Manifest.BatchOnly {
		return fault.New(fault.InvalidOperation, "IncompatibleModel", "the service gives a trained model or an evaluation: it works by batch jobs only")
	}
	if c.form == wire.Vector && len(d.Manifest.Outputs) != 1 {
		return fault.New(fault.InvalidOperation, "IncompatibleModel", "the service has %d outputs; a score answer carries one: use execute", len(d.Manifest.Outputs))
	}
	ports := f.prepared.ports(d)
	s := d.Session()
	if f.opt.Outside != nil && d.Interpreted() {
		s.Outside = f.opt.Outside(t.Endpoint.Workspace, "")
	}
	err = f.run(r.Context(), info, s, ports, c)
	if err == nil {
		*counts = s.Counts
	}
	if !fault.Is(err, fault.Timeout) && !fault.Is(err, fault.Canceled) {
		s.Release() // else it may hold half of something, and is dropped
	}
	if err != nil {
		return place(err, d.Manifest)
	}
	if err := f.registry.Evidence(r.Context(), t); err != nil {
		f.opt.Log.WarnContext(r.Context(), "the call on staging was not recorded", "endpoint", t.Endpoint.ID, "error", err)
	}
	return nil
}

// run fills the session from the request and the answer from the session.
func (f *Function) run(ctx context.Context, info *web.CallInfo, s *scoring.Session, ports *wire.Ports, c *call) error {
	start := time.Now()
	err := f.decode(s, ports, c)
	parsed := time.Now()
	info.Parse = parsed.Sub(start)
	if err != nil {
		return err
	}
	out, err := s.Score(ctx)
	scored := time.Now()
	info.Score, info.Rows = scored.Sub(parsed), s.Counts.Rows
	if err != nil {
		return err
	}
	if c.form == wire.Vector {
		if n := out[0].Rows(); n > 1 {
			return fault.New(fault.InvalidOperation, "IncompatibleModel", "the service answers %d rows; a score answer carries one: use execute", n)
		}
		c.out = ports.AppendVector(c.out[:0], out[0])
	} else {
		c.out = ports.AppendAnswer(c.out[:0], out, c.form, c.details)
	}
	info.Write = time.Since(scored)
	return nil
}

func (f *Function) decode(s *scoring.Session, ports *wire.Ports, c *call) error {
	var err error
	if c.form == wire.Vector {
		var in *frame.Frame
		if len(s.Inputs) == 1 {
			in = s.Inputs[0]
		}
		err = c.dec.Score(ports, c.body, in)
	} else {
		err = c.dec.Execute(ports, c.body, s.Inputs)
	}
	if err != nil {
		return err
	}
	return s.SetParameters(c.dec.Parameters())
}

// place adds input and row to an error that a module found in one row.
func place(err error, m *service.Manifest) error {
	row, ok := errors.AsType[*scoring.RowError](err)
	if !ok || len(m.Inputs) != 1 {
		return err
	}
	e := *row.Fault
	e.Msg = wire.Place(m.Inputs[0].Name, row.Row) + ": " + e.Msg
	return &e
}

// query reads the parameters of a URL without allocating for those that
// clients send. Their names have no case, as in the classic service.
func query(raw string) (form wire.Form, details bool, err error) {
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case strings.EqualFold(name, "api-version"):
			if value != "2.0" && value != "" {
				return 0, false, fault.New(fault.BadArgument, "BadVersionCall", "The api-version %q is not one of this service: use 2.0.", frame.Clip([]byte(value))).At("api-version")
			}
		case strings.EqualFold(name, "details"):
			details = strings.EqualFold(value, "true")
		case strings.EqualFold(name, "format"):
			switch {
			case strings.EqualFold(value, "swagger"):
				form = wire.Rows
			case value != "":
				return 0, false, fault.New(fault.BadArgument, "InvalidQueryParameter", "The format %q is not one of this service: use swagger, or leave it out.", frame.Clip([]byte(value))).At("format")
			}
		}
	}
	return form, details, nil
}

// memoryFactor is what a call needs beside its body: frames, tables, answer.
const memoryFactor = 8

// read reads the body into c, having reserved the memory for it, and returns
// what is reserved, to be given back at the end of the call.
func (f *Function) read(c *call, r *http.Request) (reserved int64, err error) {
	tooLarge := func() error {
		return fault.New(fault.TooLarge, "", "the request body is longer than the limit of %d bytes; use a batch job for more", f.opt.MaxBody)
	}
	if r.ContentLength > f.opt.MaxBody {
		return 0, tooLarge()
	}
	reserve := func(n int64) error {
		if more := n*memoryFactor - reserved; more > 0 {
			if !f.memory.take(more, reserved) {
				e := fault.New(fault.Throttled, "TooManyConcurrentRequests", "The calls under way need all the memory there is for them.")
				e.RetryAfter = time.Second
				return e
			}
			reserved += more
		}
		return nil
	}
	c.body = c.body[:0]
	if r.Body == nil {
		return 0, nil
	}
	if err := reserve(max(r.ContentLength, 4<<10)); err != nil {
		return reserved, err
	}
	// One byte more than declared, so that the read that finds the end has
	// room; a declared length alone buys no more than maxPooled.
	if n := int(min(r.ContentLength, maxPooled)) + 1; cap(c.body) < n {
		c.body = make([]byte, 0, n)
	}
	for {
		if len(c.body) == cap(c.body) {
			if r.ContentLength < 0 { // not known: reserve as it grows
				if err := reserve(2 * int64(len(c.body))); err != nil {
					return reserved, err
				}
			}
			c.body = append(c.body, 0)[:len(c.body)]
		}
		n, err := r.Body.Read(c.body[len(c.body):cap(c.body)])
		c.body = c.body[:len(c.body)+n]
		switch {
		case int64(len(c.body)) > f.opt.MaxBody:
			return reserved, tooLarge()
		case err == io.EOF:
			return reserved, nil
		case err != nil && r.Context().Err() != nil:
			return reserved, r.Context().Err()
		case err != nil:
			return reserved, fault.New(fault.BadArgument, "RequestBodyInvalid", "the request body ended before its declared length").Because(err)
		}
	}
}

// swagger describes the endpoint. It needs no key.
func (f *Function) swagger(scope string) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		info := web.Call(r)
		info.Workspace, info.Endpoint = r.PathValue("ws"), r.PathValue("endpoint")
		t, err := f.registry.Resolve(r.Context(), info.Workspace, info.Endpoint)
		if err != nil {
			return err
		}
		digest, err := t.Serving()
		if err != nil {
			return err
		}
		info.Service, info.Deployment = t.Service.ID, digest
		m, err := f.registry.Manifest(r.Context(), t.Endpoint.Workspace, digest)
		if err != nil {
			return err
		}
		w.Header()["X-Portico-Deployment"] = []string{digest}
		return web.Bytes(w, http.StatusOK, "application/json; charset=utf-8", wire.Swagger(m, wire.Endpoint{
			Title: t.Service.Name, Description: t.Service.Description, Name: t.Endpoint.Name,
			BaseURL: web.BaseURL(r), Path: "/" + scope + "/" + t.Endpoint.Workspace + "/services/" + t.Endpoint.ID,
			SampleData: t.Endpoint.Settings.SampleData,
		}))
	}
}

// prepared keeps the ports of deployments. An entry costs little; when there
// are many, all are forgotten.
type prepared struct {
	mu sync.RWMutex
	m  map[string]*wire.Ports // by digest
}

const maxPrepared = 4096

func (p *prepared) ports(d *scoring.Deployment) *wire.Ports {
	p.mu.RLock()
	ports := p.m[d.Digest]
	p.mu.RUnlock()
	if ports != nil {
		return ports
	}
	ports = wire.NewPorts(d.Manifest)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m == nil || len(p.m) >= maxPrepared {
		p.m = make(map[string]*wire.Ports)
	}
	p.m[d.Digest] = ports
	return ports
}
