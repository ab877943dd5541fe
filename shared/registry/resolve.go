package registry

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portico-ml/portico/shared/fault"
	"github.com/portico-ml/portico/shared/service"
)

// How the pointer cache keeps up. An approved promotion is seen everywhere
// within maxAge and the time of one read.
const (
	refreshEvery  = 2 * time.Second  // in the background, for endpoints in use
	maxAge        = 4 * time.Second  // an older pointer is read again before it is used
	inUse         = time.Minute      // since the last call
	forgetAfter   = 10 * time.Minute // since the last call
	serviceAge    = time.Minute      // of the service's own row, which only names things
	negativeAge   = 5 * time.Second
	maxNegative   = 10_000
	maxPointers   = 100_000
	unknownPerSec = 10 // look-ups of ids that turn out not to exist
	admitWait     = time.Second
	readTimeout   = 5 * time.Second
	staleWait     = time.Second // how long a call waits for a fresh pointer while it has a stale one
	failurePause  = time.Second // between attempts while storage is down
	refreshAtOnce = 16
)

// Target is an endpoint as a call finds it: what it serves, and who may call.
// It is immutable; a call keeps the one it began with.
type Target struct {
	Endpoint service.Endpoint
	Service  service.WebService
	keys     [2][sha256.Size]byte
	hasKeys  bool
	keysRev  int64
}

// Authorized reports whether key is one of the endpoint's two keys, in
// constant time. Without a readable keys row nothing is.
func (t *Target) Authorized(key string) bool {
	var buf [128]byte
	if len(key) > len(buf) {
		return false
	}
	h := sha256.Sum256(buf[:copy(buf[:], key)])
	ok := subtle.ConstantTimeCompare(h[:], t.keys[0][:]) | subtle.ConstantTimeCompare(h[:], t.keys[1][:])
	return t.hasKeys && key != "" && ok == 1
}

// Serving returns the digest of what the endpoint serves; NotFound before the
// first approval.
func (t *Target) Serving() (digest string, err error) {
	if t.Endpoint.Digest == "" {
		return "", notApproved(t.Endpoint.Service)
	}
	return t.Endpoint.Digest, nil
}

// Resolve returns the endpoint with this id in ws, from memory where it was
// used lately. It is at most maxAge old, unless storage cannot be reached: then
// it may be Options.MaxStale old, and after that the error is Unavailable.
func (r *Registry) Resolve(ctx context.Context, ws, endpoint string) (*Target, error) {
	return r.pointers.get(ctx, ws, endpoint)
}

// Find is Resolve of an endpoint of one service, by its id or by its name: for
// documents that anybody may read who has their address.
func (r *Registry) Find(ctx context.Context, ws, svc, endpoint string) (*Target, error) {
	id := endpoint
	if !service.ValidID(id) {
		if _, err := r.liveService(ctx, ws, svc); err != nil {
			return nil, err
		}
		e, err := r.endpointNamed(ctx, ws, svc, endpoint)
		if err != nil {
			return nil, err
		}
		id = e.ID
	}
	t, err := r.Resolve(ctx, ws, id)
	if err == nil && t.Endpoint.Service != svc {
		return nil, noEndpoint(endpoint)
	}
	return t, err
}

// pointers is the cache endpoint id -> Target.
type pointers struct {
	r       *Registry
	refresh chan struct{} // places for reads in the background

	mu       sync.RWMutex
	m        map[address]*pointer
	negative map[address]time.Time // known not to exist, until
	unknown  bucket
	running  bool // the background loop
}

// address is an endpoint as a URL names it.
type address struct{ ws, id string }

// pointer is the cache's place for one endpoint.
type pointer struct {
	address
	used atomic.Int64 // unix nanoseconds of the last call
	snap atomic.Pointer[snapshot]

	mu     sync.Mutex
	flight *flight   // the read under way
	due    time.Time // of the next read in the background
	failed time.Time // of the last read that failed
	svcAt  time.Time // of the last read of the service's row
}

// snapshot is a target and when it was true.
type snapshot struct {
	target *Target
	at     time.Time
}

type flight struct {
	done chan struct{}
	snap *snapshot
	err  error
}

func newPointers(r *Registry) *pointers {
	return &pointers{
		r: r, refresh: make(chan struct{}, refreshAtOnce),
		m: map[address]*pointer{}, negative: map[address]time.Time{}, unknown: bucket{rate: unknownPerSec},
	}
}

func (ps *pointers) get(ctx context.Context, ws, id string) (*Target, error) {
	now := time.Now()
	at := address{ws, id}
	ps.mu.RLock()
	p := ps.m[at]
	ps.mu.RUnlock()
	if p == nil {
		if !service.ValidID(ws) || !service.ValidID(id) {
			return nil, noTarget(id)
		}
		var err error
		if p, err = ps.admit(ctx, at); err != nil {
			return nil, err
		}
		return ps.wait(ctx, p, time.Now())
	}
	if n := now.UnixNano(); n-p.used.Load() > int64(time.Second) {
		p.used.Store(n)
	}
	if s := p.snap.Load(); s != nil && now.Sub(s.at) <= maxAge {
		return s.target, nil
	}
	return ps.wait(ctx, p, now)
}

