package web

import (
	"net/http"
	"time"

	"github.com/portico-ml/portico/shared/fault"
)

// Gate is the handler of a process that listens before it has loaded: calls
// wait in front of it until Open, at most for a while.
type Gate struct {
	opened chan struct{}
	next   http.Handler
	wait   time.Duration
}

// NewGate returns a shut Gate at which calls wait no longer than wait.
func NewGate(wait time.Duration) *Gate {
	return &Gate{opened: make(chan struct{}), wait: wait}
}

// Open lets every call, those that are waiting included, through to next. It
// is to be called once.
func (g *Gate) Open(next http.Handler) {
	g.next = next
	close(g.opened)
}

// ServeHTTP passes the call on. "GET /" does not wait: it is how a host asks
// whether anybody listens.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-g.opened:
		g.next.ServeHTTP(w, r)
		return
	default:
	}
	if r.Method == http.MethodGet && r.URL.Path == "/" {
		w.WriteHeader(http.StatusOK)
		return
	}
	t := time.NewTimer(g.wait)
	defer t.Stop()
	select {
	case <-g.opened:
		g.next.ServeHTTP(w, r)
	case <-r.Context().Done():
	case <-t.C:
		writeError(w, r, fault.New(fault.Unavailable, "", "the service is still starting"))
	}
}
