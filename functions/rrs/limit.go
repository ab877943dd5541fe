package rrs

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// maxWait is how long a call waits for a place.
const maxWait = 100 * time.Millisecond

// limiter bounds the calls that are scored at once, per endpoint. Over the
// limit a call waits up to maxWait, in a queue of the same length.
type limiter struct {
	mu sync.Mutex
	m  map[string]*gate
}

// gate is the places of one endpoint.
type gate struct {
	limit  int // as of the last call
	inside int
	queue  []chan struct{} // first in, first out; closed when the place is given
}

// maxGates is when gates that nobody uses are forgotten.
const maxGates = 10_000

func newLimiter() *limiter { return &limiter{m: map[string]*gate{}} }

// enter takes a place at an endpoint, and says how long it waited. Who got one
// leaves again.
func (l *limiter) enter(ctx context.Context, id string, limit int) (wait time.Duration, ok bool) {
	l.mu.Lock()
	g := l.m[id]
	if g == nil {
		if len(l.m) >= maxGates {
			l.forget()
		}
		g = &gate{}
		l.m[id] = g
	}
	g.limit = limit
	if g.inside < limit {
		g.inside++
		l.mu.Unlock()
		return 0, true
	}
	if len(g.queue) >= limit {
		l.mu.Unlock()
		return 0, false
	}
	place := make(chan struct{})
	g.queue = append(g.queue, place)
	l.mu.Unlock()

	start := time.Now()
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case <-place:
		return time.Since(start), true
	case <-ctx.Done():
	case <-timer.C:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, c := range g.queue {
		if c == place {
			g.queue = append(g.queue[:i], g.queue[i+1:]...)
			return time.Since(start), false
		}
	}
	return time.Since(start), true // the place was given at the last moment
}

// leave gives a place back, to whoever waits longest.
func (l *limiter) leave(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.m[id]
	g.inside--
	for g.inside < g.limit && len(g.queue) > 0 {
		close(g.queue[0])
		g.queue = g.queue[1:]
		g.inside++
	}
}

func (l *limiter) forget() {
	for id, g := range l.m {
		if g.inside == 0 && len(g.queue) == 0 {
			delete(l.m, id)
		}
	}
}

// budget is the memory that all calls of the process share.
type budget struct {
	total int64
	used  atomic.Int64
}

func newBudget(total int64) *budget { return &budget{total: total} }

// take reserves n bytes for a call that holds own already. A call that alone
// would need more than there is may have all of it.
func (b *budget) take(n, own int64) bool {
	for {
		used := b.used.Load()
		if used+n > b.total && used > own {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

func (b *budget) give(n int64) { b.used.Add(-n) }