func noTarget(id string) error {
	return fault.New(fault.NotFound, "WebServiceNotFound", "there is no endpoint %q in this workspace", cut(id))
}

// admit makes the place of an endpoint not seen before, unless it is known not
// to exist. Where too many such are asked for it waits a little for its turn.
func (ps *pointers) admit(ctx context.Context, at address) (*pointer, error) {
	for deadline := time.Now().Add(admitWait); ; {
		p, err := ps.tryAdmit(at, time.Now())
		if p != nil || err != nil {
			return p, err
		}
		if time.Now().After(deadline) {
			f := fault.New(fault.Throttled, "TooManyConcurrentRequests", "too many endpoints are being looked up for the first time; try again")
			f.RetryAfter = time.Second
			return nil, f
		}
		select {
		case <-ctx.Done():
			return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "resolve endpoint")
		case <-time.After(admitWait / 20):
		}
	}
}

// tryAdmit is admit without waiting: no pointer and no error is "not now".
func (ps *pointers) tryAdmit(at address, now time.Time) (*pointer, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.m[at]; p != nil {
		return p, nil
	}
	if until, ok := ps.negative[at]; ok {
		if now.Before(until) {
			return nil, noTarget(at.id)
		}
		delete(ps.negative, at)
	}
	if !ps.unknown.take(now) {
		return nil, nil
	}
	if len(ps.m) >= maxPointers {
		for k := range ps.m { // any: this is a bound, not a policy
			delete(ps.m, k)
			break
		}
	}
	p := &pointer{address: at, due: now.Add(jitter())}
	p.used.Store(now.UnixNano())
	ps.m[at] = p
	if !ps.running {
		ps.running = true
		go ps.loop()
	}
	return p, nil
}

// jitter spreads the reads in the background, a little above refreshEvery, so
// that with the reads of the service's row an endpoint costs at most one read
// in two seconds.
func jitter() time.Duration { return refreshEvery + rand.N(refreshEvery/5) }

// wait brings p up to date, or settles for what it has.
func (ps *pointers) wait(ctx context.Context, p *pointer, now time.Time) (*Target, error) {
	f, old := ps.start(p, now)
	if f == nil { // storage failed a moment ago
		return ps.settleFor(old, now, nil)
	}
	var patience <-chan time.Time
	if old != nil && now.Sub(old.at) <= ps.r.opt.MaxStale {
		t := time.NewTimer(staleWait)
		defer t.Stop()
		patience = t.C
	}
	select {
	case <-f.done:
		if f.err != nil {
			return ps.settleFor(old, now, f.err)
		}
		return f.snap.target, nil
	case <-patience:
		return old.target, nil
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "resolve endpoint")
	}
}

// settleFor serves a stale pointer while storage cannot be reached.
func (ps *pointers) settleFor(old *snapshot, now time.Time, err error) (*Target, error) {
	if fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if old != nil && now.Sub(old.at) <= ps.r.opt.MaxStale {
		return old.target, nil
	}
	if err != nil && (!fault.KindOf(err).Traits().Retry || fault.HasCode(err, "ServiceUnavailable")) {
		return nil, err // not storage's doing, or a setting that the answer has to name
	}
	f := fault.New(fault.Unavailable, "NoMoreResources", "the endpoint cannot be looked up: storage is not reachable").Because(err)
	f.RetryAfter = time.Second
	return nil, f
}

// start begins a read of p, or joins the one under way. The flight is nil where
// the last one failed less than failurePause ago.
func (ps *pointers) start(p *pointer, now time.Time) (*flight, *snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.snap.Load()
	if p.flight != nil {
		return p.flight, old
	}
	if now.Sub(p.failed) < failurePause {
		return nil, old
	}
	f := &flight{done: make(chan struct{})}
	p.flight = f
	p.due = now.Add(jitter())
	readService := old == nil || now.Sub(p.svcAt) >= serviceAge
	go func() {
		defer close(f.done)
		ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
		defer cancel()
		at := time.Now()
		var t *Target
		t, f.err = ps.read(ctx, p, old, readService)
		if f.err == nil {
			f.snap = &snapshot{t, at}
		}
		ps.land(p, f, at, readService, old == nil)
	}()
	return f, old
}

