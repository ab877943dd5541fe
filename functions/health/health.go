// Package health answers GET /health/live and /health/ready: whether the
// process runs, and whether it can do its work.
//
// Both are open to everybody, so they say what fails and not how: the name of
// a setting with a fingerprint of its value, the kind of a storage failure.
package health

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/config"
	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/host/web"
)

// checkedFor is how long the answer of storage is kept: probes of everybody
// together cost one storage call in that time.
const checkedFor = 2 * time.Second

// checkLimit bounds the storage call of a probe.
const checkLimit = 5 * time.Second

// Function is the health function.
type Function struct {
	problems  []config.Problem
	storage   func(context.Context) error
	scorePath string
	now       func() time.Time

	mu   sync.Mutex
	at   time.Time
	last error
}

// New returns the function. storage makes one call to storage; it is nil where
// the problems leave none to call. scorePath names the code that scores here.
func New(problems []config.Problem, storage func(context.Context) error, scorePath string) *Function {
	return &Function{problems: problems, storage: storage, scorePath: scorePath, now: time.Now}
}

// Register adds the routes.
func (f *Function) Register(rt *web.Router) {
	rt.Handle("GET /health", f.ready)
	rt.Handle("GET /health/ready", f.ready)
	rt.Handle("GET /health/live", f.live)
}

// live: the host's or an orchestrator's probe.
func (f *Function) live(w http.ResponseWriter, r *http.Request) error {
	web.Call(r).Quiet = true
	return web.JSON(w, http.StatusOK, map[string]string{"status": "live"})
}

type setting struct {
	Name        string `json:"name"`
	Reason      string `json:"reason"`
	Fingerprint string `json:"fingerprint,omitempty"`
}

type report struct {
	Status    string    `json:"status"` // ready or not ready
	Settings  []setting `json:"settings,omitempty"`
	Storage   string    `json:"storage"` // ok, not checked, or the kind of failure
	ScorePath string    `json:"scorePath"`
}

// ready: a load balancer's probe, and a person who wonders.
func (f *Function) ready(w http.ResponseWriter, r *http.Request) error {
	web.Call(r).Quiet = true
	rep := report{Status: "ready", Storage: "not checked", ScorePath: f.scorePath}
	for _, p := range f.problems {
		rep.Settings = append(rep.Settings, setting{p.Setting, p.Reason, p.Fingerprint})
	}
	ok := len(f.problems) == 0
	if f.storage != nil {
		rep.Storage = "ok"
		switch e := fault.Of(f.check(r.Context())); {
		case e == nil:
		case e.Code == "ServiceUnavailable" && e.Target != "": // it is there, and a setting does not suit it
			rep.Settings, ok = append(rep.Settings, setting{Name: e.Target, Reason: e.Msg}), false
		default:
			rep.Storage, ok = e.Kind.String(), false
		}
	}
	if ok {
		return web.JSON(w, http.StatusOK, rep)
	}
	rep.Status = "not ready"
	w.Header().Set("Retry-After", "5")
	return web.JSON(w, http.StatusServiceUnavailable, rep)
}

// check asks storage, or remembers what it said a moment ago.
func (f *Function) check(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); f.at.IsZero() || now.Sub(f.at) >= checkedFor {
		// The answer is for others too: it does not end with this caller.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkLimit)
		defer cancel()
		f.last, f.at = f.storage(ctx), now
	}
	return f.last
}
