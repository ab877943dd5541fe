package registry

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/scoring"
)

// Deployment returns a deployment of ws, loading it where it is not in memory.
// The caller calls release when it has finished with it; until then it is not
// dropped.
func (r *Registry) Deployment(ctx context.Context, ws, digest string) (d *scoring.Deployment, release func(), err error) {
	if len(digest) != 64 {
		return nil, nil, fault.New(fault.NotFound, "ModelPackageNotFound", "there is no deployment %q", cut(digest))
	}
	return r.deployments.acquire(ctx, ws, digest)
}

// How loads behave.
const (
	loadTimeout = 2 * time.Minute
	badFor      = 5 * time.Second // how long a deployment that cannot be loaded is not tried again
)

// deployments keeps loaded deployments, least recently used last out, bounded
// by their bytes. One that is in use stays; so the bound can be passed while
// more is in use at once.
type deployments struct {
	max  int64
	load func(ctx context.Context, ws, digest string) (*scoring.Deployment, int64, error)

	mu    sync.Mutex
	m     map[deploymentKey]*loaded
	order list.List // of *loaded; the most recently used in front
	bytes int64
}

type deploymentKey struct{ ws, digest string }

// loaded is a deployment in memory, or on its way there.
type loaded struct {
	key     deploymentKey
	ready   chan struct{} // closed when d or err is set
	d       *scoring.Deployment
	err     error
	size    int64
	uses    int           // callers that hold it
	place   *list.Element // in order, once loaded
	release func()        // made once, so that handing it out costs nothing
}

func newDeployments(most int64, load func(context.Context, string, string) (*scoring.Deployment, int64, error)) *deployments {
	return &deployments{max: most, load: load, m: map[deploymentKey]*loaded{}}
}

func (c *deployments) acquire(ctx context.Context, ws, digest string) (*scoring.Deployment, func(), error) {
	key := deploymentKey{ws, digest}
	c.mu.Lock()
	l := c.m[key]
	if l == nil {
		l = &loaded{key: key, ready: make(chan struct{})}
		l.release = func() { c.give(l) }
		c.m[key] = l
		go c.fill(l)
	}
	l.uses++
	if l.place != nil {
		c.order.MoveToFront(l.place)
	}
	c.mu.Unlock()

	select {
	case <-l.ready:
	default:
		// Whoever asked first may go away: the load is nobody's own.
		select {
		case <-l.ready:
		case <-ctx.Done():
			c.give(l)
			return nil, nil, fault.Wrap(ctx.Err(), fault.Unavailable, "load deployment")
		}
	}
	if l.err != nil {
		c.give(l)
		return nil, nil, l.err
	}
	return l.d, l.release, nil
}

// fill loads l and settles it in the cache.
func (c *deployments) fill(l *loaded) {
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
	defer cancel()
	d, size, err := c.loadSafely(ctx, l.key)
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(l.ready)
	if err != nil {
		l.err = err
		if fault.KindOf(err).Traits().Retry {
			delete(c.m, l.key)
			return
		}
		// It will not load the next time either: do not let its callers read
		// it again and again.
		time.AfterFunc(badFor, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.m, l.key)
		})
		return
	}
	l.d, l.size = d, size
	l.place = c.order.PushFront(l)
	c.bytes += size
	c.evict()
}

func (c *deployments) loadSafely(ctx context.Context, k deploymentKey) (d *scoring.Deployment, size int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Internal, "", "loading deployment %s panicked", k.digest).Because(fault.Panicked(p).Err)
		}
	}()
	return c.load(ctx, k.ws, k.digest)
}

func (c *deployments) give(l *loaded) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.uses--
	if c.bytes > c.max {
		c.evict()
	}
}

// evict drops deployments nobody uses, the longest unused first, until the
// rest fits. The newest stays: it was asked for just now.
func (c *deployments) evict() {
	for e := c.order.Back(); e != nil && e != c.order.Front() && c.bytes > c.max; {
		l, before := e.Value.(*loaded), e.Prev()
		if l.uses == 0 {
			c.order.Remove(e)
			delete(c.m, l.key)
			c.bytes -= l.size
		}
		e = before
	}
}