// land records the outcome of a read. The first of an endpoint that exists was
// no look-up of an unknown id, and is given back.
func (ps *pointers) land(p *pointer, f *flight, at time.Time, readService, first bool) {
	p.mu.Lock()
	p.flight = nil
	switch {
	case f.err == nil:
		p.snap.Store(f.snap)
		p.failed = time.Time{}
		if readService {
			p.svcAt = at
		}
	case !fault.Is(f.err, fault.NotFound):
		p.failed = at
	}
	p.mu.Unlock()

	ps.mu.Lock()
	defer ps.mu.Unlock()
	switch {
	case fault.Is(f.err, fault.NotFound):
		if ps.m[p.address] == p {
			delete(ps.m, p.address)
		}
		if len(ps.negative) >= maxNegative {
			clear(ps.negative)
		}
		ps.negative[p.address] = at.Add(negativeAge)
	case f.err != nil && p.snap.Load() == nil:
		// Never seen: it may as well not exist. The next call asks again.
		if ps.m[p.address] == p {
			delete(ps.m, p.address)
		}
	case f.err == nil && first:
		ps.unknown.give()
	}
}

// read reads the rows of an endpoint: its own always, those of keys and
// service where they may have changed.
func (ps *pointers) read(ctx context.Context, p *pointer, old *snapshot, readService bool) (*Target, error) {
	r := ps.r
	svc := ""
	if old != nil {
		svc = old.target.Endpoint.Service
	} else {
		e, err := r.tables.Get(ctx, table, endpointsOf(p.ws), p.id)
		if fault.Is(err, fault.NotFound) {
			return nil, noTarget(p.id)
		} else if err != nil {
			return nil, err
		}
		svc = e.Props.Str("service")
	}
	row, err := r.tables.Get(ctx, table, partition(p.ws, svc), endpointRow(p.id))
	if fault.Is(err, fault.NotFound) {
		return nil, noTarget(p.id)
	} else if err != nil {
		return nil, err
	}
	e, err := endpointOf(p.ws, svc, row)
	if err != nil {
		return nil, err
	}
	t := &Target{Endpoint: e.Endpoint, keysRev: e.KeysRev}
	if readService {
		s, err := r.liveService(ctx, p.ws, svc)
		if fault.Is(err, fault.NotFound) {
			return nil, noTarget(p.id)
		} else if err != nil {
			return nil, err
		}
		t.Service = s.WebService
	} else {
		t.Service = old.target.Service
	}
	if old != nil && old.target.hasKeys && old.target.keysRev == e.KeysRev {
		t.keys, t.hasKeys = old.target.keys, true
		return t, nil
	}
	k, err := r.keysState(ctx, p.ws, svc, p.id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if err != nil { // no row: every key is refused
		r.log.WarnContext(ctx, "endpoint without keys: every call is refused", "endpoint", p.id)
		return t, nil
	}
	keys, err := r.derive(p.ws, p.id, k)
	if err != nil {
		r.log.WarnContext(ctx, "a key of an endpoint cannot be derived: its callers are refused", "endpoint", p.id, "error", err)
	}
	t.keys = [2][sha256.Size]byte{sha256.Sum256([]byte(keys.Primary)), sha256.Sum256([]byte(keys.Secondary))}
	t.hasKeys = true
	return t, nil
}

// loop reads the endpoints in use again before they grow old. It ends when
// none has been used for a while.
func (ps *pointers) loop() {
	tick := time.NewTicker(refreshEvery / 8)
	defer tick.Stop()
	for range tick.C {
		now := time.Now()
		var due []*pointer
		active := false
		ps.mu.Lock()
		for at, p := range ps.m {
			idle := now.Sub(time.Unix(0, p.used.Load()))
			if idle > forgetAfter {
				delete(ps.m, at)
				continue
			}
			active = true
			if idle <= inUse {
				due = append(due, p)
			}
		}
		for k, until := range ps.negative {
			if now.After(until) {
				delete(ps.negative, k)
			}
		}
		if !active {
			ps.running = false
			ps.mu.Unlock()
			return
		}
		ps.mu.Unlock()
		for _, p := range due {
			p.mu.Lock()
			ready := p.flight == nil && !now.Before(p.due)
			p.mu.Unlock()
			if !ready {
				continue
			}
			select {
			case ps.refresh <- struct{}{}:
			default:
				continue // enough reads are under way; next tick
			}
			f, _ := ps.start(p, now)
			if f == nil {
				<-ps.refresh
				continue
			}
			go func() { <-f.done; <-ps.refresh }()
		}
	}
}

// forget makes the next call of this process read the endpoint anew, so that
// who moved it sees it moved. Calls that wait for a read under way began before.
func (ps *pointers) forget(ws, id string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(ps.m, address{ws, id})
}

// forgetService forgets the endpoints of a service.
func (ps *pointers) forgetService(svc string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for at, p := range ps.m {
		if s := p.snap.Load(); s != nil && s.target.Endpoint.Service == svc {
			delete(ps.m, at)
		}
	}
}

// bucket lets rate takes a second through, with as many saved up.
type bucket struct {
	rate  float64
	level float64
	at    time.Time
}

func (b *bucket) take(now time.Time) bool {
	if b.at.IsZero() {
		b.level = b.rate
	} else {
		b.level = min(b.rate, b.level+now.Sub(b.at).Seconds()*b.rate)
	}
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}

func (b *bucket) give() { b.level = min(b.rate, b.level+1) }
